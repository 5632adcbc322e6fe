"""Search on a plain file host: the reader's browser finds what the database finds, and shows it as the server does."""

from __future__ import annotations

import difflib
import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, Route

from aggregator.config import Config, parse_config
from aggregator.database import open_database
from aggregator.filters import Filter, FilterError
from aggregator.models import Award, Category, Kind, Method, Money, Reading, Record, Status, Tender
from aggregator.repository import Repository
from feeds.contents import Contents
from feeds.definitions import shipped_feeds
from feeds.pages.narrowing import tell_fault
from feeds.pages.search_index import MOST_ROWS, order_rows, render_index
from feeds.pages.site import SITE, load_sites
from feeds.publish import publish
from feeds.query import parse_query
from feeds.serving.files import PAGE_RULES
from feeds.serving.searching import render_search_page
from feeds.words.wording import Wording
from tests.browser import NARROW, Watch, find_violations, host, open_browser
from tests.conftest import CONFIG
from tests.feed_samples import READ, TENDER, WIB, make_config, make_record

DAY = timedelta(days=1)
SECOND_PORTAL = """
[[portal]]
id = "batu"
family = "spse"
name = "LPSE Kota Batu"
url = "https://spse.example.go.id/batu"
timezone = "Asia/Makassar"
"""
TITLES = [
    "Rehabilitasi Jalan Danau Toba",
    "Pemeliharaan jembatan & jalan lingkungan",
    "Pengadaan Obat-obatan Puskesmas",
    "Belanja Café Résumé (makan/minum)",
    "Konsultansi ﬁsik GEDUNG_B lantai 2",
    "Straße, ΟΔΟΣ, İstanbul 25m²",
    "<b>Danau</b> Jalan",
    "Pengadaan  \u200bBibit\u00a0Pohon",
]
UNITS = ["DPUPRPKP", "Dinas Kesehatan", "DINAS KESEHATAN", "Kecamatan Lowokwaru & Sukun", None]
PLACES = ["Kec. Lowokwaru", "Kec. Klojen", "Kota Malang (Kota)"]
QUERIES = [
    "",
    "q=jalan",
    "q=JALAN+danau",
    'q="jalan danau"',
    'q="danau jalan"',
    "q=jalan+OR+obat",
    "q=jalan+-danau",
    "q=-jalan",
    'q=-"danau toba"',
    "q=resume",
    "q=fisik",
    "q=strasse",
    "q=%CE%BF%CE%B4%CE%BF%CF%82",
    "q=istanbul+25m2",
    "q=gedung_b",
    "q=obat",
    "q=contoh",
    "q=...",
    "q=OR",
    'q="',
    "q=bibit+pohon",
    "portal=batu",
    "portal=BATU&portal=malangkota",
    "portal=nowhere",
    "key=7",
    "kind=tender&kind=plan",
    "kind=news",
    "category=works&category=goods&method=open",
    "status=active&kind=tender&kind=non_tender",
    "status=cancelled",
    "procuring_entity=dinas+kesehatan",
    "procuring_entity=dpuprpkp&procuring_entity=kecamatan+lowokwaru+%26+sukun",
    "buyer=kota+malang",
    "location=lowok",
    "location=(kota)&location=klojen",
    "min_value=500000000",
    "max_value=500000000",
    "min_value=0&max_value=0",
    "min_value=100000000.50&max_value=2000000000",
    "year=2026",
    "year=2025&year=2027",
    "published_from=2026-11-01",
    "published_to=2026-11-10",
    "published_from=2026-11-03T07:00:00&published_to=2026-11-12 12:00",
    "published_from=-20d",
    "deadline_from=2026-11-25&deadline_to=2026-11-28",
    "deadline_from=+0d&deadline_to=+7d",
    "deadline_from=%2B0d",
    "deadline_to=2026-11-30T10:00:00%2B07:00",
    "deadline_to=2026-11-30T03:00:00Z",
    "changed_since=2026-11-20",
    "changed_since=-3d",
    "retender=true",
    "retender=0",
    "sort=deadline",
    "sort=value",
    "sort=changed",
    "sort=deadline&q=jalan",
    "limit=3&sort=value",
    "utm_source=x&q=jalan",
    "q=&kind=&sort=",
]
BAD = [
    "min_value=limaratus",
    "max_value=-1",
    "kind=lelang",
    "year=1999",
    "year=duaribu",
    "limit=0",
    "limit=5000",
    "published_from=kemarin",
    "deadline_to=2026-02-30",
    "retender=ya",
    "sort=harga",
    "q=a&q=b",
    f"q={'x' * 201}",
    f"location={'&location='.join('abcdefghij' * 6)}",
    "page=nol",
    "page=101",
    "page=1&page=2",
    f"x={'y' * 4001}",
]


