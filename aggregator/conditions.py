"""Filter → SQL: which tenders are found, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from aggregator.database import dossiers, releases, tender_text, tenders
from aggregator.filters import Filter, Moment, Sort
from aggregator.models import Event, Kind
from aggregator.rows import LAST_NUMBER, MOST_CENTS, position
from aggregator.search import Query, fold, fold_name, parse_query, render_match, render_tsquery

Condition = sa.ColumnElement[bool]

MOST_COLLECTED = 20_000  # texts that PostgreSQL collects for the words of a query: some 10 ms

_RARE = {Kind.NOTICE}  # kinds of which there are few among millions
_FIRST = {Sort.DEADLINE: tenders.c.closes, Sort.VALUE: tenders.c.amount, Sort.CHANGED: tenders.c.changed}
_OTHER = tenders.alias()  # made once: that takes longer than many a query


class Matches(FunctionElement[Any]):  # not of bool: SQLite has none, and FTS5 refuses what then becomes MATCH … = 1
    """Whether an indexed text is one that a query means, in the words of each database."""

    inherit_cache = True

    def __init__(self, query: Query) -> None:
        super().__init__(tender_text.c.text, sa.literal(render_match(query)), sa.literal(render_tsquery(query)))


@compiles(Matches, "sqlite")
def _match_fts5(element: Matches, compiler: SQLCompiler, **options: Any) -> str:
    text, match, _ = element.clauses
    return f"{compiler.process(text, **options)} MATCH {compiler.process(match, **options)}"


@compiles(Matches, "postgresql")
def _match_vector(element: Matches, compiler: SQLCompiler, **options: Any) -> str:
    text, _, tsquery = element.clauses
    return f"{compiler.process(text, **options)} @@ CAST({compiler.process(tsquery, **options)} AS tsquery)"


class Aside(FunctionElement[str]):
    """A column whose own index SQLite is not to use: it keeps no statistics and takes any value for rare."""

    inherit_cache = True
    type = sa.String()


@compiles(Aside, "sqlite")
def _set_aside(element: Aside, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


@compiles(Aside, "postgresql")
def _leave(element: Aside, compiler: SQLCompiler, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


def select_tenders(
    columns: list[Any],
    wanted: Filter,
    now: datetime,
    zone: ZoneInfo,
    *,
    apart: bool = False,
    only: Collection[str] | None = None,
    common: bool = True,
    ordered: bool = False,
) -> sa.Select[Any]:
    """``columns`` of the tenders that ``wanted`` asks for, unordered; its times are told from ``now`` in ``zone``.

    Each purchase once, by the tender that speaks for it; ``apart``: the tenders of all its sources. ``only``: those
    that one of these portals tells of. ``common``: what ``is_common`` says; without it full text is looked up first.
    ``ordered``: the caller asks for the first few in the order of ``wanted``.
    """
    statement = sa.select(*columns).select_from(_source(wanted, common))
    statement = statement.where(*_conditions(wanted, ordered), *_moments(wanted, now, zone))
    if wanted.q and common:
        statement = statement.where(_means(wanted))
    if wanted.portal:
        names = [fold(name) for name in wanted.portal]
        statement = statement.where(_portal(wanted) if apart else sa.or_(_portal(wanted), _told_elsewhere(names)))
    statement = statement.where(told_by(only))
    return statement if apart else statement.where(tenders.c.shown)


def told_by(only: Collection[str] | None) -> Condition:
    """Whether one of the portals ``only`` tells of a tender, by itself or in its dossier; any does where it is None."""
    if only is None:
        return sa.true()
    return sa.or_(tenders.c.portal.concat("").in_(only), _told_elsewhere(only))


def is_common(connection: Connection, wanted: Filter) -> bool:
    """Whether the newest tenders may be looked through until enough of them have the words of ``wanted``.

    Always on SQLite, whose FTS5 yields newest first. PostgreSQL would look through all for words that only few or
    old ones have, and collect very many for words that most have; its statistics know which words those are.
    """
    query = parse_query(wanted.q)
    if connection.dialect.name == "sqlite" or not query.clauses:
        return True
    explain = sa.text("EXPLAIN (FORMAT JSON) SELECT FROM tender_text WHERE text @@ CAST(:words AS tsquery)")
    (plan,) = connection.execute(explain, {"words": render_tsquery(query)}).scalar_one()
    return bool(plan["Plan"]["Plan Rows"] > MOST_COLLECTED)


def order(wanted: Filter, *, common: bool = True) -> list[sa.ColumnElement[Any]]:
    """The order that ``wanted`` asks for; position breaks ties, so that it is always the same."""
    newest, first = newest_first(wanted, common=common).desc(), looked_at_first(wanted)
    match wanted.sort:
        case Sort.PUBLISHED:
            return [newest]
        case Sort.DEADLINE:
            return [first.asc().nulls_last(), newest]
        case Sort.VALUE:
            return [first.desc().nulls_last(), newest]
        case Sort.CHANGED:
            return [first.desc(), newest]


def looked_at_first(wanted: Filter) -> sa.ColumnElement[int]:
    """What the order of ``wanted`` looks at before positions, as it is kept; NULL for publication."""
    number = sa.type_coerce(_FIRST.get(wanted.sort, sa.null()), sa.BigInteger)
    # Few have changed lately: those are sorted, rather than all looked through in another order than that of changes.
    return number + 0 if wanted.changed_since and wanted.sort is not Sort.CHANGED else number


def newest_first(wanted: Filter, *, common: bool = True) -> sa.ColumnElement[int]:
    """The position of a tender, as the database finds it soonest."""
    # FTS5 yields its rowids newest first by itself, so that the first page of a common word costs little.
    return tender_text.c.rowid if wanted.q and common else tenders.c.position


def select_releases(
    columns: list[Any],
    wanted: Filter,
    events: frozenset[Event],
    now: datetime,
    zone: ZoneInfo,
    *,
    apart: bool = True,
    only: Collection[str] | None = None,
    common: bool = True,
) -> sa.Select[Any]:
    """``columns`` of the releases that tell one of ``events`` (any, if none is named), newest first.

    A release without events (a correction by replay) tells a reader nothing and is left out.
    """
    tender_id: sa.ColumnElement[int] = releases.c.tender_id
    if not (wanted.key or wanted.q or wanted.buyer or wanted.procuring_entity):
        tender_id = tender_id + 0  # few tenders are ruled out: releases lead, newest first, not their index by tender
    statement = select_tenders(columns, wanted, now, zone, apart=apart).join(releases, tender_id == tenders.c.id)
    statement = statement.where(releases.c.events != "")
    if only is not None:
        statement = statement.where(tenders.c.portal.concat("").in_(only))
    if events:
        statement = statement.where(sa.or_(*(releases.c.events.contains(f" {event} ") for event in sorted(events))))
    return statement.order_by(releases.c.seq.desc())


def _source(wanted: Filter, common: bool) -> sa.FromClause:
    if not wanted.q:
        return tenders
    if common:
        return tender_text.join(tenders, tenders.c.position == tender_text.c.rowid)
    # Sorted before tenders are looked up, of which then only the first few are; OFFSET keeps it apart. PostgreSQL takes
    # any word it knows nothing of for one of 5,000 in a million: in a plain join it looked through all tenders, newest
    # first, to find those few.
    found = sa.select(tender_text.c.rowid).where(_means(wanted)).order_by(tender_text.c.rowid.desc())
    collected = found.offset(0).subquery("collected")
    return collected.join(tenders, tenders.c.position == collected.c.rowid)


def _means(wanted: Filter) -> Condition:
    query = parse_query(wanted.q)
    return Matches(query) if query.clauses else sa.false()


def _conditions(wanted: Filter, ordered: bool) -> Iterator[Condition]:
    column = tenders.c
    # SQLite would sort all of a kind or status to find the first few of another order, in whose index both stand.
    leads = not ordered or wanted.key or wanted.sort is Sort.PUBLISHED or (wanted.kind and set(wanted.kind) <= _RARE)
    for coded, codes in (
        (column.kind if leads else Aside(column.kind), wanted.kind),
        (column.category, wanted.category),
        (column.method, wanted.method),
        (column.status if leads else Aside(column.status), wanted.status),
        (column.key, wanted.key),
    ):
        if codes:
            yield coded.in_(codes)
    for folded, names in (
        (column.buyer_folded, wanted.buyer),
        (column.procuring_entity_folded, wanted.procuring_entity),
    ):
        if names:
            yield folded.in_([fold_name(name) for name in names])
    if wanted.location:
        yield sa.or_(*(column.locations_folded.contains(fold(place), autoescape=True) for place in wanted.location))
    if wanted.year:
        yield sa.or_(*(column.years.contains(f" {year} ") for year in wanted.year))
    if wanted.min_value is not None:
        yield column.amount >= min(int(wanted.min_value * 100), MOST_CENTS)
    if wanted.max_value is not None:
        yield column.amount <= min(int(wanted.max_value * 100), MOST_CENTS)
    if wanted.retender is not None:
        yield column.retender == wanted.retender


def _portal(wanted: Filter) -> Condition:
    # Few tenders are ruled out by portals: only one portal's own order, or what they have little of, may lead by their
    # index.
    few = wanted.key or (wanted.kind and set(wanted.kind) <= _RARE)
    leads = few or (len(wanted.portal) == 1 and wanted.sort is Sort.PUBLISHED)
    portal = tenders.c.portal if leads else tenders.c.portal.concat("")
    return portal.in_([fold(name) for name in wanted.portal])


def _told_elsewhere(portals: Collection[str]) -> Condition:
    """Whether one of ``portals`` announces the same purchase; a plan alone is another announcement."""
    found = (
        sa.select(dossiers.c.leader_id)
        .join(_OTHER, _OTHER.c.id == dossiers.c.member_id)
        .where(dossiers.c.leader_id == tenders.c.id, _OTHER.c.kind == tenders.c.kind, _OTHER.c.portal.in_(portals))
    )
    return sa.and_(tenders.c.merged, found.exists())


def _moments(wanted: Filter, now: datetime, zone: ZoneInfo) -> Iterator[Condition]:
    def at(moment: Moment, *, end: bool = False) -> datetime:
        return moment.resolve(now, zone, end=end)

    column = tenders.c
    if wanted.published_from:
        yield column.position >= position(at(wanted.published_from))
    if wanted.published_to:
        yield column.position <= position(at(wanted.published_to, end=True), LAST_NUMBER)
    if wanted.deadline_from:
        yield column.closes >= at(wanted.deadline_from)
    if wanted.deadline_to:
        yield column.closes <= at(wanted.deadline_to, end=True)
    if wanted.changed_since:
        yield column.changed >= at(wanted.changed_since)
