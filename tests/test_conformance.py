"""Every published feed, with hostile texts in it, read by the programs and held to the rules that its readers use."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import feedparser  # type: ignore[import-untyped]
import icalendar
import pytest
from lxml import etree
from reader import make_reader

from aggregator.config import parse_config
from aggregator.database import open_database
from aggregator.models import Award, Category, Kind, Method, Money, Reading, Status, Sweep, Tender
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from feeds.publish import publish
from tests.conftest import CONFIG, need
from tests.feed_samples import FRAGMENTS, TENDER
from tests.test_rss_atom import complain

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
HUB = "https://hub.example.org/"
FEEDS = """
[publish]
directory = "public"
hub = "https://hub.example.org/"
[[feed]]
id = "kami"
title = "<b>Kami</b> & \\"kalian\\""
filter = { q = "drainase OR obat" }
"""
ATOM = "{http://www.w3.org/2005/Atom}"
ADDRESS = re.compile(r"https?://[!-~]+")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


# The database takes none: pipelines clean what they read.
FIT = [text.encode("utf-8", "ignore").decode() or "x" for text in FRAGMENTS]


def make_tenders() -> Iterator[Tender]:
    """One of each kind with every hostile fragment at once, then one with each fragment as its title."""
    every = " ".join(FIT)
    for number, kind in enumerate(Kind):
        yield replace(
            TENDER,
            kind=kind,
            key=f"1{number}",
            title=every,
            description=every * 9,
            buyer=every,
            procuring_entity=every,
            category_detail=every,
            method_detail=every,
            stage=every,
            locations=(every, ""),
            plans=(every,),
            awards=(Award(supplier=every, amount=Money(Decimal("1e15"))),),
            cancellation_reason=every,
            url=f"https://x.example/{every}",
        )
    for number, fragment in enumerate(FIT):
        category, method = list(Category)[number % 4], list(Method)[number % 4]
        yield replace(TENDER, key=f"2{number}", title=fragment, category=category, method=method, url=fragment)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published tree, with archives, a failed portal, and a change of every tender."""
    folder = tmp_path_factory.mktemp("conformance")
    config = parse_config(CONFIG + FEEDS, folder / "warta.toml")
    repository = Repository(open_database(f"sqlite:///{folder}/warta.db"))
    for days, verdict in ((60, Verdict.OK), (30, Verdict.BLOCKED), (1, Verdict.OK)):
        moved = timedelta(days=60 - days)
        status = Status.CANCELLED if days == 1 else Status.ACTIVE
        tenders = [
            replace(
                each,
                deadline=each.deadline and each.deadline + moved,
                status=status if each.key[-1] == "3" else each.status,
            )
            for each in make_tenders()
        ]
        time = NOW - timedelta(days=days)
        repository.save([Reading(tender=tender) for tender in tenders], time)
        run = Run(
            portal="malangkota",
            sweep=Sweep.OPEN,
            started=time,
            finished=time,
            verdict=verdict,
            reasons=tuple(FIT),
        )
        repository.save_run(run)
    publish(config, repository, NOW)
    return config.public_folder


def find(root: Path, *suffixes: str) -> list[Path]:
    """The feeds of these forms, archives among them."""
    found = sorted(path for path in (root / "feeds").rglob("*") if path.suffix in suffixes)
    assert found
    return found


def test_the_tree_has_every_kind_of_feed(root: Path) -> None:
    feeds = {path.stem for path in find(root, ".rss")}
    assert feeds > {"semua", "perubahan", "tenggat", "pemenang", "batal-ulang", "rup", "berita", "status", "kami"}
    assert feeds > {"jenis-barang", "metode-terbuka"}
    assert [feed for feed in feeds if feed.startswith("satker-")]
    assert len(list((root / "feeds/perubahan/archive").glob("*.atom"))) == 2  # closed months


# RSS and Atom ------------------------------------------------------------------------------------------


def test_no_feed_draws_a_complaint_of_the_w3c_validator(root: Path) -> None:
    told = {path.name: found for path in find(root, ".rss", ".atom") if (found := [*complain(path.read_bytes())])}
    assert told == {}


