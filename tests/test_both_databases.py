"""PostgreSQL is a full equal of SQLite: the same crawls, the same bytes; and a restart of its server loses nothing."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Engine

import aggregator.database
import aggregator.pipeline
from aggregator.config import Portal as PortalTable
from aggregator.database import DatabaseAway, DatabaseError, open_database, writing
from aggregator.exports.jsonl import write_jsonl
from aggregator.filters import Filter
from aggregator.models import Kind, Reading, Sweep
from aggregator.patience import PATIENCE, WAITS, persist
from aggregator.repository import Repository
from aggregator.runs import Tally
from aggregator.verdicts import Run, Verdict
from demo.server import serve
from demo.spse import Portal
from demo.world import World
from feeds.publish import publish
from spiders.crawl import Order, _Crawl, crawl
from spiders.replay import replay
from tests.conftest import SPSE
from tests.databases import OwnServer, Server, start_server
from tests.feed_samples import READ, TENDER
from tests.road import ALL, NOW, WIB, Road, make_config

MINUTE = timedelta(minutes=1)
FEW = {"tenders": 24, "non_tenders": 4, "recorded": 2, "self_managed": 2, "emergencies": 1}
SEARCHES: list[dict[str, Any]] = [
    {"q": "jalan"},
    {"q": '"rehabilitasi jalan" OR obat -sewa'},
    {"q": "pembangunan gedung"},
    {"status": "active", "sort": "deadline"},
    {"category": "works", "min_value": 200_000_000, "sort": "value"},
    {"kind": ["tender", "non_tender"], "sort": "changed", "limit": 5},
    {"procuring_entity": "dinas kesehatan"},
    {"location": "malang"},
    {"retender": True},
]


@pytest.fixture
def same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two crawls of a stand-in at the same time read the same: links to documents and the clock stand still."""

    def link(place: Any, package: Any, file: str, session: str) -> str:
        return f'<a href="/{place.slug}/dl/{package.key}" title=" "><i class="fa fa-download"></i>&nbsp;{file}</a>'

    monkeypatch.setattr("demo.spse_announcement._download", link)
    monkeypatch.setattr(_Crawl, "_time", lambda crawl: crawl.now)


@contextmanager
def open_roads(folder: Path, addresses: dict[str, str], **world: Any) -> Iterator[dict[str, Road]]:
    """Roads from one stand-in to each database, with a folder of its own each."""
    source = Portal(World(NOW, **world))
    with serve([source]) as server:
        roads = {}
        for name, address in addresses.items():
            (folder / name).mkdir(exist_ok=True)
            config = make_config(SPSE, server.url + source.prefix, folder / name)
            roads[name] = Road(source, SPSE, server, config, Repository(open_database(address)))
        yield roads
        for road in roads.values():
            road.repository.engine.dispose()


def export(repository: Repository, road: Road) -> bytes:
    stream = BytesIO()
    write_jsonl(repository.find(ALL, road.now, WIB), stream)
    return stream.getvalue()


def read_tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def find_all_releases(road: Road) -> list[Any]:
    return road.repository.find_releases(ALL, road.now, WIB, limit=10_000)


def test_the_same_crawls_are_the_same_on_both(same_answers: None, postgresql: Server, tmp_path: Path) -> None:
    sizes = {"tenders": 12, "non_tenders": 12, "recorded": 6, "self_managed": 4, "emergencies": 2}
    with (
        postgresql.make_database() as address,
        open_roads(tmp_path, {"sqlite": f"sqlite:///{tmp_path}/warta.db", "postgresql": address}, **sizes) as roads,
    ):
        world = roads["sqlite"].world

        def crawl_both(sweep: Sweep) -> None:
            runs = [road.crawl(sweep).as_dict() for road in roads.values()]
            assert runs[0] == runs[1]
            assert runs[0]["verdict"] == Verdict.OK

        crawl_both(Sweep.FULL)
        opened = world.open("tender")
        world.reprice(opened[0].key)
        world.reschedule(opened[1].key, 6)
        crawl_both(Sweep.OPEN)
        world.cancel(opened[2].key, "Perubahan anggaran")
        world.add("tender")
        crawl_both(Sweep.FULL)

        mine, theirs = roads.values()
        assert export(mine.repository, mine) == export(theirs.repository, theirs)
        assert export(mine.repository, mine).count(b"\n") == 37
        assert find_all_releases(mine) == find_all_releases(theirs)
        for values in SEARCHES:
            wanted = Filter.parse(values)
            found = [list(road.repository.find(wanted, road.now, WIB)) for road in (mine, theirs)]
            assert found[0] == found[1], values
            assert found[0] or values.get("retender") or "q" in values, values
        for road in roads.values():
            publish(road.config, road.repository, road.now + MINUTE)
        trees = [read_tree(road.config.public_folder) for road in roads.values()]
        assert trees[0].keys() == trees[1].keys()
        assert [name for name in trees[0] if trees[0][name] != trees[1][name]] == []

        again = Repository(open_database(f"sqlite:///{tmp_path}/again.db"))
        config = theirs.config
        (run,) = replay(config, config.portal, again, None, theirs.now)  # the archive of the one, into the other
        assert run.verdict is Verdict.OK
        assert export(again, theirs) == export(theirs.repository, theirs)


