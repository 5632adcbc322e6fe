"""What a spider yields reaches the repository in batches, and an error there ends the run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from scrapy import Spider
from scrapy.crawler import AsyncCrawlerRunner, Crawler
from scrapy.settings import Settings
from sqlalchemy.engine import Engine

import aggregator.pipeline
import spiders.settings
from aggregator.database import DatabaseError
from aggregator.filters import Filter
from aggregator.models import Kind, Listing, Reading, Tender, Visit
from aggregator.pipeline import Intake
from aggregator.repository import Repository, Saved
from aggregator.runs import Tally
from spiders.crawl import run_in_reactor
from tests.feed_samples import READ, TENDER, WIB

HOUR = timedelta(hours=1)


@pytest.fixture
def repository(engine: Engine) -> Repository:
    """An empty repository, on SQLite and on PostgreSQL."""
    return Repository(engine)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(key: str, **fields: Any) -> Tender:
    return replace(TENDER, key=key, **fields)


def page(keys: Iterable[str], *, complete: bool = False, year: int | None = 2026) -> Listing:
    return Listing(kind=Kind.TENDER, year=year, keys=tuple(keys), complete=complete)


Item = Reading | Listing


def visit(hours: int = 0) -> Visit:
    return Visit(portal="malangkota", now=READ + hours * HOUR, known={})


def take(repository: Repository, items: Iterable[Item], hours: int = 0, *, dry_run: bool = False) -> Tally:
    tally = Tally()
    intake = Intake(repository, visit(hours), tally, dry_run=dry_run)
    for item in items:
        intake.take(item)
    intake.close()
    return tally


def count(repository: Repository, **values: Any) -> int:
    return repository.count(Filter.parse(values), READ, WIB)


def counts(tally: Tally) -> tuple[int, int, int, int]:
    return (tally.seen, tally.new, tally.changed, tally.withdrawn)


FIVE: list[Item] = [*(Reading(tender=make(key), row=b"row") for key in "12345"), page("12345", complete=True)]


def test_a_run_counts_each_tender_once(repository: Repository) -> None:
    assert counts(take(repository, [*FIVE, page("12", year=None), page("3", year=2025)])) == (5, 5, 0, 0)
    changed = Reading(tender=make("1", stage="Evaluasi"), row=b"new")
    assert counts(take(repository, [changed, page("12345", complete=True)], 1)) == (5, 0, 1, 0)
    assert count(repository) == 5


def test_rows_that_are_as_they_were_are_only_touched(repository: Repository) -> None:
    take(repository, FIVE)
    take(repository, [page("1234", complete=True)], 1)
    seen = {record.tender.key: record.last_seen for record in repository.find(Filter(), READ, WIB)}
    assert seen == dict.fromkeys("1234", READ + HOUR) | {"5": READ}


def test_pages_of_a_list_are_taken_together(repository: Repository) -> None:
    take(repository, FIVE)
    for hours in (1, 2):
        tally = take(repository, [page("12"), page("34"), page("", complete=True)], hours)
    assert counts(tally) == (4, 0, 0, 1)


def test_a_list_that_collapses_is_a_problem(repository: Repository) -> None:
    take(repository, FIVE)
    tally = take(repository, [page("12", complete=True)], 1)
    assert [str(problem) for problem in tally.problems] == ["collapsed: list of tender 2026: 2 rows, 5 before"]


def test_a_run_that_breaks_off_keeps_what_it_read(repository: Repository) -> None:
    take(repository, FIVE)
    take(repository, [page("1234", complete=True)], 1)
    tally = take(repository, [Reading(tender=make("6")), page("5")], 2)
    assert counts(tally) == (2, 1, 0, 0)
    assert counts(take(repository, [page("12346", complete=True)], 3)) == (5, 0, 0, 0)


def test_a_dry_run_writes_nothing(repository: Repository) -> None:
    take(repository, FIVE)
    take(repository, [page("1234", complete=True)], 1)
    items: list[Item] = [
        Reading(tender=make("6")),
        Reading(tender=make("1", stage="Evaluasi")),
        page("12346", complete=True),
    ]
    assert counts(take(repository, items, 2, dry_run=True)) == (5, 1, 1, 1)
    assert (count(repository), count(repository, status="withdrawn")) == (5, 0)
    assert {record.last_seen for record in repository.find(Filter(), READ, WIB)} == {READ, READ + HOUR}


def test_a_batch_is_saved_when_it_is_full_or_has_waited(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregator.pipeline, "BATCH", 3)
    clock = Clock()
    intake = Intake(repository, visit(), Tally(), clock=clock)
    saved = []
    for number in range(7):
        intake.take(Reading(tender=make(str(number))))
        saved.append(count(repository))
    assert saved == [0, 0, 3, 3, 3, 6, 6]
    clock.now += aggregator.pipeline.LONGEST_WAIT
    intake.take(Reading(tender=make("7")))
    assert count(repository) == 8


# In a crawl --------------------------------------------------------------------------------------------


class MadeUpSpider(Spider):
    name = "made_up"
    number: int
    yielded = 0

    async def start(self) -> AsyncIterator[Any]:
        for number in range(self.number):
            self.yielded += 1
            await asyncio.sleep(0)  # as a real spider waits for its pages
            yield Reading(tender=make(str(number)))
        yield page("12345")


def crawl(repository: Repository | None, number: int = 1000) -> tuple[Crawler, Tally]:
    settings = Settings()
    settings.setmodule(spiders.settings)
    tally = Tally()
    crawler = Crawler(MadeUpSpider, settings)
    for name, value in {"WARTA_REPOSITORY": repository, "WARTA_VISIT": visit(), "WARTA_TALLY": tally}.items():
        crawler.settings.set(name, value)

    async def run() -> None:
        await AsyncCrawlerRunner().crawl(crawler, number=number)

    run_in_reactor(run)
    return crawler, tally


class BrokenRepository(Repository):
    """The disk is full after the first batch."""

    batches = 0

    def save(self, *arguments: Any, **options: Any) -> Saved:
        self.batches += 1
        if self.batches > 1:
            raise DatabaseError("no room left on its disk")
        return super().save(*arguments, **options)


def reason(crawler: Crawler) -> str:
    assert crawler.stats is not None
    return str(crawler.stats.get_value("finish_reason"))


def test_a_crawl_is_saved(repository: Repository) -> None:
    crawler, tally = crawl(repository)
    assert (reason(crawler), counts(tally)) == ("finished", (1000, 1000, 0, 0))
    assert count(repository) == 1000


def test_without_a_repository_items_pass_through() -> None:
    crawler, tally = crawl(None)
    assert crawler.stats is not None
    assert crawler.stats.get_value("item_scraped_count") == 1001  # the listing, too
    assert counts(tally) == (0, 0, 0, 0)


@pytest.mark.parametrize(("number", "finish_reason", "least"), [(5000, "cannot save", 1000), (700, "finished", 700)])
def test_a_database_error_ends_the_run_and_keeps_what_was_saved(
    repository: Repository, caplog: pytest.LogCaptureFixture, number: int, finish_reason: str, least: int
) -> None:
    crawler, tally = crawl(BrokenRepository(repository._engine), number)
    assert [str(problem) for problem in tally.problems] == [
        "errors: nothing more can be saved: no room left on its disk"
    ]
    assert reason(crawler) == finish_reason
    assert isinstance(crawler.spider, MadeUpSpider)
    assert least <= crawler.spider.yielded < least + 50
    assert count(repository) == 500
    assert "no room left on its disk" in caplog.text
