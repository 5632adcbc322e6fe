"""The embeds as other sites get them: light, complete without scripts, harmless, and framable where pages are not."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings

from aggregator.models import Award, Event, Kind, Milestone, Money, Status, Tender
from feeds.app import make_app
from feeds.definitions import Channel, Feed, make_channel, shipped_feeds
from feeds.entries import Entry, release_entry, tender_entry
from feeds.pages.embed import FIRST_ROWS, MOST_ROWS, OEMBED_ROWS, render_embed, render_oembed
from feeds.pages.lists import render_feed_page
from feeds.pages.portals import render_status_json
from feeds.pages.site import ASSETS, SITE, Site, load_site, load_sites
from tests.feed_samples import (
    CONFIG,
    PORTAL,
    PUBLISHER,
    READ,
    TENDER,
    WIB,
    hostile_tenders,
    make_config,
    make_record,
    make_release,
)
from tests.test_app import REPOSITORY, ask, put

LOADER = SITE / "embed.js"
DAY = timedelta(days=1)


class Page(HTMLParser):
    """Start tags with their attributes, and the text outside of scripts."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def find_feed(feed_id: str, language: str = "id") -> Feed:
    return next(feed for feed in shipped_feeds(make_config(language), []) if feed.id == feed_id)


def make_entries(*tenders: Tender) -> list[Entry]:
    return [tender_entry(make_record(tender), PORTAL, PUBLISHER) for tender in tenders]


def make_page(entries: list[Entry], feed_id: str = "semua", count: int | None = 3, site: Site | None = None) -> Page:
    site = site or load_site(CONFIG, sample=False)
    return Page(render_embed(site, channel_of(feed_id, entries), entries, count))


def channel_of(feed_id: str, entries: list[Entry]) -> Channel:
    return make_channel(find_feed(feed_id), CONFIG, entries)


def test_the_loader_is_small_and_depends_on_nothing() -> None:
    script = LOADER.read_text(encoding="utf-8")
    assert LOADER.stat().st_size <= 6 * 1024
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\bimport\b|window\.\w+ =", script
    )
    assert script.splitlines()[1] == "(() => {", "no name of ours becomes a global one"
    assert set(re.findall(r"https?://[^\s\"'`]+", script)) == set()


def test_both_ways_wear_the_same_style() -> None:
    style = (SITE / "embed.css").read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style
    for name in ("embed.js", "embed-page.js", "embed.css"):
        assert name in ASSETS


def test_a_row_tells_what_who_how_much_and_until_when() -> None:
    page = make_page(make_entries(TENDER))
    assert {"href": "../tenders/malangkota/tender/10099412000.html", "target": "_top"} in page.find("a")
    assert "Rehabilitasi Saluran Drainase Jalan Soekarno-Hatta" in page.text
    assert "HPS Rp5,9\u00a0miliar · DPUPRPKP" in page.text
    assert page.find("time") == [{"datetime": "2026-12-03T14:00:00+07:00", "data-until": None, "data-closes": None}]
    assert "3 Des 2026, 14.00\u00a0WIB" in page.text


def test_no_value_and_no_unit_are_left_out() -> None:
    page = make_page(make_entries(replace(TENDER, value=None, budget=None)))
    assert "HPS" not in page.text
    page = make_page(make_entries(replace(TENDER, value=None, procuring_entity=None)))
    assert "Pagu Rp6\u00a0miliar · Kota Malang" in page.text


def test_what_closes_soonest_stands_first_and_what_is_closed_last() -> None:
    closed = replace(TENDER, key="1", title="Lewat", deadline=READ - DAY)
    undated = replace(TENDER, key="2", title="Tanpa tanggal", deadline=None)
    late = replace(TENDER, key="3", title="Nanti", deadline=READ + 9 * DAY)
    soon = replace(TENDER, key="4", title="Segera", deadline=READ + DAY)
    text = make_page(make_entries(closed, undated, late, soon)).text
    assert sorted(("Segera", "Nanti", "Tanpa tanggal", "Lewat"), key=text.index) == [
        "Segera",
        "Nanti",
        "Tanpa tanggal",
        "Lewat",
    ]


def test_changes_keep_their_order_and_show_no_deadline() -> None:
    release = release_entry(make_release(Event.NEW), make_record(), PORTAL, PUBLISHER)
    page = make_page([release], "perubahan", None)
    assert page.find("time") == [{"datetime": "2026-11-24T09:40:00+07:00"}], "nothing of it closes"
    assert [attrs["href"] for attrs in page.find("a")][-2:] == ["../feeds/perubahan.html"] * 2