def test_what_the_w3c_validator_asks_of_archives(root: Path) -> None:
    """Its feed.py: an archive names the current feed and a neighbour; nothing else may be an archive."""
    for path in find(root, ".atom"):
        feed = etree.fromstring(path.read_bytes())
        relations = [link.get("rel") for link in feed.findall(f"{ATOM}link")]
        is_archive = feed.find("{http://purl.org/syndication/history/1.0}archive") is not None
        assert is_archive == ("archive" in path.parts) == ("current" in relations)
        assert len(relations) == len(set(relations))
        assert not is_archive or {"prev-archive", "next-archive"} & set(relations)
        updated = [entry.findtext(f"{ATOM}updated") for entry in feed.iter(f"{ATOM}entry")]
        assert len(updated) == len(set(updated)), path.name


def test_every_feed_names_itself(root: Path) -> None:
    for path in find(root, ".rss", ".atom", ".json"):
        url = f"https://blp.example.go.id/umpan/{path.relative_to(root)}"
        if path.suffix == ".json":
            assert json.loads(path.read_bytes())["feed_url"] == url
        else:
            links = etree.fromstring(path.read_bytes()).iter(f"{ATOM}link")
            assert [link.get("href") for link in links if link.get("rel") == "self"] == [url]


def test_feedparser_finds_nothing_wrong(root: Path) -> None:
    for path in find(root, ".rss", ".atom"):
        found = feedparser.parse(path.read_bytes())
        assert not found.bozo, path.name
        assert len(found.entries) == count(path)
        assert all(entry.id and entry.title and entry.link and entry.published_parsed for entry in found.entries)


def count(path: Path) -> int:
    """The entries of a feed of any form, told by a reading of its own."""
    body = path.read_bytes()
    if path.suffix == ".json":
        return len(json.loads(body)["items"])
    if path.suffix == ".ics":
        return sum(line == b"BEGIN:VEVENT" for line in body.split(b"\r\n"))
    names = ("item", f"{ATOM}entry")
    return len(list(etree.fromstring(body).iter(*names)))


def test_ruby_reads_all_of_it_strictly(root: Path) -> None:
    paths = find(root, ".rss", ".atom")
    program = "require 'rss'; ARGV.each { |name| puts RSS::Parser.parse(File.read(name), true).items.size }"
    run = subprocess.run([need("ruby"), "-e", program, *paths], capture_output=True, text=True)
    if "cannot load such file -- rss" in run.stderr:
        pytest.skip("ruby-rss is not installed")
    assert run.stderr == ""
    assert [int(line) for line in run.stdout.split()] == [count(path) for path in paths]


def test_newsboat_shows_every_entry_once(root: Path, tmp_path: Path) -> None:
    paths = find(root, ".rss", ".atom")
    urls = "".join(f"file://{path}\n" for path in paths)
    (tmp_path / "urls").write_text(urls)
    command = [
        need("newsboat"),
        "-q",
        "-u",
        "urls",
        "-c",
        "cache.db",
        "-C",
        "config",
        "-l",
        "2",
        "-d",
        "log",
        "-x",
        "reload",
    ]
    (tmp_path / "config").write_text("")
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    with closing(sqlite3.connect(tmp_path / "cache.db")) as cache:
        seen = set(cache.execute("SELECT guid FROM rss_item"))
        titles = {title for (title,) in cache.execute("SELECT title FROM rss_item")}
    assert {guid for (guid,) in seen} == {
        entry.id for path in paths for entry in feedparser.parse(path.read_bytes()).entries
    }
    assert not [title for title in titles if not title or "<" in title or "&lt;" in title]
    assert (tmp_path / "log").read_text() == ""


def test_reader_takes_every_feed(root: Path) -> None:
    paths = find(root, ".rss", ".atom", ".json")
    with closing(make_reader(":memory:", feed_root=str(root))) as reader:
        for path in paths:
            reader.add_feed(path.relative_to(root).as_posix())
        reader.update_feeds()
        for path in paths:
            feed = reader.get_feed(path.relative_to(root).as_posix())
            assert feed.last_exception is None
            assert feed.title
            assert reader.get_entry_counts(feed=feed).total == count(path)


# JSON Feed ---------------------------------------------------------------------------------------------

