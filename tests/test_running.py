"""The server's connections: those that ask for nothing end, and leave room for who does."""

from __future__ import annotations

import gzip
import hashlib
import re
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from aggregator.database import open_database
from aggregator.repository import Repository
from feeds.app import make_app
from feeds.serving.at_once import AtOnce
from feeds.serving.running import (
    MOST_CONNECTIONS,
    MOST_JOINED,
    Patience,
    make_server,
    raise_file_limit,
)
from tests.feed_samples import make_config

HERE = PlainTextResponse("here")
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nX-"
LARGE = 20_000_000  # more than the system takes for a reader who does not read


@contextmanager
def serving(patience: Patience, application: ASGIApp = HERE, at_once: AtOnce | None = None) -> Iterator[int]:
    """The port of a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(application, patience, at_once)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def say(port: int, said: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 10)
    connection.sendall(said)
    return connection


def is_ended(connection: socket.socket) -> bool:
    """Whether the server ends it, within the time of the socket."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def read_answer(connection: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"here"):
        more = connection.recv(4096)
        assert more, found
        found += more
    return found


def test_half_a_header_is_not_waited_for() -> None:
    with serving(Patience(header=0.1)) as port, say(port, HALF) as half, say(port, b"") as silent:
        assert is_ended(half)
        assert is_ended(silent)


def test_half_a_header_after_a_whole_one_is_not_waited_for_either() -> None:
    with serving(Patience(header=0.1)) as port, say(port, REQUEST) as connection:
        assert read_answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(REQUEST + HALF)
        assert read_answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(b"a")
        assert is_ended(connection)


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    with serving(Patience(answer=0.2), PlainTextResponse("x" * LARGE)) as port, say(port, REQUEST) as connection:
        threading.Event().wait(0.4)
        taken = 0
        while more := connection.recv(1_000_000):
            taken += len(more)
        assert 0 < taken < LARGE


def test_where_there_are_too_many_the_longest_wait_ends(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Patience(most=8)) as port:
        waiting = [say(port, HALF) for _ in range(40)]
        with say(port, REQUEST) as reader:
            assert read_answer(reader).startswith(b"HTTP/1.1 200")
        assert all(is_ended(each) for each in waiting[:32])
        for each in waiting:
            each.close()
    assert not caplog.records


def test_junk_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Patience()) as port, say(port, b"junk\r\n\r\n") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")
    assert not caplog.records


def test_the_process_may_open_as_many_files_as_it_needs() -> None:
    before = (_, hard) = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        files = raise_file_limit()
        assert files == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert files == 2 * MOST_CONNECTIONS or files == hard
        assert raise_file_limit() == files
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# What is answered at once ----------------------------------------------------------------------------------


def publish_two(root: Path) -> Starlette:
    """The application over a tree of two files, both of them in memory."""
    (root / "feeds").mkdir(parents=True)
    body = b"<rss/>" * 50
    (root / "feeds/semua.rss").write_bytes(body)
    (root / "feeds/semua.rss.gz").write_bytes(gzip.compress(body))
    (root / "feeds/rup.rss").write_bytes(b"<rss/>" * MOST_JOINED)
    application = make_app(make_config(), Repository(open_database("sqlite:///:memory:")), root)
    for path in ("/feeds/semua.rss", "/feeds/rup.rss"):
        assert TestClient(application).get(path).status_code == 200
        assert application.state.at_once.find(path)
    return application


@dataclass(frozen=True)
class Twins:
    """One application, served with and without what is answered at once; ``asked`` is what it itself was asked."""

    at_once: AtOnce
    ports: dict[bool, int]
    asked: list[str]

    def ask(self, said: bytes, at_once: bool) -> bytes:
        """All that is answered to what is ``said`` on one connection, which ends with a wish to close it."""
        self.asked.clear()
        self.at_once.answers.clear()
        with say(self.ports[at_once], said) as connection:
            found = b"".join(iter(lambda: connection.recv(65_536), b""))
        return re.sub(rb"date: [^\r]+", b"date: now", found)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    published, asked = publish_two(tmp_path_factory.mktemp("twins") / "public"), list[str]()
    at_once: AtOnce = published.state.at_once

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope.get("path", ""))
        await published(scope, receive, send)

    with serving(Patience(), application) as without, serving(Patience(), application, at_once) as port:
        yield Twins(at_once, {False: without, True: port}, asked)


