"""How often pages, embeds and feeds were asked for, day by day, as SQL. No address and no search stands in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from aggregator.database import reading, visits, writing
from aggregator.statements import chunks

KEPT_DAYS = 400  # so that a day can be compared with that of the year before; older ones are summed up by month
MOST_ROWS = 1_000  # of readers on a day: 50 feeds in 10 readers that state subscribers
OTHER = "lain"  # readers that are not told by name
FRESH = timedelta(days=7)  # readers that told no number of subscribers for so long have none

_SUM = sa.func.sum(visits.c.number)


class VisitKind(StrEnum):
    """What was asked for. ``SUBSCRIBERS`` is no count of requests, but the number that a feed reader states."""

    PAGE = "page"
    EMBED = "embed"
    FEED = "feed"
    SUBSCRIBERS = "subscribers"


class Counted(NamedTuple):
    """What is counted together. ``name``: a kind of page, or the id of a feed; ``reader``: a product."""

    day: date
    kind: VisitKind
    name: str
    reader: str = ""


@dataclass(frozen=True, slots=True)
class VisitDay:
    """The sums of one day, or of the month that begins with it."""

    day: date
    pages: int = 0
    embeds: int = 0
    feeds: int = 0
    subscribers: int = 0


@dataclass(frozen=True, slots=True)
class VisitReport:
    """``days`` are those with any visit, oldest first. ``fetches`` and ``subscribers`` tell by feed and reader: how
    often a feed was asked for since a day, and the last number of subscribers that each reader stated."""

    days: list[VisitDay]
    fetches: dict[tuple[str, str], int]
    subscribers: dict[tuple[str, str], int]


def save_visits(engine: Engine, counts: Mapping[Counted, int], today: date) -> None:
    """Adds to what is kept, whoever else adds at the same time. Of subscribers the day's highest number is kept.

    What is older than KEPT_DAYS is summed up by month, of subscribers forgotten. Of more than MOST_ROWS readers and
    feeds on a day the fetches are those of OTHER.
    """
    with writing(engine) as connection:
        _add(connection, _fit(connection, counts))
        _thin(connection, today - timedelta(days=KEPT_DAYS))


def find_visits(engine: Engine, since: date, today: date) -> VisitReport:
    """All days that are kept, and the feeds asked for from ``since`` on."""
    by_day = sa.select(visits.c.day, visits.c.kind, _SUM).group_by(visits.c.day, visits.c.kind)
    fetched = (
        sa.select(visits.c.name, visits.c.reader, _SUM)
        .where(visits.c.kind == VisitKind.FEED, visits.c.day >= since.isoformat())
        .group_by(visits.c.name, visits.c.reader)
    )
    stated = (
        sa.select(visits.c.name, visits.c.reader, visits.c.number)
        .where(visits.c.kind == VisitKind.SUBSCRIBERS, visits.c.day > (today - FRESH).isoformat())
        .order_by(visits.c.day)
    )
    with reading(engine) as connection:
        return VisitReport(
            days=_sum_days(connection.execute(by_day)),
            fetches={(name, reader): int(number) for name, reader, number in connection.execute(fetched)},
            subscribers={(name, reader): number for name, reader, number in connection.execute(stated)},
        )


def _add(connection: Connection, counts: Mapping[Counted, int]) -> None:
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name](visits)
    new = insert.excluded.number
    highest = sa.case((visits.c.number < new, new), else_=visits.c.number)
    number = sa.case((visits.c.kind == VisitKind.SUBSCRIBERS, highest), else_=visits.c.number + new)
    statement = insert.on_conflict_do_update(index_elements=list(visits.primary_key), set_={"number": number})
    # In one order everywhere, so that two writers never wait for each other.
    for chunk in chunks(sorted(counts)):
        connection.execute(statement, [_row(visit, counts[visit]) for visit in chunk])


def _fit(connection: Connection, counts: Mapping[Counted, int]) -> dict[Counted, int]:
    days = sorted({visit.day.isoformat() for visit in counts})
    told = sa.select(visits.c.day, visits.c.kind, visits.c.name, visits.c.reader).where(
        visits.c.day.in_(days), visits.c.reader != ""
    )
    kept = {
        Counted(date.fromisoformat(day), VisitKind(kind), name, reader)
        for day, kind, name, reader in connection.execute(told)
    }
    number_of = Counter(visit.day for visit in kept)
    fitting: dict[Counted, int] = {}
    for visit, number in sorted(counts.items()):
        row = visit
        if visit.reader and visit not in kept:
            if number_of[visit.day] < MOST_ROWS:
                number_of[visit.day] += 1
            elif visit.kind is VisitKind.SUBSCRIBERS:
                continue
            else:
                row = visit._replace(reader=OTHER)
        fitting[row] = fitting.get(row, 0) + number
    return fitting


def _thin(connection: Connection, last: date) -> None:
    """Whole months only; what is summed up already has neither name nor reader."""
    old = visits.c.day < last.replace(day=1).isoformat()
    single = sa.and_(old, sa.or_(visits.c.name != "", visits.c.reader != ""))
    by_day = sa.select(visits.c.day, visits.c.kind, _SUM).where(single).group_by(visits.c.day, visits.c.kind)
    months: dict[Counted, int] = {}
    for day, kind, number in connection.execute(by_day).all():
        month = Counted(date.fromisoformat(day).replace(day=1), VisitKind(kind), "")
        months[month] = months.get(month, 0) + int(number)
    if months:
        connection.execute(sa.delete(visits).where(single))
        _add(connection, {month: number for month, number in months.items() if month.kind != VisitKind.SUBSCRIBERS})


def _sum_days(rows: Iterable[Any]) -> list[VisitDay]:
    days: dict[str, dict[str, int]] = {}
    for day, kind, number in rows:
        days.setdefault(day, {})[kind] = int(number)  # PostgreSQL sums to a decimal
    return [
        VisitDay(
            date.fromisoformat(day),
            pages=sums.get(VisitKind.PAGE, 0),
            embeds=sums.get(VisitKind.EMBED, 0),
            feeds=sums.get(VisitKind.FEED, 0),
            subscribers=sums.get(VisitKind.SUBSCRIBERS, 0),
        )
        for day, sums in sorted(days.items())
    ]


def _row(visit: Counted, number: int) -> dict[str, str | int]:
    return {
        "day": visit.day.isoformat(),
        "kind": visit.kind,
        "name": visit.name,
        "reader": visit.reader,
        "number": number,
    }
