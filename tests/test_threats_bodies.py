"""Answers meant to fill memory or to last for ever: bombs, endless and slow ones, heads without end, false lengths."""

from __future__ import annotations

import gzip
import logging
import os
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from scrapy.http import Response

from spiders.portal import LONGEST_WAIT, SLOWEST, retry_after
from tests.hostile import Hostile, Probe, Reply, end_after, listening, ok, probe
from tests.road import NOW

ROOT = Path(__file__).parents[1]
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[Hostile]:
    with listening() as server:
        yield server


def ask(server: Hostile, replies: dict[str, bytes | Reply], folder: Path, **settings: Any) -> dict[str, str]:
    """What came of each path."""
    server.replies = replies
    told, _ = probe(server.url, [server.url + path for path in replies], folder, **settings)
    return {url.removeprefix(server.url): how for url, how in told.items()}


# Bombs ----------------------------------------------------------------------------------------------------


def make_bombs() -> dict[str, bytes]:
    """Small answers that unpack to 200 MB and more."""
    block = bytes(MEGABYTE)
    gzipped = zlib.compressobj(9, wbits=31)
    deflated = zlib.compressobj(9)
    raw = zlib.compressobj(9, wbits=-15)
    brotlied = brotli.Compressor(quality=5)
    parts: dict[str, list[bytes]] = {"gzip": [], "deflate": [], "raw": [], "br": []}
    for _ in range(200):
        parts["gzip"].append(gzipped.compress(block))
        parts["deflate"].append(deflated.compress(block))
        parts["raw"].append(raw.compress(block))
        parts["br"].append(brotlied.process(block))
    packed = {
        "gzip": b"".join(parts["gzip"]) + gzipped.flush(),
        "deflate": b"".join(parts["deflate"]) + deflated.flush(),
        "raw": b"".join(parts["raw"]) + raw.flush(),
        "br": b"".join(parts["br"]) + brotlied.finish(),
        "zstd": zstandard.ZstdCompressor(level=3).compress(bytes(200 * MEGABYTE)),
        "members": gzip.compress(block) * 200,
        "frames": zstandard.ZstdCompressor().compress(block) * 200,
    }
    encodings = {"raw": "deflate", "members": "gzip", "frames": "zstd"}
    bombs = {name: ok(body, f"Content-Encoding: {encodings.get(name, name)}") for name, body in packed.items()}
    bombs["nested"] = ok(gzip.compress(packed["gzip"]), "Content-Encoding: gzip, gzip")
    bombs["mixed"] = ok(brotli.compress(packed["gzip"]), "Content-Encoding: gzip, br")
    bombs["layers"] = ok(packed["gzip"], "Content-Encoding: " + ", ".join(["gzip"] * 500))
    return bombs


_ASK_IN_A_CHILD = """
import resource, sys
from pathlib import Path
from tests.hostile import listening, ok, probe

folder = Path(sys.argv[1])
with listening({"/page": ok(b"page")}) as server:
    probe(server.url, [f"{server.url}/page"], folder)  # what a crawl takes anyway
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
told, _ = probe(sys.argv[2], [sys.argv[2] + path for path in sys.argv[3:]], folder)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, *told.values(), sep="\\n")
"""


