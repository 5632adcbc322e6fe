"""robots.txt is obeyed, and asked for once a host and day: in the place of Scrapy's, which asks once a crawler."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from scrapy import signals
from scrapy.exceptions import IgnoreRequest, NotConfigured
from scrapy.http import Request, Response
from scrapy.robotstxt import ProtegoRobotParser

from aggregator.models import Visit
from aggregator.robots import MOST_BYTES, Robots, RobotsAnswer
from aggregator.verdicts import Problem
from spiders.portal import DOWNLOAD_ERRORS, Disallowed, Stop

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

LONGEST_DELAY = 600.0  # seconds of Crawl-delay that are obeyed, as many as warta.toml takes; a run would never end


class RobotsMiddleware:
    """Asks for a host's robots.txt where no fresh answer is kept, and refuses what it forbids.

    As RFC 9309 section 2.3.1 has it: without such a file everything may be asked for, and nothing while the host
    cannot answer (429, 5xx, no answer), unless an older answer is kept. Then that answer is the page's: the spider
    waits or gives up as it would if the page had given it.
    """

    def __init__(self, crawler: Crawler) -> None:
        if not crawler.settings.getbool("ROBOTSTXT_OBEY"):
            raise NotConfigured
        self._crawler = crawler
        self._robots: Robots = crawler.settings.get("WARTA_ROBOTS") or Robots()
        self._parsers: dict[str, ProtegoRobotParser] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    async def process_request(self, request: Request) -> Response | None:
        if request.meta.get("dont_obey_robotstxt"):
            return None
        host = find_host(request.url)
        if host not in self._parsers:
            rules = await self._find_rules(host)
            if isinstance(rules, Response):
                return rules
            parser = self._parsers[host] = ProtegoRobotParser(rules, self._crawler.spider)
            delay = parser.crawl_delay(self._crawler.settings["USER_AGENT"]) or 0.0
            if delay > LONGEST_DELAY:
                raise Stop(Problem("rate_limited", f"{host}/robots.txt asks to wait {delay:g} s between two requests"))
            self._crawler.signals.send_catch_log(signals.robots_parsed, robotparser=parser, request=request)
        if not self._parsers[host].allowed(request.url, self._crawler.settings["USER_AGENT"]):
            raise Disallowed("Forbidden by robots.txt")
        return None

    async def _find_rules(self, host: str) -> bytes | Response:
        """What the host asks for, or the answer with which it does not say."""
        visit: Visit | None = self._crawler.settings.get("WARTA_VISIT")
        now = visit.now if visit else datetime.now(UTC)
        kept = self._robots.find(host)
        if kept and kept.is_fresh(now):
            return kept.rules
        try:
            told = await self._ask(host, now)
        except DOWNLOAD_ERRORS:
            if kept:
                return kept.rules
            raise  # to the page, which is tried again or given up
        if isinstance(told, Response):
            return kept.rules if kept else told
        self._robots.save(host, told)
        return told.rules

    async def _ask(self, host: str, now: datetime) -> RobotsAnswer | Response:
        """A Response where it cannot be told whether there is such a file."""
        engine = self._crawler.engine
        if engine is None:
            raise RuntimeError("robots.txt asked for outside of a crawl")
        # It is the page that is tried again.
        request = Request(f"{host}/robots.txt", meta={"dont_obey_robotstxt": True, "dont_retry": True})
        try:
            response = await engine.download_async(request)
        except (IgnoreRequest, ValueError):  # led to another host, round in circles or nowhere: as if there were none
            return RobotsAnswer(now, 0, b"")
        if response.status == 429 or response.status >= 500:
            return response
        return RobotsAnswer(now, response.status, response.body[:MOST_BYTES])


def find_host(url: str) -> str:
    """Scheme, host and port: what a robots.txt is for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def find_crawl_delay(answer: RobotsAnswer | None, agent: str) -> float:
    """Seconds between two requests that a kept robots.txt asks ``agent`` for; 0 where it says nothing."""
    if answer is None:
        return 0.0
    delay = ProtegoRobotParser(answer.rules, None).crawl_delay(agent) or 0.0
    return delay if delay <= LONGEST_DELAY else 0.0  # the run ends before it asks for anything
