"""Bytes → releases: OCDS release and record packages, JSON Lines, ZIPs of them. Pure; all raise ShapeError."""

from __future__ import annotations

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from spiders.reading import ShapeError, clean_text, parse_json, refuse_many_values, strictly

LARGEST_ZIP = 64 * 1024 * 1024  # bytes unpacked; more is too much to hold at once
MOST_RATIO = 100  # bytes unpacked for one packed; JSON has 10 to 25, what is above is a bomb
MOST_VALUES = 2_000_000  # in one JSON, of a file too: some 40 MB of what publishers write

# A process is told from its beginning when one of its releases has one of these tags.
OPENING_TAGS = frozenset({"planning", "tender", "compiled"})

MOST_REJECTED = 1000  # releases that cannot be read; more is no package
_SMALL = 1024 * 1024  # bytes that may come of whatever little they are packed in

_PACKAGE_FIELDS = frozenset(
    {"uri", "version", "extensions", "publishedDate", "publisher", "license", "publicationPolicy"}
    | {"releases", "records", "packages", "links"}
)
_RECORD_FIELDS = frozenset({"compiledRelease", "versionedRelease", "releases"})


@dataclass(frozen=True, slots=True)
class Release:
    """One release as published. ``compiled``: it is the sum of its process's releases, not a step."""

    ocid: str
    id: str
    date: datetime
    tags: tuple[str, ...]
    body: Mapping[str, Any] = field(repr=False)
    compiled: bool = False


@dataclass(frozen=True, slots=True)
class Package:
    """One page of releases, or of ``records`` (their releases under one ocid each).

    ``rejected``: single releases and records that cannot be read, beside what can. ``unknown``: fields of the
    package that OCDS does not have. ``total`` as announced, where that was asked for.
    """

    releases: tuple[Release, ...]
    records: tuple[str, ...] = ()
    next: str | None = None
    total: int | None = None
    rejected: tuple[ShapeError, ...] = ()
    unknown: tuple[str, ...] = ()


def parse_package(body: bytes, zone: ZoneInfo, total: str = "") -> Package:
    """A release package, a record package, or a bare list of either. Times without a zone are in ``zone``.

    ``total`` is the dotted path of the announced number of releases, as in ``pagination.total``.
    """
    return read_package(parse_json(body, "no JSON", MOST_VALUES), zone, total)


def parse_lines(body: bytes, zone: ZoneInfo) -> Package:
    """JSON Lines: a release, a compiled release, a record or a package on each; blank lines don't count."""
    refuse_many_values(body, MOST_VALUES)
    lines = (line for line in io.BytesIO(body) if line.strip())
    return _join(read_package(parse_json(line, "no JSON", MOST_VALUES), zone) for line in lines)


