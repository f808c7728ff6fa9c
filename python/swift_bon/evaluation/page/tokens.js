"use strict";

// A text is tokens, each a span that knows its level of reward and gate.

const FIRST_TOKENS = 1500; // drawn at once; the rest when asked for: 10,000 spans take a while

function make(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const INDEX = JSON.parse(document.getElementById("questions").textContent);
const LEVELS = new Map([...INDEX.levels.alphabet].map((character, level) => [character, level]));
const TOP = LEVELS.size - 1;
const HINT = document.getElementById("hint");

function unpackLengths(packed) {
  const lengths = [];
  let more = 0;
  for (const character of packed) {
    const level = LEVELS.get(character);
    if (level === TOP) {
      more += TOP;
    } else {
      lengths.push(more + level);
      more = 0;
    }
  }
  return lengths;
}

// The value that a character stands for, or null where the token was not scored.
function unpackLevel(character, scale) {
  const level = LEVELS.get(character);
  if (level === undefined || !scale) return null;
  return { level, value: scale.low + (level / TOP) * (scale.high - scale.low) };
}

// No more digits than a level can tell apart.
function inWords(point, scale) {
  if (point === null) return "not scored";
  const step = (scale.high - scale.low) / TOP;
  const digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step))));
  const number = point.value.toFixed(digits).replace("-", "−");
  if (point.level === 0) return "≤ " + number;
  return (point.level === TOP ? "≥ " : "") + number;
}

// Numbers between 0 and 1 for the style: how far the reward is from the centre, how open the gate.
function colourToken(span, reward, gate) {
  if (reward !== null) {
    const { low, centre, high } = INDEX.rewards;
    const distance = (reward.value - centre) / ((high - low) / 2);
    span.classList.add(distance < 0 ? "below" : "above");
    span.style.setProperty("--far", Math.abs(distance).toFixed(3));
  }
  if (gate !== null) {
    const share = Math.max(0, gate.value / INDEX.gates.high);
    span.style.setProperty("--gate", (gate.level / TOP).toFixed(3));
    span.style.setProperty("--share", share.toFixed(3));
  }
}

class TokenText {
  static shown = null; // the one that has a token with a hint

  constructor(candidate, name) {
    this.candidate = candidate;
    this.lengths = unpackLengths(candidate.lengths);
    this.next = 0; // token to draw
    this.start = 0; // of it in the text, in UTF-16 units
    this.current = null;
    this.box = make("div", "text tokens");
    this.box.dir = "auto";
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "group");
    this.box.setAttribute("aria-label", name + "; the arrow keys go from token to token");
    this.draw(FIRST_TOKENS);
    this.listen();
  }

  get isWhole() {
    return this.next >= this.lengths.length;
  }

  draw(count) {
    const { text, rewards, gates } = this.candidate;
    const stop = Math.min(this.lengths.length, this.next + count);
    const part = document.createDocumentFragment();
    for (; this.next < stop; this.next++) {
      const end = this.start + this.lengths[this.next];
      const span = make("span", "token", text.slice(this.start, end));
      if (end === this.start) this.markEmpty(span);
      span.dataset.at = this.next;
      const reward = unpackLevel(rewards[this.next], INDEX.rewards);
      colourToken(span, reward, unpackLevel(gates[this.next], INDEX.gates));
      part.append(span);
      this.start = end;
    }
    if (this.isWhole) part.append(text.slice(this.start));
    this.box.append(part);
  }

  // A token that wrote nothing is drawn by the style, so that copied text stays as it was.
  markEmpty(span) {
    span.classList.add("empty");
    span.setAttribute("role", "img");
    span.setAttribute("aria-label", "a token without text");
    if (this.next === this.lengths.length - 1) span.classList.add("last");
  }

  listen() {
    this.box.addEventListener("pointerover", (event) => this.show(event.target.closest(".token")));
    this.box.addEventListener("click", (event) => this.show(event.target.closest(".token")));
    this.box.addEventListener("pointerleave", () => this.show(null));
    this.box.addEventListener("blur", () => this.show(null));
    this.box.addEventListener("keydown", (event) => this.move(event));
  }

  move(event) {
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    if (event.key === "Escape") this.show(null);
    if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const at = this.current === null ? -1 : Number(this.current.dataset.at);
    const span = this.box.children[Math.min(Math.max(at + steps[event.key], 0), this.next - 1)];
    if (!span) return;
    span.scrollIntoView({ block: "nearest" });
    this.show(span);
  }

  show(span) {
    if (this.current !== null) this.current.classList.remove("current");
    this.current = span;
    TokenText.shown = span && this;
    HINT.hidden = span === null;
    if (span === null) return;
    span.classList.add("current");
    const at = Number(span.dataset.at);
    const reward = unpackLevel(this.candidate.rewards[at], INDEX.rewards);
    const gate = unpackLevel(this.candidate.gates[at], INDEX.gates);
    HINT.replaceChildren(
      make("b", "", "token " + (at + 1) + " of " + this.lengths.length),
      make("span", "", "reward " + inWords(reward, INDEX.rewards)),
      make("span", "", "gate " + inWords(gate, INDEX.gates)),
    );
    this.placeHint();
  }

  placeHint() {
    const place = this.current.getClientRects()[0] ?? this.current.getBoundingClientRect();
    placeNear(HINT, place);
  }
}

document.addEventListener("scroll", () => TokenText.shown?.placeHint(), true); // any box of texts

// Above the token, or below it where there is no room; never beyond the edges of the window.
function placeNear(hint, place) {
  const { width, height } = hint.getBoundingClientRect();
  const right = document.documentElement.clientWidth - width - 8;
  hint.style.left = Math.max(8, Math.min(place.left + place.width / 2 - width / 2, right)) + "px";
  const above = place.top - height - 8;
  hint.style.top = (above > 8 ? above : place.bottom + 8) + "px";
}
