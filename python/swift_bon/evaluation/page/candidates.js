// The question and its candidates as elements. Texts enter as text only.

function namedText(label, text) {
  const line = make("p", "named");
  const value = make("bdi", "", text === null || text === "" ? "–" : text);
  line.append(make("span", "label", label), value);
  return line;
}

function plainText(className, text) {
  const box = make("div", "text " + className, text);
  box.dir = "auto";
  return box;
}

function scoreText(score) {
  if (score === null || score === undefined) return "–";
  const size = Math.abs(score);
  const number = size !== 0 && (size < 0.001 || size >= 1e6) ? score.toExponential(2) : +score.toFixed(3);
  return String(number).replaceAll("-", "−");
}

function scoreList(scores) {
  const list = make("dl", "scores");
  for (const [name, score] of Object.entries(scores)) {
    const pair = make("div");
    const term = make("dt");
    term.append(make("bdi", "", name));
    pair.append(term, make("dd", "", scoreText(score)));
    list.append(pair);
  }
  return list;
}

function pickLine(picked) {
  const line = make("p", "picked");
  if (!picked.length) return line;
  line.append("picked by ");
  picked.forEach((name, number) => {
    if (number) line.append(", ");
    const label = make(name === "swift" ? "strong" : "bdi", "", INDEX.methods[name] ?? name);
    line.append(label);
  });
  return line;
}

function candidateCard(candidate) {
  const isGraded = candidate.correct !== null;
  const verdict = candidate.correct ? "right" : "wrong";
  const card = make("section", "candidate" + (isGraded ? " " + verdict : ""));
  const name = "candidate " + (candidate.index + 1);
  card.setAttribute("aria-label", name);
  const head = make("header", "candidate-head");
  head.append(make("h4", "", name));
  if (isGraded) {
    const badge = make("span", "badge", (candidate.correct ? "✓ " : "✗ ") + verdict);
    head.append(badge, namedText("answer", candidate.answer));
  }
  head.append(make("span", "count", candidate.tokens.toLocaleString("en") + " tokens"));
  card.append(head, pickLine(candidate.picked), scoreList(candidate.scores));
  if (candidate.text === "" && !candidate.lengths) {
    card.append(make("p", "aside", "The text is empty."));
  } else if (candidate.lengths === undefined) {
    const box = plainText("", candidate.text);
    box.tabIndex = 0;
    card.append(box);
    card.append(make("p", "aside", "No rewards by token: swift-bon score FILE --head HEAD adds them."));
  } else {
    card.append(...tokenParts(candidate, "text of " + name));
  }
  return card;
}

function tokenParts(candidate, name) {
  const tokens = new TokenText(candidate, name);
  if (tokens.isWhole) return [tokens.box];
  const button = make("button", "more", "show all " + candidate.tokens.toLocaleString("en") + " tokens");
  button.type = "button";
  button.addEventListener("click", () => {
    tokens.draw(Infinity);
    button.remove();
    tokens.box.focus();
  });
  return [tokens.box, button];
}

function shellWord(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'";
}

// Fills the article; `position` is that of the question in the list.
function showQuestion(article, position) {
  const entry = INDEX.questions[position];
  const block = document.getElementById("question-" + position);
  const detail = block && JSON.parse(block.textContent);
  const title = make("h3");
  title.append(make("bdi", "", entry.id));
  const parts = [title, plainText("prompt", detail?.prompt ?? entry.prompt)];
  if (detail) {
    const cards = detail.candidates;
    const shown = cards.length < entry.of ? cards.length + " of " + entry.of + " shown" : entry.of + " candidates";
    if (entry.right === null) {
      parts.push(make("p", "count", shown));
    } else {
      parts.push(namedText("reference", detail.reference));
      parts.push(make("p", "count", shown + ", " + entry.right + " of all right"));
    }
    parts.push(...cards.map(candidateCard));
  } else {
    const note = make("p", "notice", "The candidates of this question are not on the page. To see them: ");
    note.append(make("code", "", "swift-bon inspect --file FILE --id " + shellWord(entry.id)));
    parts.push(note);
  }
  article.replaceChildren(...parts);
}
