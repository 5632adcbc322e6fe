"""Purchases with all that was recorded of them, streamed: SQL for exports that tell how each came to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.bookkeeping import Identity
from aggregator.changes import rewind
from aggregator.conditions import is_common, order, select_tenders
from aggregator.database import dossiers, reading, releases, tenders
from aggregator.dossiers import Member, compile_record
from aggregator.filters import Filter
from aggregator.linking import find_others
from aggregator.models import Kind, Record, Release, Tender
from aggregator.rows import Columns, parse_record, parse_release
from aggregator.statements import CHUNK, chunks

_TENDER = [
    tenders.c[name]
    for name in (
        *("id", "portal", "kind", "key", "tender", "unread", "first_seen", "last_seen", "changed"),
        *("republished", "merged", "shown"),
    )
]
_RELEASE = sa.select(*releases.c, tenders.c.portal, tenders.c.kind, tenders.c.key).join(tenders)


@dataclass(frozen=True, slots=True)
class Past:
    """One source's own telling of a purchase and every release of it, corrections too, oldest first."""

    member: Member
    releases: tuple[Release, ...]

    def replay(self) -> Iterator[tuple[Release, Tender]]:
        """Each release with the tender as it left it, newest first."""
        tender = self.member.tender
        for release in reversed(self.releases):
            yield release, tender
            tender = rewind(tender, [release])


@dataclass(frozen=True, slots=True)
class Purchase:
    """A purchase by the ``identity`` of the tender that speaks for it, and what each of its sources told."""

    identity: Identity
    told: tuple[Past, ...]

    def replay(self) -> Iterator[tuple[datetime, Record]]:
        """The purchase as each release of one of its sources left it, oldest first in commit order; the record's
        ``changed`` is the release's time."""
        steps = [(release, tender, past.member) for past in self.told for release, tender in past.replay()]
        known: dict[int, Member] = {}
        for release, tender, member in sorted(steps, key=lambda step: step[0].seq or 0):
            record = Record(
                tender=tender,
                first_seen=member.record.first_seen,
                last_seen=release.time,
                changed=release.time,
                republished=member.record.republished,
            )
            known[member.number] = Member(number=member.number, record=record)
            yield release.time, compile_record([*known.values()])


def find_purchases(
    engine: Engine,
    wanted: Filter,
    now: datetime,
    zone: ZoneInfo,
    *,
    apart: bool = False,
    only: Collection[str] | None = None,
) -> Iterator[Purchase]:
    """What Repository.find finds, each with its past; a few hundred at a time are held in memory.

    ``apart``: every source's tender by itself, still by the identity of the one that speaks for the purchase.
    """
    with reading(engine) as connection:
        common = is_common(connection, wanted)
        statement = select_tenders(_TENDER, wanted, now, zone, apart=apart, only=only, common=common)
        statement = statement.order_by(*order(wanted, common=common)).limit(wanted.limit)
        rows = connection.execution_options(yield_per=CHUNK).execute(statement).mappings()
        for chunk in rows.partitions(CHUNK):
            yield from _find_pasts(connection, chunk, only, apart=apart)


def find_processes(
    engine: Engine,
    wanted: Filter,
    now: datetime,
    zone: ZoneInfo,
    *,
    apart: bool = False,
    only: Collection[str] | None = None,
) -> Iterator[Purchase]:
    """What find_purchases finds, without what is no contracting process; the limit counts those that are."""
    kinds = tuple(kind for kind in wanted.kind or Kind if kind is not Kind.NEWS)
    if not kinds:
        return
    every = replace(wanted, kind=kinds, limit=None)
    found = find_purchases(engine, every, now, zone, apart=apart, only=only)
    yield from islice((each for each in found if is_process(each.told[0].member.tender)), wanted.limit)


def is_process(tender: Tender) -> bool:
    """Whether a tender is a contracting process: news and entries of a blacklist are none."""
    return tender.kind is not Kind.NEWS and not tender.sanctions


def _find_pasts(
    connection: Connection, rows: Sequence[Columns], only: Collection[str] | None, *, apart: bool
) -> Iterator[Purchase]:
    others = find_others(connection, () if apart else rows)
    speakers = _find_speakers(connection, [row["id"] for row in rows if not row["shown"]])
    heard: list[tuple[Columns, list[Member]]] = []
    for row in rows:
        members = [Member(number=row["id"], record=parse_record(row)), *others[row["id"]]]
        heard.append((row, [each for each in members if only is None or each.tender.portal in only] or members))
    past = _find_releases(connection, {each.number for _, members in heard for each in members})
    for row, members in heard:
        identity = (row["portal"], Kind(row["kind"]), row["key"])
        told = tuple(Past(each, tuple(past[each.number])) for each in members)
        yield Purchase(speakers.get(row["id"], identity), told)


def _find_speakers(connection: Connection, hidden: Collection[int]) -> dict[int, Identity]:
    """By which tender another one of the same purchase speaks for it; a plan is a process of its own."""
    member = tenders.alias()
    statement = (
        sa.select(dossiers.c.member_id, tenders.c.portal, tenders.c.kind, tenders.c.key)
        .join(tenders, tenders.c.id == dossiers.c.leader_id)
        .join(member, member.c.id == dossiers.c.member_id)
        .where(member.c.kind == tenders.c.kind)
    )
    return {
        number: (portal, Kind(kind), key)
        for chunk in chunks(hidden)
        for number, portal, kind, key in connection.execute(statement.where(dossiers.c.member_id.in_(chunk)))
    }


def _find_releases(connection: Connection, numbers: Collection[int]) -> dict[int, list[Release]]:
    found: dict[int, list[Release]] = defaultdict(list)
    for chunk in chunks(numbers):
        statement = _RELEASE.where(releases.c.tender_id.in_(chunk)).order_by(releases.c.seq)
        for row in connection.execute(statement).mappings():
            found[row["tender_id"]].append(parse_release(row))
    return found
