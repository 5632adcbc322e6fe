"""The pages as their readers and their browsers need them: light, self-contained, accessible, harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings

from aggregator.config import parse_config
from aggregator.database import open_database
from aggregator.models import Category, Kind, Method, Money, Reading, Sweep, Tender
from aggregator.repository import Repository
from aggregator.run_log import LastRuns
from aggregator.verdicts import Run, Verdict
from feeds.definitions import OPEN, make_channel, shipped_feeds
from feeds.entries import tender_entry
from feeds.pages.listing import list_open
from feeds.pages.lists import Card, render_catalogue, render_feed_page, render_list
from feeds.pages.narrowing import Names, count_choices, make_narrowing
from feeds.pages.portals import RunWeek, render_status, tell_portals
from feeds.pages.site import SITE, load_site, render_error
from feeds.publish import publish
from feeds.words.wording import Wording
from tests.conftest import CONFIG
from tests.feed_samples import PORTAL, PUBLISHER, READ, TENDER, WIB, hostile_tenders, make_config, make_record

WEEK = RunWeek([], {})
VOID = {"meta", "link", "img", "input", "br"}
SHAPES = {"path", "circle", "rect", "use"}  # closed by themselves in SVG
STYLE = (SITE / "style.css").read_text(encoding="utf-8")
NARROWING = make_narrowing(OPEN, count_choices(OPEN, lambda _: 1, lambda *_: []), Names({}, {}), Wording("id", WIB))
SCRIPT = (SITE / "site.js").read_text(encoding="utf-8")


class Page(HTMLParser):
    """A page's elements; raises AssertionError where tags are not balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def find(self, tag: str, name: str) -> list[str]:
        return [attributes[name] for found, attributes in self.elements if found == tag and name in attributes]


def sample_tenders() -> Iterator[Tender]:
    """More open packages than one page holds, with long names."""
    names = [
        "Rehabilitasi Saluran Drainase Jalan Soekarno-Hatta Segmen Jembatan–Simpang Borobudur",
        "Pengadaan Bibit Tanaman Peneduh untuk Taman Kota dan Ruang Terbuka Hijau di Lima Kecamatan Kota Malang",
    ]
    for number in range(45):
        yield replace(
            TENDER,
            key=f"{number}",
            kind=Kind.NON_TENDER if number % 3 else Kind.TENDER,
            title=f"{names[number % 2]} Tahap {number}",
            procuring_entity=f"Dinas Pekerjaan Umum, Penataan Ruang, Perumahan dan Kawasan Permukiman {number % 30}",
            category=list(Category)[number % 4],
            category_detail=None,
            method=list(Method)[number % 4],
            value=Money(Decimal(number * 10_000_000)) if number % 5 else None,
            deadline=READ + timedelta(days=number % 12, hours=1) if number % 7 else None,
            registration_deadline=READ + timedelta(days=2),
            retender=number % 9 == 0,
        )


