"""The stand-in over real HTTP: connections, statistics, control, faults on the wire, and its command."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from demo.__main__ import main
from demo.names import MALANG_KAB
from demo.server import Server, serve
from demo.spse import Portal
from demo.world import World

NOW = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)
AGENT = "Mozilla/5.0 (compatible; WartaPengadaan/1.0; +https://blp.example.go.id/)"


@pytest.fixture
def world() -> World:
    return World(NOW)


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    with serve([Portal(world), Portal(World(NOW, place=MALANG_KAB, tenders=5))], crawl_delay=1) as server:
        yield server


@pytest.fixture
def connection(server: Server) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    yield connection
    connection.close()


def ask(connection: HTTPConnection, address: str, method: str = "GET") -> tuple[int, http.client.HTTPMessage, bytes]:
    connection.request(method, address, headers={"User-Agent": AGENT, "Referer": "http://x/malangkota/"})
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def test_several_portals_and_robots_over_one_connection(server: Server, connection: HTTPConnection) -> None:
    status, headers, robots = ask(connection, "/robots.txt")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert b"Crawl-delay: 1\n" in robots
    assert b"LPSE Kota Malang" in ask(connection, "/malangkota/")[2]
    assert b"LPSE Kabupaten Malang" in ask(connection, "/malangkab/")[2]
    assert ask(connection, "/elsewhere/")[0] == 404
    assert ask(connection, "/malangkota/", "DELETE")[0] == 405
    status, headers, body = ask(connection, "/malangkota/lelang", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 1000
    assert server.stats.pages == {"robots": 1, "home": 2, "missing": 2, "list": 1}


def test_statistics(server: Server, connection: HTTPConnection, world: World) -> None:
    key = world.open("tender")[0].key
    ask(connection, f"/malangkota/lelang/{key}/pengumumanlelang")
    ask(connection, f"/malangkota/evaluasi/{key}/pemenang")
    connection.request("GET", f"/malangkota/lelang/{key}/jadwal")
    connection.getresponse().read()
    stats = server.stats
    assert (stats.denied, stats.absent, stats.max_concurrency) == (1, 1, 1)
    assert [seen.page for seen in stats.requests] == ["announcement", "absent", "denied"]
    assert stats.smallest_gap
    assert stats.smallest_gap > 0
    status, _, body = ask(connection, "/_demo/stats")
    assert (status, json.loads(body)["requests"]) == (200, 3)
    stats.reset()
    assert stats.smallest_gap is None
    assert not stats.pages


def test_concurrency_is_seen(server: Server) -> None:
    server.faults.add("slow", seconds=0.2)
    connections = [HTTPConnection(urlsplit(server.url).netloc, timeout=10) for _ in range(3)]
    for connection in connections:
        connection.request("GET", "/malangkota/", headers={"User-Agent": AGENT})
    for connection in connections:
        connection.getresponse().read()
        connection.close()
    assert server.stats.max_concurrency == 3


def test_control_advances_every_world(server: Server, connection: HTTPConnection, world: World) -> None:
    assert ask(connection, "/_demo/advance?days=2.5", "POST")[0] == 200
    assert world.now == NOW + timedelta(days=2.5)
    assert ask(connection, "/_demo/advance?days=-1", "POST")[0] == 400
    assert ask(connection, "/_demo/advance?days=x", "POST")[0] == 400
    assert ask(connection, "/_demo/advance")[0] == 404
    assert server.stats.requests == []


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("error", 500, b"Internal Server Error"),
        ("too_many", 429, b"Too Many"),
        ("unavailable", 503, b"Unavailable"),
        ("challenge", 403, b"Just a moment..."),
        ("apology", 200, b"Maaf, terjadi error"),
    ],
)
def test_faults_hit_what_they_are_told_to(
    server: Server, connection: HTTPConnection, fault: str, status: int, words: bytes
) -> None:
    order = server.faults.add(fault, "/lelang", times=2, skip=1, seconds=7)
    answers = [ask(connection, "/malangkota/lelang") for _ in range(4)]
    assert [answer[0] for answer in answers] == [200, status, status, 200]
    assert words in answers[1][2]
    assert answers[1][1]["Retry-After"] == ("7" if fault in {"too_many", "unavailable"} else None)
    assert order.hits == 2
    assert ask(connection, "/malangkota/")[0] == 200
    server.faults.add(fault)
    server.faults.clear()
    assert ask(connection, "/malangkota/")[0] == 200
    assert words not in ask(connection, "/malangkota/")[2]


def test_faults_by_chance(server: Server, connection: HTTPConnection) -> None:
    server.faults.add("error", chance=0.3)
    statuses = [ask(connection, "/malangkota/lelang")[0] for _ in range(60)]
    assert 5 < statuses.count(500) < 35


def test_truncated_and_hung_up(server: Server, connection: HTTPConnection) -> None:
    server.faults.add("truncated", times=1)
    connection.request("GET", "/malangkota/", headers={"User-Agent": AGENT})
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    connection.close()
    server.faults.add("hang_up", times=1)
    connection.request("GET", "/malangkota/", headers={"User-Agent": AGENT})
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()
    assert ask(connection, "/malangkota/")[0] == 200


def test_slow(server: Server, connection: HTTPConnection) -> None:
    server.faults.add("slow", times=1, seconds=0.2)
    began = time.monotonic()
    status, _, body = ask(connection, "/malangkota/")
    assert time.monotonic() - began >= 0.2
    assert (status, body) == (200, ask(connection, "/malangkota/")[2])


def test_the_command_prints_where_it_serves(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("demo.__main__.time.sleep", sleep)
    main(["--portals", "malangkota,malangkab", "--tenders", "5", "--advance-every", "30", "--now", NOW.isoformat()])
    lines = capsys.readouterr().out.split()
    assert [line.rsplit("/", 1)[1] for line in lines] == ["malangkota", "malangkab"]
    assert waits == [30, 30]
