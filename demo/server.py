"""Serves stand-ins over real HTTP on 127.0.0.1, with faults on demand and statistics. For tests and demos only."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from itertools import pairwise

from demo.faults import Fault, Faults, wire_response
from demo.messages import JSON, Request, Response, StandIn

_LIMIT = 1 << 20  # bytes of a request's head or body
_LAST_DATA = slice(52, 56)  # of Linux's tcp_info: tcpi_last_data_recv, in milliseconds


@dataclass(frozen=True, slots=True)
class Seen:
    """One request answered: ``time`` in seconds (monotonic) at which it had arrived."""

    time: float
    method: str
    address: str
    page: str
    status: int


@dataclass
class Stats:
    """What the server saw since it began, or since ``reset``."""

    requests: list[Seen] = field(default_factory=list)
    max_concurrency: int = 0
    under_way: int = 0

    def reset(self) -> None:
        self.requests.clear()
        self.max_concurrency = 0

    @property
    def pages(self) -> Counter[str]:
        """Requests by sort of page: home, list, rows, announcement, schedule, winner, …, robots, fault."""
        return Counter(seen.page for seen in self.requests)

    @property
    def denied(self) -> int:
        """Answers of 403."""
        return sum(seen.status == 403 for seen in self.requests)

    @property
    def absent(self) -> int:
        """Requests for a tab that its package does not have."""
        return sum(seen.page == "absent" for seen in self.requests)

    @property
    def smallest_gap(self) -> float | None:
        """Seconds between the two requests that came closest after each other; None for fewer than two."""
        times = sorted(seen.time for seen in self.requests)
        return min((b - a for a, b in pairwise(times)), default=None)

    def as_dict(self) -> dict[str, object]:
        return {
            "requests": len(self.requests),
            "pages": dict(self.pages),
            "denied": self.denied,
            "absent": self.absent,
            "max_concurrency": self.max_concurrency,
            "smallest_gap": self.smallest_gap,
        }


class Server:
    """A running server: ``url`` without a slash at the end; see ``serve``."""

    def __init__(self, stand_ins: Sequence[StandIn], crawl_delay: float | None, robots: str | None) -> None:
        self.stand_ins = {stand_in.prefix: stand_in for stand_in in stand_ins}
        self.stats = Stats()
        self.faults = Faults()
        self.url = ""
        delay = f"Crawl-delay: {crawl_delay:g}\n" if crawl_delay is not None else ""
        self.robots = robots if robots is not None else f"User-agent: *\nDisallow: /*/login\n{delay}"

    # Answers -----------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Response:
        """What a fault-free server says; faults in ``request.faults`` are the stand-in's own."""
        if request.path.startswith("/_demo/"):
            return self._control(request)
        if request.method not in ("GET", "HEAD", "POST"):
            return Response(b"", "missing", 405, headers=(("Allow", "GET, HEAD, POST"),))
        if request.path == "/robots.txt":
            return Response(self.robots.encode(), "robots", type="text/plain; charset=utf-8")
        stand_in = self.stand_ins.get("/" + request.path.split("/", 2)[1])
        if stand_in is None:
            return Response(b"<html><title>404</title>", "missing", 404)
        return stand_in.answer(request)

    def _control(self, request: Request) -> Response:
        """``POST /_demo/advance?days=1`` and ``GET /_demo/stats``: only a stand-in has these."""
        if request.path == "/_demo/advance" and request.method == "POST":
            try:
                self.advance(float(request.query.get("days", "1")))
            except ValueError as error:
                return Response(f"{error}\n".encode(), "control", 400, "text/plain; charset=utf-8")
            return Response(b"{}\n", "control", type=JSON)
        if request.path == "/_demo/stats":
            return Response(json.dumps(self.stats.as_dict()).encode(), "control", type=JSON)
        return Response(b"", "control", 404)

    def advance(self, days: float) -> None:
        """Moves the clock of every stand-in on. ValueError when it would go back."""
        for stand_in in self.stand_ins.values():
            stand_in.advance(timedelta(days=days))

    # The wire ----------------------------------------------------------------------------------------

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: request after request, until either side has enough."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            while request := await _read_request(reader):
                if not await self._serve_one(request, writer):
                    break
        writer.close()

    async def _serve_one(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; False when the connection must end."""
        arrived = time.monotonic() - _find_age(writer)
        stats = self.stats
        stats.under_way += 1
        stats.max_concurrency = max(stats.max_concurrency, stats.under_way)
        faults = {} if request.path.startswith("/_demo/") else self.faults.strike(request)
        try:
            response = self._spoiled(request, faults)
            if response.page != "control":
                seen = Seen(arrived, request.method, request.address, response.page, response.status)
                stats.requests.append(seen)
            await _write_response(writer, request, response, faults)
        finally:
            stats.under_way -= 1
        return "truncated" not in faults and "hang_up" not in faults and request.headers.get("connection") != "close"

    def _spoiled(self, request: Request, faults: dict[str, Fault]) -> Response:
        for fault in faults.values():
            if response := wire_response(fault):
                return response
        return self.answer(replace(request, faults=frozenset(faults)) if faults else request)


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request, or None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, _, rest = first.partition(" ")
    path, _, query = rest.rpartition(" ")[0].partition("?")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = headers.get("content-length", "0")
    body = await reader.readexactly(min(int(length), _LIMIT)) if length != "0" else b""
    return Request(method, path, query, headers, body)


def _find_age(writer: asyncio.StreamWriter) -> float:
    """Seconds since the kernel received the last bytes of the connection: on a busy machine this thread comes late."""
    connection = writer.get_extra_info("socket")
    if connection is None or not hasattr(socket, "TCP_INFO"):
        return 0.0
    told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA.stop)
    return int.from_bytes(told[_LAST_DATA], sys.byteorder) / 1000


async def _write_response(
    writer: asyncio.StreamWriter, request: Request, response: Response, faults: dict[str, Fault]
) -> None:
    if "hang_up" in faults:
        return
    body = b"" if request.method == "HEAD" else response.body
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        f"Content-Type: {response.type}",
        f"Content-Length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    writer.write("\r\n".join((*lines, "\r\n")).encode("latin-1"))
    if "truncated" in faults:
        body = body[: len(body) // 2]
    if "slow" in faults:
        for start in range(0, len(body), 1 + len(body) // 10):
            await asyncio.sleep(faults["slow"].seconds / 10)
            writer.write(body[start : start + 1 + len(body) // 10])
    else:
        writer.write(body)
    await writer.drain()


@contextmanager
def serve(
    stand_ins: Sequence[StandIn], port: int = 0, *, crawl_delay: float | None = None, robots: str | None = None
) -> Iterator[Server]:
    """Serves until the block ends, in a thread of its own. ``port`` 0 takes a free one.

    ``crawl_delay`` (seconds) stands in robots.txt, ``robots`` replaces the whole file.
    """
    server = Server(stand_ins, crawl_delay, robots)
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(server.converse, "127.0.0.1", port, limit=_LIMIT))
    server.url = "http://{}:{}".format(*listening.sockets[0].getsockname())
    thread = threading.Thread(target=loop.run_forever, name="stand-in", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_close(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(listening: asyncio.Server) -> None:
    """Ends listening and all open connections."""
    listening.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # lets the connections' transports close
