"""The server under attack: odd requests, foreign hosts, searches for hostile texts; and filters that end in SQL."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.engine import Engine
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from aggregator.config import parse_config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Reading
from aggregator.repository import Repository
from aggregator.search import fold
from feeds.app import make_app
from feeds.definitions import Format
from feeds.serving.answers import MOST_WAITING, Answers, Rendered
from feeds.serving.files import HeldFile
from feeds.serving.running import Patience
from feeds.serving.searching import Searching
from tests.feed_samples import TENDER
from tests.hostile_texts import CHARACTERS, LANGUAGES, LINES, MARKUP, NOW, make_few, save_hostile, write_config
from tests.test_app import ask, put
from tests.test_running import say, serving
from tests.test_threats_readers import Suspicion, find_unseen, suspect_calendar, suspect_xml

UTC = ZoneInfo("UTC")
FOREIGN = "forged.example"
CANARY = "<script>attack"  # of every text that would run
PATHS = (
    *("/", "/feeds", "/feeds/semua.rss", "/nothing", "/api", "/api/nothing", "/api/openapi.json"),
    *("/api/tenders?limit=2", "/cari.html?q=jalan", "/cari.html?limit=x", "/feeds/search.rss?q=jalan"),
    *("/feeds/search.atom?q=jalan", "/feeds/search.json?q=jalan", "/feeds/search.ics?q=jalan"),
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> ASGIApp:
    """A server of a small tree, and of a database in which every text is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    config = parse_config(write_config(), folder / "warta.toml")
    repository = Repository(open_database(config.database_url))
    save_hostile(repository, list(make_few()))
    for path in ("index.html", "feeds/index.html", "feeds/semua.rss", "embed/semua.html", "status.json"):
        put(config.public_folder, path)
    return make_app(config, repository, now=lambda: NOW)


# What is asked for, and what else stands in a request ----------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [
        {"host": FOREIGN},
        {"host": f'{FOREIGN}:1"><script>attack(80)</script>'},
        {"x_forwarded_host": FOREIGN, "x_forwarded_proto": "gopher", "x_forwarded_port": "1"},
        {"x_forwarded_prefix": f"//{FOREIGN}", "x_forwarded_server": FOREIGN, "x_forwarded_for": "10.0.0.1"},
        {"forwarded": f"host={FOREIGN};proto=gopher"},
        {"x_original_url": "/nothing", "x_rewrite_url": "/nothing", "x_http_method_override": "DELETE"},
        {"origin": f"https://{FOREIGN}", "referer": f"https://{FOREIGN}/"},
        {"cookie": "a=b", "authorization": "Basic YTpi", "user_agent": CANARY, "accept": "application/json"},
        {"accept_language": "en", "accept_charset": "utf-7", "range": "bytes=0-3", "te": "trailers"},
    ],
    ids=lambda field: next(iter(field)),
)
def test_no_header_moves_an_answer_that_others_get_from_a_cache(app: ASGIApp, field: dict[str, str]) -> None:
    """Addresses are those of the configuration, and what a cache does not keep apart has no influence."""
    for path in PATHS:
        moved, plain = ask(app, path, **field), ask(app, path)
        assert moved == plain, path
        told = f"{moved.headers} {moved.body!r}"
        assert FOREIGN not in told, path
        if path == "/api/openapi.json":
            assert json.loads(moved.body)["servers"] == [{"url": "https://blp.example.go.id/umpan/api"}]


def test_an_error_is_kept_by_nobody(app: ASGIApp) -> None:
    for path in ("/nothing", "/api/nothing", "/cari.html?limit=x", "/feeds/search.rss?limit=x", "/api/tenders?a=b"):
        refused = ask(app, path)
        assert refused.status in {400, 404}
        assert refused.headers["cache-control"] == "no-cache"
    head, got = ask(app, "/feeds/search.rss?q=obat", "HEAD"), ask(app, "/feeds/search.rss?q=obat")
    assert (head.body, head.headers) == (b"", got.headers)
    assert got.body


def test_every_answer_has_the_rules_of_its_sort(app: ASGIApp) -> None:
    """Errors and redirects, too: nothing is sniffed, pages run their own files, only embeds stand in frames."""
    for path in (
        *PATHS,
        "/embed/semua.html",
        "/status.json",
        "/cari.html?q=a",
        "/x\ny",
        "/%00",
        "/metrics",
        "/healthz",
    ):
        for method in ("GET", "HEAD", "POST"):
            answer = ask(app, path, method)
            assert answer.headers["x-content-type-options"] == "nosniff", (method, path)
            assert "set-cookie" not in answer.headers
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'"), (method, path)
            assert "base-uri 'none'; form-action 'self'" in policy
            framed = path.startswith("/embed/") and method != "POST"
            assert ("frame-ancestors *" if framed else "frame-ancestors 'none'") in policy, (method, path)
            assert answer.headers["referrer-policy"] == "strict-origin-when-cross-origin"


