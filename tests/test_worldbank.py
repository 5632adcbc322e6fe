"""The World Bank's notices: pages beside the values they mean, and crawls of the stand-in over real HTTP.

`python -m tests.test_worldbank` writes the values of pages that have none yet, to be read before they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aggregator.config import ConfigError
from aggregator.models import Category, Event, Kind, Method, Status, Sweep
from aggregator.verdicts import Verdict
from demo.worldbank import WorldBank
from spiders.options import parse_options
from spiders.reading import ShapeError
from spiders.worldbank import ROWS, Options, find_status, make_tender, parse_markup, parse_page
from tests.pages import find_pages, read_value, tell_odd, write_values
from tests.road import NOW, WIB, SourceRoad, make_config

FIXTURES = Path(__file__).parent / "fixtures" / "worldbank"
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "worldbank"


def read_page(path: Path) -> dict[str, Any]:
    page = parse_page(path.read_bytes(), WIB)
    return {
        "start": page.start,
        "total": page.total,
        "size": page.size,
        "tenders": [make_tender("bank", notice, NOW).as_dict() for notice in page.notices],
        **tell_odd(page.notices, page.broken),
    }


# Pages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", find_pages("worldbank"), ids=lambda path: path.stem)
def test_each_page_means_its_value(path: Path) -> None:
    assert read_page(path) == read_value(path)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Back soon</html>",
        b"[]",
        b'{"total": "3"}',
        b'{"procnotices": {}}',
        b'{"procnotices": [], "os": "x"}',
    ],
)
def test_another_shape_is_no_empty_page(body: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_page(body, WIB)


def test_contacts_are_neither_kept_nor_compared() -> None:
    answer = json.loads((FIXTURES / "page.json").read_text(encoding="utf-8"))
    before = parse_page(json.dumps(answer).encode(), WIB).notices[0]
    answer["procnotices"][0]["contact_name"] = "Seseorang Lain"
    assert parse_page(json.dumps(answer).encode(), WIB).notices[0] == before
    assert "Contoh Nama" not in str(before)
    answer["procnotices"][0]["procurement_group"] = "GO"
    assert parse_page(json.dumps(answer).encode(), WIB).notices[0].fingerprint != before.fingerprint


def test_a_call_is_active_until_its_deadline_in_the_portals_zone() -> None:
    call = parse_page((FIXTURES / "page.json").read_bytes(), WIB).notices[0]
    assert call.deadline == datetime(2026, 12, 22, 9, 30, tzinfo=WIB)
    assert find_status(call, datetime(2026, 12, 22, 2, 30, tzinfo=UTC)) is Status.ACTIVE
    assert find_status(call, datetime(2026, 12, 22, 2, 31, tzinfo=UTC)) is Status.COMPLETE
    assert find_status(replace(call, deadline=None), NOW) is None


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("", ""),
        ("https://www.example.org", "https://www.example.org"),
        ("<p>One<p>Two<br/>Three", "One Two Three"),
        ("a<b>b</b>c &lt;d&gt;", "abc <d>"),
        ("<script>alert(1)</script>\ud800kept", "kept"),
    ],
)
def test_markup_becomes_plain_text(markup: str, text: str) -> None:
    answer = {"procnotices": [{"id": "OP1", "notice_type": "Contract Award", "notice_text": markup}]}
    assert (parse_page(json.dumps(answer).encode(), WIB).notices[0].description or "") == text
    if markup.isascii():
        assert parse_markup(markup) == text


def test_recorded_notices_are_read() -> None:
    if not SAMPLES.is_dir():
        pytest.skip("the recorded notices are not at hand")
    page = parse_page((SAMPLES / "procnotices_page.json").read_bytes(), WIB)
    assert (page.start, page.total, page.size, page.broken) == (0, None, 2, ())
    tender = make_tender("bank", page.notices[0], NOW)
    assert (tender.key, tender.category, tender.method, tender.status) == (
        "OP00468043",
        Category.GOODS,
        Method.OPEN,
        Status.COMPLETE,
    )
    assert tender.published == datetime(2026, 9, 10, tzinfo=WIB)
    assert tender.deadline == datetime(2026, 10, 28, 10, 0, tzinfo=WIB)
    assert "Avis Spécifique d’Appel d’Offres (AAO) Appel d’Offres" in (tender.description or "")
    minimal = parse_page((SAMPLES / "procnotices_minimal.json").read_bytes(), WIB)
    assert (minimal.total, minimal.broken) == (412480, ())
    assert [notice.title for notice in minimal.notices] == [
        "Recruitment of Graphic Design Consultant",
        "Contract Award",
    ]
    assert not any(notice.unknown for notice in (*page.notices, *minimal.notices))


# Crawls ---------------------------------------------------------------------------------------------------


TABLE = '[[portal]]\nid = "bank"\nfamily = "worldbank"\nname = "World Bank"\nurl = "{url}"\n'


@dataclass
class Road(SourceRoad[WorldBank]):
    def keys(self) -> set[str]:
        return {notice["id"] for notice in self.source.of("Indonesia")}

    @property
    def rows(self) -> int:
        return self.asked("rows")


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    with Road.open(WorldBank(NOW, 250), TABLE, tmp_path) as road:
        yield road


def test_a_first_crawl_reads_every_notice_of_the_country(road: Road) -> None:
    run = road.crawl()
    assert (run.verdict, run.reasons, run.errors) == (Verdict.OK, (), 0)
    assert road.records().keys() == road.keys()
    assert run.new == run.seen == len(road.keys())
    assert road.rows == -(-len(road.keys()) // ROWS)
    tender = next(r.tender for r in road.records().values() if r.tender.status is Status.ACTIVE)
    assert tender.url == f"https://projects.worldbank.org/en/projects-operations/procurement-detail/{tender.key}"
    assert (tender.kind, tender.locations) == (Kind.NOTICE, ("Indonesia",))


def test_a_second_crawl_finds_nothing_new(road: Road) -> None:
    road.crawl()
    road.assert_nothing_new()


def test_an_open_sweep_asks_for_one_page_while_nothing_is_new(road: Road) -> None:
    road.crawl()
    road.assert_stops_early("rows", road.source.add)


def test_a_changed_notice_is_told_once(road: Road) -> None:
    road.crawl()
    key = next(r.tender.key for r in road.records().values() if r.tender.status is Status.ACTIVE)
    road.source.notices[key]["submission_deadline_date"] = "2027-02-01T00:00:00Z"
    told = len(road.events())
    assert road.crawl().changed == 1
    assert road.events()[told:] == [(key, (Event.DEADLINE,))]
    assert road.records()[key].tender.deadline == datetime(2027, 2, 1, 10, tzinfo=WIB)


def test_a_call_is_complete_when_its_deadline_has_passed(road: Road) -> None:
    road.crawl()
    opened = {key for key, record in road.records().items() if record.tender.status is Status.ACTIVE}
    assert opened
    run = road.crawl(minutes=60 * 24 * 60)
    assert (run.verdict, run.changed) == (Verdict.OK, len(opened))
    assert all(road.records()[key].tender.status is Status.COMPLETE for key in opened)
    assert road.crawl().changed == 0


def test_a_notice_that_is_gone_is_withdrawn_after_two_full_sweeps(road: Road) -> None:
    road.crawl()
    key = sorted(road.keys())[3]
    del road.source.notices[key]
    assert road.crawl().withdrawn == 0
    assert road.crawl(Sweep.OPEN).withdrawn == 0
    assert road.crawl().withdrawn == 1
    assert road.records()[key].tender.status is Status.WITHDRAWN


def test_a_limit_is_obeyed_and_withdraws_nothing(road: Road) -> None:
    run = road.crawl(limit=7)
    assert (run.verdict, run.seen, road.rows) == (Verdict.OK, 7, 1)
    road.crawl()
    assert road.crawl(limit=7).withdrawn == 0


def test_there_are_no_other_kinds(road: Road) -> None:
    with pytest.raises(ConfigError, match="worldbank has no tender"):
        road.crawl(kinds=(Kind.TENDER,))


def test_a_full_last_page_is_followed_by_one_that_is_empty(tmp_path: Path) -> None:
    bank = WorldBank(NOW, 0)
    for _ in range(2 * ROWS):
        bank.add()
    with Road.open(bank, TABLE, tmp_path) as road:
        run = road.crawl()
        assert (run.verdict, run.seen, road.rows) == (Verdict.OK, 2 * ROWS, 3)


def test_pages_smaller_than_asked_for_are_accepted(road: Road) -> None:
    road.source.rows_cap = 30
    assert road.crawl().verdict is Verdict.OK
    assert road.records().keys() == road.keys()


def test_no_notices_are_no_error(road: Road) -> None:
    road.source.notices.clear()
    run = road.crawl()
    assert (run.verdict, run.seen, run.reasons) == (Verdict.OK, 0, ())


# Bad days -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "match", "verdict", "reason"),
    [
        ("unfiltered", "rows", Verdict.FAILED, "filter"),
        ("unfiltered", "rows", Verdict.FAILED, "listing"),
        ("stray", "os=0&", Verdict.PARTIAL, "filter"),
        ("unsorted", "rows", Verdict.PARTIAL, "unsorted"),
        ("stuck", "rows", Verdict.FAILED, "duplicate_key"),
        ("duplicates", "os=100&", Verdict.PARTIAL, "duplicate_key"),
        ("short", "rows", Verdict.PARTIAL, "short"),
        ("overfull", "rows", Verdict.PARTIAL, "shape"),
        ("no_total", "rows", Verdict.PARTIAL, "shape"),
        ("odd_row", "os=0&", Verdict.PARTIAL, "shape"),
        ("drifted", "os=100&", Verdict.FAILED, "listing"),
        ("html", "rows", Verdict.FAILED, "listing"),
        ("new_column", "rows", Verdict.OK, "unknown_label"),
        ("error", "os=100&", Verdict.FAILED, "listing"),
        ("truncated", "os=100&", Verdict.FAILED, "listing"),
        ("challenge", "rows", Verdict.BLOCKED, "blocked"),
        ("too_many", "rows", Verdict.FAILED, "rate_limited"),
    ],
)
def test_a_broken_contract_is_told_and_stores_nothing_wrong(
    road: Road, fault: str, match: str, verdict: Verdict, reason: str
) -> None:
    road.server.faults.add(fault, match, seconds=3600)
    road.assert_told(verdict, f"{reason}:")
    assert road.rows <= 5
    assert road.records().keys() <= road.keys()
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    assert road.crawl().withdrawn == 0
    assert road.records().keys() == road.keys()


@pytest.mark.parametrize("fault", ["unfiltered", "stray", "stuck", "short", "empty", "odd_row", "drifted", "html"])
def test_bad_days_withdraw_nothing_and_change_nothing(road: Road, fault: str) -> None:
    road.crawl()
    road.assert_unmoved(fault)


def test_a_source_gone_quiet_is_told(road: Road) -> None:
    road.configure('[portal.options]\nstale_after = "30d"\n')
    road.assert_stale(40)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ('[portal.options]\ncuontry = "Indonesia"\n', "portal bank: options.cuontry"),
        ('[portal.options]\ncountry = ""\n', "portal bank: options.country"),
        ('[portal.options]\nstale_after = "soon"\n', "'soon' is not a duration"),
    ],
)
def test_options_that_cannot_be_are_named(tmp_path: Path, options: str, told: str) -> None:
    (portal,) = make_config(TABLE + options, "https://bank.example.org/api", tmp_path).portal
    with pytest.raises(ConfigError, match=told):
        parse_options(Options, portal)


if __name__ == "__main__":
    write_values(find_pages("worldbank"), read_page)
