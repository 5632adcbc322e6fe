// What the server does with a search, done with the index cari.json: reading the query, and finding. Touches no page.
const DAY = 864e5, ROWS = 30, MOST_PAGES = 100;
const [TEXTS, MANY, AMOUNTS, KEYS] = [
  "q portal key buyer procuring_entity location",
  "portal kind key category method status buyer procuring_entity location year",
  "min_value max_value",
  "q portal kind key category method status buyer procuring_entity location min_value max_value year published_from published_to deadline_from deadline_to changed_since retender limit sort",
].map((names) => names.split(" "));

export const fold = (text) =>
  text.normalize("NFKD").replace(/\p{Mn}/gu, "").toLowerCase().replace(/ß/g, "ss").replace(/ς/g, "σ");
const spread = (text) =>
  ` ${fold(text).replace(/[^\p{L}\p{N}\n]+/gu, " ").replace(/\n/g, " \n ")} `.replace(/ +/g, " ");

// Time -------------------------------------------------------------------------------------------------

export const offsetOf = (zone, time) => {
  const told = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" }).format(time);
  const [, sign, hours, minutes] = /GMT(?:(.)(\d\d):(\d\d))?/.exec(told);
  return sign ? `${sign}1` * (hours * 60 + +minutes) * 6e4 : 0;
};
export const resolve = (text, end, zone, now) => {
  const days = /^([+-]\d{1,4})d$/.exec(text);
  if (days) return now + days[1] * DAY;
  const parts = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  if (!parts) return NaN;
  const [, year, month, day, hour, minute = 0, second = 0, offset] = parts;
  const midnight = Date.UTC(year, month - 1, day);
  if (new Date(midnight).getUTCDate() !== +day || hour > 23 || minute > 59 || second > 59) return NaN;
  const local = hour ? midnight + ((hour * 60 + +minute) * 60 + +second) * 1000 : midnight + (end ? DAY - 1 : 0);
  if (!offset) return local - offsetOf(zone, local);
  return Date.parse(new Date(local).toISOString().replace("Z", offset.replace(/(\d\d)(\d\d)$/, "$1:$2")));
};

// Query ------------------------------------------------------------------------------------------------

const fail = (key, fault, value, right = []) => {
  throw { key, fault, value, right };
};
const read = (key, value, index) => {
  if (TEXTS.includes(key)) {
    const text = value.replace(/[\p{C}\p{Z}]+/gu, " ").trim();
    return text && [...text].length <= 200 ? text : fail(key, "LENGTH", value, [200]);
  }
  if (index.codes[key]) {
    return index.codes[key].includes(value) ? value : fail(key, "UNKNOWN_CODE", value, index.codes[key]);
  }
  if (key === "year" || key === "limit") {
    const [least, most] = key === "year" ? [2000, 2100] : [1, 1000];
    if (!/^\s*[+-]?\d+\s*$/.test(value)) fail(key, "NO_WHOLE_NUMBER", value, [least]);
    return least <= value && value <= most ? `${+value}` : fail(key, "OUT_OF_RANGE", value, [least, most]);
  }
  if (AMOUNTS.includes(key)) {
    if (!/^\d{1,18}(\.\d{1,2})?$/.test(value)) fail(key, "NO_AMOUNT", value, [500000000]);
    return value.replace(/^0+(?=\d)/, "").replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  }
  if (key === "retender") {
    const flag = { true: "true", 1: "true", false: "false", 0: "false" }[value.toLowerCase()];
    return flag || fail(key, "NO_FLAG", value, ["true", "false"]);
  }
  const moment = value.replace(/^ (?=\d)|(?<=\d:\d\d) (?=\d\d:?\d\d$)/, "+"); // nobody escapes a plus by hand
  if (Number.isNaN(resolve(moment, 0, index.zone, 0))) {
    fail(key, "NO_MOMENT", value, ["2026-12-03", "2026-12-03T14:00", "+7d"]);
  }
  return moment;
};
export const parseQuery = (raw, index) => {
  if (raw.length > 4000) fail("query", "LENGTH", raw, [4000]);
  const given = {};
  for (const [key, value] of new URLSearchParams(raw)) if (/[^\p{C}\p{Z}]/u.test(value)) (given[key] ||= []).push(value);
  const wanted = {};
  for (const key of Object.keys(given).filter((each) => KEYS.includes(each))) {
    if (given[key].length > 50) fail(key, "TOO_MANY", "", [50]);
    if (given[key].length > 1 && !MANY.includes(key)) fail(key, "SEVERAL");
    wanted[key] = [...new Set(given[key].map((value) => read(key, value, index)))].sort();
  }
  const [page = "1", more] = given.page || [];
  if (more) fail("page", "SEVERAL");
  if (!/^\d{1,9}$/.test(page)) fail("page", "NO_WHOLE_NUMBER", page, [1]);
  if (page < 1 || page > MOST_PAGES) fail("page", "OUT_OF_RANGE", page, [1, MOST_PAGES]);
  return [wanted, +page];
};
export const renderQuery = (wanted, page = 1) =>
  [
    ...KEYS.flatMap((key) => (wanted[key] || []).map((value) => `${key}=${encodeURIComponent(value)}`)),
    ...(page > 1 ? [`page=${page}`] : []),
  ].filter((pair) => pair !== "sort=published").join("&");

