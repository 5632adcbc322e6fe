"""A published folder answered from memory, as RFC 9110 asks: each file in both codings, with its validators."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from aggregator.config import Config
from feeds.addresses import DATA, ENGLISH
from feeds.archives import is_archive
from feeds.serving.http import check_preconditions, parse_http_date, prefers_gzip, render_http_date
from feeds.websub import render_link

CACHE_BYTES = 64_000_000  # 10,000 tender pages with their twins, or every feed of 200 bureaus
CACHE_CONTROL = "public, max-age=300, stale-while-revalidate=86400"  # portals are read every 15 minutes
API_CONTROL = "public, max-age=60"  # who follows wants what is new soon
ARCHIVE_CONTROL = "public, max-age=31536000, immutable"  # RFC 8246; the most that RFC 2616 §14.21 would have
METHODS = "GET, HEAD"
LARGE_RULES = {
    "Cache-Control": CACHE_CONTROL,
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
}

TYPES = {
    ".html": "text/html",
    ".rss": "application/rss+xml",
    ".atom": "application/atom+xml",
    ".json": "application/json",
    ".ics": "text/calendar",
    ".opml": "text/x-opml",
    ".css": "text/css",
    ".csv": "text/csv",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".xml": "application/xml",
}
# Files for researchers, below data/: packed in their own way, and too large to be held.
LARGE_TYPES = {
    ".gz": "application/gzip",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
PAGE_RULES = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "strict-origin-when-cross-origin",
}

# Each step of a path begins with a letter or digit: no "..", no dotfile, no backslash, no control character.
# No longer than a file system takes: 255 bytes a name, room for ".gz" included, and 4,096 with the root before it.
_STEP = r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,251}"
_PATH = re.compile(rf"(?=.{{0,2000}}\Z)(?:{_STEP}/)*(?:{_STEP})?")
_CONDITIONS = {
    b"if-match": "if-match",
    b"if-none-match": "if-none-match",
    b"if-modified-since": "if-modified-since",
    b"if-unmodified-since": "if-unmodified-since",
    b"accept-encoding": "accept-encoding",
}

RawHeaders = list[tuple[bytes, bytes]]
Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Representation:
    """One coding of a file, ready to send: headers of a 200, headers of a 304 or 412, and the body."""

    etag: str
    headers: RawHeaders
    short_headers: RawHeaders
    body: bytes


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file in memory. ``stamp`` tells whether the one on disk is still the same."""

    stamp: Stamp
    modified: datetime
    plain: Representation
    packed: Representation | None

    @property
    def size(self) -> int:
        return len(self.plain.body) + (len(self.packed.body) if self.packed else 0)


class HeldFiles:
    """Files in memory by name: at most ``limit`` bytes of them, the one not asked for longest leaves first."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._files: OrderedDict[str, HeldFile] = OrderedDict()
        self.size = 0

    def find(self, name: str) -> HeldFile | None:
        if name in self._files:
            self._files.move_to_end(name)
        return self._files.get(name)

    def keep(self, name: str, file: HeldFile) -> None:
        """In place of the one of that name; a file larger than all room is not kept."""
        self.drop(name)
        if file.size > self._limit:
            return
        while self.size + file.size > self._limit:
            self.drop(next(iter(self._files)))
        self._files[name] = file
        self.size += file.size

    def drop(self, name: str) -> None:
        if (file := self._files.pop(name, None)) is not None:
            self.size -= file.size


class PublishedFiles:
    """An ASGI app of the files below ``root``, held in memory as long as they lie there unchanged."""

    def __init__(self, root: Path, config: Config, limit: int = CACHE_BYTES) -> None:
        self._root = root
        self._config = config
        self._held = HeldFiles(limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_request(scope)
        path: str = scope["path_params"]["path"]
        if is_large(path) and (response := await run_in_threadpool(self._open, path)):
            await response(scope, receive, send)
            return
        file = await self._find(path if path and not path.endswith("/") else path + "index.html")
        if file is None and _PATH.fullmatch(path) and (self._root / path / "index.html").is_file():
            moved = RedirectResponse(path.rpartition("/")[2] + "/", 308, {"X-Content-Type-Options": "nosniff"})
            await moved(scope, receive, send)
            return
        if file is None:
            raise HTTPException(404)
        await send_file(file, scope, send)

    def _open(self, path: str) -> FileResponse | None:
        """A file that is read while it is sent, in whole or in parts; None where there is none."""
        target = self._root / path
        if not _PATH.fullmatch(path) or not target.is_file() or not target.resolve().is_relative_to(self._root):
            return None
        return _LargeFile(target, headers=LARGE_RULES, media_type=LARGE_TYPES[target.suffix], stat_result=target.stat())

    def find_held(self, path: str) -> HeldFile | None:
        """The file that is in memory, if the one on disk still is the same."""
        held = self._held.find(path)
        return held if held is not None and held.stamp == _stamp(f"{self._root}/{path}") else None

    async def _find(self, path: str) -> HeldFile | None:
        if (held := self.find_held(path)) is not None:
            return held
        self._held.drop(path)
        if not _PATH.fullmatch(path) or Path(path).suffix not in TYPES:
            return None
        file = await run_in_threadpool(_load, self._root, path, render_link(self._config, path))
        if file is not None:
            self._held.keep(path, file)
        return file


class _LargeFile(FileResponse):
    """Starlette's, which knows ranges, with 304 and 412 as ``send_file`` has them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        modified = parse_http_date(self.headers["last-modified"]) or datetime.now(UTC)
        status = check_preconditions(_read_fields(scope["headers"]), self.headers["etag"], modified)
        if status == 200:
            await super().__call__(scope, receive, send)
            return
        kept = {name: value for name, value in self.headers.items() if not name.startswith("content-")}
        await Response(status_code=status, headers=kept)(scope, receive, send)


