"use strict";
// The page decides nothing: it shows what the agent sends, and says loudly when the agent no longer sends.
const settings = JSON.parse(document.getElementById("settings").textContent);
const el = Object.fromEntries(["clock", "banner", "stage", "picture", "name", "title", "sub", "time", "others", "announce",
  "link", "stored", "clockstate", "sound"].map((id) => [id, document.getElementById(id)]));
const SILENCE_MS_MAX = 12000; // the agent sends its state every 5 s at the latest
const ROTATE_MS = 4000;
const ALWAYS = ["ko", "en"];
let tap = null;
let tapTimer = 0;
let state = null;
let heardAt = 0;
let turn = 0;
let shown = "";

// ---- sound ----------------------------------------------------------------------------------------------------------
// [frequency in Hz, start in s, length in s]: rising for in, falling for out, level for unknown, low buzz for refused.
const TONES = {
  in: [[660, 0, .12], [990, .13, .22]],
  out: [[990, 0, .12], [660, .13, .22]],
  ok: [[880, 0, .25]],
  again: [[520, 0, .1], [520, .18, .1]],
  unknown: [[440, 0, .18], [440, .28, .18], [440, .56, .18]],
  refused: [[150, 0, .35], [150, .45, .35], [150, .9, .35]],
  not_recorded: [[880, 0, .3], [220, .3, .3], [880, .6, .3], [220, .9, .3], [880, 1.2, .3], [220, 1.5, .5]],
};
let audio = null;
function play(tone) {
  document.body.dataset.tone = tone; // what was last asked for, also where no sound may start
  if (!settings.sound || !audio || audio.state !== "running") return;
  for (const [hertz, start, length] of TONES[tone] || []) {
    const at = audio.currentTime + start;
    const source = audio.createOscillator();
    const gain = audio.createGain();
    source.type = hertz < 300 ? "sawtooth" : "square";
    source.frequency.value = hertz;
    gain.gain.setValueAtTime(.0001, at);
    gain.gain.exponentialRampToValueAtTime(.35, at + .02);
    gain.gain.exponentialRampToValueAtTime(.0001, at + length);
    source.connect(gain).connect(audio.destination);
    source.start(at);
    source.stop(at + length + .02);
  }
}
function wakeSound() {
  if (!settings.sound || !("AudioContext" in window)) return;
  audio ||= new AudioContext();
  audio.onstatechange = () => { el.sound.hidden = audio.state === "running"; };
  el.sound.hidden = audio.state === "running";
  audio.resume();
}
function speak(lines) {
  if (!settings.sound || !("speechSynthesis" in window)) return;
  const voices = speechSynthesis.getVoices();
  const voiceOf = (line) => voices.find((voice) => voice.lang.replace("_", "-").startsWith(line.lang));
  const line = lines.find(voiceOf); // the worker's language if this machine speaks it, else Korean or English
  speechSynthesis.cancel();
  if (!line) return;
  const words = new SpeechSynthesisUtterance(`${line.title}. ${line.sub}`);
  words.lang = line.speech;
  words.voice = voiceOf(line);
  speechSynthesis.speak(words);
}