@pytest.mark.parametrize("path", ["/feeds", "/api", "/feeds?", "/api?"])
@pytest.mark.parametrize(
    "rest", ["", "\r\nSet-Cookie: a=b", "//evil.example", "/..//evil.example", "?next=//evil.example"]
)
def test_a_redirect_leads_to_a_folder_of_ours(app: ASGIApp, path: str, rest: str) -> None:
    moved = ask(app, path + rest)
    assert moved.headers.get("location") in {"feeds/", "api/", None}
    assert (moved.status, "location" in moved.headers) in {(308, True), (404, False)}


ODD = (
    *("%00", "%ff%fe", "%C0%AF", "%u0041", "%", "%zz", "&&&", "=", "==", ";", "?", "a" * 10_000, "q=" + "a" * 3_990),
    *("q[]=a&q[]=b", "q=a&q=b", "q.x=1", "q%00=a", "Q=a", "__proto__=a", "constructor=a", "limit[]=1", "sort=rowid"),
    *("limit=-1", "limit=0", "limit=1e9", "limit=99999999999999999999", "limit=%D9%A1", "limit=0x10", "limit=1;DROP"),
    *("min_value=NaN", "min_value=Infinity", "min_value=-1", "min_value=1e400", "max_value=" + "9" * 3_000),
    *("year=%EF%BC%92%EF%BC%90%EF%BC%92%EF%BC%96", "year=99999", "page=0", "page=101", "page=-1", "page=1.5"),
    *("published_from=9999-12-31T23:59:59%2B23:59", "published_to=0001-01-01", "published_from=0000-00-00"),
    *("deadline_to=%2B9999d", "changed_since=-9999d", "changed_since=-99999d", "deadline_from=2026-02-30"),
    *("key=..%2f..%2fx", "key=%00", "portal=%0d%0aSet-Cookie:%20a", "buyer=" + quote(CANARY), "location=%25%5F"),
    *("category=" + quote(CANARY), "retender=" + quote(CANARY), "cursor=" + quote(CANARY), "after=-1", "at=junk"),
    *("cursor=" + "A" * 999, "cursor=e30", "cursor=bnVsbA", "&".join(f"key={n}" for n in range(60)), "&" * 3_999),
)


@pytest.mark.parametrize(
    "path",
    ["/cari.html", "/en/cari.html", "/feeds/search.rss", "/feeds/search.ics", "/api/tenders", "/api/releases"],
)
def test_an_odd_question_is_answered_or_refused(app: ASGIApp, path: str) -> None:
    for query in ODD:
        answer = ask(app, f"{path}?{query}")
        assert answer.status in {200, 400} or (path == "/api/releases" and answer.status == 410), query
        if answer.status == 400 and "html" in answer.headers["content-type"]:
            assert Suspicion(answer.body.decode()).found == [], query
        assert not any("\r" in value or "\n" in value for value in answer.headers.values())


def test_a_search_for_a_hostile_text_shows_it_as_text(app: ASGIApp) -> None:
    """In the page, its title and its form; in feeds and their addresses; in the answers of the API."""
    for text in (*MARKUP, *LINES, *LANGUAGES):
        query = "q=" + quote(text.encode("utf-8", "surrogatepass"))[:600]
        page, rss, calendar, told = (
            ask(app, f"/{path}?{query}")
            for path in ("cari.html", "feeds/search.rss", "feeds/search.ics", "api/tenders")
        )
        assert Suspicion(page.body.decode()).found == [], text
        if rss.status == 200:
            assert [*suspect_xml(rss.body), *suspect_calendar(calendar.body)] == [], text
        assert find_unseen(json.loads(told.body)) == [], text


def test_one_question_is_kept_once_however_it_is_spelled(tmp_path: Path) -> None:
    config = parse_config(write_config(), tmp_path / "warta.toml")
    searching = Searching(Repository(open_database(config.database_url)), lambda: NOW, lambda: 0.0, NOW)
    spellings = ("q=jalan&year=2026", "year=2026&q=+jalan+&x=1", "q=%6aalan&year=2026&year=2026&sort=published&&utm=2")

    async def find() -> list[HeldFile]:
        return [await searching.find_feed(config, Format.RSS, raw) for raw in spellings]

    first, *others = asyncio.run(find())
    assert all(file is first for file in others)


