"""The pages of the site: what each one tells, and its HTML. Pure: the same input gives the same bytes."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby, islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from aggregator.config import Config, Portal, Publisher
from aggregator.models import Kind, Money, Record, Run, Verdict
from aggregator.repository import LastRuns
from feeds.definitions import Channel, Format, Group
from feeds.entries import MOST_TITLE, Entry, find_url, run_entry
from feeds.opml import make_title
from feeds.sentences import name_category
from feeds.text import clip, plain
from feeds.wording import Wording

SITE = Path(__file__).parent / "site"
ASSETS = ("style.css", "site.js", "icon.svg")

PAGE_ROWS = 40  # a page of them stays below 40 kB
MOST_ROWS = 1000  # of one list; beyond that a reader wants a slice
PREVIEW = 15  # entries on the page of a feed
MOST_PORTALS = 3  # told one by one above the list; the status page tells all
_SECTIONS = 3

Identity = tuple[str, Kind, str]
Site = Environment  # the templates, with what every page of one publisher knows


def load_site(config: Config, *, sample: bool) -> Site:
    """The templates in the publisher's language; ``sample`` marks all pages as made-up data."""
    site = Environment(
        loader=FileSystemLoader(SITE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    is_indonesian = config.publisher.language == "id"
    site.globals.update(
        t=lambda indonesian, english: indonesian if is_indonesian else english,
        language=config.publisher.language,
        publisher=config.publisher,
        site_title=make_title(config.publisher),
        sources=config.portal,
        sample=sample,
    )
    return site


def _render(site: Site, template: str, root: str, **values: Any) -> bytes:
    """``root`` leads from the page to the top of the tree: "" or "../" for every step."""
    page = site.get_template(template).render(root=root, **values)
    return page.encode("utf-8", "replace")


# The list of open packages ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An open package in the list; texts are plain, ``closes`` is in the portal's zone."""

    title: str
    url: str
    unit: str
    sort: str
    worth_label: str
    worth: str
    closes: datetime | None
    closes_text: str
    is_registration: bool
    is_retender: bool
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Rows that close on one day (``start`` is its midnight), or that have no closing day to come."""

    heading: str
    start: datetime | None
    count: int
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenList:
    """All open packages in the order of the page: closing soonest first, then undated ones, then those past."""

    count: int
    value: str
    next_close: str
    pages: Sequence[Sequence[Day]]


def list_open(
    records: Iterable[Record], notes: Mapping[Identity, str], config: Config, now: datetime
) -> OpenList:
    """``records`` are sorted by deadline; ``notes`` tell what changed last. At most MOST_ROWS rows a section."""
    portals = {portal.id: portal for portal in config.portal}
    zone = ZoneInfo(config.publisher.timezone)
    past: deque[Record] = deque(maxlen=MOST_ROWS)
    coming: list[Record] = []
    undated: list[Record] = []
    count, total = 0, Decimal()
    for record in records:
        closes = _closes(record)
        (undated if closes is None else past if closes <= now else coming).append(record)
        value = record.tender.value
        count, total = count + 1, total + (value.amount if value and value.currency == "IDR" else 0)
    wording = Wording(config.publisher.language, zone)
    placed = [(_midnight(closes, zone), r) for r in coming if (closes := _closes(r))]
    placed += [(_UNDATED, r) for r in undated] + [(_PAST, r) for r in reversed(past)]
    first = _closes(coming[0]) if coming else None
    return OpenList(
        count=count,
        value=wording.short_money(Money(total)) if total else "",
        next_close=wording.long_time(first) if first else "",
        pages=[list(page) for page in _paginate(placed[:MOST_ROWS], notes, portals, config.publisher)],
    )


def _closes(record: Record) -> datetime | None:
    return record.tender.deadline or record.tender.registration_deadline
