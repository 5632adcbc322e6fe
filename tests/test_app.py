"""The server by the letter of RFC 9110: types, validators, coding, methods, and nothing but what was published."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from aggregator.database import open_database
from aggregator.repository import Repository
from feeds.app import make_app
from feeds.serving.files import PublishedFiles
from tests.feed_samples import make_config

RSS = b"<rss>" + b"<item>paket</item>" * 50 + b"</rss>"
TIME = 1_795_488_000  # 24 Nov 2026, 02.40 UTC
MODIFIED = "Tue, 24 Nov 2026 02:40:00 GMT"
REPOSITORY = Repository(open_database("sqlite://"))  # empty: these tests ask for published files only


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(app: ASGIApp, path: str, method: str = "GET", **fields: str | list[str]) -> Answer:
    """One request; ``if_none_match="…"`` is a header, a list of values several lines of it."""
    raw = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, values in fields.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    target, _, query = path.partition("?")
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": target,
        "query_string": query.encode(),
        "root_path": "",
        "headers": raw,
        "scheme": "http",
        "server": ("test", 80),
    }
    sent: list[Any] = []

    asked: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return asked.pop() if asked else await asyncio.Future()  # the reader stays on the line

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        with contextlib.suppress(ZeroDivisionError):  # Starlette answers an error, then raises it for the log
            await app(scope, receive, send)

    asyncio.run(run())
    headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    assert len(dict(headers)) == len(headers), "no header twice"
    return Answer(sent[0]["status"], dict(headers), b"".join(each["body"] for each in sent[1:]))


def put(root: Path, path: str, body: bytes = RSS, *, twin: bool = True) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    for place, content in ((Path(f"{target}.gz"), gzip.compress(body, mtime=0)), (target, body)):
        if place == target or twin:
            fresh = place.with_name("fresh")
            fresh.write_bytes(content)
            os.utime(fresh, (TIME, TIME))
            fresh.replace(place)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "public"
    put(root, "feeds/semua.rss")
    put(root, "index.html", b"<h1>Paket</h1>" * 20)
    return root


@pytest.fixture
def app(root: Path) -> ASGIApp:
    return make_app(make_config(), REPOSITORY, root)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("feeds/semua.rss", "application/rss+xml"),
        ("feeds/semua.atom", "application/atom+xml"),
        ("feeds/semua.json", "application/feed+json"),
        ("feeds/semua.ics", "text/calendar"),
        ("feeds.opml", "text/x-opml"),
        ("feeds/semua.html", "text/html"),
        ("status.json", "application/json"),
        ("style.css", "text/css"),
        ("site.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
        ("robots.txt", "text/plain"),
    ],
)
def test_types(app: ASGIApp, root: Path, path: str, kind: str) -> None:
    put(root, path)
    answer = ask(app, f"/{path}")
    assert (answer.status, answer.body) == (200, RSS)
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


def test_a_page_has_a_strict_policy_and_a_feed_may_be_read_from_anywhere(app: ASGIApp) -> None:
    page, feed = ask(app, "/"), ask(app, "/feeds/semua.rss")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "access-control-allow-origin" not in page.headers
    assert feed.headers["access-control-allow-origin"] == "*"


def test_what_a_cache_needs(app: ASGIApp) -> None:
    headers = ask(app, "/feeds/semua.rss").headers
    assert headers["cache-control"] == "public, max-age=300, stale-while-revalidate=86400"
    assert headers["vary"] == "Accept-Encoding"
    assert headers["last-modified"] == MODIFIED
    assert headers["content-length"] == str(len(RSS))
    assert headers["etag"].startswith('"')  # strong


def test_each_coding_has_its_own_tag(app: ASGIApp) -> None:
    plain, packed = ask(app, "/feeds/semua.rss"), ask(app, "/feeds/semua.rss", accept_encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(packed.body) == plain.body == RSS
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["content-length"] == str(len(packed.body))
    held = plain.headers["etag"]
    assert ask(app, "/feeds/semua.rss", accept_encoding="gzip", if_none_match=held).status == 200
    assert ask(app, "/feeds/semua.rss", accept_encoding="gzip;q=0", if_none_match=held).status == 304


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_not_modified(app: ASGIApp, form: str, method: str) -> None:
    full = ask(app, "/feeds/semua.rss").headers
    answer = ask(app, "/feeds/semua.rss", method, if_none_match=form.format(full["etag"]))
    assert (answer.status, answer.body) == (304, b"")
    for name in ("etag", "cache-control", "vary"):
        assert answer.headers[name] == full[name]
    assert not {"content-type", "content-length", "content-encoding"} & answer.headers.keys()


def test_a_list_of_tags_may_stand_on_several_lines(app: ASGIApp) -> None:
    etag = ask(app, "/feeds/semua.rss").headers["etag"]
    assert ask(app, "/feeds/semua.rss", if_none_match=['"x"', f"W/{etag}"]).status == 304


def test_times_count_only_without_tags(app: ASGIApp) -> None:
    assert ask(app, "/feeds/semua.rss", if_modified_since=MODIFIED).status == 304
    assert ask(app, "/feeds/semua.rss", if_modified_since="junk").status == 200
    assert ask(app, "/feeds/semua.rss", if_modified_since=MODIFIED, if_none_match='"x"').status == 200
    assert ask(app, "/feeds/semua.rss", if_match='"x"').status == 412


def test_head_is_get_without_a_body(app: ASGIApp) -> None:
    for path in ("/", "/feeds/semua.rss", "/nothing"):
        got, head = ask(app, path), ask(app, path, "HEAD")
        assert (head.status, head.headers, head.body) == (got.status, got.headers, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods(app: ASGIApp, method: str) -> None:
    answer = ask(app, "/feeds/semua.rss", method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("ranges", ["bytes=0-9", "bytes=-1", "bytes=9999999-", "bytes=0-1,3-4", "lines=1-2", "junk"])
def test_a_range_is_answered_with_the_whole(app: ASGIApp, ranges: str) -> None:
    answer = ask(app, "/feeds/semua.rss", range=ranges, if_range='"x"')
    assert (answer.status, answer.body) == (200, RSS)
    assert "content-range" not in answer.headers


def test_an_archive_may_be_kept_for_good_and_asked_for_again(app: ASGIApp, root: Path) -> None:
    path = "feeds/semua/archive/2026-10.atom"
    put(root, path)
    full = ask(app, f"/{path}")
    assert full.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert full.headers["content-type"] == "application/atom+xml; charset=utf-8"
    again = ask(app, f"/{path}", if_none_match=full.headers["etag"])
    assert (again.status, again.headers["cache-control"]) == (304, full.headers["cache-control"])


def test_a_query_is_harmless(app: ASGIApp) -> None:
    assert ask(app, "/feeds/semua.rss?utm_source=x&%00=<script>") == ask(app, "/feeds/semua.rss")


def test_a_folder_is_its_index(app: ASGIApp, root: Path) -> None:
    put(root, "feeds/index.html", b"catalogue")
    assert ask(app, "/").body.startswith(b"<h1>Paket")
    assert ask(app, "/feeds/").body == b"catalogue"
    moved = ask(app, "/feeds")
    assert (moved.status, moved.headers["location"]) == (308, "feeds/")  # relative: right behind any proxy


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.html",
        "/feeds/../../secret.html",
        "/feeds/../index.html",
        "//index.html",
        "/feeds//semua.rss",
        "/./index.html",
        "/.warta.json",
        "/feeds/.hidden.rss",
        "/feeds\\semua.rss",
        "/secret.html\0.rss",
        "/notes.docx",
        "/feeds/semua.rss.gz",
        "/feeds/semua.rss/",
        "/linked.html",
        "/linked/secret.html",
        "/nothing.html",
        "/feeds/%2e%2e/index.html",
        "/feeds/semua.rss\n",
        "/cari.html\n",
        "/feeds/search.rss\n",
        "/" + "a" * 300,
        "/feeds/" + "a" * 255 + ".rss",
        "/" + "a/" * 3000,
    ],
)
def test_only_what_was_published(app: ASGIApp, root: Path, path: str) -> None:
    secret = root.parent / "secret.html"
    secret.write_text("secret")
    (root / "linked.html").symlink_to(secret)
    (root / "linked").symlink_to(root.parent)
    for name in (".warta.json", "feeds/.hidden.rss", "notes.docx"):
        put(root, name)
    assert ask(app, path).status == 404


EMPTY = make_app(make_config(), REPOSITORY, Path("/nonexistent"))


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_no_path_breaks_the_server(path: str) -> None:
    assert ask(EMPTY, f"/{path}").status == 503


def test_an_unknown_address_gets_a_page_of_the_site(app: ASGIApp) -> None:
    answer = ask(app, "/tenders/x/y.html")
    assert answer.status == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "content-security-policy" in answer.headers
    page = answer.body.decode()
    assert "Halaman ini tidak ada" in page
    assert 'href="../../style.css"' in page
    assert "https://spse.example.go.id/malangkota" in page


def test_the_path_is_not_repeated_in_the_page(app: ASGIApp) -> None:
    assert b"nonsense" not in ask(app, "/<script>nonsense</script>").body


def test_before_the_first_publish(tmp_path: Path) -> None:
    answer = ask(make_app(make_config(), REPOSITORY, tmp_path), "/")
    assert (answer.status, answer.headers["retry-after"]) == (503, "60")


def test_an_error_of_our_own_is_a_page_too(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("feeds.serving.files.check_preconditions", fail)
    answer = ask(app, "/")
    assert answer.status == 500
    assert "Layanan terganggu" in answer.body.decode()
    assert "ZeroDivision" not in answer.body.decode()


def test_a_republished_file_is_served_at_once(app: ASGIApp, root: Path) -> None:
    before = ask(app, "/feeds/semua.rss")
    put(root, "feeds/semua.rss", RSS[::-1])  # same size, same time
    after = ask(app, "/feeds/semua.rss")
    assert after.body == RSS[::-1]
    assert after.headers["etag"] != before.headers["etag"]
    (root / "feeds/semua.rss").unlink()
    assert ask(app, "/feeds/semua.rss").status == 404


@pytest.mark.parametrize(
    "twin",
    [b"", b"no gzip", gzip.compress(b"another version"), gzip.compress(RSS)[:-9]],
    ids=["empty", "no gzip", "another", "cut short"],
)
def test_a_twin_of_another_version_is_not_sent(app: ASGIApp, root: Path, twin: bytes) -> None:
    (root / "feeds/semua.rss.gz").write_bytes(twin)
    answer = ask(app, "/feeds/semua.rss", accept_encoding="gzip")
    assert answer.body == RSS
    assert "content-encoding" not in answer.headers


def test_a_mended_twin_is_taken_up(app: ASGIApp, root: Path) -> None:
    (root / "feeds/semua.rss.gz").unlink()
    assert "content-encoding" not in ask(app, "/feeds/semua.rss", accept_encoding="gzip").headers
    put(root, "feeds/semua.rss")
    assert ask(app, "/feeds/semua.rss", accept_encoding="gzip").headers["content-encoding"] == "gzip"


def test_a_file_from_the_future_is_not_newer_than_the_answer(app: ASGIApp, root: Path) -> None:
    os.utime(root / "feeds/semua.rss", (4_000_000_000, 4_000_000_000))  # 2096
    assert "2096" not in ask(app, "/feeds/semua.rss").headers["last-modified"]


def test_memory_is_bounded(root: Path) -> None:
    files = PublishedFiles(root, make_config(), limit=3000)
    for number in range(9):
        put(root, f"feeds/{number}.rss", RSS)  # 911 bytes, and some 60 of its twin
    put(root, "feeds/large.rss", os.urandom(5000))

    async def read(path: str) -> int:
        found = await files._find(path)
        assert found is not None
        return found.size

    sizes = [asyncio.run(read(f"feeds/{name}.rss")) for name in (*range(9), "large", 8)]
    assert sizes[9] > 3000
    assert sum(file.size for file in files._held._files.values()) == files._held.size <= 3000
    assert list(files._held._files) == ["feeds/6.rss", "feeds/7.rss", "feeds/8.rss"]
