"""Prozorro: pages beside the values they mean, and crawls of the stand-in over real HTTP.

`python -m tests.test_prozorro` writes the values of pages that have none yet, to be read before they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator.config import ConfigError
from aggregator.models import Category, Event, Kind, Method, Status, Sweep
from aggregator.verdicts import Run, Verdict
from demo.prozorro import Prozorro
from spiders.options import parse_options
from spiders.prozorro import ROWS, Change, FeedCheck, Options, parse_feed, parse_tender, unknown_words
from spiders.reading import ShapeError
from tests.pages import find_pages, read_value, write_values
from tests.road import NOW, SourceRoad, make_config

SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "prozorro"
PAGES = find_pages("prozorro")


def read_page(path: Path) -> dict[str, Any]:
    tender = parse_tender(path.read_bytes(), "prozorro", path.stem.removeprefix("tender-"))
    return {"tender": tender.as_dict(), "unknown": list(unknown_words(tender))}


# Pages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_each_page_means_its_value(path: Path) -> None:
    assert read_page(path) == read_value(path)


def test_people_are_not_kept() -> None:
    for path in PAGES:
        assert not any(word in json.dumps(read_page(path), ensure_ascii=False) for word in ("особа", "+380", "@"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"items": []}',
        b'{"data": {}}',
        b'{"data": [{"id": "a", "dateModified": "2026-01-10T12:52:00+02:00"}]}',
        b'{"data": [{"id": "a", "dateModified": "2026-01-10T12:52:00"}], "next_page": {"offset": "1"}}',
        b'{"data": [{"id": "../x", "dateModified": "2026-01-10T12:52:00Z"}], "next_page": {"offset": "1"}}',
        b'{"data": ["a"], "next_page": {"offset": "1"}}',
    ],
)
def test_another_shape_is_no_empty_feed(body: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_feed(body)


def test_an_empty_feed_is_an_answer() -> None:
    assert parse_feed(b'{"data": [], "prev_page": {"offset": "1"}}').changes == ()


def test_recorded_answers_are_read() -> None:
    if not SAMPLES.is_dir():
        pytest.skip("the recorded answers are not at hand")
    feed = parse_feed((SAMPLES / "feed_page.json").read_bytes())
    assert [change.key[:4] for change in feed.changes] == ["82ca", "8e57"]
    assert feed.offset == "1767969651.246.1.4325efbb2409185921e764a90ea1cb93"
    assert not any(change.unknown for change in feed.changes)
    transcript = (SAMPLES / "blank-tender-view.http").read_bytes()
    tender = parse_tender(transcript[transcript.index(b"{") :], "prozorro", "fa2e9cbf88314cb6ae4f240dacbb041f")
    assert (tender.title, tender.category, tender.method, tender.status) == (
        "футляри до державних нагород",
        Category.GOODS,
        Method.OPEN,
        Status.PLANNED,
    )
    assert tender.value is not None
    assert tender.value.as_dict() == {"amount": "500.00", "currency": "UAH"}
    assert tender.deadline == datetime(2027, 1, 14, 22, 0, tzinfo=UTC)
    assert tender.url == "https://prozorro.gov.ua/tender/UA-2027-01-01-000001-a"


# Crawls ---------------------------------------------------------------------------------------------------


TABLE = '[[portal]]\nid = "prozorro"\nfamily = "prozorro"\nname = "Prozorro"\nurl = "{url}"\n'


@dataclass
class Road(SourceRoad[Prozorro]):
    def crawl(self, sweep: Sweep = Sweep.OPEN, minutes: float = 60, **order: Any) -> Run:
        self.source.now = self.now + timedelta(minutes=minutes)
        return super().crawl(sweep, minutes, **order)


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    with Road.open(Prozorro(NOW, ROWS + 20), TABLE, tmp_path) as road:
        yield road


def test_a_first_crawl_reads_the_whole_feed(road: Road) -> None:
    run = road.crawl()
    assert (run.verdict, run.reasons, run.new) == (Verdict.OK, (), ROWS + 20)
    assert road.records().keys() == road.source.tenders.keys()
    assert (road.asked("feed"), road.asked("tender")) == (3, ROWS + 20)


def test_a_second_crawl_asks_for_the_newest_changes_only(road: Road) -> None:
    road.crawl()
    run = road.crawl()
    assert (run.verdict, run.new, run.changed) == (Verdict.OK, 0, 0)
    assert (road.asked("feed"), road.asked("tender")) == (1, 0)


def test_what_changed_is_read_and_told_once(road: Road) -> None:
    road.crawl()
    told = len(road.events())
    key = next(key for key, tender in road.source.tenders.items() if tender["status"] == "active.tendering")
    road.source.change(key, status="cancelled", cancellations=[{"status": "active", "reason": "Немає потреби"}])
    added = road.source.add()
    run = road.crawl()
    assert (run.verdict, run.new, run.changed, road.asked("tender")) == (Verdict.OK, 1, 1, 2)
    assert sorted(road.events()[told:]) == sorted([(key, (Event.CANCELLED,)), (added, (Event.NEW,))])
    assert road.records()[key].tender.cancellation_reason == "Немає потреби"
    assert road.crawl().changed == 0


def test_a_change_committed_late_is_not_lost(road: Road) -> None:
    road.crawl()
    newest = max(datetime.fromisoformat(t["dateModified"]) for t in road.source.tenders.values())
    late = road.source.add(newest - timedelta(seconds=1))
    assert road.crawl().new == 1
    assert late in road.records()


def test_a_feed_out_of_order_moves_no_cursor(road: Road) -> None:
    road.crawl()
    road.source.change(list(road.source.tenders)[3], title="Змінена назва")
    road.source.add()
    before = road.records()
    road.server.faults.add("shuffled", "descending")
    run = road.crawl()
    assert run.verdict is Verdict.FAILED
    assert {reason.partition(":")[0] for reason in run.reasons} >= {"unsorted", "listing"}
    assert road.records().keys() == before.keys()
    assert road.asked("tender") == 0
    road.server.faults.clear()
    run = road.crawl()
    assert (run.verdict, run.new, run.changed) == (Verdict.OK, 1, 1)


def test_the_feeds_own_clock_may_differ_by_a_moment() -> None:
    """The feed is ordered by when a change was published, a moment after its dateModified."""
    check = FeedCheck()
    times = (NOW, NOW - timedelta(minutes=1), NOW - timedelta(seconds=59.2), NOW - timedelta(seconds=59.1))
    changes = [Change(f"{n:032x}", time) for n, time in enumerate(times)]
    assert list(check.accept(changes)) == changes
    assert not check.problems
    assert list(check.accept([Change("f", NOW - timedelta(seconds=58))]))
    assert [problem.code for problem in check.problems] == ["unsorted"]


def test_a_run_that_breaks_off_leaves_no_gap(road: Road) -> None:
    road.server.faults.add("challenge", "tenders/", skip=5)
    assert road.crawl().verdict is Verdict.BLOCKED
    assert len(road.records()) == 5
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    assert road.records().keys() == road.source.tenders.keys()


def test_days_bound_the_first_crawl_and_each_full_one(road: Road) -> None:
    road.configure("[portal.options]\ndays = 1\n")
    assert road.crawl().new == 23  # an hour has passed since the newest
    run = road.crawl(Sweep.FULL)
    assert (run.verdict, run.new, run.changed, road.asked("tender")) == (Verdict.OK, 0, 0, 0)


def test_a_limit_takes_the_newest(road: Road) -> None:
    assert road.crawl(limit=7).new == 7
    assert (road.asked("feed"), road.asked("tender")) == (1, 7)


def test_there_are_no_other_kinds(road: Road) -> None:
    with pytest.raises(ConfigError, match="prozorro has no notice"):
        road.crawl(kinds=(Kind.NOTICE,))


# Bad days -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["error", "other", "untitled", "truncated", "html"])
def test_a_tender_that_cannot_be_read_is_asked_for_again(road: Road, fault: str) -> None:
    key = list(road.source.tenders)[50]
    road.server.faults.add(fault, f"tenders/{key}")
    run = road.crawl()
    assert run.verdict is Verdict.PARTIAL
    assert run.reasons[0].startswith(("missing_page:", "shape:"))
    assert road.records()[key].tender.incomplete
    told = road.events()
    road.server.faults.clear()
    assert road.crawl(minutes=120).verdict is Verdict.OK
    assert (road.asked("feed"), road.asked("tender")) == (1, 1)
    tender = road.records()[key].tender
    assert (tender.title, tender.incomplete) == (road.source.tenders[key]["title"], False)
    assert tender.url.startswith("https://prozorro.gov.ua/tender/UA-")
    assert road.events() == told  # what is first learnt is no news


def test_a_known_tender_that_cannot_be_read_stays_as_it_was(road: Road) -> None:
    road.crawl()
    key = list(road.source.tenders)[50]
    before = road.records()[key].tender
    road.source.change(key, title="Нова назва")
    road.server.faults.add("untitled", f"tenders/{key}")
    run = road.crawl()
    assert (run.verdict, run.errors) == (Verdict.PARTIAL, 1)  # one broken page of a small run is no broken portal
    after = road.records()[key].tender
    assert (after.title, after.url, after.incomplete) == (before.title, before.url, True)


@pytest.mark.parametrize(
    ("fault", "match", "verdict", "reason"),
    [
        ("ascending", "descending", Verdict.PARTIAL, "unsorted"),
        ("stuck", "offset", Verdict.FAILED, "listing"),
        ("repeats", "descending", Verdict.FAILED, "listing"),
        ("no_offset", "descending", Verdict.FAILED, "listing"),
        ("drifted", "descending", Verdict.FAILED, "listing"),
        ("odd_row", "offset", Verdict.FAILED, "listing"),
        ("html", "offset", Verdict.FAILED, "listing"),
        ("error", "offset", Verdict.FAILED, "listing"),
        ("new_column", "descending", Verdict.OK, "unknown_label"),
        ("too_many", "tenders/", Verdict.FAILED, "rate_limited"),
        ("challenge", "", Verdict.BLOCKED, "blocked"),
    ],
)
def test_a_broken_contract_is_told_and_loses_nothing(
    road: Road, fault: str, match: str, verdict: Verdict, reason: str
) -> None:
    road.server.faults.add(fault, match, seconds=3600)
    road.assert_told(verdict, f"{reason}:")
    assert road.asked("feed") <= 4
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    assert road.records().keys() == road.source.tenders.keys()


def test_options_that_cannot_be_are_named(tmp_path: Path) -> None:
    (portal,) = make_config(f"{TABLE}[portal.options]\ndays = 0\n", "https://api.example.org", tmp_path).portal
    with pytest.raises(ConfigError, match=r"portal prozorro: options\.days"):
        parse_options(Options, portal)


if __name__ == "__main__":
    write_values(PAGES, read_page)
