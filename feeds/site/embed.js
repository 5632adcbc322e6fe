// A live list of packages where its tag stands: docs/embedding.md. At most 6 kB.
(() => {
  "use strict";
  const tag = document.currentScript, { feed, items, theme, title, lang, font } = tag.dataset;
  const base = new URL(".", tag.src).href, page = `${base}feeds/${feed}.html`, json = `${base}feeds/${feed}.json`;
  const most = Math.max(items | 0 || 8, 1), name = "Warta Pengadaan";
  let id = lang !== "en";
  const say = (local, english) => (id ? local : english);
  const add = (parent, kind, props, ...inside) => {
    const made = Object.assign(document.createElement(kind), props);
    made.append(...inside);
    return parent.appendChild(made);
  };
  const link = (parent, href, text) => add(parent, "a", { href: /^https?:/.test(href) ? href : page }, text);

  const host = document.createElement("warta-list"), root = host.attachShadow({ mode: "open" });
  Object.assign(host.dataset, { theme: theme || "light", font: font || "" });
  add(root, "link", { rel: "stylesheet", href: base + "embed.css" });
  const box = add(root, "section", { ariaLabel: title || name });
  const show = (state) => {
    host.dataset.state = state;
    box.replaceChildren();
    if (title) add(box, "p", { className: "h" }, title);
  };

  // In the zone that ends the portal's times.
  const read = (iso, like) => {
    const at = Date.parse(iso), zone = +/[+-]\d\d(?=:?\d\d$)/.exec(like || iso);
    const local = (time) => new Date(time + zone * 36e5), day = (time) => Math.floor(local(time) / 864e5);
    return { iso, at, zone, local: local(at), days: day(at) - day(Date.now()) };
  };
  const tell = ({ local, zone }) => {
    const form = { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" };
    const named = { 7: "WIB", 8: "WITA", 9: "WIT" }[zone] || `UTC${zone < 0 ? "" : "+"}${zone}`;
    return local.toLocaleString(say("id", "en-GB"), form) + "\xa0" + named;
  };
  const addChip = (parent, { at, days }) => {
    const [tone, text] = at < Date.now() ? ["shut", say("Ditutup", "Closed")]
      : days < 1 ? ["now", say("Hari ini", "Today")]
      : [days < 4 ? "soon" : "open", days < 2 ? say("Besok", "Tomorrow") : say(`${days} hari lagi`, `In ${days} days`)];
    if (days < 31) add(parent, "span", { className: `tag ${tone}` }, text);
  };
  const addRow = (list, { title, url, about, time }) => {
    const { portal, kind, key, status } = about, row = add(list, "li");
    const kept = key && /^[A-Za-z0-9][\w.~-]{0,79}$/.test(key) && kind !== "news";
    link(row, kept ? `${base}tenders/${portal}/${kind}/${key}.html` : url, title);
    add(row, "span", { className: "m" }, about.about);
    if (!time.iso) return;
    const when = add(row, "span", { className: "d", lang: box.lang });
    if (time.closes && status === "active") addChip(when, time);
    add(when, "time", { dateTime: time.iso }, tell(time));
  };

  // Closing soonest, no day yet, closed; news as it is.
  const shut = ({ time: { at, closes } }) => closes && at < Date.now();
  const rank = (row) => (!row.time.closes ? 1e15 : shut(row) ? 2e15 - row.time.at : row.time.at);
  const find = (item, portals) => {
    const about = item._warta, portal = portals.find((each) => each.id === about.portal) || {};
    const news = about.changes || !about.kind, closes = !news && (about.deadline || about.registration_deadline);
    return { ...item, about, portal, time: { closes, ...read(news ? item.date_published : closes, portal.read) } };
  };
  const fill = ([data, { portals, feeds, sample }]) => {
    id = (lang || data.language) !== "en";
    const rows = data.items.map((item) => find(item, portals)).sort((a, b) => rank(a) - rank(b));
    const open = rows.filter((row) => !shut(row)), shown = (open[0] ? open : rows).slice(0, most);
    show("ready");
    Object.assign(box, { ariaLabel: title || data.title, lang: say("id", "en") });
    if (sample) add(box, "p", { className: "m" }, say("Data contoh: semua karangan.", "Sample data: all made up."));
    if (shown[0]) shown.forEach(addRow.bind(0, add(box, "ol", { lang: data.language })));
    else add(box, "p", {}, say("Belum ada isi.", "Nothing now."));
    // the oldest reading holds for all
    const [from] = shown.map((row) => row.portal).filter((each) => each.read)
      .sort((a, b) => Date.parse(a.read) - Date.parse(b.read));
    const foot = add(box, "p", { className: "f" });
    add(foot, "span", {}, from ? `${say("Dibaca dari", "Read from")} ${from.name} ${tell(read(from.read))}` : name);
    const ways = add(foot, "span"), { packages, list } = feeds.find((each) => each.id === feed) || {};
    const all = packages > most ? `${packages} ` : ""; // else all of them stand above
    link(ways, list, packages ? say(`Semua ${all}paket`, `All ${all}packages`) : say("Semua", "All"));
    ways.append(" · ");
    link(ways, page, say("Langganan", "Subscribe"));
  };

  const fail = () => {
    show("failed");
    link(add(box, "p", {}, say("Daftar sedang tidak dapat dimuat: ", "The list cannot be loaded now: ")), page, name);
  };
  const frame = () => { // a host without CORS headers lends its page
    show("framed");
    const made = add(box, "iframe", { title: name });
    made.src = `${base}embed/${feed}.html?items=${most}&theme=${host.dataset.theme}`;
    addEventListener("message", ({ source, data }) => {
      if (source === made.contentWindow && data.warta) made.style.height = `${data.value}px`;
    });
  };
  const ask = (url) => fetch(url).then((answer) => (answer.ok ? answer.json() : Promise.reject()));
  const load = () => {
    const status = ask(base + "status.json").catch(() => ({ portals: [], feeds: [] }));
    Promise.all([ask(json), status]).then(fill)
      .catch(async () => ((await status).feeds[0] ? fail() : fetch(json, { mode: "no-cors" }).then(frame, fail)));
  };

  show("waiting");
  link(add(box, "p"), page, name);
  const before = tag.previousElementSibling; // for no script
  if (before?.href === page) before.remove();
  tag.after(host);
  new IntersectionObserver((seen, watcher) => {
    if (seen.some((each) => each.isIntersecting)) watcher.disconnect(load());
  }, { rootMargin: "400px" }).observe(host);
})();
