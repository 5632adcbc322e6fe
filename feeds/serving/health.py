"""What a monitor asks the server: /healthz, /livez and /metrics. None of them waits for a database that hangs, and
polling costs next to nothing: what was found is told again for a few seconds."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from aggregator.config import Config
from aggregator.health import Health
from aggregator.repository import Repository
from aggregator.sizes import RunSum, RunTotals
from feeds.health import find_health
from feeds.serving.files import check_request
from feeds.serving.metrics import render_metrics

REUSE = 5.0  # seconds that what was found is told again
PATIENCE = 3.0  # seconds that a monitor waits for the database

_RULES = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_NO_ANSWER: dict[str, Any] = {
    "healthy": False,
    "why": ["the database does not answer in time. Is its server well, or does another program hold its lock?"],
}
_log = logging.getLogger("warta.serve")


class Found(NamedTuple):
    """What one look found: health, and what the runs came to."""

    health: Health
    sums: list[RunSum]


class Looking:
    """Looks again when asked later than REUSE, in a thread of its own and never twice at once. ``clock`` is a steady
    one in seconds."""

    def __init__(self, look: Callable[[], Found], clock: Callable[[], float]) -> None:
        self._look = look
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "health")
        self._found: Found | None = None
        self._at = 0.0
        self._under_way: asyncio.Task[Found] | None = None

    async def find(self) -> Found | None:
        """What was found at most REUSE ago, or is found within PATIENCE; else None."""
        if self._found is not None and self._clock() - self._at < REUSE:
            return self._found
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._look_again())
            self._under_way.add_done_callback(_tell_failure)
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(self._under_way)
        except Exception:  # noqa: BLE001 - whatever it is, _tell_failure has logged it, and the monitor must hear of it
            return None

    async def _look_again(self) -> Found:
        self._found = await asyncio.get_running_loop().run_in_executor(self._thread, self._look)
        self._at = self._clock()
        return self._found


def _tell_failure(task: asyncio.Task[Found]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("health cannot be told: %s", error, exc_info=error)


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """The ASGI app of /healthz: 200 healthy, 503 not, as JSON without addresses and folders of this machine."""

    looking: Looking

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_request(scope)
        found = await self.looking.find()
        told = found.health.as_dict(inside=False) if found else _NO_ANSWER
        body = json.dumps(told, ensure_ascii=False, indent=1).encode()
        await _answer(scope, receive, send, body, "application/json", 200 if told["healthy"] else 503)


class LifeAnswer:
    """The ASGI app of /livez: 200 as long as the server answers at all."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_request(scope)
        await _answer(scope, receive, send, b"alive\n", "text/plain", 200)


@dataclass(frozen=True, slots=True)
class MetricsAnswer:
    """The ASGI app of /metrics, in the text format of Prometheus. ``answers`` are counted by status elsewhere."""

    looking: Looking
    answers: Counter[int]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_request(scope)
        found = await self.looking.find()
        health, sums = (found.health, found.sums) if found else (None, [])
        accept = Headers(scope=scope).get("accept", "")
        body, kind = await run_in_threadpool(render_metrics, health, sums, Counter(self.answers), accept)
        await _answer(scope, receive, send, body, kind, 200)


def list_monitored(
    config: Config, repository: Repository, root: Path, now: Callable[[], datetime], clock: Callable[[], float]
) -> tuple[list[Route], Counter[int]]:
    """The routes, and the answers by status that they tell of and others count. ``root`` is the tree that is served."""
    totals, answers = RunTotals(repository.engine), Counter[int]()

    def look() -> Found:
        health = find_health(config, lambda: repository, now(), root)
        return Found(health, totals.find() if health.facts.database else [])

    looking = Looking(look, clock)
    routes = [
        Route("/healthz", HealthAnswer(looking)),
        Route("/livez", LifeAnswer()),
        Route("/metrics", MetricsAnswer(looking, answers)),
    ]
    return routes, answers


async def _answer(scope: Scope, receive: Receive, send: Send, body: bytes, kind: str, status: int) -> None:
    response = Response(body, status, _RULES, media_type=kind)
    if scope["method"] == "HEAD":
        response.body = b""
    await response(scope, receive, send)
