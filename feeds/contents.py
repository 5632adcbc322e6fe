"""What each feed holds now: rows of the repository, worded once whichever feeds they stand in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

from aggregator.config import Config
from aggregator.facets import Facet
from aggregator.filters import Filter, Moment, Sort
from aggregator.models import Event, Kind, Record, Release
from aggregator.repository import Repository
from aggregator.sanctions import Blacklist
from aggregator.search import fold
from feeds.definitions import FEED_LIMIT, NOW, OPEN, Feed
from feeds.entries import Around, Entry, release_entry, run_entry, tender_entry
from feeds.pages.narrowing import MOST_COUNTED, Names, Narrowing, count_choices, make_narrowing
from feeds.words.wording import Wording

# Which time of a tender each bound of a filter looks at.
_TIMES: Mapping[str, Literal["closes", "changed", "published"]] = {
    "published_from": "published",
    "published_to": "published",
    "deadline_from": "closes",
    "deadline_to": "closes",
    "changed_since": "changed",
}


class Contents:
    """What is published at ``now``: the tenders and runs of the configured portals, and no others.

    ``by_portal``: of one portal alone, each tender as that portal tells it, as ``warta export`` does.
    """

    def __init__(self, config: Config, repository: Repository, now: datetime, *, by_portal: bool = False) -> None:
        self._publisher = config.publisher
        self._portals = {portal.id: portal for portal in config.portal}
        self._repository = repository
        self._by_portal = by_portal
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
        return self.find_entries(feed.filter)

    def find_marks(self, feed: Feed) -> list[object]:
        """While this is the same, so is what ``find`` and ``find_calendar`` find; no tender is read for it."""
        if feed.kind == "status":
            return [*self.find_turns()]
        if feed.kind == "changes":
            limit = feed.filter.limit or FEED_LIMIT
            places = self._repository.find_release_places(
                feed.filter, self._now, self._zone, feed.events, limit, only=self._portals
            )
            return [(seq, self._marks.get(number)) for seq, number in places]
        found = (
            self._repository.find_numbers(wanted, self._now, self._zone, only=self._portals)
            for wanted in (feed.filter, feed.called_off_filter)
            if wanted
        )
        return [[self._marks.get(number) for number in numbers] for numbers in found]

    @cached_property
    def _marks(self) -> Mapping[int, object]:
        """Of each tender by the number of its row."""
        marks: dict[int, object] = {}
        for version in self._repository.find_versions(self._portals):
            for number in version.numbers:  # a plan may stand in several, and is told with the first of them
                marks.setdefault(number, (version.identity, version.others, version.mark))
        return marks

    def find_calendar(self, feed: Feed) -> list[Entry]:
        """The entries of its calendar: the same, and among them what was called off before its day."""
        if feed.called_off_filter is None:
            return self.find(feed)
        entries = [*self.find(feed), *self.find_entries(feed.called_off_filter)]
        return sorted(entries, key=lambda entry: entry.published, reverse=True)

    def find_between(
        self, feeds: Sequence[Feed], start: datetime, end: datetime, before: datetime, late: Mapping[str, int]
    ) -> dict[str, list[Entry]]:
        """All that each of ``feeds`` told from ``start`` on and before ``end``, newest first, by the feed's id.

        A feed of tenders told of each that had a release then, as the last one left it. Of its filter the status is
        that of then, and what is told from now (``+7d``) does not count: that now has passed.
        Also what it told from ``before`` on but that was kept so late that its seq is above the feed's in ``late``.
        """
        told = {feed.id: [] if feed.kind == "status" else self._find_seqs(feed, start, end) for feed in feeds}
        for feed in feeds:
            if feed.kind != "status" and feed.id in late:
                told[feed.id] += [seq for seq in self._find_seqs(feed, before, start) if seq > late[feed.id]]
        releases = self._repository.find_releases_of({seq for seqs in told.values() for seq in seqs})
        entries: dict[str, list[Entry]] = {}
        for feed in feeds:
            found = [releases[seq] for seq in told[feed.id]]
            if feed.kind == "status":
                entries[feed.id] = [entry for entry in self.find_turns(None) if start <= entry.updated < end]
            elif feed.kind == "changes":
                entries[feed.id] = [self._word_release(*each) for each in found if _has_status(feed, each[1])]
            else:
                last = {record.tender.identity: record for _, record in reversed(found)}
                records = sorted(last.values(), key=lambda record: record.changed, reverse=True)
                entries[feed.id] = [self._word_tender(record) for record in records if _has_status(feed, record)]
        return entries

    def _find_seqs(self, feed: Feed, start: datetime, end: datetime) -> list[int]:
        """Of changes those of every source, as in the feed itself."""
        passed = {name: None for name, _ in find_moving(feed.filter)}
        wanted = replace(feed.filter, status=(), limit=None, **passed)  # type: ignore[arg-type]
        apart = feed.kind == "changes" or self._is_apart(feed.filter)
        return self._repository.find_seqs(
            wanted, self._now, self._zone, feed.events, start, end, apart=apart, only=self._portals
        )

    def find_turns(self, limit: int | None = FEED_LIMIT) -> list[Entry]:
        """Portals that failed or recovered, newest first; all of them where ``limit`` is None."""
        turns = self._repository.find_verdict_turns(limit)
        return [
            run_entry(run, self._portals[run.portal], self._publisher) for run in turns if run.portal in self._portals
        ]

    def find_open(self) -> Iterator[Record]:
        """All open packages, closing soonest first."""
        return self.find_tenders(replace(OPEN, sort=Sort.DEADLINE))

    def find_tenders(self, wanted: Filter, start: int = 0) -> Iterator[Record]:
        """The tenders that ``wanted`` asks for, in its order, ``start`` skipped."""
        return self._repository.find(
            wanted, self._now, self._zone, start=start, apart=self._is_apart(wanted), only=self._portals
        )

    def count_tenders(self, wanted: Filter, most: int | None = None) -> int:
        """How many of them there are, whatever the limit; counting stops at ``most``."""
        apart = self._is_apart(wanted)
        return self._repository.count(wanted, self._now, self._zone, apart=apart, only=self._portals, most=most)

    def count_by(self, field: Facet, wanted: Filter) -> list[tuple[str, int]]:
        """How many of them there are of each value of ``field``."""
        apart = self._is_apart(wanted)
        return self._repository.count_by(field, wanted, self._now, self._zone, apart=apart, only=self._portals)

    def _is_apart(self, wanted: Filter) -> bool:
        return self._by_portal and len(wanted.portal) == 1

    def find_narrowing(self, wanted: Filter, listed: Sort | None = None) -> Narrowing:
        """How the search for ``wanted`` can be narrowed, with counts; ``listed`` as in ``make_narrowing``."""
        counts = count_choices(wanted, partial(self.count_tenders, most=MOST_COUNTED), self.count_by)
        wording = Wording(self._publisher.language, self._zone)
        return make_narrowing(wanted, counts, self.find_names(wanted), wording, listed)

    def find_names(self, wanted: Filter) -> Names:
        """How its work units, buyers and portals are written."""
        spelt: dict[str, str] = {}
        for key in ("buyer", "procuring_entity"):
            for name in getattr(wanted, key):
                one: dict[str, Any] = {key: (name,)}
                for record in self.find_tenders(Filter(limit=1, **one)):
                    spelt[fold(name)] = getattr(record.tender, key) or name
        return Names(spelt, self._portals)

    def find_releases(self, wanted: Filter, events: frozenset[Event], limit: int) -> list[tuple[Release, Record]]:
        """The newest releases that tell one of ``events`` (all of them, if none is named)."""
        return self._repository.find_releases(wanted, self._now, self._zone, events, limit, only=self._portals)

    def count(self, feed: Feed) -> int | None:
        """How many packages that can still be bid for it is about; None for a feed about something else.

        What its portal calls active counts no more once the deadline has passed, and not before it has one.
        """
        if (wanted := feed.biddable_filter) is None:
            return None
        return max(self.count_tenders(wanted) - self.count_tenders(replace(wanted, deadline_to=NOW)), 0)

    def find_kinds(self) -> frozenset[Kind]:
        """The kinds that some tender of a configured portal has."""
        found = self._repository.count_by("kind", Filter(), self._now, self._zone, only=self._portals)
        return frozenset(Kind(kind) for kind, _ in found)

    def find_state(self, feeds: Iterable[Feed]) -> tuple[object, ...]:
        """While this is the same, every other method finds the same: the last run of each portal, and what their
        filters rest on."""
        runs = self._repository.find_last_runs()
        started = sorted(portal.last.started for portal in runs.values())
        return *self.find_ground(*(wanted for feed in feeds for wanted in feed.filters)), started

    def find_ground(self, *filters: Filter) -> tuple[object, ...]:
        """While this is the same, the filters find the same tenders and releases, each as it was.

        Whatever is told of a tender makes a release. Filters that are told from now find the same as long as no tender
        has passed one of their moments.
        """
        moving = {each for wanted in filters for each in find_moving(wanted)}
        passed = [
            (name, moment.text, self._repository.count(Filter(**{name: moment}), self._now, self._zone))  # type: ignore[arg-type]
            for name, moment in moving
        ]
        total = self._repository.count(Filter(), self._now, self._zone)
        return self._repository.find_newest_seq(), total, sorted(passed)

    def find_newest_change(self, *wanted: Filter) -> datetime | None:
        """When what the filters find may have changed last: the newest change of any tender, or the last time that
        one passed a moment which they tell from now."""
        times = [self._repository.find_newest_change(self._portals)]
        for name, moment in {each for one in wanted for each in find_moving(one)}:
            offset = timedelta(days=int(moment.text[:-1]))
            last = self._repository.find_last(_TIMES[name], self._now + offset)
            times.append(last and last - offset)
        return max((time for time in times if time), default=None)

    @cached_property
    def around(self) -> Around:
        # By their portals, whose index finds them: notices are no purchase, so no other portal tells of them.
        wanted = Filter(portal=tuple(self._portals), kind=(Kind.NOTICE,))
        notices = self._repository.find(wanted, self._now, self._zone, apart=True, only=self._portals)
        return Around(self._portals, Blacklist(record for record in notices if record.tender.sanctions))

    def find_entries(self, wanted: Filter) -> list[Entry]:
        """The tenders that ``wanted`` asks for as entries, in its order."""
        return [self._word_tender(record) for record in self.find_tenders(wanted)]

    def _word_tender(self, record: Record) -> Entry:
        key = (*record.tender.identity, None)
        if key not in self._worded:
            portal = self._portals[record.official_portal]
            self._worded[key] = tender_entry(record, portal, self._publisher, self.around)
        return self._worded[key]

    def _word_release(self, release: Release, record: Record) -> Entry:
        key = (*record.tender.identity, release.seq)
        if key not in self._worded:
            portal = self._portals[release.portal]
            since = self._find_missing_since(release) if Event.RETURNED in release.events else None
            self._worded[key] = release_entry(release, record, portal, self._publisher, since, self.around)
        return self._worded[key]

    def _find_missing_since(self, returned: Release) -> datetime | None:
        history = self._repository.find_history(returned.portal, returned.kind, returned.key)
        return max((r.time for r in history if r.time < returned.time and Event.WITHDRAWN in r.events), default=None)


def find_moving(wanted: Filter) -> Iterator[tuple[str, Moment]]:
    """The keys of ``wanted`` that are told from now, and so find something else with time alone."""
    for field in fields(Filter):
        if isinstance(moment := getattr(wanted, field.name), Moment) and moment.text[0] in "+-":
            yield field.name, moment


def _has_status(feed: Feed, record: Record) -> bool:
    return not feed.filter.status or record.tender.status in feed.filter.status
