"""Parses the raw archive again: the same spiders, answered from the archive instead of by the portals.

Into a database that knows nothing of a portal the archived runs are replayed one after another, as they were. One
that does is compared with such a rebuilt one: tenders it lacks are added, those that were read wrong corrected.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.crawler import AsyncCrawlerRunner, Crawler
from scrapy.exceptions import DownloadFailedError
from scrapy.http import Headers, Request, Response
from scrapy.responsetypes import responsetypes

from aggregator.archive import Archive, Snapshot, hash_body
from aggregator.config import Config, Portal
from aggregator.database import open_database
from aggregator.files import working_folder
from aggregator.filters import Filter
from aggregator.leases import Lease, LeaseHeld, LeaseLost, Leases, name_portal
from aggregator.models import TENDER_FIELDS, Reading, Record
from aggregator.repository import Repository
from aggregator.runs import Tally
from aggregator.verdicts import Problem, Run
from spiders.crawl import Order, make_settings, make_visit, run_in_reactor

BATCH = 500  # tenders corrected in one transaction
ABSENT = "the archive holds no answer to"
TOLD = frozenset({"shape", "unknown_label", "errors", "listing"})
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class ArchiveHandler(BaseDownloadHandler):
    """Answers from one run's snapshots (WARTA_SNAPSHOTS), the same request as often as it was answered then."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._archive: Archive = crawler.settings["WARTA_ARCHIVED"]
        self._answers: dict[tuple[str, str, bytes], deque[Snapshot]] = defaultdict(deque)
        for snapshot in crawler.settings["WARTA_SNAPSHOTS"]:
            self._answers[snapshot.method, snapshot.url, snapshot.request_hash].append(snapshot)

    async def download_request(self, request: Request) -> Response:
        answers = self._answers.get((request.method, request.url, hash_body(request.body)))
        if not answers:
            raise DownloadFailedError(f"{ABSENT} {request.method} {request.url}")
        snapshot = answers.popleft() if len(answers) > 1 else answers[0]
        headers = Headers(json.loads(snapshot.headers))
        body = self._archive.read(snapshot)
        kind = responsetypes.from_args(headers=headers, url=request.url, body=body)
        return kind(url=request.url, status=snapshot.status, headers=headers, body=body)


def replay(
    config: Config, portals: Sequence[Portal], repository: Repository, since: datetime | None, now: datetime
) -> list[Run]:
    """Replays the archived runs of ``portals`` from ``since`` on; a Run for each portal, which is not kept.

    ``new`` counts tenders the database lacked, ``changed`` those it had wrong. Asks no portal for anything, and
    doing it twice changes nothing the second time.
    """
    archive = Archive(config.archive_folder, repository)
    with archive.shared():  # nothing that is read here leaves the archive meanwhile
        archive.reindex()
        return [_replay_portal(config, portal, repository, since or LONG_AGO, now) for portal in portals]


def _replay_portal(config: Config, portal: Portal, repository: Repository, since: datetime, now: datetime) -> Run:
    tally = Tally()
    try:
        # No crawl of it may write meanwhile.
        with (
            Leases(repository.engine, config.lock_folder) as leases,
            leases.await_lease(name_portal(portal.id)) as held,
        ):
            _rebuild(config, portal, repository, since, now, tally, held)
    except LeaseLost as lost:
        tally.report(Problem("lease", str(lost)))
    except LeaseHeld as busy:
        tally.report(Problem("busy", str(busy)))
    return tally.finish(make_visit(portal, Order(), now, {}), now, 0, "finished")


def _rebuild(
    config: Config, portal: Portal, repository: Repository, since: datetime, now: datetime, tally: Tally, lease: Lease
) -> None:
    if not repository.load_known(portal.id):
        _replay_runs(config, portal, repository, repository, since, tally, lease)
        found = len(repository.load_known(portal.id))  # of all runs; each alone may have seen but a part
        tally.seen = max(tally.seen, found)
        tally.count(new=found)
        return
    with working_folder(config.archive_folder, ".warta-replay-") as folder:
        rebuilt = Repository(open_database(f"sqlite:///{folder / 'replay.db'}"))
        _replay_runs(config, portal, repository, rebuilt, since, tally, lease)
        for records in _in_batches(rebuilt.find(Filter(), now, ZoneInfo("UTC"), apart=True)):
            lease.check()
            _take_over(repository, records, now, tally)


def _take_over(repository: Repository, records: Sequence[Record], now: datetime, tally: Tally) -> None:
    """Adds what the database lacks, corrects what it has wrong. A page that is not archived corrects nothing."""
    known = repository.load_known(records[0].tender.portal)
    lacking = [r for r in records if (r.tender.kind, r.tender.key) not in known]
    for record in lacking:
        repository.save([Reading(tender=record.tender, republished=record.republished)], record.first_seen)
    kept = [_as_far_as_archived(r) for r in records if (r.tender.kind, r.tender.key) in known]
    tally.count(new=len(lacking), changed=repository.correct(kept, now))


def _as_far_as_archived(record: Record) -> Record:
    """Of a tender that is ``incomplete``: without that, since it may be the archive that lacks a page, and without what
    is empty: what the lacking page would have told (an announcement names the method that no list has) is not
    corrected away."""
    tender = record.tender
    if not tender.incomplete:
        return record
    untold = {"incomplete"} | {name for name in TENDER_FIELDS if not getattr(tender, name)}
    return replace(record, tender=replace(tender, unread=tender.unread | untold))


def _replay_runs(
    config: Config, portal: Portal, index: Repository, into: Repository, since: datetime, tally: Tally, lease: Lease
) -> None:
    """All archived runs of a portal, oldest first; what they find goes into ``into``."""
    for time in index.find_archived_runs(portal.id, since):
        lease.check()
        told = Tally()
        _replay_run(config, portal, index, into, time, told)
        tally.seen = max(tally.seen, told.seen)
        for problem in told.problems:
            # Pages that the run of then did not ask for are not in the archive: their absence is no news.
            if problem.code in TOLD and ABSENT not in problem.text:
                tally.report(Problem(problem.code, f"run of {time:%Y-%m-%d %H:%M}: {problem.text}", problem.sample))


def _replay_run(
    config: Config, portal: Portal, index: Repository, into: Repository, time: datetime, tally: Tally
) -> None:
    answered = index.find_snapshots(portal.id, time)
    order = Order.from_text(answered[0].asked)
    settings = make_settings(config, portal)
    settings.set("DOWNLOAD_HANDLERS", dict.fromkeys(("http", "https"), "spiders.replay.ArchiveHandler"))
    settings.setdict({"ROBOTSTXT_OBEY": False, "RETRY_ENABLED": False, "DOWNLOAD_DELAY": 0})
    runner = AsyncCrawlerRunner(settings)
    crawler = Crawler(runner.spider_loader.load(portal.family), settings)
    for name, value in {
        "WARTA_VISIT": make_visit(portal, order, time, into.load_known(portal.id)),
        "WARTA_TALLY": tally,
        "WARTA_REPOSITORY": into,
        "WARTA_ARCHIVED": Archive(config.archive_folder, index),
        "WARTA_SNAPSHOTS": answered,
    }.items():
        crawler.settings.set(name, value)

    async def crawl() -> None:
        await runner.crawl(crawler)

    run_in_reactor(crawl)


def _in_batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
