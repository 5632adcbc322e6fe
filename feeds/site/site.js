// What only the reader's own clock can know, and small comforts. Every page works without this file.
(() => {
  "use strict";
  const id = document.documentElement.lang === "id";
  const DAY = 86400000;

  // Calendar day in the zone written at the end of an ISO time: days are counted where the portal is.
  const dayOf = (instant, iso) => {
    const zone = /([+-])(\d\d):(\d\d)$/.exec(iso);
    const offset = zone ? (zone[1] === "-" ? -1 : 1) * (zone[2] * 60 + +zone[3]) * 60000 : 0;
    return Math.floor((instant + offset) / DAY);
  };
  const word = (days) => {
    if (days === 0) return id ? "Hari ini" : "Today";
    if (days === 1) return id ? "Besok" : "Tomorrow";
    return id ? `${days} hari lagi` : `In ${days} days`;
  };

  const showChips = () => {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[data-closes]")) {
      const closes = Date.parse(time.dateTime);
      const days = dayOf(closes, time.dateTime) - dayOf(now, time.dateTime);
      if (Number.isNaN(closes) || days > 30) continue;
      const shut = closes < now;
      const [tone, icon] = shut ? ["", "shut"] : days === 0 ? ["now", "alert"] : days <= 3 ? ["soon", "half"] : ["open", "clock"];
      const chip = document.createElement("span");
      chip.className = `tag ${tone}`;
      chip.innerHTML = `<svg class="i" aria-hidden="true"><use href="#i-${icon}"/></svg>`; // nosemgrep: text-is-set-as-text // one of the four names above
      chip.append(shut ? (id ? "Ditutup" : "Closed") : word(days));
      time.before(chip);
    }
  };

  const nameDays = () => {
    for (const time of document.querySelectorAll("time[data-day]")) {
      const days = dayOf(Date.parse(time.dataset.day), time.dataset.day) - dayOf(Date.now(), time.dataset.day);
      if (days !== 0 && days !== 1) continue;
      const rel = document.createElement("span");
      rel.className = "rel";
      rel.textContent = word(days);
      time.before(rel, " ");
    }
  };

  // Which rows of a schedule are over and which are on: as with deadlines, only the reader's clock knows. A month is
  // over at its end; a schedule that was stopped goes no further.
  const endOf = (time) => {
    const month = /^(\d{4})-(\d\d)$/.exec(time.dateTime);
    return month ? Date.UTC(month[1], month[2], 1) : Date.parse(time.dateTime);
  };
  const STEPS = id ? { past: "Selesai", now: "Sedang berlangsung", next: "Berikutnya", never: "Tidak berlanjut di portal" }
    : { past: "Done", now: "Under way", next: "Next", never: "Not continued on the portal" };
  const markSteps = () => {
    for (const list of document.querySelectorAll("[data-steps]")) {
      const stopped = Date.parse(list.dataset.steps);
      const now = stopped || Date.now();
      let on = null;
      for (const row of list.children) {
        const times = [...row.querySelectorAll(".when time")];
        if (!times.length) continue;
        const past = endOf(times[times.length - 1]) < now;
        row.className = past ? "past" : stopped ? "never" : Date.parse(times[0].dateTime) > now ? "next" : "now";
        const word = document.createElement("span");
        word.className = "unseen";
        word.textContent = `${STEPS[row.className]}: `;
        row.firstElementChild.prepend(word);
        if (row.className === "now" && !on) (on = row).setAttribute("aria-current", "step");
      }
    }
  };

  // A page on a plain file host cannot know that nobody refreshes it any more; the reader's clock can.
  const warnWhenOld = () => {
    for (const line of document.querySelectorAll("[data-late]:not(.bad)")) {
      if (Date.now() < Date.parse(line.dataset.late)) continue;
      const told = document.createElement("b");
      told.textContent = id ? " Sudah lama tidak dibaca." : " Not read for a long time.";
      line.classList.add("bad");
      line.querySelector("use").setAttribute("href", "#i-alert");
      line.querySelector(".told").append(told);
      const tag = line.querySelector(".tag");
      if (!tag) continue;
      tag.className = "tag soon";
      tag.lastChild.textContent = id ? "Terlambat" : "Late";
    }
  };

  const copyAddresses = () => {
    for (const button of document.querySelectorAll("[data-copy]")) {
      const field = document.getElementById(button.dataset.copy);
      button.hidden = false;
      button.addEventListener("click", async () => {
        field.select();
        if (navigator.clipboard) await navigator.clipboard.writeText(field.value);
        else document.execCommand("copy");
        button.textContent = id ? "Tersalin" : "Copied";
      });
      field.addEventListener("focus", () => field.select());
    }
  };

  const findInTables = () => {
    for (const field of document.querySelectorAll("[data-find]")) {
      const rows = document.getElementById(field.dataset.find).rows;
      field.closest("[hidden]").hidden = false;
      field.addEventListener("input", () => {
        const words = field.value.toLowerCase().split(/\s+/);
        for (const row of rows) row.hidden = !words.every((w) => row.textContent.toLowerCase().includes(w));
      });
    }
  };

  showChips();
  document.addEventListener("rows", showChips); // a search page that filled itself
  nameDays();
  markSteps();
  warnWhenOld();
  copyAddresses();
  findInTables();
})();
