"""Whatever the API is asked: it answers as its description says, refuses what it forbids, and never fails."""

from __future__ import annotations

from pathlib import Path

from tests.fuzzing.asking import find_operations, make_asking


def test_the_api_keeps_its_word(tmp_path: Path) -> None:
    asked: list[str] = []
    for operation in find_operations(tmp_path):
        make_asking(operation, 20261124, 60, lambda label=operation.label: asked.append(label))()  # type: ignore[misc]
    assert len(set(asked)) == 4
    assert len(asked) > 200