// ---- what to show ---------------------------------------------------------------------------------------------------
function rotating(key) {
  const all = settings.texts[key];
  const first = all[turn % all.length];
  return [first, ...all.filter((line) => ALWAYS.includes(line.lang) && line.lang !== first.lang)];
}
function choose() {
  if (performance.now() - heardAt > SILENCE_MS_MAX) return { colour: "alarm", picture: "broken", lines: rotating("screen_lost"), key: "screen_lost" };
  if (!state) return null; // just opened
  if (tap) return { ...tap, key: `tap-${tap.number}` };
  if (state.incident && state.incident.loud) {
    const kind = state.incident.kind;
    return { colour: kind === "drill" ? "drill" : "alarm", picture: "run", lines: rotating(kind), time: `${state.incident.since} ~`, key: kind };
  }
  if (state.all_readers_lost) return { colour: "alarm", picture: "broken", lines: rotating("reader_lost"), key: "reader_lost" };
  return { colour: "idle", picture: "card", lines: rotating("idle"), key: "idle" };
}
function put(target, text, lang) {
  target.hidden = !text;
  target.textContent = text || "";
  if (lang) target.lang = lang; else target.removeAttribute("lang");
}
function render() {
  const view = choose();
  if (!view) return;
  const [first, ...rest] = view.lines;
  const stamp = `${view.key} ${first.lang}`;
  banner(view.key);
  if (stamp === shown) return;
  shown = stamp;
  document.body.dataset.colour = view.colour;
  document.body.dataset.screen = view.key.startsWith("tap-") ? "tap" : view.key;
  el.picture.firstElementChild.setAttribute("href", `#p-${view.picture}`);
  el.picture.dataset.picture = view.picture;
  put(el.name, view.name);
  put(el.title, first.title, first.lang);
  put(el.sub, first.sub, first.lang);
  put(el.time, view.time);
  el.others.replaceChildren(...rest.map((line) => {
    const item = document.createElement("li");
    const title = document.createElement("b");
    item.lang = line.lang;
    title.textContent = line.title;
    item.append(title, line.sub);
    return item;
  }));
  fit();
  requestAnimationFrame(fit); // a script shown for the first time may bring its font in a frame later
}
function fit() {
  // Sentences differ in length by language: shrink the words, never cut them.
  for (let size = 1; size > .35; size -= .05) {
    document.documentElement.style.setProperty("--fit", size.toFixed(2));
    if (el.stage.scrollHeight <= el.stage.clientHeight && el.stage.scrollWidth <= el.stage.clientWidth) return;
  }
}
function banner(key) {
  let parts = [];
  let kind = "";
  if (state && state.incident && key !== state.incident.kind) {
    kind = state.incident.kind;
    parts = both(kind).concat(state.incident.since);
  } else if (state && state.readers_lost.length && key !== "reader_lost" && key !== "screen_lost") {
    kind = "reader_lost";
    parts = both(kind).concat(state.readers_lost.join(", "));
  }
  const text = parts.join(" · ");
  if (el.banner.textContent === text) return;
  el.banner.hidden = !text;
  el.banner.dataset.kind = kind;
  el.banner.textContent = text;
  fit();
}
function both(key) {
  return settings.texts[key].filter((line) => ALWAYS.includes(line.lang)).map((line) => line.title);
}
const FORKED = (count) =>
  `전송 중지, 저장됨 ${count}건: 관리자에게 연락하세요 · not sending, stored here: ${count}. Call the operator: this journal was copied`;
function quietLine() {
  el.link.dataset.up = String(state.link_up);
  el.link.textContent = state.link_up ? "연결됨 · Online" : "연결 끊김 · Offline: 카드는 여기에 저장됩니다 · taps are kept here";
  el.stored.hidden = state.unacknowledged === 0;
  el.stored.textContent = state.forked ? FORKED(state.unacknowledged) : `저장됨, 미전송 ${state.unacknowledged}건 · stored here: ${state.unacknowledged} not yet sent`;
  el.clockstate.hidden = !state.clock_unset;
}

// ---- what comes in --------------------------------------------------------------------------------------------------
let taps = 0;
function onTap(message) {
  heardAt = performance.now();
  tap = { ...JSON.parse(message.data), number: (taps += 1) };
  clearTimeout(tapTimer);
  tapTimer = setTimeout(() => { tap = null; render(); }, tap.hold_ms);
  render();
  play(tap.tone);
  speak(tap.lines);
  el.announce.textContent = [tap.name, tap.lines[0].title, tap.lines[0].sub, tap.time].filter(Boolean).join(". ");
}
function onState(message) {
  const before = state;
  heardAt = performance.now();
  state = JSON.parse(message.data);
  quietLine();
  render();
  const alarms = (s) => Boolean(s && (s.all_readers_lost || (s.incident && s.incident.loud)));
  if (alarms(state) && !alarms(before)) {
    play("not_recorded");
    const key = state.incident && state.incident.loud ? state.incident.kind : "reader_lost";
    speak(settings.texts[key].filter((line) => ALWAYS.includes(line.lang)));
  }
}
let source = null;
function connect() {
  if (source) source.close();
  source = new EventSource("events");
  source.addEventListener("tap", onTap);
  source.addEventListener("state", onState);
  // A refused stream is not retried by the browser; a broken one is.
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000); };
}
function tick() {
  const now = new Date();
  el.clock.textContent = now.toLocaleTimeString("en-GB", { timeZone: settings.time_zone || undefined, hour: "2-digit", minute: "2-digit" });
  render();
}
el.sound.addEventListener("click", wakeSound);
document.addEventListener("pointerdown", wakeSound);
document.addEventListener("keydown", wakeSound);
new ResizeObserver(() => requestAnimationFrame(fit)).observe(el.stage); // the lines above and below come and go
setInterval(tick, 1000);
setInterval(() => { turn += 1; if (!tap) render(); }, ROTATE_MS);
heardAt = performance.now() - SILENCE_MS_MAX + 3000; // a page that never hears the agent says so after 3 s
setInterval(() => { if (state && state.incident && state.incident.loud && !tap) play("not_recorded"); }, 6000);
connect();
wakeSound();
