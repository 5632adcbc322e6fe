"""OCDS publishers: packages beside the tenders they mean, and crawls of a stand-in that keeps or breaks its word."""

from __future__ import annotations

import io
import json
import re
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scrapy.http import Response as Answer

from aggregator.archive import Archive
from aggregator.config import ConfigError, Portal
from aggregator.exports.merging import MERGE_RULES
from aggregator.models import Category, Event, Kind, Money, Status, Sweep, Tender
from aggregator.verdicts import Run, Verdict
from demo.messages import Request, Response
from demo.ocds import FAULTS, Publisher
from spiders.ocds.merging import merge_releases
from spiders.ocds.options import Options, render_url, split_windows
from spiders.ocds.packages import (
    MOST_REJECTED,
    MOST_VALUES,
    Package,
    parse_lines,
    parse_package,
    parse_zip,
    read_time,
)
from spiders.ocds.shelf import Chain, Shelf
from spiders.ocds.spider import find_pause
from spiders.ocds.tender import parse_tender, render_key, unknown_words
from spiders.options import parse_options
from spiders.reading import ShapeError
from spiders.replay import replay
from tests.pages import find_pages, read_value
from tests.road import NOW, SourceRoad

ZONE = ZoneInfo("UTC")
FIXTURES = Path(__file__).parent / "fixtures" / "ocds"
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "ocds"
PORTAL = Portal(id="uji", family="ocds", name="Uji", url="https://tenders.example.org/api")

# Parsing --------------------------------------------------------------------------------------------------


def read_tenders(package: Package, portal: Portal = PORTAL) -> list[Tender]:
    """What a package means, when it is all there is."""
    kept, problems = Chain("test").accept(package)
    assert problems == []
    shelf = Shelf()
    for release in kept:
        shelf.put(release)
    tenders = [parse_tender(merge_releases(releases), releases, portal, whole=True) for _, releases in shelf]
    return tenders


def told(tender: Tender) -> dict[str, Any]:
    return {**tender.as_dict(), "unread": sorted(tender.unread)}


@pytest.mark.parametrize("path", find_pages("ocds"), ids=lambda path: path.stem)
def test_a_package_means_the_tenders_beside_it(path: Path) -> None:
    read = parse_lines if path.suffix == ".jsonl" else parse_package
    assert [told(tender) for tender in read_tenders(read(path.read_bytes(), ZONE))] == read_value(path)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("contractsfinder_release_package_100.json", 94),
        ("fictional-1.1-record.json", 1),
        ("fictional-1.1-release-package.json", 1),
        ("fts_release_package.json", 1),
    ],
)
def test_recorded_packages_parse(name: str, count: int) -> None:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("the recorded samples are not here")
    package = parse_package(path.read_bytes(), ZONE)
    assert package.rejected == ()
    tenders = read_tenders(package)
    assert len({tender.key for tender in tenders}) == len(tenders) == count
    assert all(tender.status and tender.buyer and tender.title for tender in tenders)


def test_the_recorded_notice_of_find_a_tender() -> None:
    path = SAMPLES / "fts_release_package.json"
    if not path.exists():
        pytest.skip("the recorded samples are not here")
    package = parse_package(path.read_bytes(), ZONE)
    page = "https://www.find-tender.service.gov.uk/Notice/{id}"
    tender = parse_tender(merge_releases(package.releases), package.releases, PORTAL, page, whole=True)
    assert package.next is not None
    assert package.next.endswith("cursor=SIMULATED")
    assert tender.url == "https://www.find-tender.service.gov.uk/Notice/086589-2026"
    assert tender.title == "Peatland ACTION FW02 Field Ecologists Framework"
    assert (tender.status, tender.category) == (Status.ACTIVE, Category.SERVICES)
    assert tender.value == Money(Decimal(450000), "GBP")
    assert tender.deadline == datetime(2026, 11, 6, 12, tzinfo=UTC)
    assert tender.published == datetime(2026, 9, 11, 15, 4, 29, tzinfo=UTC)


def make_package(*releases: dict[str, Any]) -> bytes:
    return json.dumps({"version": "1.1", "releases": releases}).encode()


