"""Writes all purchases of each year into the tree for researchers, once a day at most, and what describes them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from functools import cache, partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple
from zoneinfo import ZoneInfo

import aggregator.exports
from aggregator.config import Config
from aggregator.exports.columns import ROWS, Clocks, Row, Write, read_row
from aggregator.exports.csv import open_csv
from aggregator.exports.jsonl import write_jsonl
from aggregator.exports.parquet import open_parquet
from aggregator.exports.xlsx import open_xlsx
from aggregator.filters import Filter, Moment
from aggregator.models import Record
from aggregator.repository import Repository
from aggregator.yearly import YearMark, find_year_marks
from feeds.addresses import DATA
from feeds.drafts import File
from feeds.pages.open_data import (
    DICTIONARY_PATH,
    PACKAGE_PATH,
    PAGE_PATH,
    DataFile,
    DataYear,
    render_dictionary,
    render_package,
    render_page,
)
from feeds.pages.site import Site
from feeds.tree import Begin, Part, Tree

_WHOLE = "data"
_LEVEL = 6  # of gzip: 9 takes three times as long for a hundredth less


class _Told(NamedTuple):
    """Some purchases, and what they are as rows of a table."""

    records: list[Record]
    rows: list[Row]


def write_datasets(tree: Tree, sites: Sequence[Site], repository: Repository, now: datetime, makers: str) -> None:
    """The files of each year that moved since they were written, if today none was written yet; then the page, the
    data dictionary and the description for programs. ``makers`` tells what pages are made by."""
    config = sites[0].config
    today = now.astimezone(ZoneInfo(config.publisher.timezone)).date()
    years = _keep_all(tree, today) or _write_all(tree, config, repository, now, today)
    pages = {DICTIONARY_PATH: render_dictionary(), PACKAGE_PATH: render_package(config.publisher, years)}
    fingerprint = hashlib.sha256(repr((makers, years, sorted(pages.items()))).encode()).hexdigest()
    if not tree.find_kept("data pages", fingerprint):
        pages |= {f"{site.prefix}{PAGE_PATH}": render_page(site, years) for site in sites}
        tree.save("data pages", fingerprint, {path: File(body, now) for path, body in pages.items()}, {})


def _keep_all(tree: Tree, today: date) -> list[DataYear]:
    """What was written today, if it lies there untouched."""
    whole = tree.find_kept(_WHOLE, today.isoformat())
    names = [_name(year) for year in whole.facts["years"]] if whole else []
    parts = [tree.find_kept(name) for name in names]
    return [_tell(part) for part in parts if part] if all(parts) else []


def _write_all(tree: Tree, config: Config, repository: Repository, now: datetime, today: date) -> list[DataYear]:
    zone, only = ZoneInfo(config.publisher.timezone), {portal.id for portal in config.portal}
    marks = find_year_marks(repository.engine, zone, only)
    parts = [_write_year(tree, config, repository, mark, now, today) for mark in marks]
    tree.save(_WHOLE, today.isoformat(), {}, {"years": [mark.year for mark in marks]})
    return [_tell(part) for part in parts]


def _write_year(tree: Tree, config: Config, repository: Repository, mark: YearMark, now: datetime, today: date) -> Part:
    portals = [(portal.id, portal.timezone) for portal in config.portal]
    fingerprint = hashlib.sha256(repr((_digest_code(), config.publisher, portals, mark)).encode()).hexdigest()
    name = _name(mark.year)
    if kept := tree.find_kept(name, fingerprint) or tree.find_parts().get(name):
        return kept
    zone = ZoneInfo(config.publisher.timezone)
    days = Moment(f"{mark.year}-01-01"), Moment(f"{mark.year}-12-31")
    wanted = Filter(published_from=days[0], published_to=days[1])
    found = repository.find(wanted, now, zone, only={portal_id for portal_id, _ in portals})
    files = {f"{DATA}paket-{mark.year}.{ending}": begin for ending, begin in _list_forms(config).items()}
    part = tree.save_streamed(name, fingerprint, files, _read(found, config), now)
    part.facts.update(year=mark.year, count=mark.purchases, day=today.isoformat(), sums=_add_up(tree.root, part))
    return part


def _name(year: int) -> str:
    return f"data {year}"


def _read(records: Iterable[Record], config: Config) -> Iterator[_Told]:
    """All of them once, for every form."""
    clocks = Clocks({portal.id: portal.zone for portal in config.portal}, ZoneInfo(config.publisher.timezone))
    left = iter(records)
    while some := list(islice(left, ROWS)):
        yield _Told(some, [read_row(record, clocks) for record in some])


def _list_forms(config: Config) -> Mapping[str, Begin[_Told]]:
    """Each by the end of its name. CSV and Parquet have the names of columns, XLSX the publisher's words."""
    return {
        "csv.gz": partial(_begin_packed, partial(_begin_table, open_csv)),
        "xlsx": partial(_begin_table, partial(open_xlsx, language=config.publisher.language)),
        "parquet": partial(_begin_table, open_parquet),
        "jsonl.gz": partial(_begin_packed, _begin_lines),
    }


@contextmanager
def _begin_table(
    open_table: Callable[[IO[bytes]], AbstractContextManager[Write]], stream: IO[bytes]
) -> Iterator[Callable[[_Told], None]]:
    with open_table(stream) as write:
        yield lambda told: write(told.rows)


@contextmanager
def _begin_lines(stream: IO[bytes]) -> Iterator[Callable[[_Told], None]]:
    yield lambda told: write_jsonl(told.records, stream)


@contextmanager
def _begin_packed(begin: Begin[_Told], stream: IO[bytes]) -> Iterator[Callable[[_Told], object]]:
    """With no name and no time inside, so that the same rows are the same bytes."""
    packed = gzip.GzipFile("", "wb", _LEVEL, stream, mtime=0)
    with packed, begin(packed) as add:  # type: ignore[arg-type] # a GzipFile is a stream
        yield add


def _add_up(root: Path, part: Part) -> dict[str, str]:
    """The SHA-256 of each file."""
    sums = {}
    for path in part.files:
        with (root / path).open("rb") as file:
            sums[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def _tell(part: Part) -> DataYear:
    facts: dict[str, Any] = part.facts
    files = [DataFile(path, stamp[0], facts["sums"][path]) for path, stamp in sorted(part.files.items())]
    return DataYear(facts["year"], facts["count"], date.fromisoformat(facts["day"]), files)


@cache
def _digest_code() -> str:
    """Moves whenever the files may come out as other bytes from the same data."""
    code = [path.read_bytes() for path in sorted(Path(aggregator.exports.__file__).parent.glob("*.py"))]
    libraries = [version(library) for library in ("pyarrow", "xlsxwriter")]
    return hashlib.sha256(repr((code, Path(__file__).read_bytes(), libraries)).encode()).hexdigest()
