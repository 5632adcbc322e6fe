"""The page of any search, over the server: the same list as the feed and the export, and all that stands around it."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.types import ASGIApp

from aggregator.config import Config
from aggregator.filters import Filter, Moment, Sort
from aggregator.models import Kind, Status
from aggregator.repository import Repository
from feeds.addresses import tender_path
from feeds.contents import Contents
from feeds.definitions import BIDDABLE, OPEN
from feeds.pages.listing import PAGE_ROWS
from feeds.pages.narrowing import tell_search
from feeds.publish import publish
from feeds.query import parse_query, render_query
from feeds.words.wording import Wording
from tests.feed_samples import WIB, hostile_texts
from tests.searched import Clock, filters, open_search
from tests.test_app import ask
from tests.test_site import Page

CLOCK = Clock()
Served = tuple[Starlette, Repository, Config]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return open_search(tmp_path_factory.mktemp("search"), CLOCK)


@pytest.fixture(scope="module")
def app(served: Served) -> ASGIApp:
    return served[0]


@pytest.fixture(scope="module")
def published(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("public")
    publish(served[2], served[1], CLOCK.now, folder)
    return folder


def read(app: ASGIApp, address: str) -> Page:
    answer = ask(app, address)
    assert answer.status == 200, answer.body
    assert len(answer.body) <= 40_000
    return Page(answer.body.decode())


def list_rows(page: Page) -> list[str]:
    return [href for href in page.find("a", "href") if href.startswith("tenders/")]


def find_link(page: Page, label: str) -> str:
    """The address of the link that says ``label``, beside the one to changes."""
    html = re.sub(r'<p class="also">.*?</p>', "", page.html, flags=re.S)
    (href,) = {
        unescape(href)
        for href, text in re.findall(r'<a [^>]*?href="([^"]*)"[^>]*>(.*?)</a>', html, re.S)
        if re.sub(r"<[^>]+>", "", re.sub(r'<span class="(?:unseen|digits)">.*?</span>', "", text)).strip(" ×\n")
        == label
    }
    return href


def count_of(page: Page, label: str) -> int:
    (text,) = re.findall(
        rf'<span>{re.escape(label)}(?:<span class="unseen">[^<]*</span>)?</span><span class="digits">(\d+)', page.html
    )
    return int(text)


@settings(max_examples=40)
@given(filters)
def test_the_list_is_what_the_export_finds(served: Served, wanted: Filter) -> None:
    app, repository, config = served
    found = repository.find(wanted, CLOCK.now, ZoneInfo(config.publisher.timezone), apart=len(wanted.portal) == 1)
    expected = [tender_path(*record.tender.identity) for record in found]
    shown: list[str] = []
    address: str | None = f"/cari.html?{render_query(wanted)}"
    while address:
        page = read(app, address)
        shown += list_rows(page)
        following = [unescape(href) for href in re.findall(r'rel="next nofollow" href="([^"]*)"', page.html)]
        address = f"/{following[0]}" if following else None
    assert shown == expected
    assert f"<b>{len(expected)} paket</b>" in page.html


@settings(max_examples=25)
@given(filters.filter(lambda wanted: wanted.limit is None and len(wanted.portal) != 1))
def test_every_way_to_narrow_finds_as_many_as_it_says(served: Served, wanted: Filter) -> None:
    _, repository, config = served
    contents = Contents(config, repository, CLOCK.now, by_portal=True)
    for facet in contents.find_narrowing(wanted).facets:
        for choice in facet.choices:
            asked, _ = parse_query(choice.query)
            if not choice.chosen and (facet.is_one or not getattr(wanted, facet.key)):
                assert contents.count_tenders(asked) == choice.count, (facet.key, choice)


def test_three_clicks_from_the_front_page_to_a_feed(app: ASGIApp, published: Path) -> None:
    front = Page((published / "index.html").read_text())
    first = find_link(front, "Rp500\u00a0juta ke atas")
    page = read(app, f"/{first}")
    assert len(list_rows(page)) == count_of(front, "Rp500\u00a0juta ke atas")
    page = read(app, f"/{find_link(page, 'DPUPRPKP')}")
    wanted = parse_query(urlsplit(find_link(page, "RSS")).query)[0]
    assert (
        wanted
        == parse_query(
            "kind=tender&kind=non_tender&status=active&procuring_entity=DPUPRPKP&deadline_from=%2B0d&min_value=5e8".replace(
                "5e8", "500000000"
            )
        )[0]
    )
    feed = ask(app, f"/{find_link(page, 'RSS')}")
    assert feed.status == 200
    assert feed.body.count(b"<item>") == len(list_rows(page)) > 0
    assert "<title>Rp500\u00a0juta ke atas, DPUPRPKP – Warta Pengadaan Kota Malang</title>" in feed.body.decode()


def test_the_search_form_of_the_front_page_asks_for_what_is_open(app: ASGIApp, published: Path) -> None:
    for edition in ("", "en/"):
        front = Page((published / edition / "index.html").read_text())
        fields = [a for tag, a in front.elements if tag == "input" and "name" in a][:5]
        query = "&".join(f"{field['name']}={field['value'] or 'jalan'}" for field in fields)
        assert parse_query(query)[0] == parse_query(render_query(replace(BIDDABLE, q="jalan")))[0]
        assert list_rows(read(app, f"/{edition}cari.html?{query}"))


def test_chosen_ways_can_be_taken_back(app: ASGIApp) -> None:
    query = "q=jalan&category=works&status=complete&min_value=200000000&deadline_from=%2B0d&deadline_to=%2B7d"
    page = read(app, f"/cari.html?{query}")
    pills = ["Rp200\u00a0juta ke atas", "Pekerjaan Konstruksi", "Selesai", "ditutup dalam 7\u00a0hari"]
    assert re.findall(r'class="pill".*?</span>(.*?) <span', page.html) == pills
    without = parse_qs(urlsplit(re.findall(r'class="pill" href="([^"]*)"', page.html)[1]).query.replace("&amp;", "&"))
    assert without.keys() == parse_qs(query).keys() - {"category"}
    assert find_link(page, "Hapus semua") == f"cari.html?{render_query(replace(BIDDABLE, q='jalan'))}"
    assert page.html.count('aria-current="true"') == 4
    assert page.html.count("(aktif, pilih untuk menghapus)") == 4


def test_orders_are_links(app: ASGIApp) -> None:
    page = read(app, f"/cari.html?{render_query(OPEN)}")
    soon = parse_query(urlsplit(find_link(page, "Segera ditutup")).query)[0]
    assert soon.sort is Sort.DEADLINE
    page = read(app, f"/cari.html?{render_query(soon)}")
    assert find_link(page, "Terbaru") == f"cari.html?{render_query(OPEN)}"


def list_statuses(page: Page) -> dict[str, tuple[str, int]]:
    """The choices of the status facet, each with the query that it leads to and its count."""
    facet = page.html[page.html.index('data-facet="status"') :]
    links = re.findall(
        r'href="cari.html\?([^"]*)"[^>]*><span>(.*?)<.*?class="digits">(\d+)', facet[: facet.index("</ul>")], re.S
    )
    return {label.strip(): (unescape(query), int(number)) for query, label, number in links}


def test_open_and_under_way_are_told_apart(app: ASGIApp, published: Path) -> None:
    front = Page((published / "index.html").read_text())
    (_, opened), (query, closed) = (list_statuses(front)[name] for name in ("Terbuka", "Dalam proses"))
    assert f"<b>{opened} paket</b>" in front.html
    assert f"{closed} lagi dalam proses" in front.html
    cards = Page((published / "feeds/index.html").read_text())
    assert f'Semua paket terbuka</a><span class="digits">{opened} terbuka</span>' in cards.html
    assert len(list_rows(read(app, f"/cari.html?{render_query(BIDDABLE)}"))) == opened > 0
    page = read(app, f"/cari.html?{query}")
    assert len(list_rows(page)) == closed > 0
    assert 'data-facet="deadline"' not in page.html
    assert list_statuses(page)["Terbuka"] == (render_query(BIDDABLE), opened)
    assert list_statuses(page)["Dalam proses"] == ("", closed)  # chosen: it leads to what has any status


def test_days_to_come_stay_among_what_is_open(app: ASGIApp) -> None:
    page = read(app, f"/cari.html?{render_query(replace(BIDDABLE, deadline_to=Moment('+7d')))}")
    assert find_link(page, "7\u00a0hari ke depan") == f"cari.html?{render_query(BIDDABLE)}"
    assert find_link(page, "ditutup dalam 7\u00a0hari") == f"cari.html?{render_query(BIDDABLE)}"
    assert list_statuses(page)["Selesai"][0] == render_query(replace(OPEN, status=(Status.COMPLETE,)))


def test_other_kinds_keep_their_own_statuses(app: ASGIApp) -> None:
    page = read(app, "/cari.html?kind=recorded")
    statuses = list_statuses(page)
    assert "Sedang berjalan" in statuses
    assert not {"Terbuka", "Dalam proses"} & statuses.keys()
    assert all(parse_query(query)[0].kind == (Kind.RECORDED,) for query, _ in statuses.values())
    query, number = statuses["Sedang berjalan"]
    going_on = read(app, f"/cari.html?{query}")
    assert "Pencatatan, Sedang berjalan" in going_on.html
    assert len(list_rows(going_on)) == number > 0


def test_changes_can_be_followed(app: ASGIApp) -> None:
    page = read(app, "/cari.html?q=jalan&entries=changes")
    assert "Ikuti perubahannya" in page.html
    assert page.find("a", "href").count("feeds/search.rss?q=jalan&entries=changes") == 1
    assert find_link(page, "Segera ditutup") == "cari.html?q=jalan&sort=deadline"
    one = read(app, "/cari.html?portal=malangkota&kind=tender&key=1000")
    assert "Ikuti perubahan paket ini" in one.html
    asked = "portal=malangkota&kind=tender&key=1000"
    assert find_link(one, "RSS") == f"feeds/search.rss?{asked}&entries=changes"
    assert find_link(one, "Kalender") == f"feeds/search.ics?{asked}"
    assert "<span>1 paket" in one.html
    english = read(app, f"/en/cari.html?{asked}")
    assert "<b>1 package</b>" in english.html
    assert '<details class="facets" open>' in one.html


def test_pages_of_a_list(app: ASGIApp) -> None:
    first, second = read(app, "/cari.html"), read(app, "/cari.html?page=2")
    assert len(list_rows(first)) == PAGE_ROWS
    assert not set(list_rows(first)) & set(list_rows(second))
    assert f"1–{PAGE_ROWS} dari 48 paket" in first.html
    assert list_rows(read(app, "/cari.html?page=100")) == list_rows(second)  # the last one there is
    assert 'rel="prev nofollow" href="cari.html?"' in second.html


def test_the_page_names_its_feeds_and_its_twin_and_asks_not_to_be_listed(app: ASGIApp) -> None:
    query = "q=jalan&sort=value"
    page, english = read(app, f"/cari.html?{query}"), read(app, f"/en/cari.html?{query}")
    assert '<meta name="robots" content="noindex">' in page.html
    found = [a["href"] for tag, a in page.elements if tag == "link" and "title" in a]
    assert found == [f"feeds/search.{form}?q=jalan" for form in ("rss", "atom", "json")]
    assert [a["href"] for tag, a in english.elements if tag == "link" and "title" in a] == [
        f"../{one}" for one in found
    ]
    assert 'href="en/cari.html?q=jalan&amp;sort=value"' in page.html
    assert 'href="../cari.html?q=jalan&amp;sort=value"' in english.html
    assert "Highest value" in english.html
    assert "style=" not in page.html
    assert "<title>jalan, semua status – Warta Pengadaan Kota Malang</title>" in page.html


def test_rows_of_any_status(app: ASGIApp) -> None:
    page = read(app, "/cari.html?status=cancelled&status=complete&status=withdrawn&kind=tender&kind=recorded&kind=plan")
    for told in ("Dibatalkan", "Selesai", "Tidak tampil di portal", "Pencatatan · ", "RUP · "):
        assert told in page.html
    assert "data-closes" not in page.html
    assert "data-closes" in read(app, "/cari.html?status=active").html


def test_nothing_found_shows_two_ways_on(app: ASGIApp) -> None:
    page = read(app, f"/cari.html?{render_query(replace(OPEN, q='jalan nihil'))}")
    assert "Belum ada paket yang cocok" in page.html
    ways = re.findall(r'<li><a href="cari.html\?([^"]*)" rel="nofollow">[^<]*</a> \((\d+) paket\)', page.html)
    assert len(ways) == 2
    for query, number in ways:
        assert f"<b>{number} paket</b>" in read(app, f"/cari.html?{unescape(query)}").html
    assert "feeds/search.rss?q=jalan%20nihil" in page.html


@settings(max_examples=40)
@given(
    hostile_texts.map(lambda text: text.encode("utf-8", "replace").decode()),
    st.sampled_from(["q", "location", "procuring_entity", "key"]),
)
def test_hostile_words_stay_words(app: ASGIApp, text: str, key: str) -> None:
    answer = ask(app, f"/cari.html?{render_query(Filter())}&{key}=" + "".join(f"%{byte:02x}" for byte in text.encode()))
    assert answer.status in {200, 400}
    page = Page(answer.body.decode())
    assert [a.get("src") for tag, a in page.elements if tag == "script"] == ["site.js"]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "Semua paket terbuka atau dalam proses"),
        ("deadline_from=%2B0d", "Semua paket terbuka"),
        ("deadline_to=%2B0d&q=jalan", "jalan, Dalam proses"),
        (
            "min_value=1250000000&max_value=2500000000",
            "Rp1.250.000.000,00–Rp2,5\u00a0miliar, terbuka atau dalam proses",
        ),
        ("max_value=300000000&category=goods&deadline_from=+0d", "sampai Rp300\u00a0juta, Pengadaan Barang"),
        ("method=open&location=Klojen&deadline_from=+0d", "Metode Terbuka, lokasi “klojen”"),
        ("portal=malangkota&key=77&year=2026&deadline_from=+0d", "kode 77, LPSE Kota Malang, tahun anggaran 2026"),
        (
            "deadline_from=2026-12-03&deadline_to=2026-12-10T14:00",
            "ditutup mulai 3 Des 2026, ditutup sampai 10 Des 2026, 14.00\u00a0WIB",
        ),
        ("deadline_from=%2B0d&deadline_to=%2B1d&retender=true", "ditutup dalam 24\u00a0jam, tender ulang"),
        (
            "published_from=-30d&changed_since=%2B0d&limit=5&deadline_from=+0d",
            "tayang mulai 30\u00a0hari lalu, berubah sejak sekarang, paling banyak 5 paket",
        ),
        ("published_to=0001-01-01T00:00%2B09:00&deadline_from=+0d", "tayang sampai 0001-01-01T00:00:00+09:00"),
    ],
)
def test_a_search_in_words(served: Served, query: str, told: str) -> None:
    _, repository, config = served
    wanted = replace(parse_query(query)[0], status=OPEN.status, kind=OPEN.kind)
    names = Contents(config, repository, CLOCK.now).find_names(wanted)
    assert tell_search(wanted, names, Wording("id", WIB)) == told


def test_very_many_are_not_counted_to_the_end(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pages.narrowing", "contents", "serving.searching"):
        monkeypatch.setattr(f"feeds.{module}.MOST_COUNTED", 20)
    page = read(app, "/cari.html?limit=40")
    assert "<b>lebih dari 20 paket</b>" in page.html
    assert re.search(r"<span>Pekerjaan Konstruksi</span></a>", page.html)  # a way to narrow, uncounted
