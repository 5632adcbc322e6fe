"""Where tenders, their releases, runs and listings are kept: the only SQL, beside conditions.py for filters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.archive import Snapshot
from aggregator.bookkeeping import Batch, Identity, Row, Weighed, collapsed, weigh_listing
from aggregator.changes import rewind
from aggregator.conditions import has_event, order, select_tenders
from aggregator.database import listed, listings, reading, releases, runs, snapshots, tender_text, tenders, writing
from aggregator.filters import Filter
from aggregator.models import Event, Kind, Known, Reading, Record, Release, Run, Status, Sweep, Verdict
from aggregator.rows import parse_record, parse_release, parse_run, parse_tender, run_row

HOME = 0  # the year under which a portal's home page is kept as a listing
PATIENCE = 2  # complete listings in a row that must lack a tender before it counts as withdrawn

_CHUNK = 500  # values in one IN (…), rows in one fetch
_LONGEST_RUN = timedelta(hours=1)  # releases of one run lie within this after its time: 3,600 million of them
_GOOD = (Verdict.OK, Verdict.PARTIAL)
_RECORD = [tenders.c[name] for name in ("tender", "unread", "first_seen", "last_seen", "changed")]
_RELEASE = [*releases.c, tenders.c.portal, tenders.c.kind, tenders.c.key]
_KEPT = [
    tenders.c[name]
    for name in (
        *("id", "portal", "kind", "key", "position", "first_seen", "last_seen", "last_read", "changed", "row", "home"),
        *("schedule_read", "retry_at", "attempts", "unread", "content_hash", "tender"),
    )
]
_TOUCHED = ("last_seen", "last_read", "row", "home", "schedule_read", "retry_at", "attempts")


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a batch: tenders never seen before, and kept ones whose content changed."""

    new: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """What became of a listing: tenders withdrawn, or the size it had when it was last believed."""

    withdrawn: int = 0
    not_believed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRuns:
    """A portal's last run, its last good one (ok or partial), and its last good full sweep."""

    last: Run
    good: Run | None
    full: Run | None