def test_a_tender_that_is_over_has_no_countdown() -> None:
    (time,) = make_page(make_entries(replace(TENDER, status=Status.COMPLETE))).find("time")
    assert "data-closes" not in time
    assert "data-until" in time


def test_news_of_a_winner_tells_who_for_how_much_and_how_far_below() -> None:
    price = Money(Decimal("5321070000.00"))
    tender = replace(TENDER, awards=(Award(supplier="CV Karya <b>Jaya</b>", amount=price),))
    release = release_entry(make_release(Event.AWARD), make_record(tender), PORTAL, PUBLISHER)
    (row,) = make_page([release], "pemenang", None).text.split("Kapan portal")[0].strip().splitlines()[-1:]
    assert "Pemenang ditetapkan: Rehabilitasi Saluran" in row
    assert "CV Karya ‹b›Jaya‹/b›, Rp5.321.070.000,00: Rp591.230.000,00 (10,0%) di bawah HPS." in row


PLAN = replace(TENDER, kind=Kind.PLAN, deadline=None, registration_deadline=None, value=None, status=Status.PLANNED)
STARTS = Milestone(title="Pemilihan Penyedia", starts=datetime(2026, 11, 1, tzinfo=WIB), ends=None)


@pytest.mark.parametrize(
    ("tender", "feed", "told"),
    [
        (replace(PLAN, milestones=(STARTS,)), "rup", "Pagu Rp6\u00a0miliar · DPUPRPKP · pemilihan mulai November 2026"),
        (replace(PLAN, kind=Kind.NEWS, budget=None, published=READ), "berita", "DPUPRPKP · 24 Nov 2026"),
        (
            replace(PLAN, kind=Kind.RECORDED, published=READ),
            "semua",
            "Nilai Rp6\u00a0miliar · DPUPRPKP · dicatat 24 Nov 2026",
        ),
        (replace(TENDER, deadline=None), "semua", "HPS Rp5,9\u00a0miliar · DPUPRPKP · jadwal belum diumumkan"),
    ],
    ids=["plan", "news", "recorded", "no-dates"],
)
def test_what_has_no_deadline_tells_what_there_is_instead(tender: Tender, feed: str, told: str) -> None:
    config = CONFIG.model_copy(update={"portal": [PORTAL]})
    kinds = {Kind.PLAN, Kind.NEWS}
    shown = next(each for each in shipped_feeds(config, [], kinds) if each.id == feed)
    entries = make_entries(tender)
    page = Page(render_embed(load_site(CONFIG, sample=False), make_channel(shown, CONFIG, entries), entries, None))
    assert told in page.text
    assert page.find("time") == []


def test_many_rows_are_there_and_few_are_shown() -> None:
    page = make_page(make_entries(*(replace(TENDER, key=str(number)) for number in range(30))))
    rows = page.find("li")
    assert len(rows) == MOST_ROWS
    assert [row for row in rows if "hidden" in row] == rows[FIRST_ROWS:]


def test_the_page_is_for_frames_and_not_for_search_engines() -> None:
    page = make_page(make_entries(TENDER))
    assert {"name": "robots", "content": "noindex"} in page.find("meta")
    assert {"rel": "canonical", "href": f"{PUBLISHER.url}feeds/semua.html"} in page.find("link")
    assert all(attrs["target"] == "_top" for attrs in page.find("a"))
    assert not page.find("h1")
    assert "Semua paket" in page.text, "all three of them stand there"
    assert {"data-count": "3"} in page.find("span")
    all_of_it = next(attrs["href"] for attrs in page.find("a") if "cari.html" in (attrs["href"] or ""))
    assert all_of_it == f"../{find_feed('semua').list_path}"


def test_how_many_there_are_is_told_where_not_all_are_shown() -> None:
    assert "Semua 1.035 paket" in make_page(make_entries(TENDER), count=1035).text


def test_an_empty_feed_says_so() -> None:
    page = make_page([], count=0)
    assert "Belum ada isi." in page.text
    assert not page.find("ol")


def test_made_up_data_is_marked() -> None:
    assert "Data contoh" in make_page([], site=load_site(CONFIG, sample=True)).text


def test_the_english_edition_has_its_own() -> None:
    english = CONFIG.model_copy(update={"publish": CONFIG.publish.model_copy(update={"english": True})})
    site = load_sites(english, sample=False)[1]
    page = make_page(make_entries(TENDER), site=site)
    assert "Subscribe" in page.text
    assert {"rel": "canonical", "href": f"{PUBLISHER.url}en/feeds/semua.html"} in page.find("link")
    assert {"src": "../../embed-page.js", "defer": None} in page.find("script")