def test_no_answer_takes_much_memory(server: Hostile, tmp_path: Path) -> None:
    """Measured where it counts: the highest that a process of its own came to, with the settings of every crawl."""
    bombs: dict[str, bytes | Reply] = {f"/{name}": body for name, body in make_bombs().items()}
    bombs |= {"/endless": send_for_ever(b"x" * 65536, chunked=True), "/heads": send_for_ever(b"X-A: b\r\n" * 8000)}
    server.replies = bombs
    child = subprocess.run(
        [sys.executable, "-c", _ASK_IN_A_CHILD, str(tmp_path), server.url, *bombs],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    grown, *told = child.stdout.splitlines()
    assert len(told) == len(bombs) == 12, child.stderr
    assert "answered" not in told
    assert int(grown) < 100_000, f"{grown} kB more than a crawl takes anyway"


def test_a_bomb_is_a_failure_and_no_missing_page(server: Hostile, tmp_path: Path) -> None:
    [how] = ask(server, {"/bomb": make_bombs()["gzip"]}, tmp_path, DOWNLOAD_MAXSIZE=MEGABYTE).values()
    assert how.startswith("Ignored response <200 ")


GARBAGE = {
    "gzip": gzip.compress(os.urandom(500))[:20] + bytes(500),
    "deflate": b"no deflate at all",
    "br": b"\xff" * 500,
    "zstd": zstandard.ZstdCompressor().compress(os.urandom(500))[:-20] + bytes(500),
    "x-gzip": b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 90,
}


def test_what_cannot_be_unpacked_costs_no_other_page(server: Hostile, tmp_path: Path) -> None:
    replies: dict[str, bytes | Reply] = {
        f"/{name}": ok(body, f"Content-Encoding: {name}") for name, body in GARBAGE.items()
    }
    told = ask(server, {**replies, "/page": ok(b"page")}, tmp_path)
    assert [*told] == [*(f"/{name}" for name in GARBAGE), "/page"]
    assert told.pop("/page") == "answered"
    assert sum(how != "answered" for how in told.values()) >= 4, told


# Without end ----------------------------------------------------------------------------------------------


def send_for_ever(part: bytes, *, chunked: bool = False, pause: float = 0.0, head: bytes = b"") -> Reply:
    """``part`` after ``part``: of a body in chunks, else of the head."""

    def reply(connection: socket.socket) -> None:
        start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" if chunked else b"HTTP/1.1 200 OK\r\n"
        connection.sendall(head or start)
        while True:  # until who reads it has had enough
            connection.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            time.sleep(pause)

    return reply


LONG = {
    "endless body": send_for_ever(b"x" * 65536, chunked=True),
    "endless body until the end": send_for_ever(b"x" * 65536, head=b"HTTP/1.0 200 OK\r\n\r\n"),
    "endless lines of the head": send_for_ever(b"X-A: b\r\n" * 1000),
    "endless cookies": send_for_ever(b"Set-Cookie: a=b\r\n" * 1000),
    "one endless line of the head": send_for_ever(b"x" * 65536, head=b"HTTP/1.1 200 OK\r\nX-A: "),
    "an endless continued line": send_for_ever(b" x\r\n" * 10000, head=b"HTTP/1.1 200 OK\r\nX-A: b\r\n"),
    "endless status line": send_for_ever(b"x" * 65536, head=b"HTTP/1.1 200 "),
    "endless informational answers": send_for_ever(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000, head=b"\r\n"),
    "endless trailers": send_for_ever(
        b"X-A: b\r\n" * 1000, head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    ),
    "an endless size of a chunk": send_for_ever(
        b"0" * 65536, head=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    ),
}


@pytest.mark.parametrize("reply", LONG.values(), ids=[*LONG])
def test_what_has_no_end_is_broken_off(reply: Reply, server: Hostile, tmp_path: Path) -> None:
    """By its size, long before the time is up."""
    began = time.process_time()
    [how] = ask(server, {"/page": reply}, tmp_path, DOWNLOAD_MAXSIZE=MEGABYTE, DOWNLOAD_TIMEOUT=30).values()
    assert how != "answered"
    assert "took longer" not in how
    assert time.process_time() - began < 15


SLOW = {
    "body": send_for_ever(b"x", chunked=True, pause=0.05),
    "head": send_for_ever(b"X-A: b\r\n", pause=0.05),
    "nothing": lambda connection: connection.recv(1),
}


@pytest.mark.parametrize("reply", SLOW.values(), ids=[*SLOW])
def test_a_byte_now_and_then_is_not_waited_for(reply: Reply, server: Hostile, tmp_path: Path) -> None:
    """The time is that of the whole answer, not of the next byte."""
    [how] = ask(server, {"/page": reply}, tmp_path, DOWNLOAD_TIMEOUT=0.5).values()
    assert "took longer than 0.5 seconds" in how


# False words ----------------------------------------------------------------------------------------------

FALSE = {
    "longer than it is": end_after(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort"),
    "far longer": end_after(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nshort"),
    "negative": end_after(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nshort"),
    "two of them": end_after(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nshort"),
    "no number": end_after(b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nshort"),
    "no size of a chunk": end_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nshort\r\n"),
    "a negative chunk": end_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nshort\r\n"),
    "a chunk that is not there": end_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\nshort\r\n"),
    "another encoding": end_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n5\r\nshort\r\n"),
    "no status": end_after(b"HTTP/1.1\r\n\r\n"),
    "a word for a status": end_after(b"HTTP/1.1 fine OK\r\n\r\n"),
    "no HTTP": end_after(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "NULs": end_after(bytes(4096)),
    "nothing at all": end_after(b""),
}


def test_false_words_about_an_answer_cost_no_other_page(server: Hostile, tmp_path: Path) -> None:
    told = ask(server, {**{f"/{n}": r for n, r in enumerate(FALSE.values())}, "/page": ok(b"page")}, tmp_path)
    assert len(told) == len(FALSE) + 1
    assert told.pop("/page") == "answered"
    assert [name for name, how in zip(FALSE, told.values(), strict=True) if how == "answered"] == []


STATUSES = ["99999999999999999999999", "600", "99", "-200", "2_00", "+200"]


def test_a_status_that_http_does_not_have_is_no_answer(server: Hostile, tmp_path: Path) -> None:
    """The archive and robots.txt keep a status in a column that does not hold every number."""
    replies = {f"/{n}": end_after(ok(b"page", status=f"{status} OK")) for n, status in enumerate(STATUSES)}
    told = ask(server, {**replies, "/page": ok(b"page")}, tmp_path)
    assert told.pop("/page") == "answered"
    assert len(told) == len(STATUSES)
    assert all("no status of HTTP" in how for how in told.values()), told


# What robots.txt and Retry-After ask for -------------------------------------------------------------------

FAR = [f"User-agent: *\nCrawl-delay: {delay}\n" for delay in ("1e9", "601", "86400")]
STRANGE = [
    b"\xef\xbb\xbfUser-agent: *\nDisallow: /page\n",
    b"User-agent: *\r\nDisallow: /page\r\n" + b"# much\n" * 1_000_000,
    b"User-agent: *\nDisallow: /" + b"*a" * 20_000 + b"$\nDisallow: /page\n",
    b"\xff\xfe\x00\nUser-agent: *\nCrawl-delay: nan\nCrawl-delay: -5\nCrawl-delay: 1e999\nDisallow: /page\n",
]


@pytest.mark.parametrize("rules", FAR)
def test_a_crawl_delay_without_end_ends_the_run(rules: str, server: Hostile, tmp_path: Path) -> None:
    server.asked.clear()
    told = ask(server, {"/page": ok(b"page"), "/robots.txt": ok(rules.encode())}, tmp_path)
    assert told["/page"].startswith("stop: rate_limited: ")
    assert server.paths == []


@pytest.mark.parametrize("rules", STRANGE, ids=["BOM", "huge", "wildcards", "no text"])
def test_a_strange_robots_txt_is_read_and_obeyed(rules: bytes, server: Hostile, tmp_path: Path) -> None:
    server.asked.clear()
    began = time.process_time()
    told = ask(server, {f"/page?{'a' * 2000}": ok(b"page"), "/robots.txt": ok(rules)}, tmp_path)
    assert server.paths == []
    assert "Forbidden by robots.txt" in next(iter(told.values()))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("9" * 400, LONGEST_WAIT, float("inf")),
        ("9" * 5000, LONGEST_WAIT, float("inf")),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT, float("inf")),
        ("Fri, 31 Dec 9999 23:59:59 -1200", LONGEST_WAIT, float("inf")),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 5.0, 5.0),
        ("Mon, 01 Jan 0001 00:00:00 +1400", 0.0, 5.0),
        ("Mon, 01 Jan 2001 00:00:00 +99999999999999999999", 5.0, 5.0),
        ("-5", 5.0, 5.0),
        ("1e9", 5.0, 5.0),
        ("٣٣٣", 5.0, 5.0),
        ("\x00", 5.0, 5.0),
        ("", 5.0, 5.0),
    ],
)
def test_how_long_a_hostile_retry_after_is_waited_for(text: str, least: float, most: float) -> None:
    response = Response("https://a.example/", headers={"Retry-After": text.encode()})
    assert least <= retry_after(response, NOW) <= most


def test_who_asks_to_slow_down_at_each_page_is_not_obeyed_without_end() -> None:
    quick, asked_for = SimpleNamespace(delay=0.0), SimpleNamespace(delay=300.0)
    spider: Any = Probe()
    spider.crawler = SimpleNamespace(engine=SimpleNamespace(downloader=SimpleNamespace(slots={1: quick, 2: asked_for})))
    for _ in range(100):
        spider._slow_down()
    assert (quick.delay, asked_for.delay) == (SLOWEST, 300.0)


def test_cookies_do_not_pile_up(server: Hostile, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    flood = {f"/{n}": ok(b"", *(f"Set-Cookie: c{n}-{m}={'x' * 20}" for m in range(500))) for n in range(6)}
    server.asked.clear()
    told = ask(server, {**flood}, tmp_path)
    assert set(told.values()) == {"answered"}
    assert max(len(head) for _, head in server.asked) < 8192
