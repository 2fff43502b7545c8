"use strict";
// The list stays on the screen whatever happens to the agent: it is replaced only by a newer one.
const REFRESH_MS = 15000;
const MINUTE_MS = 60000;
let updated = performance.now();
function bind() {
  document.getElementById("print").addEventListener("click", () => print());
}
// The age on the list was right when it was made: beside it stands how long ago that was.
function freeze() {
  const frozen = document.getElementById("frozen");
  const minutes = Math.max(1, Math.ceil((performance.now() - updated) / MINUTE_MS));
  for (const place of frozen.querySelectorAll("[data-minutes]")) place.textContent = String(minutes);
  frozen.hidden = false;
  document.getElementById("age").dataset.stale = "true";
}
async function refresh() {
  let fresh = null;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.ok) fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  } catch { /* said below */ }
  if (!fresh) {
    freeze();
    return;
  }
  updated = performance.now();
  const focused = document.activeElement && document.activeElement.id;
  document.querySelector("main").replaceWith(fresh);
  bind();
  if (focused) document.getElementById(focused)?.focus();
}
bind();
setInterval(refresh, REFRESH_MS);
