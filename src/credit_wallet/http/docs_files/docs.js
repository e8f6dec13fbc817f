"use strict";

// Swagger UI has a dark side, which is on when the root has this class.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

// The part of the document at `path` with what its references name, all of which is in the document itself. Swagger UI's
// own way looks through the whole document each time that somebody opens an operation, which takes seconds of ours.
function resolveSubtree(whole, path) {
  const at = steps => steps.reduce((node, step) => node?.[step], whole);
  const named = ref => at(ref.slice(2).split("/").map(step => step.replaceAll("~1", "/").replaceAll("~0", "~")));
  const resolved = (node, within) => {
    if (Array.isArray(node)) return node.map(each => resolved(each, within));
    if (node === null || typeof node !== "object") return node;
    const { $ref, ...rest } = node;
    const own = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, resolved(value, within)]));
    if (typeof $ref !== "string" || within.includes($ref)) return $ref === undefined ? own : { $ref, ...own };
    return { ...resolved(named($ref), [...within, $ref]), ...own };
  };
  return Promise.resolve({ spec: resolved(at(path), []), errors: [] });
}

// What Swagger UI leaves out, and people need who do not see the page, or have no mouse.
const MENDS = [
  [".information-container:not([role])", each => named(each, "About this API")],
  [".scheme-container:not([role])", each => named(each, "Authorization")],
  [".filter:not([role])", each => named(each, "Filter")],
  ["section.models:not([aria-label])", each => each.setAttribute("aria-label", "Schemas")],
  ["table[role=region]", each => each.removeAttribute("role")], // a table without its cells, which it has a name for
  [".opblock-tag:not([aria-level])", each => each.setAttribute("aria-level", "2")],
  [".opblock-body h4:not([aria-level])", each => each.setAttribute("aria-level", "3")],
  [".opblock-body h5:not([aria-level])", each => each.setAttribute("aria-level", "4")],
  ["pre:not([tabindex])", each => each.setAttribute("tabindex", "0")],
  ["select:not([aria-label])", each => each.setAttribute("aria-label", choiceOf(each))],
  [".operation-filter-input:not([aria-label])", each => each.setAttribute("aria-label", "Filter by tag")],
  ["button a[href]", each => each.removeAttribute("href")], // the button does what the link would
];
const named = (element, label) => {
  element.setAttribute("role", "region");
  element.setAttribute("aria-label", label);
};
const choiceOf = select => select.closest("tr")?.dataset.paramName ?? (select.id || "Choice");
const mend = () => MENDS.forEach(([where, how]) => document.querySelectorAll(`#api ${where}`).forEach(how));
new MutationObserver(mend).observe(document.getElementById("api"), { childList: true, subtree: true });

SwaggerUIBundle({
  dom_id: "#api",
  url: "/openapi.json",
  plugins: [{ fn: { resolveSubtree } }],
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "none",
  defaultModelsExpandDepth: -1,
  filter: true,
  persistAuthorization: false, // a token stays in this page, and is gone with it
  syntaxHighlight: { theme: "tomorrow-night" },
  validatorUrl: null,
});
