"""What a crawl may cost, in counts that do not flicker: requests, SQL statements, rows written, bytes archived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aggregator.database import metadata, reading, tenders
from aggregator.models import Reading, Sweep
from aggregator.repository import Repository
from benchmarks.portals import read
from benchmarks.requesting import make_small_world, served
from demo.packages import BIDDING_KINDS, KINDS
from demo.spse import Portal
from demo.world import World
from spiders.crawl import make_runner
from tests.conftest import SPSE
from tests.feed_samples import TENDER
from tests.road import NOW, Road

YEARS = (2025, 2026, 2027)  # those that a road reads
DETAILS = ("announcement", "schedule", "winner", "contracted", "realised", "participants", "evaluation")
SMALL = {"tenders": 12, "non_tenders": 12, "recorded": 6, "self_managed": 4, "emergencies": 2}


@contextmanager
def watch(engine: sa.Engine | type[sa.Engine]) -> Iterator[list[str]]:
    """The statements that a database is sent within the block."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def details(road: Road) -> int:
    return sum(road.asked(page) for page in DETAILS)


def archive_bytes(road: Road) -> int:
    return sum(path.stat().st_size for path in Path(road.config.folder).rglob("*.zst"))


def count_rows(road: Road) -> dict[str, int]:
    with reading(road.repository.engine) as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def contents(road: Road) -> list[Any]:
    """All that the database says of tenders, but for when they were last seen."""
    columns = [column for column in tenders.c if column.name not in ("last_seen", "last_read")]
    with reading(road.repository.engine) as connection:
        return list(connection.execute(sa.select(*columns).order_by(tenders.c.id)))


# Requests -------------------------------------------------------------------------------------------------


def test_a_first_full_crawl_asks_at_most_three_times_and_a_third_for_a_package(make_road: Callable[..., Road]) -> None:
    road = make_road(tenders=60, non_tenders=90, recorded=40, self_managed=25, emergencies=3)
    run = road.crawl()
    assert run.new == len(road.truth()) == 218
    assert run.requests == len(road.server.stats.requests) <= 3.3 * run.new
    assert (road.server.stats.absent, road.asked("participants"), road.asked("evaluation")) == (0, 0, 0)
    assert max(Counter(seen.address for seen in road.server.stats.requests if seen.page in DETAILS).values()) == 1


def test_a_full_sweep_of_an_unchanged_portal_asks_for_its_lists_alone(make_road: Callable[..., Road]) -> None:
    road = make_road(tenders=110, non_tenders=10)
    first = road.crawl()
    run = road.crawl()
    assert (run.unchanged, details(road)) == (first.new, 0)
    assert run.requests <= run.seen / 100 + 3 * len(KINDS) * len(YEARS) + 1
    assert road.asked("home") == 1
    assert road.asked("list") == len(KINDS) * len(YEARS)


def test_an_open_sweep_asks_once_and_at_most_three_times_for_each_change(make_road: Callable[..., Road]) -> None:
    road = make_road()
    road.crawl()
    run = road.crawl(Sweep.OPEN)
    assert (run.requests, run.new, run.changed) == (1, 0, 0)
    repriced, rescheduled = (package.key for kind in BIDDING_KINDS for package in road.world.open(kind)[:1])
    road.world.reprice(repriced)
    run = road.crawl(Sweep.OPEN)
    assert (run.requests <= 1 + 3, run.new, run.changed) == (True, 0, 1)
    road.world.reprice(rescheduled)
    road.world.add(BIDDING_KINDS[0])
    road.world.add(BIDDING_KINDS[1])
    run = road.crawl(Sweep.OPEN)
    assert (run.requests <= 1 + 3 * 3, run.new, run.changed) == (True, 2, 1)


# Rows and statements --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sweep", Sweep)
def test_a_crawl_that_finds_nothing_new_writes_that_it_was_there_and_no_more(
    make_road: Callable[..., Road], sweep: Sweep
) -> None:
    road = make_road()
    road.crawl()
    rows, said = count_rows(road), contents(road)
    with watch(road.repository.engine) as sent:
        run = road.crawl(sweep)
    assert run.unchanged == run.seen > 0
    grown = {name: number - rows[name] for name, number in count_rows(road).items() if number != rows[name]}
    assert grown == {"snapshots": run.requests, "runs": 1}
    assert contents(road) == said
    assert {statement.split()[2] for statement in sent if statement.startswith("INSERT")} == {"snapshots", "runs"}
    assert not any(statement.startswith("DELETE") for statement in sent)