def sample_tenders() -> Iterator[Tender]:
    """Packages of every sort, some without what others have."""
    dice = random.Random(7)
    for number in range(140):
        kind = dice.choice([Kind.TENDER, Kind.TENDER, Kind.NON_TENDER, Kind.RECORDED, Kind.PLAN, Kind.NEWS])
        budget = dice.choice(
            [None, Decimal(0), Decimal("100000000.50"), Decimal(500_000_000), Decimal(number * 31_000_000)]
        )
        yield replace(
            TENDER,
            portal=dice.choice(["malangkota", "malangkota", "batu"]),
            kind=kind,
            key=f"{number}",
            title=dice.choice(TITLES),
            description=dice.choice([None, "Uraian singkat obat"]),
            buyer=dice.choice(["Kota Malang", None]),
            procuring_entity=dice.choice(UNITS),
            category=dice.choice([*Category, None]),
            category_detail=dice.choice([None, "Pekerjaan Konstruksi"]),
            method=dice.choice([*Method, None]),
            method_detail=dice.choice([None, "Pengadaan Langsung"]),
            status=dice.choice([*Status, Status.ACTIVE, Status.ACTIVE]),
            budget=None if budget is None else Money(budget),
            value=dice.choice([None, Money(Decimal(number * 37_250_000)), Money(Decimal(number), "USD")]),
            fiscal_years=dice.choice([(2026,), (2025, 2026), (2027,), ()]),
            published=dice.choice([None, datetime(2026, 11, 1 + number % 20, 7, number % 3, tzinfo=WIB)]),
            registration_deadline=dice.choice([None, READ + dice.randrange(9) * DAY]),
            deadline=dice.choice([None, READ + dice.randrange(-3, 12) * DAY + timedelta(hours=2)]),
            locations=tuple(dice.sample(PLACES, dice.randrange(3))),
            plans=dice.choice([(), ("61521911", "5")]),
            retender=dice.random() < 0.2,
            awards=dice.choice([(), (Award(supplier="CV Contoh Jaya"),)]),
        )


@dataclass(frozen=True)
class Static:
    """A published tree on a plain file host, and the database it was made from."""

    config: Config
    repository: Repository
    url: str
    now: datetime

    def find(self, wanted: Filter) -> list[list[str]]:
        found = self.repository.find(wanted, self.now, ZoneInfo(self.config.publisher.timezone), only=self.portals)
        return [list(record.tender.identity) for record in found]

    @property
    def portals(self) -> list[str]:
        return [portal.id for portal in self.config.portal]


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Static]:
    folder = tmp_path_factory.mktemp("static")
    text = CONFIG.replace("[publisher]", "[publish]\nenglish = true\n[publisher]") + SECOND_PORTAL
    config = parse_config(text, folder / "warta.toml")
    repository = Repository(open_database(f"sqlite:///{folder}/warta.db"))
    tenders = list(sample_tenders())
    for day in range(4):
        readings = [Reading(tender=tender) for tender in tenders[day::4]]
        repository.save(readings, READ - (4 - day) * DAY)
    moved = [Reading(tender=replace(tender, title=f"{tender.title} ulang")) for tender in tenders[::9]]
    repository.save(moved, READ)
    now = datetime.now(UTC).replace(microsecond=0)
    publish(config, repository, now)
    with host(config.public_folder) as url:
        yield Static(config, repository, url, now)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, static: Static) -> Iterator[Page]:
    """Fails a test in which the browser complains, or asks another host."""
    watch = Watch({static.url.rstrip("/")})
    page = browser.new_page()
    watch.attach(page)
    yield page
    page.close()
    watch.check()


def open_search(page: Page, address: str) -> None:
    """Opens the page and waits until it has filled itself."""
    page.goto(address)
    page.wait_for_selector("[data-words]:not([hidden])")


def make_queries() -> list[str]:
    """Random searches of several keys, beside those that are written down."""
    dice = random.Random(11)
    pairs = [pair for query in QUERIES for pair in query.split("&") if "=" in pair]
    drawn = [dice.sample(pairs, dice.randrange(2, 5)) for _ in range(150)]
    single = [{pair.partition("=")[0]: pair for pair in chosen} for chosen in drawn]
    return QUERIES + ["&".join(chosen.values()) for chosen in single]


ASK = """async ([queries, now]) => {
    const { find, load, parseQuery } = await import("/cari-find.js");
    const index = load(await (await fetch("/cari.json")).json());
    return queries.map((query) => {
        try {
            const [wanted] = parseQuery(query, index);
            const found = find(wanted, index, now).slice(0, wanted.limit?.[0]);
            return found.map((row) => [row.home, row.kind, row.key]);
        } catch (trouble) {
            if (!trouble.fault) throw trouble;
            return [trouble.key, trouble.fault];
        }
    });
}"""


