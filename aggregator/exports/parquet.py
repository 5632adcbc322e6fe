"""Tenders as Parquet, for pandas, DuckDB, R and the like: exact decimals, instants in UTC, lists as lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from aggregator.exports.columns import COLUMNS, Clocks, Type, read_row
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
    from pyarrow import PythonFile
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]

    schema = make_schema()
    rows = (read_row(record, clocks) for record in records)
    sink = PythonFile(stream, mode="w")  # its writer only goes forward, so that a pipe will do
    with ParquetWriter(sink, schema, compression="zstd") as writer:
        for batch in _batches(rows, schema):
            writer.write_batch(batch)


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


def _batches(rows: Iterator[list[Any]], schema: Schema) -> Iterator[RecordBatch]:
    import pyarrow as pa

    while group := list(islice(rows, ROWS)):
        values = zip(*group, strict=True)
        arrays = [pa.array(map(_settle, each), field.type) for each, field in zip(values, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _settle(value: Any) -> Any:
    match value:
        case Decimal():
            return value.quantize(_UNIT, context=_WIDE) if abs(value) < _TOO_MUCH else None
        case tuple():
            return list(value)
        case _:
            return value
