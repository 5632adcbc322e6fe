"""Tenders, releases and runs as database rows, and back. Pure: dictionaries by column name, no SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from aggregator.database import from_micros, to_micros
from aggregator.models import Award, Change, Event, Kind, Money, Record, Release, Sweep, Tender
from aggregator.search import fold, fold_name
from aggregator.texts import clean
from aggregator.verdicts import Run, Verdict

MOST_CENTS = 2**63 - 1  # the largest number a column holds; no budget comes near it

Columns = Mapping[Any, Any]  # by column name

LAST_NUMBER = 2**30 - 1  # of a tender's row; 63 bits hold it and a second up to the year 2242

_SECOND = 1_000_000  # microseconds
_KEYS = frozenset(f.name for f in fields(Tender)) - {"unread", "sanctions"}  # no sanctions are not written
_DEFAULTS = {f.name: f.default for f in fields(Tender) if f.default is not MISSING}
_SIGNING = "penandatanganan kontrak"
_render_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_COUNTS = ("requests", "seen", "new", "changed", "unchanged", "withdrawn", "errors")


def position(time: datetime, number: int = 0) -> int:
    """Where a tender published at ``time`` with row number ``number`` stands: unique, later ones higher.

    The second in the high bits, the row number in the low ones; those of one second lie between numbers 0 and
    LAST_NUMBER. Seconds that no column could hold (before 1697, after 2242) count as the first or last one.
    """
    second = max(-(2**33), min(to_micros(time) // _SECOND, 2**33 - 1))
    return second * (LAST_NUMBER + 1) + number


def position_time(place: int) -> datetime:
    """The second that ``position`` made ``place`` of."""
    return from_micros(place // (LAST_NUMBER + 1) * _SECOND)


def render_tender(tender: Tender) -> str:
    return _render_json(tender.as_dict())


def render_unread(tender: Tender) -> str:
    return " ".join(sorted(tender.unread))


def parse_tender(text: str, unread: str) -> Tender:
    """The inverse of both. A field that an older program did not know yet is unread: learning it is no change."""
    values = json.loads(text)
    told = unread.split()
    if unknown := _KEYS - values.keys():
        values |= {name: _DEFAULTS[name] for name in unknown if name in _DEFAULTS}
        told += unknown
    return Tender.from_dict(values, told)


def tender_row(tender: Tender, text: str) -> dict[str, Any]:
    """The columns that follow from the tender alone; ``text`` is ``render_tender`` of it."""
    return {
        "portal": tender.portal,
        "kind": tender.kind,
        "key": tender.key,
        **searched_row(tender),
        "unread": render_unread(tender),
        "tender": text,
    }


def searched_row(tender: Tender) -> dict[str, Any]:
    """The columns that filters and orders look at."""
    return {
        "status": tender.status,
        "category": tender.category,
        "method": tender.method,
        "buyer": tender.buyer,
        "buyer_folded": fold_name(tender.buyer) if tender.buyer else None,
        "procuring_entity": tender.procuring_entity,
        "procuring_entity_folded": fold_name(tender.procuring_entity) if tender.procuring_entity else None,
        "locations_folded": fold("\n".join(tender.locations)),
        "years": "".join(f" {year} " for year in tender.fiscal_years),
        "amount": _cents(tender.value or tender.budget),
        "closes": tender.deadline or tender.registration_deadline,
        "retender": tender.retender,
        "awarded": _cents(_sum(tender.contracts) or _sum(tender.awards)),
        "contracted": min(_dates(tender.contracts) or _signings(tender) or _dates(tender.awards), default=None),
    }


def parse_record(row: Columns) -> Record:
    return Record(
        tender=parse_tender(row["tender"], row["unread"]),
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        changed=row["changed"],
        republished=row["republished"],
    )


def release_row(release: Release, seq: int, tender_id: int) -> dict[str, Any]:
    changes = [[change.field, change.old, change.new] for change in release.changes]
    return {
        "seq": seq,
        "tender_id": tender_id,
        "time": release.time,
        "tags": "".join(f" {tag} " for tag in release.tags),
        "events": "".join(f" {event} " for event in release.events),
        "changes": _render_json(changes),
    }


def parse_release(row: Columns) -> Release:
    """From the columns of ``release_row`` and the tender's portal, kind and key."""
    return Release(
        portal=row["portal"],
        kind=Kind(row["kind"]),
        key=row["key"],
        time=row["time"],
        tags=tuple(row["tags"].split()),
        events=tuple(Event(event) for event in row["events"].split()),
        changes=tuple(Change(*change) for change in json.loads(row["changes"])),
        seq=row["seq"],
    )


def run_row(run: Run, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "portal": run.portal,
        "sweep": run.sweep,
        "started": run.started,
        "finished": run.finished,
        "verdict": run.verdict,
        "narrowed": run.narrowed,
        "broken": run.broken,
        "reasons": json.dumps([clean(reason) for reason in run.reasons], ensure_ascii=False),
        **{count: getattr(run, count) for count in _COUNTS},
    }


def parse_run(row: Columns) -> Run:
    return Run(
        portal=row["portal"],
        sweep=Sweep(row["sweep"]),
        started=row["started"],
        finished=row["finished"],
        verdict=Verdict(row["verdict"]),
        narrowed=bool(row["narrowed"]),
        reasons=tuple(json.loads(row["reasons"])),
        **{count: row[count] for count in _COUNTS},
    )


def _sum(results: Sequence[Award]) -> Money | None:
    """What ``results`` amount to; None where one tells no amount, or one in another currency than rupiah."""
    amounts = [each.amount.amount for each in results if each.amount and each.amount.currency == "IDR"]
    return Money(sum(amounts, Decimal(0))) if amounts and len(amounts) == len(results) else None


def _dates(results: Sequence[Award]) -> list[datetime]:
    return [each.date for each in results if each.date]


def _signings(tender: Tender) -> list[datetime]:
    """SPSE tells no date with its contracts: where there is one, the schedule says until when it was to be signed."""
    signing = (stage for stage in tender.milestones if fold(stage.title).startswith(_SIGNING))
    return [stage.ends for stage in signing if stage.ends] if tender.contracts else []


def _cents(amount: Money | None) -> int | None:
    """IDR cents; None for another currency, which no filter can compare."""
    if amount is None or amount.currency != "IDR":
        return None
    return min(int(amount.amount * 100), MOST_CENTS)
