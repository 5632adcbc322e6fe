"""Cookies, as many as a session needs: what a portal sets beyond that would be sent with every request, and kept."""

from __future__ import annotations

from scrapy import Spider
from scrapy.downloadermiddlewares.cookies import CookiesMiddleware
from scrapy.http import Request, Response

MOST_COOKIES = 50  # of one host, as browsers kept at least (RFC 6265 section 6.1); SPSE sets three
LONGEST_COOKIES = 4096  # bytes of Set-Cookie in one answer


class FewCookiesMiddleware(CookiesMiddleware):
    """Scrapy's, but an answer that sets too much sets nothing, and a jar that is full is emptied."""

    def process_response(
        self, request: Request, response: Response, spider: Spider | None = None
    ) -> Request | Response:
        if sum(map(len, response.headers.getlist("Set-Cookie"))) > LONGEST_COOKIES:
            del response.headers["Set-Cookie"]
        told = super().process_response(request, response)
        for jar in self.jars.values():
            if len(jar) > MOST_COOKIES:
                jar.clear()
        return told
