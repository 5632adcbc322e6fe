"""What robots are told: every page once, when what it tells changed, and where they need not look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from lxml import etree

from aggregator.config import Config, load_config
from aggregator.repository import Repository
from feeds.pages.sitemap import MOST_PAGES, find_pages, render_robots, render_sitemap
from feeds.publish import publish
from feeds.tree import Part
from tests.test_publish import NOW, OPEN, SECOND, changes, files, read

BASE = "https://blp.example.go.id/umpan/"
SPACE = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}


def locations(body: bytes) -> list[str]:
    return [str(text) for text in etree.fromstring(body).xpath("//s:loc/text()", namespaces=SPACE)]


def test_every_page_stands_in_it_once(config_file: Path, repository: Repository) -> None:
    config_file.write_text(config_file.read_text() + "\n[publish]\nenglish = true\n")
    config = load_config(config_file)
    read(repository, *OPEN)
    publish(config, repository, NOW)
    found = files(config.public_folder)
    hidden = ("embed/", "en/embed/", "kunjungan.html", "en/kunjungan.html")
    pages = {name for name in found if name.endswith(".html") and not name.startswith(hidden)}
    listed = locations(found["sitemap.xml"])
    assert {"index.html", "en/index.html", "pekan-ini.html", "en/pekan-ini.html"} <= pages
    assert sorted(listed) == sorted(config.publisher.url + name for name in pages)
    robots = found["robots.txt"].decode()
    assert f"Sitemap: {config.publisher.url}sitemap.xml\n" in robots
    assert "cari.html?" in robots
    assert "/en/cari.html?" in robots


def test_it_moves_with_the_packages_and_not_with_the_clock(config: Config, repository: Repository) -> None:
    read(repository, *OPEN)
    publish(config, repository, NOW)
    read(repository, *OPEN, now=NOW)  # nothing new, but "last read" on the front page moves
    _, changed = changes(config.public_folder, lambda: publish(config, repository, NOW + timedelta(minutes=1)))
    assert "index.html" in changed
    assert "sitemap.xml" not in changed
    read(repository, replace(OPEN[0], title="Lain"), now=NOW + SECOND)
    _, changed = changes(config.public_folder, lambda: publish(config, repository, NOW + timedelta(minutes=2)))
    assert "sitemap.xml" in changed


def make_part(*paths: str, time: int) -> Part:
    return Part("", {path: [1, time, 1, time] for path in paths}, {})


def test_times_are_those_of_what_a_page_tells() -> None:
    written = {
        "index.html": 9_000_000_000,
        "feeds/semua.html": 2_000_000_000,
        "en/feeds/semua.html": 3_000_000_000,
        "tenders/malangkota/tender/1.html": 1_000_000_000,
        "status.html": 9_000_000_000,
        "embed/semua.html": 9_000_000_000,
        "en/kunjungan.html": 9_000_000_000,
        "feeds/semua.rss": 9_000_000_000,
    }
    pages = find_pages({path.removesuffix(".html"): make_part(path, time=time) for path, time in written.items()})
    assert pages == {
        "en/feeds/semua.html": 3_000_000_000,
        "feeds/semua.html": 2_000_000_000,
        "index.html": 3_000_000_000,
        "status.html": None,
        "tenders/malangkota/tender/1.html": 1_000_000_000,
    }
    (body,) = render_sitemap(BASE, pages).values()
    assert f"<url><loc>{BASE}index.html</loc><lastmod>1970-01-01T00:00:03Z</lastmod></url>".encode() in body
    assert f"<url><loc>{BASE}status.html</loc></url>".encode() in body


def test_a_tree_without_feeds_has_no_times() -> None:
    assert find_pages({"list": make_part("index.html", time=1)}) == {"index.html": None}


def test_a_purchase_that_several_portals_tell_of_is_listed_once() -> None:
    paths = [f"en/tenders/{portal}/tender/1.html" for portal in ("malangkota", "satudata")]
    assert (
        list(find_pages({paths[0].removeprefix("en/").removesuffix(".html"): make_part(*paths, time=1)})) == paths[:1]
    )


def test_what_one_file_cannot_hold_stands_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_PAGES == 50_000
    monkeypatch.setattr("feeds.pages.sitemap.MOST_PAGES", 3)
    pages = {f"tenders/malangkota/tender/{number}.html": number * 1_000_000_000 for number in range(7)}
    parts = render_sitemap(BASE, pages)
    assert list(parts) == ["sitemap.xml", "sitemap-1.xml", "sitemap-2.xml", "sitemap-3.xml"]
    assert etree.QName(etree.fromstring(parts["sitemap.xml"])).localname == "sitemapindex"
    assert locations(parts["sitemap.xml"]) == [f"{BASE}sitemap-{number}.xml" for number in (1, 2, 3)]
    assert b"<lastmod>1970-01-01T00:00:05Z</lastmod>" in parts["sitemap.xml"]
    listed = [location for name in list(parts)[1:] for location in locations(parts[name])]
    assert listed == [BASE + path for path in pages]
    assert locations(render_sitemap(BASE, dict(list(pages.items())[:3]))["sitemap.xml"]) == listed[:3]


def test_robots_keep_out_of_searches_below_the_folder_of_the_site() -> None:
    lines = render_robots(BASE, ["", "en/"]).decode().splitlines()
    assert [line for line in lines if line.startswith("Disallow")] == [
        "Disallow: /umpan/cari.html?",
        "Disallow: /umpan/en/cari.html?",
        "Disallow: /umpan/feeds/search.",
    ]
