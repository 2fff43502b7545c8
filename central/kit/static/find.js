// The search in the head: "/" goes to it, arrows walk through what was found, Escape puts it away.
"use strict";
(() => {
  const box = document.getElementById("find"), found = document.getElementById("found");
  const links = () => [...found.querySelectorAll("a")];
  const away = () => { found.replaceChildren(); };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box.focus();
      box.select();
    }
  });
  box.form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      away();
      box.focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !links().length) return;
    event.preventDefault();
    const all = [box, ...links()];
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
  });
  box.addEventListener("input", () => { if (!box.value.trim()) away(); });
  document.addEventListener("click", (event) => { if (!box.form.contains(event.target)) away(); });
})();