// Finding ----------------------------------------------------------------------------------------------

export const load = (index) => {
  const list = (value) => (value ? [].concat(value) : []);
  const { names } = index;
  index.folded = names.map(fold);
  index.found = index.rows.map((cells) => {
    const [title, key, at, kind, status, category, method, unit, buyer, money, closes, published, changed] = cells;
    const [bits = 0, years, categoryDetail = 0, methodDetail = 0, places, rest = "", page] = cells.slice(13);
    const portals = [].concat(at);
    const located = list(places).map((place) => names[place]);
    const texts = [title, names[buyer], names[unit], names[categoryDetail], names[methodDetail], ...located, key, rest];
    const [amount, currency] = [].concat(money);
    const code = (name, number) => index.codes[name][number - 1];
    const own = portals.slice(portals.length > 1 ? 2 : 0);
    return {
      title, key, unit, buyer, amount, currency, closes, published, changed, bits, page: page || key,
      kind: code("kind", kind), status: code("status", status),
      category: code("category", category), method: code("method", method),
      portal: portals[0], others: portals[1] || 0, portals: own, home: index.portals[own[0]][0],
      categoryDetail: names[categoryDetail], methodDetail: names[methodDetail],
      places: fold(located.join("\n")), years: list(years).map(String), text: spread(texts.join("\n")),
      worth: currency || amount === null ? NaN : amount,
    };
  });
  index.changed.forEach((row, rank) => (index.found[row].rank = rank));
  return index;
};
const parseWords = (q) => {
  const clauses = [];
  let [wanted, unwanted] = [[], []];
  for (const [, minus, quoted, bare] of [...q.matchAll(/(-*)"([^"]*)"?|(\S+)/g), [0, "", "", "OR"]]) {
    const words = spread(quoted || bare || "").trim();
    if (bare === "OR") {
      if (wanted.length || unwanted.length) clauses.push([wanted, unwanted]);
      [wanted, unwanted] = [[], []];
    } else if (words) (minus || bare?.startsWith("-") ? unwanted : wanted).push(` ${words.split(/\s+/).join(" ")} `);
  }
  return clauses;
};
const TESTS = {
  q: ([q]) => {
    const clauses = parseWords(q);
    const has = (row) => (words) => row.text.includes(words);
    return (row) => clauses.some(([wanted, unwanted]) => wanted.every(has(row)) && !unwanted.some(has(row)));
  },
  portal: (names, index) => (row) => row.portals.some((number) => names.map(fold).includes(index.portals[number][0])),
  buyer: (names, index) => (row) => row.buyer && names.map(fold).includes(index.folded[row.buyer]),
  procuring_entity: (names, index) => (row) => row.unit && names.map(fold).includes(index.folded[row.unit]),
  location: (places) => (row) => places.some((place) => row.places.includes(fold(place))),
  year: (years) => (row) => row.years.some((year) => years.includes(year)),
  min_value: ([least]) => (row) => row.worth >= least,
  max_value: ([most]) => (row) => row.worth <= most,
  retender: ([flag]) => (row) => !!(row.bits & 1) === (flag === "true"),
};
const bound = (key, field, end) => {
  TESTS[key] = ([text], index, now) => {
    const at = resolve(text, end, index.zone, now) / 1000;
    return (row) => row[field] && (end ? row[field] <= at : row[field] >= (field === "published" ? Math.floor(at) : at));
  };
};
bound("published_from", "published");
bound("published_to", "published", true);
bound("deadline_from", "closes");
bound("deadline_to", "closes", true);
bound("changed_since", "changed");
const ORDERS = {
  deadline: (a, b) => (a.closes || Infinity) - (b.closes || Infinity) || 0,
  value: (a, b) => (b.worth >= 0 ? b.worth : -1) - (a.worth >= 0 ? a.worth : -1),
  changed: (a, b) => a.rank - b.rank,
};
export const find = (wanted, index, now = Date.now()) => {
  const tests = Object.entries(wanted)
    .filter(([key, values]) => values.length && key !== "sort" && key !== "limit")
    .map(([key, values]) => TESTS[key]?.(values, index, now) || ((row) => values.includes(row[key])));
  const found = index.found.filter((row) => tests.every((test) => test(row)));
  return ORDERS[wanted.sort] ? found.sort(ORDERS[wanted.sort]) : found;
};