def release(number: str = "1", tag: str = "tender", date: str = "2026-01-01T00:00:00Z", **sections: Any) -> Any:
    return {"ocid": "ocds-x-1", "id": number, "date": date, "tag": [tag], **sections}


def test_releases_merge_by_instant_not_by_text() -> None:
    late = release("a", "tenderAmendment", "2026-06-01T15:30:00Z", tender={"title": "new"})
    early = release("b", "tender", "2026-06-01T16:04:00+01:00", tender={"title": "old", "description": "kept"})
    (tender,) = read_tenders(parse_package(make_package(late, early), ZONE))
    assert (tender.title, tender.description) == ("new", "kept")


def test_merging_needs_no_network_and_replaces_whole_lists() -> None:
    first = release("1", tender={"title": "x", "additionalProcurementCategories": ["consultingServices"]})
    second = release("2", "tenderUpdate", "2026-01-02T00:00:00Z", tender={"additionalProcurementCategories": ["goods"]})
    package = parse_package(make_package(first, second), ZONE)
    assert merge_releases(package.releases)["tender"]["additionalProcurementCategories"] == ["goods"]
    assert len(MERGE_RULES) == 24


def test_releases_that_contradict_each_other_cannot_be_merged() -> None:
    first = release("1", tender={"documents": "none"})
    second = release("2", "tenderUpdate", "2026-01-02T00:00:00Z", tender={"documents": [{"id": "1"}]})
    with pytest.raises(ShapeError, match="cannot be merged"):
        merge_releases(parse_package(make_package(first, second), ZONE).releases)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sign in</html>",
        b"[1, 2]",
        b'{"data": []}',
        b'{"error": "busy"}',
        b'{"releases": {}}',
        b'{"releases": [], "links": {"next": 7}}',
        b'{"releases": [{"ocid": "x", "value": NaN}]}',
        b'{"releases": [',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_package_is_a_shape_error(body: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_package(body, ZONE)


def test_an_empty_package_is_data() -> None:
    assert parse_package(b'{"releases": []}', ZONE) == Package(releases=())
    assert parse_package(b'{"records": []}', ZONE) == Package(releases=())
    assert parse_lines(b"", ZONE) == Package(releases=())


@pytest.mark.parametrize(
    "broken",
    [
        {"ocid": None},
        {"ocid": " "},
        {"id": None},
        {"tag": []},
        {"date": None},
        {"date": "yesterday"},
        {"date": "9999-12-31T23:59:59Z"},
    ],
)
def test_one_broken_release_does_not_take_the_others_with_it(broken: dict[str, Any]) -> None:
    package = parse_package(make_package({**release("1"), **broken}, release("2")), ZONE)
    assert [r.id for r in package.releases] == ["2"]
    assert len(package.rejected) == 1


@pytest.mark.parametrize(
    "tender",
    [
        "x",
        {"title": ["x"]},
        {"title": "x", "value": {"amount": "1000", "currency": "GBP"}},
        {"title": "x", "value": {"amount": 1000, "currency": "pounds"}},
        {"title": "x", "tenderPeriod": {"endDate": "soon"}},
        {"title": "x", "documents": [7]},
        {"title": "x", "additionalProcurementCategories": "consultingServices"},
        {"title": "x", "numberOfTenderers": -1},
    ],
)
def test_values_that_are_not_what_ocds_says_are_told(tender: Any) -> None:
    package = parse_package(make_package(release(tender=tender)), ZONE)
    with pytest.raises(ShapeError):
        parse_tender(merge_releases(package.releases), package.releases, PORTAL, whole=True)


def test_unknown_codes_and_lost_currencies_are_told_and_not_guessed() -> None:
    tender = {
        "title": "x",
        "status": "asleep",
        "procurementMethod": "auction",
        "mainProcurementCategory": "ships",
        "value": {"amount": 5},
    }
    package = parse_package(make_package(release(tender=tender)), ZONE)
    compiled = merge_releases(package.releases)
    read = parse_tender(compiled, package.releases, PORTAL, whole=True)
    assert (read.status, read.method, read.category, read.value) == (None, None, None, None)
    assert unknown_words(read, compiled) == (
        "status asleep",
        "procurementMethod auction",
        "mainProcurementCategory ships",
        "tender.value without a currency",
    )


def test_what_a_delta_leaves_out_is_unread() -> None:
    package = parse_package(make_package(release("2", "award", awards=[{"id": "1", "status": "active"}])), ZONE)
    tender = parse_tender(merge_releases(package.releases), package.releases, PORTAL, whole=False)
    assert {"title", "buyer", "status", "value", "deadline", "published", "contracts"} <= tender.unread
    assert "awards" not in tender.unread


def test_addresses_that_are_no_web_pages_stay_out() -> None:
    documents = [
        {"id": "1", "documentType": "tenderNotice", "url": "javascript:alert(1)"},
        {"id": "2", "documentType": "tenderNotice", "url": "https://other.example.org/n"},
        {"id": "3", "documentType": "tenderNotice", "url": "https://tenders.example.org/n"},
    ]
    (tender,) = read_tenders(parse_package(make_package(release(tender={"title": "x", "documents": documents})), ZONE))
    assert tender.url == "https://tenders.example.org/n"
    assert len(tender.documents) == 2


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_two_ocids_never_make_one_key(one: str, other: str) -> None:
    first, second = (render_key(f"ocds-{text}") for text in (one, other))
    assert (first == second) == (one == other)
    Tender(portal="x", kind=Kind.TENDER, key=first, title="x", url="https://example.org")


def test_an_ocid_that_is_url_safe_is_its_own_key() -> None:
    assert render_key("ocds-h6vhtk-06f877") == "ocds-h6vhtk-06f877"
    assert render_key("ocds-1/2 ä") == "ocds-1~2f2~20~c3~a4"
    with pytest.raises(ShapeError):
        render_key("/etc")


def test_times_without_a_zone_are_the_portals() -> None:
    assert read_time("2026-01-01", ZoneInfo("Asia/Jakarta")) == datetime(2025, 12, 31, 17, tzinfo=UTC)
    assert read_time("0001-01-01T00:00:00Z", ZONE) is None


def test_a_zip_is_read_whole_or_not_at_all() -> None:
    def pack(**files: str) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name.replace("_", "."), text)
        return file.getvalue()

    line = json.dumps(release("2"))
    package = parse_zip(pack(a_json=make_package(release("1")).decode(), b_jsonl=f"{line}\n\n"), ZONE)
    assert [r.id for r in package.releases] == ["1", "2"]
    for body in (b"PK", b"<html>", pack(read_me="x"), pack(a_json=make_package(release("1")).decode())[:-30]):
        with pytest.raises(ShapeError):
            parse_zip(body, ZONE)
    with pytest.raises(ShapeError, match="unpacks to more"):
        parse_zip(pack(a_json=" " * (260 * 1024 * 1024)), ZONE)


