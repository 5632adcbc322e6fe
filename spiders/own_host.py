"""Only the portal's own host is asked, whatever a redirect or a link says: another's answer is not its word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


class LedAway(IgnoreRequest):
    """A request that is not sent; the message names where it would have led."""


class OwnHostMiddleware:
    """Refuses requests to hosts outside of the spider's ``allowed_domains``, and redirects from https to http.

    In the place of Scrapy's OffsiteMiddleware, which also allows subdomains, and takes ``dont_filter`` for leave.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        led = urlsplit(request.url)
        lowered = led.scheme == "http" and any(
            url.startswith("https:") for url in request.meta.get("redirect_urls", ())
        )
        if lowered or led.hostname not in getattr(self._crawler.spider, "allowed_domains", ()):
            raise LedAway(f"leads to {led.scheme}://{led.netloc}{led.path}"[:200] + ", which is not the portal's")
