// Makes pages livelier; none needs it to be read or used.
"use strict";

// A secret is shown in the answer to a form: reloading must not send that again.
const replacement = document.querySelector("[data-replace]");
if (replacement) history.replaceState(null, "", replacement.dataset.replace);

// The sections of a narrow page are a strip that scrolls.
for (const current of document.querySelectorAll("nav [aria-current]")) {
  const strip = current.closest(".side, .tabs");
  if (strip && strip.scrollWidth > strip.clientWidth) {
    strip.scrollLeft = current.offsetLeft - strip.clientWidth / 2 + current.offsetWidth / 2;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  const said = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = said; }, 2000);
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
});
function showButtons() {
  for (const button of document.querySelectorAll("[data-copy], [data-print]")) button.hidden = false;
}
showButtons();

// A form may not end at another site, so a page with a link stands between, which is not gone back to.
const onward = document.querySelector("a[data-go]");
if (onward) location.replace(onward.href);

// A page that waits for something looks again by itself, less and less often, and is shown again when that has changed.
let pause = 0;
function lookAgain() {
  const waiting = document.querySelector("[data-again]");
  if (!waiting) return;
  pause = pause ? Math.min(pause * 1.3, 60) : Number(waiting.dataset.again);
  setTimeout(async () => {
    await look();
    lookAgain();
  }, pause * 1000);
}
async function look() {
  const waiting = document.querySelector("[data-again]");
  if (document.hidden || !waiting) return;
  await show(waiting.dataset.state).catch(() => {});
}
async function show(state) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Up-To-Date": "1" } });
  const isOver = answer.redirected || answer.status === 401 || answer.status === 403;
  if (!isOver && !answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = fresh.querySelector("[data-state]");
  if (isOver || !found) { location.reload(); return; } // what somebody may no longer see does not stay on the screen
  if (found.dataset.state === state) return;
  document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
  pause = 0;
  showButtons();
}
lookAgain();
document.addEventListener("visibilitychange", look);

// Pages of no wallet can be read in the time zone of whoever reads them.
for (const link of document.querySelectorAll("[data-zone]")) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || zone === link.dataset.zone) continue;
  link.href = `?zone=${encodeURIComponent(zone)}`;
  link.textContent += `: ${zone}`;
  link.hidden = false;
}

// Filters apply when one is chosen; their button is for whoever has no script.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (form && event.target.matches("select")) form.requestSubmit();
});

// Nobody sends a form twice by clicking twice. The server would not mind: such forms have an idempotency key.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// What was done is said once, not again when the page is loaded anew or its address passed on.
const address = new URL(location.href);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(null, "", address);
}
