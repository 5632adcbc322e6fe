"""Only the portal's own host is asked, whatever a redirect or a link says: another's answer is not its word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

_USUAL_PORTS = {"http": 80, "https": 443}

Place = tuple[str, int]  # a host and a port: what runs behind another port is another's


class LedAway(IgnoreRequest):
    """A request that is not sent; the message names where it would have led."""


def find_place(url: str) -> Place | None:
    """Where a request for ``url`` goes; None where that is no plain http or https address."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _USUAL_PORTS or not parts.hostname or "@" in parts.netloc:
            return None
        return parts.hostname, parts.port or _USUAL_PORTS[parts.scheme]
    except ValueError:  # a port that is no number, a bracket that does not close
        return None


class OwnHostMiddleware:
    """Refuses requests to other places than the spider's ``own_places``, and redirects from https to http. A place of
    port 80 may move to https at its usual port.

    In the place of Scrapy's OffsiteMiddleware, which also allows subdomains, and takes ``dont_filter`` for leave.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        place, own = find_place(request.url), getattr(self._crawler.spider, "own_places", ())
        led = urlsplit(request.url)
        lowered = led.scheme == "http" and any(
            url.startswith("https:") for url in request.meta.get("redirect_urls", ())
        )
        moved_to_https = place is not None and place[1] == 443 and (place[0], 80) in own
        if lowered or not (place in own or moved_to_https):
            raise LedAway(f"leads to {led.scheme}://{led.netloc}{led.path}"[:200] + ", which is not the portal's")
