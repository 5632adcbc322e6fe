"""Finds LPSE by name in MasterLPSE, for `warta portals --discover`: one polite request. No database is made for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from scrapy.crawler import AsyncCrawlerRunner, Crawler

from aggregator.config import Config, ConfigError, Portal, check_web_address
from aggregator.database import is_made, open_database
from aggregator.leases import LeaseHeld, Leases, name_host
from aggregator.models import Listing, Reading, Visit
from aggregator.verdicts import Problem
from spiders.crawl import find_delay, make_settings, run_in_reactor
from spiders.portal import PortalSpider
from spiders.satudata.masters import Entry, find_named, parse_master, render_portals

OFFICIAL = "https://isb.lkpp.go.id/isb-2/api/satudata"


HINTS = (
    "Slugs are made from names: open each address and check it before you paste its table into warta.toml.",
    'East of Java add timezone = "Asia/Makassar" or "Asia/Jayapura" where clocks say so.',
)


class DiscoveryError(Exception):
    """The list of LPSE could not be read; the message says why."""


class MasterSpider(PortalSpider):
    """Reads MasterLPSE into ``entries``. Its class has no name, so it is no family."""

    entries: Sequence[Entry] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("discover", **kwargs)

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        url = f"{self.portal.url.rstrip('/')}/MasterLPSE"
        self.entries = parse_master((await self.fetch(url)).body, "lpse")
        return
        yield  # makes it a generator, as visits are


@dataclass
class _Told:
    """A spiders.portal.Tally that only keeps what is reported."""

    problems: list[Problem] = field(default_factory=list)

    def report(self, problem: Problem) -> None:
        self.problems.append(problem)

    def failed_request(self) -> None:
        """Told by the problem."""


def find_tables(config: Config, name: str, source: str = "") -> tuple[str, str]:
    """[[portal]] tables of the LPSE whose names hold the words of ``name``, and what to tell whoever asked.

    No tables: nothing was found, or the list could not be read. ConfigError where ``name`` or ``source`` cannot be.
    """
    if not name.strip():
        raise ConfigError("say whose portal to find, as in --discover malang")
    try:
        check_web_address(source or OFFICIAL)
    except ValueError as mistake:
        raise ConfigError(f"--from: {mistake}") from None
    try:
        found = find_lpse(config, name, source)
    except DiscoveryError as error:
        return "", f"warta: {error}"
    if not found:
        return "", f"warta: there is no LPSE whose name holds {name!r}; try fewer or other words"
    return render_portals(found), "\n".join((f"{len(found)} found.", *HINTS))


def find_lpse(config: Config, name: str, source: str = "") -> list[Entry]:
    """The LPSE whose names hold all words of ``name``. DiscoveryError when the list cannot be read.

    ``source`` is the address above MasterLPSE; without it that of the configuration's own open Satu Data portal, else
    LKPP's.
    """
    url = source or next((p.url for p in config.portal if _is_open(p)), OFFICIAL)
    portal = Portal(id="discover", family="satudata", name="MasterLPSE", url=url)
    engine = open_database(config.database_url) if is_made(config.database_url) else None
    try:
        with Leases(engine, config.lock_folder) as leases, leases.await_lease(name_host(portal.host)) as lease:
            wait = lease.wait(find_delay(config, portal))
            return find_named(run_in_reactor(lambda: _read_master(config, portal, wait)), name)
    except LeaseHeld as held:
        raise DiscoveryError(str(held)) from None


async def _read_master(config: Config, portal: Portal, wait: float) -> Sequence[Entry]:
    await asyncio.sleep(wait)
    crawler = Crawler(MasterSpider, make_settings(config, portal))
    told = _Told()
    crawler.settings.set("WARTA_TALLY", told)
    crawler.settings.set("WARTA_VISIT", Visit(portal=portal.id, now=datetime.now(UTC), known={}))
    await AsyncCrawlerRunner().crawl(crawler)
    if told.problems or not isinstance(crawler.spider, MasterSpider):
        raise DiscoveryError("; ".join(map(str, told.problems)) or "the crawl did not begin")
    return crawler.spider.entries


def _is_open(portal: Portal) -> bool:
    return portal.family == "satudata" and portal.options.get("api") == "open"
