"""Runs the server on a socket: with room for many connections, and no patience for those that never ask."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 4_096  # at once; each may hold some 20 kB
MOST_ACCEPTED = 100  # connections taken from the system at a time


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection is waited for, in seconds, and how many there are at most."""

    header: float = 15.0  # until the whole header of a request is there
    answer: float = 300.0  # from then until its answer was taken, which may be long on a slow line
    most: int = MOST_CONNECTIONS


def run_server(application: ASGIApp, listener: socket.socket) -> None:
    """Serves on ``listener`` until the process is told to end."""
    # Connections have it from their listener. Without it the body of an answer waits up to 40 ms for the reader to
    # confirm the header; asyncio sees to it by itself only where it made the socket.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    files = raise_file_limit()
    with suppress(KeyboardInterrupt):  # which uvicorn raises again after it has ended well
        # Half of the files are for other things, and for connections that are being turned away.
        make_server(application, Patience(most=min(MOST_CONNECTIONS, files // 2))).run(sockets=[listener])


def make_server(application: ASGIApp, patience: Patience) -> uvicorn.Server:
    """A server that is not started yet."""
    protocol = partial(_Connection, patience=patience, asking=_Asking())
    config = uvicorn.Config(
        application,
        http=cast("type[asyncio.Protocol]", protocol),
        ws="none",
        # Strangers cause its warnings, one a request, as by what is no HTTP.
        log_level="error",
        log_config=None,  # the program's own form of the log, not a second one
        access_log=False,
        server_header=False,
        backlog=max(1, min(MOST_ACCEPTED, patience.most // 4)),
    )
    return uvicorn.Server(config)


def raise_file_limit() -> int:
    """Lets this process open as many files as all its connections need, or as many as it may; returns how many."""
    soft, hard = (
        2 * MOST_CONNECTIONS if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    wanted = min(2 * MOST_CONNECTIONS, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return max(soft, wanted)


@dataclass(slots=True)
class _Asking:
    """The connections whose request is not there yet, that of the longest wait first."""

    waiting: dict[_Connection, None] = field(default_factory=dict)


class _Connection(H11Protocol):
    """A connection that is ended when its request, or taking the answer, takes too long. Where there are too many, the
    one that has waited longest without a whole request makes room: uvicorn itself would wait for ever."""

    def __init__(self, *args: Any, patience: Patience, asking: _Asking, **more: Any) -> None:
        super().__init__(*args, **more)
        self._patience = patience
        self._asking = asking
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._patience.most:
            oldest = next(iter(self._asking.waiting), self)
            oldest._forget()
            oldest.connections.discard(oldest)
            oldest.transport.abort()
            if oldest is self:
                return
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.cycle is not before:
            self._forget()
            self._end = self.loop.call_later(self._patience.answer, self.transport.abort)
        elif self not in self._asking.waiting and self.cycle is not None and self.cycle.response_complete:
            self._wait_for_header()  # of the next request

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _wait_for_header(self) -> None:
        self._forget()
        self._asking.waiting[self] = None
        self._end = self.loop.call_later(self._patience.header, self.transport.abort)

    def _forget(self) -> None:
        self._asking.waiting.pop(self, None)
        if self._end is not None:
            self._end.cancel()
            self._end = None