def test_the_browser_finds_what_the_database_finds(static: Static, page: Page) -> None:
    queries = make_queries()
    page.goto(f"{static.url}cari.html")
    found = page.evaluate(ASK, [queries, static.now.timestamp() * 1000])
    wrong = {query: hit for query, hit in zip(queries, found, strict=True) if hit != static.find(parse_query(query)[0])}
    assert wrong == {}
    assert sum(map(bool, found)) > 100


def test_the_browser_refuses_what_the_server_refuses(static: Static, page: Page) -> None:
    page.goto(f"{static.url}cari.html")
    found = page.evaluate(ASK, [BAD, 0])
    for query, (key, fault) in zip(BAD, found, strict=True):
        with pytest.raises(FilterError) as error:
            parse_query(query)
        assert (error.value.key, error.value.fault.name) == (key, fault), query


PARTS = {
    "band": "h1 + p",
    "facets": ".facets .body",
    "pills": ".pills",
    "sorts": ".sorts",
    "rows": ".main .rows",
    "pages": ".main .pages",
    "empty": ".main .empty ul",
}
READ_PARTS = """(parts) => {
    const text = (node) => node.textContent.replace(/\\s+/g, "");
    const tell = (node) => ({
        text: node.matches("ul, nav, ol, p") ? text(node) : "",
        links: [...node.querySelectorAll("a")].map((a) => [text(a), a.getAttribute("href"), a.ariaCurrent]),
        times: [...node.querySelectorAll("time")].map((time) => [time.dateTime, time.hasAttribute("data-closes")]),
    });
    return Object.fromEntries(Object.entries(parts).map(([name, selector]) => {
        const node = document.querySelector(selector);
        for (const extra of node?.querySelectorAll(".range, .note") || []) (extra.closest("details") || extra).remove();
        return [name, node && tell(node)];
    }));
}"""


def compare(static: dict[str, Any], live: dict[str, Any]) -> Iterator[str]:
    """Where the two differ, line by line."""
    for part in PARTS:
        one, other = (json.dumps(each[part], ensure_ascii=False, indent=1).splitlines() for each in (static, live))
        yield from (f"{part}: {line}" for line in difflib.unified_diff(one, other, lineterm="", n=0))


