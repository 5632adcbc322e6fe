"""A made-up newsroom on loopback, the configuration that reads it and the database that keeps it, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from aggregator.config import Config, parse_config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Event, Record, Run, Sweep
from aggregator.repository import Repository
from demo.messages import StandIn
from demo.newsroom import Newsroom
from demo.server import Server, serve
from spiders.crawl import Order, crawl
from tests.road import NOW, WIB

CONFIG = """\
[publisher]
name = "BLP Kota Malang"
url = "https://blp.example.go.id/umpan/"
authority = "blp.example.go.id"
since = "2026-01-01"

[crawl]
delay = 0.0

[[portal]]
id = "blp"
family = "{family}"
name = "Berita BLP"
url = "{url}"
kinds = ["news"]
options = {{ {options} }}
"""


@dataclass
class NewsRoad:
    """A newsroom, the server that tells of it, the configuration that reads that, and the database."""

    newsroom: Newsroom
    server: Server
    config: Config
    repository: Repository

    def crawl(self, sweep: Sweep = Sweep.FULL, **order: Any) -> Run:
        """One run, twenty minutes after the one before."""
        self.newsroom.now += timedelta(minutes=20)
        self.server.stats.reset()
        now = self.newsroom.now
        (run,) = crawl(self.config, self.config.portal, self.repository, Order(sweep=sweep, **order), now=now)
        return run

    def records(self) -> dict[str, Record]:
        return {r.tender.key: r for r in self.repository.find(Filter(), self.newsroom.now, WIB)}

    def content(self) -> dict[str, Record]:
        """The records without what each visit moves."""
        return {key: replace(record, last_seen=NOW) for key, record in self.records().items()}

    def events(self) -> list[tuple[str, tuple[Event, ...]]]:
        """Key and events of every release, oldest first."""
        found = self.repository.find_releases(Filter(), self.newsroom.now, WIB, limit=10_000)
        return [(release.key, release.events) for release, _ in reversed(found)]


@contextmanager
def open_road(
    folder: Path, family: str, stand_in: StandIn, newsroom: Newsroom, path: str = "", options: str = ""
) -> Iterator[NewsRoad]:
    """A road to ``stand_in``, whose portal's url is its prefix and ``path``; its server ends with the block."""
    with serve([stand_in]) as server:
        text = CONFIG.format(family=family, url=f"{server.url}{stand_in.prefix}{path}", options=options)
        config = parse_config(text, folder / "warta.toml")
        yield NewsRoad(newsroom, server, config, Repository(open_database(config.database_url)))
