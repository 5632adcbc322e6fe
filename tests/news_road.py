"""A made-up newsroom on loopback, the configuration that reads it and the database that keeps it, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from aggregator.models import Event, Record, Sweep
from aggregator.verdicts import Run, Verdict
from demo.newsroom import Newsroom
from demo.syndication import Feeds
from demo.wordpress import Site
from tests.road import NOW, SourceRoad

TABLE = """\
[[portal]]
id = "blp"
family = "FAMILY"
name = "Berita BLP"
url = "{url}PATH"
kinds = ["news"]
options = { OPTIONS }
"""


# Faults of the line, which are told alike of whatever comes over it.
BAD_LINES = [
    ("error", Verdict.FAILED, "listing: blp: 500"),
    ("truncated", Verdict.FAILED, "listing: blp: "),
    ("challenge", Verdict.BLOCKED, "blocked: "),
]


@dataclass
class NewsRoad(SourceRoad[Site | Feeds]):
    """A road to what tells of a newsroom; the newsroom's clock is the road's."""

    @property
    def newsroom(self) -> Newsroom:
        return self.source.newsroom

    def crawl(self, sweep: Sweep = Sweep.FULL, minutes: float = 20, **order: Any) -> Run:
        self.newsroom.now += timedelta(minutes=minutes)
        self.now = self.newsroom.now
        return super().crawl(sweep, 0, **order)

    def content(self) -> dict[str, Record]:
        """The records without what each visit moves."""
        return {key: replace(record, last_seen=NOW) for key, record in self.records().items()}

    def crawl_news(self) -> tuple[str, str, list[tuple[str, tuple[Event, ...]]]]:
        """An article comes and another is edited: an open sweep finds both. Their numbers, and what is told of them."""
        count = len(self.events())
        added = self.newsroom.publish().id
        self.newsroom.edit(added - 3, "Diralat.")
        run = self.crawl(Sweep.OPEN)
        assert (run.verdict, run.new, run.changed) == (Verdict.OK, 1, 1)
        return str(added), str(added - 3), self.events(count)

    def assert_bad_days(self, fault: str, match: str, verdict: Verdict, reason: str) -> None:
        """Runs under ``fault``, after a good one, are told and move nothing; the next finds all as it was."""
        self.crawl()
        before = self.content()
        self.server.faults.add(fault, match=match)
        for _ in range(3):
            run = self.crawl()
            assert run.verdict is verdict
            assert not reason or any(told.startswith(reason) for told in run.reasons), run.reasons
            assert (run.new, run.changed, run.withdrawn) == (0, 0, 0)
        assert self.content() == before
        self.server.faults.clear()
        assert (self.crawl().verdict, self.content()) == (Verdict.OK, before)


@contextmanager
def open_road(folder: Path, family: str, source: Site | Feeds, path: str = "", options: str = "") -> Iterator[NewsRoad]:
    """A road to ``source``, whose portal's url is its prefix and ``path``; its server ends with the block."""
    table = TABLE.replace("FAMILY", family).replace("PATH", path).replace("OPTIONS", options)
    with NewsRoad.open(source, table, folder) as road:
        yield road
