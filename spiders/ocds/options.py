"""The settings of an OCDS publisher (``portal.options``), and the windows of time they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aggregator.config import Duration


class Options(BaseModel):
    """How a publisher gives its packages out; docs/sources/ocds.md says what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paging: Literal["links", "pages", "windows", "file", "jsonl", "zip"] = "links"
    query: Mapping[str, str | int] = Field(default_factory=dict)
    page_parameter: str = Field(default="page", min_length=1)
    first_page: int = Field(default=1, ge=0)
    total: str = ""
    window_parameters: tuple[str, str] = ("updatedFrom", "updatedTo")
    window: Duration = timedelta(hours=6)
    overlap: Duration = timedelta(hours=2)
    since: Duration = timedelta(days=30)
    recent: Duration = timedelta(days=1)
    dated: bool = True
    record: str = Field(default="", pattern=r"^$|\{ocid\}")
    page: str = Field(default="", pattern=r"^$|^https?://.*\{(ocid|id)\}")
    stale_after: Duration | None = None
    pause: Duration = timedelta(minutes=2)
    pause_on: tuple[Literal[403, 429], ...] = (429,)
    licence: Literal["OGL-UK-3.0"] | None = None
    token_env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")

    @model_validator(mode="after")
    def _windows_move_on(self) -> Self:
        if self.overlap >= self.window:
            raise ValueError("overlap must be shorter than window, or windows never move on")
        return self


class Window(NamedTuple):
    """A span of time asked for, ends included; UTC."""

    start: datetime
    stop: datetime

    def __str__(self) -> str:
        return f"{render_time(self.start)} to {render_time(self.stop)}"


def split_windows(start: datetime, stop: datetime, window: timedelta, overlap: timedelta) -> Iterator[Window]:
    """Windows no longer than ``window`` from ``stop`` back to ``start``, newest first, each ``overlap`` into the next.

    Long windows make some publishers drop releases without a word; ends are cut to whole seconds.
    """
    start, stop = (time.astimezone(UTC).replace(microsecond=0) for time in (start, stop))
    while True:
        begin = max(stop - window, start)
        yield Window(begin, stop)
        if begin <= start:
            return
        stop = begin + overlap


def render_time(time: datetime) -> str:
    """UTC in the 19 characters that Find a Tender takes; it refuses offsets and fractions."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def render_url(url: str, query: Mapping[str, str | int]) -> str:
    """``url`` with ``query`` laid over what it asks already."""
    parts = urlsplit(url)
    asked = dict(parse_qsl(parts.query, keep_blank_values=True)) | {k: str(v) for k, v in query.items()}
    return urlunsplit(parts._replace(query=urlencode(asked, safe=":,")))
