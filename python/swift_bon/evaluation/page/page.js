// What answers on the page: the list of questions with its search, filters and pages of fifty, the
// way from one question to the next, and curves and rows that bring each other out.

const PAGE = 50;
const FILTERS = [
  ["all questions", () => true],
  ["SWIFT right, likeliest wrong", (q) => q.swift === true && q.rival === false],
  ["SWIFT wrong, likeliest right", (q) => q.swift === false && q.rival === true],
  ["SWIFT wrong, another right", (q) => q.swift === false && q.right > 0],
  ["no candidate right", (q) => q.right === 0],
];

const article = document.getElementById("question");
const list = document.getElementById("list");
const search = document.getElementById("search");
const filter = document.getElementById("filter");
const before = document.getElementById("page-before");
const after = document.getElementById("page-after");
const places = new Map(); // id -> position; of equal ids the first
INDEX.questions.forEach((entry, position) => {
  if (!places.has(entry.id)) places.set(entry.id, position);
});
const state = { passing: [], page: 0, position: -1 };

function fillFilters() {
  FILTERS.forEach(([name, holds], number) => {
    const count = INDEX.questions.filter(holds).length;
    const needsPicks = number > 0 && number < FILTERS.length - 1;
    if (needsPicks && !INDEX.questions.some((entry) => entry.swift !== null)) return;
    const option = make("option", "", name + " (" + count.toLocaleString("en") + ")");
    option.value = number;
    filter.append(option);
  });
}

function applyFilter() {
  const words = search.value.toLowerCase().trim();
  const holds = FILTERS[filter.value || 0][1];
  state.passing = [];
  INDEX.questions.forEach((entry, position) => {
    if (!holds(entry)) return;
    const hasWords = entry.id.toLowerCase().includes(words) || entry.prompt.toLowerCase().includes(words);
    if (hasWords) state.passing.push(position);
  });
  const place = state.passing.indexOf(state.position);
  state.page = place < 0 ? 0 : Math.floor(place / PAGE);
  drawList();
}

function listItem(position) {
  const entry = INDEX.questions[position];
  const item = make("li");
  const button = make("button", "entry");
  button.type = "button";
  button.dataset.position = position;
  const head = make("span", "entry-head");
  head.append(make("bdi", "entry-id", entry.id));
  if (entry.swift !== null) {
    head.append(make("span", entry.swift ? "yes" : "no", entry.swift ? "SWIFT ✓" : "SWIFT ✗"));
  }
  if (entry.right !== null) head.append(make("span", "", entry.right + "/" + entry.of + " right"));
  const text = make("bdi", "entry-text", entry.prompt.slice(0, 200));
  button.append(head, text);
  item.append(button);
  return item;
}

function drawList() {
  const start = state.page * PAGE;
  const stop = Math.min(start + PAGE, state.passing.length);
  list.replaceChildren(...state.passing.slice(start, stop).map(listItem));
  list.start = start + 1;
  list.scrollTop = 0;
  before.disabled = start === 0;
  after.disabled = stop === state.passing.length;
  const range = stop ? start + 1 + "–" + stop + " of " + state.passing.length.toLocaleString("en") : "none found";
  document.getElementById("page-range").textContent = range;
  markCurrent();
}

function turnPage(step) {
  state.page += step;
  drawList();
}

function markCurrent() {
  for (const button of list.querySelectorAll(".entry")) {
    const isCurrent = Number(button.dataset.position) === state.position;
    button.setAttribute("aria-current", isCurrent);
    if (!isCurrent) continue;
    const { offsetTop, offsetHeight } = button;
    const isAbove = offsetTop < list.scrollTop;
    const isBelow = offsetTop + offsetHeight > list.scrollTop + list.clientHeight;
    if (isAbove || isBelow) list.scrollTop = offsetTop - (isAbove ? 0 : list.clientHeight - offsetHeight);
  }
}

function open(position, { keepAddress = false } = {}) {
  state.position = position;
  TokenText.shown?.show(null);
  showQuestion(article, position);
  article.prepend(stepButtons());
  const place = state.passing.indexOf(position);
  const page = place < 0 ? state.page : Math.floor(place / PAGE);
  if (page === state.page) {
    markCurrent();
  } else {
    state.page = page;
    drawList();
  }
  const address = "#" + encodeURIComponent(INDEX.questions[position].id);
  if (!keepAddress) history.replaceState(null, "", address);
}

// To the next of those that pass; where the open one is not among them, to the first or last.
function step(direction) {
  const place = state.passing.indexOf(state.position);
  const next = place < 0 ? (direction > 0 ? 0 : state.passing.length - 1) : place + direction;
  if (next >= 0 && next < state.passing.length) open(state.passing[next]);
}

function stepButtons() {
  const bar = make("nav", "steps");
  bar.setAttribute("aria-label", "from question to question");
  for (const [name, direction] of [["‹ previous", -1], ["next ›", 1]]) {
    const button = make("button", "", name);
    button.type = "button";
    const place = state.passing.indexOf(state.position) + direction;
    button.disabled = place < 0 || place >= state.passing.length;
    button.addEventListener("click", () => {
      step(direction);
      const again = article.querySelectorAll(".steps button")[direction > 0 ? 1 : 0];
      again.focus({ preventScroll: true }); // the one that was pressed is gone
    });
    bar.append(button);
  }
  bar.append(make("span", "keys", "keys: j and k"));
  return bar;
}

function openAddress() {
  let id = location.hash.slice(1);
  try {
    id = decodeURIComponent(id);
  } catch (error) {
    if (!(error instanceof URIError)) throw error; // a broken escape: take it as it stands
  }
  if (!places.has(id)) return false;
  open(places.get(id), { keepAddress: true });
  document.getElementById("part-questions").scrollIntoView();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
  if (event.target.matches("select, input:not([type=radio])")) return;
  if (event.key === "j") step(1);
  if (event.key === "k") step(-1);
  if (event.key === "/") {
    event.preventDefault();
    search.focus();
  }
});
list.addEventListener("click", (event) => {
  const button = event.target.closest(".entry");
  if (button) open(Number(button.dataset.position));
});
search.addEventListener("input", applyFilter);
filter.addEventListener("change", applyFilter);
before.addEventListener("click", () => turnPage(-1));
after.addEventListener("click", () => turnPage(1));
window.addEventListener("hashchange", openAddress);
document.getElementById("colour-switch").addEventListener("change", (event) => {
  document.getElementById("part-questions").dataset.colour = event.target.value;
});

fillFilters();
applyFilter();
if (!openAddress() && INDEX.questions.length) open(0, { keepAddress: true });

// A row of a table brings out the curve of its method, and a curve its row.

function bringOut(method) {
  for (const node of document.querySelectorAll(".lit")) node.classList.remove("lit");
  for (const picture of document.querySelectorAll("svg.curves")) {
    picture.classList.toggle("has-lit", method !== null);
  }
  if (method === null) return;
  const selector = `.curve[data-method="${method}"], tr[data-method="${method}"]`;
  for (const node of document.querySelectorAll(selector)) node.classList.add("lit");
}

function methodOf(event) {
  return event.target.closest?.("[data-method]")?.dataset.method ?? null;
}

for (const part of document.querySelectorAll("svg.curves, table")) {
  part.addEventListener("pointerover", (event) => bringOut(methodOf(event)));
  part.addEventListener("focusin", (event) => bringOut(methodOf(event)));
  part.addEventListener("pointerleave", () => bringOut(null));
  part.addEventListener("focusout", () => bringOut(null));
}