@pytest.mark.parametrize(
    ("query", "edition"),
    [
        ("status=active&kind=tender&kind=non_tender", ""),
        ("q=jalan&min_value=500000000&category=works&category=goods", "en/"),
        (
            "procuring_entity=dpuprpkp&deadline_from=%2B0d&deadline_to=%2B7d&kind=tender&kind=non_tender&status=active",
            "",
        ),
        ("page=3&sort=changed", "en/"),
        ("status=active&kind=tender&kind=non_tender&deadline_from=%2B0d&category=works", "en/"),
        ("status=active&kind=tender&kind=non_tender&deadline_to=%2B0d&sort=deadline", ""),
        ("status=active&kind=tender&deadline_from=%2B0d&deadline_to=%2B30d", ""),
        ("kind=recorded&status=active", "en/"),
        ("deadline_from=%2B0d&status=complete", ""),
        ("kind=news&kind=plan&kind=recorded", ""),
        ("q=tidakada&status=active", "en/"),
        ("status=complete&sort=value&method=open&year=2026&retender=false&limit=7", ""),
        (
            "max_value=1234567.50&location=klojen&published_from=2026-11-02&deadline_to=2026-12-01T10:00:00&changed_since=-400d",
            "en/",
        ),
    ],
)
def test_the_page_shows_what_the_server_shows(static: Static, page: Page, query: str, edition: str) -> None:
    page.route("**/site.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    open_search(page, f"{static.url}{edition}cari.html?{query}")
    shown = page.evaluate(READ_PARTS, PARTS)
    site = next(site for site in load_sites(static.config, sample=False) if site.prefix == edition)
    wanted, number = parse_query(query)
    contents = Contents(site.config, static.repository, datetime.now(UTC))
    page.set_content(render_search_page(site, contents, wanted, number, {}).decode())
    live = page.evaluate(READ_PARTS, PARTS)
    page.unroute("**/site.js")
    assert "\n".join(compare(shown, live)) == ""


def test_a_search_that_cannot_be_read_is_told_as_the_server_does(static: Static, page: Page) -> None:
    for query in ("min_value=limaratus", "kind=lelang", "retender=ya", "page=101", "q=a&q=b"):
        with pytest.raises(FilterError) as error:
            parse_query(query)
        page.goto(f"{static.url}cari.html?{query}")
        told = page.locator("[data-trouble] p").first
        told.wait_for()
        assert told.text_content() == tell_fault(error.value, Wording("id", WIB))
        assert not page.locator("[data-words]").is_visible()


def test_it_follows_the_nearest_feeds(static: Static, page: Page) -> None:
    open_search(page, f"{static.url}en/cari.html?procuring_entity=dpuprpkp&category=works&status=active")
    links = page.locator(".nearest ul a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert links == [
        *("feeds/satker-dpuprpkp.html", "../feeds/satker-dpuprpkp.rss", "../feeds/satker-dpuprpkp.ics"),
        *("feeds/jenis-konstruksi.html", "../feeds/jenis-konstruksi.rss", "../feeds/jenis-konstruksi.ics"),
    ]
    for link in links:
        assert (static.config.public_folder / "en" / link).resolve().is_file(), link


def test_without_script_it_says_what_to_do(static: Static, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{static.url}cari.html?q=jalan")
    assert page.get_by_text("memerlukan JavaScript").is_visible()
    assert page.locator("[data-without] a[href='feeds/jenis-konstruksi.html']").is_visible()
    assert not page.locator("[data-words]").is_visible()
    context.close()


def test_a_host_without_the_index_still_shows_the_lists(static: Static, browser: Browser) -> None:
    page = browser.new_page()
    page.route("**/cari.json", lambda route: route.fulfill(status=404, body=""))
    page.goto(f"{static.url}cari.html?q=jalan")
    page.wait_for_load_state("networkidle")
    assert page.locator("[data-without]").is_visible()
    page.close()


def test_it_keeps_the_policy_that_pages_have(static: Static, page: Page) -> None:
    """And may ask for the index, which no page of the server does."""
    policy = PAGE_RULES["Content-Security-Policy"] + "; connect-src 'self'"

    def add_policy(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, headers={**response.headers, "Content-Security-Policy": policy})

    page.route("**/cari.html*", add_policy)
    open_search(page, f"{static.url}cari.html?q=jalan")
    assert page.locator(".main .row").count() > 10


@pytest.mark.parametrize(
    ("query", "scheme"),
    [("q=jalan&category=works", "light"), ("q=jalan&sort=value", "dark"), ("q=tidakada", "dark"), ("year=x", "light")],
)
def test_everybody_can_use_it(static: Static, browser: Browser, query: str, scheme: Any) -> None:
    context = browser.new_context(viewport=NARROW, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{static.url}cari.html?{query}")
    page.wait_for_selector("[data-words]:not([hidden]), [data-trouble]:not([hidden])")
    assert find_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def test_hostile_names_stay_text(static: Static, page: Page) -> None:
    open_search(page, f"{static.url}cari.html?q=danau&sort=value")
    assert page.locator(".main .rows b").count() == page.locator(".main .rows .worth b").count()
    assert page.get_by_text("‹b›Danau‹/b› Jalan").first.is_visible()


def test_scripts_are_light() -> None:
    scripts = [(SITE / name).read_bytes() for name in ("cari.js", "cari-find.js", "cari-narrow.js")]
    assert all(len(script) <= 11_000 for script in scripts)
    assert sum(len(gzip.compress(script)) for script in scripts) <= 11_250
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacent|eval\(|https?://|localStorage|cookie", b"".join(scripts))


def make_many(count: int, **fields: Any) -> list[Record]:
    return [make_record(replace(TENDER, key=f"{number}", title=f"Paket {number}", **fields)) for number in range(count)]


def test_the_index_holds_all_that_is_open_and_then_the_newest() -> None:
    done = make_many(MOST_ROWS + 10, status=Status.COMPLETE)
    opened = [make_record(replace(TENDER, key=f"lama-{number}")) for number in range(20)]
    records = order_rows(done, opened)
    body = render_index(make_config(), records, 9999, shipped_feeds(make_config(), []))
    index = json.loads(body)
    keys = [row[1] for row in index["rows"]]
    assert len(body) <= 500_000
    assert keys[-20:] == [record.tender.key for record in opened]
    assert keys[:-20] == [record.tender.key for record in done][: len(keys) - 20]
    assert 2500 < len(keys) <= MOST_ROWS
    assert sorted(index["changed"]) == list(range(len(keys)))
    assert index["total"] == 9999


def test_long_texts_leave_room_for_the_open_ones() -> None:
    done = make_many(3000, status=Status.COMPLETE, description="x" * 5000)
    opened = make_many(5, portal="malangkota", kind=Kind.NON_TENDER)
    body = render_index(make_config(), order_rows(done, opened), 3005, [])
    assert len(body) <= 500_000
    assert [row[1] for row in json.loads(body)["rows"]][-5:] == ["0", "1", "2", "3", "4"]


def test_each_package_stands_in_it_once() -> None:
    records = make_many(3)
    assert order_rows(records, records[1:]) == records
