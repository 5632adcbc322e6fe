"""What each feed holds now: rows of the repository, worded once whichever feeds they stand in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from aggregator.config import Config
from aggregator.filters import Filter, Moment, Sort
from aggregator.models import Event, Kind, Record, Release
from aggregator.repository import Repository
from aggregator.sanctions import Blacklist
from feeds.definitions import FEED_LIMIT, OPEN, Feed
from feeds.entries import Around, Entry, release_entry, run_entry, tender_entry

PASSED = Moment("+0d")


class Contents:
    """What is published at ``now``: the tenders and runs of the configured portals, and no others."""

    def __init__(self, config: Config, repository: Repository, now: datetime) -> None:
        self._publisher = config.publisher
        self._portals = {portal.id: portal for portal in config.portal}
        self._repository = repository
        self._now = now
        self._zone = ZoneInfo(config.publisher.timezone)
        self._worded: dict[tuple[str, Kind, str, int | None], Entry] = {}

    def find(self, feed: Feed) -> list[Entry]:
        """The entries of ``feed``, newest first."""
        if feed.kind == "status":
            return self.find_turns()
        if feed.kind == "changes":
            limit = feed.filter.limit or FEED_LIMIT
            return [self._word_release(*found) for found in self.find_releases(feed.filter, feed.events, limit)]
        return self._word_tenders(feed.filter)

    def find_calendar(self, feed: Feed) -> list[Entry]:
        """The entries of its calendar."""
        if feed.calendar_filter == feed.filter:
            return self.find(feed)
        return self._word_tenders(feed.calendar_filter)

    def find_turns(self) -> list[Entry]:
        """Portals that failed or recovered, newest first."""
        turns = self._repository.find_verdict_turns(FEED_LIMIT)
        return [
            run_entry(run, self._portals[run.portal], self._publisher) for run in turns if run.portal in self._portals
        ]

    def find_open(self) -> Iterator[Record]:
        """All open packages, closing soonest first."""
        return self._find_tenders(replace(OPEN, sort=Sort.DEADLINE))

    def find_releases(self, wanted: Filter, events: frozenset[Event], limit: int) -> list[tuple[Release, Record]]:
        """The newest releases that tell one of ``events`` (all of them, if none is named)."""
        return self._repository.find_releases(wanted, self._now, self._zone, events, limit, only=self._portals)

    def count(self, feed: Feed) -> int | None:
        """How many packages that can still be bid for it is about; None for a feed about something else.

        What its portal calls active counts no more once the deadline has passed.
        """
        if feed.kind != "tenders" or feed.filter.status != OPEN.status:
            return None
        return max(self._count(feed.filter) - self._count(replace(feed.filter, deadline_to=PASSED)), 0)

    def find_kinds(self) -> frozenset[Kind]:
        """The kinds that some tender of a configured portal has."""
        return frozenset(kind for kind in Kind if self._count(Filter(kind=(kind,))))

    def find_state(self, feeds: Iterable[Feed]) -> tuple[object, ...]:
        """While this is the same, every other method finds the same.

        The last release and the last run of each portal move with the database. Filters that are told from now
        find the same as long as no tender has passed one of their moments.
        """
        runs = self._repository.find_last_runs()
        moving = {
            (field.name, moment)
            for feed in feeds
            for wanted in (feed.filter, feed.calendar_filter)
            for field in fields(Filter)
            if isinstance(moment := getattr(wanted, field.name), Moment) and moment.text[0] in "+-"
        }
        passed = [
            (name, moment.text, self._repository.count(Filter(**{name: moment}), self._now, self._zone))  # type: ignore[arg-type]
            for name, moment in moving
        ]
        total = self._repository.count(Filter(), self._now, self._zone)
        started = sorted(portal.last.started for portal in runs.values())
        return self._repository.find_newest_seq(), total, sorted(passed), started

    @cached_property
    def _around(self) -> Around:
        notices = self._find_tenders(Filter(kind=(Kind.NOTICE,)))
        return Around(self._portals, Blacklist(record for record in notices if record.tender.sanctions))

    def _find_tenders(self, wanted: Filter) -> Iterator[Record]:
        return self._repository.find(wanted, self._now, self._zone, only=self._portals)

    def _count(self, wanted: Filter) -> int:
        return self._repository.count(wanted, self._now, self._zone, only=self._portals)

    def _word_tenders(self, wanted: Filter) -> list[Entry]:
        return [self._word_tender(record) for record in self._find_tenders(wanted)]

    def _word_tender(self, record: Record) -> Entry:
        key = (*record.tender.identity, None)
        if key not in self._worded:
            portal = self._portals[record.official_portal]
            self._worded[key] = tender_entry(record, portal, self._publisher, self._around)
        return self._worded[key]

    def _word_release(self, release: Release, record: Record) -> Entry:
        key = (*record.tender.identity, release.seq)
        if key not in self._worded:
            portal = self._portals[release.portal]
            since = self._find_missing_since(release) if Event.RETURNED in release.events else None
            self._worded[key] = release_entry(release, record, portal, self._publisher, since, self._around)
        return self._worded[key]

    def _find_missing_since(self, returned: Release) -> datetime | None:
        history = self._repository.find_history(returned.portal, returned.kind, returned.key)
        return max((r.time for r in history if r.time < returned.time and Event.WITHDRAWN in r.events), default=None)