def test_who_asks_for_more_than_can_be_made_is_turned_away() -> None:
    """Searches that are all different: at most so many are made or wait, whoever comes then is told at once."""
    may = threading.Event()

    def render(_: datetime) -> Rendered:
        may.wait(30)
        return Rendered(b"made", NOW)

    async def flood() -> list[HeldFile]:
        answers = Answers(lambda: (1,), lambda: NOW, lambda: 0.0, NOW)

        def find(number: int) -> Awaitable[HeldFile]:
            return answers.find(f"feeds/search.rss?q={number}", "feeds/search.rss", render, moves=False)

        waiting = [asyncio.ensure_future(find(number)) for number in range(MOST_WAITING)]
        while len(answers._flights) < MOST_WAITING:
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(1, may.set)
        with pytest.raises(HTTPException) as refused:
            await find(MOST_WAITING)
        assert (refused.value.status_code, dict(refused.value.headers or {})) == (503, {"Retry-After": "30"})
        may.set()
        return await asyncio.gather(*waiting)

    assert {file.plain.body for file in asyncio.run(flood())} == {b"made"}


# Bytes on a connection -----------------------------------------------------------------------------------------


class Smuggled(NamedTuple):
    said: bytes
    status: bytes


SECOND = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLED = {
    "two lengths": Smuggled(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", b"400"
    ),
    "a length below none": Smuggled(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
    "a coding that nobody knows": Smuggled(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", b"400"
    ),
    "a blank before the colon": Smuggled(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n", b"400"),
    "length and chunks": Smuggled(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"405"
    ),
    "length and chunks of a GET": Smuggled(
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", b"200"
    ),
    "two hosts": Smuggled(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"400"),
    "a NUL": Smuggled(b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", b"400"),
    "a line break in a path": Smuggled(b"GET /a\nb HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
}


@pytest.fixture(scope="module")
def port(app: ASGIApp) -> Iterator[int]:
    with serving(Patience(header=2.0), app) as port:
        yield port


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_hides_behind_a_body_is_not_answered(port: int, name: str) -> None:
    """A proxy that counts the bytes of a body otherwise would hand the second answer to somebody else."""
    smuggled = SMUGGLED[name]
    with say(port, smuggled.said + SECOND) as connection:
        said = b""
        while more := connection.recv(65_536):
            said += more
    assert said.count(b"HTTP/1.1 ") == 1
    assert said.startswith(b"HTTP/1.1 " + smuggled.status)


def test_requests_without_a_body_may_follow_one_another(port: int) -> None:
    with say(port, SECOND + SECOND.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")) as connection:
        said = b""
        while more := connection.recv(65_536):
            said += more
    assert said.count(b"HTTP/1.1 404 ") == 2


# The database behind it -------------------------------------------------------------------------------------------

INJECTED = [
    text.encode("utf-8", "ignore").decode() for text in (*LANGUAGES, *LINES, *CHARACTERS[9:20], "%", "_", "\\", "a%")
]
NAMED = [" ".join(text.split())[:200] for text in INJECTED]


def test_no_value_of_a_filter_is_read_as_sql(engine: Engine) -> None:
    """Each key finds what bears that very name, however it is written, and nothing else; all tables are still there."""
    repository = Repository(engine)
    names = list({fold(name): name for name in NAMED if name.isprintable() and fold(name).strip()}.values())
    tenders = [
        replace(TENDER, key=f"k{n}", title=f"a {n}", buyer=name, procuring_entity=name, locations=(f"x{n}{name}",))
        for n, name in enumerate(names)
    ]
    repository.save([Reading(tender=tender) for tender in tenders], NOW)

    def find(**asked: str) -> list[str]:
        return sorted(record.tender.key for record in repository.find(Filter.parse(asked), NOW, UTC))

    for n, name in enumerate(names):
        assert find(buyer=name) == find(procuring_entity=name) == [f"k{n}"], name
        assert f"k{n}" in find(location=name), name
        assert find(location=f"x{n}{name}"[:200]) == [f"k{n}"], name
        assert find(key=name) == find(portal=name) == [], name
        find(q=name)
    for sign in ("%", "_", "\\"):
        assert find(location=sign) == sorted(f"k{n}" for n, name in enumerate(names) if sign in name), sign
    assert len(find()) == len(names)
