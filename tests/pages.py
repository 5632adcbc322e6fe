"""The made-up pages of tests/fixtures, each beside the value it means."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from aggregator.models import Money
from spiders.reading import ShapeError

FIXTURES = Path(__file__).parent / "fixtures"


class Row(Protocol):
    """What a list announces: its key, and the words in it that no reader knows."""

    @property
    def key(self) -> str: ...

    @property
    def unknown(self) -> Iterable[str]: ...


def find_pages(family: str) -> list[Path]:
    return sorted(path for path in (FIXTURES / family).iterdir() if not path.name.endswith(".value.json"))


def read_value(page: Path) -> Any:
    return json.loads(page.with_suffix(".value.json").read_text(encoding="utf-8"))


def write_values(pages: Iterable[Path], read: Callable[[Path], Any]) -> None:
    """The values of pages that have none yet (of all, where AGAIN is set), to be read before they are kept."""
    for page in pages:
        value = page.with_suffix(".value.json")
        if not value.exists() or os.environ.get("AGAIN"):
            value.write_text(json.dumps(read(page), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def tell_odd(rows: Iterable[Row], broken: Iterable[ShapeError]) -> dict[str, Any]:
    """What of a page is not as it should be: words that nobody knows, by key, and rows that cannot be read."""
    return {
        "unknown": {row.key: list(row.unknown) for row in rows if row.unknown},
        "broken": [f"{error} ({error.sample})" for error in broken],
    }


def as_json(value: Any, fingerprint: Callable[[bytes], str] = bytes.hex) -> Any:
    """Values as plain JSON, times with their offset and amounts as text."""
    match value:
        case Money():
            return f"{value.currency} {value.amount}"
        case datetime():
            return value.isoformat()
        case bytes():
            return fingerprint(value)
        case frozenset():
            return sorted(value)
        case tuple() | list():
            return [as_json(part, fingerprint) for part in value]
        case dict():
            return {key: as_json(part, fingerprint) for key, part in value.items()}
        case _ if dataclasses.is_dataclass(value):
            return {f.name: as_json(getattr(value, f.name), fingerprint) for f in dataclasses.fields(value)}
        case _:
            return value
