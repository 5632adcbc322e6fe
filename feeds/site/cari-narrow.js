// A search in words, and what it can be narrowed by: what narrowing.py and wording.py do on the server.
import { find, fold, offsetOf, renderQuery, resolve } from "./cari-find.js";

const NOW = "+0d";
export const OPEN = { kind: ["non_tender", "tender"], status: ["active"] };
export const BIDDABLE = { ...OPEN, deadline_from: [NOW] };
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

// What can be bid for is open or under way; both have a status and a day.
const mayBeOpen = ({ kind = [] }) => !kind.length || kind.some((each) => OPEN.kind.includes(each));
const isActive = (wanted) => `${wanted.status}` === "active" && mayBeOpen(wanted);
const isBiddable = (wanted) => isActive(wanted) && `${wanted.deadline_from}` === NOW;
const isUnderWay = (wanted) => isActive(wanted) && `${wanted.deadline_to}` === NOW && !isBiddable(wanted);
const isAllOpen = ({ kind }) => `${kind}` === `${OPEN.kind}`;
const ofAnyStatus = (wanted) => {
  const { deadline_from: from = [], deadline_to: to = [] } = wanted;
  const isSpan = isBiddable(wanted) && /^\+/.test(to);
  return { ...wanted, status: [], deadline_from: isBiddable(wanted) ? [] : from, deadline_to: isSpan || isUnderWay(wanted) ? [] : to };
};
export const withStatus = (wanted, status) => ({ ...ofAnyStatus(wanted), status: [status] });
const activeFrom = (wanted, day) => {
  const kinds = (wanted.kind || []).filter((kind) => OPEN.kind.includes(kind));
  return { ...withStatus(wanted, "active"), kind: kinds.length ? kinds : OPEN.kind, [day]: [NOW] };
};
const nameStatus = (code, { kind }) =>
  code === "active" ? [...new Set(kind.map((each) => words.actives[each]))].join(" / ") : words.names[code];

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
  const [from = [], to = []] = [wanted.deadline_from, wanted.deadline_to];
  if (!isAllOpen(wanted)) each("kind", called);
  if (!mayBeOpen(wanted)) each("status", (code) => nameStatus(code, wanted));
  else if (isUnderWay(wanted)) tell(words.under_way, "status", "deadline_to");
  else if (isActive(wanted) && !from.length && !to.length) tell(say("active"), "status");
  else if (!isActive(wanted)) each("status", called);
  const moment = (text) => {
    if (!/^[+-]/.test(text)) return tellTime(resolve(text, 0, index.zone, 0), index.zone, /[T ]/.test(text)).text;
    const days = parseInt(text);
    return say(days > 0 ? "days_ahead" : days ? "days_ago" : "moment", { count: Math.abs(days) });
  };
  const times = ["deadline_from", "deadline_to", "published_from", "published_to", "changed_since"];
  if (`${from}` === NOW && /^\+/.test(to)) {
    tell(say("closes_within", { span: tellSpan(to[0]) }), ...times.splice(0, 2).slice(isBiddable(wanted) ? 1 : 0));
  } else if (isBiddable(wanted)) times.shift();
  else if (isUnderWay(wanted)) times.splice(1, 1);
  for (const key of times) {
    const [text] = wanted[key] || [];
    if (text) tell(say(key === "deadline_from" && text === NOW ? "not_closed" : key, { time: moment(text) }), key);
  }
  const [[retender], [limit]] = [wanted.retender || [], wanted.limit || []];
  if (retender) tell(say(retender === "true" ? "only_retenders" : "no_retenders"), "retender");
  if (limit) tell(say("at_most", { count: limit }), "limit");
  return parts;
};
export const tellSearch = (wanted, parts) => {
  const labels = parts.map(({ label }) => label);
  if (`${labels}` === say("active") && isAllOpen(wanted)) return say("all_active");
  if (`${wanted.status}` === "active") return labels.join(", ") || say("semua");
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
  const by = (key, held = wanted[key] || [], within = free) => {
    const numbers = new Map();
    for (const row of find({ ...within, [key]: [] }, index)) {
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
  const spans = (isUnderWay(wanted) ? [] : words.spans).map((span) => {
    const changes = { deadline_from: [NOW], deadline_to: [span] };
    const cleared = { deadline_from: isBiddable(wanted) ? [NOW] : [], deadline_to: [] };
    return one(say("within", { span: tellSpan(span) }), changes, cleared, counted(changes));
  });
  const values = words.thresholds.map((least) => {
    const changes = { min_value: [`${least}`], max_value: [] };
    return one(say("at_least", { money: tellMoney(least) }), changes, { min_value: [], max_value: [] }, counted(changes));
  });
  const held = [...new Set((wanted.procuring_entity || []).map(fold))];
  const units = many("procuring_entity", (unit) => (held.includes(unit) ? spell(unit) : spelt[unit]), held).sort((a, b) => b.chosen - a.chosen);
  const any = ofAnyStatus(wanted);
  const numbers = Object.fromEntries(by("status", [], any));
  const active = (name, day, chosen) => {
    const opened = activeFrom(wanted, day);
    return one(name, chosen ? {} : opened, { ...any, ...(isAllOpen(wanted) && { kind: [] }) }, counted(opened));
  };
  const hasOpen = mayBeOpen(wanted);
  const states = [
    ...(hasOpen ? [active(called("active"), "deadline_from", isBiddable(wanted))] : []),
    ...(hasOpen ? [active(words.under_way, "deadline_to", isUnderWay(wanted))] : []),
    ...index.codes.status.filter((status) => status !== "active" || !hasOpen).map((status) =>
      one(nameStatus(status, wanted), withStatus(wanted, status), any, numbers[status] || 0)),
  ];
  return [
    ["deadline", say("facet_deadline"), "one", some(spans), words.shown],
    ["value", say("facet_value"), "one", some(values), words.shown],
    ["category", words.labels.category, "many", many("category", called), words.shown],
    ["method", words.labels.method, "many", many("method", called), words.shown],
    ["procuring_entity", words.labels.procuring_entity, "many",
      units.slice(0, Math.max(words.choices_shown, held.length)), Math.max(words.shown, held.length)],
    ["kind", words.labels.kind, "many", many("kind", called), words.shown],
    ["status", words.labels.status, "one", some(states), states.length],
  ].filter(([, , , choices]) => choices.length);
};