class Repository:
    """One database. Every method is one transaction and raises DatabaseError where that fails as a whole."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # What a run writes ---------------------------------------------------------------------------------

    def save(self, readings: Sequence[Reading], now: datetime, *, dry_run: bool = False) -> Saved:
        """Takes in what was read in the run of time ``now``: tenders and their releases together.

        Saying the same again makes nothing new, so a run that broke off may be repeated. ``dry_run`` only counts.
        """
        with self._transaction(dry_run) as connection:
            batch = _start_batch(connection, {r.tender.identity for r in readings}, now)
            for each in readings:
                batch.read(each)
            if not dry_run:
                _write_batch(connection, batch)
        return Saved(new=len(batch.new), changed=batch.changed)

    def touch(self, portal: str, kind: Kind, keys: Collection[str], now: datetime) -> None:
        """Notes that these tenders still stand on their portal, read again or not."""
        with writing(self._engine) as connection:
            for chunk in _chunks(keys):
                connection.execute(
                    sa.update(tenders)
                    .where(tenders.c.portal == portal, tenders.c.kind == kind, tenders.c.key.in_(chunk))
                    .where(tenders.c.last_seen < now)
                    .values(last_seen=now)
                )

    def save_listing(
        self,
        portal: str,
        kind: Kind,
        year: int | None,
        keys: Set[str],
        now: datetime,
        *,
        complete: bool,
        dry_run: bool = False,
    ) -> Listed:
        """Takes in which ``keys`` a listing held; ``year`` None is the home page, ``complete`` that it was read whole.

        A tender is withdrawn when two complete readings of its list in a row lacked it and no other listing has
        it. A list that lost more than a third is not believed and changes nothing. The home page, whose tenders
        leave as they close, withdraws none. A listing not newer than the one kept is left out.
        """
        where = (portal, kind, HOME if year is None else year)
        with self._transaction(dry_run) as connection:
            kept = connection.execute(_at(listings, where)).one_or_none()
            if kept is not None and kept.read >= now:
                return Listed()
            if kept is not None and year is not None and complete and collapsed(len(keys), kept.size):
                return Listed(not_believed=kept.size)
            missed = {row.key: row.missed for row in connection.execute(_at(listed, where))}
            patience = 1 if year is None else PATIENCE
            weighed = weigh_listing(missed, keys, complete=complete, patience=patience)
            vanished = set[str]() if year is None else weighed.gone - _find_elsewhere(connection, where, weighed.gone)
            identities = {(portal, kind, key) for key in vanished}
            batch = _start_batch(connection, identities, now)
            withdrawn = sum(batch.withdraw(identity) for identity in sorted(identities))
            if not dry_run:
                _write_batch(connection, batch)
                _write_members(connection, where, weighed)
                if complete:
                    _write_listing(connection, where, len(keys), now, known=kept is not None)
        return Listed(withdrawn=withdrawn)

    def save_run(self, run: Run) -> None:
        with writing(self._engine) as connection:
            connection.execute(sa.insert(runs), run_row(run, _next(connection, runs.c.id)))

    # What a run has to know ----------------------------------------------------------------------------

    def load_known(self, portal: str) -> dict[tuple[Kind, str], Known]:
        """What the next visit to ``portal`` compares with, by kind and key."""
        columns = [tenders.c[name] for name in ("kind", "key", "row", "home", "status", "schedule_read", "retry_at")]
        statement = sa.select(*columns).where(tenders.c.portal == portal)
        kinds = {kind.value: kind for kind in Kind}
        times: dict[datetime | None, datetime | None] = {}  # tenders of one run share their time in memory
        with reading(self._engine) as connection:
            rows = connection.execution_options(yield_per=_CHUNK).execute(statement)
            return {
                (kinds[kind], key): Known(
                    row=row,
                    home=home,
                    active=status == Status.ACTIVE,
                    schedule_read=times.setdefault(schedule_read, schedule_read),
                    retry_at=times.setdefault(retry_at, retry_at),
                )
                for kind, key, row, home, status, schedule_read, retry_at in rows
            }

    def find_last_runs(self) -> dict[str, LastRuns]:
        """By portal; portals never crawled are absent."""
        good = runs.c.verdict.in_(_GOOD)
        full = sa.and_(good, runs.c.sweep == Sweep.FULL)
        newest = sa.select(
            *(sa.func.max(sa.case((when, runs.c.id))) for when in (sa.true(), good, full))
        ).group_by(runs.c.portal)
        with reading(self._engine) as connection:
            numbers = connection.execute(newest).all()
            wanted = {number for row in numbers for number in row if number is not None}
            found = {
                row["id"]: parse_run(row)
                for chunk in _chunks(wanted)
                for row in connection.execute(sa.select(runs).where(runs.c.id.in_(chunk))).mappings()
            }
        return {
            found[last].portal: LastRuns(last=found[last], good=found.get(good_one), full=found.get(full_one))
            for last, good_one, full_one in numbers
        }

    def find_runs(self, portal: str | None = None, limit: int = 100) -> list[Run]:
        """Newest first."""
        statement = sa.select(runs).order_by(runs.c.id.desc()).limit(limit)
        if portal is not None:
            statement = statement.where(runs.c.portal == portal)
        with reading(self._engine) as connection:
            return [parse_run(row) for row in connection.execute(statement).mappings()]

    def find_verdict_turns(self, limit: int = 100) -> list[Run]:
        """The runs where a portal went from good to failed or blocked, or back; newest first.

        A portal whose first run failed went wrong there.
        """
        good = runs.c.verdict.in_(_GOOD)
        before = sa.func.lag(sa.case((good, 1), else_=0), 1, 1).over(partition_by=runs.c.portal, order_by=runs.c.id)
        marked = sa.select(*runs.c, before.label("before")).subquery()
        turned = sa.case((marked.c.verdict.in_(_GOOD), 1), else_=0) != marked.c.before
        statement = sa.select(marked).where(turned).order_by(marked.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [parse_run(row) for row in connection.execute(statement).mappings()]

    # What readers ask ----------------------------------------------------------------------------------

    def find(self, wanted: Filter, now: datetime, zone: ZoneInfo) -> Iterator[Record]:
        """The tenders that ``wanted`` asks for, streamed in its order; all of them where it has no limit."""
        statement = select_tenders(_RECORD, wanted, now, zone).order_by(*order(wanted)).limit(wanted.limit)
        with reading(self._engine) as connection:
            rows = connection.execution_options(yield_per=_CHUNK).execute(statement)
            for row in rows.mappings():
                yield parse_record(row)

    def count(self, wanted: Filter, now: datetime, zone: ZoneInfo) -> int:
        """How many tenders ``wanted`` asks for, whatever its limit."""
        statement = select_tenders([sa.func.count()], wanted, now, zone)
        with reading(self._engine) as connection:
            return int(connection.execute(statement).scalar_one())

    def find_releases(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        events: frozenset[Event] = frozenset(),
        limit: int = 100,
    ) -> list[tuple[Release, Record]]:
        """The newest releases of the tenders that ``wanted`` asks for, newest first.

        With ``events`` only those that tell one of them. Each comes with the tender as that release left it; the
        record's times are the release's.
        """
        found = select_tenders([*_RELEASE, *_RECORD], wanted, now, zone)
        found = found.join(releases, releases.c.tender_id == tenders.c.id)
        if events:
            found = found.where(has_event(releases.c.events, events))
        with reading(self._engine) as connection:
            rows = connection.execute(found.order_by(releases.c.seq.desc()).limit(limit)).mappings().all()
            later = _find_later(connection, rows)
        return [_as_of(row, later[row["tender_id"]]) for row in rows]

    def find_history(self, portal: str, kind: Kind, key: str) -> list[Release]:
        """All releases of one tender, oldest first."""
        statement = (
            sa.select(*_RELEASE)
            .join(tenders)
            .where(tenders.c.portal == portal, tenders.c.kind == kind, tenders.c.key == key)
            .order_by(releases.c.seq)
        )
        with reading(self._engine) as connection:
            return [parse_release(row) for row in connection.execute(statement).mappings()]

    def find_names(self, column: Literal["buyer", "procuring_entity"]) -> list[tuple[str, int]]:
        """Every buyer or procuring entity and its number of tenders, most first; spellings by case are one."""
        name, folded = tenders.c[column], tenders.c[f"{column}_folded"]
        number = sa.func.count()
        statement = (
            sa.select(sa.func.max(name), number)
            .where(folded.is_not(None))
            .group_by(folded)
            .order_by(number.desc(), folded)
        )
        with reading(self._engine) as connection:
            return [(found, count) for found, count in connection.execute(statement)]

    # The index of the archive --------------------------------------------------------------------------

    def save_snapshots(self, found: Sequence[Snapshot]) -> None:
        """Adds to the index; those that stand in it already are left out."""
        with writing(self._engine) as connection:
            first = _next(connection, snapshots.c.id)
            ends = {name: _segment_end(connection, name) for name in {each.segment for each in found}}
            rows = [
                {"id": number, **each.as_row()}
                for number, each in enumerate(found, start=first)
                if each.start >= ends[each.segment]
            ]
            if rows:
                connection.execute(sa.insert(snapshots), rows)