def is_large(path: str) -> bool:
    """Whether a path is that of a file for researchers."""
    return path.startswith(DATA) and Path(path).suffix in LARGE_TYPES


def check_request(scope: Scope) -> None:
    """HTTPException 405 for a method other than GET and HEAD; 404 for a path that ends with a line break, which the
    patterns of routes overlook."""
    if scope["method"] not in ("GET", "HEAD"):
        raise HTTPException(405, headers={"Allow": METHODS})
    if scope["path"].endswith("\n"):
        raise HTTPException(404)


async def send_file(file: HeldFile, scope: Scope, send: Send) -> None:
    """Answers with ``file`` as the conditions and codings of a request ask that ``check_request`` let pass."""
    status, headers, body = choose_answer(file, scope["headers"])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body if scope["method"] == "GET" else b""})


def choose_answer(file: HeldFile, fields: RawHeaders) -> tuple[int, RawHeaders, bytes]:
    """Status, headers and body for a GET whose own header is ``fields``."""
    asked = _read_fields(fields)
    sent = file.packed if file.packed and prefers_gzip(asked.get("accept-encoding", "")) else file.plain
    status = check_preconditions(asked, sent.etag, file.modified)
    return (status, sent.headers, sent.body) if status == 200 else (status, sent.short_headers, b"")


def _stamp(path: str) -> Stamp:
    """What changes whenever the file or its .gz twin is replaced; empty when there is no file."""
    try:
        file = os.stat(path)
    except OSError:
        return ()
    try:
        twin = os.stat(path + ".gz")
    except OSError:
        return (file.st_mtime_ns, file.st_size, file.st_ino)
    return (file.st_mtime_ns, file.st_size, file.st_ino, twin.st_mtime_ns, twin.st_size, twin.st_ino)


def _load(root: Path, path: str, link: str | None) -> HeldFile | None:
    """The file with both codings, or None when it is gone or leads outside ``root``; ``link`` is its Link field."""
    target = root / path
    if not target.resolve().is_relative_to(root):
        return None
    stamp = _stamp(str(target))  # before reading: a file replaced meanwhile is then read again
    try:
        body = target.read_bytes()
        time = datetime.fromtimestamp(target.stat().st_mtime, UTC)
    except OSError:
        return None
    # RFC 9110 §8.8.2.1: never later than the time of the answer, as a clock that was moved could make it
    modified = min(time, datetime.now(UTC)).replace(microsecond=0)
    return hold_file(path, body, _read_twin(target, body), modified, stamp, link)


def hold_file(
    path: str, body: bytes, packed: bytes | None, modified: datetime, stamp: Stamp, link: str | None = None
) -> HeldFile:
    """``body`` as it is sent for ``path``, whose ending and place decide the headers; ``packed`` is its gzip form."""
    tag = hashlib.sha256(body).hexdigest()[:32]
    return HeldFile(
        stamp,
        modified,
        _represent(path, body, f'"{tag}"', modified, link, {}),
        _represent(path, packed, f'"{tag}-gzip"', modified, link, {"Content-Encoding": "gzip"}) if packed else None,
    )


def _read_twin(target: Path, body: bytes) -> bytes | None:
    """The .gz twin, unless it is missing or belongs to another version of the file (a publish was cut short)."""
    try:
        packed = target.with_name(target.name + ".gz").read_bytes()
        return packed if gzip.decompress(packed) == body else None
    except (OSError, EOFError, zlib.error):
        return None


def _represent(
    path: str, body: bytes, etag: str, modified: datetime, link: str | None, coding: Mapping[str, str]
) -> Representation:
    suffix = Path(path).suffix
    is_feed = path.startswith("feeds/") and suffix != ".html"
    is_api = path.startswith("api/") and suffix != ".html"
    is_data = path.startswith(DATA) and suffix != ".html"
    kind = "application/feed+json" if is_feed and suffix == ".json" else TYPES[suffix]
    short = {
        "ETag": etag,
        "Cache-Control": ARCHIVE_CONTROL if is_archive(path) else API_CONTROL if is_api else CACHE_CONTROL,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        **({"Access-Control-Allow-Origin": "*"} if is_feed or is_api or path == "status.json" or is_data else {}),
        **({"Access-Control-Expose-Headers": "ETag"} if is_api else {}),
        **({"Link": link} if link else {}),
    }
    full = {
        "Content-Type": f"{kind}; charset=utf-8",
        "Content-Length": str(len(body)),
        "Last-Modified": render_http_date(modified),
        **short,
        **coding,
        **(_page_rules(path) if suffix in {".html", ".svg"} else {}),
    }
    return Representation(etag, _raw(full), _raw(short), body)


def _page_rules(path: str) -> Mapping[str, str]:
    """Pages below embed/ may stand in frames on every site, and ask status.json when the portals were read."""
    if not path.removeprefix(ENGLISH).startswith("embed/"):
        return PAGE_RULES
    policy = PAGE_RULES["Content-Security-Policy"].replace("frame-ancestors 'none'", "frame-ancestors *")
    return {**PAGE_RULES, "Content-Security-Policy": f"{policy}; connect-src 'self'"}


def _raw(headers: Mapping[str, str]) -> RawHeaders:
    return [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


def _read_fields(headers: RawHeaders) -> dict[str, str]:
    """The request fields that decide the answer; several lines of one name are one list (RFC 9110 §5.3)."""
    fields: dict[str, str] = {}
    for raw, value in headers:
        if name := _CONDITIONS.get(raw):
            text = value.decode("latin-1")
            fields[name] = f"{fields[name]}, {text}" if name in fields else text
    return fields
