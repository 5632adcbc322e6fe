"""Entries → JSON Feed 1.1, with the structured fields in `_warta`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from feeds.definitions import Channel, Format
from feeds.entries import Entry

VERSION = "https://jsonfeed.org/version/1.1"


def render_json(channel: Channel, entries: Sequence[Entry]) -> bytes:
    """JSON Feed 1.1 in UTF-8; entries stay in their order."""
    feed: dict[str, Any] = {
        "version": VERSION,
        "title": channel.feed.title,
        "home_page_url": channel.page_url,
        "feed_url": channel.urls[Format.JSON],
        "description": channel.feed.description,
        "language": channel.language,
        "authors": [{"name": channel.author, "url": channel.author_url}],
    }
    if channel.hub:
        feed["hubs"] = [{"type": "WebSub", "url": channel.hub}]
    feed["items"] = [_item(entry) for entry in entries]
    return json.dumps(feed, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _item(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "url": entry.url,
        "title": entry.title,
        "summary": entry.summary,
        "content_html": entry.content,
        "date_published": _rfc3339(entry.published),
        "date_modified": _rfc3339(entry.updated),
        "authors": [{"name": entry.author, "url": entry.author_url}],
        "tags": [topic.label for topic in entry.topics],
        "_warta": dict(entry.structured),
    }


def _rfc3339(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()
