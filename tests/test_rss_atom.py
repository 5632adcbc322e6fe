"""RSS and Atom: what validators and readers ask for, over plain and hostile entries, and bytes that settle."""

from __future__ import annotations

import hashlib
import locale
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.entities import name2codepoint
from pathlib import Path
from typing import NoReturn

import feedparser  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from lxml import etree

from feeds.definitions import Channel, Format, make_channel, shipped_feeds
from feeds.entries import Entry
from feeds.jsonfeed import render_json
from feeds.rss_atom import render_atom, render_rss
from tests.conftest import ROOT, need
from tests.feed_samples import CONFIG, hostile_entries, make_config, make_entries

ENTRIES = make_entries()
ATOM = "{http://www.w3.org/2005/Atom}"
CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
ENCODED = "{http://purl.org/rss/1.0/modules/content/}encoded"
STRICT = etree.XMLParser(resolve_entities=False, recover=False, dtd_validation=False, no_network=True)


def make(entries: list[Entry] = ENTRIES, hub: str = "") -> Channel:
    config = make_config(hub=hub) if hub else CONFIG
    return make_channel(shipped_feeds(config, [])[0], config, entries)


def parse(xml: bytes) -> etree._Element:
    assert not xml.startswith(b"\xef\xbb\xbf")
    assert b"<!DOCTYPE" not in xml
    return etree.fromstring(xml, STRICT)


def texts(element: etree._Element, *names: str) -> list[str | None]:
    return [child.text for name in names for child in element.findall(name)]


def test_an_rss_channel() -> None:
    channel = parse(render_rss(make(), ENTRIES))[0]
    assert texts(channel, "title", "link", "description", "language", "ttl") == [
        "Semua paket terbuka",
        "https://blp.example.go.id/umpan/feeds/semua.html",
        "Setiap paket yang masih terbuka atau dalam proses.",
        "id",
        "15",
    ]
    assert texts(channel, "lastBuildDate") == ["Tue, 24 Nov 2026 02:40:00 +0000"]
    assert [dict(link.attrib) for link in channel.findall(f"{ATOM}link")] == [
        {
            "href": "https://blp.example.go.id/umpan/feeds/semua.rss",
            "rel": "self",
            "type": "application/rss+xml",
        }
    ]
    assert len(channel.findall("item")) == 3


def test_an_rss_item() -> None:
    item = parse(render_rss(make(), ENTRIES))[0].findall("item")[1]
    entry = ENTRIES[1]
    assert texts(item, "title", "link", "guid", CREATOR, "pubDate") == [
        entry.title,
        entry.url,
        entry.id,
        "LPSE Kota Malang",
        "Thu, 12 Nov 2026 17:00:00 +0000",
    ]
    assert item.find("guid").get("isPermaLink") == "false"  # type: ignore[union-attr]
    assert texts(item, "category") == ["Tender", "Pekerjaan Konstruksi", "Terbuka"]
    assert texts(item, ENCODED) == [entry.content]
    names = [child.tag for child in item]
    assert names.index("description") < names.index(ENCODED)
    assert "author" not in names
    assert len(set(names) - {"category"}) == len([name for name in names if name != "category"])


def test_rss_descriptions_are_html_and_atom_summaries_plain() -> None:
    entry = replace(ENTRIES[1], summary="Jasa & Barang")
    assert texts(parse(render_rss(make(), [entry]))[0].find("item"), "description") == ["Jasa &amp; Barang"]  # type: ignore[arg-type]
    summary = parse(render_atom(make(), [entry])).find(f"{ATOM}entry/{ATOM}summary")
    assert summary is not None
    assert (summary.text, summary.get("type")) == ("Jasa & Barang", None)


def test_an_atom_feed() -> None:
    feed = parse(render_atom(make(), ENTRIES))
    assert feed.get("{http://www.w3.org/XML/1998/namespace}lang") == "id"
    assert texts(feed, f"{ATOM}id", f"{ATOM}title", f"{ATOM}updated", f"{ATOM}subtitle") == [
        "tag:blp.example.go.id,2026-01-01:feeds/semua",
        "Semua paket terbuka",
        "2026-11-24T02:40:00+00:00",
        "Setiap paket yang masih terbuka atau dalam proses.",
    ]
    assert texts(feed, f"{ATOM}author/{ATOM}name") == ["BLP Kota Malang"]
    assert [(link.get("rel"), link.get("type"), link.get("href")) for link in feed.findall(f"{ATOM}link")] == [
        ("self", "application/atom+xml", "https://blp.example.go.id/umpan/feeds/semua.atom"),
        ("alternate", "text/html", "https://blp.example.go.id/umpan/feeds/semua.html"),
    ]


