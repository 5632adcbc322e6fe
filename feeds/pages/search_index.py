"""cari.json: the packages that the search page of a plain file host looks through in the reader's browser. Pure.

All open packages and the newest others, as many as the page of a phone should have to fetch. Rows stand in the order of
Sort.PUBLISHED; names that many rows share stand in lists, and rows hold their numbers there: 0 is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from aggregator.config import Config
from aggregator.filters import Sort
from aggregator.models import Category, Kind, Method, Record, Status, Tender
from aggregator.search import fold
from feeds.addresses import tender_path
from feeds.definitions import OPEN, Feed, Group
from feeds.entries import MOST_TITLE
from feeds.words.text import clip, plain

PATH = "cari.json"
MOST_ROWS = 3000
MOST_BYTES = 490_000  # of 500,000: the first row that no longer fits leaves its names behind
MOST_NAME = 250  # more than a search can ask for
MOST_TEXT = 300  # characters of a description that can be searched

_CODES: Mapping[str, tuple[str, ...]] = {
    "kind": tuple(Kind),
    "status": tuple(Status),
    "category": tuple(Category),
    "method": tuple(Method),
    "sort": tuple(Sort),
}
_CODED = ("kind", "status", "category", "method")
_SLICES = {Group.CATEGORY: "category", Group.METHOD: "method", Group.ENTITY: "procuring_entity"}


class _Names:
    """Names by their numbers, from 1 on; ``size`` is roughly what they take in JSON."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": 0}
        self.size = 0

    def find_number(self, name: str | None) -> int:
        shown = clip(plain(name or ""), MOST_NAME)
        if shown not in self.numbers:
            self.numbers[shown] = len(self.numbers)
            self.size += len(_render(shown)) + 1
        return self.numbers[shown]


def order_rows(newest: Iterable[Record], opened: Iterable[Record]) -> list[Record]:
    """Each package once: ``newest``, the newest of all, then those of ``opened`` that are older; both newest first."""
    rows = {record.tender.identity: record for record in newest}
    rows |= {record.tender.identity: record for record in opened if record.tender.identity not in rows}
    return list(rows.values())


def render_index(config: Config, records: Sequence[Record], total: int, feeds: Sequence[Feed]) -> bytes:
    """The index of ``records`` in their order, as many as fit; ``total``: how many packages there are in all."""
    names = _Names()
    portals = {portal.id: number for number, portal in enumerate(config.portal)}
    head = {
        "zone": config.publisher.timezone,
        "total": total,
        "codes": _CODES,
        "portals": [[portal.id, plain(portal.name), portal.timezone] for portal in config.portal],
        "feeds": _name_feeds(feeds),
    }
    ranked = sorted(range(len(records)), key=lambda number: not _is_open(records[number].tender))
    chosen: dict[int, bytes] = {}
    size = len(_render(head)) + 100
    for number in ranked[:MOST_ROWS]:
        row = _render(_make_row(records[number], portals, names))
        size += len(row) + 7  # with a comma, and its number in the order of changes
        if size + names.size > MOST_BYTES:
            break
        chosen[number] = row
    kept = sorted(chosen)
    by_change = sorted(range(len(kept)), key=lambda place: records[kept[place]].changed, reverse=True)
    rest = {"changed": by_change, "names": list(names.numbers)}
    rows = b",\n".join(chosen[number] for number in kept)
    return b'%s,\n%s,\n"rows":[\n%s]}\n' % (_render(head)[:-1], _render(rest)[1:-1], rows)


def _name_feeds(feeds: Iterable[Feed]) -> dict[str, dict[str, str]]:
    """Which feed tells of a category, a method, a work unit (folded)."""
    named: dict[str, dict[str, str]] = {key: {} for key in _SLICES.values()}
    for feed in feeds:
        if key := _SLICES.get(feed.group):
            (value,) = getattr(feed.filter, key)
            named[key][fold(value)] = feed.id
    return named


def _is_open(tender: Tender) -> bool:
    return tender.status in OPEN.status and tender.kind in OPEN.kind


def _make_row(record: Record, portals: Mapping[str, int], names: _Names) -> list[Any]:
    """One package; what is empty at the end is left out."""
    tender = record.tender
    suppliers = (each.supplier for each in (*tender.awards, *tender.contracts))
    rest = dict.fromkeys([tender.description, *tender.plans, *suppliers])
    page = tender_path(*tender.identity).rpartition("/")[2].removesuffix(".html")
    row: list[Any] = [
        clip(plain(tender.title) or tender.key, MOST_TITLE),
        tender.key,
        _find_portals(record, portals),
        *(_find_code(name, getattr(tender, name)) for name in _CODED),
        names.find_number(tender.procuring_entity),
        names.find_number(tender.buyer),
        _find_amount(tender),
        _find_seconds(tender.deadline or tender.registration_deadline),
        _find_seconds(tender.published or record.first_seen),
        _find_seconds(record.changed),
        # What else the row tells, in bits: retendered, its day is that of registration, its worth is the budget,
        # the source gives no day of publication.
        tender.retender
        | (tender.deadline is None) << 1
        | (tender.value is None) << 2
        | (tender.published is None) << 3,
        _shorten(tender.fiscal_years),
        names.find_number(tender.category_detail),
        names.find_number(tender.method_detail),
        _shorten([names.find_number(place) for place in tender.locations]),
        "\n".join(clip(text, MOST_TEXT) for text in rest if text and text != tender.title),
        page if page != tender.key else 0,
    ]
    while not row[-1]:
        row.pop()
    return row


def _find_portals(record: Record, portals: Mapping[str, int]) -> int | list[int]:
    """The number of its portal; of several sources the official one, how many others there are, and then all that a
    search by portal finds it by."""
    if not record.sources:
        return portals[record.tender.portal]
    own = [source.portal for source in record.sources if source.kind is record.tender.kind]
    told = dict.fromkeys([record.tender.portal, *own])
    return [
        portals[record.official_portal],
        len(record.sources) - 1,
        *(portals[name] for name in told if name in portals),
    ]


def _find_code(name: str, code: str | None) -> int:
    return 0 if code is None else _CODES[name].index(code) + 1


def _find_amount(tender: Tender) -> float | list[Any] | None:
    """In rupiah; an amount in another currency, by which no filter finds it, stands before that."""
    money = tender.value or tender.budget
    if money is None:
        return None
    amount = float(money.amount) if money.amount % 1 else int(money.amount)
    return amount if money.currency == "IDR" else [amount, money.currency]


def _find_seconds(time: datetime | None) -> int:
    return int(time.timestamp() // 1) if time else 0


def _shorten(values: Sequence[int]) -> int | list[int]:
    """One value stands for itself, none is 0."""
    return list(values) if len(values) > 1 else next(iter(values), 0)


def _render(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