def get(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: x", *fields, "", ""]).encode()


LAST = get("/feeds/semua.rss", "Connection: close")
TAG = f'"{hashlib.sha256(b"<rss/>" * 50).hexdigest()[:32]}"'


@pytest.mark.parametrize(
    "said",
    [
        LAST,
        get("/feeds/semua.rss", "Accept-Encoding: gzip") + LAST,
        get("/feeds/semua.rss", f"If-None-Match: {TAG}", "Connection: close"),
        get("/feeds/semua.rss", 'If-Match: "other"') + get("/feeds/semua.rss", f"If-None-Match: {TAG}") + LAST,
        get("/feeds/semua.rss", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", "Connection: close"),
        get("/feeds/rup.rss", "Connection: close"),
        get("/feeds/semua.rss?q=1") + get("/feeds/semua%2Erss") + LAST,
        get("/feeds/semua.rss", method="HEAD") + LAST,
        get("/feeds/semua.rss", method="POST") + LAST,
        get("/feeds/semua.rss", version="1.0"),
        get("/feeds/semua.rss", "Content-Length: 3") + b"abc" + LAST,
        get("/feeds/semua.rss", "Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\n" + LAST,
        get("/feeds/semua.rss", "Transfer-Encoding: chunked", "Content-Length: 1"),
        get("/feeds/semua.rss", "Upgrade: h2c", "Connection: Upgrade") + LAST,
        get("/feeds/semua.rss", "No colon"),
        get("/feeds/semua.rss").replace(b"Host: x\r\n", b""),
        get("/feeds/semua.rss").replace(b"\r\n", b"\n") + LAST,
        get("/feeds/nothing.rss") + get("/feeds/../feeds/semua.rss") + LAST,
    ],
)
def test_what_is_answered_at_once_is_what_the_application_answers(twins: Twins, said: bytes) -> None:
    without, counted = twins.ask(said, at_once=False), dict(twins.at_once.answers)
    assert without.startswith(b"HTTP/1.1 ")
    assert twins.ask(said, at_once=True) == without
    assert twins.at_once.answers == counted


def test_it_is_answered_without_the_application(twins: Twins) -> None:
    assert b"<rss/>" in twins.ask(LAST, at_once=True)
    assert twins.asked == []
    assert twins.at_once.answers == {200: 1}


def test_a_file_that_was_replaced_is_not_answered_from_memory(tmp_path: Path) -> None:
    at_once: AtOnce = publish_two(tmp_path / "public").state.at_once
    (tmp_path / "new").write_bytes(b"<other/>")
    (tmp_path / "new").replace(tmp_path / "public/feeds/semua.rss")
    assert at_once.find("/feeds/semua.rss") is None
    assert at_once.find("/feeds/rup.rss")


def test_one_at_once_that_nobody_takes_is_given_up(tmp_path: Path) -> None:
    published = publish_two(tmp_path / "public")
    (tmp_path / "public/feeds/besar.rss").write_bytes(b"x" * LARGE)
    assert TestClient(published).get("/feeds/besar.rss").status_code == 200
    asked = get("/feeds/besar.rss")
    with serving(Patience(answer=0.2), published, published.state.at_once) as port, say(port, asked) as connection:
        threading.Event().wait(0.4)
        taken = sum(map(len, iter(lambda: connection.recv(1_000_000), b"")))
        assert 0 < taken < LARGE


def test_a_body_does_not_wait_until_its_head_is_confirmed() -> None:
    """As it would, 40 ms, on a connection without TCP_NODELAY."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(HERE, Patience())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        with say(listener.getsockname()[1], REQUEST) as connection:
            read_answer(connection)
            (taken,) = server.server_state.connections
            its_own = taken.transport.get_extra_info("socket")
            assert its_own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            server.should_exit = True
            thread.join()