@pytest.fixture(scope="module", params=["id", "en"])
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published tree in one language."""
    folder = tmp_path_factory.mktemp("site")
    text = CONFIG.replace("[publisher]", f'[publisher]\nlanguage = "{request.param}"\ncontact = "https://x.example/"')
    config = parse_config(text, folder / "warta.toml")
    repository = Repository(open_database(f"sqlite:///{folder}/warta.db"))
    tenders = list(sample_tenders())
    repository.save([Reading(tender=tender) for tender in tenders], READ)
    moved = [replace(tender, deadline=READ + timedelta(days=20)) for tender in tenders[1:30]]
    repository.save([Reading(tender=tender) for tender in moved], READ + timedelta(minutes=1))
    for minute, verdict in enumerate((Verdict.OK, Verdict.BLOCKED, Verdict.PARTIAL)):
        time = READ + timedelta(minutes=minute)
        run = Run(portal="malangkota", sweep=Sweep.OPEN, started=time, finished=time, verdict=verdict, errors=3)
        repository.save_run(run)
    publish(config, repository, READ + timedelta(minutes=5), sample=True)
    return config.public_folder


@pytest.fixture(scope="module")
def pages(tree: Path) -> dict[str, Page]:
    """But for those that stand in frames: tests/test_embed.py."""
    paths = (path for path in tree.rglob("*.html") if path.parent.name != "embed")
    return {path.relative_to(tree).as_posix(): Page(path.read_text()) for path in paths}


def test_there_are_pages_of_every_sort(pages: dict[str, Page]) -> None:
    assert {"index.html", "paket/2.html", "status.html", "feeds/index.html", "feeds/semua.html"} <= set(pages)


def test_pages_are_light(tree: Path) -> None:
    for path in tree.rglob("*.html"):
        assert path.stat().st_size <= 40_000, path
    assert len(STYLE) <= 25_000
    assert len(SCRIPT) <= 8_000


def test_pages_ask_for_nothing_from_outside(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        loaded = [*page.find("script", "src"), *page.find("img", "src"), *page.find("use", "href")]
        loaded += [a["href"] for tag, a in page.elements if tag == "link" and a["rel"] in {"stylesheet", "icon"}]
        assert not [address for address in loaded if ":" in address or address.startswith("//")], name
    assert not re.search(r"url\(|@import|@font-face", STYLE)
    assert not re.search(r"https?://|fetch\(|XMLHttpRequest|import\(|eval\(|document\.cookie|localStorage", SCRIPT)


def test_pages_keep_the_content_security_policy(pages: dict[str, Page]) -> None:
    """No inline style, script or handler: the policy that the server sends would drop them."""
    for name, page in pages.items():
        for tag, attributes in page.elements:
            assert tag != "style", name
            assert "style" not in attributes, name
            assert not [attribute for attribute in attributes if attribute.startswith("on")], name
            is_data = attributes.get("type") == "application/ld+json"  # a block that nothing runs
            assert tag != "script" or "src" in attributes or is_data, name


def test_links_within_the_tree_lead_somewhere(tree: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        addresses = [*page.find("a", "href"), *page.find("link", "href"), *page.find("script", "src")]
        for address in [*addresses, *page.find("img", "src")]:
            parts = urlsplit(address)
            if parts.scheme:
                assert parts.scheme in {"https", "webcal", "webcals"}, (name, address)
            elif parts.path:
                assert (tree / name).parent.joinpath(parts.path).resolve().is_file(), (name, address)


def test_what_assistive_technology_needs(pages: dict[str, Page]) -> None:
    titles = [re.search(r"<title>(.+?)</title>", page.html) for page in pages.values()]
    assert len({title[1] for title in titles if title}) == len(pages)
    for name, page in pages.items():
        tags = [tag for tag, _ in page.elements]
        headings = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
        assert headings.count(1) == 1, name
        assert all(below <= above + 1 for above, below in pairwise(headings)), name
        assert tags.count("main") == tags.count("footer") == 1, name
        assert page.find("html", "lang")[0] in {"id", "en"}
        assert page.find("a", "href")[0] == "#isi"
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids)), name
        assert all("alt" in attributes for tag, attributes in page.elements if tag == "img"), name
        labelled = set(page.find("label", "for"))
        assert all(a["id"] in labelled for tag, a in page.elements if tag == "input" and a.get("type") != "hidden"), (
            name
        )
        assert {use[1:] for use in page.find("use", "href")} <= set(ids), name


def test_feeds_are_discovered_on_every_page(pages: dict[str, Page]) -> None:
    kinds = ["application/rss+xml", "application/atom+xml", "application/feed+json"]
    for name, page in pages.items():
        alternates = [a for tag, a in page.elements if tag == "link" and a["rel"] == "alternate"]
        assert [a["type"] for a in alternates][:3] == kinds, name
    own = [a["href"] for tag, a in pages["feeds/pemenang.html"].elements if tag == "link" and a["rel"] == "alternate"]
    assert own[:3] == ["../feeds/pemenang.rss", "../feeds/pemenang.atom", "../feeds/pemenang.json"]


def test_the_front_page(pages: dict[str, Page]) -> None:
    page = pages["index.html"]
    assert page.find("li", "data-late") == ["2026-11-25T09:42:00+07:00"]
    assert all(re.search(r"[+-]\d\d:\d\d$", time) for time in page.find("time", "datetime") if "T" in time)
    address = "cari.html?kind=non_tender&kind=tender&{}&status=active&deadline_from=%2B0d"
    ways = {address.format("category=works"), address.format("method=open"), "feeds/index.html"}
    assert ways <= set(page.find("a", "href"))


def test_static_pages_tell_no_relative_time(pages: dict[str, Page]) -> None:
    words = re.compile(r"\b(hari ini|besok|kemarin|yang lalu|hari lagi|today|tomorrow|yesterday|ago)\b", re.I)
    for name, page in pages.items():
        assert not words.search(" ".join(page.texts)), name


def test_one_language_a_site(pages: dict[str, Page]) -> None:
    texts = " ".join(pages["feeds/index.html"].texts)
    assert ("Langganan" in texts) != ("Subscribe" in texts)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hostile_tenders())
def test_no_source_text_becomes_markup(tender: Tender) -> None:
    config = make_config()
    site, record = load_site(config, sample=False), make_record(tender)
    harmless = make_record(replace(TENDER, title="x", procuring_entity="x"))
    feed = shipped_feeds(config, ())[0]
    rendered = []
    for each in (record, harmless):
        entry = tender_entry(each, PORTAL, PUBLISHER)
        channel = make_channel(feed, config, [entry])
        listed = list_open([each], READ, WIB)
        rendered.append(Page(render_feed_page(site, channel, [entry], 1, [feed]).decode()))
        rendered.append(Page(render_list(site, listed, 1, [], [Card(feed, 1)], {}, NARROWING).decode()))
    for page, model in zip(rendered[:2], rendered[2:], strict=True):
        assert {tag for tag, _ in page.elements} <= {tag for tag, _ in model.elements} | {"span"}
        scripts = [tag for tag, _ in page.elements if tag == "script"]
        assert len(scripts) == 1
        assert all(urlsplit(a).scheme in {"", "https", "http", "webcal", "webcals"} for a in page.find("a", "href"))


def test_portals_are_told_worst_first() -> None:
    text = CONFIG + "".join(
        f'[[portal]]\nid = "{name}"\nfamily = "spse"\nname = "LPSE {name}"\nurl = "https://x.example/{name}"\n{more}\n'
        for name, more in (("batu", ""), ("kab", ""), ("jatim", ""), ("jauh", "enabled = false"))
    )
    config = parse_config(text, Path("warta.toml"))

    def ended(portal: str, verdict: Verdict) -> LastRuns:
        run = Run(portal=portal, sweep=Sweep.OPEN, started=READ, finished=READ, verdict=verdict, seen=1200)
        return LastRuns(last=run, good=run if verdict in {Verdict.OK, Verdict.PARTIAL} else None, full=None, tried=None)

    runs = {
        "malangkota": ended("malangkota", Verdict.OK),
        "batu": ended("batu", Verdict.FAILED),
        "kab": ended("kab", Verdict.PARTIAL),
    }
    states = tell_portals(config, runs)
    assert [state.portal.id for state in states] == ["jatim", "batu", "kab", "malangkota"]
    assert [state.is_bad for state in states] == [True, True, False, False]
    status = next(feed for feed in shipped_feeds(config, ()) if feed.kind == "status")
    page = " ".join(Page(render_status(load_site(config, sample=False), states, [], status, WEEK).decode()).texts)
    for words in ("2 dari 4 portal bermasalah", "Belum dibaca", "Dicoba lagi sekitar", "1.200 paket dicocokkan"):
        assert words in page
    listed = render_list(
        load_site(config, sample=False), list_open([], READ, WIB), 1, states, [], {}, NARROWING
    ).decode()
    assert "2 dari 4 portal bermasalah. Terakhir dibaca Selasa, 24 November 2026, 09.40" in listed


def test_the_status_page_says_what_licences_ask() -> None:
    text = (
        CONFIG
        + """
