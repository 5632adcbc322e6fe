"""Everything that reads what others wrote, each with saved pages to begin with, and what it may raise."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from scrapy.http import Response
from scrapy.robotstxt import ProtegoRobotParser

from aggregator.archive import Archive, read_segment
from aggregator.config import ConfigError, parse_config, parse_duration, parse_size
from aggregator.connecting import DatabaseError, parse_address
from aggregator.database import open_database
from aggregator.filters import Filter, FilterError
from aggregator.lines import mask_secrets, one_line
from aggregator.models import Kind, Tender
from aggregator.quiet import parse_quiet
from aggregator.repository import Repository
from aggregator.robots import RobotsAnswer
from aggregator.search import parse_query as parse_words
from aggregator.search import render_match, render_tsquery
from feeds.columns import COLUMNS
from feeds.query import parse_entries, parse_query, parse_request, render_query
from feeds.serving.http import check_preconditions, parse_http_date, prefers_gzip, render_http_date
from feeds.serving.visits import parse_reader, parse_target
from feeds.tree import JOURNAL, MANIFEST, open_tree
from feeds.words.text import plain, web_address
from spiders import blacklist, prozorro, worldbank
from spiders.ocds.merging import merge_releases
from spiders.ocds.packages import Package, parse_lines, parse_package, parse_zip
from spiders.ocds.shelf import Chain, Shelf
from spiders.ocds.tender import parse_tender as parse_ocds
from spiders.portal import retry_after
from spiders.reading import ShapeError, clean_text, parse_count, parse_html, parse_rupiah, parse_time
from spiders.robots import find_crawl_delay
from spiders.satudata.gateway import parse_envelope
from spiders.satudata.masters import parse_master
from spiders.sirup import lists as sirup_lists
from spiders.sirup import plan as sirup_plan
from spiders.spse import lists as spse_lists
from spiders.spse import pages as spse_pages
from spiders.spse.tender import Details, Spot
from spiders.spse.tender import assemble as assemble_package
from spiders.syndication import parse_date, parse_feed
from spiders.ted import notices as ted
from spiders.wordpress import parse_posts, parse_totals
from tests.conftest import CONFIG as SPSE_CONFIG
from tests.feed_samples import PORTAL, READ, WIB
from tests.fuzzing.checking import bounded, check_tenders
from tests.pages import find_pages
from tests.test_archive import save as save_answer
from tests.test_satudata import parse as parse_satudata

ROOT = Path(__file__).parents[2]
FOUND = Path(__file__).with_name("found")  # what once made a reader fail, a folder each
SITE = "https://blp.example.go.id/feed"
BASE = "https://spse.example.go.id/malangkota/"

Read = Callable[[bytes], Iterable[Tender]]


@dataclass(frozen=True)
class Reader:
    """What reads ``form`` (json, markup, text): the tenders it makes of bytes, and the errors it may raise."""

    name: str
    form: str
    seeds: Sequence[bytes]
    read: Read
    refuses: tuple[type[Exception], ...] = (ShapeError,)

    @property
    def found(self) -> list[bytes]:
        """Inputs that once made it fail."""
        return [path.read_bytes() for path in sorted((FOUND / self.name).glob("*"))]


def _pages(family: str, pattern: str = "*") -> list[bytes]:
    return [path.read_bytes() for path in find_pages(family) if path.match(pattern)]


def check_told(error: Exception) -> None:
    """AssertionError where an error says nothing."""
    assert str(error).strip()


def _decode(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape")


def _none(read: Callable[[bytes], object]) -> Read:
    """A reader whose result is no tender."""

    def read_it(body: bytes) -> list[Tender]:
        read(body)
        return []

    return read_it


def _words(read: Callable[[str], object]) -> Read:
    return _none(lambda body: read(_decode(body)))


# Sources --------------------------------------------------------------------------------------------------


def _spse_details(read: Callable[[bytes], Details]) -> Read:
    spot = Spot(Kind.TENDER, "10020162000")
    return lambda body: [assemble_package(PORTAL, spot, read(body), BASE)]


_KEYS = [path.stem.rpartition("-")[2] for path in find_pages("spse") if path.match("announcement-*")]


def _announcement(body: bytes) -> Details:
    key = next((key for key in _KEYS if key.encode() in body), _KEYS[0])  # another's page is refused at once
    return Details(announcement=spse_pages.parse_announcement(body, key, WIB, BASE))


def _spse_list(kind: Kind) -> Read:
    return lambda body: [
        assemble_package(PORTAL, Spot(kind, row.key, row), Details(), BASE)
        for row in spse_lists.parse_list(body, kind)[0]
    ]


def _spse_home(body: bytes) -> list[Tender]:
    return [
        assemble_package(PORTAL, Spot(row.kind, row.key, None, row, True), Details(), BASE)
        for row in spse_lists.parse_home(body, WIB).rows
    ]


def _sirup(source: sirup_lists.Source) -> Read:
    return lambda body: [
        sirup_plan.assemble(PORTAL, row, 2026, None, BASE, buyer=None, failed=False)
        for row in sirup_lists.parse_page(body, source, WIB).rows
    ]


_ROW = sirup_lists.parse_page(_pages("sirup", "search.json")[0], sirup_lists.SEARCH, WIB).rows[0]
_PROVIDER, _SELF_MANAGED = sirup_lists.find_sources(sirup_lists.Options(id_kldi="D228"))


def _sirup_plan(body: bytes) -> list[Tender]:
    sirup_plan.parse_refusal(body)
    details = sirup_plan.parse_details(body, "64000011", WIB)
    row = replace(_ROW, key="64000011")
    return [sirup_plan.assemble(PORTAL, row, 2026, details, BASE, buyer=None, failed=False)]


def _ocds(package: Package) -> list[Tender]:
    """What a package means, as the spider has it: what is out of order it reports, the rest it keeps."""
    kept, _ = Chain("test").accept(package)
    shelf = Shelf()
    for release in kept:
        shelf.put(release)
    return [parse_ocds(merge_releases(releases), releases, PORTAL, whole=True) for _, releases in shelf]


def _zip(body: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("2026.json", body)
    return packed.getvalue()


def _refusal(body: bytes) -> Details:
    spse_pages.parse_refusal(body)
    return Details(contracts=spse_pages.parse_contracts(body))


_PROZORRO_KEYS = [path.stem.removeprefix("tender-") for path in find_pages("prozorro")]


def _prozorro(body: bytes) -> list[Tender]:
    key = next((key for key in _PROZORRO_KEYS if key.encode() in body), _PROZORRO_KEYS[0])
    return [prozorro.parse_tender(body, "prozorro", key)]


_PROZORRO_FEED = json.dumps(
    {
        "data": [{"id": "0" * 32, "dateModified": "2026-01-10T12:52:00+02:00", "status": "active.tendering"}],
        "next_page": {"offset": "1767969651.246.1.4325efbb2409185921e764a90ea1cb93"},
    }
).encode()
_ENVELOPE = (
    b'{"success": true, "data": [{"kd_tender": 1, "nama_paket": "x"}], "meta": {"has_more": true, "cursor": "c1"}}'
)
_TOKEN = b"<script>var authenticityToken = '0123456789abcdef0123456789abcdef';</script>"
_MASTER = b'[{"kd_lpse": 119, "nama_lpse": "LPSE Kota Malang"}]'

SOURCES = [
    *(
        Reader(f"spse-{kind}-list", "json", _pages("spse", f"list-{kind}.json"), _spse_list(Kind(kind)))
        for kind in ("tender", "non_tender", "recorded", "self_managed", "emergency")
    ),
    Reader("spse-home", "markup", _pages("spse", "home.html"), _spse_home),
    Reader(
        "spse-announcement",
        "markup",
        _pages("spse", "announcement-*"),
        _spse_details(_announcement),
    ),
    Reader(
        "spse-schedule",
        "markup",
        _pages("spse", "schedule-*"),
        _spse_details(lambda body: Details(milestones=spse_pages.parse_schedule(body, WIB))),
    ),
    Reader(
        "spse-winners",
        "markup",
        _pages("spse", "winners-*"),
        _spse_details(lambda body: Details(awards=spse_pages.parse_winners(body))),
    ),
    Reader("spse-contracts", "markup", _pages("spse", "contracts-*"), _spse_details(_refusal)),
    Reader(
        "spse-realisations",
        "markup",
        _pages("spse", "realisations-*"),
        _spse_details(lambda body: Details(contracts=spse_pages.parse_realisations(body, WIB))),
    ),
    Reader("spse-token", "markup", [_TOKEN], _none(spse_lists.parse_token)),
    Reader("sirup-search", "json", _pages("sirup", "search.json"), _sirup(sirup_lists.SEARCH)),
    Reader("sirup-provider", "json", _pages("sirup", "penyedia.json"), _sirup(_PROVIDER)),
    Reader("sirup-self-managed", "json", _pages("sirup", "swakelola.json"), _sirup(_SELF_MANAGED)),
    Reader("sirup-plan", "markup", _pages("sirup", "plan-*"), _sirup_plan),
    *(
        Reader(
            f"satudata-{path.stem}",
            "json",
            [path.read_bytes()],
            lambda body, name=path.stem: [  # type: ignore[misc]
                row.tender for row in parse_satudata(name, body).rows
            ],
        )
        for path in find_pages("satudata")
    ),
    Reader("satudata-gateway", "json", [_ENVELOPE], _none(parse_envelope)),
    Reader("satudata-master", "json", [_MASTER], _none(lambda body: parse_master(body, "lpse"))),
    Reader(
        "ted",
        "json",
        _pages("ted"),
        lambda body: [ted.make_tender("ted", row, "eng", READ) for row in ted.parse_page(body, "eng", WIB).notices],
    ),
    Reader(
        "worldbank",
        "json",
        _pages("worldbank"),
        lambda body: [worldbank.make_tender("bank", row, READ) for row in worldbank.parse_page(body, WIB).notices],
    ),
    Reader(
        "blacklist",
        "json",
        _pages("blacklist"),
        lambda body: [blacklist.make_tender("hitam", row, READ) for row in blacklist.parse_page(body, WIB).entries],
    ),
    Reader("prozorro-feed", "json", [_PROZORRO_FEED], _none(prozorro.parse_feed)),
    Reader("prozorro", "json", _pages("prozorro"), _prozorro),
    Reader("ocds-package", "json", _pages("ocds", "*.json"), lambda body: _ocds(parse_package(body, WIB))),
    Reader("ocds-lines", "json", _pages("ocds", "*.jsonl"), lambda body: _ocds(parse_lines(body, WIB))),
    Reader("ocds-zip-of", "json", _pages("ocds", "*.json"), lambda body: _ocds(parse_zip(_zip(body), WIB))),
    Reader("ocds-zip", "text", [_zip(body) for body in _pages("ocds", "*.json")], _none(lambda b: parse_zip(b, WIB))),
    Reader(
        "syndication",
        "markup",
        _pages("syndication"),
        lambda body: [item.as_reading(PORTAL).tender for item in parse_feed(body, SITE, WIB).items],
    ),
    Reader(
        "wordpress",
        "json",
        _pages("wordpress"),
        lambda body: [post.item.as_reading(PORTAL).tender for post in parse_posts(body, SITE, WIB)[0]],
    ),
]

# Words of pages and headers -------------------------------------------------------------------------------


def _retry_after(body: bytes) -> None:
    seconds = retry_after(Response("https://x.example/", headers={"Retry-After": body}), READ)
    assert seconds >= 0
    f"{seconds:.0f}"


def _robots(body: bytes) -> None:
    delay = find_crawl_delay(RobotsAnswer(READ, 200, body), "WartaPengadaan")
    assert delay >= 0
    ProtegoRobotParser(body, None).allowed("https://x.example/lelang?x=1", "WartaPengadaan")


def _query(raw: str) -> None:
    wanted, page = parse_query(raw)
    again, _ = parse_query(render_query(wanted, page))
    assert again == wanted, "one search has one address"
    for moment in (wanted.published_from, wanted.deadline_to, wanted.changed_since):
        if moment:
            moment.resolve(READ, WIB, end=True)


def _request(raw: str) -> None:
    parse_entries(raw)
    parse_request(raw, {field.name for field in fields(Filter)}, {"cursor", "page", "entries"})


def _search(text: str) -> None:
    meant = parse_words(text)
    if meant.clauses:
        render_match(meant).encode("utf-8", "surrogatepass")
        render_tsquery(meant)


def _headers(text: str) -> None:
    prefers_gzip(text)
    time = parse_http_date(text)
    assert time is None or parse_http_date(render_http_date(time)) == time
    assert check_preconditions({"if-none-match": text, "if-match": text, "if-modified-since": text}, '"a"', READ)
    parse_reader(text)
    parse_target(text)


def _shown(text: str) -> None:
    plain(text).encode("utf-8")
    address = web_address(text)
    assert address is None or address.startswith(("http://", "https://"))
    assert one_line(mask_secrets(text)).isprintable() or not text.isprintable()
    assert clean_text(clean_text(text)) == clean_text(text)


def _options(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_quiet):
        try:
            parse(text)
        except ValueError as error:  # what pydantic takes for the mistake of a user
            check_told(error)


def _totals(body: bytes) -> None:
    parse_totals({"X-WP-Total": body, "X-WP-TotalPages": body})


_QUERIES = [
    b"q=jalan+%22drainase+kota%22+-trotoar&kind=tender&kind=plan&year=2026&min_value=500000000&sort=value&page=2",
    b"published_from=-30d&deadline_to=2026-12-31&changed_since=2026-11-24T02:40:00%2B07:00&retender=false&limit=50",
    b"entries=changes&portal=malangkota&buyer=Kota%20Malang&location=Klojen&status=active&category=works&cursor=abc",
]
_HEADERS = [b'W/"a", "b"', b"gzip;q=0.5, *;q=0", b"Tue, 24 Nov 2026 02:40:00 GMT"]

TEXTS = [
    Reader("robots", "text", [b"User-agent: *\nDisallow: /*?x=*\nAllow: /$\nCrawl-delay: 2\n"], _none(_robots)),
    Reader("retry-after", "text", [b"120", b"Tue, 24 Nov 2026 02:41:00 GMT"], _none(_retry_after)),
    Reader("wp-totals", "text", [b"120"], _none(_totals)),
    Reader("rupiah", "text", [b"Rp. 1.234.567,89", b"-"], _words(parse_rupiah)),
    Reader("time", "text", [b"11 Agustus 2026 20:00", b"08-04-2026"], _words(lambda text: parse_time(text, WIB))),
    Reader("month", "text", [b"Januari 2026"], _words(lambda text: sirup_lists.parse_month(text, WIB))),
    Reader(
        "date",
        "text",
        [b"Tue, 24 Nov 2026 02:41:00 WIB", b"2026-11-24T02:40:00Z"],
        _words(lambda text: parse_date(text, WIB)),
    ),
    Reader("count", "text", [b"5 peserta"], _words(parse_count)),
    Reader("years", "text", [b"2025, 2026", b"APBD 2026"], _words(spse_pages.parse_years)),
    Reader("stage", "text", [b"Upload Dokumen Penawaran [...]"], _words(spse_pages.parse_stage)),
    Reader("markup", "markup", _pages("spse", "*.html"), _none(parse_html)),
    Reader(
        "worldbank-markup",
        "markup",
        _pages("spse", "home.html"),
        _words(lambda text: worldbank.parse_markup(clean_text(text))),
    ),
    Reader("query", "text", _QUERIES, _words(_query), (FilterError,)),
    Reader("request", "text", _QUERIES, _words(_request), (FilterError,)),
    Reader("search", "text", [b'jalan OR "danau toba" -trotoar e-katalog'], _words(_search), ()),
    Reader("headers", "text", _HEADERS, _words(_headers), ()),
    Reader("shown", "text", [b"Jalan &amp;amp; <b>", b"https://u:p@x.example/?token=a"], _words(_shown), ()),
    Reader("options", "text", [b"15m", b"24h", b"5GB", b"01:00-05:00, 23:30-04:00"], _words(_options), ()),
    Reader(
        "address",
        "text",
        [b"postgresql+psycopg://u:p@db:5432/warta?sslmode=require", b"sqlite:///var/warta.db"],
        _words(parse_address),
        (DatabaseError,),
    ),
]

# Files of ours that come back from a disk -----------------------------------------------------------------


def _read_config(body: bytes) -> None:
    text = body.decode("utf-8", "replace")
    parse_config(text, Path("warta.toml"))


def _read_tree(body: bytes) -> None:
    """Whatever manifest, columns and journal hold only costs time: the next publish is whole, and nothing else goes."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "public"
        root.mkdir()
        beside = Path(folder) / "kept"
        beside.write_bytes(b"")
        for name in (MANIFEST, COLUMNS, JOURNAL):
            (root / name).write_bytes(body)
        with open_tree(root) as tree:
            assert tree.changed is not None
        assert beside.exists()
        with open_tree(root):
            assert json.loads((root / MANIFEST).read_bytes()) == {}


