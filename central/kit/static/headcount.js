// Keeps the headcount live: figures from the stream, the list fetched again when it changed, a loud banner in silence.
// Ages are counted on the browser's monotonic clock, so a wrong wall clock on the phone changes nothing.
"use strict";
(() => {
  const SILENT_MS = 10000, RETRY_MS = 3000;
  const LIST_PAUSE_MS = 400, LIST_REST = 5; // a list that took long to come is asked for more rarely: never a busy server for a screen's sake
  const board = document.getElementById("board");
  const words = board.dataset;
  const silent = document.getElementById("silent");
  const asOf = document.getElementById("as-of");
  const ago = document.getElementById("ago");
  const number = new Intl.NumberFormat("en");
  const clock = new Intl.DateTimeFormat("en-GB", { timeZone: words.zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
  let heardAt = performance.now(), seenAsOf = asOf.dateTime, refused = false;
  let listAt = 0, listTookMs = 0, listTimer = 0, shownSeconds = -1;

  const said = (moment) => {
    if (new Date(moment) <= new Date(seenAsOf)) return; // an old reading is no news
    seenAsOf = moment;
    heardAt = performance.now();
    refused = false;
    asOf.dateTime = moment;
    asOf.textContent = clock.format(new Date(moment));
    look();
  };

  const look = () => {
    const age = performance.now() - heardAt, seconds = Math.floor(age / 1000);
    const isSilent = age > SILENT_MS;
    board.classList.toggle("is-silent", isSilent);
    if (seconds === shownSeconds) return;
    shownSeconds = seconds;
    ago.textContent = words.ago.replace("{n}", seconds);
    // the banner's sentence changes every ten seconds only, or a screen reader would never stop
    const told = isSilent ? words.silent.replace("{n}", seconds - (seconds % 10)) + (refused ? " " + words.closed : "") : "";
    if (silent.textContent !== told) silent.textContent = told;
  };

  const refreshList = () => {
    const wait = listAt + Math.max(LIST_PAUSE_MS, LIST_REST * listTookMs) - performance.now();
    clearTimeout(listTimer);
    listTimer = setTimeout(() => {
      listAt = performance.now();
      document.body.dispatchEvent(new Event("headcountChanged"));
    }, Math.max(0, wait));
  };

  // what a silent terminal holds cannot be said, so nothing may read as a bound then; the list brings who comes on top
  const bound = document.getElementById("bound"), notReceived = document.getElementById("not-received");
  const showBound = (count) => {
    const sum = number.format(count.not_received);
    bound.hidden = !count.at_most_holds;
    notReceived.classList.toggle("words", !count.at_most_holds);
    notReceived.textContent = count.at_most_holds ? sum : count.not_received ? words.atLeast.replace("{n}", sum) : words.unsaid;
  };

  let known = "";
  const show = (count) => {
    for (const place of board.querySelectorAll("[data-figure]")) {
      place.textContent = number.format(count[place.dataset.figure]);
    }
    showBound(count);
    document.title = `${number.format(count.inside)} ${words.inside} · ${words.site}`;
    const now = count.people_version + JSON.stringify(count.terminals.map((one) => [one.code, one.freshness, one.not_received_at_most]));
    if (now !== known) refreshList();
    known = now;
    said(count.as_of);
  };

  const open = () => {
    const stream = new EventSource(words.stream);
    stream.addEventListener("headcount", (event) => show(JSON.parse(event.data)));
    stream.addEventListener("alive", (event) => said(JSON.parse(event.data).as_of));
    stream.addEventListener("error", () => {
      if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      refused = true;
      setTimeout(open, RETRY_MS);
    });
  };

  document.getElementById("live").addEventListener("htmx:after:request", () => { listTookMs = performance.now() - listAt; });
  open();
  setInterval(look, 250);
  document.addEventListener("visibilitychange", look);
})();
