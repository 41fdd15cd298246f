// A worker that all tabs share: one stream of events for all that they show.
const SILENT = 180_000; // milliseconds after which a tab that says nothing is taken to be gone
const tabs = new Map(); // by port: { events, run, mark, heard }
const marks = new Map(); // what was heard last, by run
let source = null, following = "", soon = 0;

const tell = (message, whom = () => true) => {
  for (const [port, tab] of tabs) if (whom(tab)) port.postMessage(message);
};

const connect = () => {
  const now = Date.now();
  for (const [port, tab] of tabs) if (now - tab.heard > SILENT) tabs.delete(port);
  const wanted = new Map(); // the mark that all tabs of a run know; empty if they differ
  let address = "";
  for (const { events, run, mark } of tabs.values()) {
    address = events;
    wanted.set(run, wanted.has(run) && wanted.get(run) !== mark ? "" : mark);
  }
  const key = JSON.stringify([address, [...wanted.keys()].sort()]);
  if (key === following && source && source.readyState !== EventSource.CLOSED) return;
  source?.close();
  source = null;
  following = key;
  for (const run of marks.keys()) if (!wanted.has(run)) marks.delete(run);
  if (!wanted.size) return;
  const query = new URLSearchParams();
  for (const [run, mark] of wanted) {
    query.append("run", run);
    query.append("since", mark);
  }
  const opened = new EventSource(`${address}?${query}`);
  source = opened;
  opened.addEventListener("news", (event) => {
    const { run, mark } = JSON.parse(event.data);
    marks.set(run, mark);
    tell({ mark }, (tab) => tab.run === run);
  });
  opened.onopen = () => tell({ connected: true });
  opened.onerror = () => {
    tell({ connected: false });
    // Refused: the browser does not try again by itself.
    if (opened.readyState === EventSource.CLOSED && source === opened) later(5000);
  };
};

const later = (milliseconds) => {
  clearTimeout(soon);
  soon = setTimeout(connect, milliseconds);
};

self.onconnect = ({ ports: [port] }) => {
  port.onmessage = ({ data: { events, run, mark, gone } }) => {
    if (gone) tabs.delete(port);
    else {
      const known = marks.get(run);
      if (!tabs.has(port) && known && known !== mark) port.postMessage({ mark: known });
      tabs.set(port, { events, run, mark, heard: Date.now() });
    }
    // Tabs that go from page to page leave and come: one connection for both.
    later(20);
  };
};
