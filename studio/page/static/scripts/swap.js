// Puts a page that was fetched again in place of this one, where the two differ, and leaves the reader undisturbed.
// Elements that stay are kept, so that focus, what is open and where it is scrolled to stay as well.

// A row is the same row as long as it leads to the same place. A table is not named after its first row.
const name = (node) => {
  if (node.nodeType !== Node.ELEMENT_NODE) return null;
  const link = node.matches("a[href]") ? node : node.matches("tr, li") ? node.querySelector("a.row, a.main") : null;
  return node.id || node.dataset?.key || link?.getAttribute("href") || null;
};

const alike = (old, now) => old.nodeType === now.nodeType && old.nodeName === now.nodeName && name(old) === name(now);

// Whether a reader has opened something is not the server's to say.
const KEPT = new Set(["open"]);

const attributes = (old, now) => {
  for (const { name: one } of [...old.attributes]) if (!KEPT.has(one) && !now.hasAttribute(one)) old.removeAttribute(one);
  for (const { name: one, value } of now.attributes) {
    if (!KEPT.has(one) && old.getAttribute(one) !== value) old.setAttribute(one, value);
  }
};

const children = (old, now) => {
  const named = new Map();
  for (const child of old.childNodes) if (name(child)) named.set(name(child), child);
  let at = old.firstChild;
  for (const fresh of [...now.childNodes]) {
    const found = name(fresh) ? named.get(name(fresh)) : null;
    if (found && alike(found, fresh)) {
      if (found === at) at = at.nextSibling;
      else old.insertBefore(found, at);
      become(found, fresh);
    } else if (at && !name(at) && !name(fresh) && alike(at, fresh)) {
      const next = at.nextSibling;
      become(at, fresh);
      at = next;
    } else old.insertBefore(document.adoptNode(fresh), at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
};

export const become = (old, now) => {
  if (old.isEqualNode(now)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = now.nodeValue;
    return;
  }
  attributes(old, now);
  children(old, now);
};

const typed = (field) => {
  if (field === document.activeElement) return true;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.options) {
    const sent = [...field.options].findIndex((one) => one.defaultSelected);
    return field.selectedIndex !== Math.max(sent, 0);
  }
  return field.value !== field.defaultValue;
};

// A reader is in the middle of something there: what is selected, typed or asked must not change under the hand.
export const inUse = (region) => {
  const selection = getSelection();
  if (selection && !selection.isCollapsed && selection.containsNode(region, true)) return true;
  if (region.querySelector("dialog[open]")) return true;
  return [...region.querySelectorAll("input:not([type=hidden]), textarea, select")].some(typed);
};

// Runs a change and gives the focus back if it moved the element that had it; to the next row if that is gone.
export const keepingFocus = (change) => {
  const focused = document.activeElement;
  const rows = () => [...document.querySelectorAll("main a.row, main td a.main, main summary.row")];
  const place = rows().indexOf(focused);
  change();
  if (!focused || focused === document.body || focused === document.activeElement) return;
  const next = focused.isConnected ? focused : rows()[Math.min(place, rows().length - 1)];
  (next ?? document.getElementById("main"))?.focus({ preventScroll: true });
};
