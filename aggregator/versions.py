"""What the telling of each tender rests on, and its record with its history: SQL for pages that are kept until it
moves, inside the transaction of the caller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aggregator.bookkeeping import Identity
from aggregator.changes import is_learnt, rewind
from aggregator.database import dossiers, releases, tenders
from aggregator.dossiers import Member, compile_record
from aggregator.models import Kind, Record, Release, Tender
from aggregator.rows import Columns, parse_record, parse_release
from aggregator.statements import chunks

_RECORD = [tenders.c[name] for name in ("id", "tender", "unread", "first_seen", "last_seen", "changed", "republished")]
_KINDS = {kind.value: kind for kind in Kind}


class Version(NamedTuple):
    """How far the telling of a purchase has come: while ``mark`` is the same, its record and history are.

    ``identity`` is that of the tender which speaks for it, ``others`` are those of the tenders it speaks for, and
    ``numbers`` the rows of all of them. ``closes`` is the deadline in microseconds since 1970 UTC.
    """

    identity: Identity
    others: tuple[Identity, ...]
    numbers: tuple[int, ...]
    mark: tuple[Any, ...]
    closes: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """A purchase and how it came to be: every release that tells a reader something, of each of its tenders, newest
    first, with that tender as the release left it."""

    record: Record
    history: tuple[tuple[Release, Tender], ...]


def find_versions(connection: Connection, only: Collection[str]) -> list[Version]:
    """Every purchase that one of the portals ``only`` tells of, each tender in one of them."""
    rows: dict[int, _Row] = {}
    for row in connection.execute(_VERSIONS).all():
        number, portal, kind, key, closes, *moved = row
        if portal in only:
            rows[number] = _Row(number, (portal, _KINDS[kind], key), closes, tuple(moved))
    groups: dict[int, list[int]] = defaultdict(list)
    for leader, member in connection.execute(sa.select(dossiers).order_by(*dossiers.c)):
        groups[leader].append(member)
    spoken_for: set[int] = set()
    found: list[Version] = []
    for leader, members in groups.items():
        heard = [rows[number] for number in (leader, *members) if number in rows]
        if len(heard) > 1:
            heard.sort(key=_leads)
            # A plan that several purchases name is shown by the first of them.
            others = tuple([row.identity for row in heard[1:] if row.number not in spoken_for])
            spoken_for.update(row.number for row in heard)
            numbers = tuple([row.number for row in heard])
            mark = tuple([part for row in heard for part in (row.number, *row.mark)])
            found.append(Version(heard[0].identity, others, numbers, mark, heard[0].closes))
    for number, identity, closes, own in rows.values():
        if number not in spoken_for:
            found.append(Version(identity, (), (number,), (number, *own), closes))
    return found


class _Row(NamedTuple):
    """Of the tenders table; ``mark`` begins with when the tender was first seen."""

    number: int
    identity: Identity
    closes: int | None
    mark: tuple[Any, ...]


def _leads(row: _Row) -> tuple[bool, int, int]:
    """As compile_record finds the tender that speaks for a purchase."""
    return (row.identity[1] is Kind.PLAN, row.mark[0], row.number)


def find_told(connection: Connection, versions: Sequence[Version]) -> Iterator[Told]:
    """The record and history of each of ``versions``, in their order."""
    numbers = {number for version in versions for number in version.numbers}
    rows: dict[int, Columns] = {}
    history: dict[int, list[Release]] = defaultdict(list)
    for chunk in chunks(numbers):
        for row in connection.execute(sa.select(*_RECORD).where(tenders.c.id.in_(chunk))).mappings():
            rows[row["id"]] = row
        newest_first = _RELEASES.where(releases.c.tender_id.in_(chunk))
        for row in connection.execute(newest_first.order_by(releases.c.seq.desc())).mappings():
            history[row["tender_id"]].append(parse_release(row))
    for version in versions:
        members = [Member(number=number, record=parse_record(rows[number])) for number in version.numbers]
        past = [each for member in members for each in _replay(member.tender, history[member.number])]
        if len(members) > 1:
            past.sort(key=lambda each: -(each[0].seq or 0))
        yield Told(compile_record(members), tuple(past))


def _replay(tender: Tender, newest_first: Sequence[Release]) -> Iterator[tuple[Release, Tender]]:
    """Each release that has events, with ``tender`` as it left it and what was learnt of it since."""
    after: list[Release] = []
    for release in newest_first:
        if release.events:
            if after:
                tender, after = rewind(tender, after), []
            yield release, tender
        if not is_learnt(release):
            after.append(release)


def find_later(connection: Connection, rows: Sequence[Columns]) -> dict[int, list[Release]]:
    """All releases of the tenders of ``rows``, a page of releases newest first, from its oldest one on."""
    later: dict[int, list[Release]] = {row["tender_id"]: [] for row in rows}
    for chunk in chunks(later):
        statement = _RELEASES.where(releases.c.tender_id.in_(chunk), releases.c.seq >= rows[-1]["seq"])
        statement = statement.order_by(releases.c.seq.desc())
        for row in connection.execute(statement).mappings():
            later[row["tender_id"]].append(parse_release(row))
    return later


def as_of(row: Columns, of_tender: Sequence[Release]) -> tuple[Release, Record]:
    """The release of ``row`` with its tender as it was then; ``of_tender`` are that tender's, newest first."""
    release = parse_release(row)
    after = [each for each in of_tender if (each.seq or 0) > row["seq"] and not is_learnt(each)]
    tender = rewind(parse_record(row).tender, after)
    return release, Record(tender=tender, first_seen=row["first_seen"], last_seen=release.time, changed=release.time)


_VERSIONS = sa.select(
    *(tenders.c[name] for name in ("id", "portal", "kind", "key")),
    # As the numbers that they are kept as: nobody reads them as times.
    *(sa.type_coerce(tenders.c[name], sa.BigInteger) for name in ("closes", "first_seen", "changed")),
    sa.func.length(tenders.c.tender),  # a database put in another's place may have been filled at the same times
    # Whatever is told of a tender makes a release, but for which of its fields were read: that is told of itself.
    sa.select(sa.func.max(releases.c.seq)).where(releases.c.tender_id == tenders.c.id).scalar_subquery(),
    tenders.c.unread,
).order_by(tenders.c.id)
_RELEASES = sa.select(*releases.c, tenders.c.portal, tenders.c.kind, tenders.c.key).join(tenders)
