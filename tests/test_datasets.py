"""The files for researchers: all purchases by year, once a day, only where something moved, described exactly."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from pyarrow import parquet  # type: ignore[import-untyped]

from aggregator.config import Config, parse_config
from aggregator.exports.columns import COLUMNS
from aggregator.filters import Filter
from aggregator.models import Reading, Sweep, Tender
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from aggregator.yearly import find_year_marks
from feeds.app import make_app
from feeds.datasets import write_datasets
from feeds.pages.open_data import tell_size
from feeds.pages.site import load_sites
from feeds.publish import publish
from feeds.tree import open_tree
from tests.conftest import CONFIG
from tests.feed_samples import TENDER, WIB
from tests.test_app import ask
from tests.test_site import Page

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FORMS = ("csv.gz", "jsonl.gz", "parquet", "xlsx")


def make(key: str, published: datetime | None, **values: Any) -> Tender:
    return replace(TENDER, key=key, published=published, **values)


TENDERS = (
    make("1", datetime(2026, 3, 1, tzinfo=UTC), title="Jalan =1+1"),
    make("2", datetime(2025, 12, 31, 16, 59, tzinfo=UTC)),  # still 2025 in Jakarta
    make("3", datetime(2025, 12, 31, 17, 0, tzinfo=UTC)),  # already 2026
    make("4", None),  # stands at its first sight
)


@pytest.fixture
def kept(config: Config, repository: Repository) -> Repository:
    read(repository, *TENDERS)
    return repository


def read(repository: Repository, *tenders: Tender, now: datetime = NOW - timedelta(hours=1)) -> None:
    repository.save([Reading(tender=tender) for tender in tenders], now)
    repository.save_run(Run(portal="malangkota", sweep=Sweep.FULL, started=now, finished=now, verdict=Verdict.OK))


def write(config: Config, repository: Repository, now: datetime = NOW) -> None:
    with open_tree(config.public_folder) as tree:
        write_datasets(tree, load_sites(config, sample=False), repository, now, "makers")


def find_files(config: Config) -> dict[str, bytes]:
    folder = config.public_folder / "data"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("paket-")}


def keys_of(config: Config, year: int) -> list[set[str]]:
    """The keys in each form of a year's files."""
    files = find_files(config)
    unpacked = gzip.decompress(files[f"paket-{year}.csv.gz"]).decode("utf-8-sig")
    lines = gzip.decompress(files[f"paket-{year}.jsonl.gz"]).decode().splitlines()
    sheet = openpyxl.load_workbook(io.BytesIO(files[f"paket-{year}.xlsx"])).active
    assert sheet
    _, *rows = sheet.iter_rows(min_col=3, max_col=3, values_only=True)
    return [
        {row["key"] for row in csv.DictReader(io.StringIO(unpacked))},
        {json.loads(line)["key"] for line in lines},
        set(parquet.read_table(io.BytesIO(files[f"paket-{year}.parquet"])).column("key").to_pylist()),
        {str(key) for (key,) in rows},
    ]


def test_every_purchase_stands_in_each_form_of_the_year_it_was_published_in(config: Config, kept: Repository) -> None:
    write(config, kept)
    assert set(find_files(config)) == {f"paket-{year}.{form}" for year in (2025, 2026) for form in FORMS}
    assert keys_of(config, 2025) == [{"2"}] * 4
    assert keys_of(config, 2026) == [{"1", "3", "4"}] * 4


def test_marks_of_years_agree_on_both_databases(engine: Any) -> None:
    repository = Repository(engine)
    assert find_year_marks(engine, WIB, {"malangkota"}) == []
    read(repository, *TENDERS)
    marks = find_year_marks(engine, WIB, {"malangkota"})
    assert [(mark.year, mark.purchases) for mark in marks] == [(2026, 3), (2025, 1)]
    assert find_year_marks(engine, WIB, {"other"}) == []
    read(repository, *TENDERS, now=NOW)  # nothing new
    assert find_year_marks(engine, WIB, {"malangkota"}) == marks
    read(repository, replace(TENDERS[1], title="Judul baru"), now=NOW + DAY)
    after = find_year_marks(engine, WIB, {"malangkota"})
    assert (after[0], after[1] != marks[1]) == (marks[0], True)


