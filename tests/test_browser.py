"""The site in a real browser: every page for every reader, and the ways people go through it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import feedparser  # type: ignore[import-untyped]
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from aggregator.filters import Filter
from aggregator.models import Status
from feeds.query import parse_query
from feeds.words.text import plain
from tests.browser import (
    NARROW,
    NARROWEST,
    ROADS,
    WIDE,
    Reader,
    Town,
    find_violations,
    host,
    open_browser,
    open_town,
    watched,
)
from tests.feed_samples import WIB

# A page of each sort, with words that stand on it whether scripts run or not.
PAGES = {
    "index.html": "Pemeliharaan Berkala Jalan Danau Toba",
    "paket/2.html": "Sebelumnya",
    "cari.html?q=jalan": "Pemeliharaan Berkala Jalan Danau Toba",
    "cari.html?q=tidakadakatainiya": "Belum ada paket yang cocok",
    "tenders/malangkota/tender/10000.html": "Pemeliharaan Berkala Jalan Danau Toba Tahap 1",
    "tenders/malangkota/non_tender/10099.html": "CV Karya Jaya",
    "tenders/malangkota/tender/10098.html": "Anggaran dialihkan",
    "feeds/index.html": "OPML",
    "feeds/semua.html": "Buka RSS",
    "feeds/perubahan.html": "Buka RSS",
    "pekan-ini.html": "CV Karya Jaya",
    "statistik.html": "Dinas Kesehatan",
    "status.html": "LPSE Kota Malang",
    "kunjungan.html": "Kunjungan",
    "data/index.html": "Kamus data",
    "embed/semua.html": "Pemeliharaan Berkala Jalan Danau Toba",
}
SEARCHES = [
    "",
    "q=jalan&status=active&kind=tender&kind=non_tender",
    "q=jalan%20-lingkungan&category=works&sort=value",
    "q=%22danau%20toba%22%20OR%20obat",
    "min_value=500000000&max_value=900000000&procuring_entity=Dinas%20Kesehatan",
    "status=complete&status=cancelled&sort=deadline",
    "deadline_from=%2B0d&deadline_to=%2B7d&sort=deadline",
    "q=jalan&page=2",
]


ICON = '<link rel="icon" href="data:,">'


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def reader(browser: Browser, town: Town) -> Iterator[Reader]:
    """Fails a test in which the browser complains, or asks anybody but the town's two hosts."""
    with watched(browser, town.site, town.files) as reader:
        yield reader


def list_titles(page: Page) -> list[str]:
    """The packages on a page with rows, from top to bottom."""
    return page.locator(".rows .row h3").all_inner_texts()


def measure_overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


# Every page ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(name: str, town: Town, reader: Reader) -> None:
    page = reader.open(town.site + name)
    assert page.locator("html").get_attribute("lang") == "id"
    assert page.locator("h1").count() == (0 if name.startswith("embed/") else 1)
    assert find_violations(page) == []
    assert measure_overflow(page) <= 0
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROW)
    assert find_violations(page) == []
    page.set_viewport_size(NARROWEST)
    assert measure_overflow(page) <= 0


def test_a_word_as_long_as_a_line_does_not_push_the_page_aside(town: Town, reader: Reader) -> None:
    places = (
        "main h1, main h3, main h3 a, .row .who, .row .how, main dd, main .facets a > span:first-child, .units th a"
    )
    for name in PAGES:
        page = reader.open(town.site + name, viewport=NARROWEST)
        page.locator("body").evaluate(
            """(body, places) => {
                for (const each of body.ownerDocument.querySelectorAll(places))
                    if (!each.children.length) each.textContent = "W".repeat(200);
            }""",
            places,
        )
        assert measure_overflow(page) <= 0, name


@pytest.mark.parametrize("name", ["feeds/index.html", "statistik.html", "data/index.html"])
def test_no_two_cells_of_a_table_run_together(name: str, town: Town, reader: Reader) -> None:
    page = reader.open(town.site + name)
    gaps = page.evaluate(
        """() => [...document.querySelectorAll("main tr")].flatMap((row) => {
            const places = [...row.cells].map((cell) => {
                const range = document.createRange();
                range.selectNodeContents(cell);
                return range.getBoundingClientRect();
            }).filter((place) => place.width > 1);
            return places.slice(1).map((place, before) => place.left - places[before].right);
        })"""
    )
    assert min(gaps) >= 8
    heads = page.locator("main thead th:visible").all()
    assert all((box := head.bounding_box()) and box["height"] < 80 for head in heads)


def test_each_file_of_a_year_is_in_sight_on_a_phone(town: Town, reader: Reader) -> None:
    page = reader.open(f"{town.site}data/index.html", viewport=NARROWEST)
    files = page.locator(".files .links > span").all()
    assert len(files) >= 4
    for file in files:
        link, size = file.locator("a").bounding_box(), file.locator("small").bounding_box()
        assert link
        assert size
        assert link["x"] + link["width"] + 3 <= size["x"]
        assert size["x"] + size["width"] <= NARROWEST["width"]