# A restart in the middle -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_server() -> Iterator[OwnServer]:
    with start_server() as server:
        yield server


class Strike:
    """Restarts the server once that many tenders are read, while the crawl goes on."""

    def __init__(self, server: OwnServer, blow: signal.Signals, at: int) -> None:
        self.restarting = threading.Thread(target=server.restart, args=[blow])
        self._at = at

    def __call__(self, _portal: PortalTable, tally: Tally) -> None:
        if tally.seen >= self._at and self.restarting.ident is None:
            self.restarting.start()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_crawl_outlives_a_restart_of_the_server(
    blow: signal.Signals,
    own_server: OwnServer,
    same_answers: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(aggregator.pipeline, "BATCH", 5)
    databases = Server(own_server.url)
    with (
        databases.make_database() as address,
        open_roads(tmp_path, {"undisturbed": f"sqlite:///{tmp_path}/warta.db", "struck": address}, **FEW) as roads,
    ):
        strike = Strike(own_server, blow, at=20)
        for road, on_progress in zip(roads.values(), (None, strike), strict=True):
            order = Order(years=(2025, 2026, 2027))
            (run,) = crawl(road.config, road.config.portal, road.repository, order, now=NOW, on_progress=on_progress)
            assert (run.verdict, run.errors) == (Verdict.OK, 0), run.reasons
        strike.restarting.join()
        undisturbed, struck = roads.values()
        assert "trying again" in caplog.text
        assert export(struck.repository, struck) == export(undisturbed.repository, undisturbed)
        assert find_all_releases(struck) == find_all_releases(undisturbed)
        answers = [[each.url for each in road.repository.find_snapshots("malangkota", NOW)] for road in roads.values()]
        assert len(answers[0]) == len(answers[1])
    databases.close()


def lose_answer(method: Callable[[], Any]) -> Callable[[], Any]:
    """``method``, whose answer is lost once: what it does is done."""
    answers = iter([False, True])

    def ask() -> Any:
        told = method()
        if not next(answers):
            raise DatabaseAway("the answer was lost")
        return told

    return ask


def test_a_commit_whose_answer_is_lost_is_no_second_one(engine: Engine) -> None:
    repository = Repository(engine)
    tenders = [replace(TENDER, key=str(number)) for number in range(5)]
    run = Run(portal="malangkota", sweep=Sweep.FULL, started=READ, finished=READ + MINUTE, verdict=Verdict.OK)
    changed = [Reading(tender=replace(tender, stage="Evaluasi")) for tender in tenders]
    actions: list[Callable[[], Any]] = [
        lambda: repository.save([Reading(tender=tender) for tender in tenders], READ),
        lambda: repository.save(changed, READ + MINUTE),
        *(
            lambda hours=hours, keys=keys: repository.save_listing(
                "malangkota", Kind.TENDER, 2026, set(keys), READ + 60 * hours * MINUTE, complete=True
            )
            for hours, keys in ((0, "01234"), (1, "0123"), (2, "0123"))
        ),
        lambda: repository.save_run(run),
    ]
    missed = []
    for action in actions:
        persist(lose_answer(action), sleep=lambda seconds: None)
        missed.append(repository.count(Filter.parse({"status": "withdrawn"}), READ, WIB))
    assert missed == [0, 0, 0, 0, 1, 1]
    found = repository.find_releases(ALL, READ, WIB, limit=100)
    assert sorted(Counter(release.key for release, _ in found).values()) == [2, 2, 2, 2, 3]
    assert repository.find_newest_seq() == 11
    assert repository.find_state()[:2] == (11, 1)


# Patience ----------------------------------------------------------------------------------------------


class Clock:
    """Time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_patience_has_an_end() -> None:
    clock = Clock()

    def fail() -> None:
        raise DatabaseAway("database x cannot be reached; is its server running?")

    with pytest.raises(DatabaseAway, match="cannot be reached"):
        persist(fail, clock=clock, sleep=clock.sleep)
    assert PATIENCE - WAITS[-1] <= clock.now <= PATIENCE


def test_what_does_not_pass_is_told_at_once() -> None:
    clock = Clock()

    def fail() -> None:
        raise DatabaseError("no room left")

    with pytest.raises(DatabaseError, match="no room left"):
        persist(fail, clock=clock, sleep=clock.sleep)
    assert clock.now == 0


def test_a_locked_database_is_away(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregator.database, "LOCK_PATIENCE", 0.01)
    engine = open_database(address)
    with writing(engine), pytest.raises(DatabaseAway, match="was locked by another program"), writing(engine):
        pytest.fail("two write transactions at once")
    engine.dispose()


def test_a_server_that_is_not_there_is_away(tmp_path: Path) -> None:
    with pytest.raises(DatabaseAway, match="cannot be reached"):
        open_database(f"postgresql+psycopg://warta@/warta?host={tmp_path}")
