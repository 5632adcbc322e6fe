"""What a batch of readings does to the rows kept of their tenders. Pure: it plans, the repository writes."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from aggregator.changes import compare, merge, note
from aggregator.models import Kind, Reading, Record, Release, Status, Tender
from aggregator.rows import parse_tender, position, release_row, render_tender, render_unread, tender_row
from aggregator.search import render_text, searched_texts
from aggregator.texts import clean_tender

FIRST_RETRY = timedelta(minutes=15)
LONGEST_RETRY = timedelta(hours=24)

Identity = tuple[str, Kind, str]
Row = dict[str, Any]


@dataclass
class Batch:
    """Rows of the tenders table by identity, and what becomes of them.

    ``now`` is the run's time, ``time`` that of the next release, which is one microsecond later for each;
    ``number`` and ``seq`` are the next free tenders.id and releases.seq. ``after`` has the tenders that
    are new or rewritten, ``before`` those rewritten as they were.
    """

    rows: dict[Identity, Row]
    now: datetime
    time: datetime
    number: int
    seq: int
    new: set[Identity] = field(default_factory=set)
    rewritten: set[Identity] = field(default_factory=set)
    touched: set[Identity] = field(default_factory=set)
    releases: list[Row] = field(default_factory=list)
    texts: dict[Identity, str] = field(default_factory=dict)
    stale_positions: list[int] = field(default_factory=list)
    before: dict[Identity, Tender] = field(default_factory=dict)
    after: dict[Identity, Tender] = field(default_factory=dict)
    last_changed: dict[Identity, datetime] = field(default_factory=dict)
    changed: int = 0

    def read(self, reading: Reading) -> None:
        """Takes in one reading. One older than the last one kept is left out: replaying an old run loses nothing."""
        text = render_tender(reading.tender)
        seen = clean_tender(reading.tender, text)
        if seen is not reading.tender:
            reading, text = replace(reading, tender=seen), render_tender(seen)
        row = self.rows.get(seen.identity)
        if row is None:
            self._add(reading, text)
            return
        if self.now < row["last_read"]:
            return
        if row["tender"] != text or row["unread"] != render_unread(seen):
            stored = parse_tender(row["tender"], row["unread"])
            self._rewrite(row, stored, merge(stored, seen))
        self._touch(row, reading)

    def correct(self, record: Record) -> bool:
        """Puts a kept tender right that was read wrong: recorded, but no news. False where nothing is wrong."""
        seen = clean_tender(record.tender, render_tender(record.tender))
        row = self.rows.get(seen.identity)
        if row is None or row["last_read"] > record.last_seen:
            return False
        stored = parse_tender(row["tender"], row["unread"])
        before = self.changed
        self._rewrite(row, stored, merge(stored, seen), told=False)
        return self.changed > before

    def withdraw(self, identity: Identity) -> bool:
        """Marks a kept tender as gone from its portal, and forgets its fingerprints so that it is read on return."""
        row = self.rows.get(identity)
        if row is None:
            return False
        stored = parse_tender(row["tender"], row["unread"])
        if stored.status is Status.WITHDRAWN:
            return False
        stored = replace(stored, unread=stored.unread - {"status"})
        self._rewrite(row, stored, replace(stored, status=Status.WITHDRAWN))
        row.update(row=None, home=None, retry_at=None, attempts=0)
        return True

    def _add(self, reading: Reading, text: str) -> None:
        seen = reading.tender
        row = {
            "id": self.number,
            "position": position(seen.published or self.now, self.number),
            **tender_row(seen, text),
            "republished": reading.republished,
            "shown": True,
            "merged": False,
            "first_seen": self.now,
            "last_seen": self.now,
            "last_read": self.now,
            "changed": self.time,
            "row": None,
            "home": None,
            "schedule_read": None,
            "retry_at": None,
            "attempts": 0,
        }
        self.number += 1
        self.rows[seen.identity] = row
        self.new.add(seen.identity)
        self.after[seen.identity] = seen
        self.texts[seen.identity] = render_text(searched_texts(seen))
        self._release(row, compare(None, seen, self.time))
        self._touch(row, reading)

    def _rewrite(self, row: Row, stored: Tender, merged: Tender, *, told: bool = True) -> None:
        text = render_tender(merged)
        if text == row["tender"] and render_unread(merged) == row["unread"]:
            return
        self.rewritten.add(merged.identity)
        if merged.identity not in self.new:
            self.before.setdefault(merged.identity, stored)
        self.last_changed.setdefault(merged.identity, row["changed"])
        self.after[merged.identity] = merged
        kept_position = row["position"]
        row.update(tender_row(merged, text))
        row["position"] = position(merged.published or row["first_seen"], row["id"])
        if row["position"] != kept_position or searched_texts(merged) != searched_texts(stored):
            self.stale_positions.append(kept_position)
            self.texts[merged.identity] = render_text(searched_texts(merged))
        if merged.identity not in self.new:  # the first release of a new one is kept together with all of it
            self._release(row, note(stored, merged, self.time))
        release = compare(stored, merged, self.time)
        if release is not None:
            row["changed"] = self.time
            self.changed += merged.identity not in self.new
            self._release(row, release if told else replace(release, events=()))

    def mark(self, tender: Tender, number: int) -> None:
        """A release for followers of a kept tender whose ``changed`` moves with its dossier, not with itself."""
        portal, kind, key = tender.identity
        moved = Release(portal=portal, kind=kind, key=key, time=self.time, tags=(), events=())
        self._release({"id": number}, moved)

    def _release(self, row: Row, release: Release | None) -> None:
        if release is not None:
            self.releases.append(release_row(release, self.seq, row["id"]))
            self.seq += 1
            self.time += timedelta(microseconds=1)

    def _touch(self, row: Row, reading: Reading) -> None:
        self.touched.add(reading.tender.identity)
        row["last_seen"] = max(row["last_seen"], self.now)
        row["last_read"] = self.now
        if reading.row is not None:
            row["row"] = reading.row
        if reading.home is not None:
            row["home"] = reading.home
        if reading.schedule_read:
            row["schedule_read"] = self.now
        if "incomplete" not in reading.tender.unread:
            row.update(_next_try(reading, self.now, row["attempts"]))


def _next_try(reading: Reading, now: datetime, attempts: int) -> Row:
    """When to ask again for the pages an incomplete tender lacks: later each time that they are missing."""
    if not reading.tender.incomplete:
        return {"retry_at": None, "attempts": 0}
    if not reading.missing:
        return {"retry_at": now, "attempts": attempts}
    # The very next run tries once more; from then on the wait doubles.
    wait = min(FIRST_RETRY * 2 ** min(attempts - 1, 10), LONGEST_RETRY) if attempts else timedelta(0)
    return {"retry_at": now + wait, "attempts": attempts + 1}


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a reading of one listing means for its members: keys to add, no longer missed, missed, and gone."""

    added: Set[str]
    back: Set[str]
    missed: Set[str]
    gone: Set[str]


def collapsed(size: int, believed: int) -> bool:
    """A listing that shrank by more than a third is not believed."""
    return 3 * size < 2 * believed


def weigh_listing(missed: Mapping[str, int], keys: Set[str], *, complete: bool, patience: int) -> Weighed:
    """Compares the members of a listing (key: complete readings in a row that missed it) with the ``keys`` read.

    A member is gone when ``patience`` complete readings in a row missed it, this one included.
    """
    absent = missed.keys() - keys if complete else set[str]()
    gone = {key for key in absent if missed[key] + 1 >= patience}
    return Weighed(
        added=keys - missed.keys(),
        back={key for key in keys if missed.get(key)},
        missed=absent - gone,
        gone=gone,
    )
