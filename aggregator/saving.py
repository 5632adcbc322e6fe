"""How the repository writes a batch and a listing: SQL inside a transaction that the caller opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aggregator.bookkeeping import Batch, Identity, Row, Weighed
from aggregator.database import listed, listings, releases, tenders
from aggregator.linking import find_links, write_links
from aggregator.models import Kind, Status
from aggregator.statements import chunks, update_tenders, write_texts

Place = tuple[str, Kind, int]  # which listing: portal, kind, year

# Releases of one run lie within this after its time, a microsecond apart: room for 3,600 million.
_LONGEST_RUN = timedelta(hours=1)

_KEPT = [
    tenders.c[name]
    for name in (
        *("id", "portal", "kind", "key", "position", "first_seen", "last_seen", "last_read", "changed", "row", "home"),
        *("schedule_read", "retry_at", "attempts", "republished", "shown", "merged", "unread", "tender"),
    )
]
_TOUCHED = ("last_seen", "last_read", "row", "home", "schedule_read", "retry_at", "attempts")


def next_number(connection: Connection, column: sa.Column[int]) -> int:
    """The next value of a numbered column; only sure inside a write transaction, of which there is one at a time."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1)).scalar_one())


def start_batch(connection: Connection, identities: Iterable[Identity], now: datetime) -> Batch:
    """A batch over the kept rows of ``identities``, its releases later than all of the same run."""
    return Batch(
        rows=_find_rows(connection, identities),
        now=now,
        time=_next_time(connection, now),
        number=next_number(connection, tenders.c.id),
        seq=next_number(connection, releases.c.seq),
    )


def write_batch(connection: Connection, batch: Batch) -> None:
    links = find_links(connection, batch)
    new = [batch.rows[identity] for identity in batch.rows if identity in batch.new]
    rewritten = [batch.rows[identity] for identity in batch.rewritten - batch.new]
    touched = [batch.rows[identity] for identity in batch.touched - batch.rewritten - batch.new]
    texts = [{"rowid": batch.rows[identity]["position"], "text": text} for identity, text in batch.texts.items()]
    if new:
        connection.execute(sa.insert(tenders), new)
    update_tenders(connection, rewritten)
    update_tenders(connection, touched, _TOUCHED)
    if batch.releases:
        connection.execute(sa.insert(releases), batch.releases)
    write_texts(connection, batch.stale_positions, texts)
    write_links(connection, links)


def at(table: sa.Table, place: Place) -> sa.ColumnElement[bool]:
    """The rows of ``listings`` or ``listed`` for one listing."""
    portal, kind, year = place
    return sa.and_(table.c.portal == portal, table.c.kind == kind, table.c.year == year)


def find_elsewhere(connection: Connection, place: Place, keys: Set[str]) -> set[str]:
    """Which of ``keys`` stand in another listing of the same portal and kind."""
    portal, kind, year = place
    elsewhere = sa.select(listed.c.key).where(listed.c.portal == portal, listed.c.kind == kind, listed.c.year != year)
    return {
        key for chunk in chunks(keys) for key in connection.execute(elsewhere.where(listed.c.key.in_(chunk))).scalars()
    }


def find_strays(connection: Connection, place: Place) -> set[str]:
    """Tenders of the listing's year that stand in no list: seen on the home page alone, and gone from it before
    any list was read."""
    portal, kind, year = place
    member = sa.select(listed.c.key).where(
        listed.c.portal == tenders.c.portal, listed.c.kind == tenders.c.kind, listed.c.key == tenders.c.key
    )
    strays = sa.select(tenders.c.key).where(
        tenders.c.portal == portal,
        tenders.c.kind == kind,
        tenders.c.status.is_distinct_from(Status.WITHDRAWN),
        tenders.c.years.contains(f" {year} "),
        ~member.exists(),
    )
    return set(connection.execute(strays).scalars())


def write_members(connection: Connection, place: Place, weighed: Weighed, strays: Set[str]) -> None:
    portal, kind, year = place
    for missed, keys in ((0, weighed.added), (1, strays - weighed.added)):
        row = {"portal": portal, "kind": kind, "year": year, "missed": missed}
        for chunk in chunks(sorted(keys)):
            connection.execute(sa.insert(listed), [{**row, "key": key} for key in chunk])
    here = sa.and_(at(listed, place), listed.c.key == sa.bindparam("member"))
    for statement, members in (
        (sa.delete(listed).where(here), weighed.gone),
        (sa.update(listed).where(here).values(missed=0), weighed.back),
        (sa.update(listed).where(here).values(missed=listed.c.missed + 1), weighed.missed),
    ):
        if members:
            connection.execute(statement, [{"member": key} for key in members])


def write_listing(connection: Connection, place: Place, size: int, now: datetime, *, known: bool) -> None:
    if known:
        connection.execute(sa.update(listings).where(at(listings, place)).values(size=size, read=now))
    else:
        portal, kind, year = place
        row = {"portal": portal, "kind": kind, "year": year, "size": size, "read": now}
        connection.execute(sa.insert(listings), row)


def _find_rows(connection: Connection, identities: Iterable[Identity]) -> dict[Identity, Row]:
    keys: dict[tuple[str, Kind], list[str]] = defaultdict(list)
    for portal, kind, key in identities:
        keys[portal, kind].append(key)
    rows: dict[Identity, Row] = {}
    for (portal, kind), wanted in keys.items():
        for chunk in chunks(wanted):
            kept = sa.select(*_KEPT).where(tenders.c.portal == portal, tenders.c.kind == kind, tenders.c.key.in_(chunk))
            for row in connection.execute(kept).mappings():
                rows[portal, kind, row["key"]] = dict(row)
    return rows


def _next_time(connection: Connection, now: datetime) -> datetime:
    of_this_run = sa.and_(releases.c.time >= now, releases.c.time < now + _LONGEST_RUN)
    last = connection.execute(sa.select(sa.func.max(releases.c.time)).where(of_this_run)).scalar_one()
    return now if last is None else last + timedelta(microseconds=1)
