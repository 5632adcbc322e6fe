"""Releases in the order they were kept, each with its tender as it left it: SQL for programs that follow them all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.changes import rewind
from aggregator.database import reading, releases, tenders
from aggregator.models import Kind, Record, Release
from aggregator.rows import Columns, parse_record, parse_release
from aggregator.statements import chunks

WINDOW = 20_000  # releases looked through for one stretch, so that a rare portal is found in bounded time

_RECORD = [tenders.c[name] for name in ("tender", "unread", "first_seen", "last_seen", "changed", "republished")]
_OLDER = releases.alias()
# When the tender changed last as of a release: learning more of it is no change.
_CHANGED_THEN = (
    sa.select(_OLDER.c.time)
    .where(_OLDER.c.tender_id == releases.c.tender_id, _OLDER.c.seq <= releases.c.seq, _OLDER.c.tags != "")
    .order_by(_OLDER.c.seq.desc())
    .limit(1)
    .scalar_subquery()
)


class OtherSequence(Exception):
    """What a follower has seen is not of this database: an older one, or another, was put in its place."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some releases in their order, each with its tender as it left it.

    All up to ``last`` were looked at, which was kept at ``time`` (None where there is none yet); ``newest`` is the
    last of all. A record's ``changed`` is that of then, its ``last_seen`` the database's.
    """

    steps: list[tuple[Release, Record]]
    last: int
    time: datetime | None
    newest: int


def find_stretch(
    engine: Engine,
    after: int,
    limit: int,
    *,
    only: Collection[str],
    kinds: Collection[Kind] = (),
    time: datetime | None = None,
) -> Stretch:
    """The first ``limit`` releases behind seq ``after`` of tenders of the portals ``only`` and of ``kinds`` (all, if
    none is named), each tender as its own source tells it.

    Writers take turns, so seqs follow the order of commits: who goes on from ``last`` never misses one. ``time`` is
    that of the release ``after``, where it is known. Raises OtherSequence where this database cannot have told that.
    """
    with reading(engine) as connection:
        newest = connection.execute(sa.select(sa.func.max(releases.c.seq))).scalar_one() or 0
        if after > newest or (time is not None and after and _find_time(connection, after) != time):
            raise OtherSequence
        last = min(after + WINDOW, newest)
        statement = (
            sa.select(*releases.c, tenders.c.portal, tenders.c.kind, tenders.c.key, *_RECORD)
            .add_columns(_CHANGED_THEN.label("changed_then"))
            .join(tenders, tenders.c.id == releases.c.tender_id + 0)  # releases lead, in their order
            .where(releases.c.seq > after, releases.c.seq <= last, tenders.c.portal.concat("").in_(only))
        )
        if kinds:
            statement = statement.where(tenders.c.kind.concat("").in_(kinds))
        rows = connection.execute(statement.order_by(releases.c.seq).limit(limit)).mappings().all()
        if len(rows) == limit:
            last = rows[-1]["seq"]
        return Stretch(_find_steps(connection, rows), last, _find_time(connection, last), newest)


def _find_time(connection: Connection, seq: int) -> datetime | None:
    time: datetime | None = connection.execute(
        sa.select(releases.c.time).where(releases.c.seq == seq)
    ).scalar_one_or_none()
    return time


def _find_steps(connection: Connection, rows: Sequence[Columns]) -> list[tuple[Release, Record]]:
    """Each release of ``rows``, which are in order, with its tender as it left it."""
    of_tender: dict[int, list[Columns]] = defaultdict(list)
    for row in rows:
        of_tender[row["tender_id"]].append(row)
    later = _find_later(connection, of_tender, rows[-1]["seq"]) if rows else {}
    found: dict[int, tuple[Release, Record]] = {}
    for number, own in of_tender.items():
        kept = parse_record(own[-1])
        tender = rewind(kept.tender, later[number])
        for row in reversed(own):
            is_last = row is own[-1] and not later[number]
            changed = kept.changed if is_last else row["changed_then"]
            release = parse_release(row)
            record = Record(tender=tender, first_seen=kept.first_seen, last_seen=kept.last_seen, changed=changed)
            found[row["seq"]] = (release, record)
            tender = rewind(tender, [release])
    return [found[row["seq"]] for row in rows]


def _find_later(connection: Connection, numbers: Collection[int], seq: int) -> dict[int, list[Release]]:
    """The releases behind ``seq`` of the tenders with these ``numbers``, newest first."""
    later: dict[int, list[Release]] = {number: [] for number in numbers}
    columns: list[Any] = [*releases.c, tenders.c.portal, tenders.c.kind, tenders.c.key]
    for chunk in chunks(numbers):
        statement = sa.select(*columns).join(tenders).where(releases.c.tender_id.in_(chunk), releases.c.seq > seq)
        for row in connection.execute(statement.order_by(releases.c.seq.desc())).mappings():
            later[row["tender_id"]].append(parse_release(row))
    return later
