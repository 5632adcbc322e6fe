"""The API for programs: tenders page by page, one tender, every release in the order it was kept; JSON, read only."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from aggregator.config import Config
from aggregator.database import from_micros, to_micros
from aggregator.filters import Fault, Filter, FilterError
from aggregator.models import KEY, Kind, Record, Release
from aggregator.paging import Place, find_page
from aggregator.repository import Repository
from aggregator.sequence import OtherSequence, find_stretch
from feeds.contents import find_moving
from feeds.pages.site import Site
from feeds.query import parse_request, render_query
from feeds.serving.answers import Answers, Rendered
from feeds.serving.files import HeldFile, check_request, hold_file, send_file
from feeds.serving.openapi import FOLLOWED, PAGED, make_description

API_PATH = "api/"
DEFAULT_LIMIT = 100
MOST_BYTES = 4_000_000  # of an answer, before gzip; a page ends early where it would be larger
ROOM = 16_000_000  # bytes of answers kept in memory: whoever asks for page after page asks for each once

_ABSENT = b""  # the body of an answer that there is none
_ERRORS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
_TOLD = {
    404: "there is nothing at this address; see api/openapi.json",
    405: "this API is read only: GET or HEAD",
    410: "this database has not told that release: an older one was put in its place; drop what you hold and begin "
    "again with after=0",
    503: "the database is busy or cannot be reached; come again in a while",
}
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)


class _Unknown(ValueError):
    """A parameter that only answers tell, and none has told; the message is its name."""


class _Whatever(StringConvertor):
    """The rest of a path, also where it holds line breaks, which Starlette's own ``path`` does not take."""

    regex = r"[\s\S]*"


register_url_convertor("whatever", _Whatever())


