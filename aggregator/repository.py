"""Where tenders, their releases, runs and listings are kept: the only SQL, beside conditions.py for filters."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.archive import CARRIED, ArchivedRun, Snapshot
from aggregator.bookkeeping import collapsed, weigh_listing
from aggregator.conditions import is_common, order, select_releases, select_tenders, told_by
from aggregator.database import find_file, listed, listings, reading, releases, runs, snapshots, tenders, writing
from aggregator.facets import Facet, select_counts
from aggregator.filters import Filter
from aggregator.linking import compile_rows
from aggregator.models import Event, Kind, Known, KnownTenders, Reading, Record, Release, Status
from aggregator.rows import LAST_NUMBER, parse_record, parse_release, position, position_time
from aggregator.run_log import GOOD, LastRuns, find_last_runs, find_verdict_turns, forget_runs, save_run
from aggregator.saving import (
    Place,
    at,
    find_elsewhere,
    find_strays,
    next_number,
    start_batch,
    write_batch,
    write_listing,
    write_members,
)
from aggregator.statements import CHUNK, chunks
from aggregator.verdicts import Run
from aggregator.versions import Told, Version, as_of, find_later, find_told, find_versions

HOME = 0  # the year under which a portal's home page is kept as a listing
DOUBT = timedelta(days=7)  # how long a listing that collapsed is not believed
PATIENCE = 2  # complete listings in a row that must lack a tender before it counts as withdrawn

_RECORD = [tenders.c[name] for name in ("tender", "unread", "first_seen", "last_seen", "changed", "republished")]
_RELEASE = [*releases.c, tenders.c.portal, tenders.c.kind, tenders.c.key]
_SNAPSHOT = [column for column in snapshots.c if column.name != "id"]
# Asked for before every page that is archived, so it is put together once.
_HOLDER = (
    sa.select(*_SNAPSHOT)
    .where(snapshots.c.body_hash == sa.bindparam("body_hash"), snapshots.c.frame < snapshots.c.stop)
    .order_by(snapshots.c.id.desc())
    .limit(1)
)


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


class Repository:
    """One database. Every method is one transaction and raises DatabaseError where that fails as a whole."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """For what is kept beside tenders: reports.py, visits.py."""
        return self._engine

    def forget_connections(self) -> None:
        """For a forked process: those that are open are its parent's."""
        self._engine.dispose(close=False)

    # What a run writes ---------------------------------------------------------------------------------

    def save(self, readings: Sequence[Reading], now: datetime, *, dry_run: bool = False) -> Saved:
        """Takes in what was read in the run of time ``now``: tenders and their releases together.

        Saying the same again makes nothing new, so a run that broke off may be repeated. ``dry_run`` only counts.
        """
        with self._transaction(dry_run) as connection:
            batch = start_batch(connection, {r.tender.identity for r in readings}, now)
            for each in readings:
                batch.read(each)
            if not dry_run:
                write_batch(connection, batch)
        return Saved(new=len(batch.new), changed=batch.changed)

    def touch(self, portal: str, kind: Kind, keys: Collection[str], now: datetime) -> None:
        """Notes that these tenders still stand on their portal, read again or not."""
        with writing(self._engine) as connection:
            for chunk in chunks(keys):
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
        it. A list that lost more than a third is not believed and changes nothing, until it has been that small for
        a week: then the portal means it. The home page, whose tenders
        leave as they close, withdraws none. A listing not newer than the one kept is left out.
        """
        place: Place = (portal, kind, HOME if year is None else year)
        with self._transaction(dry_run) as connection:
            kept = connection.execute(sa.select(listings).where(at(listings, place))).one_or_none()
            if kept is not None and kept.read >= now:
                return Listed()
            doubted = kept is not None and year is not None and complete and now - kept.read < DOUBT
            if kept is not None and doubted and collapsed(len(keys), kept.size):
                return Listed(not_believed=kept.size)
            missed = {row.key: row.missed for row in connection.execute(sa.select(listed).where(at(listed, place)))}
            patience = 1 if year is None else PATIENCE
            weighed = weigh_listing(missed, keys, complete=complete, patience=patience)
            vanished = set[str]() if year is None else weighed.gone - find_elsewhere(connection, place, weighed.gone)
            identities = {(portal, kind, key) for key in vanished}
            batch = start_batch(connection, identities, now)
            withdrawn = sum(batch.withdraw(identity) for identity in sorted(identities))
            if not dry_run:
                write_batch(connection, batch)
                strays = find_strays(connection, place) if complete and year is not None else set[str]()
                write_members(connection, place, weighed, strays)
                if complete:
                    write_listing(connection, place, len(keys), now, known=kept is not None)
        return Listed(withdrawn=withdrawn)

    def find_years(self, portal: str) -> set[int]:
        """Fiscal years in whose lists packages stand that are not over yet; plans never end, and do not count."""
        statement = (
            sa.select(listed.c.year)
            .distinct()
            .join(
                tenders,
                sa.and_(
                    listed.c.portal == tenders.c.portal,
                    listed.c.kind == tenders.c.kind,
                    listed.c.key == tenders.c.key,
                ),
            )
            .where(listed.c.portal == portal, listed.c.year != HOME, listed.c.kind != Kind.PLAN)
            .where(tenders.c.status.in_([Status.PLANNED, Status.ACTIVE]))
        )
        with reading(self._engine) as connection:
            return set(connection.execute(statement).scalars())

    def correct(self, found: Sequence[Record], now: datetime) -> int:
        """Puts right what the archive, read again, tells otherwise than what is kept; how many were wrong.

        A tender that was read after the record's last sight is left alone: the archive knows less of it.

        Each correction is a release without events, so that followers learn of it and readers are not told news.
        """
        with writing(self._engine) as connection:
            batch = start_batch(connection, {record.tender.identity for record in found}, now)
            wrong = sum(batch.correct(record) for record in found)
            write_batch(connection, batch)
        return wrong

    def save_run(self, run: Run) -> None:
        """Adds a run, unless it is the last one kept of its portal."""
        save_run(self._engine, run)

    def forget_runs(self, now: datetime) -> int:
        """Takes out old runs that nobody asks for any more (run_log.py); how many."""
        return forget_runs(self._engine, now)

    # What a run has to know ----------------------------------------------------------------------------

    def load_known(self, portal: str) -> KnownTenders:
        """What the next visit to ``portal`` compares with, by kind and key."""
        columns = [tenders.c[name] for name in ("kind", "key", "row", "home", "status", "schedule_read", "retry_at")]
        statement = sa.select(*columns).where(tenders.c.portal == portal)
        kinds = {kind.value: kind for kind in Kind}
        times: dict[datetime | None, datetime | None] = {}  # tenders of one run share their time in memory
        found = KnownTenders()
        with reading(self._engine) as connection:
            rows = connection.execution_options(yield_per=CHUNK).execute(statement)
            for kind, key, row, home, status, schedule_read, retry_at in rows:
                known = Known(
                    row=row,
                    home=home,
                    active=status == Status.ACTIVE,
                    schedule_read=times.setdefault(schedule_read, schedule_read),
                    retry_at=times.setdefault(retry_at, retry_at),
                )
                found.add(kinds[kind], key, known)
        return found

    def find_last_start(self, portal: str) -> datetime | None:
        """The time of the newest run of ``portal``: of the last one kept, or of one that was killed after it had read a
        tender. None where there was none."""
        kept = sa.select(runs.c.started).where(runs.c.portal == portal).order_by(runs.c.id.desc()).limit(1)
        newest = sa.select(sa.func.max(tenders.c.last_read)).where(tenders.c.portal == portal)
        with reading(self._engine) as connection:
            times: list[datetime | None] = [connection.execute(each).scalar() for each in (kept, newest)]
        return max((time for time in times if time is not None), default=None)

    def find_last_runs(self) -> dict[str, LastRuns]:
        """By portal; portals never crawled are absent."""
        return find_last_runs(self._engine)

    def find_verdict_turns(self, limit: int | None = 100) -> list[Run]:
        """The runs where a portal failed or was back (run_log.py), newest first."""
        return find_verdict_turns(self._engine, limit)

    # What readers ask ----------------------------------------------------------------------------------

    def find(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        *,
        start: int = 0,
        apart: bool = False,
        only: Collection[str] | None = None,
    ) -> Iterator[Record]:
        """The tenders that ``wanted`` asks for, ``start`` skipped, streamed in its order; all where it has no limit.

        Each purchase once, with what all its sources tell (dossiers.py). ``apart``: every source's tender by itself,
        as that source tells it. ``only`` these portals (their ids) are listened to.
        """
        columns = [*_RECORD, tenders.c.id, tenders.c.merged]
        with reading(self._engine) as connection:
            common = is_common(connection, wanted)
            statement = select_tenders(
                columns, wanted, now, zone, apart=apart, only=only, common=common, ordered=wanted.limit is not None
            )
            statement = statement.order_by(*order(wanted, common=common)).limit(wanted.limit).offset(start or None)
            rows = connection.execution_options(yield_per=CHUNK).execute(statement).mappings()
            for chunk in rows.partitions(CHUNK):
                yield from map(parse_record, chunk) if apart else compile_rows(connection, chunk, only)

    def find_numbers(
        self, wanted: Filter, now: datetime, zone: ZoneInfo, *, start: int = 0, only: Collection[str] | None = None
    ) -> list[int]:
        """The rows of the tenders that ``find`` finds, by their numbers, in its order; none of them is read."""
        with reading(self._engine) as connection:
            common, ordered = is_common(connection, wanted), wanted.limit is not None
            found = select_tenders([tenders.c.id], wanted, now, zone, only=only, common=common, ordered=ordered)
            found = found.order_by(*order(wanted, common=common)).limit(wanted.limit).offset(start or None)
            return list(connection.execute(found).scalars())

    def find_numbered(self, numbers: Sequence[int], only: Collection[str] | None = None) -> Iterator[Record]:
        """What ``find`` finds of each of ``numbers``, in their order."""
        statement = sa.select(*_RECORD, tenders.c.id, tenders.c.merged)
        with reading(self._engine) as connection:
            for chunk in chunks(numbers):
                found = connection.execute(statement.where(tenders.c.id.in_(chunk))).mappings()
                rows = {row["id"]: row for row in found}
                yield from compile_rows(connection, [rows[number] for number in chunk], only)

    def count(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        *,
        apart: bool = False,
        only: Collection[str] | None = None,
        most: int | None = None,
    ) -> int:
        """How many tenders ``find`` finds, whatever the limit; counting stops at ``most``."""
        if most is None:
            statement = select_tenders([sa.func.count()], wanted, now, zone, apart=apart, only=only)
        else:
            few = select_tenders([sa.literal(1)], wanted, now, zone, apart=apart, only=only).limit(most).subquery()
            statement = sa.select(sa.func.count()).select_from(few)
        with reading(self._engine) as connection:
            return int(connection.execute(statement).scalar_one())

    def count_by(
        self,
        field: Facet,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        *,
        apart: bool = False,
        only: Collection[str] | None = None,
    ) -> list[tuple[str, int]]:
        """How many tenders ``find`` finds of each value of ``field``, whatever the limit; most first, then by name."""
        statement = select_counts(field, wanted, now, zone, only, apart=apart)
        with reading(self._engine) as connection:
            return [(value, number) for value, number in connection.execute(statement)]

    def find_releases(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        events: frozenset[Event] = frozenset(),
        limit: int = 100,
        *,
        only: Collection[str] | None = None,
    ) -> list[tuple[Release, Record]]:
        """The newest releases of the tenders that ``wanted`` asks for, newest first.

        With ``events`` only those that tell one of them. Each comes with the tender as that release left it; the
        record's times are the release's.
        """
        columns = [*_RELEASE, *_RECORD]
        with reading(self._engine) as connection:
            common = is_common(connection, wanted)
            found = select_releases(columns, wanted, events, now, zone, only=only, common=common).limit(limit)
            rows = connection.execute(found).mappings().all()
            later = find_later(connection, rows)
        return [as_of(row, later[row["tender_id"]]) for row in rows]

    def find_release_places(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        events: frozenset[Event],
        limit: int,
        *,
        only: Collection[str] | None = None,
    ) -> list[tuple[int, int]]:
        """The seqs of what ``find_releases`` finds, each with the number of its tender's row; none is read."""
        columns = [releases.c.seq, releases.c.tender_id]
        with reading(self._engine) as connection:
            common = is_common(connection, wanted)
            found = select_releases(columns, wanted, events, now, zone, only=only, common=common).limit(limit)
            return [(seq, number) for seq, number in connection.execute(found)]

    def find_seqs(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        events: frozenset[Event],
        start: datetime,
        end: datetime,
        *,
        apart: bool,
        only: Collection[str] | None = None,
    ) -> list[int]:
        """The seqs of all releases that ``find_releases`` would find from ``start`` on and before ``end``.

        Not ``apart``: only those of the tenders that ``find`` shows.
        """
        seq = [releases.c.seq]
        with reading(self._engine) as connection:
            common = is_common(connection, wanted)
            found = select_releases(seq, wanted, events, now, zone, apart=apart, only=only, common=common)
            found = found.where(releases.c.time >= start, releases.c.time < end)
            return list(connection.execute(found).scalars())

    def find_releases_of(self, seqs: Collection[int]) -> dict[int, tuple[Release, Record]]:
        """Releases by their seq, as ``find_releases`` gives them."""
        found: dict[int, tuple[Release, Record]] = {}
        with reading(self._engine) as connection:
            for chunk in chunks(sorted(seqs, reverse=True)):
                statement = sa.select(*_RELEASE, *_RECORD).join(tenders).where(releases.c.seq.in_(chunk))
                rows = connection.execute(statement.order_by(releases.c.seq.desc())).mappings().all()
                later = find_later(connection, rows)
                found |= {row["seq"]: as_of(row, later[row["tender_id"]]) for row in rows}
        return found

    def find_first_release(self) -> datetime | None:
        """The time of the oldest release; None where there is none."""
        with reading(self._engine) as connection:
            oldest: datetime | None = connection.execute(sa.select(sa.func.min(releases.c.time))).scalar_one()
        return oldest

    def find_newest_seq(self) -> int:
        """The seq of the newest release, corrections included; 0 where there is none."""
        with reading(self._engine) as connection:
            return connection.execute(sa.select(sa.func.max(releases.c.seq))).scalar_one() or 0

    def find_state(self) -> tuple[int, ...]:
        """The newest release's seq and the newest run's number, 0 where there is none, and which file it is; cheap.

        While it is the same, readers find the same, but for what a run under way has told without a release.
        """
        newest = [sa.select(sa.func.max(column)).scalar_subquery() for column in (releases.c.seq, runs.c.id)]
        with reading(self._engine) as connection:
            seq, number = connection.execute(sa.select(*newest)).one()
            return seq or 0, number or 0, *find_file(connection)

    def find_newest_change(self, only: Collection[str] | None = None) -> datetime | None:
        """When the tender changed last that did so latest of all; None where there is none."""
        newest_first = sa.select(tenders.c.changed).order_by(tenders.c.changed.desc())
        newest_first = newest_first.where(tenders.c.shown, told_by(only)).limit(1)
        with reading(self._engine) as connection:
            newest: datetime | None = connection.execute(newest_first).scalar_one_or_none()
        return newest

    def find_last(self, field: Literal["closes", "changed", "published"], until: datetime) -> datetime | None:
        """The latest deadline, change or publication of a tender that is not later than ``until``."""
        column = tenders.c["position" if field == "published" else field]
        bound = position(until, LAST_NUMBER) if field == "published" else until
        with reading(self._engine) as connection:
            last = connection.execute(sa.select(sa.func.max(column)).where(column <= bound)).scalar_one()
        return position_time(last) if isinstance(last, int) else last

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

    def find_versions(self, only: Collection[str]) -> list[Version]:
        """How far the telling of each purchase has come that one of the portals ``only`` tells of; cheap."""
        with reading(self._engine) as connection:
            return find_versions(connection, only)

    def find_told(self, versions: Sequence[Version]) -> Iterator[Told]:
        """The record and history of each of ``versions``, in their order, a few at a time."""
        with reading(self._engine) as connection:
            for chunk in chunks(versions):
                yield from find_told(connection, chunk)

    def find_names(self, column: Literal["buyer", "procuring_entity"]) -> list[tuple[str, int]]:
        """Every buyer or procuring entity and its number of tenders, most first; spellings by case are one."""
        name, folded = tenders.c[column], tenders.c[f"{column}_folded"]
        number = sa.func.count()
        statement = (
            sa.select(sa.func.max(name), number)
            .where(folded.is_not(None), tenders.c.shown)
            .group_by(folded)
            .order_by(number.desc(), folded)
        )
        with reading(self._engine) as connection:
            return [(found, count) for found, count in connection.execute(statement)]

    # The index of the archive --------------------------------------------------------------------------

    def save_snapshots(self, found: Sequence[Snapshot]) -> None:
        """Adds to the index; those that stand in it already are left out."""
        with writing(self._engine) as connection:
            number = next_number(connection, snapshots.c.id)
            ends = {name: _segment_end(connection, name) for name in {each.segment for each in found}}
            added = [each for each in found if each.start >= ends[each.segment]]
            if added:
                rows = [
                    {"id": id_, **{column.name: getattr(each, column.name) for column in _SNAPSHOT}}
                    for id_, each in enumerate(added, start=number)
                ]
                connection.execute(sa.insert(snapshots), rows)

    def find_segment_end(self, segment: str) -> int:
        """How far a segment is indexed, in bytes."""
        with reading(self._engine) as connection:
            return _segment_end(connection, segment)

    def find_body(self, body_hash: bytes) -> Snapshot | None:
        """A snapshot that holds the body with this hash itself; the last, since it stays the longest."""
        with reading(self._engine) as connection:
            row = connection.execute(_HOLDER, {"body_hash": body_hash}).mappings().one_or_none()
        return Snapshot(**row) if row else None

    def find_needed(self, segment: str) -> list[Snapshot]:
        """Bodies that this segment alone holds and answers in others refer to: one snapshot each, in their order.

        Its ``run`` is the newest of those that need the body.
        """
        other = snapshots.alias()
        same = (other.c.body_hash == snapshots.c.body_hash, other.c.segment != segment)
        newest = sa.select(sa.func.max(other.c.run)).where(*same).scalar_subquery()
        elsewhere = sa.exists().where(*same, other.c.frame < other.c.stop)
        statement = (
            sa.select(*[column for column in _SNAPSHOT if column.name != "run"], newest.label("run"))
            .where(snapshots.c.segment == segment, snapshots.c.frame < snapshots.c.stop)
            .where(newest.is_not(None), ~elsewhere)
            .order_by(snapshots.c.start.desc())
        )
        with reading(self._engine) as connection:
            found = {row["body_hash"]: Snapshot(**row) for row in connection.execute(statement).mappings()}
        return sorted(found.values(), key=lambda snapshot: snapshot.start)

    def find_segments(self) -> list[str]:
        """The names of all segments that are indexed."""
        with reading(self._engine) as connection:
            return list(connection.execute(sa.select(snapshots.c.segment).distinct()).scalars())

    def find_segment_times(self) -> dict[str, datetime]:
        """The time of the newest run in each segment."""
        newest = sa.func.max(snapshots.c.run).label("newest")
        statement = sa.select(snapshots.c.segment, newest).group_by(snapshots.c.segment)
        with reading(self._engine) as connection:
            return {row.segment: row.newest for row in connection.execute(statement)}

    def find_oldest_archived(self) -> datetime | None:
        """The time of the oldest run in the archive; cheap."""
        with reading(self._engine) as connection:
            oldest: datetime | None = connection.execute(sa.select(sa.func.min(snapshots.c.run))).scalar_one()
        return oldest

    def find_segments_of(self, portal: str, run: datetime) -> set[str]:
        """The segments that hold answers of one run."""
        statement = sa.select(snapshots.c.segment).where(snapshots.c.portal == portal, snapshots.c.run == run)
        with reading(self._engine) as connection:
            return set(connection.execute(statement.distinct()).scalars())

    def forget_segment(self, segment: str) -> None:
        """Takes a segment out of the index."""
        with writing(self._engine) as connection:
            connection.execute(sa.delete(snapshots).where(snapshots.c.segment == segment))

    def find_all_archived(self) -> list[ArchivedRun]:
        """Every run in the archive, by portal, oldest first."""
        good = sa.exists().where(
            runs.c.portal == snapshots.c.portal, runs.c.started == snapshots.c.run, runs.c.verdict.in_(GOOD)
        )
        statement = (
            sa.select(snapshots.c.portal, snapshots.c.run, sa.func.min(snapshots.c.asked), sa.func.count())
            .add_columns(good.label("good"))
            .where(snapshots.c.portal != CARRIED)
            .group_by(snapshots.c.portal, snapshots.c.run)
            .order_by(snapshots.c.portal, snapshots.c.run)
        )
        with reading(self._engine) as connection:
            return [
                ArchivedRun(portal=portal, run=run, asked=asked, answers=answers, good=bool(found))
                for portal, run, asked, answers, found in connection.execute(statement)
            ]

    def find_archived_runs(self, portal: str, since: datetime) -> list[datetime]:
        """The times of a portal's runs from ``since`` on whose answers are in the archive, oldest first."""
        statement = (
            sa.select(snapshots.c.run)
            .where(snapshots.c.portal == portal, snapshots.c.run >= since)
            .distinct()
            .order_by(snapshots.c.run)
        )
        with reading(self._engine) as connection:
            return list(connection.execute(statement).scalars())

    def find_snapshots(self, portal: str, run: datetime) -> list[Snapshot]:
        """What the archive holds of one run, in the order it was answered."""
        statement = (
            sa.select(*_SNAPSHOT)
            .where(snapshots.c.portal == portal, snapshots.c.run == run)
            .order_by(snapshots.c.fetched, snapshots.c.id)
        )
        with reading(self._engine) as connection:
            return [Snapshot(**row) for row in connection.execute(statement).mappings()]

    def _transaction(self, dry_run: bool) -> AbstractContextManager[Connection]:
        return reading(self._engine) if dry_run else writing(self._engine)


def _segment_end(connection: Connection, segment: str) -> int:
    # The last record by its start, which is indexed, rather than the highest stop, which is not.
    last = sa.select(snapshots.c.stop).where(snapshots.c.segment == segment).order_by(snapshots.c.start.desc()).limit(1)
    return connection.execute(last).scalar_one_or_none() or 0
