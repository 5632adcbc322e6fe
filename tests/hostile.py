"""A server that means harm, over raw sockets, and a spider that asks it: for the tests of threats on the way in."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scrapy.crawler import AsyncCrawlerRunner, Crawler

from aggregator.config import Portal, parse_config
from aggregator.models import Listing, Reading, Visit
from aggregator.runs import Tally
from spiders.crawl import make_settings, run_in_reactor
from spiders.portal import PortalSpider, Stop, Unavailable
from tests.road import HEAD

LONGEST = 90.0  # seconds of a probe, so that a guard that is missing is a test that fails and not one that hangs

Reply = Callable[[socket.socket], None]


@dataclass
class Hostile:
    """Answers each path as ``replies`` has it: bytes are sent as they are, a function does what it likes.

    What is asked for stands in ``asked``, with its whole head; robots.txt is not there unless it is a reply.
    """

    replies: dict[str, bytes | Reply] = field(default_factory=dict)
    asked: list[tuple[str, bytes]] = field(default_factory=list)
    connected: int = 0
    port: int = 0
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked if path != "/robots.txt"]

    def talk(self, connection: socket.socket) -> None:
        """One connection: one answer after another, until one ends it."""
        with suppress(OSError), ExitStack() as stack:
            stack.enter_context(connection)
            if self.tls:
                connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
            while head := read_head(connection):
                path = head.split(b" ", 2)[1].decode("latin-1")
                self.asked.append((path, head))
                reply = self.replies.get(path.partition("?")[0], NOT_THERE)
                if isinstance(reply, bytes):
                    connection.sendall(reply)
                else:
                    reply(connection)
                    return


NOT_THERE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        came = connection.recv(65536)
        if not came:
            return b""
        head += came
    return head


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer as HTTP has it."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def end_after(answer: bytes) -> Reply:
    """Ends the connection after ``answer``."""
    return lambda connection: connection.sendall(answer)


@contextmanager
def listening(
    replies: dict[str, bytes | Reply] | None = None, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Hostile]:
    """A hostile server on a port of its own, until the block ends."""
    hostile = Hostile(replies if replies is not None else {}, host=host, tls=tls)
    open_ones: list[socket.socket] = []
    with socket.create_server((host, 0), backlog=64) as server:
        hostile.port = server.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    hostile.connected += 1
                    open_ones.append(connection)
                    threading.Thread(target=hostile.talk, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield hostile
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            for connection in open_ones:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)


class Probe(PortalSpider):
    """Asks for one address after another and notes how each ended. Its class has no name, so it is no family."""

    addresses: Sequence[str] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("probe", **kwargs)
        self.told: dict[str, str] = {}
        self.bodies: dict[str, bytes] = {}

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        for address in self.crawler.settings["PROBED"]:
            try:
                self.bodies[address] = (await self.fetch(address)).body
                self.told[address] = "answered"
            except Unavailable as error:
                self.told[address] = f"{error}{' (missing)' if error.missing else ''}"
            except Stop as stop:
                self.told[address] = f"stop: {stop}"
                if stop.problem.code != "rate_limited":
                    raise
        return
        yield  # makes it a generator, as visits are


def probe(
    url: str, addresses: Sequence[str], folder: Path, options: str = "", **settings: Any
) -> tuple[dict[str, str], Probe]:
    """What came of each address, asked for by a portal whose own address is ``url``: with every guard of a crawl."""
    table = f'[[portal]]\nid = "uji"\nfamily = "spse"\nname = "Uji"\nurl = "{url}"\n{options}\n'
    config = parse_config(HEAD + table, folder / "warta.toml")
    portal: Portal = config.portal[0]
    made = make_settings(config, portal)
    for name, value in {"PROBED": list(addresses), "RETRY_TIMES": 0, **settings}.items():
        made.set(name, value)
    crawler, tally = Crawler(Probe, made), Tally()
    crawler.settings.set("WARTA_TALLY", tally)
    crawler.settings.set("WARTA_VISIT", Visit(portal=portal.id, now=datetime.now(UTC), known={}))

    async def crawl() -> None:
        await asyncio.wait_for(AsyncCrawlerRunner().crawl(crawler), LONGEST)

    run_in_reactor(crawl)
    spider = crawler.spider
    if not isinstance(spider, Probe):
        raise TypeError("the probe did not begin")
    spider.tally = tally
    return spider.told, spider
