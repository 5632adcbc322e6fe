"""The national blacklist: pages beside the values they mean, and crawls of the stand-in over real HTTP.

`python -m tests.test_blacklist` writes the values of pages that have none yet, to be read before they are kept.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator.archive import Archive
from aggregator.config import Config, ConfigError
from aggregator.database import open_database
from aggregator.models import Event, Kind, Status, Sweep
from aggregator.repository import Repository
from aggregator.sanctions import Blacklist as Sanctioned
from aggregator.verdicts import Verdict
from demo.blacklist import Blacklist, parse_fields
from feeds.publish import publish
from spiders.blacklist import (
    PER_PAGE,
    QUERY,
    STATUSES,
    find_meaning,
    find_row,
    find_status,
    make_tender,
    parse_page,
    render_question,
)
from spiders.reading import ShapeError
from spiders.replay import replay
from tests.pages import find_pages, read_value, tell_odd, write_values
from tests.road import NOW, WIB, SourceRoad

FORMATS = ("rss", "atom", "json", "html")
FIXTURES = Path(__file__).parent / "fixtures" / "blacklist"


def read_page(path: Path) -> dict[str, Any]:
    page = parse_page(path.read_bytes(), WIB)
    return {
        "number": page.number,
        "pages": page.pages,
        "total": page.total,
        "size": page.size,
        "tenders": [make_tender("daftar-hitam", entry, NOW).as_dict() for entry in page.entries],
        **tell_odd(page.entries, page.broken),
    }


# Pages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", find_pages("blacklist"), ids=lambda path: path.stem)
def test_each_page_means_its_value(path: Path) -> None:
    assert read_page(path) == read_value(path)


def _page(blacklists: object = (), **pagination: object) -> bytes:
    told = {"pageNumber": 1, "totalPage": 1, "totalData": 1} | pagination
    return json.dumps({"data": {"blacklists": {"blacklists": blacklists, "pagination": told}}}).encode()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "no JSON"),
        (b"<html>Back soon</html>", "no JSON"),
        (b'{"data": NaN}', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no object"),
        (b"{}", "no list of blacklists"),
        (b'{"data": null}', "no list of blacklists"),
        (b'{"data": {"blacklists": []}}', "stands in no object"),
        (b'{"data": {"blacklists": {"blacklists": []}}}', "no list of blacklists"),
        (b'{"errors": [{"message": "Cannot query field"}], "data": null}', "answers with an error"),
        (b'{"errors": "many", "data": null}', "answers with an error"),
        (_page({}), "no list of blacklists"),
        (_page(totalData=None), "totalData is no number"),
        (_page(totalData="many"), "totalData is no number"),
        (_page(totalPage=-1), "totalPage is no number"),
        (_page(pageNumber=True), "pageNumber is no number"),
        (_page([{"id": "1", "provider": {}}]), "provider.name is missing"),
    ],
)
def test_another_shape_is_no_empty_page(body: bytes, told: str) -> None:
    with pytest.raises(ShapeError, match=told):
        parse_page(body, WIB)


def test_an_error_is_told_in_the_sources_words() -> None:
    with pytest.raises(ShapeError) as caught:
        parse_page(b'{"errors": [{"message": "Cannot query field npwp"}, {"message": "Too deep"}]}', WIB)
    assert caught.value.sample == "Cannot query field npwp; Too deep"


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("PUBLISHED", Status.ACTIVE),
        ("Aktif_Kembali", Status.ACTIVE),
        ("turun-tayang", Status.COMPLETE),
        ("CANCELED", Status.CANCELLED),
        ("Penundaan", Status.CANCELLED),
        ("UNDER_REVIEW", None),
        (None, Status.ACTIVE),
    ],
)
def test_a_status_means_what_it_says_or_nothing(word: str | None, meaning: Status | None) -> None:
    assert find_meaning(word) is meaning


def test_words_of_a_status_are_looked_up_as_they_are_kept() -> None:
    assert all(find_meaning(word) is meaning for word, meaning in STATUSES.items())


def test_a_sanction_is_active_from_its_start_until_its_end() -> None:
    entry = parse_page((FIXTURES / "page.json").read_bytes(), WIB).entries[0]
    assert entry.starts
    assert entry.ends
    second = timedelta(seconds=1)
    moments = (entry.starts - second, entry.starts, entry.ends - second, entry.ends)
    told = [find_status(entry, moment) for moment in moments]
    assert told == [Status.PLANNED, Status.ACTIVE, Status.ACTIVE, Status.COMPLETE]
    for word, status in (("EXPIRED", Status.COMPLETE), ("BATAL", Status.CANCELLED), ("?", None)):
        assert find_status(replace(entry, word=word, meaning=find_meaning(word)), entry.starts) is status
    assert find_status(replace(entry, ends=None), entry.starts) is None


def test_a_fingerprint_moves_with_what_is_kept_and_with_the_status() -> None:
    answer = json.loads((FIXTURES / "page.json").read_text(encoding="utf-8"))
    entry = parse_page(json.dumps(answer).encode(), WIB).entries[0]
    row = answer["data"]["blacklists"]["blacklists"][0]
    row["provider"] |= {"npwp": "00.111.222.3-444.000", "address": "Jl. Rahasia 4"}
    assert parse_page(json.dumps(answer).encode(), WIB).entries[0] == entry
    row["skNumber"] = "028/SK-DH/2026"
    assert find_row(parse_page(json.dumps(answer).encode(), WIB).entries[0], NOW) != find_row(entry, NOW)
    assert find_row(entry, NOW) == find_row(entry, NOW + timedelta(days=1))
    assert find_row(entry, NOW) != find_row(entry, NOW + timedelta(days=365))


def test_numbers_of_taxpayers_and_addresses_are_not_asked_for() -> None:
    fields = parse_fields(QUERY)["blacklists"]["blacklists"]
    assert fields["provider"] == {"name": {}}
    assert not {"npwp", "address"} & set(QUERY.split())
    assert render_question(3, 100) == render_question(3, 100)
    asked = json.loads(render_question(3, 100))
    assert asked["variables"]["input"] == {"filter": {}, "pagination": {"pageNumber": 3, "perPage": 100}}


# Crawls ---------------------------------------------------------------------------------------------------


TABLE = '[[portal]]\nid = "daftar-hitam"\nfamily = "blacklist"\nname = "Daftar hitam"\nurl = "{url}/"\n'


@dataclass
class Road(SourceRoad[Blacklist]):
    def active(self) -> list[str]:
        return [key for key, tender in self.tenders().items() if tender.status is Status.ACTIVE]

    @property
    def rows(self) -> int:
        return self.asked("rows")


FEEDS = """
[[feed]]
id = "daftar-hitam"
title = "Daftar hitam"
filter = { kind = "notice" }

