"""JSON Feed 1.1 with its `_warta` objects."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given

from aggregator.config import Config
from feeds.definitions import make_channel, shipped_feeds
from feeds.entries import Entry
from feeds.jsonfeed import render_json
from tests.feed_samples import CONFIG, TENDER, hostile_entries, make_config, make_entries


def render(entries: list[Entry], config: Config = CONFIG) -> dict[str, Any]:
    feed: dict[str, Any] = json.loads(render_json(make_channel(shipped_feeds(config, [])[0], config, entries), entries))
    return feed


def test_the_feed() -> None:
    feed = render([])
    assert feed == {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Semua paket terbuka",
        "home_page_url": "https://blp.example.go.id/umpan/feeds/semua.html",
        "feed_url": "https://blp.example.go.id/umpan/feeds/semua.json",
        "description": "Setiap paket yang masih terbuka atau dalam proses.",
        "language": "id",
        "authors": [{"name": "BLP Kota Malang", "url": "https://blp.example.go.id/umpan/"}],
        "items": [],
    }


def test_the_hub() -> None:
    hubs = render([], make_config(hub="https://hub.example.org/"))["hubs"]
    assert hubs == [{"type": "WebSub", "url": "https://hub.example.org/"}]


def test_an_item() -> None:
    entries = make_entries()
    item = render(entries)["items"][1]
    assert item.pop("_warta")["value"] == {"amount": "5912300000.00", "currency": "IDR"}
    assert item == {
        "id": "tag:blp.example.go.id,2026-01-01:malangkota/tender/10099412000",
        "url": TENDER.url,
        "title": TENDER.title,
        "summary": entries[1].summary,
        "content_html": entries[1].content,
        "date_published": "2026-11-12T17:00:00+00:00",
        "date_modified": "2026-11-24T02:40:00+00:00",
        "authors": [{"name": "LPSE Kota Malang", "url": "https://spse.example.go.id/malangkota"}],
        "tags": ["Tender", "Pekerjaan Konstruksi", "Terbuka"],
    }


@given(hostile_entries())
def test_hostile_entries(entries: list[Entry]) -> None:
    items = render(entries)["items"]
    assert [item["id"] for item in items] == [entry.id for entry in entries]
    assert [item["title"] for item in items] == [entry.title for entry in entries]
    for item in items:
        assert datetime.fromisoformat(item["date_modified"]).tzinfo
        for money in (item["_warta"]["value"], item["_warta"]["budget"]):
            assert money is None or Decimal(money["amount"]) >= 0