def test_purchases_are_read_once_for_all_forms_and_not_where_nothing_moved(
    config: Config, kept: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    find = Repository.find

    def count(self: Repository, wanted: Filter, *arguments: Any, **options: Any) -> Any:
        asked.append(str(wanted.published_from))
        return find(self, wanted, *arguments, **options)

    monkeypatch.setattr(Repository, "find", count)
    write(config, kept)
    assert len(asked) == len(set(asked)) == 2
    read(kept, replace(TENDERS[1], title="Judul baru"), now=NOW)
    write(config, kept, NOW + DAY)
    assert len(asked) == 3
    assert "2025" in asked[-1]


def test_the_same_data_are_the_same_bytes(config: Config, kept: Repository, tmp_path: Path) -> None:
    write(config, kept)
    first = find_files(config)
    for path in (config.public_folder / "data").iterdir():
        path.unlink()
    write(config, kept, NOW + timedelta(hours=5))
    assert find_files(config) == first


def test_files_are_written_once_a_day_and_only_where_something_moved(config: Config, kept: Repository) -> None:
    write(config, kept)
    before = find_times(config)
    read(kept, make("5", datetime(2026, 4, 1, tzinfo=UTC)), now=NOW)
    write(config, kept, NOW + timedelta(hours=1))
    assert find_times(config) == before  # not today any more
    write(config, kept, NOW + DAY)
    after = find_times(config)
    assert {name for name in after if after[name] != before[name]} == {f"paket-2026.{form}" for form in FORMS}
    assert keys_of(config, 2026) == [{"1", "3", "4", "5"}] * 4
    write(config, kept, NOW + 2 * DAY)
    assert find_times(config) == after


def find_times(config: Config) -> dict[str, tuple[int, int]]:
    folder = config.public_folder / "data"
    return {
        path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir() if "paket" in path.name
    }


def test_a_file_that_was_lost_comes_back_the_same_day(config: Config, kept: Repository) -> None:
    write(config, kept)
    before = find_files(config)
    (config.public_folder / "data/paket-2026.parquet").unlink()
    write(config, kept)
    assert find_files(config) == before


def test_an_error_in_the_middle_leaves_the_old_file_and_the_next_publish_mends_it(
    config: Config, kept: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(config, kept)
    before = find_files(config)
    read(kept, make("5", datetime(2026, 4, 1, tzinfo=UTC)), now=NOW)

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("feeds.datasets.open_parquet", fail)
        with pytest.raises(OSError, match=r"paket-2026\.parquet cannot be written: No space left"):
            write(config, kept, NOW + DAY)
    assert {name for name, body in find_files(config).items() if body != before[name]} <= {
        "paket-2026.csv.gz",
        "paket-2026.xlsx",
    }
    write(config, kept, NOW + DAY)
    assert keys_of(config, 2026) == [{"1", "3", "4", "5"}] * 4
    assert not list(config.public_folder.rglob("*.tmp"))


def test_a_portal_that_is_no_longer_read_leaves_the_files(config: Config, kept: Repository) -> None:
    write(config, kept)
    other = parse_config(CONFIG.replace('id = "malangkota"', 'id = "lain"'), config.folder / "warta.toml")
    write(other, kept, NOW + DAY)
    assert find_files(config) == {}


def test_the_description_for_programs_is_exact(config: Config, kept: Repository) -> None:
    write(config, kept)
    package = json.loads((config.public_folder / "data/datapackage.json").read_bytes())
    files = find_files(config)
    assert {resource["path"] for resource in package["resources"]} == set(files)
    for resource in package["resources"]:
        body = files[resource["path"]]
        assert (resource["bytes"], resource["hash"]) == (len(body), f"sha256:{hashlib.sha256(body).hexdigest()}")
        if "schema" in resource:
            header = next(csv.reader(io.StringIO(gzip.decompress(body).decode("utf-8-sig"))))
            assert [field["name"] for field in resource["schema"]["fields"]] == header
    assert all(resource["name"] == resource["name"].lower() for resource in package["resources"])


def test_the_dictionary_tells_every_column_in_both_languages(config: Config, kept: Repository) -> None:
    write(config, kept)
    text = (config.public_folder / "data/kamus-data.csv").read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows] == [column.name for column in COLUMNS]
    for row in rows:
        assert all(row[name] for name in ("type", "heading", "meaning", "judul", "jenis", "arti"))


def test_the_page_offers_each_file_with_its_size_and_sum(config: Config, kept: Repository) -> None:
    publish(config, kept, NOW)
    html = (config.public_folder / "data/index.html").read_text(encoding="utf-8")
    page = Page(html)
    links = {attrs["href"] for tag, attrs in page.elements if tag == "a"}
    for name, body in find_files(config).items():
        assert f"../data/{name}" in links
        assert hashlib.sha256(body).hexdigest() in html
    assert {"../data/kamus-data.csv", "../data/datapackage.json"} <= links
    assert "data per 24 November 2026" in html
    assert "Akhir pendaftaran" in html
    # A plain host has no API, so its address is no link here; the search page, which a server made, has one.
    assert f"<code>{config.publisher.url}api/</code>" in html
    assert not any("api/" in href for href in links)
    assert 'href="api/"' in ask(make_app(config, kept, now=lambda: NOW), "/cari.html").body.decode()
    home = (config.public_folder / "index.html").read_text(encoding="utf-8")
    assert 'href="data/index.html"' in home
    assert 'href="../data/index.html"' in (config.public_folder / "feeds/index.html").read_text(encoding="utf-8")


def test_the_page_of_an_empty_database_says_so(config: Config, repository: Repository) -> None:
    publish(config, repository, NOW)
    assert "Belum ada paket" in (config.public_folder / "data/index.html").read_text(encoding="utf-8")
    assert find_files(config) == {}


def test_the_english_page_has_the_same_files(config_file: Path, repository: Repository) -> None:
    text = CONFIG + "\n[publish]\nenglish = true\n"
    config = parse_config(text, config_file)
    read(repository, *TENDERS)
    publish(config, repository, NOW)
    html = (config.public_folder / "en/data/index.html").read_text(encoding="utf-8")
    assert "Open data" in html
    assert 'href="../../data/paket-2026.xlsx"' in html


@pytest.mark.parametrize(
    ("size", "told"), [(999, "1"), (1400, "1,4"), (354_000, "354"), (1_425_567, "1,4"), (2_500_000_000, "2,5")]
)
def test_sizes_are_told_in_short(size: int, told: str) -> None:
    assert tell_size(size, "id").split("\u00a0")[0] == told


# The server ----------------------------------------------------------------------------------------------


@pytest.fixture
def served(config: Config, kept: Repository) -> Any:
    publish(config, kept, NOW)
    return make_app(config, kept)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_sent_with_its_type_in_whole_or_in_part(served: Any, config: Config, form: str) -> None:
    body = find_files(config)[f"paket-2026.{form}"]
    whole = ask(served, f"/data/paket-2026.{form}", accept_encoding="gzip")
    assert (whole.status, whole.body) == (200, body)
    assert "content-encoding" not in whole.headers
    assert whole.headers["access-control-allow-origin"] == "*"
    assert whole.headers["content-type"].startswith("application/")
    part = ask(served, f"/data/paket-2026.{form}", range="bytes=10-19")
    assert (part.status, part.body) == (206, body[10:20])
    assert ask(served, f"/data/paket-2026.{form}", "HEAD").body == b""
    for held in ({"if_none_match": whole.headers["etag"]}, {"if_modified_since": whole.headers["last-modified"]}):
        answer = ask(served, f"/data/paket-2026.{form}", **held)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["cache-control"] == whole.headers["cache-control"]


@pytest.mark.parametrize("path", ["data/paket-1999.csv.gz", "data/..%2fwarta.db.gz", "data/.warta.gz", "data/x.zip"])
def test_nothing_else_is_sent(served: Any, path: str) -> None:
    assert ask(served, f"/{path}").status == 404
