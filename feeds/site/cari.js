// The search page of a plain file host: fills itself from cari.json, in the words and the markup of the server's page.
import { find, fold, load, parseQuery, renderQuery } from "./cari-find.js";
import { BIDDABLE, OPEN, count, id, makeFacets, packages, say, tellMoney, tellParts, tellSearch, tellTime, withStatus, words } from "./cari-narrow.js";

const WORTHLESS = ["notice", "news"], TOLD_ONCE = ["plan", ...WORTHLESS];
const ROWS = words.rows, MOST_PAGES = 100, MOST_FEEDS = 5, MOST_WAYS = 2;
const at = (selector) => document.querySelector(selector);
const board = at("[data-words]");
const { root, top } = board.dataset;

// Markup -----------------------------------------------------------------------------------------------

const make = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== false) node.setAttribute(name, value);
  node.append(...children.flat().filter((child) => child));
  return node;
};
const icon = (name) => {
  const svg = at("svg.i").cloneNode(true);
  svg.firstElementChild.setAttribute("href", `#i-${name}`);
  return svg;
};
const link = (wanted, attributes, ...children) =>
  make("a", { href: `${root}cari.html?${renderQuery(wanted)}`, rel: "nofollow", ...attributes }, ...children);
const unseen = (text) => make("span", { class: "unseen" }, text);
const choice = ({ label, to, number, chosen }) =>
  make("li", {}, link(to, { "aria-current": chosen && "true" },
    make("span", {}, label, chosen && unseen(id ? " (aktif, pilih untuk menghapus)" : " (active, choose to remove)")),
    make("span", { class: "digits" }, count(number), unseen(id ? " paket" : " packages"))));
const tag = (tone, shape, text) => make("span", { class: `tag ${tone}`.trim() }, icon(shape), text);

const makeRow = (row, index) => {
  const [, name, zone] = index.portals[row.portal];
  const source = row.others
    ? say(row.others > 1 ? "and_sources" : "and_source", { portal: name, count: row.others })
    : index.portals.length > 1 && name;
  const category = id ? row.categoryDetail || words.names[row.category] : words.names[row.category] || row.categoryDetail;
  const how = [!OPEN.kind.includes(row.kind) && words.names[row.kind], category,
    row.methodDetail || words.names[row.method], source].filter(Boolean).join(" · ");
  const closes = row.closes && tellTime(row.closes * 1000, zone, true);
  const isOpen = !row.status || row.status === "active";
  const isBidding = isOpen && OPEN.kind.includes(row.kind);
  const chip = !TOLD_ONCE.includes(row.kind) && !isBidding && words.chips[row.status];
  const unit = index.names[row.unit || row.buyer];
  const worth = row.amount !== null ? tellMoney(row.amount, row.currency) : WORTHLESS.includes(row.kind) ? "" : say("none");
  const page = `${root}tenders/${row.home}/${row.kind}/${row.page}.html`;
  return make("li", { class: "row" },
    make("div", { class: "what" },
      make("h3", {}, make("a", { href: page }, row.title)),
      unit && make("p", { class: "who" }, unit),
      how && make("p", { class: "how" }, how)),
    make("div", { class: "when digits" },
      chip && tag(chip[2], chip[1], chip[0]),
      closes && make("time", { datetime: closes.iso, "data-closes": isOpen && "" }, closes.text),
      closes && row.bits & 2 && make("span", { class: "plain" }, id ? "akhir pendaftaran" : "registration closes"),
      !closes && !(row.bits & 8) && make("span", { class: "plain" },
        say("announced_on", { date: tellTime(row.published * 1000, zone).text })),
      row.bits & 1 && tag("", "again", words.labels.retender)),
    worth && make("p", { class: "worth digits" },
      `${say(row.bits & 4 && row.amount !== null ? "short_budget" : "short_value")} `, make("b", {}, worth)));
};


const makeFacet = ([key, label, sort, choices, shown]) =>
  make("section", { class: `facet ${sort}`, "data-facet": key },
    make("h2", {}, label),
    make("ul", {}, choices.slice(0, shown).map(choice)),
    choices.length > shown && make("details", {},
      make("summary", {}, `${count(choices.length - shown)} ${id ? "lainnya" : "more"}`),
      make("ul", {}, choices.slice(shown).map(choice))));

// The page ---------------------------------------------------------------------------------------------