# What version 1.1 names, and of what type; everything else must begin with _.
FEED_KEYS: dict[str, type] = {
    "version": str,
    "title": str,
    "home_page_url": str,
    "feed_url": str,
    "description": str,
    "language": str,
    "authors": list,
    "hubs": list,
    "items": list,
}
ITEM_KEYS: dict[str, type] = {
    "id": str,
    "url": str,
    "title": str,
    "summary": str,
    "content_html": str,
    "date_published": str,
    "date_modified": str,
    "authors": list,
    "tags": list,
    "_warta": dict,
}


def test_json_feed_1_1(root: Path) -> None:
    for path in find(root, ".json"):
        feed = json.loads(path.read_text(encoding="utf-8"))
        check_types(feed, FEED_KEYS)
        assert feed["version"] == "https://jsonfeed.org/version/1.1"
        assert feed["hubs"] == [{"type": "WebSub", "url": HUB}]
        assert ADDRESS.fullmatch(feed["home_page_url"])
        ids = [item["id"] for item in feed["items"]]
        assert len(ids) == len(set(ids))
        for item in feed["items"]:
            check_types(item, ITEM_KEYS)
            assert ADDRESS.fullmatch(item["url"])
            assert RFC3339.fullmatch(item["date_published"])
            assert RFC3339.fullmatch(item["date_modified"])
            assert all(isinstance(tag, str) and tag for tag in item["tags"])
        for author in [*feed["authors"], *(author for item in feed["items"] for author in item["authors"])]:
            assert author["name"]
            assert ADDRESS.fullmatch(author["url"])


def check_types(held: dict[str, Any], known: dict[str, type]) -> None:
    assert held.keys() <= known.keys()
    assert not [name for name, value in held.items() if not isinstance(value, known[name])]


def test_the_forms_of_a_feed_hold_the_same_entries_in_the_same_order(root: Path) -> None:
    for path in find(root, ".json"):
        ids = [item["id"] for item in json.loads(path.read_bytes())["items"]]
        for form in (".rss", ".atom"):
            assert [entry.id for entry in feedparser.parse(path.with_suffix(form).read_bytes()).entries] == ids


# Calendars and OPML ------------------------------------------------------------------------------------


def test_calendars(root: Path) -> None:
    for path in find(root, ".ics"):
        body = path.read_bytes()
        calendar = icalendar.Calendar.from_ical(body)
        events = calendar.walk("VEVENT")
        assert len(events) == count(path)
        assert not [part.name for part in calendar.walk() if part.errors]
        uids = [str(event["UID"]) for event in events]
        assert len(uids) == len(set(uids))
        for event in events:
            assert {"UID", "DTSTAMP", "DTSTART", "SUMMARY", "SEQUENCE", "STATUS"} <= event.keys()
        assert all(len(line) <= 75 for line in body.split(b"\r\n"))
        assert b"\n" not in body.replace(b"\r\n", b"")


def test_khal_prints_them(root: Path, tmp_path: Path) -> None:
    khal = need("khal")
    (tmp_path / "config").write_text(f"[calendars]\n[[mine]]\npath = {tmp_path}/mine\ntype = calendar\n[locale]\n")
    for name in ("semua", "perubahan", "status", "tenggat"):
        path = root / f"feeds/{name}.ics"
        command = [khal, "-c", f"{tmp_path}/config", "printics", "--format", "{title}", str(path)]
        run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.startswith(f"{count(path)} events found in {path}")


def test_opml(root: Path) -> None:
    """As the W3C validator has it (its opml.py): types, addresses, and every feed of the tree once."""
    opml = etree.fromstring((root / "feeds.opml").read_bytes())
    outlines = [outline for outline in opml.iter("outline") if outline.get("type")]
    assert {outline.get("xmlUrl") for outline in outlines} == {
        f"https://blp.example.go.id/umpan/{path.relative_to(root)}" for path in find(root, ".rss")
    }
    for outline in opml.iter("outline"):
        assert outline.get("text")
        assert not re.search("[<>]", "".join(outline.values()))
        assert set(outline.keys()) <= {
            "text",
            "type",
            "title",
            "description",
            "xmlUrl",
            "htmlUrl",
            "language",
            "version",
        }