def parse_zip(body: bytes, zone: ZoneInfo) -> Package:
    """All ``.json`` and ``.jsonl`` files of a ZIP, one after another in the order of their names."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            files = [i for i in archive.infolist() if i.filename.lower().endswith((".json", ".jsonl"))]
            size = sum(info.file_size for info in files)
            if size > LARGEST_ZIP or (size > _SMALL and size > MOST_RATIO * len(body)):
                raise ShapeError(f"a ZIP of {len(body)} bytes that unpacks to more than it may: {size}")
            if not files:
                raise ShapeError("a ZIP without JSON files", ", ".join(archive.namelist()[:5]))
            return _join(_read_member(archive, info, zone) for info in sorted(files, key=lambda i: i.filename))
    except ShapeError:
        raise
    except (
        ValueError,  # of a member that would begin before the file does
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        OSError,
        NotImplementedError,
        RuntimeError,
        EOFError,
    ) as error:
        raise ShapeError(f"no readable ZIP: {error}", body[:80].decode("utf-8", "replace")) from error


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, zone: ZoneInfo) -> Package:
    with archive.open(info) as file:
        body = file.read(info.file_size + 1)  # zipfile itself stops at the size announced, and checks the sum
    return parse_lines(body, zone) if info.filename.lower().endswith(".jsonl") else parse_package(body, zone)


def _join(packages: Iterator[Package]) -> Package:
    found: list[Package] = []
    rejected = 0
    for package in packages:
        found.append(package)
        rejected += len(package.rejected)
        if rejected > MOST_REJECTED:
            raise package.rejected[-1]
    return Package(
        releases=tuple(release for package in found for release in package.releases),
        records=tuple(ocid for package in found for ocid in package.records),
        rejected=tuple(error for package in found for error in package.rejected),
        unknown=tuple(dict.fromkeys(name for package in found for name in package.unknown)),
    )


def read_package(value: Any, zone: ZoneInfo, total: str = "") -> Package:
    """JSON → Package: by its fields a package, a record or a release; a list is a bare list of them."""
    if isinstance(value, list):
        if any(isinstance(part, list) for part in value):
            raise ShapeError("neither releases nor records", "a list of lists")
        return _join(read_package(part, zone) for part in value)
    if not isinstance(value, dict):
        raise ShapeError("neither releases nor records", value)
    if "ocid" in value:
        return _read_parts([value], zone, _read_record if _RECORD_FIELDS & value.keys() else _read_single)
    if isinstance(value.get("records"), list):
        package = _read_parts(value["records"], zone, _read_record)
    elif isinstance(value.get("releases"), list):
        package = _read_parts(value["releases"], zone, _read_single)
    else:
        raise ShapeError("neither releases nor records", json.dumps(value, default=str)[:200])
    allowed = {*_PACKAGE_FIELDS, total.split(".")[0]}
    return Package(
        releases=package.releases,
        records=package.records,
        next=_read_next(value),
        total=_read_total(value, total) if total else None,
        rejected=package.rejected,
        unknown=tuple(sorted(value.keys() - allowed)),
    )


def _read_next(package: Mapping[str, Any]) -> str | None:
    links = package.get("links") or {}
    following = links.get("next") if isinstance(links, dict) else links
    if following is None or following == "":
        return None
    if not isinstance(following, str):
        raise ShapeError("links.next that is no address", following)
    return following


def _read_total(package: Mapping[str, Any], path: str) -> int:
    value: Any = package
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ShapeError(f"no announced total at {path}", value)
    return value


def _read_parts(parts: list[Any], zone: ZoneInfo, read: Callable[[Any, ZoneInfo], list[Release]]) -> Package:
    """Releases or records one by one: a broken one does not take the others with it."""
    releases: list[Release] = []
    records: list[str] = []
    rejected: list[ShapeError] = []
    for part in parts:
        try:
            with strictly("a release or record"):
                found = read(part, zone)
        except ShapeError as error:
            rejected.append(error)
            if len(rejected) > MOST_REJECTED:
                raise
            continue
        releases += found
        if read is _read_record:
            records.append(found[0].ocid)
    return Package(releases=tuple(releases), records=tuple(records), rejected=tuple(rejected))


def _read_single(value: Any, zone: ZoneInfo) -> list[Release]:
    return [read_release(value, zone)]


def _read_record(value: Any, zone: ZoneInfo) -> list[Release]:
    """A record's releases in full where they stand in it, else its compiled release."""
    if not isinstance(value, dict) or not isinstance(value.get("ocid"), str):
        raise ShapeError("a record without an ocid", json.dumps(value, default=str))
    whole = value.get("compiledRelease")
    parts = value.get("releases") or []
    embedded = [part for part in parts if isinstance(part, dict) and "ocid" in part]
    if whole is not None:
        found = [read_release(whole, zone, compiled=True)]
    elif embedded and len(embedded) == len(parts):
        found = [read_release(part, zone) for part in embedded]
    else:
        raise ShapeError(f"record {value['ocid']} has neither a compiled release nor its releases in full")
    if any(release.ocid != value["ocid"] for release in found):
        raise ShapeError(f"record {value['ocid']} holds releases of another ocid", found[0].ocid)
    return found


def read_release(value: Any, zone: ZoneInfo, *, compiled: bool = False) -> Release:
    """One release: ocid, id, date and tag must be there and be what they should."""
    if not isinstance(value, dict):
        raise ShapeError("a release that is no object", value)
    ocid, number, tags = value.get("ocid"), value.get("id"), value.get("tag", ["compiled"] if compiled else None)
    if not isinstance(ocid, str) or not ocid.strip() or not _is_text(f"{ocid}{number}"):
        raise ShapeError("a release without an ocid", number)
    if not isinstance(number, str | int) or isinstance(number, bool) or number == "":
        raise ShapeError(f"{ocid}: a release without an id", number)
    if isinstance(tags, str):
        tags = [tags]
    if not isinstance(tags, list) or not tags or not all(isinstance(tag, str) for tag in tags):
        raise ShapeError(f"{ocid}: release {number} has no tag", tags)
    date = read_time(value.get("date"), zone)
    if date is None:
        raise ShapeError(f"{ocid}: release {number} has no date", value.get("date"))
    compiled = compiled or tags == ["compiled"]
    return Release(ocid.strip(), str(number), date, tuple(tags), value, compiled)


def _is_text(text: str) -> bool:
    """Whether it can be written: half of a surrogate pair stands for nothing."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def read_time(value: Any, zone: ZoneInfo) -> datetime | None:
    """An ISO 8601 time; one without an offset is in ``zone``. None for none, and for the years 1 and 9999."""
    if value is None or value == "":
        return None
    try:
        time = datetime.fromisoformat(clean_text(value) if isinstance(value, str) else "")
    except ValueError as error:
        raise ShapeError("a date that is no ISO 8601", value) from error
    if time.year in (1, 9999):  # .NET's way to say that there is none
        return None
    return time if time.tzinfo else time.replace(tzinfo=zone)
