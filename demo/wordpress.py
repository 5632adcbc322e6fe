"""A WordPress site as its REST interface answers: pages, totals in headers, filters, refusals, and its own faults."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from demo.messages import JSON, Request, Response
from demo.newsroom import Article, Newsroom

# What may go wrong with this site, by the names that server.faults.add takes.
FAULTS = {
    "drifted": "the fields of a post have other names",
    "html": "an HTML page where JSON is due",
    "closed": "401, as plugins answer that close the interface",
    "no_totals": "answers lack X-WP-Total and X-WP-TotalPages",
    "unfiltered": "after and categories are ignored",
    "unsorted": "posts come oldest first",
    "duplicates": "the first post of the page comes again at its end",
    "short": "the page ends two posts early",
    "empty": "the page has no posts",
}
MOST = 100  # posts on a page


class Site:
    """A stand-in (messages.StandIn) of one site; its own clock is that of ``zone``."""

    def __init__(self, newsroom: Newsroom, prefix: str = "/berita", zone: str = "Asia/Jakarta") -> None:
        self.newsroom = newsroom
        self.prefix = prefix
        self.zone = ZoneInfo(zone)

    def advance(self, by: timedelta) -> None:
        self.newsroom.advance(by)

    def answer(self, request: Request) -> Response:
        path = request.path.removeprefix(self.prefix)
        if path != "/wp-json/wp/v2/posts":
            return _refuse(404, "rest_no_route", "No route was found matching the URL and request method.")
        if "closed" in request.faults:
            return _refuse(401, "rest_not_logged_in", "You are not currently logged in.")
        if "html" in request.faults:
            return Response(b"<!DOCTYPE html><html><title>Berita</title></html>", "posts")
        return self._posts(request)

    def _posts(self, request: Request) -> Response:
        query = request.query
        try:
            per_page, page = int(query.get("per_page", "10")), int(query.get("page", "1"))
            found = self._select(request)
        except ValueError:
            return _refuse(400, "rest_invalid_param", "Invalid parameter(s).")
        if not 1 <= per_page <= MOST or page < 1:
            return _refuse(400, "rest_invalid_param", "Invalid parameter(s): per_page")
        pages = ceil(len(found) / per_page)
        if page > max(pages, 1):
            return _refuse(400, "rest_post_invalid_page_number", "The page number requested is larger than available.")
        shown = _spoil(found[(page - 1) * per_page : page * per_page], request.faults)
        wanted = query.get("_fields")
        base = f"http://{request.headers.get('host', 'localhost')}{self.prefix}"
        rows = [self._render(article, base, wanted.split(",") if wanted else None) for article in shown]
        if "drifted" in request.faults:
            rows = [{"postId": row["id"], "permalink": row["link"], "title": {"text": ""}} for row in rows]
        totals = (("X-WP-Total", str(len(found))), ("X-WP-TotalPages", str(pages)))
        return Response(
            json.dumps(rows).encode(), "posts", type=JSON, headers=() if "no_totals" in request.faults else totals
        )

    def _select(self, request: Request) -> list[Article]:
        """The posts asked for, newest first. ValueError for a parameter that cannot be."""
        found = self.newsroom.newest_first()
        if "unsorted" in request.faults:
            found.reverse()
        if "unfiltered" in request.faults:
            return found
        if after := request.query.get("after"):
            bound = datetime.fromisoformat(after)
            bound = bound if bound.tzinfo else bound.replace(tzinfo=self.zone)
            found = [article for article in found if article.published > bound]
        if categories := request.query.get("categories"):
            ids = {int(number) for number in categories.split(",")}
            found = [article for article in found if article.category in ids]
        return found

    def _render(self, article: Article, base: str, fields: Sequence[str] | None) -> dict[str, Any]:
        row = {
            "id": article.id,
            "date": article.published.astimezone(self.zone).replace(tzinfo=None).isoformat(),
            "date_gmt": article.published.astimezone(UTC).replace(tzinfo=None).isoformat(),
            "guid": {"rendered": f"{base}/?p={article.id}"},
            "slug": article.slug,
            "status": "publish",
            "type": "post",
            "link": f"{base}/{article.slug}/",
            "title": {"rendered": article.title},
            "content": {"rendered": article.body, "protected": False},
            "excerpt": {"rendered": "", "protected": False},
            "categories": [article.category],
        }
        return {name: value for name, value in row.items() if fields is None or name in fields}


def _spoil(shown: list[Article], faults: frozenset[str]) -> list[Article]:
    if "empty" in faults:
        return []
    if "short" in faults:
        return shown[:-2]
    return shown + shown[:1] if "duplicates" in faults else shown


def _refuse(status: int, code: str, message: str) -> Response:
    body = json.dumps({"code": code, "message": message, "data": {"status": status}}).encode()
    return Response(body, "denied" if status == 401 else "missing", status, JSON)