const fillFeeds = (wanted, spell, index) => {
  const near = [
    ...(wanted.procuring_entity || []).map((unit) => [index.feeds.procuring_entity[fold(unit)], spell(unit)]),
    ...(wanted.category || []).map((code) => [index.feeds.category[code], words.names[code]]),
    ...(wanted.method || []).map((code) => [index.feeds.method[code], say("method_name", { name: words.names[code] })]),
  ].filter(([feed]) => feed);
  if (wanted.key?.length) near.unshift(["perubahan", say("perubahan")]);
  if (!near.length) near.push(["semua", say("semua")]);
  at(".nearest ul").append(...near.slice(0, MOST_FEEDS).map(([feed, label]) => {
    const format = (ending, name) => make("a", { class: "btn", href: `${top}feeds/${feed}.${ending}` }, name);
    const name = make("a", { href: `${root}feeds/${feed}.html` }, label);
    return make("li", {}, name, " ", format("rss", "RSS"), " ", format("ics", id ? "Kalender" : "Calendar"));
  }));
};
const fillEmpty = (wanted, index) => {
  const [q = ""] = wanted.q || [];
  const [word] = q.split(" ");
  const ways = [
    ["complete", withStatus(wanted, "complete")], ["open", { ...BIDDABLE, q: [q] }], ["any", { q: [q] }],
    ["word", { ...BIDDABLE, q: [word] }], ["all", BIDDABLE],
  ].map(([phrase, way]) => {
    const to = { ...way, q: (way.q || []).filter(Boolean) };
    return [say(`way_${phrase}`, { word }), to, find(to, index).length];
  }).filter(([, to, number]) => number && renderQuery(to) !== renderQuery(wanted));
  at(".main .empty ul").append(...ways.slice(0, MOST_WAYS).map(([label, to, number]) =>
    make("li", {}, link({ ...to, sort: wanted.sort }, {}, label), ` (${packages(number)})`)));
  at(".main .empty").hidden = false;
};
const fillPages = (wanted, page, total, shown) => {
  const first = (page - 1) * ROWS;
  const more = first + shown < total;
  const step = (to, rel, label) =>
    make("a", { class: "btn", rel: `${rel} nofollow`, href: `${root}cari.html?${renderQuery(wanted, to)}` }, label);
  const told = page === 1 && !more ? packages(total) : `${count(first + 1)}–${count(first + shown)} ${id ? "dari" : "of"} ${count(total)} ${id ? "paket" : "packages"}`;
  const rest = id ? ". Persempit pencarian untuk melihat sisanya." : ". Narrow the search to see the rest.";
  at(".main .pages").append(
    make("span", {}, told, more && page === MOST_PAGES && rest),
    make("span", {},
      page > 1 && step(page - 1, "prev", id ? "Sebelumnya" : "Previous"),
      more && page < MOST_PAGES && step(page + 1, "next", id ? "Berikutnya" : "Next")));
};
const fillBand = (wanted, told, total, index) => {
  const part = index.rows.length < index.total && say("searched", { count: packages(index.rows.length) });
  at("[data-total]").replaceChildren(make("b", {}, packages(total)), ` · ${told}`, part ? ` · ${part}` : "");
  document.title = document.title.replace(/^.*?(?= – )/, () => told);
  at("#q").value = wanted.q || "";
  const form = at("form.search");
  form.querySelectorAll("[type=hidden]").forEach((field) => field.remove());
  for (const [name, value] of new URLSearchParams(renderQuery({ ...wanted, q: [], limit: [] }))) {
    form.append(make("input", { type: "hidden", name, value }));
  }
};
const fillPills = (wanted, pills, total) => {
  if (!pills.length) return at(".pills").remove();
  at(".facets").open = true;
  at(".see").hidden = false;
  at(".see").append(`${id ? "Lihat" : "See"} ${packages(total)}`);
  at(".facets summary span").append(` (${pills.length}`, unseen(id ? " aktif" : " active"), ")");
  const cross = () => make("span", { "aria-hidden": "true" }, "×");
  at(".pills").append(
    ...pills.map(({ label, to }) => make("li", {},
      link(to, { class: "pill" }, unseen(id ? "Hapus saringan " : "Remove filter "), label, " ", cross()))),
    make("li", {}, link({ ...BIDDABLE, q: wanted.q, sort: wanted.sort }, { class: "clear" }, id ? "Hapus semua" : "Clear all")));
};
const fillSorts = (wanted) => {
  const [chosen = "published"] = wanted.sort || [];
  at(".sorts").append(...[...new Set(["deadline", "published", "value", chosen])].flatMap((sort) =>
    [" ", link({ ...wanted, sort: [sort] }, { "aria-current": sort === chosen && "true" }, say(`sort_${sort}`))]));
};
const fill = (wanted, asked, index) => {
  const spelt = new Map();
  for (const number of index.found.flatMap(({ unit, buyer }) => [unit, buyer]).reverse()) {
    spelt.set(index.folded[number], index.names[number]); // as the newest package spells it
  }
  const spell = (name) => spelt.get(fold(name)) || name;
  const found = find(wanted, index).slice(0, wanted.limit?.[0]);
  const page = Math.min(asked, Math.max(1, Math.ceil(found.length / ROWS)));
  const first = (page - 1) * ROWS;
  const rows = found.slice(first, first + ROWS);
  const parts = tellParts(wanted, spell, index);
  fillBand(wanted, tellSearch(wanted, parts), found.length, index);
  fillPills(wanted, parts.filter(({ to }) => `${to.q || ""}` === `${wanted.q || ""}`), found.length);
  at(".facets .body").append(...makeFacets(wanted, spell, index).map(makeFacet));
  fillFeeds(wanted, spell, index);
  if (rows.length) {
    at(".main .empty").remove();
    fillSorts(wanted);
    at(".main .rows").start = first + 1;
    at(".main .rows").append(...rows.map((row) => makeRow(row, index)));
    fillPages(wanted, page, found.length, rows.length);
  } else {
    for (const selector of [".sorts", ".rows", ".pages"]) at(`.main ${selector}`).remove();
    fillEmpty(wanted, index);
  }
  board.hidden = false;
  at("[data-without]").hidden = true;
  document.dispatchEvent(new Event("rows"));
};
const tellFault = ({ key, fault, value, right }) => {
  const what = say(fault, { value: `“${value}”`, right: right.join(", "), least: right[0], most: right[1] });
  const phrase = ["UNKNOWN_CODE", "NO_FLAG"].includes(fault) ? "choices" : fault.startsWith("NO_") && "example";
  const hint = phrase ? say(phrase, { right: right.join(", ") }) : "";
  at("[data-trouble] p").textContent = say("bad_value", { key, what, hint }).trim();
  at("[data-trouble]").hidden = false;
  at("[data-without] p").hidden = true;
};
try {
  const answer = await fetch(`${top}cari.json`);
  const index = load(await answer.json());
  const [wanted, page] = parseQuery(location.search.slice(1), index);
  fill(wanted, page, index);
} catch (trouble) {
  if (!trouble.fault) throw trouble; // the lists to open stay in sight
  tellFault(trouble);
}