# Options and windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paging": "cursor"}, "options.paging: Input should be"),
        ({"paging": "links", "widnow": "6h"}, "options.widnow: unknown key; check its spelling"),
        ({"paging": "windows", "window": "1 day"}, "options.window: '1 day' is not a duration"),
        ({"paging": "windows", "window": "2h", "overlap": "2h"}, "overlap must be shorter"),
        ({"paging": "links", "page": "https://x.example/"}, "options.page"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match="portal uji: ") as caught:
        parse_options(Options, PORTAL.model_copy(update={"options": options}))
    assert message in str(caught.value)


@given(st.integers(1, 100), st.integers(1, 48), st.data())
def test_windows_cover_all_of_the_time_and_overlap(hours: int, length: int, data: st.DataObject) -> None:
    overlap = timedelta(hours=data.draw(st.integers(0, length - 1)))
    windows = list(split_windows(NOW - timedelta(hours=hours), NOW, timedelta(hours=length), overlap))
    assert (windows[-1].start, windows[0].stop) == (NOW - timedelta(hours=hours), NOW)
    assert all(later.start + overlap == earlier.stop for later, earlier in pairwise(windows))
    assert all(
        window.start < window.stop and window.stop - window.start <= timedelta(hours=length) for window in windows
    )


def test_a_query_is_laid_over_the_address() -> None:
    url = render_url("https://x.example/a?limit=5&k=v", {"limit": 100, "updatedFrom": "2026-01-01T00:00:00"})
    assert url == "https://x.example/a?limit=100&k=v&updatedFrom=2026-01-01T00:00:00"