def test_statements_do_not_grow_with_the_packages_that_are_known(tmp_path: Path) -> None:
    small, large = (count_statements(tmp_path / f"{times}", times) for times in (1, 4))
    assert large[Sweep.OPEN] == small[Sweep.OPEN]
    assert large[Sweep.OPEN][1] <= 60
    # More requests for longer lists, each with its own: whether the archive has its body, and that its rows were seen.
    pages = large[Sweep.FULL][0] - small[Sweep.FULL][0]
    assert large[Sweep.FULL][1] - small[Sweep.FULL][1] <= 4 * pages


def count_statements(folder: Path, times: int) -> dict[Sweep, tuple[int, int]]:
    """Requests and statements of the sweeps of a portal with so many times SMALL packages, all known and unchanged."""
    sizes: dict[str, Any] = {kind: times * number for kind, number in SMALL.items()}
    found = {}
    with Road.open(Portal(World(NOW, **sizes)), SPSE, folder) as road:
        assert road.crawl().new == times * sum(SMALL.values())
        for sweep in (Sweep.OPEN, Sweep.FULL):
            with watch(road.repository.engine) as sent:
                run = road.crawl(sweep)
            assert (run.new, run.changed) == (0, 0)
            found[sweep] = (run.requests, len(sent))
    return found


@pytest.mark.parametrize("told", ["new", "unchanged", "changed"])
def test_a_batch_takes_the_same_statements_whatever_is_known(repository: Repository, told: str) -> None:
    def save(first: int, number: int, value: str = "") -> int:
        found = [replace(TENDER, key=f"{key}", title=f"Paket {key}{value}") for key in range(first, first + number)]
        with watch(repository.engine) as sent:
            repository.save([Reading(tender=tender) for tender in found], NOW)
        return len(sent)

    counts = []
    for known in (0, 100, 700):
        save(10_000 + known, known)
        start = 1_000_000 * (known + 1)
        if told != "new":
            save(start, 50)
        counts.append(save(start, 50, "!" if told == "changed" else ""))
    assert len(set(counts)) == 1
    assert counts[0] <= 16


def test_the_run_of_a_portal_looks_at_no_other_portals_runs() -> None:
    """Else what 730 portals take grows with their square."""
    looked = {}
    for portals in (1, 4):
        with served([make_small_world(number) for number in range(portals)]) as (_server, config):
            read(config, Sweep.OPEN)
            with watch(sa.Engine) as sent:
                assert len(read(config, Sweep.OPEN, after=1)["runs"]) == portals
        of_runs = [statement for statement in sent if "FROM runs" in statement and "max(runs.id)" not in statement]
        looked[portals] = sum("runs.portal = ?" not in statement for statement in of_runs)
        assert len(of_runs) > portals
    assert looked[4] == looked[1]


def test_only_the_families_that_are_read_are_imported() -> None:
    assert make_runner({"spse"}).spider_loader.list() == ["spse"]
    assert sorted(make_runner({"spse", "ted"}).spider_loader.list()) == ["spse", "ted"]


@pytest.mark.parametrize("family", ["spce", "crawl", "no.such", ""])
def test_where_a_family_is_none_all_are_there_to_choose_from(family: str) -> None:
    assert {"spse", "ted", "ocds", "sirup"} <= set(make_runner({"spse", family}).spider_loader.list())


# The archive ----------------------------------------------------------------------------------------------


def test_the_archive_takes_some_kilobytes_for_a_page_and_a_note_for_one_that_it_has(road: Road) -> None:
    run = road.crawl()
    first = archive_bytes(road)
    assert first <= 2_500 * run.requests
    run = road.crawl(Sweep.OPEN)
    assert run.requests == 1
    assert archive_bytes(road) - first <= 600