class Api:
    """What programs ask for, as files ready to send. The arguments are those of ``make_app``."""

    def __init__(
        self,
        config: Config,
        repository: Repository,
        site: Site,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        since: datetime,
    ) -> None:
        self._repository = repository
        self._portals = [portal.id for portal in config.portal]
        self._zone = ZoneInfo(config.publisher.timezone)
        self._answers = Answers(repository.find_state, now, clock, since, reuse=0.0, room=ROOM)
        page = site.render_anywhere("api.html", "../", discover=(), portals=config.portal)
        described = json.dumps(make_description(config), ensure_ascii=False, indent=1).encode()
        self.page = _hold("index.html", page, now())
        self.description = _hold("openapi.json", described, now())

    def list_routes(self) -> list[Route]:
        tender = f"/{API_PATH}tenders/{{portal}}/{{kind}}/{{key}}"
        return [
            Route(f"/{API_PATH.rstrip('/')}", RedirectResponse(API_PATH, 308, {"X-Content-Type-Options": "nosniff"})),
            Route(f"/{API_PATH}", _Answer(lambda _, __: self.page)),
            Route(f"/{API_PATH}openapi.json", _Answer(lambda _, __: self.description)),
            Route(f"/{API_PATH}tenders", _Answer(lambda _, raw: self._find_tenders(raw))),
            Route(f"/{API_PATH}releases", _Answer(lambda _, raw: self._find_releases(raw))),
            Route(tender, _Answer(partial(self._find_tender, self._render_tender))),
            Route(f"{tender}/releases", _Answer(partial(self._find_tender, self._render_history))),
            Route(f"/{API_PATH}{{rest:whatever}}", _Answer(_find_nothing)),
        ]

    async def _find_tenders(self, raw: str) -> HeldFile:
        wanted, own = parse_request(raw, PAGED, ("cursor",))
        cursor = _parse_cursor(own["cursor"], wanted) if "cursor" in own else None
        name = f"tenders?{render_query(wanted)}&cursor={own.get('cursor', '')}"
        render = partial(self._render_tenders, wanted, cursor)
        moves = cursor is None and any(True for _ in find_moving(wanted))
        return await self._answers.find(name, f"{API_PATH}tenders.json", render, moves=moves)

    async def _find_releases(self, raw: str) -> HeldFile:
        wanted, own = parse_request(raw, FOLLOWED, ("after", "at"))
        after, time = _parse_whole("after", own.get("after", "0")), own.get("at") and _parse_time(own["at"])
        render = partial(self._render_releases, wanted, after, time or None)
        name = f"releases?{render_query(wanted)}&after={after}&at={time}"
        file = await self._answers.find(name, f"{API_PATH}releases.json", render, moves=False)
        if file.plain.body == _ABSENT:
            raise HTTPException(410)
        return file

    async def _find_tender(
        self, render: Callable[[Filter, datetime], Rendered], params: Mapping[str, str], raw: str
    ) -> HeldFile:
        parse_request(raw, (), ())
        portal, kind, key = (params[name] for name in ("portal", "kind", "key"))
        if portal not in self._portals or kind not in set(Kind) or not KEY.fullmatch(key):
            raise HTTPException(404)
        wanted = Filter(portal=(portal,), kind=(Kind(kind),), key=(key,), limit=1)
        name = f"{render.__name__}/{portal}/{kind}/{key}"
        file = await self._answers.find(name, f"{API_PATH}tender.json", partial(render, wanted), moves=False)
        if file.plain.body == _ABSENT:
            raise HTTPException(404)
        return file

    def _render_tenders(self, wanted: Filter, cursor: _Cursor | None, now: datetime) -> Rendered:
        limit = wanted.limit or DEFAULT_LIMIT
        # Days are counted from the same time on every page, or a package could slip through between two of them.
        counted = cursor.now if cursor and cursor.now else now
        found = find_page(
            self._repository.engine,
            wanted,
            counted,
            self._zone,
            limit=limit + 1,
            after=cursor.place if cursor else None,
            apart=len(wanted.portal) == 1,
            only=self._portals,
        )
        told = _fit(record.as_dict() for record, _ in found[:limit])
        following = None
        if len(told) < len(found):
            is_moving = any(True for _ in find_moving(wanted))
            place = _render_cursor(wanted, _Cursor(found[len(told) - 1][1], counted if is_moving else None))
            asked = render_query(wanted)
            following = f"?{asked}&cursor={place}" if asked else f"?cursor={place}"
        return Rendered(_join({"next": following}, "tenders", told), now)

    def _render_releases(self, wanted: Filter, after: int, time: datetime | None, now: datetime) -> Rendered:
        portals = [portal for portal in self._portals if not wanted.portal or portal in wanted.portal]
        limit = wanted.limit or DEFAULT_LIMIT
        try:
            found = find_stretch(self._repository.engine, after, limit, only=portals, kinds=wanted.kind, time=time)
        except OtherSequence:
            return Rendered(_ABSENT, now)
        told = _fit(_tell_step(*step) for step in found.steps)
        last, reached = found.last, found.time
        if len(told) < len(found.steps):
            release, _ = found.steps[len(told) - 1]
            last, reached = release.seq or 0, release.time
        pairs = [("after", str(last)), *([("at", _render_time(reached))] if reached else [])]
        asked = render_query(wanted)
        following = "?" + "&".join([f"{name}={value}" for name, value in pairs] + ([asked] if asked else []))
        head = {"last": last, "more": last < found.newest, "next": following}
        return Rendered(_join(head, "releases", told), now)

    def _render_tender(self, wanted: Filter, now: datetime) -> Rendered:
        found = list(self._repository.find(wanted, now, self._zone, apart=True, only=self._portals))
        return Rendered(_render(found[0].as_dict()) + b"\n" if found else _ABSENT, now)

    def _render_history(self, wanted: Filter, now: datetime) -> Rendered:
        history = self._repository.find_history(wanted.portal[0], wanted.kind[0], wanted.key[0])
        told = [_render(tell_release(release)) for release in history]
        return Rendered(_join({}, "releases", told) if told else _ABSENT, now)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An ASGI app of one address: ``find`` gets the parts of its path and its query string."""

    find: Callable[[Mapping[str, str], str], Any]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            check_request(scope)
            found = self.find(scope["path_params"], scope["query_string"].decode("utf-8", "replace"))
            file: HeldFile = found if isinstance(found, HeldFile) else await found
        except FilterError as error:
            await _send(_refuse(400, f"{error.key}: {error.why}", error.key), scope, receive, send)
        except _Unknown as error:
            told = f"{error}: this is none that an answer to the same question has told; begin without it"
            await _send(_refuse(400, told, str(error)), scope, receive, send)
        except HTTPException as error:
            parameter = "after" if error.status_code == 410 else None
            reason = _TOLD.get(error.status_code, error.detail)
            await _send(_refuse(error.status_code, reason, parameter, error.headers), scope, receive, send)
        else:
            await send_file(file, scope, send)


def _refuse(
    status: int, told: str, parameter: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = {"error": told, "parameter": parameter}
    return JSONResponse(body, status, {**_ERRORS, **(headers or {})})


async def _send(response: JSONResponse, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["method"] == "HEAD":
        response.body = b""
    await response(scope, receive, send)


def _find_nothing(params: Mapping[str, str], raw: str) -> HeldFile:
    raise HTTPException(404)


def tell_release(release: Release) -> dict[str, Any]:
    """A release as the API tells it, without its tender."""
    return {
        "seq": release.seq,
        "portal": release.portal,
        "kind": release.kind,
        "key": release.key,
        "time": release.time.isoformat(),
        "tags": list(release.tags),
        "events": list(release.events),
        "changes": [{"field": each.field, "old": each.old, "new": each.new} for each in release.changes],
    }


def _tell_step(release: Release, record: Record) -> dict[str, Any]:
    """``last_seen`` moves without a release, so it is not told to those who follow releases."""
    tender = record.as_dict()
    del tender["last_seen"]
    return {**tell_release(release), "tender": tender}


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where a page begins. ``now`` is what its days are counted from, None where it has none."""

    place: Place
    now: datetime | None


