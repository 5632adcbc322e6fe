"""The server: the published tree, and pages of errors in the look of the site."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aggregator.config import Config
from feeds.files import PAGE_RULES, PublishedFiles
from feeds.pages import Site, load_site, render_error


def make_app(config: Config, directory: Path | None = None, *, sample: bool = False) -> Starlette:
    """The application that serves ``directory`` (the configured one unless told); ``sample`` as in ``publish``."""
    root = (directory or config.public_folder).resolve()
    site = load_site(config, sample=sample)
    answer = _ErrorPages(site, root)
    return Starlette(
        routes=[Route("/{path:path}", PublishedFiles(root))],
        exception_handlers={HTTPException: answer, Exception: answer},
    )


class _ErrorPages:
    """Errors in the look of the site, for any address under it."""

    def __init__(self, site: Site, root: Path) -> None:
        self._site = site
        self._root = root

    def __call__(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        if status == 404 and not (self._root / "index.html").exists():
            status, headers = 503, {"Retry-After": "60"}  # nothing published yet
        # relative addresses, so that the page works behind a proxy that serves the tree under a folder
        depth = min(request.url.path.count("/") - 1, 16)
        page = render_error(self._site, status, root="../" * depth)
        rules = {**PAGE_RULES, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
        response = Response(page, status, {**rules, **headers}, media_type="text/html")
        if request.method == "HEAD":
            response.body = b""
        return response
