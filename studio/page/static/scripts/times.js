// Times in the viewer's zone: how long ago, the exact time as the title; and what is under way is counted on.
const UNITS = [["second", 60], ["minute", 60], ["hour", 48]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const two = (number) => String(number).padStart(2, "0");

const day = (at) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;

const ago = (at, now) => {
  let past = Math.max(0, now - at) / 1000;
  for (const [unit, most] of UNITS) {
    if (past < most) return relative.format(-Math.floor(past), unit);
    past /= 60;
  }
  return `${day(at)} ${clock(at)}`;
};

const long = (seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${two(minutes)}:${two(rest)}`;
};

const put = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

export const show = (within = document) => {
  const now = Date.now();
  for (const element of within.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    if (!element.title) element.title = exact.format(at);
    put(element, ago(at, now));
  }
  for (const element of within.querySelectorAll("[data-since]")) {
    const since = Date.parse(element.dataset.since);
    if (!Number.isNaN(since)) put(element, long((now - since) / 1000 + Number(element.dataset.before ?? 0)));
  }
};

export const tick = () => {
  show();
  setInterval(() => {
    if (!document.hidden) show();
  }, 1000);
  addEventListener("visibilitychange", () => show());
};
