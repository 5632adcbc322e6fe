"""What goes over the wire between the server and a stand-in, and what a stand-in is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Protocol
from urllib.parse import parse_qsl

HTML = "text/html; charset=utf-8"
JSON = "application/json; charset=utf-8"


@dataclass
class Request:
    """A request as it arrived. Header names are lower-case; ``faults`` are those now in force for it."""

    method: str
    path: str
    query_string: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    faults: frozenset[str] = frozenset()

    @property
    def address(self) -> str:
        """Path with query, as on the request line."""
        return f"{self.path}?{self.query_string}" if self.query_string else self.path

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @cached_property
    def form(self) -> dict[str, str]:
        """Query string and urlencoded body together; the body leads."""
        return self.query | dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; ``page`` names its sort for the statistics, *absent* and *denied* among them."""

    body: bytes
    page: str
    status: int = 200
    type: str = HTML
    headers: tuple[tuple[str, str], ...] = ()


class StandIn(Protocol):
    """One source, imitated: a family's module beside spse.py has a class that is one of these.

    It answers every path that is ``prefix`` or below; its own faults (Request.faults) it acts out itself.
    """

    prefix: str

    def answer(self, request: Request) -> Response: ...

    def advance(self, by: timedelta) -> None: ...