[[feed]]
id = "kabar-daftar-hitam"
title = "Kabar daftar hitam"
kind = "changes"
filter = { kind = "notice" }
"""


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    with Road.open(Blacklist(NOW, 230), TABLE, tmp_path) as road:
        yield road


def test_a_first_crawl_reads_every_entry(road: Road) -> None:
    run = road.crawl()
    assert (run.verdict, run.reasons, run.errors) == (Verdict.OK, (), 0)
    assert road.records().keys() == road.source.entries.keys()
    assert run.new == run.seen == 230
    assert road.rows == 3
    assert {seen.method for seen in road.server.stats.requests if seen.page == "rows"} == {"POST"}


def test_an_entry_becomes_a_notice_with_its_sanction(road: Road) -> None:
    key = road.source.add("PT. CONTOH SEJAHTERA")
    road.crawl()
    told, tender = road.source.entries[key], road.records()[key].tender
    assert (tender.kind, tender.title, tender.status) == (
        Kind.NOTICE,
        "Daftar hitam: PT. CONTOH SEJAHTERA",
        Status.ACTIVE,
    )
    assert tender.url == f"https://daftar-hitam.inaproc.id/blacklist/{key}"
    assert (tender.deadline, tender.value, tender.plans, tender.awards) == (None, None, (), ())
    assert tender.budget
    assert tender.budget.amount == told["tender"]["pagu"]
    assert tender.published == datetime(2026, 11, 24, 9, 0, tzinfo=WIB)
    assert told["tender"]["packageId"] in (tender.description or "")
    (sanction,) = tender.sanctions
    assert (sanction.supplier, sanction.decree) == ("PT. CONTOH SEJAHTERA", told["skNumber"])
    assert sanction.reason == told["violation"]["name"]
    assert sanction.starts == datetime(2026, 11, 24, tzinfo=WIB)
    assert sanction.ends == datetime.fromisoformat(told["expiredDate"])
    found = Sanctioned(road.records().values())
    assert found.find("Contoh Sejahtera, PT", road.now) == sanction
    assert found.find("CV Contoh Sejahtera", road.now) is None


def test_a_second_crawl_finds_nothing_new(road: Road) -> None:
    road.crawl()
    told = road.events()
    for sweep in (Sweep.FULL, Sweep.OPEN):
        run = road.crawl(sweep)
        assert (run.verdict, run.new, run.changed, run.unchanged) == (Verdict.OK, 0, 0, 230)
        assert road.rows == 3
    assert road.events() == told


def test_a_new_entry_is_found_by_an_open_sweep(road: Road) -> None:
    road.crawl()
    key = road.source.add()
    run = road.crawl(Sweep.OPEN)
    assert (run.verdict, run.new) == (Verdict.OK, 1)
    assert key in road.records()


def test_a_changed_entry_is_told_once(road: Road) -> None:
    road.crawl()
    key, told = road.active()[0], len(road.events())
    road.source.entries[key]["expiredDate"] = "2029-01-01T00:00:00+07:00"
    assert road.crawl().changed == 1
    assert road.events()[told:] == [(key, (Event.DETAILS,))]
    assert road.records()[key].tender.sanctions[0].ends == datetime(2029, 1, 1, tzinfo=WIB)


def test_a_sanction_that_is_lifted_is_cancelled_and_accuses_nobody(road: Road) -> None:
    key = road.source.add("CV CONTOH KELIRU")
    road.crawl()
    assert Sanctioned(road.records().values()).find("CV Contoh Keliru", road.now)
    road.source.entries[key]["status"] = "CANCELLED"
    road.crawl()
    assert road.records()[key].tender.status is Status.CANCELLED
    assert road.events()[-1] == (key, (Event.CANCELLED,))
    assert Sanctioned(road.records().values()).find("CV Contoh Keliru", road.now) is None


def test_a_sanction_runs_out_though_its_entry_stays_as_it_is(road: Road) -> None:
    road.crawl()
    running = road.active()
    assert running
    run = road.crawl(minutes=60 * 24 * 365 * 3)
    assert (run.verdict, run.changed, road.active()) == (Verdict.OK, len(running), [])
    assert all(road.records()[key].tender.status is Status.COMPLETE for key in running)
    assert road.crawl().changed == 0


def test_a_sanction_begins_though_its_entry_stays_as_it_is(road: Road) -> None:
    key = road.source.add(day=NOW + timedelta(days=10))
    road.crawl()
    assert road.records()[key].tender.status is Status.PLANNED
    road.crawl(minutes=60 * 24 * 11)
    assert road.records()[key].tender.status is Status.ACTIVE


def test_an_entry_that_is_gone_is_withdrawn_after_two_sweeps(road: Road) -> None:
    road.crawl()
    key = road.active()[0]
    del road.source.entries[key]
    assert road.crawl().withdrawn == 0
    assert road.crawl().withdrawn == 1
    assert road.records()[key].tender.status is Status.WITHDRAWN


@pytest.mark.parametrize(("limit", "pages"), [(7, 1), (100, 1), (150, 2)])
def test_a_limit_is_obeyed_and_withdraws_nothing(road: Road, limit: int, pages: int) -> None:
    run = road.crawl(limit=limit)
    assert (run.verdict, run.seen, road.rows) == (Verdict.OK, limit, pages)
    road.crawl()
    assert road.crawl(limit=limit).withdrawn == 0


def test_pages_smaller_than_asked_for_are_accepted(road: Road) -> None:
    road.source.rows_cap = 30
    assert road.crawl().verdict is Verdict.OK
    assert road.rows == 8
    assert road.records().keys() == road.source.entries.keys()


def test_a_full_last_page_is_the_end(tmp_path: Path) -> None:
    with Road.open(Blacklist(NOW, 2 * PER_PAGE), TABLE, tmp_path) as road:
        assert (road.crawl().verdict, road.rows) == (Verdict.OK, 2)


def test_an_empty_list_is_no_error(road: Road) -> None:
    road.source.entries.clear()
    run = road.crawl()
    assert (run.verdict, run.seen, run.reasons, road.rows) == (Verdict.OK, 0, (), 1)


def test_there_are_no_other_kinds(road: Road) -> None:
    with pytest.raises(ConfigError, match="blacklist has no tender"):
        road.crawl(kinds=(Kind.TENDER,))


def test_a_replay_of_the_archive_changes_nothing(road: Road) -> None:
    road.crawl()
    before = road.tenders()
    (run,) = replay(road.config, road.config.portal, road.repository, None, road.now)
    assert (run.verdict, run.new, run.changed) == (Verdict.OK, 0, 0)
    empty = Repository(open_database(f"sqlite:///{road.config.folder}/again.db"))
    (run,) = replay(road.config, road.config.portal, empty, None, road.now)
    assert run.new == len(before)
    assert replace(road, repository=empty).tenders() == before


def test_tax_numbers_and_addresses_reach_neither_database_nor_feed(road: Road) -> None:
    """Though the source answers them unasked, in entries that cannot be read too; the raw archive keeps answers."""
    road.configure(FEEDS)
    road.server.faults.add("chatty")
    road.crawl()
    road.server.faults.add("odd_row")
    road.server.faults.add("new_column")
    assert road.crawl().verdict is Verdict.PARTIAL
    road.server.faults.add("truncated", "daftarhitam")
    road.server.faults.add("odd_rows")
    assert road.crawl().verdict is Verdict.FAILED
    providers = [entry["provider"] for entry in road.source.entries.values()]
    secrets = [secret for provider in providers for secret in (provider["npwp"].encode(), provider["address"].encode())]
    (first, *_) = road.repository.find_archived_runs("daftar-hitam", NOW)
    archive = Archive(road.config.archive_folder, road.repository)
    raw = b"".join(archive.read(snapshot) for snapshot in road.repository.find_snapshots("daftar-hitam", first))
    assert all(secret in raw for secret in secrets)
    publish(road.config, road.repository, road.now)
    bodies = {
        path.relative_to(road.config.public_folder).as_posix(): path.read_bytes()
        for path in road.config.public_folder.rglob("*")
        if path.is_file() and path.suffix != ".gz"
    }
    bodies["database"] = dump_database(road.config)
    telling = set()
    for name, body in bodies.items():
        assert not [secret for secret in (*secrets, b"Nama Contoh") if secret in body], name
        telling |= {name} if b"Daftar hitam: " in body else set()
    feeds = {f"feeds/{name}.{form}" for name in ("daftar-hitam", "kabar-daftar-hitam") for form in FORMATS}
    assert {"database", *feeds} <= telling


def dump_database(config: Config) -> bytes:
    """Every row of every table, as text."""
    with closing(sqlite3.connect(config.database_url.removeprefix("sqlite:///"))) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in database.execute(f'SELECT * FROM "{table}"')]
    return "\n".join(map(str, rows)).encode()


# Bad days -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "skip", "verdict", "reason"),
    [
        ("errors", 0, Verdict.FAILED, "listing"),
        ("errors", 1, Verdict.FAILED, "listing"),
        ("half", 0, Verdict.FAILED, "listing"),
        ("denied", 0, Verdict.FAILED, "refused"),
        ("bad_request", 0, Verdict.FAILED, "listing"),
        ("stuck", 0, Verdict.FAILED, "listing"),
        ("stuck", 0, Verdict.FAILED, "duplicate_key"),
        ("other_page", 1, Verdict.FAILED, "listing"),
        ("duplicates", 1, Verdict.PARTIAL, "duplicate_key"),
        ("short", 0, Verdict.PARTIAL, "short"),
        ("overfull", 0, Verdict.PARTIAL, "shape"),
        ("no_total", 0, Verdict.FAILED, "listing"),
        ("odd_row", 0, Verdict.PARTIAL, "shape"),
        ("odd_rows", 0, Verdict.FAILED, "listing"),
        ("backwards", 0, Verdict.PARTIAL, "shape"),
        ("drifted", 1, Verdict.FAILED, "listing"),
        ("html", 0, Verdict.FAILED, "listing"),
        ("new_column", 0, Verdict.OK, "unknown_label"),
        ("new_status", 0, Verdict.OK, "unknown_label"),
        ("error", 1, Verdict.FAILED, "listing"),
        ("truncated", 1, Verdict.FAILED, "listing"),
        ("challenge", 0, Verdict.BLOCKED, "blocked"),
        ("challenge", 1, Verdict.BLOCKED, "blocked"),
        ("too_many", 0, Verdict.FAILED, "rate_limited"),
    ],
)
def test_a_broken_contract_is_told_and_stores_nothing_wrong(
    road: Road, fault: str, skip: int, verdict: Verdict, reason: str
) -> None:
    road.server.faults.add(fault, "daftarhitam", skip=skip, seconds=3600)
    road.assert_told(verdict, f"{reason}:")
    assert road.rows <= 4
    assert road.records().keys() <= road.source.entries.keys()
    road.server.faults.clear()
    assert road.crawl().verdict is Verdict.OK
    assert road.crawl().withdrawn == 0
    assert road.records().keys() == road.source.entries.keys()


@pytest.mark.parametrize("fault", ["errors", "stuck", "short", "empty", "odd_row", "drifted", "html", "duplicates"])
def test_bad_days_withdraw_nothing_and_change_nothing(road: Road, fault: str) -> None:
    road.crawl()
    road.assert_unmoved(fault)


def test_fewer_pages_than_the_total_needs_are_read_on(road: Road) -> None:
    road.server.faults.add("few_pages")
    assert road.crawl().verdict is Verdict.OK
    assert road.records().keys() == road.source.entries.keys()


def test_a_status_that_nobody_knows_accuses_nobody(road: Road) -> None:
    key = road.source.add("PT CONTOH RAGU")
    road.server.faults.add("new_status", "daftarhitam", times=1)
    run = road.crawl()
    assert run.reasons == (f"unknown_label: status UNDER_REVIEW ({key})",)
    tender = road.records()[key].tender
    assert (tender.status, tender.stage) == (None, "UNDER_REVIEW")
    assert Sanctioned(road.records().values()).find("PT Contoh Ragu", road.now) is None


def test_a_list_gone_quiet_is_told(road: Road) -> None:
    road.configure('[portal.options]\nstale_after = "30d"\n')
    road.assert_stale(40)


def test_options_that_cannot_be_are_named(road: Road) -> None:
    road.configure("[portal.options]\nnpwp = true\n")
    with pytest.raises(ConfigError, match=r"portal daftar-hitam: options\.npwp"):
        road.crawl()


if __name__ == "__main__":
    write_values(find_pages("blacklist"), read_page)
