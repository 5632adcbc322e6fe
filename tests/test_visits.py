"""Visits: what is counted and what is not, that nothing about a person is kept, and that two servers add up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from starlette.applications import Starlette

from aggregator.database import DatabaseError, open_database, visits
from aggregator.repository import Repository
from aggregator.visits import KEPT_DAYS, MOST_ROWS, OTHER, Counted, VisitDay, VisitKind, find_visits, save_visits
from feeds.app import make_app
from feeds.definitions import shipped_feeds
from feeds.pages.audience import DAYS, MOST_READERS, first_day, list_days, render_visits, tell_visits
from feeds.pages.site import load_site
from feeds.serving.visits import MOST_COUNTERS, MOST_SUBSCRIBERS, CountVisits, Visits, parse_reader, parse_target
from tests.feed_samples import make_config
from tests.test_app import ask

WIB = ZoneInfo("Asia/Jakarta")
NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
TODAY = date(2026, 11, 24)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
FEEDLY = "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 16 subscribers; like FeedFetcher-Google)"


class Book:
    """Takes what is saved; ``is_broken`` as a database that cannot be written."""

    def __init__(self) -> None:
        self.kept: dict[Counted, int] = {}
        self.is_broken = False

    def save(self, counts: Mapping[Counted, int], today: date) -> None:
        if self.is_broken:
            raise DatabaseError("locked")
        for counted, number in counts.items():
            self.kept[counted] = self.kept.get(counted, 0) + number


def count(*asked: tuple[str, str], **how: bool) -> dict[tuple[str, str, str], int]:
    """What is kept of paths and the User-Agents that ask for them, all today."""
    book = Book()
    counting = Visits(book.save, lambda: NOW, WIB)
    for path, agent in asked:
        counting.count(path, agent, **how)
    asyncio.run(counting.flush())
    assert {counted.day for counted in book.kept} <= {TODAY}
    return {(str(c.kind), c.name, c.reader): number for c, number in book.kept.items()}


# What is counted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "page list"),
        ("index.html", "page list"),
        ("en/", "page list"),
        ("paket/12.html", "page list"),
        ("tenders/malangkota/tender/1.html", "page tender"),
        ("en/tenders/malangkota/tender/1.html", "page tender"),
        ("cari.html", "page search"),
        ("pekan-ini.html", "page week"),
        ("feeds/", "page catalogue"),
        ("feeds/index.html", "page catalogue"),
        ("feeds/semua.html", "page feed"),
        ("statistik.html", "page statistics"),
        ("statistik/2025.html", "page statistics"),
        ("en/status.html", "page status"),
        ("kunjungan.html", "page visits"),
        ("feeds/semua.rss", "feed semua"),
        ("feeds/search.atom", "feed search"),
        ("feeds/jenis-barang.ics", "feed jenis-barang"),
        ("embed.js", "embed embed.js"),
        ("embed/semua.html", "embed semua"),
        ("en/embed/semua.html", "embed semua"),
        ("embed/semua.json", None),
        ("style.css", None),
        ("status.json", None),
        ("feeds.opml", None),
        ("feeds/semua/archive/2026-01.atom", None),
        ("en/feeds/semua.rss", None),
        ("wp-login.php", None),
        ("feeds/" + "x" * 100 + ".rss", None),
    ],
)
def test_what_a_path_is(path: str, target: str | None) -> None:
    found = parse_target(path)
    assert (found and f"{found[0]} {found[1]}") == target


@pytest.mark.parametrize(
    ("agent", "reader", "subscribers"),
    [
        (FEEDLY, "Feedly", 16),
        ("Feedbin feed-id:123 - 10 subscribers", "Feedbin", 10),
        ("Inoreader/1.0 (+http://www.inoreader.com/feed-fetcher; 3 subscribers; )", "Inoreader", 3),
        ("Mozilla/5.0 (compatible; inoreader.com; 3 subscribers)", "Inoreader", 3),
        ("NewsBlur Feed Fetcher - 5 subscribers - http://www.newsblur.com/site/1/x", "NewsBlur", 5),
        ("Mozilla/5.0 (compatible; theoldreader.com; 2 subscribers; feed-id=abc)", "theoldreader.com", 2),
        ("Tiny Tiny RSS/21.04 (https://tt-rss.org/)", "Tiny Tiny RSS", None),
        ("FreshRSS/1.24.0 (Linux; https://freshrss.org)", "FreshRSS", None),
        ("WordPress/6.1; https://blp.example.go.id", "WordPress", None),
        ("New-Reader/2.0 (1 subscriber)", OTHER, None),
        ("judi-slot-gacor.example.com/1 9999999 subscribers", OTHER, None),
        ("www.judi.example.com 5 readers", OTHER, None),
        ("Mozilla/5.0 (compatible; 7 subscribers)", OTHER, None),
        ("<script>alert(1)</script> 12 subscribers", OTHER, None),
        ("FreshRSS/1.24.0 (5 subscribers)", "FreshRSS", None),  # it is nobody's service
        (f"Feedly/1.0 {MOST_SUBSCRIBERS} subscribers", "Feedly", MOST_SUBSCRIBERS),
        (f"Feedly/1.0 {MOST_SUBSCRIBERS + 1} subscribers", "Feedly", None),
        ("'; DROP TABLE visits; --", OTHER, None),
        ("Budi-Santoso-Laptop/1.0", OTHER, None),
        (FIREFOX, OTHER, None),
        ("", OTHER, None),
        ("Feedly/1.0 99999999999999999999 subscribers", "Feedly", None),
        ("x" * 100_000 + " 5 subscribers", OTHER, None),
    ],
)
def test_readers_are_told_by_product(agent: str, reader: str, subscribers: int | None) -> None:
    assert parse_reader(agent) == (reader, subscribers)


def test_pages_feeds_and_embeds_are_counted_apart() -> None:
    assert count(
        ("", FIREFOX), ("index.html", FIREFOX), ("embed/semua.html", FIREFOX), ("feeds/semua.rss", FEEDLY)
    ) == {
        ("page", "list", ""): 2,
        ("embed", "semua", ""): 1,
        ("feed", "semua", "Feedly"): 1,
        ("subscribers", "semua", "Feedly"): 16,
    }


@pytest.mark.parametrize("bot", ["Googlebot/2.1", "Mozilla/5.0 (compatible; bingbot)", "Baiduspider", "Yahoo! Slurp"])
def test_robots_are_no_readers(bot: str) -> None:
    assert count(("", bot), ("embed.js", bot), ("feeds/semua.rss", bot)) == {}


def test_what_a_browser_loads_ahead_is_no_visit() -> None:
    assert count(("", FIREFOX), is_ahead=True) == {}


def test_the_script_of_an_embed_is_counted_once() -> None:
    assert count(("embed.js", FIREFOX)) == {("embed", "embed.js", ""): 1}
    assert count(("feeds/semua.json", FIREFOX), is_embedded=True) == {}


def test_of_subscribers_the_highest_number_counts() -> None:
    told = [("feeds/semua.rss", f"Feedbin feed-id:1 - {number} subscribers") for number in (3, 10, 7)]
    assert count(*told) == {("feed", "semua", "Feedbin"): 3, ("subscribers", "semua", "Feedbin"): 10}


def test_junk_takes_neither_room_nor_names() -> None:
    feeds = [(f"feeds/f{number}.rss", FIREFOX) for number in range(MOST_COUNTERS + 50)]
    assert len(count(*feeds)) == MOST_COUNTERS
    readers = [("feeds/semua.rss", f"Junk{number}/1 (1 subscriber)") for number in range(50)]
    assert count(*readers) == {("feed", "semua", OTHER): 50}


# Saving ------------------------------------------------------------------------------------------------


def test_a_failing_database_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    book = Book()
    counting = Visits(book.save, lambda: NOW, WIB)

    async def story() -> None:
        book.is_broken = True
        counting.count("", FIREFOX)
        await counting.flush()
        counting.count("", FIREFOX)
        await counting.flush()
        book.is_broken = False
        await counting.flush()

    asyncio.run(story())
    assert book.kept == {Counted(TODAY, VisitKind.PAGE, "list"): 2}
    assert "kept in memory" in caplog.text


def test_the_day_is_that_of_the_zone() -> None:
    book, clock = Book(), [datetime(2026, 11, 24, 16, 59, tzinfo=UTC)]
    counting = Visits(book.save, lambda: clock[0], WIB)
    counting.count("", FIREFOX)
    clock[0] += timedelta(minutes=1)
    counting.count("", FIREFOX)
    asyncio.run(counting.flush())
    assert [counted.day.day for counted in book.kept] == [24, 25]


def test_it_is_saved_as_time_goes_by_and_at_the_end() -> None:
    saved: list[int] = []
    counting = Visits(lambda counts, today: saved.append(sum(counts.values())), lambda: NOW, WIB)

    async def story() -> None:
        async with counting.saving(every=0.001):
            counting.count("", FIREFOX)
            while not saved:
                await asyncio.sleep(0)
            counting.count("", FIREFOX)
            counting.count("", FIREFOX)

    asyncio.run(story())
    assert saved[0] == 1
    assert sum(saved) == 3


def add(engine: Engine, *counts: tuple[date, VisitKind, str, str, int]) -> None:
    save_visits(engine, {Counted(*key): number for *key, number in counts}, TODAY)  # type: ignore[arg-type]


def test_two_servers_add_up(engine: Engine) -> None:
    page, feed, stated = VisitKind.PAGE, VisitKind.FEED, VisitKind.SUBSCRIBERS
    add(
        engine,
        (TODAY, page, "list", "", 3),
        (TODAY, feed, "semua", "Feedly", 2),
        (TODAY, stated, "semua", "Feedly", 16),
    )
    add(engine, (TODAY, page, "list", "", 4), (TODAY, page, "week", "", 1), (TODAY, stated, "semua", "Feedly", 12))
    add(engine, (TODAY, VisitKind.EMBED, "semua", "", 5), (TODAY, stated, "semua", "Feedbin", 10))
    report = find_visits(engine, first_day(TODAY), TODAY)
    assert report.days == [VisitDay(TODAY, pages=8, embeds=5, feeds=2, subscribers=26)]
    assert report.fetches == {("semua", "Feedly"): 2}
    assert report.subscribers == {("semua", "Feedly"): 16, ("semua", "Feedbin"): 10}


def test_subscribers_are_the_last_that_each_reader_stated(engine: Engine) -> None:
    days = [TODAY - timedelta(days=back) for back in (8, 3, 1)]
    add(engine, *((day, VisitKind.SUBSCRIBERS, "semua", "Feedly", 20 - n) for n, day in enumerate(days)))
    add(engine, (days[0], VisitKind.SUBSCRIBERS, "semua", "Gone", 99))
    assert find_visits(engine, first_day(TODAY), TODAY).subscribers == {("semua", "Feedly"): 18}


def test_old_days_become_months(engine: Engine) -> None:
    old = date(2025, 8, 30)
    kept = TODAY - timedelta(days=KEPT_DAYS)
    counts: list[Any] = [
        (old, VisitKind.PAGE, "list", "", 3),
        (old + timedelta(days=1), VisitKind.PAGE, "tender", "", 4),
        (old, VisitKind.FEED, "semua", "Feedly", 5),
        (old, VisitKind.SUBSCRIBERS, "semua", "Feedly", 16),
        (kept, VisitKind.PAGE, "list", "", 1),
    ]
    add(engine, *counts)
    add(engine, (old, VisitKind.PAGE, "list", "", 10), (TODAY, VisitKind.PAGE, "list", "", 1))
    with engine.connect() as connection:
        rows = {tuple(row) for row in connection.execute(sa.select(*visits.c))}
    assert rows == {
        ("2025-08-01", "page", "", "", 17),
        ("2025-08-01", "feed", "", "", 5),
        (kept.isoformat(), "page", "list", "", 1),
        ("2026-11-24", "page", "list", "", 1),
    }


def test_a_day_has_room_for_so_many_readers(engine: Engine) -> None:
    feed, stated = VisitKind.FEED, VisitKind.SUBSCRIBERS
    add(engine, *((TODAY, feed, f"f{n:04}", "Feedly", 1) for n in range(MOST_ROWS - 1)))
    more = [(TODAY, feed, "semua", f"r{n}", 2) for n in range(5)]
    add(engine, (TODAY, feed, "f0000", "Feedly", 9), *more, (TODAY, stated, "semua", "r1", 7))
    yesterday = TODAY - timedelta(days=1)
    add(engine, (TODAY, VisitKind.PAGE, "list", "", 3), (yesterday, feed, "semua", "r9", 1))
    report = find_visits(engine, first_day(TODAY), TODAY)
    assert len(report.fetches) == MOST_ROWS + 2
    assert report.fetches["f0000", "Feedly"] == 10
    assert {key: n for key, n in report.fetches.items() if key[0] == "semua"} == {
        ("semua", "r0"): 2,
        ("semua", OTHER): 8,  # nothing that was fetched is lost
        ("semua", "r9"): 1,
    }
    assert report.subscribers == {}
    assert report.days[-1].pages == 3


def test_a_locked_database_is_told_as_such(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/warta.db")
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE visits"))
    with pytest.raises(DatabaseError):
        add(engine, (TODAY, VisitKind.PAGE, "list", "", 1))


# The server --------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Starlette, Engine]:
    """A server of a small tree, and its database."""
    root = tmp_path / "public"
    for path in ("index.html", "kunjungan.html", "feeds/semua.rss", "feeds/semua.json", "embed.js", "style.css"):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path, encoding="utf-8")
    engine = open_database(f"sqlite:///{tmp_path}/warta.db")
    return make_app(make_config(), Repository(engine), root), engine


def end(app: Starlette) -> None:
    """The server starts and ends; what it counted before is saved then."""

    async def live() -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(live())


def test_the_server_counts_what_it_answers(kept: tuple[Starlette, Engine]) -> None:
    app, engine = kept
    tag = ask(app, "/feeds/semua.rss", user_agent=FEEDLY).headers["etag"]
    assert ask(app, "/feeds/semua.rss", user_agent=FEEDLY, if_none_match=tag).status == 304
    ask(app, "/", user_agent=FIREFOX, cookie="who=budi", referer="https://example.org/secret")
    ask(app, "/?q=secret", user_agent=FIREFOX, x_forwarded_for="203.0.113.9")
    ask(app, "/", "HEAD", user_agent=FIREFOX)
    ask(app, "/nothing.html", user_agent=FIREFOX)
    ask(app, "/feeds/nothing.rss", user_agent=FEEDLY)
    ask(app, "/style.css", user_agent=FIREFOX)
    ask(app, "/index.html", user_agent=FIREFOX, sec_purpose="prefetch;prerender")
    ask(app, "/feeds/semua.json", user_agent=FIREFOX, sec_fetch_mode="cors")
    ask(app, "/embed.js", user_agent=FIREFOX)
    assert ask(app, "/", "POST").status == 405
    end(app)
    with engine.connect() as connection:
        rows = {row[1:] for row in connection.execute(sa.select(*visits.c))}
    assert rows == {
        ("page", "list", "", 2),
        ("feed", "semua", "Feedly", 2),
        ("subscribers", "semua", "Feedly", 16),
        ("embed", "embed.js", "", 1),
    }


def test_counting_that_fails_fails_no_request(kept: tuple[Starlette, Engine], caplog: pytest.LogCaptureFixture) -> None:
    app, engine = kept
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE visits"))
    assert ask(app, "/").status == 200
    end(app)
    assert "kept in memory" in caplog.text


def test_the_middleware_leaves_other_scopes_alone() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    counting = CountVisits(app, Visits(Book().save, lambda: NOW, WIB))
    asyncio.run(counting({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


# The page ----------------------------------------------------------------------------------------------


def test_the_page_and_status_json_say_the_same(engine: Engine) -> None:
    yesterday = TODAY - timedelta(days=1)
    add(
        engine,
        (yesterday, VisitKind.PAGE, "list", "", 1234),
        (TODAY, VisitKind.EMBED, "embed.js", "", 7),
        (TODAY, VisitKind.FEED, "semua", "Feedly", 3),
        (TODAY, VisitKind.FEED, "semua", OTHER, 2),
        (TODAY, VisitKind.FEED, "gone<b>", "Evil<b>", 1),
        (TODAY, VisitKind.SUBSCRIBERS, "semua", "Feedly", 16),
    )
    report = find_visits(engine, first_day(TODAY), TODAY)
    told = tell_visits(report, TODAY)
    assert len(told["days"]) == DAYS
    assert told["days"][-2:] == [
        {"day": "2026-11-23", "pages": 1234, "embeds": 0, "feeds": 0, "subscribers": 0},
        {"day": "2026-11-24", "pages": 0, "embeds": 7, "feeds": 6, "subscribers": 16},
    ]
    assert told["subscribers"] == {"semua": 16}
    config = make_config()
    page = render_visits(load_site(config, sample=False), report, shipped_feeds(config, ()), NOW).decode()
    for words in ("1.234", "Halaman dibuka: terbanyak 1.234 pada 23 Nov 2026", "Semua paket terbuka", "Feedly", "Lain"):
        assert words in page
    assert "noindex" in page
    assert "<b>" not in page.partition("<main")[2]


def test_without_a_visit_it_says_so() -> None:
    engine = open_database("sqlite://")
    report = find_visits(engine, first_day(TODAY), TODAY)
    assert tell_visits(report, TODAY) == {"days": [], "subscribers": {}}
    assert len(list_days(report, TODAY)) == DAYS
    for language, words in (("id", "Belum ada kunjungan"), ("en", "No visit is counted yet")):
        config = make_config(language=language)
        page = render_visits(load_site(config, sample=False), report, shipped_feeds(config, ()), NOW).decode()
        assert words in page
        assert "warta serve" in page


def test_the_page_names_ten_readers_of_a_feed_and_sums_up_the_others(engine: Engine) -> None:
    readers = [f"Reader{n:02}" for n in range(MOST_READERS + 3)]
    add(engine, *((TODAY, VisitKind.FEED, "semua", reader, 100 - n) for n, reader in enumerate(readers)))
    add(engine, (TODAY, VisitKind.FEED, "semua", OTHER, 1000), (TODAY, VisitKind.SUBSCRIBERS, "semua", readers[-1], 6))
    config = make_config()
    report = find_visits(engine, first_day(TODAY), TODAY)
    page = render_visits(load_site(config, sample=False), report, shipped_feeds(config, ()), NOW).decode()
    assert re.findall(r'class="in">([^<]+)<', page) == [readers[-1], *readers[: MOST_READERS - 1], "Lain"]
    rest = sum(100 - n for n in range(MOST_READERS - 1, MOST_READERS + 2)) + 1000
    assert f'class="in">Lain</th><td class="n">–</td><td class="n">{rest:,}'.replace(",", ".") in page
