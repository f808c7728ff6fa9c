// Labels that are cut or lie on each other, and a page that scrolls sideways; selenium runs it.
// The line of a question in the list is no label but its beginning: it may end.

const faults = [];
const labels = "h1, h2, h3, h4, th, td, dt, dd, legend, label > span, button, figcaption *, .key li," +
  " .facts span, .badge, .entry-id, .caption, .scale > span, .named, .picked, .count, code, .verdicts li";
for (const node of document.querySelectorAll(labels)) {
  if (!node.clientWidth || node.matches(".entry")) continue;
  if (node.scrollWidth > node.clientWidth + 1) faults.push("cut: " + node.textContent.trim());
}
const pen = document.createElement("canvas").getContext("2d");
for (const field of document.querySelectorAll("select, input[type=search]")) {
  const style = getComputedStyle(field);
  pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const texts = field.options ? [...field.options].map((one) => one.text) : [field.placeholder];
  const arrow = field.options ? 20 : 0;
  const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - arrow;
  for (const text of texts) {
    if (field.clientWidth && pen.measureText(text).width > room) faults.push("cut: " + text);
  }
}
const edge = document.documentElement.clientWidth;
for (const picture of document.querySelectorAll("svg")) {
  const frame = picture.getBoundingClientRect();
  if (!frame.width) continue;
  const texts = [...picture.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
  for (const [text, box] of texts) {
    const isOut = box.left < frame.left - 1 || box.right > Math.min(frame.right, edge) + 1 ||
      box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
    if (isOut) faults.push("cut in the picture: " + text.textContent);
  }
  const seen = texts.filter(([text]) => getComputedStyle(text).visibility === "visible");
  seen.forEach(([text, box], number) => {
    for (const [other, place] of seen.slice(number + 1)) {
      const across = Math.min(box.right, place.right) - Math.max(box.left, place.left);
      const down = Math.min(box.bottom, place.bottom) - Math.max(box.top, place.top);
      if (across > 1 && down > 2) faults.push(`${text.textContent} lies on ${other.textContent}`);
    }
  });
}
const width = document.documentElement.scrollWidth;
if (width > edge) faults.push(`the page scrolls sideways: ${width} px of ${edge}`);
return faults;