@pytest.mark.parametrize("name", PAGES)
def test_its_english_twin_too(name: str, town: Town, reader: Reader) -> None:
    page = reader.open(f"{town.site}en/{name}", viewport=NARROWEST, color_scheme="dark")
    assert page.locator("html").get_attribute("lang") == "en"
    assert measure_overflow(page) <= 0
    assert find_violations(page) == []


def test_every_page_says_what_it_has_without_scripts(town: Town, reader: Reader) -> None:
    reader.watch.forgiven.add(" csp")  # as Chromium calls modules that scripts turned off do not load
    page = reader.open(town.site, java_script_enabled=False)
    for name, words in PAGES.items():
        page.goto(town.site + name)
        expect(page.locator("body")).to_contain_text(words)
    page.goto(town.files + "cari.html?q=jalan")
    assert page.locator("[data-without] a").first.is_visible()


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("tidak-ada.html", 404, "Halaman ini tidak ada"),
        ("en/tidak-ada.html", 404, "No such page"),
        ("cari.html?min_value=banyak", 400, "min_value"),
        ("cari.html?deadline_to=besok&q=jalan", 400, "deadline_to"),
    ],
)
def test_a_page_that_is_not_there_says_so_in_the_look_of_the_site(
    name: str, status: int, words: str, town: Town, reader: Reader
) -> None:
    reader.watch.forgiven.add(f"status of {status}")
    page = reader.open(town.site + name, viewport=NARROW)
    expect(page.locator("body")).to_contain_text(words)
    assert page.locator("h1").count() == 1
    assert find_violations(page) == []


# Ways through the site ----------------------------------------------------------------------------------


def test_a_vendor_follows_exactly_their_slice_in_three_clicks(town: Town, reader: Reader) -> None:
    """Road works above 500 million at the Dinas PU: typed, then value, work unit, feed."""
    page = reader.open(town.site)
    page.get_by_role("searchbox").fill("jalan")
    page.get_by_role("searchbox").press("Enter")
    page.locator('[data-facet="value"] a', has_text="500\xa0juta").first.click()
    page.locator('[data-facet="procuring_entity"] a', has_text=ROADS).click()
    follow = page.locator(".formats").get_by_role("link", name="RSS")
    expect(follow).to_be_visible()  # nothing to unfold before
    address = follow.get_attribute("href") or ""
    feed = feedparser.parse(
        page.request.get(page.evaluate("address => new URL(address, location).href", address)).body()
    )
    shown = list_titles(page)
    assert sorted(entry.title for entry in feed.entries) == sorted(shown)
    wanted, _ = parse_query(urlsplit(page.url).query)
    found = town.repository.find(wanted, datetime.now(UTC), WIB)
    assert sorted(record.tender.title for record in found) == sorted(shown)
    assert len(shown) > 3
    for record in town.repository.find(Filter(limit=200), datetime.now(UTC), WIB):
        is_theirs = (
            record.tender.title.startswith("Pemeliharaan Berkala Jalan")
            and record.tender.procuring_entity == ROADS
            and record.tender.status is Status.ACTIVE
            and record.tender.value is not None
            and record.tender.value.amount >= Decimal(500_000_000)
        )
        assert (record.tender.title in shown) == is_theirs
    assert urlsplit(feed.feed.link).query == urlsplit(page.url).query


def test_narrowing_can_be_taken_back(town: Town, reader: Reader) -> None:
    page = reader.open(town.site + "cari.html?q=jalan")
    before, address = list_titles(page), page.url
    page.locator('[data-facet="category"] a').first.click()
    narrowed = list_titles(page)
    assert narrowed != before
    page.go_back()
    assert (list_titles(page), page.url) == (before, address)
    page.go_forward()
    assert list_titles(page) == narrowed
    page.locator(".pills .pill").first.click()
    assert page.locator('[data-facet="category"] [aria-current]').count() == 0


def test_sorting_and_paging_show_every_package_once(town: Town, reader: Reader) -> None:
    page = reader.open(town.site + "cari.html")
    page.locator(".sorts a", has_text="Nilai terbesar").click()
    seen = list_titles(page)
    while (following := page.locator('.pages a[rel~="next"]')).count():
        following.click()
        seen += list_titles(page)
    wanted, _ = parse_query(urlsplit(page.url).query.split("&page")[0])
    found = [plain(record.tender.title) for record in town.repository.find(wanted, datetime.now(UTC), WIB)]
    assert (seen, len(set(seen))) == (found, 46)


