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