def test_an_atom_entry() -> None:
    entry = parse(render_atom(make(), ENTRIES)).findall(f"{ATOM}entry")[1]
    for once in ("id", "title", "updated", "published", "author", "link", "summary", "content"):
        assert len(entry.findall(ATOM + once)) == 1
    assert [dict(link.attrib) for link in entry.findall(f"{ATOM}link")] == [
        {"href": ENTRIES[1].url, "rel": "alternate", "type": "text/html"}
    ]
    content = entry.find(f"{ATOM}content")
    assert content is not None
    assert (content.get("type"), content.text) == ("html", ENTRIES[1].content)
    assert texts(entry, f"{ATOM}author/{ATOM}name", f"{ATOM}author/{ATOM}uri") == [
        "LPSE Kota Malang",
        "https://spse.example.go.id/malangkota",
    ]
    assert texts(entry, f"{ATOM}published", f"{ATOM}updated") == [
        "2026-11-12T17:00:00+00:00",
        "2026-11-24T02:40:00+00:00",
    ]
    assert [(c.get("term"), c.get("label")) for c in entry.findall(f"{ATOM}category")] == [
        ("tender", "Tender"),
        ("works", "Pekerjaan Konstruksi"),
        ("open", "Terbuka"),
    ]


def test_the_hub_is_named_only_when_there_is_one() -> None:
    channel = make(hub="https://hub.example.org/")
    rss = parse(render_rss(channel, ENTRIES))[0]
    assert [link.get("rel") for link in rss.findall(f"{ATOM}link")] == ["self", "hub"]
    assert texts(rss, "link") == ["https://blp.example.go.id/umpan/feeds/semua.html"]
    atom = parse(render_atom(channel, ENTRIES))
    assert [link.get("rel") for link in atom.findall(f"{ATOM}link")] == ["self", "hub", "alternate"]
    assert b'"hub"' not in render_rss(make(), ENTRIES) + render_atom(make(), ENTRIES)


def test_a_feed_without_entries() -> None:
    for xml in (render_rss(make([]), []), render_atom(make([]), [])):
        assert not feedparser.parse(xml).bozo
        assert list(complain(xml)) == []


# What the W3C feed validator warns of (its sources, read) --------------------------------------------

_URI = re.compile(r"https?://[0-9A-Za-z;/?:@&=+$.\-_!~*'()%,#]+")
_TAG = re.compile(r"tag:[a-z0-9.-]+,\d{4}-\d{2}-\d{2}:[0-9a-zA-Z;/?:@&=+$.\-_!~*'()%,]+")
_RFC822 = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d \+0000"
)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")
_FORMS = {
    "link": _URI,
    "docs": _URI,
    "uri": _URI,
    "guid": _TAG,
    "id": _TAG,
    "pubDate": _RFC822,
    "lastBuildDate": _RFC822,
    "updated": _RFC3339,
    "published": _RFC3339,
    "language": re.compile("id|en"),
    "ttl": re.compile("[1-9][0-9]*"),
}
_PLAIN = {"title", "subtitle", "summary", "name", "creator", "category", "generator", "description"}
_HTML = re.compile(r"</?\w|<!|&#\w+;|&amp;|&lt;|&gt;|&quot;|&nbsp;")
_EVIL = re.compile(r"<(script|style|iframe|form|svg|meta|embed|object)|\son\w+\s*=\s*[\"']|\sstyle=|href=\"(?!https?:)")


