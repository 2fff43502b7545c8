"use strict";
// The list stays on the screen whatever happens to the agent: it is replaced only by a newer one.
const REFRESH_MS = 15000;
function bind() {
  document.getElementById("print").addEventListener("click", () => print());
}
async function refresh() {
  let fresh = null;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.ok) fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  } catch { /* said below */ }
  if (!fresh) {
    document.getElementById("frozen").hidden = false;
    return;
  }
  const focused = document.activeElement && document.activeElement.id;
  document.querySelector("main").replaceWith(fresh);
  bind();
  if (focused) document.getElementById(focused)?.focus();
}
bind();
setInterval(refresh, REFRESH_MS);
