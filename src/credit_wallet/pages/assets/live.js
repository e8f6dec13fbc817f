// Keeps the parts of a page that are marked data-live up to date while somebody looks at it.
"use strict";

(() => {
  const main = document.getElementById("main");
  if (!main || !main.dataset.watch || !window.EventSource || !document.querySelector("[data-live]")) return;

  const GAP = 2000; // between two looks at the page, and ten times as long as one takes
  const LONGEST_WAIT = 60000;
  const LATER = 12000;
  const STEADY = 30000;
  let source = null;
  let mark = main.dataset.mark;
  let wait = 1000;
  let opened = 0;
  let timer = 0;
  let later = 0;
  let fetching = false;
  let again = false;
  let last = 0;

  const listen = () => {
    clearTimeout(timer);
    if (source || document.hidden) return;
    source = new EventSource(`${main.dataset.watch}?since=${encodeURIComponent(mark)}`);
    source.addEventListener("open", () => { opened = Date.now(); });
    source.addEventListener("change", () => {
      clearTimeout(later);
      later = setTimeout(refresh, LATER); // sums by day are counted a little later
      refresh();
    });
    source.addEventListener("error", () => {
      // The browser would ask again by itself, for what this page has seen long ago.
      silence();
      if (opened && Date.now() - opened > STEADY) wait = 1000; // one that soon gave way to others is asked for later
      opened = 0;
      timer = setTimeout(check, wait * (0.75 + Math.random() / 2));
      wait = Math.min(wait * 2, LONGEST_WAIT);
    });
  };
  const silence = () => {
    clearTimeout(timer);
    clearTimeout(later);
    if (source) source.close();
    source = null;
  };
  const check = async () => { // while there was no stream something may have changed, or the session ended
    if (await refresh()) listen();
  };

  const refresh = async () => {
    if (fetching) { again = true; return true; }
    fetching = true;
    await new Promise((done) => { setTimeout(done, Math.max(0, last - Date.now())); });
    const began = Date.now();
    let goes = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Up-To-Date": "1" }, cache: "no-store" });
      if (answer.redirected || answer.status === 401 || answer.status === 403) {
        goes = false;
        over();
      } else if (answer.ok) {
        swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch { /* the network is away: the stream comes back, and with it the next look */ }
    last = Date.now() + Math.max(GAP, (Date.now() - began) * 10);
    fetching = false;
    if (again && goes) { again = false; refresh(); }
    return goes;
  };

  // What somebody may no longer see does not stay on their screen, unless they are writing.
  const over = () => {
    silence();
    if (!isWriting()) location.reload();
  };
  const isWriting = () => [...main.querySelectorAll("input, textarea, select")].some((field) =>
    field.type !== "hidden" && (field.value !== field.defaultValue && field.defaultValue !== undefined));

  const swap = (page) => {
    const fresh = page.getElementById("main");
    if (!fresh) return;
    mark = fresh.dataset.mark || mark;
    const ids = (root) => [...root.querySelectorAll("[data-live][id]")].map((part) => part.id).join(" ");
    const parts = ids(main) === ids(fresh)
      ? [...main.querySelectorAll("[data-live][id]")].map((part) => [part, page.getElementById(part.id)])
      : isWriting() ? [] : [[main, fresh]];
    for (const [part, to] of parts) if (part.innerHTML !== to.innerHTML) replace(part, to);
    document.title = page.title;
  };

  const replace = (part, to) => {
    const selected = getSelection();
    if (selected && !selected.isCollapsed && part.contains(selected.anchorNode)) { later = setTimeout(refresh, LATER); return; }
    const focus = part.contains(document.activeElement) ? place(part, document.activeElement) : null;
    const open = [...part.querySelectorAll("details")].map((each) => each.open);
    const scrolled = [...part.querySelectorAll(".table")].map((each) => [each.scrollLeft, each.scrollTop]);
    const before = new Set([...part.querySelectorAll(ITEMS)].map((each) => each.outerHTML));
    const had = before.size;
    part.replaceChildren(...to.childNodes);
    [...part.querySelectorAll("details")].forEach((each, at) => { if (open[at] !== undefined) each.open = open[at]; });
    [...part.querySelectorAll(".table")].forEach((each, at) => { if (scrolled[at]) each.scrollTo(...scrolled[at]); });
    for (const button of part.querySelectorAll("[data-copy]")) button.hidden = false;
    if (focus) find(part, focus)?.focus({ preventScroll: true });
    let changed = [...part.querySelectorAll(ITEMS)].filter((each) => !before.has(each.outerHTML));
    if (!had) changed = [part];
    for (const each of changed.slice(0, 12)) show(each);
  };
  const ITEMS = "tbody tr:not(.day), .cards > li, .stat, .display, .lead-figure, .plain-list > li, .notice";
  const show = (each) => {
    each.classList.add("changed");
    setTimeout(() => {
      each.classList.remove("changed");
      if (!each.className) each.removeAttribute("class");
    }, 2000);
  };

  // Where the focus is, in words that hold in another version of the part.
  const place = (part, element) => {
    const like = selector(element);
    return { like, at: [...part.querySelectorAll(like)].indexOf(element) };
  };
  const find = (part, { like, at }) => {
    const found = part.querySelectorAll(like);
    return found[at] || found[0];
  };
  const selector = (element) => {
    const name = element.tagName.toLowerCase();
    if (element.id) return `#${CSS.escape(element.id)}`;
    if (element.getAttribute("href")) return `${name}[href="${CSS.escape(element.getAttribute("href"))}"]`;
    return element.getAttribute("name") ? `${name}[name="${CSS.escape(element.getAttribute("name"))}"]` : name;
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) silence();
    else { wait = 1000; check(); }
  });
  // Figures of the last minute change by themselves.
  const every = Number(document.querySelector("[data-every]")?.dataset.every);
  if (every) setInterval(() => { if (!document.hidden) refresh(); }, every * 1000);
  addEventListener("pagehide", silence);
  addEventListener("pageshow", (event) => { if (event.persisted) check(); });
  listen();
})();
