"""The server's connections: those that ask for nothing end, and leave room for who does."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.responses import PlainTextResponse

from feeds.serving.running import MOST_CONNECTIONS, Patience, make_server, raise_file_limit

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nX-"
LARGE = 20_000_000  # more than the system takes for a reader who does not read


@contextmanager
def serving(patience: Patience, body: str = "here") -> Iterator[int]:
    """The port of a server of one text."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = make_server(PlainTextResponse(body), patience)
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
    with serving(Patience(answer=0.2), "x" * LARGE) as port, say(port, REQUEST) as connection:
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
