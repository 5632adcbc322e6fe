"""Runs spiders over portals: one run at a time a host, each with its assignment, and a verdict at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from scrapy.utils.reactor import install_reactor, is_reactor_installed

REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"
T = TypeVar("T")


def run_in_reactor(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine in Twisted's asyncio reactor, which is started once a process and then stays."""
    if not is_reactor_installed():
        install_reactor(REACTOR)
    from twisted.internet import reactor

    if not reactor.running:
        # Names are resolved in its threads; they must not keep the process from ending.
        reactor.getThreadPool().threadFactory = partial(threading.Thread, daemon=True)
        reactor.startRunning(installSignalHandlers=False)
    loop = reactor._asyncioEventloop
    asyncio.set_event_loop(loop)
    result: T = loop.run_until_complete(main())
    return result
