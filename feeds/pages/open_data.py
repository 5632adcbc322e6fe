"""The page of the files for researchers, the data dictionary, and their description for programs. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from babel.numbers import format_decimal

from aggregator.config import Config, Portal, Publisher
from aggregator.exports.columns import COLUMNS, TYPES_ID, Column, Type
from feeds.addresses import DATA
from feeds.definitions import shipped_feeds
from feeds.opml import make_title
from feeds.pages.lists import DISCOVERED
from feeds.pages.site import Site
from feeds.words.attribution import Attribution, find_attribution
from feeds.words.wording import NBSP

PAGE_PATH = f"{DATA}index.html"
DICTIONARY_PATH = f"{DATA}kamus-data.csv"
PACKAGE_PATH = f"{DATA}datapackage.json"

FORMS = ("xlsx", "csv.gz", "parquet", "jsonl.gz")  # as the page shows them
_MEDIA = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv.gz": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "jsonl.gz": "application/jsonl",
}
# Of Frictionless Table Schema, as CSV has the values.
_FIELD_TYPES = {
    Type.TEXT: {"type": "string"},
    Type.TEXTS: {"type": "string"},
    Type.YEARS: {"type": "string"},
    Type.COUNT: {"type": "integer"},
    Type.AMOUNT: {"type": "number"},
    Type.TIME: {"type": "datetime", "format": "any"},
    Type.FLAG: {"type": "boolean"},
}
_KILO = 1000


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file by its path in the tree; ``size`` in bytes, ``sum`` its SHA-256."""

    path: str
    size: int
    sum: str

    @property
    def form(self) -> str:
        return self.path.rpartition("/")[2].partition(".")[2]

    @property
    def name(self) -> str:
        return self.path.removeprefix(DATA)


@dataclass(frozen=True, slots=True)
class DataYear:
    """The files of what was published in ``year``, written on ``day``: ``count`` purchases."""

    year: int
    count: int
    day: date
    files: Sequence[DataFile]


def render_page(site: Site, years: Sequence[DataYear]) -> bytes:
    """``years`` newest first."""
    publisher = site.config.publisher
    day = max((year.day for year in years), default=None)
    return site.render(
        "open-data.html",
        PAGE_PATH,
        years=[(year, list(_order(year.files))) for year in years],
        total=sum(year.count for year in years),
        day=day,
        columns=[_tell(column, publisher.language) for column in COLUMNS],
        dictionary=DICTIONARY_PATH.removeprefix(DATA),
        package=PACKAGE_PATH.removeprefix(DATA),
        folder=publisher.url + DATA,
        credits=_list_credits(site.config, day) if day else (),
        tell_size=lambda size: tell_size(size, publisher.language),
        discover=[feed for feed in shipped_feeds(site.config, ()) if feed.id in DISCOVERED],
    )


def _list_credits(config: Config, day: date) -> list[tuple[Portal, Attribution]]:
    read = datetime.combine(day, time(), ZoneInfo(config.publisher.timezone))
    asked = ((portal, find_attribution(portal, (), read)) for portal in config.portal if portal.enabled)
    return [(portal, found) for portal, found in asked if found]


def _order(files: Sequence[DataFile]) -> Iterator[DataFile]:
    yield from sorted(files, key=lambda file: FORMS.index(file.form))


def _tell(column: Column, language: str) -> tuple[str, str, str, str]:
    """Name, type, heading and meaning of a column to a reader."""
    if language == "en":
        return column.name, column.type.value, column.english, column.meaning
    return column.name, TYPES_ID[column.type], column.indonesian, column.arti


def tell_size(size: int, language: str) -> str:
    """``1,4 MB``; in thousands, as disks are sold."""
    number, unit = size / _KILO, "kB"
    for larger in ("MB", "GB"):
        if number >= _KILO:
            number, unit = number / _KILO, larger
    return f"{format_decimal(round(number, 1 if number < 100 else None), locale=language)}{NBSP}{unit}"


def render_dictionary() -> bytes:
    """Every column: its name, type, headings and meanings in both languages, and what its numbers count."""
    text = io.StringIO(newline="")
    text.write("\ufeff")  # which Excel needs
    writer = csv.writer(text)
    writer.writerow(["name", "type", "unit", "heading", "meaning", "judul", "jenis", "arti"])
    for each in COLUMNS:
        indonesian = (each.indonesian, TYPES_ID[each.type], each.arti)
        writer.writerow([each.name, each.type, each.unit, each.english, each.meaning, *indonesian])
    return text.getvalue().encode()


def render_package(publisher: Publisher, years: Sequence[DataYear]) -> bytes:
    """A Data Package (specs.frictionlessdata.io): each file with its size and SHA-256, and the columns of CSV."""
    fields = [
        {"name": c.name, "title": c.heading(publisher.language), **_FIELD_TYPES[c.type], "description": c.meaning}
        for c in COLUMNS
    ]
    package = {
        "profile": "data-package",
        "name": f"paket-{urlsplit(publisher.url).hostname}",
        "title": make_title(publisher),
        "homepage": publisher.url + PAGE_PATH,
        **({"licenses": [{"path": publisher.license}]} if publisher.license else {}),
        "sources": [{"title": publisher.name, "path": publisher.url}],
        "resources": [_describe(year, file, fields) for year in years for file in _order(year.files)],
    }
    return json.dumps(package, ensure_ascii=False, indent=1).encode()


def _describe(year: DataYear, file: DataFile, fields: Sequence[dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": file.name.lower().replace(".", "-"),
        "path": file.name,
        "title": f"{year.year}, {year.count}",
        "format": file.form.partition(".")[0],
        "mediatype": _MEDIA[file.form],
        "bytes": file.size,
        "hash": f"sha256:{file.sum}",
    }
    if file.form.endswith(".gz"):
        told |= {"compression": "gz", "encoding": "utf-8"}
    if file.form == "csv.gz":
        told |= {"profile": "tabular-data-resource", "schema": {"fields": fields, "missingValues": [""]}}
    return told
