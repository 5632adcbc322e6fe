"""A bare Scrapy crawl: downloads the pages that it is told, and keeps nothing. Runs in the project's own environment.

Scrapy's settings are its defaults, but for the agent, since portals refuse Scrapy's, and the log, which is as quiet as
ours: a line for each page would be time that is not needed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import scrapy
from scrapy.crawler import AsyncCrawlerRunner
from scrapy.http import Request, Response
from scrapy.utils.reactor import install_reactor

from aggregator.models import Kind
from spiders.crawl import REACTOR, run_in_reactor
from spiders.settings import USER_AGENT
from spiders.spse.lists import parse_token, render_query
from spiders.spse.spider import LENGTH

_KINDS = {"lelang": Kind.TENDER, "pl": Kind.NON_TENDER}  # by the last part of a list's address


class BareSpider(scrapy.Spider):
    """Asks for a list page, whose token the lists want, and then for everything else at once."""

    name = "bare"

    def __init__(self, url: str, asked: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._url = url
        self._asked = list(asked)

    async def start(self) -> AsyncIterator[Any]:
        first = next(address for method, address in self._asked if address.endswith("/lelang"))
        self._asked.remove(("GET", first))
        yield Request(urljoin(self._url, first), callback=self.ask)

    def ask(self, response: Response) -> Iterator[Request]:
        token = parse_token(response.body)
        pages: Counter[str] = Counter()
        for method, address in self._asked:
            headers = {"Referer": self._url}
            body = ""
            if method == "POST":
                headers |= {
                    "X-Requested-With": "XMLHttpRequest",
                    "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
                }
                kind = _KINDS[urlsplit(address).path.rsplit("/", 1)[-1]]
                body = render_query(kind, token, pages[address] + 1, pages[address] * LENGTH, LENGTH)
                pages[address] += 1
            yield Request(
                urljoin(self._url, address), self.parse, method=method, headers=headers, body=body, dont_filter=True
            )

    def parse(self, response: Response) -> None:
        """It was downloaded; nothing more is asked of it."""


def download(url: str, asked: str) -> dict[str, Any]:
    """The seconds, by the clock and of processors, of a crawl of the pages of ``url`` that the file ``asked`` names:
    method and address, as JSON."""
    install_reactor(REACTOR)
    runner = AsyncCrawlerRunner({"USER_AGENT": USER_AGENT})
    crawler = runner.create_crawler(BareSpider)
    pages = [(method, address) for method, address in json.loads(Path(asked).read_bytes())]
    began, used = time.perf_counter(), time.process_time()
    run_in_reactor(lambda: _crawl(runner, crawler, url, pages))
    spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}
    stats = crawler.stats.get_stats() if crawler.stats else {}
    return spent | {"answers": stats.get("response_received_count", 0)}


async def _crawl(runner: AsyncCrawlerRunner, crawler: Any, url: str, pages: list[tuple[str, str]]) -> None:
    await asyncio.ensure_future(runner.crawl(crawler, url=url, asked=pages))
