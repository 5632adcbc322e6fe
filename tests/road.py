"""A stand-in on loopback, the configuration that reads it and the database that keeps it, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, Self, TypeVar
from zoneinfo import ZoneInfo

from aggregator.config import Config, parse_config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Event, Record, Sweep, Tender
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from demo.messages import StandIn
from demo.server import Server, serve
from demo.spse import Portal
from demo.world import World
from spiders.crawl import Order, crawl

NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
WIB = ZoneInfo("Asia/Jakarta")
ALL = Filter()
# What the stand-in cannot know (the address it is served at) or makes up anew at each answer.
UNTOLD = {"url", "documents"}

# A configuration without its portals.
HEAD = """\
[publisher]
name = "BLP Kota Malang"
url = "https://blp.example.go.id/umpan/"
authority = "blp.example.go.id"
since = "2026-01-01"
place = "Kota Malang"

[crawl]
delay = 0.0

"""

S = TypeVar("S", bound=StandIn)


def make_config(table: str, url: str, folder: Path) -> Config:
    """HEAD and a [[portal]] table, in which ``{url}`` stands for the address; its files would lie in ``folder``."""
    return parse_config(HEAD + table.replace("{url}", url), folder / "warta.toml")


@dataclass
class AnyRoad(Generic[S]):
    """A stand-in, the [[portal]] table and the configuration that read it, and the database that keeps it."""

    source: S
    table: str
    server: Server
    config: Config
    repository: Repository
    now: datetime = NOW

    @classmethod
    @contextmanager
    def open(cls, source: S, table: str, folder: Path) -> Iterator[Self]:
        """Serves the stand-in until the block ends; ``{url}`` in ``table`` stands for the address of its prefix."""
        with serve([source]) as server:
            config = make_config(table, server.url + source.prefix, folder)
            yield cls(source, table, server, config, Repository(open_database(config.database_url)))

    def configure(self, options: str) -> None:
        """The next runs read the source with ``options``: what follows the lines of the road's own table."""
        self.config = make_config(self.table + options, self.server.url + self.source.prefix, self.config.folder)

    def crawl(self, sweep: Sweep = Sweep.FULL, minutes: float = 60, **order: Any) -> Run:
        """One run, ``minutes`` after the one before."""
        self.now += timedelta(minutes=minutes)
        self.server.stats.reset()
        (run,) = crawl(self.config, self.config.portal, self.repository, Order(sweep=sweep, **order), now=self.now)
        return run

    def events(self, since: int = 0) -> list[tuple[str, tuple[Event, ...]]]:
        """Key and events of the releases after the first ``since``, oldest first."""
        found = self.repository.find_releases(ALL, self.now, WIB, limit=10_000)
        return [(release.key, release.events) for release, _ in reversed(found)][since:]

    def asked(self, page: str) -> int:
        """How often the last run asked for a page of this sort."""
        return self.server.stats.pages[page]


@dataclass
class SourceRoad(AnyRoad[S]):
    """A road to a source that has no key twice, whatever the kind."""

    def records(self) -> dict[str, Record]:
        return {record.tender.key: record for record in self.repository.find(ALL, self.now, WIB)}

    def tenders(self) -> dict[str, Tender]:
        return {key: record.tender for key, record in self.records().items()}

    def assert_told(self, verdict: Verdict, reason: str) -> None:
        """The next run ends in ``verdict``, and one of its reasons begins with ``reason``."""
        run = self.crawl()
        assert run.verdict is verdict
        assert any(told.startswith(reason) for told in run.reasons), run.reasons

    def assert_nothing_new(self, sweep: Sweep = Sweep.FULL) -> None:
        """The next run finds everything as it was, and tells nothing."""
        told = self.events()
        run = self.crawl(sweep)
        assert (run.verdict, run.new, run.changed, run.unchanged) == (Verdict.OK, 0, 0, run.seen)
        assert self.events() == told

    def assert_stops_early(self, page: str, add: Callable[[], str]) -> None:
        """An open sweep asks for one ``page`` while nothing is new, and for one more after ``add``."""
        assert (self.crawl(Sweep.OPEN).verdict, self.asked(page)) == (Verdict.OK, 1)
        key = add()
        run = self.crawl(Sweep.OPEN)
        assert (run.verdict, run.new, self.asked(page)) == (Verdict.OK, 1, 2)
        assert key in self.records()

    def assert_stale(self, days: int, reason: str = "stale: ") -> None:
        """What is fine today is told as gone quiet after so many days without news."""
        assert self.crawl().verdict is Verdict.OK
        run = self.crawl(minutes=days * 24 * 60)
        assert run.verdict is Verdict.PARTIAL
        assert [told.startswith(reason) for told in run.reasons] == [True], run.reasons

    def assert_unmoved(self, fault: str) -> None:
        """Under ``fault`` nothing is withdrawn and nothing changed; only an empty list may look like a good one."""
        before = self.tenders()
        self.server.faults.add(fault)
        for _ in range(3):
            run = self.crawl()
            assert run.verdict is not Verdict.OK or fault == "empty"
            assert run.withdrawn == 0
        assert self.tenders() == before


@dataclass
class Road(AnyRoad[Portal]):
    """A road to a made-up SPSE portal."""

    @property
    def world(self) -> World:
        return self.source.world

    def crawl(self, sweep: Sweep = Sweep.FULL, minutes: float = 20, **order: Any) -> Run:
        return super().crawl(sweep, minutes, **{"years": (2025, 2026, 2027), **order})

    def records(self) -> dict[tuple[str, str], Record]:
        return {(r.tender.kind, r.tender.key): r for r in self.repository.find(ALL, self.now, WIB)}

    def truth(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(row["kind"], row["key"]): row for row in self.world.truth()}

    def assert_true(self) -> None:
        """The database says what the portal says, field by field, and not one package more."""
        records, truth = self.records(), self.truth()
        assert records.keys() == truth.keys()
        for identity, expected in truth.items():
            told = records[identity].as_dict()
            if expected["registration_deadline"] is None:
                told["registration_deadline"] = None  # kept after the package has left the home page
            wrong = {k: (told[k], v) for k, v in expected.items() if k not in UNTOLD and not is_same(told[k], v)}
            assert not wrong, identity


def is_same(told: Any, expected: Any) -> bool:
    if isinstance(told, str) and isinstance(expected, str) and told != expected:
        try:
            return datetime.fromisoformat(told) == datetime.fromisoformat(expected)
        except ValueError:
            return False
    return bool(told == expected)
