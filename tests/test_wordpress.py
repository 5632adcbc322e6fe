"""The wordpress family: its parser beside values, and crawls of a made-up site over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from aggregator.config import ConfigError
from aggregator.models import Event, Kind, Known, Status, Sweep, Visit
from aggregator.verdicts import Verdict
from demo.messages import Request, Response
from demo.newsroom import EVERY, Newsroom
from demo.wordpress import FAULTS, Site
from spiders.reading import ShapeError
from spiders.wordpress import WordpressOptions, find_after, parse_posts, parse_totals
from tests.news_road import BAD_LINES, NewsRoad, open_road
from tests.road import NOW, WIB

FIXTURES = Path(__file__).parent / "fixtures" / "wordpress"
SAMPLES = Path(__file__).parents[2] / "shared" / "samples" / "wordpress"
SITE = "https://blp.example.go.id"
MakeRoad = Callable[..., NewsRoad]


@pytest.fixture
def make_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeRoad]:
    monkeypatch.delenv("WARTA_DATABASE_URL", raising=False)
    with ExitStack() as roads:

        def make(articles: int = 12, options: str = "") -> NewsRoad:
            site = Site(Newsroom(NOW, articles))
            return roads.enter_context(open_road(tmp_path, "wordpress", site, options=options))

        yield make


@pytest.fixture
def road(make_road: MakeRoad) -> NewsRoad:
    return make_road()


# Parsing --------------------------------------------------------------------------------------------------


def test_a_page_of_posts_means_its_value() -> None:
    posts, wrong = parse_posts((FIXTURES / "posts.json").read_bytes(), SITE, WIB)
    assert wrong == []
    told = [
        {
            "key": post.item.key,
            "title": post.item.title,
            "url": post.item.url,
            "text": post.item.text,
            "published": post.item.published.isoformat() if post.item.published else None,
        }
        for post in posts
    ]
    assert told == json.loads((FIXTURES / "posts.value.json").read_text(encoding="utf-8"))
    assert [post.categories for post in posts] == [{3, 9}, set(), set()]


def test_the_recorded_listing_is_read() -> None:
    path = SAMPLES / "wp_posts_listing.json"
    if not path.exists():
        pytest.skip("the recorded responses are not beside this checkout")
    posts, wrong = parse_posts(path.read_bytes(), SITE, WIB)
    first, second = (post.item for post in posts)
    assert wrong == []
    assert (first.key, second.key) == ("12084", "11907")
    assert first.title == "Azione 2.4.1.2 a “Studio, indagine e monitoraggio sul rischio sismico”"
    assert first.url.startswith("https://www.sviluppo.toscana.it/bando/azione-2-4-1-2-a-")


def test_the_recorded_drift_is_told() -> None:
    path = SAMPLES / "wp_posts_listing_drifted.json"
    if not path.exists():
        pytest.skip("the recorded responses are not beside this checkout")
    with pytest.raises(ShapeError, match="a post whose id is wrong: Field required") as raised:
        parse_posts(path.read_bytes(), SITE, WIB)
    assert "postId" in raised.value.sample


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"code": "rest_no_route", "message": "x", "data": {"status": 404}}',
        b"[[]]",
        b"[" * 200_000,
        b'[{"id": "1", "link": "https://x.id/", "title": {"rendered": "x"}}]',
        b'[{"id": true, "link": "https://x.id/", "title": {"rendered": "x"}}]',
        b'[{"id": 0, "link": "https://x.id/", "title": {"rendered": "x"}}]',
        b'[{"id": 1, "link": "https://x.id/", "title": "x"}]',
        b'[{"id": 1, "title": {"rendered": "x"}}]',
        b'[{"id": 1, "link": "https://x.id/", "title": {"rendered": "x"}, "date": 20261124}]',
        b'[{"id": 1, "link": "https://x.id/", "title": {"rendered": "x"}, "date": "kemarin"}]',
        b'[{"id": 1, "link": "https://x.id/", "title": {"rendered": "x"}, "date_gmt": "0001-01-01T00:00:00"}]',
    ],
)
def test_another_shape_is_never_an_empty_list(body: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_posts(body, SITE, WIB)


def test_an_empty_list_is_a_list() -> None:
    assert parse_posts(b"[]", SITE, WIB) == ([], [])
    assert parse_posts(b"\xef\xbb\xbf[]", SITE, WIB) == ([], [])


def test_one_post_that_cannot_be_read_costs_no_other() -> None:
    good = b'{"id": 1, "link": "https://x.id/", "title": {"rendered": "x"}}'
    posts, wrong = parse_posts(b"[" + good + b', {"id": 2}]', SITE, WIB)
    assert [post.item.key for post in posts] == ["1"]
    assert [str(error) for error in wrong] == ["a post whose link is wrong: Field required"]


def test_totals_must_be_announced() -> None:
    assert parse_totals({"X-WP-Total": b"12", "X-WP-TotalPages": b"1"}) == (12, 1)
    wrong = ({"X-WP-Total": text, "X-WP-TotalPages": b"1"} for text in (b"many", b"9" * 5000))
    for headers in ({}, {"X-WP-Total": b"12"}, *wrong):
        with pytest.raises(ShapeError, match="without X-WP-Total"):
            parse_totals(headers)


def test_after_is_asked_for_only_when_something_is_known() -> None:
    known = {(Kind.NEWS, "1"): Known()}
    of_others = {(Kind.TENDER, "1"): Known()}
    plain, since = WordpressOptions(), WordpressOptions(since=date(2026, 1, 1))

    def after(options: WordpressOptions, sweep: Sweep, known: dict[tuple[Kind, str], Known]) -> str | None:
        found = find_after(options, Visit(portal="blp", now=NOW, sweep=sweep, known=known), WIB)
        return found.isoformat() if found else None

    assert after(plain, Sweep.OPEN, {}) is None
    assert after(plain, Sweep.OPEN, of_others) is None
    assert after(plain, Sweep.FULL, known) is None
    assert after(plain, Sweep.OPEN, known) == "2026-10-25T00:00:00"
    assert after(since, Sweep.OPEN, {}) == after(since, Sweep.FULL, known) == "2025-12-31T23:59:59"
    assert after(since, Sweep.OPEN, known) == "2026-10-25T00:00:00"


# A quiet site ---------------------------------------------------------------------------------------------


def queries(road: NewsRoad) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(seen.address).query) for seen in road.server.stats.requests if seen.page == "posts"]


def test_a_first_crawl_reads_every_post(make_road: MakeRoad) -> None:
    road = make_road(250)
    run = road.crawl()
    assert (run.verdict, run.reasons, run.new, run.errors) == (Verdict.OK, (), 250, 0)
    assert [query["page"] for query in queries(road)] == [["1"], ["2"], ["3"]]
    assert all(query["per_page"] == ["100"] and "after" not in query for query in queries(road))
    records = road.records()
    assert records.keys() == {str(article.id) for article in road.newsroom.articles}
    newest = road.newsroom.articles[-1]
    tender = records[str(newest.id)].tender
    assert (tender.kind, tender.status, tender.published) == (Kind.NEWS, Status.COMPLETE, newest.published)
    assert tender.url == f"{road.server.url}/berita/{newest.slug}/"
    assert tender.description is not None
    assert tender.description.endswith(f"Nomor {newest.id}.")
    assert "alert" not in tender.description


def test_a_second_crawl_asks_the_same_pages_and_changes_nothing(road: NewsRoad) -> None:
    road.crawl()
    before = road.content()
    for sweep in (Sweep.FULL, Sweep.OPEN):
        run = road.crawl(sweep)
        assert (run.verdict, run.new, run.changed, run.withdrawn) == (Verdict.OK, 0, 0, 0)
        assert road.server.stats.pages == {"posts": 1}  # robots.txt is known
    assert road.content() == before


def test_an_open_sweep_asks_for_recent_posts_only(make_road: MakeRoad) -> None:
    road = make_road(250)
    assert road.crawl(Sweep.OPEN).new == 250
    run = road.crawl(Sweep.OPEN)
    assert (run.verdict, run.seen) == (Verdict.OK, 1 + timedelta(days=30) // EVERY)
    assert [query["after"] for query in queries(road)] == [["2026-10-25T00:00:00"]]


def test_a_site_without_posts_is_fine(make_road: MakeRoad) -> None:
    run = make_road(0).crawl()
    assert (run.verdict, run.reasons, run.seen) == (Verdict.OK, (), 0)


def test_a_limit_reads_the_newest_and_withdraws_nothing(road: NewsRoad) -> None:
    assert road.crawl(limit=5).new == 5
    assert queries(road)[0]["per_page"] == ["5"]
    assert road.records().keys() == {str(article.id) for article in road.newsroom.newest_first()[:5]}
    road.crawl()
    for _ in range(3):
        assert road.crawl(limit=1).withdrawn == 0


def test_categories_and_since_narrow_the_list(make_road: MakeRoad) -> None:
    road = make_road(options='categories = [2], since = "2026-11-10"')
    assert road.crawl().verdict is Verdict.OK
    wanted = {a for a in road.newsroom.articles if a.category == 2 and a.published.date() >= date(2026, 11, 10)}
    assert road.records().keys() == {str(article.id) for article in wanted}
    assert wanted


# A site that changes --------------------------------------------------------------------------------------


def test_new_and_edited_posts_are_told_once(road: NewsRoad) -> None:
    road.crawl()
    added, edited, told = road.crawl_news()
    assert dict(told) == {added: (Event.NEW,), edited: (Event.DETAILS,)}
    assert road.records()[edited].tender.description == "Diralat."
    assert road.crawl().changed == 0


def test_a_deleted_post_is_withdrawn_after_two_full_sweeps(road: NewsRoad) -> None:
    road.crawl()
    gone = road.newsroom.articles[3].id
    road.newsroom.delete(gone)
    assert [road.crawl(Sweep.OPEN).withdrawn for _ in range(3)] == [0, 0, 0]
    assert [road.crawl().withdrawn for _ in range(3)] == [0, 1, 0]
    assert road.records()[str(gone)].tender.status is Status.WITHDRAWN


def test_a_month_goes_by(road: NewsRoad) -> None:
    road.crawl()
    for _ in range(10):
        road.server.advance(3)
        assert road.crawl(Sweep.OPEN).new == 1
    assert road.records().keys() == {str(article.id) for article in road.newsroom.articles}


def test_a_site_gone_quiet_is_told(make_road: MakeRoad) -> None:
    make_road(options='stale_after = "7d"').assert_stale(8, "stale: the newest item is older than 7 days")


# Bad days -------------------------------------------------------------------------------------------------


BAD_DAYS = [
    ("drifted", Verdict.FAILED, "listing: blp: a post whose id is wrong"),
    ("html", Verdict.FAILED, "listing: blp: a list of posts without X-WP-Total"),
    ("closed", Verdict.FAILED, "refused: blp: 401"),
    ("no_totals", Verdict.FAILED, "listing: blp: a list of posts without X-WP-Total"),
    ("short", Verdict.PARTIAL, "short: posts: 12 announced, 10 came"),
    ("empty", Verdict.PARTIAL, "short: posts: 12 announced, 0 came"),
    ("duplicates", Verdict.PARTIAL, "duplicate_key: posts: an id stands twice"),
    ("unsorted", Verdict.PARTIAL, "unsorted: posts: not newest first as asked"),
    *BAD_LINES,
]


@pytest.mark.parametrize(("fault", "verdict", "reason"), BAD_DAYS)
def test_faults_are_told_and_nothing_wrong_is_stored(road: NewsRoad, fault: str, verdict: Verdict, reason: str) -> None:
    road.assert_bad_days(fault, "wp-json", verdict, reason)


def test_every_fault_of_the_stand_in_is_tried() -> None:
    assert {fault for fault, _, _ in BAD_DAYS} | {"unfiltered"} >= FAULTS.keys()


def test_an_ignored_filter_is_told_and_its_posts_left_out(make_road: MakeRoad) -> None:
    road = make_road(options='categories = [2], since = "2026-11-10"')
    road.server.faults.add("unfiltered")
    run = road.crawl()
    assert run.verdict is Verdict.PARTIAL
    assert [told.split(":")[0] for told in run.reasons] == ["filter"]
    kept = {a for a in road.newsroom.articles if a.category == 2 and a.published.date() >= date(2026, 11, 10)}
    assert road.records().keys() == {str(article.id) for article in kept}


def test_a_page_that_fails_midway_keeps_what_was_read(make_road: MakeRoad) -> None:
    road = make_road(150)
    road.server.faults.add("error", match="page=2")
    run = road.crawl()
    assert (run.verdict, run.new) == (Verdict.FAILED, 100)
    road.server.faults.clear()
    assert (road.crawl().verdict, len(road.records())) == (Verdict.OK, 150)


def test_a_post_that_comes_between_two_pages_withdraws_nothing(make_road: MakeRoad) -> None:
    road = make_road(150)
    road.crawl()
    answer, site = road.server.answer, road.newsroom

    def publish_before_page_two(request):  # type: ignore[no-untyped-def] # as Server.answer
        if "page=2" in request.query_string:
            site.publish()
        return answer(request)

    road.server.answer = publish_before_page_two  # type: ignore[method-assign]
    run = road.crawl()
    assert (run.verdict, run.withdrawn) == (Verdict.PARTIAL, 0)
    assert "short: posts: 150, 151 announced, 150 came" in run.reasons


def test_a_mistake_in_the_options_is_named(make_road: MakeRoad) -> None:
    road = make_road(options='typ = "pengumuman"')
    with pytest.raises(ConfigError, match=r"portal blp: options\.typ: unknown key"):
        road.crawl()
    assert road.server.stats.requests == []


# Without end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shift", "reason"), [(0, "page 2: an earlier page again"), (10, "no end after 4 pages")])
def test_pages_announced_without_end_are_not_read_for_ever(
    road: NewsRoad, monkeypatch: pytest.MonkeyPatch, shift: int, reason: str
) -> None:
    """The same posts on each of a thousand million pages, or others on every one."""
    monkeypatch.setattr("spiders.wordpress.MOST_PAGES", 4)
    answer = road.server.answer

    def announce_more(request: Request) -> Response:
        page = int(request.query.get("page", "1"))
        request.query["page"] = "1"
        told = answer(request)
        if told.page != "posts" or page > 9:  # so that a guard that is missing is a test that fails
            return told
        posts = json.loads(told.body)
        for post in posts:
            post["id"] += shift * 1000 * page
        headers = [(name, "999999999" if name == "X-WP-TotalPages" else value) for name, value in told.headers]
        return replace(told, body=json.dumps(posts).encode(), headers=tuple(headers))

    road.server.answer = announce_more  # type: ignore[method-assign]
    run = road.crawl()
    assert run.verdict is Verdict.FAILED
    assert f"listing: posts: {reason}" in run.reasons
    assert road.asked("posts") <= 5
    assert run.new == 12 * (4 if shift else 1)