[[portal]]
id = "worldbank"
family = "worldbank"
name = "World Bank: Indonesia"
url = "https://search.example.org/api/v2"
"""
    )
    config = parse_config(text, Path("warta.toml"))
    run = Run(portal="worldbank", sweep=Sweep.OPEN, started=READ, finished=READ, verdict=Verdict.OK)
    states = tell_portals(config, {"worldbank": LastRuns(last=run, good=run, full=None, tried=None)})
    status = next(feed for feed in shipped_feeds(config, ()) if feed.kind == "status")
    site = load_site(config, sample=False)
    page = Page(render_status(site, states, [], status, WEEK).decode())
    assert "Sumber dan lisensi" in page.texts
    assert "https://creativecommons.org/licenses/by/4.0/" in page.find("a", "href")
    unread = render_status(site, [state for state in states if not state.read], [], status, WEEK).decode()
    assert "Sumber dan lisensi" not in unread


@pytest.mark.parametrize(
    ("status", "words"), [(404, "tidak ada"), (405, "dibaca"), (500, "terganggu"), (503, "terganggu")]
)
def test_errors(status: int, words: str) -> None:
    page = Page(render_error(load_site(make_config(), sample=False), status, "../").decode())
    assert words in " ".join(page.texts)
    assert str(status) not in " ".join(page.texts)


def test_cards_say_how_many_are_open() -> None:
    config = make_config(language="en")
    feeds = shipped_feeds(config, ["A"])
    page = render_catalogue(load_site(config, sample=False), [Card(feed, n) for n, feed in enumerate(feeds)]).decode()
    assert ">0 open<" in page
    assert ">1 open<" in page


# Colours -----------------------------------------------------------------------------------------------


def tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block))


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


LIGHT = tokens(STYLE.partition("@media (prefers-color-scheme: dark)")[0])
DARK = LIGHT | tokens(STYLE.partition("@media (prefers-color-scheme: dark)")[2].partition("\n}\n")[0])
GROUNDS = ("page", "panel", "sunk")
PAIRS = [
    *((ink, ground, 4.5) for ink in ("ink", "muted", "link", "visited", "old-ink", "new-ink") for ground in GROUNDS),
    *((f"{state}-ink", state, 4.5) for state in ("open", "soon", "now", "off")),
    *((ink, "panel", 4.5) for ink in ("soon-ink", "now-ink")),
    *((ink, "page", 4.5) for ink in ("soon-ink", "now-ink", "open-ink")),
    ("band-ink", "band", 4.5),
    ("band-muted", "band", 4.5),
    ("on-sun", "sun", 4.5),
    ("on-link", "link", 4.5),
    *(("edge", ground, 3) for ground in GROUNDS),
    *(("focus", ground, 3) for ground in GROUNDS),
    ("band-edge", "band", 3),
    ("sun", "band", 3),
]


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS)
def test_contrast(scheme: dict[str, str], ink: str, ground: str, least: float) -> None:
    assert contrast(scheme[ink], scheme[ground]) >= least
