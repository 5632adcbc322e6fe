// The page for frames: length and theme as its address asks, no package that is closed by now, when the portals were
// read, and the frame's height.
(() => {
  "use strict";
  const id = document.documentElement.lang === "id";
  const asked = new URLSearchParams(location.search);
  const secret = /secret=(\w+)/.exec(location.hash)?.[1]; // WordPress names its frames so
  const section = document.querySelector("section");
  const rows = [...document.querySelectorAll("li")];
  const most = Math.max(parseInt(asked.get("items"), 10) || 8, 1);
  const highest = secret ? 1000 : Infinity; // in pixels: there WordPress cuts its frames
  const measure = () => Math.ceil(section.getBoundingClientRect().height);

  const isClosed = (row) => Date.parse(row.querySelector("time[data-until]")?.dateTime) < Date.now();
  const open = rows.filter((row) => !isClosed(row));
  const shown = (open.length ? open : rows).slice(0, most);

  const arrange = () => {
    const theme = asked.get("theme");
    if (["dark", "auto"].includes(theme)) document.documentElement.dataset.theme = theme;
    const all = document.querySelector("[data-count]");
    if (!all) return;
    const count = +all.dataset.count;
    const told = count > most ? `${count.toLocaleString(id ? "id" : "en")} ` : ""; // else all of them stand there
    all.textContent = id ? `Semua ${told}paket` : `All ${told}packages`;
  };

  const fit = () => {
    rows.forEach((row) => (row.hidden = !shown.includes(row)));
    for (const row of shown.slice(1).reverse()) row.hidden ||= measure() > highest;
  };

  // Both WordPress's own frames (message, value, secret) and the snippet of docs/embedding.md (warta) understand this.
  const send = (message, value) => parent.postMessage({ warta: message, message, value, secret }, "*");
  const sendHeight = () => send("height", measure());

  const tellReading = async () => {
    const place = document.querySelector("[data-portals]");
    const shown = place.dataset.portals.split(" ");
    const answer = await fetch(section.dataset.status);
    const read = (await answer.json()).portals.filter((each) => each.read && shown.includes(each.id));
    const [oldest] = read.sort((a, b) => Date.parse(a.read) - Date.parse(b.read)); // holds for all of them
    if (!oldest) return;
    const zone = +/[+-]\d\d(?=:?\d\d$)/.exec(oldest.read); // the portal's, in hours
    const form = { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" };
    const time = new Date(Date.parse(oldest.read) + zone * 3600000).toLocaleString(id ? "id" : "en-GB", form);
    const named = { 7: "WIB", 8: "WITA", 9: "WIT" }[zone] || `UTC${zone < 0 ? "" : "+"}${zone}`;
    place.textContent = `${id ? "Dibaca dari" : "Read from"} ${oldest.name} ${time}\u00a0${named}`;
  };

  arrange();
  fit();
  if (parent !== window) {
    addEventListener("message", ({ data }) => data?.message === "ready" && sendHeight());
    sendHeight(); // browsers may not lay out, so not observe, a frame that is hidden until it told its height
    const follow = () => (fit(), sendHeight());
    new ResizeObserver(() => setTimeout(follow)).observe(section); // not at once: what it hides is a resize again
  }
  if (secret) {
    // WordPress's frames may not lead away by themselves: its page follows the link for them.
    addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link) return;
      event.preventDefault();
      send("link", link.href);
    });
  }
  tellReading().catch((error) => console.info("status.json:", error));
})();
