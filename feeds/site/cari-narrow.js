// A search in words, and what it can be narrowed by: what narrowing.py and wording.py do on the server.
import { find, fold, offsetOf, renderQuery, resolve } from "./cari-find.js";

export const OPEN = { kind: ["non_tender", "tender"], status: ["active"] };
export const lang = document.documentElement.lang;
export const id = lang === "id";
export const words = JSON.parse(document.querySelector("[data-words]").dataset.words);

export const say = (phrase, values = {}) => words[phrase].replace(/\{(\w+)\}/g, (blank, name) => values[name] ?? blank);
export const count = (number, digits = 0) =>
  number.toLocaleString(lang, { minimumFractionDigits: digits > 1 ? 2 : 0, maximumFractionDigits: digits });
export const packages = (number) => `${count(number)} ${id ? "paket" : number === 1 ? "package" : "packages"}`;
export const tellMoney = (amount, currency) => {
  const shown = (unit) => (unit > 1 ? Math.floor(amount / (unit / 10) + 0.5) / 10 : Math.floor(+amount + 0.5));
  let [size, name] = [1, ""];
  for (const [next, phrase] of [[1e6, "million"], [1e9, "billion"], [1e12, "trillion"]]) {
    if (shown(size) >= next / size) [size, name] = [next, `\u00a0${say(phrase)}`];
  }
  return `${currency ? `${currency}\u00a0` : "Rp"}${count(shown(size), 1)}${name}`;
};
const tellBound = (amount) =>
  amount.replace(/\.?0+$/, "").length <= 2 ? tellMoney(amount) : `Rp${count(+amount, 2)}`;
const months = [...Array(12).keys()].map((month) =>
  new Date(Date.UTC(2026, month)).toLocaleString(lang, { month: "short", timeZone: "UTC" }));
const two = (number) => `${number}`.padStart(2, "0");
export const tellTime = (time, zone, clock) => {
  const offset = offsetOf(zone, time);
  const local = new Date(time + offset);
  const date = `${local.getUTCDate()} ${months[local.getUTCMonth()]} ${local.getUTCFullYear()}`;
  const sign = offset < 0 ? "-" : "+";
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 36e5), (Math.abs(offset) / 6e4) % 60];
  const known = { "Asia/Jakarta": "WIB", "Asia/Pontianak": "WIB", "Asia/Makassar": "WITA", "Asia/Jayapura": "WIT" }[zone];
  const name = known || (offset ? `UTC${sign}${hours}${minutes ? `:${two(minutes)}` : ""}` : "UTC");
  const hour = [two(local.getUTCHours()), two(local.getUTCMinutes())].join(id ? "." : ":");
  const iso = `${local.toISOString().slice(0, 19)}${sign}${two(hours)}:${two(minutes)}`;
  return { text: clock ? `${date}, ${hour}\u00a0${name}` : date, iso };
};
const tellSpan = (text) => (+text.slice(1, -1) === 1 ? say("one_day") : say("days", { count: +text.slice(1, -1) }));


export const tellParts = (wanted, spell, index) => {
  const parts = [];
  const tell = (label, ...keys) =>
    parts.push({ label, to: { ...wanted, ...Object.fromEntries(keys.map((key) => [key, []])) } });
  const each = (key, name) => {
    for (const value of wanted[key] || []) {
      parts.push({ label: name(value), to: { ...wanted, [key]: wanted[key].filter((other) => other !== value) } });
    }
  };
  const called = (code) => words.names[code];
  if (wanted.q?.length) tell(wanted.q[0], "q");
  const [[least], [most]] = [wanted.min_value || [], wanted.max_value || []];
  if (least || most) {
    const label = least && most ? `${tellBound(least)}–${tellBound(most)}`
      : least ? say("at_least", { money: tellBound(least) }) : say("up_to", { money: tellBound(most) });
    tell(label, "min_value", "max_value");
  }
  each("category", called);
  each("method", (method) => say("method_name", { name: called(method) }));
  each("procuring_entity", spell);
  each("buyer", spell);
  each("location", (place) => say("located", { place }));
  each("key", (key) => say("keyed", { key }));
  each("portal", (name) => index.portals.find(([portal]) => portal === fold(name))?.[1] || name);
  each("year", (year) => say("of_year", { year }));
  if (`${wanted.kind}` !== `${OPEN.kind}`) each("kind", called);
  if (`${wanted.status}` !== `${OPEN.status}`) each("status", called);
  const moment = (text) => {
    if (!/^[+-]/.test(text)) return tellTime(resolve(text, 0, index.zone, 0), index.zone, /[T ]/.test(text)).text;
    const days = parseInt(text);
    return say(days > 0 ? "days_ahead" : days ? "days_ago" : "moment", { count: Math.abs(days) });
  };
  const times = ["deadline_from", "deadline_to", "published_from", "published_to", "changed_since"];
  if (`${wanted.deadline_from}` === "+0d" && /^\+/.test(wanted.deadline_to)) {
    tell(say("closes_within", { span: tellSpan(wanted.deadline_to[0]) }), ...times.splice(0, 2));
  }
  for (const key of times) if (wanted[key]?.length) tell(say(key, { time: moment(wanted[key][0]) }), key);
  const [[retender], [limit]] = [wanted.retender || [], wanted.limit || []];
  if (retender) tell(say(retender === "true" ? "only_retenders" : "no_retenders"), "retender");
  if (limit) tell(say("at_most", { count: limit }), "limit");
  return parts;
};
export const tellSearch = (wanted, parts) => {
  const labels = parts.map(({ label }) => label);
  if (`${wanted.status}` === `${OPEN.status}`) return labels.join(", ") || say("semua");
  return [...labels, ...(wanted.status?.length ? [] : [say("any_status")])].join(", ");
};

