"""iCalendar: lines, times, and events that move or end instead of vanishing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
from hypothesis import given

from aggregator.models import Status
from feeds.calendar import render_calendar
from feeds.definitions import make_channel, shipped_feeds
from feeds.entries import Entry, Topic, tender_entry
from tests.feed_samples import CONFIG, PORTAL, PUBLISHER, READ, TENDER, hostile_entries, make_entries, make_record


def render(entries: list[Entry]) -> bytes:
    return render_calendar(make_channel(shipped_feeds(CONFIG, [])[0], CONFIG, entries), entries)


def events(calendar: bytes) -> list[Any]:
    return list(icalendar.Calendar.from_ical(calendar).walk("VEVENT"))


def unfold(calendar: bytes) -> list[str]:
    return calendar.decode().replace("\r\n ", "").split("\r\n")


def test_the_calendar() -> None:
    lines = unfold(render(make_entries()))
    assert lines[0] == "BEGIN:VCALENDAR"
    assert lines[-2:] == ["END:VCALENDAR", ""]
    for line in (
        "VERSION:2.0",
        "PRODID:-//Warta Pengadaan//semua//ID",
        "NAME:Semua paket terbuka",
        "X-WR-CALNAME:Semua paket terbuka",
        "REFRESH-INTERVAL;VALUE=DURATION:PT15M",
        "X-PUBLISHED-TTL:PT15M",
        "SOURCE;VALUE=URI:https://blp.example.go.id/umpan/feeds/semua.ics",
        "URL:https://blp.example.go.id/umpan/feeds/semua.html",
        "LAST-MODIFIED:20261124T024000Z",
    ):
        assert line in lines


def test_every_text_is_escaped() -> None:
    told = 'Pemenang, nilai; selisih\\HPS\n"baru"'
    escaped = 'Pemenang\\, nilai\\; selisih\\\\HPS\\n"baru"'  # RFC 5545 §3.3.11
    entry = replace(make_entries()[0], title=told, summary=told, topics=(Topic("x", "Barang, jasa"),))
    channel = make_channel(replace(shipped_feeds(CONFIG, [])[0], title=told, description=told), CONFIG, [entry])
    calendar = render_calendar(channel, [entry])
    lines = unfold(calendar)
    for name in ("NAME", "X-WR-CALNAME", "DESCRIPTION", "X-WR-CALDESC", "SUMMARY"):
        assert f"{name}:{escaped}" in lines
    assert f"DESCRIPTION:{escaped}\\n{entry.url}" in lines
    assert "CATEGORIES:Barang\\, jasa" in lines
    read = icalendar.Calendar.from_ical(calendar)
    assert read["DESCRIPTION"] == told
    assert read.walk("VEVENT")[0]["SUMMARY"] == told


def test_a_deadline() -> None:
    record = make_record(first_seen=READ - timedelta(seconds=90))
    lines = unfold(render([tender_entry(record, PORTAL, PUBLISHER)]))
    event = lines[lines.index("BEGIN:VEVENT") : lines.index("END:VEVENT")]
    for line in (
        "UID:tag:blp.example.go.id\\,2026-01-01:malangkota/tender/10099412000",
        "DTSTAMP:20261124T024000Z",
        "LAST-MODIFIED:20261124T024000Z",
        "SEQUENCE:90",
        "DTSTART:20261203T070000Z",
        f"SUMMARY:{TENDER.title}",
        f"URL:{TENDER.url}",
        "CATEGORIES:Tender,Pekerjaan Konstruksi,Terbuka",
        "STATUS:CONFIRMED",
        "TRANSP:TRANSPARENT",
    ):
        assert line in event


def test_a_moved_deadline_moves_the_same_event() -> None:
    later = replace(TENDER, deadline=datetime(2026, 12, 10, 7, tzinfo=UTC))
    moved = make_record(later, changed=READ + timedelta(hours=1), first_seen=READ)
    (before,), (after,) = (
        events(render([tender_entry(record, PORTAL, PUBLISHER)])) for record in (make_record(), moved)
    )
    assert before["UID"] == after["UID"]
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert after["LAST-MODIFIED"].dt > before["LAST-MODIFIED"].dt
    assert after["DTSTART"].dt == later.deadline


def test_a_cancelled_tender_stays_as_cancelled() -> None:
    record = make_record(replace(TENDER, status=Status.CANCELLED))
    (event,) = events(render([tender_entry(record, PORTAL, PUBLISHER)]))
    assert event["STATUS"] == "CANCELLED"


def test_changes_stand_on_the_day_they_were_found_and_entries_without_a_date_nowhere() -> None:
    shown = events(render(make_entries()))
    assert [event["UID"] for event in shown] == [entry.id for entry in make_entries()[:2]]
    assert shown[0]["DTSTART"].dt == READ


def test_an_empty_calendar_still_has_a_component() -> None:
    calendar = icalendar.Calendar.from_ical(render([]))
    assert [part.name for part in calendar.subcomponents] == ["VTIMEZONE"]


@given(hostile_entries())
def test_hostile_entries(entries: list[Entry]) -> None:
    rendered = render(entries)
    assert rendered.replace(b"\r\n", b"").count(b"\n") == rendered.replace(b"\r\n", b"").count(b"\r") == 0
    for line in rendered.split(b"\r\n"):
        assert len(line) <= 75
        line.decode("utf-8")  # no character is cut in two
    dated = [entry for entry in entries if entry.starts]
    shown = events(rendered)
    assert [event["UID"] for event in shown] == [entry.id for entry in dated]
    assert [event["SUMMARY"] for event in shown] == [entry.title for entry in dated]
    assert [event["DESCRIPTION"] for event in shown] == [f"{entry.summary}\n{entry.url}" for entry in dated]
    assert all(event["DTSTART"].dt == entry.starts for event, entry in zip(shown, dated, strict=True) if entry.starts)


def test_an_entry_that_differs_in_any_way_is_an_event_of_its_own() -> None:
    one, *_ = [entry for entry in make_entries() if entry.starts]
    others = [
        replace(one, summary="Lain"),
        replace(one, starts=READ + timedelta(days=3)),
        replace(one, cancelled=not one.cancelled),
    ]
    told = [render([entry]) for entry in (one, *others, one)]
    assert told[0] == told[-1]
    assert len(set(told)) == 4
