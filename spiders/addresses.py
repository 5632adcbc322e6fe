"""A name that leads into a private network is not asked: looked at where it is resolved, on the addresses connected to.

So a name that is public first and private the next time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies

from twisted.internet.interfaces import IAddress, IHostnameResolver, IResolutionReceiver
from zope.interface import implementer  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

logger = logging.getLogger(__name__)

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last four bytes

_allowed: set[str] = set()  # names that the configuration lets lead into a private network
_refused: dict[str, str] = {}  # names that led there at last, with the address


def allow_private(host: str) -> None:
    """``host`` may lead into a private network from now on: whoever configured it says so."""
    _allowed.add(host.lower())


def find_refused(host: str) -> str | None:
    """The private address that ``host`` led to when it was last resolved, None where it led to none."""
    return _refused.get(host.lower())


def is_public(address: str) -> bool:
    """Whether ``address`` is one of the internet, not of a machine, its network or a cloud's own services."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found in _NAT64:
            return is_public(str(IPv4Address(found.packed[-4:])))
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if inner:
            return is_public(str(inner))
        if found.is_site_local:
            return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


@implementer(IHostnameResolver)
class PublicResolver:
    """Resolves as the reactor did before, but keeps back private addresses.

    Not of a host that is told as an address or as localhost: only what is configured is asked, so whoever wrote that
    means it. Nor of the proxies that the environment names.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._inner = reactor.nameResolver
        proxies = (urlsplit(proxy if "://" in proxy else f"//{proxy}").hostname for proxy in getproxies().values())
        self._proxies = {proxy for proxy in proxies if proxy}

    @classmethod
    def from_crawler(cls, crawler: Crawler, reactor: Any) -> Self:
        """For plain Scrapy, which makes what DNS_RESOLVER names."""
        return cls(reactor)

    def install_on_reactor(self) -> None:
        self._reactor.installNameResolver(self)

    def resolveHostName(  # Twisted's interface
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        host = hostName.lower()
        receiver = resolutionReceiver
        if not (_is_told_as_private(host) or host in _allowed or host in self._proxies):
            receiver = _PublicReceiver(resolutionReceiver, host)
        return self._inner.resolveHostName(receiver, hostName, portNumber, addressTypes, transportSemantics)


def _is_told_as_private(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return True


@implementer(IResolutionReceiver)
class _PublicReceiver:
    """Hands on what is found, but for private addresses. Where nothing is left the name counts as unknown."""

    def __init__(self, inner: Any, host: str) -> None:
        self._inner = inner
        self._host = host
        self._private = ""

    def resolutionBegan(self, resolutionInProgress: Any) -> None:
        self._inner.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        told = getattr(address, "host", "")
        if is_public(told):
            self._inner.addressResolved(address)
        else:
            self._private = told

    def resolutionComplete(self) -> None:
        _refused.pop(self._host, None)
        if self._private:
            _refused[self._host] = self._private
            logger.warning("%s: its address %s is of a private network, and is not asked", self._host, self._private)
        self._inner.resolutionComplete()
