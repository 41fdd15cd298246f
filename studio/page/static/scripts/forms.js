// A form is sent once, however often its button is pressed while the answer is on its way.
const sent = new Set();

export const once = () => {
  addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented) return;
    if (sent.has(form)) event.preventDefault();
    sent.add(form);
    form.ariaBusy = "true";
  });
  // The page comes back from the browser's memory, with its scripts as they were.
  addEventListener("pageshow", () => {
    for (const form of sent) form.ariaBusy = null;
    sent.clear();
  });
};
