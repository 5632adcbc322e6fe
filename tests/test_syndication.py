"""The syndication family: its parser beside values, hostile documents, and crawls of made-up feeds over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from aggregator.models import Event, Kind, Status, Sweep
from aggregator.verdicts import Verdict
from demo.newsroom import Newsroom
from demo.syndication import FAULTS, Feeds
from spiders.reading import ShapeError
from spiders.syndication import parse_date, parse_feed, parse_xml
from tests.news_road import BAD_LINES, NewsRoad, open_road
from tests.road import NOW, WIB

FIXTURES = Path(__file__).parent / "fixtures" / "syndication"
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "rss"
SITE = "https://blp.example.go.id/feed"
MakeRoad = Callable[..., NewsRoad]


@pytest.fixture
def make_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeRoad]:
    monkeypatch.delenv("WARTA_DATABASE_URL", raising=False)
    with ExitStack() as roads:

        def make(articles: int = 12, path: str = "/rss.xml", options: str = "") -> NewsRoad:
            feeds = Feeds(Newsroom(NOW, articles))
            return roads.enter_context(open_road(tmp_path, "syndication", feeds, path, options))

        yield make


@pytest.fixture
def road(make_road: MakeRoad) -> NewsRoad:
    return make_road()


# Parsing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rss", "rss1", "atom"])
def test_a_feed_means_its_value(name: str) -> None:
    feed = parse_feed((FIXTURES / f"{name}.xml").read_bytes(), SITE, WIB)
    told = {
        "items": [
            {
                "key": item.key,
                "title": item.title,
                "url": item.url,
                "text": item.text,
                "published": item.published.isoformat() if item.published else None,
            }
            for item in feed.items
        ],
        "problems": [{"code": problem.code, "text": problem.text} for problem in feed.problems],
    }
    assert told == json.loads((FIXTURES / f"{name}.value.json").read_text(encoding="utf-8"))


def test_a_date_that_nobody_can_read_stays_unread() -> None:
    items = parse_feed((FIXTURES / "rss.xml").read_bytes(), SITE, WIB).items
    assert [item.unread for item in items] == [set(), set(), set(), {"published"}]


@pytest.mark.parametrize(
    ("name", "titles", "published"),
    [
        (
            "austender_atm.xml",
            [
                "RFT-2026-041 - Cloud security platform",
                "Closed notice without a parseable close date keeps the drift guard honest per-item",
            ],
            datetime(2026, 7, 10, 8, tzinfo=UTC),
        ),
        (
            "austender_minimal.xml",
            ["GA2026/564: Panel Refresh - Hazard Extent & Information Services Panel"],
            datetime(2026, 4, 1, tzinfo=UTC),
        ),
        ("gets_nz.xml", ["Cloud platform"], datetime(2026, 7, 10, tzinfo=UTC)),
    ],
)
def test_recorded_feeds_are_read(name: str, titles: list[str], published: datetime) -> None:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("the recorded responses are not beside this checkout")
    feed = parse_feed(path.read_bytes(), SITE, WIB)
    assert [item.title for item in feed.items] == titles
    assert feed.items[0].published == published
    assert all(item.text and "<" not in item.text and item.url != SITE for item in feed.items)
    assert feed.problems == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not XML",
        b"<!DOCTYPE html><html><title>Berita</title></html>",
        b"<html><body/></html>",
        b"<rss version='2.0'/>",
        b"<rss><channel><berita><title>x</title></berita></channel></rss>",
        b"<rss><channel><item><judul>x</judul></item></channel></rss>",
        b"<rss><channel><item><title>x</title></channel></rss>",
        b"<rss><channel><item><title>&nbsp;</title></item></channel></rss>",
        b"<feed><entry/></feed>",
        b'<feed xmlns="http://www.w3.org/2005/Atom"><berita/></feed>',
        b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
        b"<rss>" + b"<channel>" * 100_000,
    ],
)
def test_another_shape_is_never_an_empty_feed(body: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_feed(body, SITE, WIB)


@pytest.mark.parametrize(
    "body",
    [
        b"<rss><channel><title>BLP</title></channel></rss>",
        b'<feed xmlns="http://www.w3.org/2005/Atom"><title>BLP</title></feed>',
    ],
)
def test_an_empty_feed_is_a_feed(body: bytes) -> None:
    feed = parse_feed(body, SITE, WIB)
    assert (feed.items, feed.problems) == ((), ())


@pytest.mark.parametrize(
    ("text", "zone", "time"),
    [
        ("Mon, 23 Nov 2026 08:30:00 +0700", WIB, "2026-11-23T08:30:00+07:00"),
        ("Mon, 23 Nov 2026 08:30:00 GMT", WIB, "2026-11-23T08:30:00+00:00"),
        ("Mon, 23 Nov 2026 08:30:00 -0000", WIB, "2026-11-23T08:30:00+00:00"),
        ("Mon, 23 Nov 2026 08:30:00 WITA", ZoneInfo("Asia/Makassar"), "2026-11-23T08:30:00+08:00"),
        ("23 Nov 2026 08:30", WIB, "2026-11-23T08:30:00+07:00"),
        ("2026-11-23T08:30:00Z", WIB, "2026-11-23T08:30:00+00:00"),
        ("2026-11-23T08:30:00.123+07:00", WIB, "2026-11-23T08:30:00.123000+07:00"),
        ("2026-11-23", WIB, "2026-11-23T00:00:00+07:00"),
        (" ", WIB, None),
    ],
)
def test_times_are_aware(text: str, zone: ZoneInfo, time: str | None) -> None:
    found = parse_date(text, zone)
    assert (found.isoformat() if found else None) == time


@pytest.mark.parametrize(
    "text",
    [
        *("kemarin", "Senin, 23 November", "Mon, 31 Feb 2026 08:00:00 GMT", "0001-01-01T00:00:00Z"),
        *(f"Mon, 23 Nov {'9' * 20} 08:00:00 GMT", f"Mon, 23 Nov 2026 08:00:00 +{'9' * 20}"),
    ],
)
def test_a_time_that_cannot_be_is_no_time(text: str) -> None:
    with pytest.raises(ShapeError):
        parse_date(text, WIB)


# Hostile documents ----------------------------------------------------------------------------------------


def test_no_file_of_this_machine_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("rahasia")
    for entity in (f'<!ENTITY x SYSTEM "{secret.as_uri()}">', f'<!ENTITY % y SYSTEM "{secret.as_uri()}"> %y;'):
        body = f"<!DOCTYPE rss [{entity}]><rss><channel><title>&x;</title></channel></rss>".encode()
        with pytest.raises(ShapeError) as raised:
            parse_feed(body, SITE, WIB)
        assert "rahasia" not in f"{raised.value} {raised.value.sample}"


def test_no_entity_is_expanded_however_it_is_encoded() -> None:
    document = '<!DOCTYPE rss [<!ENTITY x "ha">]><rss><channel><title a="&x;">&x;</title></channel></rss>'
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(ShapeError, match="DOCTYPE, which is refused"):
            parse_xml(document.encode(encoding))


@pytest.mark.parametrize("use", ["<title>&a29;</title>", '<title a="&a29;"/>'])
def test_an_entity_bomb_is_refused_at_once(use: str) -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};">' for n in range(1, 30))
    with pytest.raises(ShapeError):
        parse_xml(f"<!DOCTYPE rss [{entities}]><rss><channel>{use}</channel></rss>".encode())


def test_a_dtd_from_elsewhere_is_never_loaded(tmp_path: Path) -> None:
    dtd = tmp_path / "x.dtd"
    dtd.write_text('<!ENTITY x "ha">')
    with pytest.raises(ShapeError):
        parse_xml(f'<!DOCTYPE rss SYSTEM "{dtd.as_uri()}"><rss><channel>&x;</channel></rss>'.encode())


# Crawls ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/rss.xml", "/rss1.xml", "/atom.xml"])
def test_a_first_crawl_reads_the_feed_and_a_second_changes_nothing(make_road: MakeRoad, path: str) -> None:
    road = make_road(path=path)
    run = road.crawl()
    assert (run.verdict, run.reasons, run.new, run.errors) == (Verdict.OK, (), 10, 0)
    newest = road.newsroom.articles[-1]
    tender = next(r.tender for r in road.records().values() if r.tender.published == newest.published)
    assert (tender.kind, tender.status) == (Kind.NEWS, Status.COMPLETE)
    assert tender.title.endswith(f" {newest.id}")
    assert tender.url == f"{road.server.url}/umpan/{newest.slug}/"
    assert tender.description is not None
    assert tender.description.endswith(f"Nomor {newest.id}.")
    assert "alert" not in tender.description
    before = road.content()
    for sweep in (Sweep.FULL, Sweep.OPEN):
        run = road.crawl(sweep)
        assert (run.verdict, run.new, run.changed) == (Verdict.OK, 0, 0)
        assert road.server.stats.pages == {"feed": 1}  # robots.txt is known
    assert road.content() == before


def test_new_and_edited_items_are_told_once(road: NewsRoad) -> None:
    road.crawl()
    *_, told = road.crawl_news()
    assert sorted(events for _, events in told) == [(Event.DETAILS,), (Event.NEW,)]
    assert road.crawl().changed == 0


def test_items_that_leave_the_feed_stay(road: NewsRoad) -> None:
    road.crawl()
    for _ in range(4):
        road.server.advance(15)
        assert road.crawl().withdrawn == 0
    assert len(road.records()) == 10 + 4 * 5
    assert not any(record.tender.status is Status.WITHDRAWN for record in road.records().values())


def test_a_limit_reads_the_first_items(road: NewsRoad) -> None:
    assert road.crawl(limit=3).new == 3


def test_a_feed_gone_quiet_is_told(make_road: MakeRoad) -> None:
    make_road(options='stale_after = "7d"').assert_stale(8)


BAD_DAYS = [
    ("html", Verdict.FAILED, "listing: blp: a feed that is no XML"),
    ("drifted", Verdict.FAILED, "listing: blp: a feed without item elements that has others"),
    ("external_entity", Verdict.FAILED, "listing: blp: a feed with a DOCTYPE, which is refused"),
    ("bomb", Verdict.FAILED, "listing: blp: a feed "),
    ("duplicates", Verdict.PARTIAL, "duplicate_key: an item stands twice"),
    ("anonymous", Verdict.PARTIAL, "shape: an item without guid, id and link, left out"),
    ("odd_date", Verdict.PARTIAL, "shape: a date that is none of RFC 822 or RFC 3339"),
    ("empty", Verdict.OK, ""),
    *BAD_LINES,
]


@pytest.mark.parametrize(("fault", "verdict", "reason"), BAD_DAYS)
def test_faults_are_told_and_nothing_wrong_is_stored(road: NewsRoad, fault: str, verdict: Verdict, reason: str) -> None:
    road.assert_bad_days(fault, "xml", verdict, reason)


def test_every_fault_of_the_stand_in_is_tried() -> None:
    assert {fault for fault, _, _ in BAD_DAYS} >= FAULTS.keys()
