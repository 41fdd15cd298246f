// Live: when the server says that something new is saved, the page is fetched again, and what differs is put in.
import { parsed, script } from "./trusted.js";
import { become, inUse, keepingFocus } from "./swap.js";
import { show } from "./times.js";

const LEAST = 150; // milliseconds between two fetches, and at least twice as long as one takes
const LOST = 2000; // until a page whose server does not answer is fetched again
const SOON = 700; // until a page that waits for something to be worked out is fetched again
const PRESENT = 30_000; // after which a tab says again that it is there

const sent = new Map(); // regions as the server sent them, by id
let fetching = false, again = false, left = false;

const regions = (within = document) => [...within.querySelectorAll("[data-live][id]")];
const notice = (text) => {
  const line = document.getElementById("connection");
  if (!line) return;
  line.hidden = !text;
  if (line.textContent !== text) line.textContent = text;
};

// What a reader is about to decide stays as it was read: another request must not come under the hand.
const asked = (within) => [...within.querySelectorAll("input[name=shown]")].map((one) => one.value).join();
const isOutdated = (here, there) => Boolean(asked(here)) && asked(here) !== asked(there);

// Returns a sentence for the reader when something was left as it was; empty otherwise.
const swap = (fresh) => {
  left = false;
  let said = "";
  const now = new Map(regions(fresh).map((one) => [one.id, one]));
  const old = regions();
  // Another kind of page: a first run has appeared, or a run has gone.
  const other = old.length !== now.size || old.some((one) => !now.has(one.id));
  const pairs = other ? [[document.getElementById("main"), fresh.getElementById("main")]] : old.map((one) => [one, now.get(one.id)]);
  keepingFocus(() => {
    for (const [here, there] of pairs) {
      const html = there.outerHTML;
      if (!other && sent.get(here.id) === html) continue;
      if (isOutdated(here, there)) {
        said = "What is shown here does not wait any more. Load the page again to see what does.";
        continue;
      }
      if (inUse(here)) {
        left = true;
        continue;
      }
      if (other) for (const [id, one] of now) sent.set(id, one.outerHTML);
      else sent.set(here.id, html);
      show(there);
      become(here, there);
    }
  });
  document.title = fresh.title;
  return said;
};

// A fact that takes a while is worked out beside the page, and no event tells when it is there.
const lookSoon = () => document.querySelector("[data-soon]") && setTimeout(refresh, SOON);

const refresh = async () => {
  if (document.hidden || fetching) {
    again = true;
    return;
  }
  fetching = true;
  again = false;
  const began = performance.now();
  let least = LEAST;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const fresh = parsed(await answer.text());
    if (answer.ok) {
      const said = swap(fresh);
      document.body.dataset.mark = fresh.body.dataset.mark ?? "";
      document.documentElement.dataset.fresh = `${Date.now()} ${document.body.dataset.mark}`;
      notice(said);
    } else notice(fresh.querySelector("h1 + p, main h1, p")?.textContent.trim() ?? "");
  } catch {
    notice("The server of this page does not answer. It shows what was known last.");
    again = true;
    least = LOST;
  }
  const wait = Math.max(least, 2 * (performance.now() - began));
  setTimeout(() => {
    fetching = false;
    if (again) refresh();
    else lookSoon();
  }, wait);
};

const heard = ({ mark, connected }) => {
  if (connected === false) notice("The server of this page does not answer. It shows what was known last.");
  if (connected === true) notice("");
  if (mark && mark !== document.body.dataset.mark) refresh();
};

// One connection for all tabs: a browser has six for a host, and each tab would keep one.
const shared = (about) => {
  const worker = new SharedWorker(script("follower.js"), { name: "rlm" });
  const say = (more) => worker.port.postMessage({ ...about, mark: document.body.dataset.mark, ...more });
  worker.port.onmessage = (message) => heard(message.data);
  say();
  setInterval(say, PRESENT);
  addEventListener("pagehide", () => say({ gone: true }));
  addEventListener("pageshow", (event) => event.persisted && say());
};

const alone = (about) => {
  let source = null;
  const connect = () => {
    source?.close();
    source = null;
    if (document.hidden) return;
    const query = new URLSearchParams([["run", about.run], ["since", document.body.dataset.mark]]);
    source = new EventSource(`${about.events}?${query}`);
    source.addEventListener("news", (event) => heard(JSON.parse(event.data)));
    source.onopen = () => heard({ connected: true });
    source.onerror = () => heard({ connected: false });
  };
  connect();
  addEventListener("visibilitychange", connect);
  addEventListener("pagehide", () => source?.close());
};

export const follow = () => {
  const { events, run, mark } = document.body.dataset;
  if (!events || mark === undefined || !regions().length) return;
  for (const one of regions()) sent.set(one.id, one.outerHTML);
  const about = { events: new URL(events, location.href).href, run };
  if (self.SharedWorker) shared(about);
  else alone(about);
  addEventListener("visibilitychange", () => again && refresh());
  lookSoon();
  // What was in use and could not be swapped is looked at again.
  for (const kind of ["focusout", "selectionchange"]) {
    document.addEventListener(kind, () => left && !regions().some(inUse) && refresh());
  }
};
