"""Counts what is asked of the server, without knowing who asks: in memory, and once a minute into the database.

Kept are the day, what kind of page or which feed it was, and of feed readers the product's name and the number of
subscribers that it states. Addresses, cookies, referrers, searches and whole User-Agents are never kept, not even here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aggregator.database import DatabaseError
from aggregator.visits import OTHER, Counted, VisitKind

EVERY = 60.0  # seconds between two savings
MOST_COUNTERS = 5_000  # at once: a day of all pages and 200 feeds in 20 readers; what is more is not counted
MOST_SUBSCRIBERS = 1_000_000  # who states more is not believed

# Products as they are called here, by how they write themselves at least. Nobody else is named: a User-Agent is what
# any stranger writes, and the names stand on the bureau's own page.
_READERS = {
    name.casefold(): name
    for line in (
        ("Akregator", "BazQux", "Blogtrottr", "CommaFeed", "Feedbin", "Feedly", "feedparser", "Feedspot", "Flipboard"),
        ("FreshRSS", "Inoreader", "Liferea", "Miniflux", "NetNewsWire", "newsboat", "NewsBlur", "Newsify", "Nextcloud"),
        ("QuiteRSS", "Reeder", "RSSOwl", "RSS Guard", "SimplePie", "Slackbot", "Stringer", "theoldreader.com"),
        ("Thunderbird", "Tiny Tiny RSS", "Vienna", "WordPress", "Zapier"),
    )
    for name in line
}
# Services that read once for many people, and state for how many.
_STATING = {"BazQux", "Feedbin", "Feedly", "Feedspot", "Inoreader", "NewsBlur", "theoldreader.com"}
_BOTS = ("bot", "crawl", "spider", "slurp", "preview")
_SUBSCRIBERS = re.compile(r"\b([0-9]{1,7}) (?:subscriber|reader)s?\b")
_MOST_AGENT = 300  # characters that are looked at

_FEED_ID = "[a-z0-9][a-z0-9-]{0,63}"
_FEED = re.compile(rf"feeds/({_FEED_ID})\.(?:rss|atom|json|ics)")
_EMBED = re.compile(rf"embed/({_FEED_ID})\.html")
# Kinds of pages, and their paths in an edition of the site.
_PAGES = {
    "list": re.compile(r"(?:index\.html)?|paket/[0-9]{1,6}\.html"),
    "tender": re.compile(r"tenders/.+\.html"),
    "search": re.compile(r"cari\.html"),
    "week": re.compile(r"pekan-ini\.html"),
    "catalogue": re.compile(r"feeds/(?:index\.html)?"),
    "feed": re.compile(rf"feeds/{_FEED_ID}\.html"),
    "statistics": re.compile(r"statistik\.html|statistik/[0-9]{4}\.html"),
    "status": re.compile(r"status\.html"),
    "visits": re.compile(r"kunjungan\.html"),
}

_log = logging.getLogger(__name__)


@lru_cache(4096)
def parse_target(path: str) -> tuple[VisitKind, str] | None:
    """What stands at a path of the site, told from its top; None for what is not counted, such as a picture."""
    if match := _FEED.fullmatch(path):
        return VisitKind.FEED, match[1]
    if path == "embed.js":
        return VisitKind.EMBED, path
    inner = path.removeprefix("en/")
    if match := _EMBED.fullmatch(inner):
        return VisitKind.EMBED, match[1]
    name = next((name for name, form in _PAGES.items() if form.fullmatch(inner)), None)
    return (VisitKind.PAGE, name) if name else None


def parse_reader(agent: str) -> tuple[str, int | None]:
    """The product that a User-Agent names, OTHER unless it is known; and the subscribers that it states, None unless
    it is a service that reads for many people."""
    # Plain searches in small letters: an alternation that ignores case takes longer than answering does.
    small = agent[:_MOST_AGENT].lower()
    name = next((name for written, name in _READERS.items() if written in small), OTHER)
    stated = _SUBSCRIBERS.search(small) if name in _STATING else None
    number = int(stated[1]) if stated else None
    return name, None if number is None or number > MOST_SUBSCRIBERS else number


def is_robot(agent: str) -> bool:
    """Whether a User-Agent is that of a program which looks at pages on nobody's behalf."""
    small = agent[:_MOST_AGENT].lower()
    return any(word in small for word in _BOTS)


