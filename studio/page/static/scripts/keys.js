// Keys: j k Enter, Esc up, / search, g r runs, n p pages, ? help. With none of them focus moves as it always does.
const rows = () =>
  [...document.querySelectorAll("main a.row, main td a.main, main summary.row")].filter((one) => one.checkVisibility());

const move = (by) => {
  const all = rows();
  const at = all.indexOf(document.activeElement);
  const next = all[Math.max(0, Math.min(all.length - 1, at + by))];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: "nearest" });
};

// The nearest place above this one in the breadcrumb.
const up = () => {
  const here = new URL(location.href);
  const above = [...document.querySelectorAll(".bar nav a[href]")].reverse().find((one) => {
    const there = new URL(one.href);
    return there.pathname !== here.pathname || here.search;
  });
  above?.click();
};

const open = () => document.querySelector("dialog[open]");
const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  n: () => document.querySelector("a[rel=next]")?.click(),
  p: () => document.querySelector("a[rel=prev]")?.click(),
  "/": () => document.querySelector("input[type=search]")?.focus(),
  "?": () => document.getElementById("help")?.showModal(),
};

export const listen = () => {
  let before = "";
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    const typing = event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
    const first = before;
    before = "";
    if (event.key === "Escape") {
      // A dialog closes by itself.
      if (typing) typing.blur();
      else if (!open()) up();
    } else if (typing || open()) {
      return;
    } else if (event.key === "r" && first === "g") {
      location.href = document.body.dataset.runs;
    } else if (Object.hasOwn(KEYS, event.key)) {
      event.preventDefault();
      KEYS[event.key]();
    } else before = event.key;
  });
};