def test_a_row_leads_to_its_package_and_back(town: Town, reader: Reader) -> None:
    page = reader.open(town.site, viewport=NARROW)
    title = page.locator(".row h3").first.inner_text()
    page.locator(".row h3 a").first.click()
    expect(page.locator("h1")).to_have_text(title)
    official = page.get_by_role("link", name=re.compile("portal resmi|LPSE", re.IGNORECASE)).first
    assert (official.get_attribute("href") or "").startswith("https://spse.example.go.id/")


def test_filters_and_feeds_unfold_on_a_phone(town: Town, reader: Reader) -> None:
    page = reader.open(town.site + "cari.html", viewport=NARROW)
    choice, follow = page.locator('[data-facet="category"] a').first, page.get_by_role("link", name="RSS", exact=True)
    expect(choice).to_be_hidden()
    expect(follow).to_be_hidden()
    page.locator(".facets > summary").focus()
    page.keyboard.press("Enter")
    expect(choice).to_be_visible()
    page.locator(".subs > summary").click()
    expect(follow).to_be_visible()
    assert find_violations(page) == []
    assert measure_overflow(page) <= 0


def test_the_other_language_is_one_click_away(town: Town, reader: Reader) -> None:
    page = reader.open(town.site + "feeds/semua.html")
    page.get_by_role("link", name="English").click()
    assert page.url == town.site + "en/feeds/semua.html"
    page.get_by_role("link", name="Bahasa Indonesia").click()
    assert page.url == town.site + "feeds/semua.html"


def test_days_are_told_by_the_clock_of_the_reader(town: Town, reader: Reader) -> None:
    page = reader.open(town.site)
    expect(page.locator(".when .tag").first).to_have_text(re.compile(r"\d+ hari lagi"))
    plain = reader.open(town.site, java_script_enabled=False)
    assert plain.get_by_text("hari lagi").count() == 0


def test_the_address_of_a_feed_is_copied(town: Town, reader: Reader) -> None:
    page = reader.open(town.site + "feeds/semua.html", permissions=["clipboard-read", "clipboard-write"])
    button = page.locator("[data-copy]").first
    button.click()
    expect(button).to_have_text("Tersalin")
    assert page.evaluate("navigator.clipboard.readText()") == town.site + "feeds/semua.rss"


def test_the_keyboard_goes_everywhere_and_shows_where_it_is(town: Town, reader: Reader) -> None:
    page = reader.open(town.site)
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    expect(skip).to_have_class("skip")
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    assert page.locator("[tabindex]:not([tabindex='0'], [tabindex='-1'])").count() == 0
    for _ in range(20):
        focus = page.evaluate(SHOW_FOCUS)
        assert focus["seen"], focus
        page.keyboard.press("Tab")


SHOW_FOCUS = """() => {
    const style = getComputedStyle(document.activeElement);
    const seen = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
    return { seen, on: document.activeElement.outerHTML.slice(0, 200) };
}"""


# A plain host of files ----------------------------------------------------------------------------------


def test_a_plain_host_searches_as_the_server_does(town: Town, reader: Reader) -> None:
    served = reader.open(town.site)
    static = reader.open(town.files)
    for query in SEARCHES:
        served.goto(f"{town.site}cari.html?{query}")
        static.goto(f"{town.files}cari.html?{query}")
        expect(static.locator(".rows .row")).to_have_count(len(list_titles(served)))
        assert list_titles(static) == list_titles(served), query
        for part in (".pills .pill", ".facet h2", ".facet a", ".sorts a", ".row .worth", ".row .how", ".row time"):
            told = static.locator(part).all_inner_texts(), served.locator(part).all_inner_texts()
            assert told[0] == told[1], (query, part)
    assert find_violations(static) == []


def test_a_plain_host_has_the_same_way_to_a_search(town: Town, reader: Reader) -> None:
    page = reader.open(town.files, viewport=NARROWEST)
    page.get_by_role("searchbox").fill("obat")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator(".rows .row").first).to_contain_text("Obat")
    assert measure_overflow(page) <= 0
    page.locator(".row h3 a").first.click()
    expect(page.locator("h1")).to_contain_text("Obat")


# On other sites -----------------------------------------------------------------------------------------


@pytest.fixture
def blog(town: Town, reader: Reader, tmp_path: Path) -> Iterator[str]:
    """A page on another host with two lists by script tag, one of them far below, and one in a frame."""
    (tmp_path / "index.html").write_text(
        f"""<!doctype html><html lang="id"><title>Blog</title>{ICON}<h1>Blog</h1>
        <p><a href="{town.site}feeds/semua.html">Paket terbuka</a></p>
        <script src="{town.site}embed.js" data-feed="semua" data-items="5" data-theme="auto" async></script>
        <iframe title="Paket" src="{town.site}embed/semua.html?items=3" style="width:100%;height:50px"></iframe>
        <script src="frame.js"></script>
        <div style="height:4000px"></div>
        <script src="{town.site}embed.js" data-feed="perubahan" data-items="3" data-title="Kabar" async></script></html>
        """,
        encoding="utf-8",
    )
    (tmp_path / "frame.js").write_text(
        """addEventListener("message", ({ source, data }) => {
            const frame = document.querySelector("iframe");
            if (source === frame.contentWindow && data.warta) frame.style.height = `${data.value}px`;
        });""",
        encoding="utf-8",
    )
    with host(tmp_path) as address:
        reader.watch.origins.add(address.rstrip("/"))
        yield address
        reader.leave()  # before its host goes