def _render_cursor(wanted: Filter, cursor: _Cursor) -> str:
    now = to_micros(cursor.now) if cursor.now else None
    return base64.urlsafe_b64encode(_render([wanted.sort, *cursor.place, now])).decode().rstrip("=")


def _parse_cursor(text: str, wanted: Filter) -> _Cursor:
    """_Unknown for what no page of this order has told."""
    try:
        sort, value, position, now = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        numbers = [each for each in (value, position, now) if each is not None]
        if (
            sort != wanted.sort
            or position is None
            or not all(type(n) is int and -(2**63) <= n < 2**63 for n in numbers)
        ):
            raise ValueError
        return _Cursor(Place(value, position), None if now is None else from_micros(now))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise _Unknown("cursor") from None


def _parse_whole(key: str, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise FilterError(key, Fault.NO_WHOLE_NUMBER, text, ["0"])
    return int(text)


def _parse_time(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise _Unknown("at") from None


def _render_time(time: datetime) -> str:
    """Without a plus, which a query string would lose."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _render(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _fit(values: Iterable[Any]) -> list[bytes]:
    """As many of ``values`` as an answer has room for, at least one."""
    told: list[bytes] = []
    size = 0
    for value in values:
        body = _render(value)
        size += len(body) + 2
        if told and size > MOST_BYTES:
            break
        told.append(body)
    return told


def _join(head: Mapping[str, Any], name: str, values: list[bytes]) -> bytes:
    """An object with a list, one line for each of its values."""
    start = _render(dict(head))[:-1] + (b"," if head else b"")
    return start + _render(name) + b":[\n" + b",\n".join(values) + b"\n]}\n"


def _hold(name: str, body: bytes, now: datetime) -> HeldFile:
    return hold_file(API_PATH + name, body, gzip.compress(body, mtime=0), now.replace(microsecond=0), ())