def complain(xml: bytes) -> Iterator[str]:
    """What a validator would say: blank or ill-formed values, markup in plain text, unsafe HTML, doubled ids."""
    ids = []
    refers = b"&#x" in xml  # by hexadecimal references a writer says that he knows what is escaped
    for element in parse(xml).iter():
        name, text = etree.QName(element).localname, (element.text or "").strip()
        if re.search("[\x80-\x9f\ufffd]", "".join([text, *element.values()])):
            yield f"{name}: bad character in {text!r}"
        if href := element.get("href"):
            text = href
        if name in _FORMS and not _FORMS[name].fullmatch(text):
            yield f"{name}: {text!r}"
        if name in _PLAIN - {"description"} and _HTML.search(text):
            yield f"{name}: looks like HTML: {text!r}"
        if name in _PLAIN and not refers and any(map(_is_entity, re.findall(r"&(#?\w+)", text))):
            yield f"{name}: looks like an entity: {text!r}"
        if name in {"content", "encoded", "description"} and _EVIL.search(text):
            yield f"{name}: unsafe: {text!r}"
        if name in {*_FORMS, "title", "description", "summary", "content", "encoded"} and not text:
            yield f"{name}: blank"
        if name in {"guid", "id"}:
            ids.append(text)
    if len(set(ids)) != len(ids):
        yield "ids: doubled"


def _is_entity(name: str) -> bool:
    return name in name2codepoint or name == "apos" or not name.isalpha()


@pytest.mark.parametrize("title", ["Belanja B&1", "A&copy", "AT&T", "Bahan &#38 alat", "x &amp y"])
def test_an_ampersand_is_no_markup(title: str) -> None:
    for render in (render_rss, render_atom):
        xml = render(make(), [replace(ENTRIES[1], title=title)])
        assert list(complain(xml)) == []
        assert feedparser.parse(xml).entries[0].title == title


def test_plain_entries_draw_no_complaint() -> None:
    for channel in (make(), make(hub="https://hub.example.org/")):
        for render in (render_rss, render_atom):
            assert list(complain(render(channel, ENTRIES))) == []


@given(hostile_entries())
def test_hostile_entries_parse_and_draw_no_complaint(entries: list[Entry]) -> None:
    channel = make(entries)
    rss, atom = render_rss(channel, entries), render_atom(channel, entries)
    assert [*complain(rss), *complain(atom)] == []
    found_rss, found_atom = feedparser.parse(rss), feedparser.parse(atom)
    assert not found_rss.bozo
    assert not found_atom.bozo
    ids = [entry.id for entry in entries]
    assert [found.id for found in found_rss.entries] == ids
    assert [found.id for found in found_atom.entries] == ids
    # Titles from the XML itself: feedparser takes some of them for mojibake and mends them.
    titles = [entry.title for entry in entries]
    assert [item.findtext("title") for item in etree.fromstring(rss).iter("item")] == titles
    assert [entry.findtext(f"{ATOM}title") for entry in etree.fromstring(atom).iter(f"{ATOM}entry")] == titles


def test_ruby_reads_it_strictly(tmp_path: Path) -> None:
    ruby = need("ruby")
    for form, render in ((Format.RSS, render_rss), (Format.ATOM, render_atom)):
        file = tmp_path / f"feed.{form}"
        file.write_bytes(render(make(hub="https://hub.example.org/"), ENTRIES))
        program = "require 'rss'; puts RSS::Parser.parse(File.read(ARGV[0]), true).items.size"
        run = subprocess.run([ruby, "-e", program, str(file)], capture_output=True, text=True, env={**os.environ})
        if "cannot load such file -- rss" in run.stderr:
            pytest.skip("ruby-rss is not installed")
        assert (run.stdout.strip(), run.stderr) == ("3", "")


# Bytes -----------------------------------------------------------------------------------------------


def digest() -> str:
    """Of all that hash seeds or the time of day could stir."""
    renders = (render_rss, render_atom, render_json)
    return hashlib.sha256(b"".join(render(make(hub="https://h.example/"), ENTRIES) for render in renders)).hexdigest()


def test_bytes_are_the_same_in_every_process() -> None:
    program = "import sys; sys.path[:0] = sys.argv[1:]; from test_rss_atom import digest; print(digest())"
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"  # not this process's
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-c", program, str(ROOT), str(ROOT / "tests")]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == digest()


def test_threads_render_the_same_and_leave_the_locale_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("the locale is the whole process's")

    expected = render_rss(make(), ENTRIES), render_atom(make(), ENTRIES)
    monkeypatch.setattr(locale, "setlocale", refuse)
    with ThreadPoolExecutor(4) as pool:
        rss = list(pool.map(lambda _: render_rss(make(), ENTRIES), range(20)))
        atom = list(pool.map(lambda _: render_atom(make(), ENTRIES), range(20)))
    assert {*rss} == {expected[0]}
    assert {*atom} == {expected[1]}
