"""A made-up portal on loopback, the configuration that reads it and the database that keeps it, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.config import Config
from aggregator.filters import Filter
from aggregator.models import Event, Record, Run, Sweep
from aggregator.repository import Repository
from demo.server import Server
from demo.world import World
from spiders.crawl import Order, crawl

NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
WIB = ZoneInfo("Asia/Jakarta")
ALL = Filter()
# What the stand-in cannot know (the address it is served at) or makes up anew at each answer.
UNTOLD = {"url", "documents"}


@dataclass
class Road:
    """A made-up portal, the configuration that reads it, and the database that keeps it."""

    world: World
    server: Server
    config: Config
    repository: Repository
    now: datetime = NOW

    def crawl(self, sweep: Sweep = Sweep.FULL, minutes: float = 20, **order: Any) -> Run:
        """One run, ``minutes`` after the one before."""
        self.now += timedelta(minutes=minutes)
        self.server.stats.reset()
        years = order.pop("years", (2025, 2026, 2027))
        (run,) = crawl(
            self.config,
            self.config.portal,
            self.repository,
            Order(sweep=sweep, years=years, **order),
            now=self.now,
        )
        return run

    def records(self) -> dict[tuple[str, str], Record]:
        return {(r.tender.kind, r.tender.key): r for r in self.repository.find(ALL, self.now, WIB)}

    def truth(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(row["kind"], row["key"]): row for row in self.world.truth()}

    def events(self, since: int = 0) -> list[tuple[str, tuple[Event, ...]]]:
        """Key and events of the releases after the first ``since``, oldest first."""
        found = self.repository.find_releases(ALL, self.now, WIB, limit=10_000)
        return [(release.key, release.events) for release, _ in reversed(found)][since:]

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
