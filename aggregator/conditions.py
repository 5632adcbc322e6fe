"""Filter → SQL: which tenders are found, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from aggregator.database import dossiers, releases, tender_text, tenders
from aggregator.filters import Filter, Moment, Sort
from aggregator.models import Event
from aggregator.rows import LAST_NUMBER, MOST_CENTS, position
from aggregator.search import fold, parse_query, render_match

Condition = sa.ColumnElement[bool]


def select_tenders(
    columns: list[Any],
    wanted: Filter,
    now: datetime,
    zone: ZoneInfo,
    *,
    apart: bool = False,
    only: Collection[str] | None = None,
) -> sa.Select[Any]:
    """``columns`` of the tenders that ``wanted`` asks for, unordered; its times are told from ``now`` in ``zone``.

    Each purchase once, by the tender that speaks for it; ``apart``: the tenders of all its sources. ``only``: those
    that one of these portals tells of.
    """
    statement = sa.select(*columns).select_from(_source(wanted)).where(*_conditions(wanted))
    statement = statement.where(*_moments(wanted, now, zone))
    if wanted.portal:
        names = [fold(name) for name in wanted.portal]
        statement = statement.where(_portal(wanted) if apart else sa.or_(_portal(wanted), _told_elsewhere(names)))
    if only is not None:
        statement = statement.where(sa.or_(tenders.c.portal.concat("").in_(only), _told_elsewhere(only)))
    return statement if apart else statement.where(tenders.c.shown)


def order(wanted: Filter) -> list[sa.ColumnElement[Any]]:
    """The order that ``wanted`` asks for; position breaks ties, so that it is always the same."""
    # FTS5 yields its rowids newest first by itself, so that the first page of a common word costs little.
    newest = (tender_text.c.rowid if wanted.q else tenders.c.position).desc()
    match wanted.sort:
        case Sort.PUBLISHED:
            return [newest]
        case Sort.DEADLINE:
            return [tenders.c.closes.asc().nulls_last(), newest]
        case Sort.VALUE:
            return [tenders.c.amount.desc().nulls_last(), newest]
        case Sort.CHANGED:
            return [tenders.c.changed.desc(), newest]


def select_releases(
    columns: list[Any],
    wanted: Filter,
    events: frozenset[Event],
    now: datetime,
    zone: ZoneInfo,
    *,
    only: Collection[str] | None = None,
) -> sa.Select[Any]:
    """``columns`` of the releases that tell one of ``events`` (any, if none is named), newest first.

    A release without events (a correction by replay) tells a reader nothing and is left out.
    """
    tender_id: sa.ColumnElement[int] = releases.c.tender_id
    if not (wanted.key or wanted.q or wanted.buyer or wanted.procuring_entity):
        tender_id = tender_id + 0  # few tenders are ruled out: releases lead, newest first, not their index by tender
    statement = select_tenders(columns, wanted, now, zone, apart=True).join(releases, tender_id == tenders.c.id)
    statement = statement.where(releases.c.events != "")
    if only is not None:
        statement = statement.where(tenders.c.portal.concat("").in_(only))
    if events:
        statement = statement.where(sa.or_(*(releases.c.events.contains(f" {event} ") for event in sorted(events))))
    return statement.order_by(releases.c.seq.desc())


def _source(wanted: Filter) -> sa.FromClause:
    if not wanted.q:
        return tenders
    return tender_text.join(tenders, tenders.c.position == tender_text.c.rowid)


def _conditions(wanted: Filter) -> Iterator[Condition]:
    column = tenders.c
    if wanted.q:
        query = parse_query(wanted.q)
        yield tender_text.c.text.op("MATCH")(render_match(query)) if query.clauses else sa.false()
    for coded, codes in (
        (column.kind, wanted.kind),
        (column.category, wanted.category),
        (column.method, wanted.method),
        (column.status, wanted.status),
        (column.key, wanted.key),
    ):
        if codes:
            yield coded.in_(codes)
    for folded, names in (
        (column.buyer_folded, wanted.buyer),
        (column.procuring_entity_folded, wanted.procuring_entity),
    ):
        if names:
            yield folded.in_([fold(name) for name in names])
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
    # Few tenders are ruled out by portals: only one portal's own order, or a key, may lead by their index.
    leads = wanted.key or (len(wanted.portal) == 1 and wanted.sort is Sort.PUBLISHED)
    portal = tenders.c.portal if leads else tenders.c.portal.concat("")
    return portal.in_([fold(name) for name in wanted.portal])


def _told_elsewhere(portals: Collection[str]) -> Condition:
    """Whether one of ``portals`` announces the same purchase; a plan alone is another announcement."""
    other = tenders.alias()
    found = (
        sa.select(dossiers.c.leader_id)
        .join(other, other.c.id == dossiers.c.member_id)
        .where(dossiers.c.leader_id == tenders.c.id, other.c.kind == tenders.c.kind, other.c.portal.in_(portals))
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
