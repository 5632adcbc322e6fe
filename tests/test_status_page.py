"""The page that says which portal was read when: since when one fails, what that means, and how the week went."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from html import unescape

import pytest

from aggregator.models import Sweep
from aggregator.run_log import LastRuns
from aggregator.verdicts import Run, Verdict
from feeds.definitions import shipped_feeds
from feeds.entries import run_entry
from feeds.pages.portals import RunWeek, render_status, tell_portals
from feeds.pages.site import load_site
from tests.feed_samples import CONFIG, PORTAL, PUBLISHER, READ

DAYS = [date(2026, 11, 18) + timedelta(days=number) for number in range(7)]
FAILED = Run(portal=PORTAL.id, sweep=Sweep.OPEN, started=READ, finished=READ, verdict=Verdict.FAILED)


def render(
    last: Run | None, good: Run | None = None, turns: tuple[Run, ...] = (), days: tuple[Counter[Verdict], ...] = ()
) -> str:
    """The words of the page where the only portal ended so."""
    runs = {PORTAL.id: LastRuns(last=last, good=good, full=None, tried=None)} if last else {}
    status = next(feed for feed in shipped_feeds(CONFIG, ()) if feed.kind == "status")
    week = RunWeek(DAYS, {PORTAL.id: days} if days else {})
    entries = [run_entry(run, PORTAL, PUBLISHER) for run in turns]
    page = render_status(load_site(CONFIG, sample=False), tell_portals(CONFIG, runs), entries, status, week).decode()
    body = page.partition("<main")[2].partition("</main")[0]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_a_failure_is_told_since_it_began() -> None:
    began = replace(FAILED, started=READ - timedelta(hours=3), finished=READ - timedelta(hours=3))
    good = replace(FAILED, finished=READ - timedelta(hours=4), verdict=Verdict.OK)
    page = render(FAILED, good, turns=(began,))
    assert "1 dari 1 portal bermasalah. Terakhir dibaca: LPSE Kota Malang, 24 Nov 2026, 05.40 WIB" in page
    assert "sejak 24 Nov 2026, 06.40 WIB" in page
    assert "Dicoba lagi sekitar 24 Nov 2026, 09.55 WIB" in page
    assert "tampil seperti saat terakhir dibaca" in page


def test_what_was_never_read_is_not_here_yet() -> None:
    assert "belum ada di sini; akan muncul setelah pembacaan pertama" in render(None)
    assert "belum ada di sini; akan muncul setelah pembacaan pertama" in render(FAILED)


def test_a_portal_that_is_fine_needs_no_explanation() -> None:
    good = replace(FAILED, verdict=Verdict.OK, seen=1200)
    page = render(good, good)
    assert "LPSE Kota Malang: lancar." in page
    assert "1.200 paket dicocokkan" in page
    assert "sejak" not in page


@pytest.mark.parametrize(
    ("family", "told"), [("syndication", "13 berita dicocokkan"), ("sirup", "13 rencana dicocokkan")]
)
def test_what_was_compared_is_called_by_its_name(family: str, told: str) -> None:
    good = replace(FAILED, verdict=Verdict.OK, seen=13)
    portal = PORTAL.model_copy(update={"family": family})
    config = CONFIG.model_copy(update={"portal": [portal]})
    states = tell_portals(config, {portal.id: LastRuns(last=good, good=good, full=None, tried=None)})
    status = next(feed for feed in shipped_feeds(config, ()) if feed.kind == "status")
    assert told in render_status(load_site(config, sample=False), states, [], status, RunWeek(DAYS, {})).decode()


@pytest.mark.parametrize(
    ("day", "told"),
    [
        (Counter[Verdict](), "tidak dibaca"),
        (Counter({Verdict.OK: 96}), "lancar, 96"),
        (Counter({Verdict.OK: 95, Verdict.BLOCKED: 1}), "sebagian, 96"),
        (Counter({Verdict.PARTIAL: 4}), "sebagian, 4"),
        (Counter({Verdict.FAILED: 3, Verdict.BLOCKED: 1}), "gagal, 4"),
    ],
)
def test_each_day_of_the_week_is_told_in_words(day: Counter[Verdict], told: str) -> None:
    strip = render(FAILED, days=(*[Counter({Verdict.OK: 7})] * 6, day)).partition("Tujuh hari terakhir")[2]
    assert strip.index("24 Nov") < strip.index("18 Nov")  # today is seen first, on a phone too
    assert strip.partition("LPSE Kota Malang ")[2].startswith(f"{told} lancar, 7 ")