class Visits:
    """The counts of this process that are not saved yet. ``save`` adds them to those of others; it also gets today."""

    def __init__(
        self, save: Callable[[Mapping[Counted, int], date], None], now: Callable[[], datetime], zone: ZoneInfo
    ) -> None:
        self._save = save
        self._now = now
        self._zone = zone
        self._counts: dict[Counted, int] = {}

    def count(self, path: str, agent: str, *, is_ahead: bool = False, is_embedded: bool = False) -> None:
        """Takes in one answered GET. ``is_ahead``: a browser loads it before anybody looks; ``is_embedded``: a script
        in another page asks, which was counted when it was loaded itself."""
        target = parse_target(path)
        if target is None or is_ahead:
            return
        kind, name = target
        if kind is VisitKind.FEED:
            reader, subscribers = parse_reader(agent)
            if not is_embedded and not (reader == OTHER and is_robot(agent)):
                self._count_feed(name, reader, subscribers)
        elif not is_robot(agent):
            self._add(Counted(self._today(), kind, name), 1)

    def count_request(self, path: str, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Takes in one answered GET by its path and the ``fields`` of its header."""
        agent, is_ahead, is_embedded = "", False, False
        for name, value in fields:
            if name == b"user-agent":
                agent = value.decode("latin-1")
            elif name in (b"sec-purpose", b"purpose"):
                is_ahead = value.startswith(b"prefetch")
            elif name == b"sec-fetch-mode":
                is_embedded = value == b"cors"
        self.count(path.removeprefix("/"), agent, is_ahead=is_ahead, is_embedded=is_embedded)

    async def flush(self) -> None:
        """Saves what was counted. Where the database fails it is kept for the next time."""
        counts, self._counts = self._counts, {}
        if counts and not await run_in_threadpool(self._try_to_save, counts):
            for visit, number in counts.items():
                self._add(visit, number)

    @asynccontextmanager
    async def saving(self, every: float = EVERY) -> AsyncIterator[None]:
        """Saves every so many seconds, and once more at the end."""
        ended = asyncio.Event()
        task = asyncio.create_task(self._save_until(ended, every))
        try:
            yield
        finally:
            ended.set()
            await task
            await self.flush()

    async def _save_until(self, ended: asyncio.Event, every: float) -> None:
        while not ended.is_set():
            await self.flush()
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), every)

    def _try_to_save(self, counts: Mapping[Counted, int]) -> bool:
        try:
            self._save(counts, self._today())
        except DatabaseError as error:
            _log.warning("visits are kept in memory: %s", error)
            return False
        return True

    def _count_feed(self, name: str, reader: str, subscribers: int | None) -> None:
        today = self._today()
        self._add(Counted(today, VisitKind.FEED, name, reader), 1)
        if subscribers is not None:
            self._add(Counted(today, VisitKind.SUBSCRIBERS, name, reader), subscribers)

    def _today(self) -> date:
        return self._now().astimezone(self._zone).date()

    def _add(self, visit: Counted, number: int) -> None:
        held = self._counts.get(visit)
        if held is None and len(self._counts) >= MOST_COUNTERS:
            return
        is_highest = visit.kind is VisitKind.SUBSCRIBERS
        self._counts[visit] = max(held or 0, number) if is_highest else (held or 0) + number


class CountVisits:
    """An ASGI app around another one: counts the GETs that it answers with 200 or 304."""

    def __init__(self, app: ASGIApp, visits: Visits) -> None:
        self._app = app
        self._visits = visits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (200, 304):
                self._visits.count_request(scope["path"], scope["headers"])
            await send(message)

        await self._app(scope, receive, watch)
