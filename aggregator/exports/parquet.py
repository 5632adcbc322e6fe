"""Tenders as Parquet, for pandas, DuckDB, R and the like: exact decimals, instants in UTC, lists as lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import IO, TYPE_CHECKING

from aggregator.exports.columns import COLUMNS, Clocks, Row, Type, Write, read_rows
from aggregator.models import Record

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Schema  # type: ignore[import-untyped]

ROWS = 5_000  # in a row group: some 60 MB while it is made
_DIGITS, _PLACES = 38, 4  # of an amount: the most that decimal128 has; no currency has more places than four
_UNIT = Decimal(1).scaleb(-_PLACES)
_WIDE = Context(prec=_DIGITS, rounding=ROUND_HALF_EVEN)
_TOO_MUCH = Decimal(1).scaleb(_DIGITS - _PLACES)


def write_parquet(records: Iterable[Record], stream: IO[bytes], clocks: Clocks) -> None:
    """A row for each record, in groups of ROWS; columns as in CSV, their meanings in the schema.

    An amount has four places; one of more than 34 digits before the point is missing.
    """
    with open_parquet(stream) as write:
        for rows in read_rows(records, clocks):
            write(rows)


@contextmanager
def open_parquet(stream: IO[bytes]) -> Iterator[Write]:
    """The same, for rows that are read elsewhere."""
    from pyarrow import PythonFile
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]

    schema = make_schema()
    waiting: list[Row] = []

    def write(rows: Iterable[Row]) -> None:
        waiting.extend(rows)
        while len(waiting) >= ROWS:
            writer.write_batch(_make_batch(waiting[:ROWS], schema))
            del waiting[:ROWS]

    sink = PythonFile(stream, mode="w")  # its writer only goes forward, so that a pipe will do
    with ParquetWriter(sink, schema, compression="zstd") as writer:
        yield write
        if waiting:
            writer.write_batch(_make_batch(waiting, schema))


def make_schema() -> Schema:
    """The columns as Arrow types, each with its meaning in English as its ``description``."""
    import pyarrow as pa

    types = {
        Type.TEXT: pa.string(),
        Type.TEXTS: pa.list_(pa.string()),
        Type.YEARS: pa.list_(pa.int32()),
        Type.COUNT: pa.int64(),
        Type.AMOUNT: pa.decimal128(_DIGITS, _PLACES),
        Type.TIME: pa.timestamp("us", tz="UTC"),
        Type.FLAG: pa.bool_(),
    }
    return pa.schema(
        [pa.field(each.name, types[each.type], metadata={"description": each.meaning}) for each in COLUMNS]
    )


def _make_batch(rows: Sequence[Row], schema: Schema) -> RecordBatch:
    import pyarrow as pa

    arrays = []
    for column, field, values in zip(COLUMNS, schema, zip(*rows, strict=True), strict=True):
        fitting = map(_fit, values) if column.type is Type.AMOUNT else values
        arrays.append(pa.array(fitting, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _fit(amount: Decimal | None) -> Decimal | None:
    return amount.quantize(_UNIT, context=_WIDE) if amount is not None and abs(amount) < _TOO_MUCH else None
