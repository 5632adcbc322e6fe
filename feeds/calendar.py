"""Entries → iCalendar (RFC 5545 with the calendar properties of RFC 7986): deadlines, or the days of changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from icalendar import Calendar, Event, Timezone, vText

from feeds.definitions import Channel, Format
from feeds.entries import MOST_KEPT, Entry

_OLD_NAMES = {"name": "x-wr-calname", "description": "x-wr-caldesc"}  # what most calendars read


def render_calendar(channel: Channel, entries: Sequence[Entry]) -> bytes:
    """The entries that have a day, in their order, all times in UTC."""
    calendar = Calendar()
    calendar.add("prodid", f"-//Warta Pengadaan//{channel.feed.id}//{channel.language.upper()}")
    calendar.add("version", "2.0")
    # icalendar knows these as of no type and would write their commas unescaped; they are TEXT (RFC 7986 §5.1).
    for name, text in (("name", channel.feed.title), ("description", channel.feed.description)):
        calendar.add(name, vText(text))
        calendar.add(_OLD_NAMES[name], vText(text))
    calendar.add("last-modified", _utc(channel.updated))
    calendar.add("refresh-interval", channel.ttl, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", _duration(channel.ttl))
    calendar.add("source", channel.urls[Format.CALENDAR], parameters={"VALUE": "URI"})
    calendar.add("url", channel.page_url)
    events = [_render_event(entry, entry.starts) for entry in entries if entry.starts]
    # RFC 5545 §3.6 asks for one component at least; a time zone shows nothing.
    components = events or [Timezone.from_tzid("UTC").to_ical()]
    head, end, rest = calendar.to_ical().rpartition(b"END:VCALENDAR")
    return b"".join([head, *components, end, rest])


@lru_cache(MOST_KEPT)
def _render_event(entry: Entry, starts: datetime) -> bytes:
    event = Event()
    event.add("uid", entry.id)
    event.add("dtstamp", _utc(entry.updated))
    event.add("last-modified", _utc(entry.updated))
    event.add("sequence", entry.sequence)
    event.add("dtstart", _utc(starts))
    event.add("summary", entry.title)
    event.add("description", f"{entry.summary}\n{entry.url}")
    event.add("url", entry.url)
    event.add("categories", [topic.label for topic in entry.topics])
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    event.add("transp", "TRANSPARENT")
    return bytes(event.to_ical())


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(microsecond=0)


def _duration(span: timedelta) -> str:
    """PT15M, PT90S: RFC 5545 §3.3.6, for a property that is a text to icalendar."""
    seconds = round(span.total_seconds())
    return f"PT{seconds // 60}M" if seconds % 60 == 0 else f"PT{seconds}S"