def _read_segment(body: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".zst") as file:
        file.write(body)
        file.flush()
        for snapshot in read_segment(Path(file.name)):
            assert snapshot.stop <= len(body)


def _make_segment() -> bytes:
    """A segment of the archive with two answers in it, as a crawl writes one."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(Path(folder), Repository(open_database("sqlite://")))
        with archive.open_run("malangkota", READ) as run:
            save_answer(run, "lelang", b"<p>token</p>")
            save_answer(run, "dt/lelang", b'{"data":[1]}', form=b"start=0")
        (path,) = Path(folder).glob("*.zst")
        return path.read_bytes()


_CONFIGS = [(ROOT / "warta.toml").read_bytes(), SPSE_CONFIG.encode()]
_TREES = [b'{"feeds": ["abc", {"a.rss": [5, 1700000000000000000]}, {"n": 1}]}', b"a.rss\nfeeds/b.rss\n"]

FILES = [
    Reader(
        "config",
        "text",
        _CONFIGS,
        _none(_read_config),
        (ConfigError,),
    ),
    Reader(
        "tree",
        "json",
        _TREES,
        _none(_read_tree),
        (),
    ),
    Reader("segment", "text", [_make_segment()], _none(_read_segment), ()),
]

READERS = [*SOURCES, *TEXTS, *FILES]


def try_read(reader: Reader, body: bytes) -> bool:
    """Whether it read the input; it may also refuse it in its own words. Whatever else it does is raised."""
    try:
        with bounded():
            tenders = [*reader.read(body)]
    except reader.refuses as refusal:
        check_told(refusal)
        return False
    check_tenders(tenders)
    return True