def test_how_long_a_publisher_asks_to_wait() -> None:
    options = Options.model_validate({"paging": "links", "pause_on": [403, 429], "pause": "5m"})
    words = b"Rate limit of 12 exceeded. Please retry after 120 seconds"
    assert find_pause(Answer("http://x", status=429, body=words), options, NOW) == 120
    assert find_pause(Answer("http://x", status=403), options, NOW) == 300
    assert find_pause(Answer("http://x", status=429, headers={"Retry-After": "7"}), options, NOW) == 7
    assert find_pause(Answer("http://x", status=403, headers={"cf-mitigated": "challenge"}), options, NOW) is None
    assert find_pause(Answer("http://x", status=200), options, NOW) is None


# Crawls ---------------------------------------------------------------------------------------------------


@dataclass
class Stand(SourceRoad[Publisher]):
    """A road to a made-up publisher, whose clock is the road's."""

    def crawl(self, sweep: Sweep = Sweep.FULL, minutes: float = 20, **order: Any) -> Run:
        self.source.now = self.now + timedelta(minutes=minutes)
        return super().crawl(sweep, minutes, **order)


FIND_A_TENDER = ("/api/1.0/ocdsReleasePackages", {"paging": "windows", "query": {"limit": 2}, "since": "4d"})


@pytest.fixture
def make_stand(tmp_path: Path) -> Iterator[Callable[..., Stand]]:
    with ExitStack() as stands:

        def make(path: str = FIND_A_TENDER[0], options: dict[str, Any] | None = None, **publisher: Any) -> Stand:
            stand = stands.enter_context(Stand.open(Publisher(NOW, **publisher), "", tmp_path))
            options = {**(FIND_A_TENDER[1] if options is None else options)}
            if "record" in options:
                options["record"] = stand.server.url + options["record"]
            portal = Portal(id="uji", family="ocds", name="Uji", url=f"{stand.server.url}/ocds{path}", options=options)
            stand.config = stand.config.model_copy(update={"portal": (portal,)})
            return stand

        yield make


@pytest.mark.parametrize(
    ("path", "options"),
    [
        FIND_A_TENDER,
        (
            "/Published/Notices/OCDS/Search",
            {"paging": "windows", "window_parameters": ["publishedFrom", "publishedTo"], "since": "4d"},
        ),
        ("/api/1.0/ocdsReleasePackages", {"paging": "links", "query": {"limit": 5}}),
        ("/pages", {"paging": "pages", "total": "pagination.total"}),
        ("/releases.json", {"paging": "file"}),
        ("/releases.jsonl", {"paging": "jsonl"}),
        ("/releases.zip", {"paging": "zip"}),
    ],
    ids=lambda value: value["paging"] if isinstance(value, dict) else value,
)
def test_every_paging_reads_everything_and_then_nothing_new(
    make_stand: Callable[..., Stand], path: str, options: dict[str, Any]
) -> None:
    stand = make_stand(path, options)
    ocid = stand.source.ocids()[0]
    stand.source.award(ocid, "1", "Bridge Builders", 9000.25)
    run = stand.crawl()
    assert (run.verdict, run.reasons, run.new) == (Verdict.OK, (), 12)
    tender = stand.tenders()[ocid]
    assert tender.title == "Footbridge repairs 0"
    assert (tender.value, tender.category) == (Money(Decimal("10000.5"), "GBP"), Category.WORKS)
    assert [(a.supplier, a.amount) for a in tender.awards] == [("Bridge Builders", Money(Decimal("9000.25"), "GBP"))]
    assert {t.category for t in stand.tenders().values()} == set(Category)
    again = stand.crawl()
    assert (again.verdict, again.new, again.changed, again.unchanged) == (Verdict.OK, 0, 0, 12)
    assert abs(again.requests - run.requests) <= 1


