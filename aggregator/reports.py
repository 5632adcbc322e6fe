"""What happened, in figures, as SQL aggregates: purchases of a year by month, category and work unit, days to their
contracts and what those cost against the owner's estimate; runs of some days by portal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from aggregator.conditions import told_by
from aggregator.database import reading, runs, tenders
from aggregator.models import Kind, Status
from aggregator.rows import LAST_NUMBER, position
from aggregator.verdicts import Verdict

MOST_ENTITIES = 10

_PURCHASES = (Kind.TENDER, Kind.NON_TENDER, Kind.RECORDED, Kind.SELF_MANAGED, Kind.EMERGENCY)
_BID_FOR = (Kind.TENDER, Kind.NON_TENDER)  # announced first, contracted later, with an HPS made before the bids
_OFF = (Status.CANCELLED, Status.UNSUCCESSFUL, Status.WITHDRAWN)  # most come again under another key
# A thousand trillion rupiah, in cents: more is a slip of the keyboard, and thousands of those still fit in a sum.
_MOST_CENTS = 10**17
_LEAST_CENTS = 100_000  # a thousand rupiah: parts of a thousand of less cannot be told in whole cents
_SECONDS_OF_DAY = 86400
_MICROS = 1_000_000

Number = sa.ColumnElement[int]


@dataclass(frozen=True, slots=True)
class Sum:
    """A number of packages, and the rupiah of those whose value is known."""

    count: int = 0
    rupiah: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.count + other.count, self.rupiah + other.rupiah)


@dataclass(frozen=True, slots=True)
class YearReport:
    """What was announced in one calendar year of a zone.

    ``months`` are numbered from 1. ``entities`` are those of most value, of ``entity_count`` in all. ``days`` tells by
    method how many contracts were signed so many days after the announcement. ``margins`` tells how many contracts
    cost so many thousandths less (above zero) or more (below zero) than the HPS; those equal to it stand apart.
    """

    year: int
    months: dict[int, Sum]
    categories: dict[str | None, Sum]
    entities: list[tuple[str, Sum]]
    entity_count: int
    days: dict[str, dict[int, int]]
    margins: dict[int, int]
    equal: int

    @property
    def total(self) -> Sum:
        return sum(self.months.values(), Sum())


def find_years(engine: Engine, years: Iterable[int], zone: ZoneInfo, only: Collection[str] | None) -> list[int]:
    """Those of ``years`` in which some package counts."""
    with reading(engine) as connection:
        return [
            year
            for year in years
            if connection.execute(sa.select(sa.literal(1)).where(*_of_year(year, zone, only)).limit(1)).scalar()
        ]


def find_year(engine: Engine, year: int, zone: ZoneInfo, only: Collection[str] | None) -> YearReport:
    """The figures of the packages published in ``year``, as days are told in ``zone``, by the portals ``only``."""
    of_year = _of_year(year, zone, only)
    names = sa.select(sa.func.count(tenders.c.procuring_entity_folded.distinct())).where(*of_year)
    with reading(engine) as connection:
        by_month = connection.execute(_by_month(_starts(year, zone)[1:12], of_year)).all()
        by_entity = connection.execute(_by_entity(of_year)).all()
        entity_count = connection.execute(names).scalar_one()
        by_days = connection.execute(_by_days(of_year)).all()
        by_margin = connection.execute(_by_margin(of_year)).all()
    months: dict[int, Sum] = {}
    categories: dict[str | None, Sum] = {}
    for month, category, *figures in by_month:
        told = _sum(*figures)
        months[month] = months.get(month, Sum()) + told
        categories[category] = categories.get(category, Sum()) + told
    days: dict[str, dict[int, int]] = {}
    for method, number, count in by_days:
        days.setdefault(method, {})[number] = count
    return YearReport(
        year=year,
        months=dict(sorted(months.items())),
        categories=categories,
        entities=[(name, _sum(*figures)) for _, name, *figures in by_entity],
        entity_count=entity_count,
        days=days,
        margins={number: count for is_equal, number, count in by_margin if not is_equal},
        equal=sum(count for is_equal, _, count in by_margin if is_equal),
    )


def find_run_days(engine: Engine, starts: Sequence[datetime]) -> dict[str, list[Counter[Verdict]]]:
    """How the runs of each portal ended in each of the spans that begin at ``starts``, oldest first; the last is open.

    Portals without a run in them are absent.
    """
    number = sa.case(
        *((runs.c.finished < end, sa.literal_column(str(span))) for span, end in enumerate(starts[1:])),
        else_=sa.literal_column(str(len(starts) - 1)),
    ).label("span")
    statement = sa.select(runs.c.portal, number, runs.c.verdict, sa.func.count())
    statement = statement.where(runs.c.finished >= starts[0]).group_by(runs.c.portal, number, runs.c.verdict)
    found: dict[str, list[Counter[Verdict]]] = {}
    with reading(engine) as connection:
        for portal, span, verdict, count in connection.execute(statement):
            spans = found.setdefault(portal, [Counter() for _ in starts])
            spans[span][Verdict(verdict)] = count
    return found


def _starts(year: int, zone: ZoneInfo) -> list[int]:
    """Where each month begins, and the next year."""
    return [position(datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)) for month in range(13)]


def _of_year(year: int, zone: ZoneInfo, only: Collection[str] | None) -> tuple[sa.ColumnElement[bool], ...]:
    first, *_, end = _starts(year, zone)
    return tenders.c.position >= first, tenders.c.position < end, *_counted(only)


def _counted(only: Collection[str] | None) -> tuple[sa.ColumnElement[bool], ...]:
    stands = sa.or_(tenders.c.status.is_(None), tenders.c.status.not_in(_OFF))
    return tenders.c.shown, tenders.c.kind.in_(_PURCHASES), stands, told_by(only)


def _figures() -> tuple[Number, Number]:
    whole = sa.case((tenders.c.amount.between(0, _MOST_CENTS), tenders.c.amount // 100))
    return sa.func.count().label("number"), sa.func.coalesce(sa.func.sum(whole), 0).label("rupiah")


def _sum(count: Any, rupiah: Any) -> Sum:
    return Sum(count, int(rupiah))  # PostgreSQL sums to a decimal


def _by_month(later: list[int], of_year: tuple[sa.ColumnElement[bool], ...]) -> sa.Select[Any]:
    month = sa.case(
        *((tenders.c.position < start, sa.literal_column(str(number))) for number, start in enumerate(later, start=1)),
        else_=sa.literal_column("12"),
    ).label("month")
    return sa.select(month, tenders.c.category, *_figures()).where(*of_year).group_by(month, tenders.c.category)


def _by_entity(of_year: tuple[sa.ColumnElement[bool], ...]) -> sa.Select[Any]:
    key, name = tenders.c.procuring_entity_folded, sa.func.max(tenders.c.procuring_entity)
    number, rupiah = _figures()
    counts = sa.select(key, name, number, rupiah).where(key.is_not(None), *of_year).group_by(key)
    return counts.order_by(rupiah.desc(), number.desc(), key).limit(MOST_ENTITIES)


def _by_days(of_year: tuple[sa.ColumnElement[bool], ...]) -> sa.Select[Any]:
    signed = sa.type_coerce(tenders.c.contracted, sa.BigInteger) // _MICROS
    published = tenders.c.position // (LAST_NUMBER + 1)
    days = ((signed - published) // _SECONDS_OF_DAY).label("days")
    statement = sa.select(tenders.c.method, days, sa.func.count()).where(*of_year, tenders.c.kind.in_(_BID_FOR))
    # A tender without a time of publication stands at its first sight, from which no days can be counted.
    known = (tenders.c.contracted.is_not(None), tenders.c.method.is_not(None), _tells("published"))
    return statement.where(*known, signed >= published).group_by(tenders.c.method, days)


def _by_margin(of_year: tuple[sa.ColumnElement[bool], ...]) -> sa.Select[Any]:
    is_equal = (tenders.c.awarded == tenders.c.amount).label("is_equal")
    less = tenders.c.amount - tenders.c.awarded
    # Whole numbers are cut off towards zero, so what is less than a thousandth is told as one.
    thousandths = less // (tenders.c.amount // 1000)
    sign = sa.case((less < 0, sa.literal_column("-1")), else_=sa.literal_column("1"))
    number = sa.case((thousandths == 0, sign), else_=thousandths).label("number")
    statement = sa.select(is_equal, number, sa.func.count()).where(*of_year, tenders.c.kind.in_(_BID_FOR))
    # The sum of nothing keeps SQLite from its index of amounts, in which nearly every tender lies.
    comparable = (tenders.c.amount + 0).between(_LEAST_CENTS, _MOST_CENTS)
    known = (comparable, tenders.c.awarded.between(1, _MOST_CENTS))
    return statement.where(*known, _tells("value")).group_by(is_equal, number)


def _tells(field: str) -> sa.ColumnElement[bool]:
    """Whether the tender has that field. Its JSON is our own (rows.render_tender): no text in it can hold this."""
    return tenders.c.tender.not_like(f'%"{field}":null%')
