"""CSV, XLSX and Parquet: one row a tender, real numbers and dates, and nothing that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from openpyxl.utils.escape import unescape

from aggregator.exports.columns import COLUMNS, TYPES_ID, Clocks, Type, read_row
from aggregator.exports.csv import neutralise, parse_text, write_csv
from aggregator.exports.parquet import write_parquet
from aggregator.exports.xlsx import write_xlsx
from aggregator.models import Award, Contract, Kind, Money, Record, Source, Tender
from aggregator.texts import clean
from tests.feed_samples import READ, TENDER, hostile_tenders, hostile_texts, make_record

CLOCKS = Clocks({"malangkota": ZoneInfo("Asia/Jakarta")}, ZoneInfo("Asia/Jayapura"))
NAMES = [column.name for column in COLUMNS]
FULL = replace(
    TENDER,
    participants=4,
    locations=("Kec. Klojen; Kota Malang", "Kec. Lowokwaru"),
    awards=(
        Award(supplier="PT Maju", amount=Money(Decimal("100.25"))),
        Award(supplier="PT Maju", amount=Money(Decimal("1.50")), date=READ),
    ),
    contracts=(Contract(supplier="CV Satu", amount=Money(Decimal(7))), Contract(supplier=None)),
)


def written(write: Callable[..., None], *records: Record, **options: Any) -> bytes:
    stream = io.BytesIO()
    write(records, stream, CLOCKS, **options)
    return stream.getvalue()


def read_csv(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def csv_row(tender: Tender) -> dict[str, str]:
    header, row = read_csv(written(write_csv, make_record(tender)))
    return dict(zip(header, row, strict=True))


# Columns ------------------------------------------------------------------------------------------------


def test_every_column_is_explained_in_both_languages() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for column in COLUMNS:
        assert all((column.english, column.indonesian, column.meaning, column.arti)), column.name
        assert column.name.isidentifier()
        assert bool(column.unit) == (column.type in {Type.AMOUNT, Type.COUNT, Type.YEARS}), column.name
        assert column.type is not Type.AMOUNT or column.unit in NAMES
    assert len({column.english for column in COLUMNS}) == len({column.indonesian for column in COLUMNS}) == len(NAMES)
    assert TYPES_ID.keys() == set(Type)


def test_the_paper_has_every_column() -> None:
    paper = (Path(__file__).parents[1] / "docs/exports.md").read_text(encoding="utf-8")
    rows = [f"| `{each.name}` | {each.type} | {each.indonesian} | {each.meaning} |\n" for each in COLUMNS]
    assert "".join(rows) in paper


def test_what_a_tender_has_several_of_is_listed_counted_and_summed_up() -> None:
    told = dict(zip(NAMES, read_row(make_record(FULL), CLOCKS), strict=True))
    assert told["award_count"] == 2
    assert told["award_suppliers"] == ("PT Maju",)
    assert told["award_amount"] == Decimal("101.75")
    assert told["award_date"] == READ
    assert told["contract_suppliers"] == ("CV Satu",)
    assert told["contract_amount"] is None  # one of them tells no amount
    assert told["contract_count"] == 2
    assert told["sources"] == ("malangkota/tender/10099412000",)
    mixed = replace(FULL, awards=(*FULL.awards, Award(supplier="X", amount=Money(Decimal(1), "USD"))))
    assert dict(zip(NAMES, read_row(make_record(mixed), CLOCKS), strict=True))["award_amount"] is None


def test_times_are_told_in_the_zone_of_the_portal() -> None:
    jakarta = dict(zip(NAMES, read_row(make_record(), CLOCKS), strict=True))
    assert (jakarta["first_seen"].isoformat(), jakarta["timezone"]) == ("2026-11-24T09:40:00+07:00", "Asia/Jakarta")
    papua = dict(zip(NAMES, read_row(make_record(replace(TENDER, portal="gone")), CLOCKS), strict=True))
    assert (papua["first_seen"].isoformat(), papua["timezone"]) == ("2026-11-24T11:40:00+09:00", "Asia/Jayapura")


def test_a_purchase_of_several_sources_names_them() -> None:
    source = Source(portal="inaproc", kind=Kind.TENDER, key="9", url=TENDER.url, changed=READ)
    record = replace(make_record(), sources=(source, replace(source, portal="malangkota", key=TENDER.key)))
    told = dict(zip(NAMES, read_row(record, CLOCKS), strict=True))
    assert told["sources"] == ("inaproc/tender/9", "malangkota/tender/10099412000")


# CSV ----------------------------------------------------------------------------------------------------


def test_csv_is_what_rfc_4180_and_excel_want() -> None:
    body = written(write_csv, make_record(replace(FULL, title='Jalan "Ijen", tahap\n2')))
    assert body.startswith(b"\xef\xbb\xbfportal,kind,key,title,")
    assert body.endswith(b"\r\n")
    assert b'"Jalan ""Ijen"", tahap\n2"' in body
    row = csv_row(FULL)
    assert row["value_amount"] == "5912300000.00"
    assert row["deadline"] == "2026-12-03T14:00:00+07:00"
    assert row["locations"] == "Kec. Klojen, Kota Malang; Kec. Lowokwaru"
    assert (row["retender"], row["participants"], row["description"]) == ("false", "4", "")
    assert read_csv(written(write_csv)) == [NAMES]


def test_headings_are_in_the_language_asked_for() -> None:
    header = read_csv(written(write_csv, language="id"))[0]
    assert header[NAMES.index("value_amount")] == "HPS"
    assert header[NAMES.index("deadline")] == "Batas akhir penawaran"
    assert read_csv(written(write_csv, language="en"))[0][NAMES.index("value_amount")] == "Owner's estimate"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+62 341", "'+62 341"),
        ("-", "'-"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (' "=1+1"', '\' "=1+1"'),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("＝1+1", "'＝1+1"),
        ("'=1+1", "''=1+1"),
        ("semen;=cmd|' /C calc'!A0", "semen;'=cmd|' /C calc'!A0"),  # the cell of a reader that splits at semicolons
        ("jalan\n-trotoar", "jalan\n'-trotoar"),
        ("Jalan A - B = C", "Jalan A - B = C"),
        ("'kutip'", "'kutip'"),
    ],
)
def test_no_cell_runs(text: str, cell: str) -> None:
    assert neutralise(text) == cell
    assert parse_text(cell) == text
    assert csv_row(replace(TENDER, title=text))["title"] == cell


def test_numbers_are_no_formulas() -> None:
    assert csv_row(replace(TENDER, value=Money(Decimal(-5))))["value_amount"] == "-5"


@given(hostile_texts)
def test_what_is_made_harmless_can_be_read_back(text: str) -> None:
    assert parse_text(neutralise(text)) == text


@given(hostile_tenders())
def test_any_tender_comes_back_from_csv(tender: Tender) -> None:
    row = csv_row(tender)
    for name in ("title", "description", "buyer", "procuring_entity", "stage", "retender_reason", "url"):
        expected = clean(getattr(tender, name) or "")
        assert parse_text(row[name]) == (expected if expected.strip() else ""), name
    for cell in row.values():
        assert not any(
            part.strip(" \"'").startswith(("=", "@")) for part in (cell, *cell.split(";")) if "'" not in part
        )
    assert row["value_amount"] == (f"{tender.value.amount:f}" if tender.value else "")


# XLSX ---------------------------------------------------------------------------------------------------


def open_book(body: bytes) -> openpyxl.Workbook:
    return openpyxl.load_workbook(io.BytesIO(body))


def test_xlsx_has_real_numbers_and_dates_and_texts_that_do_not_run() -> None:
    body = written(write_xlsx, make_record(replace(FULL, title="=HYPERLINK(1)", description="https://x.example/")))
    book = open_book(body)
    sheet = book.active
    assert sheet is not None
    cells = {str(name.value): cell for name, cell in zip(sheet[1], sheet[2], strict=True)}
    assert list(cells) == NAMES
    assert (cells["value_amount"].value, cells["value_amount"].number_format) == (5912300000, "#,##0.00")
    assert (cells["award_amount"].value, cells["award_count"].value) == (101.75, 2)
    assert cells["deadline"].value == datetime(2026, 12, 3, 14)  # noqa: DTZ001  Excel has no zones
    assert cells["deadline"].is_date
    assert cells["first_seen"].value == datetime(2026, 11, 24, 9, 40)  # noqa: DTZ001
    assert (cells["title"].value, cells["title"].data_type) == ("=HYPERLINK(1)", "s")
    assert cells["description"].hyperlink is None
    assert cells["retender"].value is False
    assert cells["key"].value == "10099412000"
    assert cells["stage"].value == "Upload Dokumen Penawaran"
    assert cells["retender_reason"].value is None
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", f"A1:{cells['timezone'].coordinate}")
    assert sheet.column_dimensions["D"].width > 40


def test_a_text_that_looks_like_markup_of_a_sheet_is_only_a_text() -> None:
    title = '<r><t>x</t></r></is></c><c r="ZZ2"><f>HYPERLINK("//e")</f></c><c r="AAA2" t="inlineStr"><is><r></r>'
    sheet = open_book(written(write_xlsx, make_record(replace(TENDER, title=title)))).active
    assert sheet is not None
    assert (sheet["D2"].value, sheet["D2"].data_type, sheet.max_column) == (title, "s", len(COLUMNS))


@pytest.mark.parametrize(
    "text", ["_x000D_", "_x0041_x0042_", "  lead and trail ", "a\r\nb\rc\nd", '<b> & "é" 😀', "1e5"]
)
def test_texts_come_back_from_xlsx_as_they_were(text: str) -> None:
    sheet = open_book(written(write_xlsx, make_record(replace(TENDER, title=text)))).active
    assert sheet is not None
    assert unescape(str(sheet["D2"].value)) == text


def test_xlsx_is_the_same_whenever_it_is_made() -> None:
    assert written(write_xlsx, make_record()) == written(write_xlsx, make_record())


def test_xlsx_goes_on_in_a_further_sheet() -> None:
    records = [make_record(replace(TENDER, key=str(number))) for number in range(7)]
    book = open_book(written(write_xlsx, *records, rows=4, language="id"))
    assert book.sheetnames == ["Paket", "Paket 2", "Paket 3"]
    keys = [[row[2] for row in sheet.iter_rows(min_row=2, values_only=True)] for sheet in book]
    assert keys == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert [sheet["C1"].value for sheet in book] == ["Kode paket"] * 3
    assert [sheet.auto_filter.ref for sheet in book] == ["A1:AT4", "A1:AT4", "A1:AT2"]


def test_what_a_cell_cannot_hold_stays_readable() -> None:
    odd = replace(
        TENDER,
        description="x" * 40_000,
        value=Money(Decimal("12345678901234567890.12")),
        published=datetime(1850, 1, 1, tzinfo=UTC),
    )
    sheet = open_book(written(write_xlsx, make_record(odd))).active
    assert sheet is not None
    row = {str(name.value): cell.value for name, cell in zip(sheet[1], sheet[2], strict=True)}
    assert len(str(row["description"])) == 32_767
    assert row["value_amount"] == "12345678901234567890.12"
    assert str(row["published"]).startswith("1850-01-01T")


def test_xlsx_into_a_pipe_is_the_same_file() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    pipe = Pipe()
    write_xlsx([make_record()], pipe, CLOCKS)
    assert pipe.getvalue() == written(write_xlsx, make_record())


@settings(max_examples=15)
@given(hostile_tenders())
def test_any_tender_makes_a_readable_workbook(tender: Tender) -> None:
    sheet = open_book(written(write_xlsx, make_record(tender))).active
    assert sheet is not None
    values = [cell for row in sheet.iter_rows(min_row=2) for cell in row]
    assert not [cell.coordinate for cell in values if cell.data_type == "f" or cell.hyperlink]


# Parquet ------------------------------------------------------------------------------------------------


def test_parquet_has_exact_decimals_instants_and_lists() -> None:
    table = pq.read_table(io.BytesIO(written(write_parquet, make_record(FULL))))
    assert table.column_names == NAMES
    types = {field.name: str(field.type) for field in table.schema}
    assert types["value_amount"] == "decimal128(38, 4)"
    assert types["deadline"] == "timestamp[us, tz=UTC]"
    assert re.fullmatch("list<.*int32>", types["fiscal_years"])
    assert types["retender"] == "bool"
    (row,) = table.to_pylist()
    assert row["value_amount"] == Decimal("5912300000.00")
    assert row["deadline"] == TENDER.deadline
    assert row["first_seen"] == READ
    assert row["locations"] == ["Kec. Klojen; Kota Malang", "Kec. Lowokwaru"]
    assert row["fiscal_years"] == [2026]
    assert row["description"] is None
    assert table.schema.field("value_amount").metadata[b"description"] == b"The owner's own estimate (HPS)."


def test_parquet_of_nothing_still_has_its_columns() -> None:
    assert pq.read_table(io.BytesIO(written(write_parquet))).column_names == NAMES


@settings(max_examples=15)
@given(hostile_tenders())
def test_any_tender_comes_back_from_parquet(tender: Tender) -> None:
    body = written(write_parquet, make_record(tender))
    (row,) = pq.read_table(io.BytesIO(body)).to_pylist()
    expected = dict(zip(NAMES, read_row(make_record(tender), CLOCKS), strict=True))
    assert row == {name: list(value) if isinstance(value, tuple) else value for name, value in expected.items()}
    assert body == written(write_parquet, make_record(tender))


@pytest.mark.parametrize(
    ("amount", "kept"),
    [("12345678901234567890.12", Decimal("12345678901234567890.1200")), ("0.00005", Decimal(0)), ("1E40", None)],
)
def test_amounts_that_parquet_has_no_room_for(amount: str, kept: Decimal | None) -> None:
    record = make_record(replace(TENDER, value=Money(Decimal(amount))))
    (row,) = pq.read_table(io.BytesIO(written(write_parquet, record))).to_pylist()
    assert row["value_amount"] == kept


def test_json_of_the_same_tender_tells_no_other_amounts() -> None:
    told = make_record(FULL).as_dict()
    row = csv_row(FULL)
    assert row["budget_amount"] == json.loads(json.dumps(told))["budget"]["amount"]
    assert READ + timedelta(hours=1) == datetime.fromisoformat(row["last_seen"])
