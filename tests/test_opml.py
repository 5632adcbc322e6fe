"""OPML 2.0 of all feeds."""

from __future__ import annotations

from lxml import etree

from feeds.definitions import make_channel, shipped_feeds
from feeds.opml import make_title, render_opml
from tests.feed_samples import CONFIG, make_config, make_entries


def test_the_list() -> None:
    channels = [make_channel(feed, CONFIG, make_entries()) for feed in shipped_feeds(CONFIG, ["DINAS <X> & Y"])]
    opml = etree.fromstring(render_opml(CONFIG.publisher, channels))
    assert opml.get("version") == "2.0"
    assert [element.text for element in opml.findall("head/*")] == [
        "Warta Pengadaan Kota Malang",
        "Tue, 24 Nov 2026 02:40:00 +0000",
        "BLP Kota Malang",
        "https://blp.example.go.id/umpan/",
    ]
    folders = [outline.get("text") for outline in opml.findall("body/outline") if outline.get("type") is None]
    assert folders == ["Jenis pengadaan", "Metode", "Satuan kerja"]
    rows = [outline for outline in opml.iter("outline") if outline.get("type") == "rss"]
    assert [row.get("xmlUrl") for row in rows] == [
        f"https://blp.example.go.id/umpan/feeds/{channel.feed.id}.rss" for channel in channels
    ]
    assert dict(rows[0].attrib) == {
        "type": "rss",
        "text": "Semua paket terbuka",
        "title": "Semua paket terbuka",
        "description": "Setiap paket yang masih terbuka atau dalam proses.",
        "xmlUrl": "https://blp.example.go.id/umpan/feeds/semua.rss",
        "htmlUrl": "https://blp.example.go.id/umpan/feeds/semua.html",
        "language": "id",
        "version": "RSS2",
    }
    assert rows[-1].get("title") == "DINAS ‹X› & Y di Kota Malang"


def test_without_a_place_it_bears_the_publisher() -> None:
    assert make_title(make_config(place="").publisher) == "Warta Pengadaan BLP Kota Malang"