def test_a_list_lives_on_another_site(blog: str, reader: Reader) -> None:
    page = reader.open(blog)
    near, far = page.locator("warta-list").first, page.locator("warta-list").last
    expect(near.locator("li")).to_have_count(5)
    expect(near.locator("li .tag").first).to_be_visible()
    assert page.evaluate("document.querySelectorAll('li').length") == 0  # all of it in the shadow
    assert far.get_attribute("data-state") == "waiting"
    far.scroll_into_view_if_needed()
    expect(far.locator("li")).to_have_count(3)
    expect(far.locator(".h")).to_have_text("Kabar")
    assert find_violations(page) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROWEST)
    assert measure_overflow(page) <= 0
    assert find_violations(page) == []


def test_a_frame_is_as_high_as_its_list(blog: str, reader: Reader) -> None:
    page = reader.open(blog)
    frame = page.frame_locator("iframe")
    expect(frame.locator("li:visible")).to_have_count(3)
    page.wait_for_function("parseInt(document.querySelector('iframe').style.height) > 100")
    content = frame.locator("html").evaluate("root => root.scrollHeight - innerHeight")
    assert content <= 0


def test_embeds_leave_out_what_is_closed_by_now(blog: str, town: Town, reader: Reader) -> None:
    later = datetime.now(UTC) + timedelta(days=11)  # of 44 packages half a dozen are open
    page = reader.open("about:blank")
    page.clock.set_fixed_time(later)
    page.goto(blog)
    rows = page.locator("warta-list").first.locator("li")
    expect(rows).to_have_count(5)
    assert all(datetime.fromisoformat(time) > later for time in read_times(rows))
    page.goto(town.site + "embed/jenis-konsultansi.html?items=20")
    shown = page.locator("li:visible")
    assert 0 < shown.count() < page.locator("li").count()
    assert all(datetime.fromisoformat(time) > later for time in read_times(shown))
    expect(page.locator("[data-count]")).to_have_text("Semua paket")
    page.clock.set_fixed_time(later + timedelta(days=30))
    page.reload()
    assert shown.count() == page.locator("li").count(), "nothing else is left"
    expect(shown.first.locator(".tag")).to_have_text("Ditutup")


def test_a_row_without_a_day_is_as_wide_as_its_list(blog: str, town: Town, reader: Reader) -> None:
    page = reader.open(f"{town.site}embed/semua.html", viewport=WIDE)
    row = page.locator("li").first
    row.locator(".d").evaluate("each => each.remove()")
    width = row.evaluate(
        "each => [each.clientWidth, each.querySelector('.m').offsetLeft, each.querySelector('a').offsetLeft]"
    )
    assert width[1] == width[2] < width[0] / 4


def read_times(rows: Locator) -> list[str]:
    return [row.locator("time").get_attribute("datetime") or "" for row in rows.all()]


def test_english_words_around_an_indonesian_list(town: Town, reader: Reader, tmp_path: Path) -> None:
    tag = f'<script src="{town.site}embed.js" data-feed="semua" data-lang="en"></script>'
    (tmp_path / "index.html").write_text(f'<!doctype html><html lang="en"><title>Blog</title>{ICON}<p>{tag}</html>')
    with host(tmp_path) as address:
        reader.watch.origins.add(address.rstrip("/"))
        row = reader.open(address).locator("warta-list li").first
        expect(row.locator(".m")).to_contain_text("miliar")
        expect(row.locator(".tag")).to_contain_text("days")
        assert row.locator("xpath=..").get_attribute("lang") == "id"
        assert row.locator(".d").get_attribute("lang") == "en"
        reader.leave()


def test_a_list_whose_server_is_down_leaves_a_way_there(blog: str, town: Town, reader: Reader) -> None:
    reader.watch.forgiven |= {"ERR_CONNECTION_REFUSED", "net::ERR_FAILED"}
    page = reader.open("about:blank")
    page.route(re.compile(r"\.json$|embed/"), lambda route: route.abort("connectionrefused"))
    page.goto(blog)
    near = page.locator("warta-list").first
    expect(near).to_contain_text("tidak dapat dimuat")
    assert near.get_by_role("link").get_attribute("href") == town.site + "feeds/semua.html"
    expect(page.locator("h1")).to_be_visible()
