"""The World Bank's notices: pages beside the values they mean, and crawls of the stand-in over real HTTP.

`python -m tests.test_worldbank` writes the values of pages that have none yet, to be read before they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aggregator.config import Config, ConfigError, parse_config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Category, Event, Kind, Method, Record, Run, Status, Sweep, Verdict
from aggregator.repository import Repository
from demo.server import Server, serve
from demo.worldbank import WorldBank
from spiders.crawl import Order, crawl
from spiders.options import parse_options
from spiders.reading import ShapeError
from spiders.worldbank import ROWS, Options, find_status, make_tender, parse_markup, parse_page
from tests.conftest import CONFIG

NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
WIB = ZoneInfo("Asia/Jakarta")
FIXTURES = Path(__file__).parent / "fixtures" / "worldbank"
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "worldbank"


def read_page(path: Path) -> dict[str, Any]:
    page = parse_page(path.read_bytes(), WIB)
    return {
        "start": page.start,
        "total": page.total,
        "size": page.size,
        "tenders": [make_tender("bank", notice, NOW).as_dict() for notice in page.notices],
        "unknown": {notice.key: list(notice.unknown) for notice in page.notices if notice.unknown},
        "broken": [f"{error} ({error.sample})" for error in page.broken],
    }


# Pages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*[a-z].json")), ids=lambda path: path.stem)
def test_each_page_means_its_value(path: Path) -> None:
    if path.name.endswith(".value.json"):
        return
    assert read_page(path) == json.loads(path.with_suffix(".value.json").read_text(encoding="utf-8"))


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


@dataclass
class Road:
    """The stand-in, the configuration that reads it, and the database that keeps it."""

    bank: WorldBank
    server: Server
    config: Config
    repository: Repository
    now: datetime = NOW

    def crawl(self, sweep: Sweep = Sweep.FULL, minutes: float = 60, **order: Any) -> Run:
        self.now += timedelta(minutes=minutes)
        self.server.stats.reset()
        order_ = Order(sweep=sweep, **order)
        (run,) = crawl(self.config, self.config.portal, self.repository, order_, now=self.now)
        return run

    def records(self) -> dict[str, Record]:
        return {record.tender.key: record for record in self.repository.find(Filter(), self.now, WIB)}

    def events(self) -> list[tuple[str, tuple[Event, ...]]]:
        found = self.repository.find_releases(Filter(), self.now, WIB, limit=10_000)
        return [(release.key, release.events) for release, _ in reversed(found)]

    def keys(self) -> set[str]:
        return {notice["id"] for notice in self.bank.of("Indonesia")}

    @property
    def rows(self) -> int:
        return self.server.stats.pages["rows"]


def make_config(url: str, folder: Path, options: str = "") -> Config:
    head = CONFIG.split("[[portal]]")[0]
    portal = f'[[portal]]\nid = "bank"\nfamily = "worldbank"\nname = "World Bank"\nurl = "{url}"\n{options}'
    return parse_config(head + portal, folder / "warta.toml")


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    bank = WorldBank(NOW, 250)
    with serve([bank]) as server:
        config = make_config(f"{server.url}/worldbank", tmp_path)
        yield Road(bank, server, config, Repository(open_database(config.database_url)))


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
    told = road.events()
    run = road.crawl()
    assert (run.verdict, run.new, run.changed, run.unchanged) == (Verdict.OK, 0, 0, run.seen)
    assert road.events() == told


def test_an_open_sweep_asks_for_one_page_while_nothing_is_new(road: Road) -> None:
    road.crawl()
    assert road.crawl(Sweep.OPEN).verdict is Verdict.OK
    assert road.rows == 1
    key = road.bank.add()
    run = road.crawl(Sweep.OPEN)
    assert (run.verdict, run.new, road.rows) == (Verdict.OK, 1, 2)
    assert key in road.records()


def test_a_changed_notice_is_told_once(road: Road) -> None:
    road.crawl()
    key = next(r.tender.key for r in road.records().values() if r.tender.status is Status.ACTIVE)
    road.bank.notices[key]["submission_deadline_date"] = "2027-02-01T00:00:00Z"
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
    del road.bank.notices[key]
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
    with serve([bank]) as server:
        config = make_config(f"{server.url}/worldbank", tmp_path)
        road = Road(bank, server, config, Repository(open_database(config.database_url)))
        run = road.crawl()
        assert (run.verdict, run.seen, road.rows) == (Verdict.OK, 2 * ROWS, 3)


def test_pages_smaller_than_asked_for_are_accepted(road: Road) -> None:
    road.bank.rows_cap = 30
    assert road.crawl().verdict is Verdict.OK
    assert road.records().keys() == road.keys()


def test_no_notices_are_no_error(road: Road) -> None:
    road.bank.notices.clear()
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
    run = road.crawl()
    assert run.verdict is verdict
    assert any(text.startswith(f"{reason}:") for text in run.reasons)
    assert road.rows <= 5
    assert road.records().keys() <= road.keys()
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    assert road.crawl().withdrawn == 0
    assert road.records().keys() == road.keys()


@pytest.mark.parametrize("fault", ["unfiltered", "stray", "stuck", "short", "empty", "odd_row", "drifted", "html"])
def test_bad_days_withdraw_nothing_and_change_nothing(road: Road, fault: str) -> None:
    road.crawl()
    before = {key: record.tender for key, record in road.records().items()}
    road.server.faults.add(fault)
    for _ in range(3):
        run = road.crawl()
        assert run.verdict is not Verdict.OK or fault == "empty"
        assert run.withdrawn == 0
    assert {key: record.tender for key, record in road.records().items()} == before


def test_a_source_gone_quiet_is_told(road: Road, tmp_path: Path) -> None:
    url = road.config.portal[0].url
    road.config = make_config(url, tmp_path, '[portal.options]\nstale_after = "30d"\n')
    assert road.crawl().verdict is Verdict.OK
    run = road.crawl(minutes=40 * 24 * 60)
    assert run.verdict is Verdict.PARTIAL
    assert [reason.split(":")[0] for reason in run.reasons] == ["stale"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ('[portal.options]\ncuontry = "Indonesia"\n', "portal bank: options.cuontry"),
        ('[portal.options]\ncountry = ""\n', "portal bank: options.country"),
        ('[portal.options]\nstale_after = "soon"\n', "'soon' is not a duration"),
    ],
)
def test_options_that_cannot_be_are_named(tmp_path: Path, options: str, told: str) -> None:
    (portal,) = make_config("https://bank.example.org/api", tmp_path, options).portal
    with pytest.raises(ConfigError, match=told):
        parse_options(Options, portal)


if __name__ == "__main__":
    for fixture in FIXTURES.glob("*.json"):
        value = fixture.with_suffix(".value.json")
        if not fixture.name.endswith(".value.json") and not value.exists():
            value.write_text(json.dumps(read_page(fixture), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
