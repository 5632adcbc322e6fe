"""What it takes to hand out everything: rows a second and the memory of `warta export`, in each format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.measuring import run_program

FORMATS = ("jsonl", "csv", "xlsx", "parquet", "ocds")
FASTEST = ("csv",)  # the others take minutes for a million


class Export(NamedTuple):
    """Rows a second, starting the program counted in, and the most memory that it held."""

    rate: float
    megabytes: float


def measure_export(config: Path, form: str, size: int) -> Export:
    """Writes all ``size`` tenders into a file beside ``config``, and takes it away."""
    target = config.with_name(f"export.{form}")
    try:
        command = [
            sys.executable,
            "-m",
            "warta",
            "--config",
            str(config),
            "export",
            "--format",
            form,
            "-o",
            str(target),
        ]
        spent = run_program(command)
        if not target.stat().st_size:
            raise RuntimeError(f"the export as {form} is empty")
    finally:
        target.unlink(missing_ok=True)
    return Export(size / spent.wall, spent.megabytes)
