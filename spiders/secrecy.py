"""Keys are put into a request only where it goes out, so that nothing before or after that ever holds one.

Everywhere else, in addresses, headers, logs, errors and the archive, the name of the environment variable stands in
the key's place. A replay from the archive asks by that name, and needs no key.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scrapy.core.downloader.handlers import http11
from scrapy.exceptions import (
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    ResponseDataLossError,
)
from scrapy.http import Request, Response

from spiders.transport import PortalHandler

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

_ERRORS = (
    DownloadCancelledError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    ResponseDataLossError,
)


class KeyedHandler(PortalHandler):
    """Sends the requests of every spider; the names in its ``secrets`` are replaced by their keys on the way out, the
    keys by their names on the way back."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._of = crawler

    async def download_request(self, request: Request) -> Response:
        names: tuple[str, ...] = getattr(self._of.spider, "secrets", ())
        keys = {name: os.environ[name] for name in names if os.environ.get(name)}
        if not keys:
            return await super().download_request(request)
        with _masked_log(keys):
            try:
                response = await super().download_request(_unmask(request, keys))
            except _ERRORS as error:
                raise type(error)(mask(str(error), keys)) from None
        return _mask_response(response, request, keys)


def mask(text: str, keys: Mapping[str, str]) -> str:
    """``text`` with the name of each key in its place."""
    for name, key in keys.items():
        text = text.replace(key, name)
    return text


def _unmask(request: Request, keys: Mapping[str, str]) -> Request:
    url = request.url
    headers = request.headers.copy()
    told = (headers.get("Authorization") or b"").decode("latin-1")
    for name, key in keys.items():
        url = "/".join(key if part == name else part for part in url.split("/"))
        if told == f"Bearer {name}":
            headers["Authorization"] = f"Bearer {key}"
    return request.replace(url=url, headers=headers)


def _mask_response(response: Response, request: Request, keys: Mapping[str, str]) -> Response:
    headers = response.headers.copy()
    for name in headers:
        headers.setlist(name, [mask(v.decode("latin-1"), keys).encode("latin-1") for v in headers.getlist(name)])
    body = response.body
    for name, key in keys.items():
        body = body.replace(key.encode(), name.encode())
    return response.replace(url=request.url, headers=headers, body=body)


class _Masking(logging.Filter):
    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._keys = keys

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = mask(record.getMessage(), self._keys), ()
        return True


@contextmanager
def _masked_log(keys: Mapping[str, str]) -> Iterator[None]:
    """What Scrapy's own handler logs of a request, it logs with its whole address."""
    masking = _Masking(keys)
    http11.logger.addFilter(masking)
    try:
        yield
    finally:
        http11.logger.removeFilter(masking)