def test_an_open_sweep_asks_for_the_last_day_and_tells_deltas(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand()
    full = stand.crawl()
    old, other = stand.source.ocids()[:2]
    count = len(stand.events())
    stand.source.advance(timedelta(minutes=10))
    stand.source.amend(old, 77_000)
    stand.source.award(other, "1", "Cooks", 1)
    run = stand.crawl(Sweep.OPEN)
    assert (run.verdict, run.new, run.changed) == (Verdict.OK, 0, 2)
    assert run.requests < full.requests / 2
    tender = stand.tenders()[old]
    assert (tender.title, tender.value) == ("Footbridge repairs 0", Money(Decimal(77_000), "GBP"))
    assert tender.deadline is not None
    assert tender.url == f"https://tenders.example.org/Notice/{old}"
    assert dict(stand.events(count)) == {old: (Event.VALUE,), other: (Event.AWARD,)}


def test_a_second_award_is_told_with_the_first_from_the_record(make_stand: Callable[..., Stand]) -> None:
    options = {**FIND_A_TENDER[1], "since": "1d", "record": "/ocds/api/1.0/ocdsRecordPackages/{ocid}"}
    stand = make_stand(options=options, processes=3)
    ocid = stand.source.ocids()[0]
    stand.source.award(ocid, "1", "Ada", 1)
    stand.crawl()
    stand.source.advance(timedelta(days=3))
    stand.source.award(ocid, "2", "Ben", 2)
    run = stand.crawl(Sweep.OPEN, minutes=3 * 24 * 60 + 20)
    assert (run.verdict, run.changed) == (Verdict.OK, 1)
    assert stand.server.stats.pages["record"] == 1
    assert [award.supplier for award in stand.tenders()[ocid].awards] == ["Ada", "Ben"]
    assert stand.crawl(Sweep.OPEN).changed == stand.server.stats.pages["record"] == 0


def test_a_record_that_cannot_be_had_is_tried_again(make_stand: Callable[..., Stand]) -> None:
    options = {**FIND_A_TENDER[1], "since": "1d", "record": "/ocds/api/1.0/ocdsRecordPackages/{ocid}"}
    stand = make_stand(options=options, processes=1)
    ocid = stand.source.ocids()[0]
    stand.source.releases[0]["date"] = (NOW - timedelta(days=9)).isoformat()
    stand.source.award(ocid, "1", "Ada", 1)
    stand.server.faults.add("error", match="Record")
    run = stand.crawl()
    assert run.verdict in (Verdict.PARTIAL, Verdict.FAILED)
    assert stand.tenders()[ocid].incomplete
    stand.server.faults.clear()
    assert stand.crawl().verdict is Verdict.OK
    tender = stand.tenders()[ocid]
    assert (tender.title, tender.incomplete) == ("Footbridge repairs 0", False)


def test_long_windows_would_lose_releases(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand(options={**FIND_A_TENDER[1], "window": "4d"})
    assert stand.crawl().new < 12  # the stand-in is as treacherous as the real one


def test_a_rate_limit_is_sat_out(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand(limit=12, pause=0)
    run = stand.crawl()
    assert (run.verdict, run.new) == (Verdict.OK, 12)
    assert stand.server.stats.pages["limited"] >= 1


def test_a_403_of_contracts_finder_is_sat_out_as_long_as_configured(make_stand: Callable[..., Stand]) -> None:
    options = {"paging": "windows", "window_parameters": ["publishedFrom", "publishedTo"], "since": "4d"}
    stand = make_stand(
        "/Published/Notices/OCDS/Search", {**options, "pause": "0s", "pause_on": [403, 429]}, limit=12, forbid=True
    )
    assert stand.crawl().verdict is Verdict.OK
    stand = make_stand("/Published/Notices/OCDS/Search", {**options, "pause_on": [429]}, limit=12, forbid=True)
    run = stand.crawl()
    assert run.verdict is Verdict.FAILED
    assert run.reasons[0].startswith("refused")


def test_a_limit_after_the_pause_ends_the_run(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand(limit=0, pause=0)
    run = stand.crawl()
    assert run.verdict is Verdict.FAILED
    assert run.reasons[0].startswith("rate_limited")
    assert stand.server.stats.pages["limited"] == 2


@pytest.mark.parametrize(
    ("fault", "verdict", "code"),
    [
        ("unfiltered", Verdict.FAILED, "listing"),
        ("loop", Verdict.FAILED, "listing"),
        ("endless", Verdict.FAILED, "listing"),
        ("other_host", Verdict.FAILED, "listing"),
        ("duplicates", Verdict.PARTIAL, "duplicate_key"),
        ("drifted", Verdict.FAILED, "listing"),
        ("odd_release", Verdict.PARTIAL, "shape"),
        ("apology", Verdict.FAILED, "listing"),
        ("error", Verdict.FAILED, "listing"),
        ("truncated", Verdict.FAILED, "listing"),
        ("challenge", Verdict.BLOCKED, "blocked"),
    ],
)
def test_a_broken_word_is_told_and_nothing_wrong_is_stored(
    make_stand: Callable[..., Stand], fault: str, verdict: Verdict, code: str
) -> None:
    stand = make_stand(options={**FIND_A_TENDER[1], "query": {"limit": 1}})
    stand.crawl()
    before = stand.tenders()
    stand.source.advance(timedelta(minutes=10))
    stand.server.faults.add(fault, match="ocds")
    run = stand.crawl()
    assert run.verdict is verdict
    assert {reason.partition(":")[0] for reason in run.reasons} <= {code, "errors", "duplicate_key"}
    assert run.reasons[0].startswith(code) or code in {reason.partition(":")[0] for reason in run.reasons}
    assert (run.new, run.withdrawn) == (0, 0)
    assert stand.tenders() == before
    stand.server.faults.clear()
    assert stand.crawl().verdict is Verdict.OK
    assert stand.tenders() == before


def test_every_fault_of_the_stand_in_is_known_here() -> None:
    assert {"short", "unfiltered", "loop", "endless", "other_host", "duplicates", "drifted"} <= FAULTS.keys()


def test_a_total_that_is_not_reached_is_told(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand("/pages", {"paging": "pages", "total": "pagination.total"})
    stand.server.faults.add("short", match="pages")
    run = stand.crawl()
    assert run.verdict is Verdict.PARTIAL
    assert run.reasons == ("short: pages: 12 of 15 releases announced",)


def test_a_package_that_lost_its_total_is_told(make_stand: Callable[..., Stand]) -> None:
    run = make_stand("/releases.json", {"paging": "links", "total": "pagination.total"}).crawl()
    assert run.verdict is Verdict.FAILED
    assert "no announced total" in run.reasons[0]


def test_a_page_parameter_that_is_ignored_is_told(make_stand: Callable[..., Stand]) -> None:
    run = make_stand("/releases.json", {"paging": "pages"}).crawl()
    assert (run.verdict, run.new) == (Verdict.FAILED, 12)
    assert "listing: pages: page 2 brings nothing new" in run.reasons


def test_a_file_that_says_there_is_more_is_told(make_stand: Callable[..., Stand]) -> None:
    run = make_stand("/api/1.0/ocdsReleasePackages", {"paging": "file", "query": {"limit": 5}}).crawl()
    assert (run.verdict, run.new, run.reasons[0].partition(":")[0]) == (Verdict.PARTIAL, 5, "short")


def test_a_run_that_breaks_off_tells_new_processes_and_leaves_known_ones(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand()
    stand.crawl()
    known = stand.source.ocids()[-1]
    stand.source.advance(timedelta(minutes=10))
    stand.source.amend(known, 77_000)
    opened = stand.source.open()
    stand.server.faults.add("error", skip=4)
    run = stand.crawl()
    assert (run.verdict, run.new, run.changed) == (Verdict.FAILED, 1, 0)
    assert opened in stand.tenders()
    stand.server.faults.clear()
    assert stand.crawl().changed == 1


def test_the_archive_read_again_says_the_same(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand()
    stand.source.award(stand.source.ocids()[0], "1", "Cooks", 1)
    stand.crawl()
    before, events = stand.tenders(), stand.events()
    (run,) = replay(stand.config, stand.config.portal, stand.repository, None, stand.now + timedelta(hours=1))
    assert (run.new, run.changed, run.reasons) == (0, 0, ())
    assert (stand.tenders(), stand.events()) == (before, events)


def test_the_examples_of_the_docs_are_options_of_this_family() -> None:
    text = (Path(__file__).parents[1] / "docs/sources/ocds.md").read_text(encoding="utf-8")
    tables = [p for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) for p in tomllib.loads(block)["portal"]]
    assert {Portal(**table).id for table in tables} >= {"find-a-tender", "contracts-finder"}
    assert all(parse_options(Options, Portal(**table)) for table in tables)
    assert set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)) == set(Options.model_fields)


def test_a_quiet_publisher_is_told(make_stand: Callable[..., Stand]) -> None:
    make_stand("/releases.json", {"paging": "file", "stale_after": "2d"}).assert_stale(3)


def test_an_empty_window_is_data(make_stand: Callable[..., Stand]) -> None:
    run = make_stand(processes=0).crawl()
    assert (run.verdict, run.new, run.reasons) == (Verdict.OK, 0, ())


def test_older_news_than_what_is_known_is_none(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand("/releases.json", {"paging": "file"})
    ocid = stand.source.ocids()[0]
    stand.source.amend(ocid, 77_000)
    stand.crawl()
    stand.source.releases.pop()  # an old copy of the file is served
    assert stand.crawl().changed == 0
    assert stand.tenders()[ocid].value == Money(Decimal(77_000), "GBP")


def test_a_limit_ends_the_run_early(make_stand: Callable[..., Stand]) -> None:
    run = make_stand().crawl(limit=3)
    assert (run.verdict, run.new) == (Verdict.OK, 3)


def test_a_token_comes_from_the_environment_and_shows_nowhere(
    make_stand: Callable[..., Stand], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stand = make_stand("/releases.json", {"paging": "file", "token_env": "UJI_TOKEN"})
    assert "refused: the environment has no UJI_TOKEN" in stand.crawl().reasons
    monkeypatch.setenv("UJI_TOKEN", "secret-word")
    asked: list[str] = []
    answer = stand.source.answer

    def overhear(request: Request) -> Response:
        asked.append(request.headers["authorization"])
        return answer(request)

    monkeypatch.setattr(stand.source, "answer", overhear)
    stand.server.faults.add("error", match="releases", times=5)
    stand.crawl()
    assert stand.crawl().verdict is Verdict.OK
    assert set(asked) == {"Bearer secret-word"}
    assert "secret-word" not in caplog.text
    files = [path for path in stand.config.archive_folder.rglob("*") if path.is_file()]
    assert files
    assert not any(b"secret-word" in path.read_bytes() for path in files)


def test_a_publisher_that_repeats_the_token_gives_nothing_away(
    make_stand: Callable[..., Stand], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UJI_TOKEN", "secret-word")
    stand = make_stand("/releases.json", {"paging": "file", "token_env": "UJI_TOKEN"})

    def repeat(request: Request) -> Response:
        return Response(f'{{"error": "bad {request.headers["authorization"]}"}}'.encode(), "releases")

    monkeypatch.setattr(stand.source, "answer", repeat)
    run = stand.crawl()
    assert run.verdict is Verdict.FAILED
    assert any("bad Bearer UJI_TOKEN" in reason for reason in run.reasons)
    archive = Archive(stand.config.archive_folder, stand.repository)
    bodies = [
        archive.read(snapshot)
        for time in stand.repository.find_archived_runs(run.portal, run.started)
        for snapshot in stand.repository.find_snapshots(run.portal, time)
    ]
    assert bodies
    assert not any(b"secret-word" in body for body in bodies)


def test_a_window_that_is_ignored_is_read_no_further(make_stand: Callable[..., Stand]) -> None:
    stand = make_stand(options={**FIND_A_TENDER[1], "query": {"limit": 2}})
    stand.server.faults.add("unfiltered", match="ocds")
    run = stand.crawl()
    assert (run.verdict, len(run.reasons), run.new) == (Verdict.FAILED, 1, 0)
    assert "the window is ignored: 2 of 2 releases are of another time" in run.reasons[0]
    assert stand.server.stats.pages["search"] == 1


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    def pack(text: str) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.json", text)
        return file.getvalue()

    with pytest.raises(ShapeError, match="unpacks to more than it may"):  # by ratio
        parse_zip(pack("[" + "[]," * (5 * 1024 * 1024) + "[]]"), ZONE)
    for parse in (parse_package, parse_lines):
        with pytest.raises(ShapeError, match="values"):
            parse(b"[" + b"{}," * MOST_VALUES + b"{}]", ZONE)
    with pytest.raises(ShapeError, match="no object"):
        parse_package(b'{"releases": [' + b"0," * MOST_REJECTED + b"0]}", ZONE)
