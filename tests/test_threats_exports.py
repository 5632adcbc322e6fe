"""Hostile texts in every field, and what exports make of them: each read by another's library."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from lxml import etree
from pyarrow import parquet  # type: ignore[import-untyped]

import warta as command_line
from aggregator.config import DATABASE_URL, parse_config
from aggregator.database import open_database
from aggregator.exports.columns import COLUMNS, Clocks, Type
from aggregator.exports.csv import write_csv
from aggregator.exports.parquet import write_parquet
from aggregator.exports.xlsx import write_xlsx
from aggregator.models import Record
from aggregator.repository import Repository
from tests.feed_samples import make_record
from tests.hostile_texts import UNSEEN, make_all, save_hostile, write_config
from tests.test_threats_readers import find_unseen

CLOCKS = Clocks({}, ZoneInfo("Asia/Jakarta"))
TEXT_COLUMNS = [place for place, column in enumerate(COLUMNS) if column.type in {Type.TEXT, Type.TEXTS}]
# What spreadsheets begin a formula by, behind blanks and quotation marks; an apostrophe makes a text of a cell. Where
# semicolons separate cells, they take what stands behind one, or in a new line, for a cell, too.
STARTS = re.compile(r"""(?:^|[;\t\r\n])[\s"]*[=+\-@\t\r＝＋－＠]""")
MARK = "\ufeff".encode()


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """As a writer gets them, without the database that would have cleaned them first."""
    return [make_record(tender) for tender in make_all()]


def write(writer: Callable[..., None], *arguments: Any) -> bytes:
    stream = io.BytesIO()
    writer(arguments[0], stream, *arguments[1:])
    return stream.getvalue()


def test_no_cell_of_a_csv_runs_however_it_is_taken_apart(records: list[Record]) -> None:
    body = write(write_csv, records, CLOCKS)
    text = body.removeprefix(MARK).decode()
    assert not UNSEEN.search(text)
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) == len(records) + 1
    cells = [row[place] for row in rows[1:] for place in TEXT_COLUMNS]
    assert [cell for cell in cells if STARTS.search(cell)] == []
    as_excel_reads = [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=";") for cell in row]
    assert [cell for cell in as_excel_reads if re.match(r"[\s\"]*[=@＝＠]|[\s\"]*[+\-＋－](?!\d+$)", cell)] == []


def test_a_workbook_holds_texts_and_no_formula_link_or_object(records: list[Record]) -> None:
    body = write(write_xlsx, records, CLOCKS)
    with zipfile.ZipFile(io.BytesIO(body)) as book:
        names = set(book.namelist())
        for name in names:  # well-formed, and nothing in it but what a sheet of values needs
            tree = etree.fromstring(book.read(name))
            tags = {etree.QName(element).localname for element in tree.iter(etree.Element)}
            assert not tags & {"f", "hyperlink", "hyperlinks", "oleObject", "ddeLink", "externalLink", "drawing"}, name
            assert not UNSEEN.search("".join(str(text) for text in tree.itertext())), name
    assert not [name for name in names if re.search(r"external|embed|vba|connection|activeX|media|customXml", name)]
    sheet = openpyxl.load_workbook(io.BytesIO(body)).worksheets[0]
    for row in sheet.iter_rows(min_row=2):
        assert [cell.value for cell in row if cell.data_type == "f" or cell.hyperlink] == []
    titles = [cell.value for cell in next(sheet.iter_cols(min_row=2, min_col=4, max_col=4))]
    assert "=1+1" in titles
    assert "=cmd|'/C calc'!A0" in titles


def test_a_parquet_file_holds_clean_texts(records: list[Record], tmp_path: Path) -> None:
    body = write(write_parquet, records, CLOCKS)
    for row in parquet.read_table(io.BytesIO(body)).to_pylist():
        assert not UNSEEN.search(json.dumps(row, default=str, ensure_ascii=False))


# On standard output ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a hostile configuration lies, and a database of hostile texts."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "warta.toml").write_text(write_config(), encoding="utf-8")
    config = parse_config(write_config(), folder / "warta.toml")
    save_hostile(Repository(open_database(config.database_url)), list(make_all()))
    return folder


Say = Callable[..., str]


@pytest.fixture
def say(folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Say:
    """Runs a verb there; what it says on standard output."""
    monkeypatch.delenv(DATABASE_URL, raising=False)
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["warta", *arguments])
        with pytest.raises(SystemExit):
            command_line.main()
        return capfdbinary.readouterr().out.decode()

    return run


@pytest.mark.parametrize("form", ["jsonl", "ocds", "ocds-records"])
def test_json_holds_what_can_be_seen(say: Say, form: str) -> None:
    text = say("export", "--format", form)
    assert not UNSEEN.search(text)
    assert len(text) > 100_000
    for line in text.split("\n")[:-1] if form == "jsonl" else [text]:
        assert find_unseen(json.loads(line)) == []


@pytest.mark.parametrize("verb", ["portals", "status", "portals --json", "status --json"])
def test_no_text_commands_the_terminal(say: Say, verb: str) -> None:
    told = say(*verb.split())
    assert "attack" in told
    assert not UNSEEN.search(told)
    assert not re.search(
        "[\t\r\u2028\u2029]|^2026-11-24 03:00:00 INFO palsu|^(BEGIN|SUMMARY|Bcc|HTTP)", told, re.MULTILINE
    )
