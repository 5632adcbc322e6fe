"""The Scrapy item pipeline: what a spider yields goes into the repository in batches."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from aggregator.models import Kind, Listing, Reading, Visit
from aggregator.repository import Repository
from aggregator.runs import Tally
from aggregator.verdicts import Problem

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

BATCH = 500  # readings, or keys of listings, in one transaction
LONGEST_WAIT = 5.0  # seconds that something read may wait for the rest of its batch: what a killed run loses


class RepositoryPipeline:
    """Takes in the items of one run; without WARTA_REPOSITORY (plain ``scrapy crawl``) they only pass through."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._intake: Intake | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def open_spider(self) -> None:
        settings = self._crawler.settings
        repository: Repository | None = settings.get("WARTA_REPOSITORY")
        if repository is not None:
            dry_run = settings.getbool("WARTA_DRY_RUN")
            self._intake = Intake(repository, settings["WARTA_VISIT"], settings["WARTA_TALLY"], dry_run=dry_run)

    def process_item(self, item: Any) -> Any:
        if self._intake is not None:
            try:
                self._intake.take(item)
            except Exception as error:
                self._give_up(error)
                self._end_run()  # Scrapy would log the error and go on crawling
                raise
        return item

    def close_spider(self) -> None:
        if self._intake is not None:
            try:
                self._intake.close()
            except Exception as error:
                self._give_up(error)
                raise

    def _give_up(self, error: Exception) -> None:
        """Nothing is saved any more, and the verdict knows. What was saved before stays."""
        self._intake = None
        tally: Tally = self._crawler.settings["WARTA_TALLY"]
        tally.report(Problem("errors", f"nothing more can be saved: {error}"))

    def _end_run(self) -> None:
        engine = self._crawler.engine
        if engine is not None:
            self._ending = asyncio.ensure_future(engine.close_spider_async(reason="cannot save"))


class Intake:
    """Readings and listings on their way into the repository. Everything it raises ends the run."""

    def __init__(
        self,
        repository: Repository,
        visit: Visit,
        tally: Tally,
        *,
        dry_run: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._repository = repository
        self._visit = visit
        self._tally = tally
        self._dry_run = dry_run
        self._clock = clock
        self._readings: list[Reading] = []
        self._touched: dict[Kind, set[str]] = defaultdict(set)
        self._listings: dict[tuple[Kind, int | None], set[str]] = defaultdict(set)
        self._seen: dict[Kind, set[str]] = defaultdict(set)
        self._waiting = 0
        self._since = clock()

    def take(self, item: Any) -> None:
        match item:
            case Reading(tender=tender):
                self._see(tender.kind, {tender.key})
                self._readings.append(item)
                self._waiting += 1
            case Listing(kind=kind, year=year, keys=keys, complete=complete):
                self._see(kind, set(keys))
                self._touched[kind].update(keys)
                self._listings[kind, year].update(keys)
                self._waiting += len(keys)
                if complete:
                    self._save_listing(kind, year, complete=True)
        if self._waiting >= BATCH or self._clock() - self._since >= LONGEST_WAIT:
            self._flush()

    def close(self) -> None:
        """Saves what is left. A listing that was not read to its end only tells which tenders are still there."""
        self._flush()
        for kind, year in list(self._listings):
            self._save_listing(kind, year, complete=False)

    def _see(self, kind: Kind, keys: set[str]) -> None:
        before = len(self._seen[kind])
        self._seen[kind] |= keys
        self._tally.count(seen=len(self._seen[kind]) - before)

    def _flush(self) -> None:
        if self._readings:
            saved = self._repository.save(self._readings, self._visit.now, dry_run=self._dry_run)
            self._tally.count(new=saved.new, changed=saved.changed)
        if not self._dry_run:
            for kind, keys in self._touched.items():
                self._repository.touch(self._visit.portal, kind, keys, self._visit.now)
        self._readings = []
        self._touched.clear()
        self._waiting = 0
        self._since = self._clock()

    def _save_listing(self, kind: Kind, year: int | None, *, complete: bool) -> None:
        self._flush()  # a tender stands in the database before anything is said of its listing
        keys = self._listings.pop((kind, year))
        listed = self._repository.save_listing(
            self._visit.portal, kind, year, keys, self._visit.now, complete=complete, dry_run=self._dry_run
        )
        self._tally.count(withdrawn=listed.withdrawn)
        if listed.not_believed is not None:
            place = f"list of {kind} {year}"
            self._tally.report(Problem("collapsed", f"{place}: {len(keys)} rows, {listed.not_believed} before"))
