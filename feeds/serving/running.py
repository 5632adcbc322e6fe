"""Runs the server on a socket: with room for many connections, and no patience for those that never ask."""

from __future__ import annotations

import asyncio
import re
import resource
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from feeds.serving.at_once import AtOnce
from feeds.serving.files import HeldFile, RawHeaders

MOST_CONNECTIONS = 4_096  # at once; each may hold some 20 kB
MOST_ACCEPTED = 100  # connections taken from the system at a time

MOST_JOINED = 65_536  # bytes of a body that are copied behind its head, so that both are sent at once

_PLAIN_GET = re.compile(rb"GET (/[A-Za-z0-9._~:/-]+) HTTP/1\.1\r\n")  # a path that is written as it is named
_FRAMES = {b"content-length", b"transfer-encoding"}
_WISHES = (b"\ncontent-length", b"\ntransfer-encoding", b"\nexpect", b"\nupgrade:")  # more than an answer


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection is waited for, in seconds, and how many there are at most."""

    header: float = 15.0  # until the whole header of a request is there
    answer: float = 300.0  # from then until its answer was taken, which may be long on a slow line
    most: int = MOST_CONNECTIONS


def run_server(application: Starlette, listener: socket.socket) -> None:
    """Serves on ``listener`` until the process is told to end."""
    files = raise_file_limit()
    with suppress(KeyboardInterrupt):  # which uvicorn raises again after it has ended well
        # Half of the files are for other things, and for connections that are being turned away.
        patience = Patience(most=min(MOST_CONNECTIONS, files // 2))
        make_server(application, patience, getattr(application.state, "at_once", None)).run(sockets=[listener])


def make_server(application: ASGIApp, patience: Patience, at_once: AtOnce | None = None) -> uvicorn.Server:
    """A server that is not started yet; what ``at_once`` can answer, ``application`` is not asked."""
    protocol = partial(_Connection, patience=patience, asking=_Asking(), heads=_Heads(), at_once=at_once)
    config = uvicorn.Config(
        application,
        http=cast("type[asyncio.Protocol]", protocol),
        ws="none",
        # Strangers cause its warnings, one a request, as by what is no HTTP.
        log_level="error",
        log_config=None,  # the program's own form of the log, not a second one
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks who reads, or by which scheme
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


class _Heads:
    """The heads of answers that h11 has looked at, of one second: their date is the same. Most answers of a second are
    like another one, and looking at one takes h11 a fifth of all that an answer takes."""

    def __init__(self) -> None:
        self._same: RawHeaders = []
        self._seen: dict[tuple[int, int], tuple[RawHeaders, h11.Response]] = {}

    def find(self, status: int, headers: RawHeaders, same: RawHeaders) -> h11.Response:
        """That of ``status`` with ``same``, which the server makes anew each second, and ``headers``."""
        if self._same is not same:
            self._same = same
            self._seen.clear()
        key = status, id(headers)
        found = self._seen.get(key)
        if found is None:
            phrase = HTTPStatus(status).phrase
            found = headers, h11.Response(status_code=status, headers=[*same, *headers], reason=phrase)
            self._seen[key] = found  # with the headers, so that no other list can come to lie in their place
        return found[1]


class _Connection(H11Protocol):
    """A connection that is ended when its request, or taking the answer, takes too long. Where there are too many, the
    one that has waited longest without a whole request makes room: uvicorn itself would wait for ever."""

    def __init__(
        self, *args: Any, patience: Patience, asking: _Asking, heads: _Heads, at_once: AtOnce | None, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self._at_once = at_once
        self._heads = heads
        self._patience = patience
        self._asking = asking
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Else the body of an answer waits 40 ms for the reader to confirm the head; asyncio sees to it by itself only
        # where it has made the listening socket.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > self._patience.most:
            oldest = next(iter(self._asking.waiting), self)
            oldest._forget()
            oldest.connections.discard(oldest)
            oldest.transport.abort()
            if oldest is self:
                return
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        if self._at_once and (path := self._find_plain_get(data)) and (file := self._at_once.find(path)):
            self._answer(self._at_once, file, path, data)
            return
        before = self.cycle
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.cycle is not before:
            self._forget()
            self._end = self.loop.call_later(self._patience.answer, self.transport.abort)
        elif self not in self._asking.waiting and self.cycle is not None and self.cycle.response_complete:
            self._wait_for_header()  # of the next request

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        # With a length and chunks both, a proxy may count its bytes by the other one, and give the answer to what hides
        # behind it to somebody else (RFC 9112 §6.1): there is none.
        if self.cycle is not before and {name for name, _ in self.headers or ()} >= _FRAMES:
            self.cycle.keep_alive = False

    def _find_plain_get(self, data: bytes) -> str:
        """The path, where ``data`` is one whole GET without query, body or wish, on a connection that owes nothing."""
        is_one = data.find(b"\n\r\n") == len(data) - 3 and b"\n\n" not in data
        if not is_one or self.flow.write_paused or self.conn.trailing_data[0]:
            return ""
        if self.conn.our_state is not h11.IDLE or self.conn.their_state is not h11.IDLE:
            return ""
        match, small = _PLAIN_GET.match(data), data.lower()
        return match[1].decode("ascii") if match and not any(wish in small for wish in _WISHES) else ""

    def _answer(self, at_once: AtOnce, file: HeldFile, path: str, data: bytes) -> None:
        """As uvicorn would, with h11 reading and writing, but in one go."""
        self._forget()
        self._unset_keepalive_if_required()
        self.conn.receive_data(data)
        try:
            request, end = self.conn.next_event(), self.conn.next_event()
        except h11.RemoteProtocolError:
            self.send_400_response("Invalid HTTP request received.")
            return
        if not isinstance(request, h11.Request) or not isinstance(end, h11.EndOfMessage):
            self.transport.abort()  # cannot be: what has a body was left to uvicorn
            return
        status, headers, body = at_once.answer(file, path, list(request.headers))
        head = self.conn.send(self._heads.find(status, headers, self.server_state.default_headers)) or b""
        body = self.conn.send(h11.Data(data=body)) or b""
        self.conn.send(h11.EndOfMessage())
        if len(body) < MOST_JOINED:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))
        if self.transport.get_write_buffer_size():
            self._end = self.loop.call_later(self._patience.answer, self.transport.abort)
        if self.conn.our_state is h11.MUST_CLOSE:
            self.conn.send(h11.ConnectionClosed())
            self.transport.close()
        self.on_response_complete()

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