export const makeFacets = (wanted, spell, index) => {
  const free = { ...wanted, limit: [] };
  const counted = (changes) => find({ ...free, ...changes }, index).length;
  const one = (label, changes, cleared, number) => {
    const chosen = renderQuery({ ...wanted, ...changes }) === renderQuery(wanted);
    return { label, number, chosen, to: { ...wanted, ...(chosen ? cleared : changes) } };
  };
  const some = (choices) => choices.filter((each) => each.number || each.chosen);
  const spelt = {};
  const by = (key, held = wanted[key] || []) => {
    const numbers = new Map();
    for (const row of find({ ...free, [key]: [] }, index)) {
      const value = key === "procuring_entity" ? row.unit && index.folded[row.unit] : row[key];
      if (!value) continue;
      numbers.set(value, (numbers.get(value) || 0) + 1);
      if (key === "procuring_entity" && !(spelt[value] > index.names[row.unit])) spelt[value] = index.names[row.unit];
    }
    const found = [...numbers].sort(([a, many], [b, more]) => more - many || (a < b ? -1 : 1));
    return [...found, ...held.filter((value) => !numbers.has(value)).map((value) => [value, 0])];
  };
  const many = (key, name, held = wanted[key] || []) =>
    by(key, held).map(([value, number]) => {
      const chosen = held.includes(value);
      const kept = chosen ? held.filter((each) => each !== value) : [...held, value].sort();
      return { label: name(value), number, chosen, to: { ...wanted, [key]: kept } };
    });
  const called = (code) => words.names[code];
  const spans = words.spans.map((span) => {
    const changes = { deadline_from: ["+0d"], deadline_to: [span] };
    return one(say("within", { span: tellSpan(span) }), changes, { deadline_from: [], deadline_to: [] }, counted(changes));
  });
  const values = words.thresholds.map((least) => {
    const changes = { min_value: [`${least}`], max_value: [] };
    return one(say("at_least", { money: tellMoney(least) }), changes, { min_value: [], max_value: [] }, counted(changes));
  });
  const held = [...new Set((wanted.procuring_entity || []).map(fold))];
  const units = many("procuring_entity", (unit) => (held.includes(unit) ? spell(unit) : spelt[unit]), held).sort((a, b) => b.chosen - a.chosen);
  const kinds = (wanted.kind || []).filter((kind) => OPEN.kind.includes(kind));
  const opened = { ...OPEN, kind: kinds.length ? kinds : OPEN.kind };
  const isOpen = `${wanted.status}` === `${OPEN.status}`;
  const scope = `${wanted.kind}` === `${OPEN.kind}` ? [] : wanted.kind || [];
  const numbers = Object.fromEntries(by("status", []));
  const states = [
    one(called("active"), isOpen ? {} : opened, { status: [], kind: scope }, counted(opened)),
    ...index.codes.status.filter((status) => status !== "active").map((status) =>
      one(called(status), { status: [status] }, { status: [] }, numbers[status] || 0)),
  ];
  return [
    ["deadline", say("facet_deadline"), "one", some(spans), words.shown],
    ["value", say("facet_value"), "one", some(values), words.shown],
    ["category", words.labels.category, "many", many("category", called), words.shown],
    ["method", words.labels.method, "many", many("method", called), words.shown],
    ["procuring_entity", words.labels.procuring_entity, "many",
      units.slice(0, Math.max(words.choices_shown, held.length)), Math.max(words.shown, held.length)],
    ["kind", words.labels.kind, "many", many("kind", called), words.shown],
    ["status", words.labels.status, "one", some(states), index.codes.status.length],
  ].filter(([, , , choices]) => choices.length);
};
