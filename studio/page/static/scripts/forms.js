// A form is sent once, however often its button is pressed while the answer is on its way.
const sent = new Set();

// The back button leads to a form that is fetched again: it keeps its name, so that the server knows it.
const keepNames = () => {
  for (const field of document.querySelectorAll("main input[name=form]")) {
    if (history.state?.form) field.value = history.state.form;
    else history.replaceState({ ...history.state, form: field.value }, "");
  }
};

export const once = () => {
  keepNames();
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
