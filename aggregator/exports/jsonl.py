"""Tenders as JSON Lines: one JSON object a line, UTF-8, keys in the order of the model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO, Any

from scrapy.exporters import BaseItemExporter

from aggregator.models import Reading, Record

_render_json = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
_TIMES = ("first_seen", "last_seen", "changed")


def write_jsonl(records: Iterable[Record], stream: IO[bytes]) -> None:
    """One line for each record. Amounts are strings, so that they stay exact."""
    for record in records:
        stream.write(_render_line(record.as_dict()))


class ReadingExporter(BaseItemExporter):
    """Lets ``scrapy crawl … -O out.jsonl`` write the same lines, without a database.

    What only a database knows (first_seen, last_seen, changed) is null; items that are no Reading are left out.
    """

    def __init__(self, file: IO[bytes], **options: Any) -> None:
        super().__init__(dont_fail=True, **options)
        self._file = file

    def export_item(self, item: Any) -> None:
        if isinstance(item, Reading):
            self._file.write(_render_line({**item.tender.as_dict(), **dict.fromkeys(_TIMES)}))


def _render_line(values: dict[str, Any]) -> bytes:
    return (_render_json(values) + "\n").encode()