@given(hostile_tenders())
@settings(max_examples=40)
def test_nothing_a_source_says_becomes_markup(tender: Tender) -> None:
    entries = make_entries(tender)
    html = render_embed(load_site(CONFIG, sample=False), channel_of("semua", entries), entries, 1)
    page = Page(html)
    assert [attrs["src"] for attrs in page.find("script")] == ["../embed-page.js", "../site.js"]
    assert not page.find("img")
    assert all(not name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert all(re.match(r"\.\./|https?://", attrs["href"] or "") for attrs in page.find("a"))


def test_the_oembed_answer_holds_what_wordpress_keeps() -> None:
    site, feed = load_site(CONFIG, sample=False), find_feed("semua")
    answer = json.loads(render_oembed(site, replace(feed, title='Jalan "A" <b>')))
    assert (answer["type"], answer["version"]) == ("rich", "1.0")
    assert answer["title"] == 'Jalan "A" <b>'
    assert answer["provider_url"] == PUBLISHER.url
    assert isinstance(answer["width"], int)
    assert isinstance(answer["height"], int)
    page = Page(answer["html"].encode())
    assert {tag for tag, _ in page.tags} == {"blockquote", "a", "iframe"}
    (frame,) = page.find("iframe")
    assert frame["src"] == f"{PUBLISHER.url}embed/semua.html?items={OEMBED_ROWS}"
    assert (frame["title"] or "").startswith('Jalan "A" <b> – ')


def test_the_page_of_a_feed_leads_to_its_embeds() -> None:
    channel = channel_of("jenis-konstruksi", [])
    html = render_feed_page(load_site(CONFIG, sample=False), channel, [], 3, [])
    page = Page(html)
    oembed = [attrs["href"] for attrs in page.find("link") if attrs.get("type") == "application/json+oembed"]
    assert oembed == [f"{PUBLISHER.url}embed/jenis-konstruksi.json"]
    codes = {attrs.get("id"): attrs.get("value") or "" for attrs in page.find("input")}
    assert codes["alamat-halaman"] == f"{PUBLISHER.url}feeds/jenis-konstruksi.html"
    script = Page(codes["kode-skrip"].encode())
    assert script.find("script")[0]["src"] == f"{PUBLISHER.url}embed.js"
    assert script.find("a")[0]["href"] == f"{PUBLISHER.url}feeds/jenis-konstruksi.html"
    assert codes["kode-plugin"] == '[warta feed="jenis-konstruksi" items="8"]'
    assert Page(codes["kode-bingkai"].encode()).find("iframe")[0]["title"] == unescape(channel.feed.title)


def test_status_json_tells_where_all_of_a_feed_stands() -> None:
    channels = [(channel_of("jenis-konstruksi", []), 3), (channel_of("perubahan", []), None)]
    told = json.loads(render_status_json([], channels, {}, sample=True))
    assert told["sample"] is True
    assert [feed["list"] for feed in told["feeds"]] == [
        PUBLISHER.url + find_feed("jenis-konstruksi").list_path,
        f"{PUBLISHER.url}feeds/perubahan.html",
    ]


@pytest.mark.parametrize("path", ["embed/semua.html", "en/embed/semua.html"])
def test_embeds_may_stand_in_frames_anywhere(tmp_path: Path, path: str) -> None:
    put(tmp_path, path)
    policy = ask(make_app(CONFIG, REPOSITORY, tmp_path), f"/{path}").headers["content-security-policy"]
    assert "frame-ancestors *" in policy
    assert "connect-src 'self'" in policy


def test_other_pages_may_not(tmp_path: Path) -> None:
    put(tmp_path, "feeds/embed.html")
    answer = ask(make_app(CONFIG, REPOSITORY, tmp_path), "/feeds/embed.html")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["feeds/semua.json", "status.json"])
def test_what_the_loader_asks_for_may_be_read_from_other_sites(tmp_path: Path, path: str) -> None:
    put(tmp_path, path)
    assert ask(make_app(CONFIG, REPOSITORY, tmp_path), f"/{path}").headers["access-control-allow-origin"] == "*"


def test_the_oembed_answer_is_json(tmp_path: Path) -> None:
    put(tmp_path, "embed/semua.json")
    answer = ask(make_app(CONFIG, REPOSITORY, tmp_path), "/embed/semua.json?maxwidth=600&format=json")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
