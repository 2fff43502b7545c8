"use strict";
// Hold a card: search, arrows, Enter. Everything works by keyboard; the answer is read out.

const TEXTS = {
  ko: {
    title: "카드 대기", story: "현장 시각", day: "일차", inside: "현장 안(정답)", finished: "하루가 끝났습니다",
    who: "1. 누구의 카드", where: "2. 어느 단말기에", go: "카드 대기", waiting: "단말기의 대답이 여기에 나타납니다.",
    recent: "최근 태그", see: "보기", headcount: "현장 인원", worker: "작업자 휴대전화 화면", texts: "휴대전화 문자",
    no_texts: "작업자 휴대전화 화면에서 작업자 번호를 입력하면 인증번호 문자가 곧 여기에 나타납니다.",
    terminal: "단말기 화면", search: "이름, 소속, 직종, 번호",
    in: "출근", out: "퇴근", tap: "출퇴근", none: "찾는 사람이 없습니다", stray: "등록되지 않은 카드", temporary: "임시번호",
    barred: "출입 제한", visitor: "방문자", test: "시험용", foreman: "반장", people: "사람",
    accepted: "인정", unknown_card: "모르는 카드", barred_card: "출입 제한", auth_failed: "인증 실패", repeat: "이미 태그함",
    took: (ms) => `대답까지 ${ms} ms`, seq: (n) => `기록 번호 ${n}`, failed: "대답이 없습니다", not_recorded: "기록되지 않음",
    busy: "대는 중…", offline: "시연이 멈추었습니다: 터미널에서 다시 시작하십시오.",
  },
  en: {
    title: "Hold a card", story: "Site time", day: "Day", inside: "Inside (right answer)", finished: "The day is over",
    who: "1. Whose card", where: "2. To which reader", go: "Hold the card", waiting: "The terminal's answer appears here.",
    recent: "Latest taps", see: "See", headcount: "Headcount", worker: "A worker's phone", texts: "Texts to telephones",
    no_texts: "Enter a worker's number on the worker's phone: the text with the code appears here in a few seconds.",
    terminal: "Screen of", search: "Name, employer, trade, number",
    in: "in", out: "out", tap: "in or out", none: "Nobody found", stray: "A card nobody knows", temporary: "temporary number",
    barred: "barred", visitor: "visitor", test: "test card", foreman: "foreman", people: "People",
    accepted: "Accepted", unknown_card: "Unknown card", barred_card: "Barred", auth_failed: "Card not authentic", repeat: "Already tapped",
    took: (ms) => `answered in ${ms} ms`, seq: (n) => `record ${n}`, failed: "No answer", not_recorded: "Not recorded",
    busy: "Holding…", offline: "The demo has stopped: start it again in the terminal.",
  },
};
const PEOPLE_SHOWN_MAX = 300;
const STATE_MS = 1000;
const $ = (id) => document.getElementById(id);
let language = localStorage.getItem("language") || (navigator.language.startsWith("ko") ? "ko" : "en");
let site = { people: [], readers: [], links: {} };
let shown = [];
let chosen = null;
let last = null;

const text = (key) => TEXTS[language][key] ?? key;

