"""TED's notices: pages beside the values they mean, and crawls of the stand-in over real HTTP.

`python -m tests.test_ted` writes the values of pages that have none yet, to be read before they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aggregator.config import ConfigError
from aggregator.database import open_database
from aggregator.models import Event, Kind, Status, Sweep
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from demo.ted import Ted
from spiders.options import parse_options
from spiders.reading import ShapeError
from spiders.replay import replay
from spiders.ted import spider as ted_spider
from spiders.ted.notices import FIELDS, find_status, make_tender, parse_page
from spiders.ted.spider import ROWS, Options, write_query
from tests.pages import find_pages, read_value, tell_odd, write_values
from tests.road import NOW, SourceRoad, make_config

BRUSSELS = ZoneInfo("Europe/Brussels")
FIXTURES = Path(__file__).parent / "fixtures" / "ted"
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "ted"
QUERY = "classification-cpv IN (33140000 45233142 90910000)"


def read_page(path: Path, language: str = "eng") -> dict[str, Any]:
    page = parse_page(path.read_bytes(), language, BRUSSELS)
    return {
        "total": page.total,
        "token": page.token,
        "size": page.size,
        "tenders": [make_tender("ted", notice, language, NOW).as_dict() for notice in page.notices],
        **tell_odd(page.notices, page.broken),
    }


# Pages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", find_pages("ted"), ids=lambda path: path.stem)
def test_each_page_means_its_value(path: Path) -> None:
    assert read_page(path) == read_value(path)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Back soon</html>",
        b"[]",
        b'{"totalNoticeCount": 3}',
        b'{"notices": {}, "totalNoticeCount": 0}',
        b'{"notices": [], "totalNoticeCount": "3"}',
        b'{"notices": [], "totalNoticeCount": -1}',
        b'{"notices": [], "totalNoticeCount": 0, "iterationNextToken": 7}',
        b'{"notices": [], "totalNoticeCount": 0, "timedOut": true}',
        b'{"notices": [], "totalNoticeCount": 0, "timedOut": "no"}',
    ],
)
def test_another_shape_is_no_empty_page(body: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_page(body, "eng", BRUSSELS)


@pytest.mark.parametrize(
    ("language", "titles"),
    [
        ("eng", ["France – Supplies – Water pumps", "Italia – Lavori stradali"]),
        ("deu", ["Frankreich – Pumpen", "Italia – Lavori stradali"]),
        ("fin", ["France – Supplies – Water pumps", "Italia – Lavori stradali"]),
    ],
)
def test_a_value_is_read_in_the_language_asked_for_else_in_english_else_as_it_is(
    language: str, titles: list[str]
) -> None:
    page = parse_page((FIXTURES / "page.json").read_bytes(), language, BRUSSELS)
    assert [notice.title for notice in page.notices[:2]] == titles


def test_links_are_not_compared_and_the_language_is() -> None:
    answer = json.loads((FIXTURES / "page.json").read_text(encoding="utf-8"))
    before = parse_page(json.dumps(answer).encode(), "eng", BRUSSELS).notices[0]
    answer["notices"][0]["links"] = {}
    same = parse_page(json.dumps(answer).encode(), "eng", BRUSSELS).notices[0]
    assert same.fingerprint == before.fingerprint
    assert parse_page(json.dumps(answer).encode(), "deu", BRUSSELS).notices[0].fingerprint != before.fingerprint
    answer["notices"][0]["procedure-type"] = "restricted"
    assert parse_page(json.dumps(answer).encode(), "eng", BRUSSELS).notices[0].fingerprint != before.fingerprint


def test_a_call_is_active_until_the_last_of_its_lots_closes() -> None:
    call = parse_page((FIXTURES / "page.json").read_bytes(), "eng", BRUSSELS).notices[0]
    assert call.deadlines == (
        datetime(2026, 12, 17, 15, 30, tzinfo=UTC),
        datetime(2026, 12, 18, 11, 0, tzinfo=UTC),
    )
    assert find_status(call, datetime(2026, 12, 18, 11, 0, tzinfo=UTC)) is Status.ACTIVE
    assert find_status(call, datetime(2026, 12, 18, 11, 1, tzinfo=UTC)) is Status.COMPLETE
    assert find_status(replace(call, deadlines=()), NOW) is None


def test_a_recorded_answer_is_read() -> None:
    path = SAMPLES / "ted_search_response.json"
    if not path.is_file():
        pytest.skip("the recorded answer is not at hand")
    page = parse_page(path.read_bytes(), "ita", BRUSSELS)
    assert (page.total, page.token, page.size, page.broken) == (1, None, 1, ())
    (notice,) = page.notices
    tender = make_tender("ted", notice, "ita", NOW)
    assert (tender.key, tender.buyer, tender.locations) == ("383667-2026", "Consip S.p.A.", ("ITA",))
    assert tender.title.startswith("Italia – Server – Accordo Quadro")
    assert tender.url == "https://ted.europa.eu/it/notice/-/detail/383667-2026"
    assert tender.published == datetime(2026, 6, 4, tzinfo=timezone(timedelta(hours=2)))
    assert tender.value is not None
    assert tender.value.as_dict() == {"amount": "48000000.00", "currency": "EUR"}
    assert notice.unknown == ("column buyer-city",)  # it was asked for there, and is not here


# Crawls ---------------------------------------------------------------------------------------------------


TABLE = '[[portal]]\nid = "ted"\nfamily = "ted"\nname = "TED"\nurl = "{url}/v3"\ntimezone = "Europe/Brussels"\n'
OPTIONS = "[portal.options]\n"
ASKED = f'{TABLE}{OPTIONS}query = "{QUERY}"\n'
WHOLE = 'scope = "ALL"\n'
ITERATION = 'pagination = "ITERATION"\n'
FRANCE = 'countries = ["FRA"]\n'


@dataclass
class Road(SourceRoad[Ted]):
    def crawl(self, sweep: Sweep = Sweep.FULL, minutes: float = 60, **order: Any) -> Run:
        self.source.now = self.now + timedelta(minutes=minutes)
        self.source.asked.clear()
        return super().crawl(sweep, minutes, **order)

    def keys(self, country: str = "") -> set[str]:
        return {key for key, notice in self.source.notices.items() if country in ("", *notice["buyer-country"])}

    def open_call(self) -> str:
        return next(key for key, tender in self.tenders().items() if tender.status is Status.ACTIVE)

    @property
    def searches(self) -> int:
        return self.asked("search")


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    with Road.open(Ted(NOW, 90), ASKED, tmp_path) as road:
        road.configure(WHOLE)
        yield road


@pytest.mark.parametrize("options", [WHOLE, WHOLE + ITERATION])
def test_a_first_crawl_reads_every_notice_and_stops_when_the_total_has_come(road: Road, options: str) -> None:
    road.configure(options)
    run = road.crawl()
    assert (run.verdict, run.reasons, run.errors) == (Verdict.OK, (), 0)
    assert road.records().keys() == road.keys()
    assert run.new == run.seen == len(road.keys()) == 270
    assert road.searches == 3
    tender = road.records()[road.open_call()].tender
    assert tender.url == f"https://ted.europa.eu/en/notice/-/detail/{tender.key}"
    assert (tender.kind, len(tender.milestones)) == (Kind.NOTICE, 2)
    awarded = next(record.tender for record in road.records().values() if record.tender.awards)
    assert len(awarded.awards) == 2


def test_no_page_follows_a_full_last_one_whatever_the_token_says(tmp_path: Path) -> None:
    ted = Ted(NOW, 0)
    for _ in range(2 * ROWS):
        ted.add()
    with Road.open(ted, ASKED + WHOLE + ITERATION, tmp_path) as road:
        run = road.crawl()
        assert (run.verdict, run.seen, road.searches) == (Verdict.OK, 2 * ROWS, 2)
        assert [asked.get("iterationNextToken") for asked in ted.asked] == [None, "it-100"]


def test_what_is_asked_for(road: Road) -> None:
    road.configure(WHOLE + FRANCE + "days = 30\n")
    road.crawl()
    (asked,) = road.source.asked
    assert asked == {
        "query": f"({QUERY}) AND buyer-country IN (FRA) AND publication-date >= 20261025 SORT BY publication-date DESC",
        "fields": list(FIELDS),
        "limit": ROWS,
        "scope": "ALL",
        "paginationMode": "PAGE_NUMBER",
        "page": 1,
    }
    assert road.records().keys() < road.keys("FRA")


def test_a_second_crawl_finds_nothing_new(road: Road) -> None:
    road.crawl()
    road.assert_nothing_new()


def test_an_open_sweep_asks_for_one_page_while_nothing_is_new(road: Road) -> None:
    road.crawl()
    road.assert_stops_early("search", road.source.add)


def test_a_changed_notice_is_told_once(road: Road) -> None:
    road.crawl()
    key = road.open_call()
    road.source.notices[key]["deadline-receipt-tender-date-lot"] = ["2027-02-01+01:00", "2027-02-01+01:00"]
    told = len(road.events())
    assert road.crawl().changed == 1
    ((changed, events),) = road.events()[told:]
    assert (changed, events[0]) == (key, Event.DEADLINE)
    assert road.records()[key].tender.deadline == datetime(2027, 2, 1, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize("options", [WHOLE, 'scope = "ACTIVE"\n', WHOLE + "days = 10\n"])
def test_a_call_is_complete_when_its_deadline_has_passed_in_the_list_or_not(road: Road, options: str) -> None:
    road.configure(options)
    road.crawl()
    opened = {key for key, record in road.records().items() if record.tender.status is Status.ACTIVE}
    assert opened
    run = road.crawl(minutes=60 * 24 * 60)
    assert (run.verdict, run.withdrawn) == (Verdict.OK, 0)
    assert {road.records()[key].tender.status for key in opened} == {Status.COMPLETE}
    searches = road.searches
    assert road.crawl().changed == 0
    assert road.searches <= searches


def test_a_call_asked_for_by_number_that_cannot_be_read_is_told_and_stays_as_it_was(road: Road) -> None:
    road.configure('scope = "ACTIVE"\n')
    road.crawl()
    key = road.open_call()
    road.source.notices = {key: road.source.notices[key]}
    road.server.faults.add("odd_row", "search")
    run = road.crawl(minutes=60 * 24 * 60)
    assert (run.verdict, road.records()[key].tender.status) == (Verdict.PARTIAL, Status.ACTIVE)
    assert [reason.partition(":")[0] for reason in run.reasons] == ["shape"]


def test_the_archive_read_again_gives_the_same(road: Road) -> None:
    """What is asked for depends on the run's day and the last page's token: the replay asks as the runs did."""
    road.configure(ITERATION + "days = 40\n")
    road.crawl()
    road.crawl(minutes=60 * 24 * 20)
    again = Repository(open_database(f"sqlite:///{road.config.folder / 'again.db'}"))
    (run,) = replay(road.config, road.config.portal, again, None, road.now + timedelta(days=3))
    assert (run.verdict, run.reasons) == (Verdict.OK, ())
    assert replace(road, repository=again).tenders() == road.tenders()


def test_a_notice_is_never_withdrawn(road: Road) -> None:
    road.crawl()
    del road.source.notices[road.open_call()]
    assert [road.crawl().withdrawn for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(("limit", "searches"), [(7, 1), (150, 2)])
def test_a_limit_takes_the_newest(road: Road, limit: int, searches: int) -> None:
    run = road.crawl(limit=limit)
    assert (run.verdict, run.seen, road.searches) == (Verdict.OK, limit, searches)
    newest = sorted(road.source.notices.values(), key=lambda n: n["publication-date"], reverse=True)[:limit]
    assert road.records().keys() == {notice["publication-number"] for notice in newest}


@pytest.mark.parametrize("options", [WHOLE, WHOLE + ITERATION])
def test_pages_smaller_than_asked_for_are_accepted(road: Road, options: str) -> None:
    road.configure(options)
    road.source.rows_cap = 30
    assert road.crawl().verdict is Verdict.OK
    assert road.records().keys() == road.keys()


def test_no_notices_are_no_error(road: Road) -> None:
    road.source.notices.clear()
    run = road.crawl()
    assert (run.verdict, run.seen, run.reasons, road.searches) == (Verdict.OK, 0, (), 1)


def test_more_than_page_numbers_reach_is_told_and_a_token_reaches_it(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ted_spider, "MOST_BY_PAGE", 200)
    run = road.crawl()
    assert (run.verdict, run.seen) == (Verdict.PARTIAL, 200)
    assert [reason.partition(":")[0] for reason in run.reasons] == ["short"]
    road.configure(WHOLE + ITERATION)
    assert (road.crawl().verdict, len(road.records())) == (Verdict.OK, 270)


def test_there_are_no_other_kinds(road: Road) -> None:
    with pytest.raises(ConfigError, match="ted has no tender"):
        road.crawl(kinds=(Kind.TENDER,))


# Bad days -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "skip", "options", "verdict", "reason"),
    [
        ("unfiltered", 0, FRANCE, Verdict.FAILED, "filter"),
        ("unfiltered", 0, FRANCE, Verdict.FAILED, "listing"),
        ("stray", 0, FRANCE, Verdict.PARTIAL, "filter"),
        ("old", 0, "days = 60\n", Verdict.PARTIAL, "filter"),
        ("unsorted", 0, "", Verdict.PARTIAL, "unsorted"),
        ("stuck", 0, "", Verdict.FAILED, "duplicate_key"),
        ("stuck", 0, ITERATION, Verdict.FAILED, "duplicate_key"),
        ("stuck", 0, ITERATION, Verdict.FAILED, "listing"),
        ("duplicates", 1, "", Verdict.PARTIAL, "duplicate_key"),
        ("short", 0, "", Verdict.PARTIAL, "short"),
        ("short", 0, ITERATION, Verdict.PARTIAL, "short"),
        ("no_token", 0, ITERATION, Verdict.PARTIAL, "short"),
        ("overfull", 0, "", Verdict.PARTIAL, "shape"),
        ("no_total", 0, "", Verdict.PARTIAL, "shape"),
        ("no_total", 0, ITERATION, Verdict.PARTIAL, "shape"),
        ("odd_row", 0, "", Verdict.PARTIAL, "shape"),
        ("untitled", 1, "", Verdict.PARTIAL, "shape"),
        ("missing_field", 1, "", Verdict.FAILED, "listing"),
        ("new_field", 0, "", Verdict.OK, "unknown_label"),
        ("new_code", 0, "", Verdict.OK, "unknown_label"),
        ("uneven", 0, "", Verdict.OK, "unknown_label"),
        ("timed_out", 1, "", Verdict.FAILED, "listing"),
        ("drifted", 1, "", Verdict.FAILED, "listing"),
        ("html", 0, "", Verdict.FAILED, "listing"),
        ("error", 1, "", Verdict.FAILED, "listing"),
        ("truncated", 1, "", Verdict.FAILED, "listing"),
        ("challenge", 0, "", Verdict.BLOCKED, "blocked"),
        ("too_many", 0, "", Verdict.FAILED, "rate_limited"),
    ],
)
def test_a_broken_contract_is_told_and_stores_nothing_wrong(
    road: Road, fault: str, skip: int, options: str, verdict: Verdict, reason: str
) -> None:
    road.configure(WHOLE + options)
    road.server.faults.add(fault, "search", skip=skip, seconds=3600)
    road.assert_told(verdict, f"{reason}:")
    assert road.searches <= 5
    whole = road.keys("FRA" if options == FRANCE else "")
    assert road.records().keys() <= whole
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    assert road.records().keys() == whole or fault == "old"


@pytest.mark.parametrize(
    "fault",
    [
        *("unfiltered", "stray", "unsorted", "stuck", "short", "overfull", "empty"),
        *("timed_out", "odd_row", "untitled", "missing_field", "drifted", "html"),
    ],
)
def test_bad_days_withdraw_nothing_and_change_nothing(road: Road, fault: str) -> None:
    road.configure(WHOLE + FRANCE)
    road.crawl()
    road.assert_unmoved(fault)


def test_a_search_that_timed_out_once_is_asked_for_again(road: Road) -> None:
    road.server.faults.add("timed_out", "search", times=1)
    run = road.crawl()
    assert (run.verdict, run.seen, road.searches) == (Verdict.OK, 270, 4)


def test_a_wait_that_is_asked_for_is_kept(road: Road) -> None:
    road.server.faults.add("too_many", "search", times=1, seconds=0)
    run = road.crawl()
    assert (run.verdict, run.seen) == (Verdict.OK, 270)


def test_a_source_gone_quiet_is_told(road: Road) -> None:
    road.configure(WHOLE + 'stale_after = "30d"\n')
    road.assert_stale(40)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("", "portal ted: options.query"),
        ('query = ""', "portal ted: options.query"),
        ('query = "PD >= 20260101 SORT BY publication-number"', "leave SORT BY out"),
        ('query = "a"\nlimit = 5', "portal ted: options.limit"),
        ('query = "a"\nlanguage = "ind"', "portal ted: options.language"),
        ('query = "a"\ncountries = ["FR"]', "portal ted: options.countries"),
        ('query = "a"\ndays = 0', "portal ted: options.days"),
        ('query = "a"\nstale_after = "soon"', "'soon' is not a duration"),
    ],
)
def test_options_that_cannot_be_are_named(tmp_path: Path, options: str, told: str) -> None:
    (portal,) = make_config(f"{TABLE}{OPTIONS}{options}\n", "https://api.example.org", tmp_path).portal
    with pytest.raises(ConfigError, match=told):
        parse_options(Options, portal)


def test_an_expert_query_stands_in_brackets_of_its_own() -> None:
    config = make_config(ASKED, "https://api.example.org", Path("."))
    assert write_query(parse_options(Options, config.portal[0]), NOW) == f"({QUERY}) SORT BY publication-date DESC"


if __name__ == "__main__":
    write_values(find_pages("ted"), read_page)
