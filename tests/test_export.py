"""JSON Lines: one tender a line, the same from the database and from plain Scrapy."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from aggregator.exports.jsonl import ReadingExporter, write_jsonl
from aggregator.models import Kind, Listing, Money, Reading, Record, Tender
from tests.feed_samples import READ, TENDER, make_record

KEYS = [
    *("portal", "kind", "key", "title", "description", "buyer", "procuring_entity", "category", "category_detail"),
    *("method", "method_detail", "status", "stage", "budget", "value", "fiscal_years", "published"),
    *("registration_deadline", "deadline", "locations", "plans", "retender", "retender_reason"),
    *("cancellation_reason", "participants", "milestones", "awards", "contracts", "documents", "incomplete", "url"),
    *("first_seen", "last_seen", "changed"),
]


def export(*tenders: Tender) -> str:
    stream = io.BytesIO()
    write_jsonl(map(make_record, tenders), stream)
    return stream.getvalue().decode()


def test_a_line_holds_the_tender_in_the_order_of_the_design() -> None:
    line = export(replace(TENDER, title="Jalan\n“Ijen” 😀"))
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    told = json.loads(line)
    assert list(told) == KEYS
    assert told["title"] == "Jalan\n“Ijen” 😀"
    assert told["value"] == {"amount": "5912300000.00", "currency": "IDR"}
    assert told["deadline"] == "2026-12-03T14:00:00+07:00"
    assert told["last_seen"] == (READ + timedelta(hours=1)).isoformat()


def test_amounts_stay_exact() -> None:
    line = export(replace(TENDER, budget=Money(Decimal("12345678901234567890.12"))))
    assert json.loads(line)["budget"]["amount"] == "12345678901234567890.12"


def test_it_streams() -> None:
    class Full(Exception):
        pass

    def forever() -> Iterator[Record]:
        while True:
            if stream.tell() > 100_000:
                raise Full
            yield make_record()

    stream = io.BytesIO()
    with pytest.raises(Full):
        write_jsonl(forever(), stream)


def test_plain_scrapy_writes_the_same_lines() -> None:
    file = io.BytesIO()
    exporter = ReadingExporter(file, encoding="utf-8", indent=None)
    exporter.start_exporting()
    exporter.export_item(Reading(tender=TENDER))
    exporter.export_item(Listing(kind=Kind.TENDER, year=2026, keys=("1",)))
    exporter.finish_exporting()
    told = json.loads(file.getvalue())
    assert told == json.loads(export(TENDER)) | dict.fromkeys(("first_seen", "last_seen", "changed"))
    assert list(told) == KEYS
