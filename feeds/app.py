"""The server: the published tree, searches, and pages of errors in the look of the site."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from aggregator.config import Config
from aggregator.filters import FilterError
from aggregator.repository import Repository
from aggregator.visits import save_visits
from feeds.definitions import Format
from feeds.pages.narrowing import tell_fault
from feeds.pages.site import Site, load_sites, render_error
from feeds.serving.api import Api
from feeds.serving.at_once import AtOnce
from feeds.serving.files import PAGE_RULES, PublishedFiles, check_request, send_file
from feeds.serving.health import list_monitored
from feeds.serving.metrics import CountAnswers
from feeds.serving.searching import FEED_PATH, PAGE_PATH, Searching
from feeds.serving.visits import CountVisits, Visits
from feeds.words.wording import Wording

_EVER = datetime.min.replace(tzinfo=UTC)
_ERROR_RULES = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


def make_app(
    config: Config,
    repository: Repository,
    directory: Path | None = None,
    *,
    sample: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    clock: Callable[[], float] = time.monotonic,
    since: datetime = _EVER,
) -> Starlette:
    """The application that serves ``directory`` (the configured one unless told) and searches in ``repository``.

    ``sample`` as in ``publish``; ``now`` is what days are told from, ``clock`` a steady one in seconds. ``since``
    is when the configuration changed, on which searches rest too: no answer to one says that it is older.
    """
    root = (directory or config.public_folder).resolve()
    sites = load_sites(config, sample=sample)
    searching = Searching(repository, now, clock, since)
    zone = ZoneInfo(config.publisher.timezone)
    visits = Visits(partial(save_visits, repository.engine), now, zone)
    api = Api(config, repository, sites[0], now, clock, since)
    monitored, answers = list_monitored(config, repository, root, now, clock)
    answer, files = _ErrorPages(sites, root), PublishedFiles(root, config)
    application = Starlette(
        routes=[
            *(Route(f"/{FEED_PATH}.{form}", _SearchFeed(searching, config, form)) for form in Format),
            *(Route(f"/{site.prefix}{PAGE_PATH}", _SearchPage(searching, site)) for site in sites),
            *api.list_routes(),
            *monitored,
            Route("/{path:path}", files),
        ],
        middleware=[Middleware(CountAnswers, answers=answers), Middleware(CountVisits, visits=visits)],
        exception_handlers={HTTPException: answer, FilterError: answer, Exception: answer},
        lifespan=lambda _: visits.saving(),
    )
    application.state.at_once = AtOnce(files, visits, answers)
    return application


@dataclass(frozen=True, slots=True)
class _SearchFeed:
    """The ASGI app of one form of the feed of any search."""

    searching: Searching
    config: Config
    form: Format

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_request(scope)
        await send_file(await self.searching.find_feed(self.config, self.form, _read_query(scope)), scope, send)


@dataclass(frozen=True, slots=True)
class _SearchPage:
    """The ASGI app of the search page of one edition."""

    searching: Searching
    site: Site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_request(scope)
        await send_file(await self.searching.find_page(self.site, _read_query(scope)), scope, send)


def _read_query(scope: Scope) -> str:
    raw: bytes = scope["query_string"]
    return raw.decode("utf-8", "replace")


class _ErrorPages:
    """Errors in the look of the site, for any address under it; those of feeds in a line."""

    def __init__(self, sites: Sequence[Site], root: Path) -> None:
        self._sites = sites
        self._root = root

    def __call__(self, request: Request, error: Exception) -> Response:
        path = request.url.path.lstrip("/")
        # the edition of the address; the publisher's own has no prefix and stands first
        site = next(site for site in reversed(self._sites) if path.startswith(site.prefix))
        status, headers, told = 500, {}, ""
        if isinstance(error, HTTPException):
            status, headers = error.status_code, dict(error.headers or {})
        elif isinstance(error, FilterError):
            publisher = site.config.publisher
            status, told = 400, tell_fault(error, Wording(publisher.language, ZoneInfo(publisher.timezone)))
        if status == 404 and not (self._root / "index.html").exists():
            status, headers = 503, {"Retry-After": "60"}  # nothing published yet
        response = _tell_program(site, status, told) if _is_feed(path) else self._show(site, status, told, path)
        response.headers.update(headers)
        if request.method == "HEAD":
            response.body = b""
        return response

    def _show(self, site: Site, status: int, told: str, path: str) -> Response:
        # relative addresses, so that the page works behind a proxy that serves the tree under a folder
        depth = min(path.removeprefix(site.prefix).count("/"), 16)
        page = render_error(site, status, root="../" * depth, told=told)
        return Response(page, status, {**PAGE_RULES, **_ERROR_RULES}, media_type="text/html")


def _tell_program(site: Site, status: int, told: str) -> Response:
    """One line, which scripts of other sites may read, too: otherwise they hear of a missing right only."""
    wording = Wording(site.config.publisher.language, ZoneInfo(site.config.publisher.timezone))
    line = told or wording.say(f"feed_{status}" if status in {404, 405} else "feed_trouble")
    return PlainTextResponse(f"{line}\n", status, {**_ERROR_RULES, "Access-Control-Allow-Origin": "*"})


def _is_feed(path: str) -> bool:
    """Whether a program asks for ``path``: the pages about feeds stand beside them."""
    name = path.removeprefix("feeds/")
    return name not in {path, ""} and not name.endswith((".html", "/"))
