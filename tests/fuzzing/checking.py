"""What must hold of whatever a parser made of hostile input: it can be kept, read back, and shown in every form."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import icalendar
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from aggregator.exports.csv import write_csv
from aggregator.exports.jsonl import write_jsonl
from aggregator.exports.ocds import describe, make_ocid
from aggregator.exports.parquet import write_parquet
from aggregator.exports.xlsx import write_xlsx
from aggregator.models import Money, Tender
from aggregator.rows import parse_tender, position, render_tender, render_unread
from aggregator.search import render_text, render_vector, searched_texts
from feeds.calendar import render_calendar
from feeds.definitions import make_channel, shipped_feeds
from feeds.entries import tender_entry
from feeds.jsonfeed import render_json
from feeds.rss_atom import render_atom, render_rss
from tests.feed_samples import CONFIG, PORTAL, PUBLISHER, READ, make_record
from tests.test_export_tables import written
from tests.test_rss_atom import complain
from tests.test_site import Page
from tests.test_tender_page import render as render_page

LONGEST = 5.0  # seconds of a processor that reading one page may take; they have some milliseconds, all of them
_FEED = shipped_feeds(CONFIG, ())[0]
_MOST_SHOWN = 3  # tenders of one page


class TooLong(Exception):
    """Reading took longer than any page may take."""


@contextmanager
def bounded(seconds: float = LONGEST) -> Iterator[None]:
    """Raises TooLong in what takes more of a processor than that."""

    def end(*_: object) -> None:
        raise TooLong(f"more than {seconds:g} s of a processor")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


_known: set[str] = set()  # tenders that were found to be well formed: most of a page are as they were


def check_tenders(tenders: Iterable[Tender]) -> None:
    """Raises where one of the tenders cannot be kept, or a form of it is not well formed."""
    fresh = {text: tender for tender in tenders if (text := render_tender(tender)) not in _known}
    for place, (text, tender) in enumerate(fresh.items()):
        check_kept(tender)
        if place < _MOST_SHOWN:
            check_shown(replace(tender, portal=PORTAL.id))
            _known.add(text)


def check_kept(tender: Tender) -> None:
    """As the database keeps it: JSON of UTF-8 without NUL, the same when read back, its texts as they are searched."""
    text = render_tender(tender)
    json.loads(text, parse_constant=_refuse)
    assert "\\u0000" not in text, "PostgreSQL keeps no NUL"
    text.encode("utf-8")
    assert parse_tender(text, render_unread(tender)) == tender
    for money in _amounts(tender):
        assert money.amount.is_finite()
        assert len(money.currency) <= 10
    for time in (tender.published, tender.deadline, tender.registration_deadline):
        position(time or READ)
    render_vector(render_text(searched_texts(tender))).encode("utf-8")


def _amounts(tender: Tender) -> Iterator[Money]:
    told = (tender.budget, tender.value, *(each.amount for each in (*tender.awards, *tender.contracts)))
    return (money for money in told if money is not None)


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")


def check_shown(tender: Tender) -> None:
    """As readers get it: RSS and Atom without a validator's complaint, JSON, calendar, page, and every export."""
    record = make_record(tender)
    entries = [tender_entry(record, PORTAL, PUBLISHER)]
    channel = make_channel(_FEED, CONFIG, entries)
    for render in (render_rss, render_atom):
        assert list(complain(render(channel, entries))) == []
    assert len(json.loads(render_json(channel, entries), parse_constant=_refuse)["items"]) == 1
    calendar = render_calendar(channel, entries)
    assert all(len(line) <= 75 and b"\n" not in line and b"\r" not in line for line in calendar.split(b"\r\n"))
    icalendar.Calendar.from_ical(calendar)
    page = Page(render_page(tender))
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not any(name.startswith("on") for _, given in page.elements for name in given)
    ocid = make_ocid("ocds-abc123", tender.identity)
    json.loads(json.dumps(describe(record, ocid, "ocds-abc123"), default=str, allow_nan=False))
    stream = io.BytesIO()
    write_jsonl([record], stream)
    json.loads(stream.getvalue(), parse_constant=_refuse)
    rows = list(csv.reader(io.StringIO(written(write_csv, record).decode("utf-8-sig"), newline="")))
    assert len(rows) == 2
    assert len(rows[0]) == len(rows[1])
    assert pq.read_table(io.BytesIO(written(write_parquet, record))).num_rows == 1
    assert written(write_xlsx, record).startswith(b"PK")
