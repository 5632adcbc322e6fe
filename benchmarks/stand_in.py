"""The stand-in that crawlers are measured against: a process of its own, which renders each page once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection

from demo.messages import Request, Response
from demo.server import Seen, serve
from demo.spse import Portal
from demo.world import World

PATIENCE = 300.0  # seconds in which a world must be made


@dataclass(frozen=True, kw_only=True)
class Packages:
    """How many of each kind a portal has; by default as many as the demo's."""

    tenders: int = 60
    non_tenders: int = 90
    recorded: int = 0
    self_managed: int = 0
    emergencies: int = 0

    def make_world(self, now: datetime) -> World:
        return World(now, hostile=False, **vars(self))


@dataclass
class Recalling:
    """A portal that answers from memory what it answered before, so that it is the crawler whose time is taken."""

    portal: Portal
    _pages: dict[tuple[str, bool], Response] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.prefix = self.portal.prefix

    def answer(self, request: Request) -> Response:
        asked = request.address, "referer" in request.headers
        response = self._pages.get(asked) if request.method == "GET" else None
        if response is None:
            response = self.portal.answer(request)
            if request.method == "GET" and not response.headers:  # those are a session's
                self._pages[asked] = response
        return response

    def advance(self, by: timedelta) -> None:
        self.portal.advance(by)
        self._pages.clear()


@dataclass(frozen=True)
class StandIn:
    """A portal served by another process. ``url`` is its address, without a slash at the end."""

    url: str
    _pipe: Connection

    def take_requests(self) -> list[Seen]:
        """All that was asked since it began or was last asked this."""
        self._pipe.send(True)
        seen: list[Seen] = self._pipe.recv()
        return seen


@contextmanager
def stand_apart(packages: Packages, now: datetime) -> Iterator[StandIn]:
    """Serves a portal of so many ``packages``, as it stands at ``now``, until the block ends."""
    spawning = get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=_stand, args=(there, packages, now), daemon=True)
    process.start()
    try:
        if not here.poll(PATIENCE):
            raise TimeoutError("the stand-in did not begin to serve")
        yield StandIn(here.recv(), here)
    finally:
        here.send(False)
        process.join(PATIENCE)


def _stand(pipe: Connection, packages: Packages, now: datetime) -> None:
    portal = Recalling(Portal(packages.make_world(now)))
    with serve([portal]) as server:
        pipe.send(server.url + portal.prefix)
        while pipe.recv():
            pipe.send(list(server.stats.requests))
            server.stats.reset()
