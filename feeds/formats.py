"""What writes each form of a feed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from feeds.calendar import render_calendar
from feeds.definitions import Channel, Format
from feeds.entries import Entry
from feeds.jsonfeed import render_json
from feeds.rss_atom import render_atom, render_rss

RENDERERS: Mapping[Format, Callable[[Channel, Sequence[Entry]], bytes]] = {
    Format.RSS: render_rss,
    Format.ATOM: render_atom,
    Format.JSON: render_json,
    Format.CALENDAR: render_calendar,
}
