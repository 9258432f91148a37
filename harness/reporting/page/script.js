"use strict";
// Tables that sort and filter, and plots that say what the pointer is on. Without this script all is there to be read.
// Words come from the page, so that they are in its language.

const WORTH_FILTERING = 6; // lines
const NEAR = 16; // pixels from the pointer to a mark that it means
const SMALL = 40; // pixels; the box of a larger mark, such as a line, says nothing about where the mark is
const collator = new Intl.Collator(document.documentElement.lang, { numeric: true });

// Sorting: by number where the column has numbers, else by text. What has neither stays last in both directions.

function keyOf(line, column) {
  const cell = line.cells[column];
  const empty = "empty" in cell.dataset;
  return { line, empty, text: cell.textContent, number: "value" in cell.dataset ? Number(cell.dataset.value) : null };
}

function sorted(lines, column, sign) {
  const keys = lines.map((line) => keyOf(line, column));
  const numeric = keys.some((key) => key.number !== null);
  const place = (key) => (key.empty ? 2 : numeric && key.number === null ? 1 : 0);
  const difference = (a, b) =>
    a.number === null || b.number === null ? collator.compare(a.text, b.text) : (a.number > b.number) - (a.number < b.number);
  keys.sort((a, b) => place(a) - place(b) || (a.empty ? 0 : sign * difference(a, b)));
  return keys.map((key) => key.line);
}

// One click sorts, best first where one direction is better; the next reverses, the third restores the first order.
function makeSortable(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const directions = ["ascending", "descending"];
    if (header.dataset.better === "higher") directions.reverse();
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const next = directions[directions.indexOf(header.getAttribute("aria-sort")) + 1];
      headers.forEach((each) => each.removeAttribute("aria-sort"));
      if (next) header.setAttribute("aria-sort", next);
      body.append(...(next ? sorted(original, column, next === "ascending" ? 1 : -1) : original));
    });
  });
}

// Filtering: every word must occur somewhere in the line.

const folded = (text) => text.normalize("NFKC").toLowerCase();

function makeFilter(box, lines) {
  const texts = lines.map((line) => folded([...line.cells].map((cell) => cell.textContent).join(" ")));
  const tools = document.createElement("div");
  tools.className = "tools";
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = document.body.dataset.filter;
  field.setAttribute("aria-label", document.body.dataset.filter);
  const count = document.createElement("output");
  const apply = () => {
    const words = folded(field.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    lines.forEach((line, index) => {
      line.hidden = !words.every((word) => texts[index].includes(word));
      shown += !line.hidden;
    });
    count.value = document.body.dataset.counted.replace("{shown}", shown).replace("{all}", lines.length);
  };
  field.addEventListener("input", apply);
  apply();
  tools.append(field, count);
  box.prepend(tools);
}

for (const box of document.querySelectorAll(".table")) {
  const table = box.querySelector("table");
  const lines = [...table.tBodies[0].rows];
  if (lines.length > 1) makeSortable(table);
  if (lines.length > WORTH_FILTERING) makeFilter(box, lines);
}

// Plots: the <title> of a mark is shown at once, beside the pointer or, with the arrow keys, beside the mark.

const tip = document.createElement("div");
tip.className = "tip";
tip.setAttribute("role", "status");
tip.hidden = true;
document.body.append(tip);

function showTip(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 4))}px`;
  tip.style.top = `${y + 18 + height < innerHeight ? y + 18 : Math.max(4, y - height - 10)}px`;
}

const hideTip = () => {
  tip.hidden = true;
};

function distance(mark, x, y) {
  const { left, right, top, bottom, width, height } = mark.getBoundingClientRect();
  if (width > SMALL || height > SMALL) return Infinity;
  return Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom));
}

// The mark under the pointer, or the nearest small one that is near.
function markAt(marks, target, x, y) {
  const under = target.closest("[data-tip]");
  if (under) return under;
  let [nearest, least] = [null, NEAR];
  for (const mark of marks) {
    const away = distance(mark, x, y);
    if (away < least) [nearest, least] = [mark, away];
  }
  return nearest;
}

function makeTelling(svg) {
  const marks = [];
  for (const title of svg.querySelectorAll("title")) {
    const mark = title.parentElement;
    if (mark !== svg) {
      mark.dataset.tip = title.textContent.trim();
      marks.push(mark);
    }
    title.remove(); // or the browser would show it a second time
  }
  if (!marks.length) return;
  const follow = (event) => {
    const mark = markAt(marks, event.target, event.clientX, event.clientY);
    if (mark) showTip(mark.dataset.tip, event.clientX, event.clientY);
    else hideTip();
  };
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointerleave", hideTip);
  let current = 0;
  const tell = () => {
    const { left, top, width, height } = marks[current].getBoundingClientRect();
    showTip(marks[current].dataset.tip, left + width / 2, top + height / 2);
  };
  svg.tabIndex = 0;
  svg.addEventListener("focus", () => svg.matches(":focus-visible") && tell());
  svg.addEventListener("blur", hideTip);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") hideTip();
    if (!step) return;
    event.preventDefault();
    current = (current + step + marks.length) % marks.length;
    tell();
  });
}

document.querySelectorAll(".plot > svg").forEach(makeTelling);
addEventListener("scroll", hideTip, { passive: true });

// The contents stand open beside the text where there is room; on paper everything is unfolded.

if (matchMedia("(max-width: 75rem)").matches) document.querySelector("nav details")?.removeAttribute("open");

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((each) => (each.open = true));
});
addEventListener("afterprint", () => closed.forEach((each) => (each.open = false)));
