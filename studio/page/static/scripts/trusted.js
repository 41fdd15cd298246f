// The page's only policy of Trusted Types: HTML is parsed into a document that runs nothing, scripts are our own.
const policy = self.trustedTypes?.createPolicy("rlm", {
  createHTML: (html) => html,
  createScriptURL: (url) => {
    if (new URL(url).href.startsWith(new URL(".", import.meta.url).href)) return url;
    throw new TypeError("not a script of this page");
  },
});

export const parsed = (html) => new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");

export const script = (name) => {
  const url = new URL(name, import.meta.url).href;
  return policy ? policy.createScriptURL(url) : url;
};
