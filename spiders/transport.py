"""How requests go out: with the portal's own certificate authority where it names one; heads end, a status is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from scrapy.core.downloader.handlers import http11
from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.web._newclient import HEADER, STATUS, ParseError
from twisted.web.client import BrowserLikePolicyForHTTPS
from zope.interface import implementer  # type: ignore[import-untyped]

from aggregator.config import ConfigError

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

LONGEST_HEAD = 64 * 1024  # bytes of an answer before its body; servers send one or two thousand

_STATUS = re.compile(rb"[1-5][0-9]{2}")  # what HTTP has, and columns of integers hold


@implementer(IOpenSSLTrustRoot)
class PortalTrust:
    """The authorities that this machine trusts, and those of one file: what a portal with a broken chain needs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _addCACertsToContext(self, context: SSL.Context) -> None:  # Twisted's interface
        context.set_default_verify_paths()
        context.load_verify_locations(str(self._path))


def check_authority(portal: str, path: Path) -> None:
    """ConfigError unless certificates stand in ``path``, which ``portal`` names as its ``ca``."""
    try:
        with path.open("rb"):
            SSL.Context(SSL.TLS_CLIENT_METHOD).load_verify_locations(str(path))
    except OSError as error:
        raise ConfigError(f"portal {portal}: ca: {path} cannot be read: {error.strerror}") from None
    except SSL.Error:
        raise ConfigError(f"portal {portal}: ca: {path} holds no certificate; it must be a PEM file") from None


class PortalHandler(http11.HTTP11DownloadHandler):
    """Scrapy's, with the authority that WARTA_CA names beside this machine's own; an answer whose head does not end is
    broken off, which DOWNLOAD_MAXSIZE is not there for."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._pool._factory = _ShortHeadedFactory
        if authority := crawler.settings.get("WARTA_CA"):
            self._contextFactory: Any = BrowserLikePolicyForHTTPS(PortalTrust(authority))  # type: ignore[no-untyped-call]


class _RightStatusParser(http11._LenientHTTPClientParser):
    def statusReceived(self, status: bytes) -> None:  # Twisted's interface, which takes any number
        super().statusReceived(status)  # type: ignore[no-untyped-call]
        if not _STATUS.fullmatch(status.split(b" ", 2)[1]):
            raise ParseError("no status of HTTP", status[:100])  # type: ignore[no-untyped-call]


class _ShortHeadedProtocol(http11._LenientHTTP11ClientProtocol):
    _head = 0  # bytes that came of the head of the answer under way

    def request(self, request: Any) -> Any:
        self._head = 0
        asked = super().request(request)
        self._parser.__class__ = _RightStatusParser  # as Scrapy does, and as safe: it has no state of its own
        return asked

    def dataReceived(self, data: bytes) -> None:  # Twisted's interface
        if self._parser is not None and self._parser.state in {STATUS, HEADER}:
            if self._head > LONGEST_HEAD:
                transport: Any = self.transport
                transport.abortConnection()
                return
            self._head += len(data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]


class _ShortHeadedFactory(http11._LenientHTTP11ClientFactory):
    def buildProtocol(self, addr: Any) -> Any:  # Twisted's interface
        return _ShortHeadedProtocol(self._quiescentCallback)  # type: ignore[no-untyped-call]