function make(tag, content, attributes = {}) {
  const element = document.createElement(tag);
  if (content !== undefined) element.textContent = content;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function kindOf(person) {
  if (person.method === "temporary_number") return text("temporary");
  return ["barred", "visitor", "test", "foreman"].includes(person.role) ? text(person.role) : "";
}

function showPeople() {
  const words = $("search").value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  shown = site.people.filter((person) => {
    const all = `${person.name || text("stray")} ${person.employer} ${person.trade} ${person.number} ${kindOf(person)}`.toLocaleLowerCase();
    return words.every((word) => all.includes(word));
  }).slice(0, PEOPLE_SHOWN_MAX);
  if (!shown.includes(chosen)) chosen = words.length ? shown[0] ?? null : null;
  const items = shown.map((person, index) => {
    const item = make("li", undefined, { role: "option", id: `person-${index}`, "aria-selected": String(person === chosen) });
    item.append(make("b", person.name || text("stray"), { lang: person.language || language }), make("span", kindOf(person), { class: "kind" }));
    if (person.number) item.append(make("small", `${person.employer} · ${person.trade} · ${person.number}`, { lang: "ko" }));
    item.addEventListener("click", () => { choose(person); $("search").focus({ preventScroll: true }); });
    return item;
  });
  if (!items.length) items.push(make("li", text("none"), { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" }));
  $("people").replaceChildren(...items);
  mark();
}

function choose(person) {
  chosen = person;
  mark();
}

function mark() {
  const at = shown.indexOf(chosen);
  [...$("people").children].forEach((item, index) => item.setAttribute("aria-selected", String(index === at && at >= 0)));
  const item = at >= 0 ? $(`person-${at}`) : null;
  if (item) { $("search").setAttribute("aria-activedescendant", item.id); item.scrollIntoView({ block: "nearest" }); }
  else $("search").removeAttribute("aria-activedescendant");
  $("go").disabled = !chosen || !document.querySelector("input[name=reader]:checked");
}

function showReaders() {
  const before = document.querySelector("input[name=reader]:checked")?.value ?? site.readers[0]?.key;
  $("readers").replaceChildren(...site.readers.map((reader) => {
    const label = make("label");
    const input = make("input", undefined, { type: "radio", name: "reader", value: reader.key });
    input.checked = reader.key === before;
    input.addEventListener("change", mark);
    label.append(input, make("span", `${reader.terminal} · ${text(reader.direction)}`));
    return label;
  }));
}

function showLinks() {
  $("links").replaceChildren(...Object.entries(site.links).map(([name, address]) => {
    const item = make("li");
    const link = make("a", TEXTS[language][name] ?? `${text("terminal")} ${name}`, { href: address, target: "_blank", rel: "noopener" });
    item.append(link);
    return item;
  }));
}

function decisionText(decision) {
  return text(decision === "barred" ? "barred_card" : decision);
}

function showAnswer(scroll = false) {
  if (!last) return;
  const box = $("answer");
  box.className = last.error ? "red" : last.shown;
  const who = last.person ? (last.person.name || text("stray")) : "";
  const lines = last.error
    ? [make("p", text("failed"), { class: "big" }), make("p", last.error)]
    : [make("p", who, { class: "big" }), make("p", decisionText(last.decision), { class: "big" }), make("p", last.text),
       make("p", `${last.reader} · ${text("took")(last.took_ms)} · ${text("seq")(last.seq)}`, { class: "took" })];
  box.replaceChildren(...lines);
  if (scroll) box.scrollIntoView({ block: "nearest", behavior: "instant" });
}

function showTexts() {
  document.documentElement.lang = language;
  document.title = text("title");
  document.querySelectorAll("[data-text]").forEach((element) => { element.textContent = text(element.dataset.text); });
  $("search").placeholder = text("search");
  $("people").setAttribute("aria-label", text("people"));
  $("language").textContent = language === "ko" ? "English" : "한국어";
  $("language").lang = language === "ko" ? "en" : "ko";
  showPeople(); showReaders(); showLinks(); showAnswer(); mark();
}

async function hold(event) {
  event.preventDefault();
  const reader = document.querySelector("input[name=reader]:checked")?.value;
  if (!chosen || !reader || $("go").getAttribute("aria-busy") === "true") return;
  const person = chosen;
  $("go").setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("/api/hold", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ card: person.key, reader }),
    });
    last = { ...(await answer.json()), person };
  } catch {
    last = { error: text("offline"), person };
  } finally {
    $("go").removeAttribute("aria-busy");
  }
  showAnswer(true);
  showState();
}

async function showState() {
  let state;
  try {
    state = await (await fetch("/api/state")).json();
  } catch {
    $("clock").textContent = "--:--";
    return;
  }
  $("clock").textContent = state.clock;
  $("day").textContent = state.day;
  $("speed").textContent = state.speed;
  $("inside").textContent = state.inside;
  $("finished").hidden = !state.finished;
  $("no-texts").hidden = state.texts.length > 0;
  const texts = state.texts.map((one) => `${one.to}: ${one.text}`);
  if (texts.join("\n") !== [...$("texts").children].map((item) => item.textContent).join("\n")) {
    $("texts").replaceChildren(...texts.map((line) => make("li", line)));
  }
  $("recent").replaceChildren(...state.recent.map((tap) => {
    const item = make("li");
    item.append(make("i", undefined, { class: tap.shown }), make("span", tap.name || text("stray")), make("span", `${tap.reader} · ${decisionText(tap.decision)}`));
    return item;
  }));
}

function keys(event) {
  const at = shown.indexOf(chosen);
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
  if (!step || !shown.length) return;
  event.preventDefault();
  choose(shown[Math.min(shown.length - 1, Math.max(0, at + step))]);
}

async function start() {
  $("search").addEventListener("input", showPeople);
  $("search").addEventListener("keydown", keys);
  $("hold").addEventListener("submit", hold);
  $("language").addEventListener("click", () => {
    language = language === "ko" ? "en" : "ko";
    localStorage.setItem("language", language);
    showTexts();
  });
  showTexts();
  site = await (await fetch("/api/site")).json();
  showTexts();
  showState();
  setInterval(showState, STATE_MS);
}

start();
