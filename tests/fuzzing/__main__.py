"""`make fuzz MINUTES=10`: hostile input for every reader and for the API, other than the last time, seeds printed.

What fails is kept below tests/fuzzing/found/, where every run of the tests tries it again.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.console import Console

from tests.fuzzing.asking import find_operations, make_asking
from tests.fuzzing.mutating import mutated
from tests.fuzzing.readers import FOUND, READERS, Reader, try_read

SLICE = 1000  # inputs for one reader, then the next one's turn

console = Console(highlight=False, markup=False, soft_wrap=True)


def fuzz_reader(reader: Reader, end: float, number: int) -> bool:
    """Whether a slice of inputs made from ``number`` was read or refused; what was not is kept."""
    failed: list[bytes] = []
    tried = 0

    @seed(number)
    @settings(
        max_examples=SLICE,
        database=None,
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
    )
    @given(mutated(reader.seeds, reader.form))
    def hold(body: bytes) -> None:
        nonlocal tried
        if time.monotonic() > end and not failed:
            return
        tried += 1
        try:
            try_read(reader, body)
        except Exception:
            failed.append(body)  # the last one is the smallest
            raise

    began = time.process_time()
    return _tell(reader.name, number, hold, lambda: f"{tried} inputs, {time.process_time() - began:.1f} s", failed)


def fuzz_api(operation: Any, number: int) -> bool:
    """Whether a slice of questions made from ``number`` was answered as the API's description says."""
    asked = 0

    def count() -> None:
        nonlocal asked
        asked += 1

    began = time.process_time()
    ask = make_asking(operation, number, SLICE, count)
    told = f"api {operation.label}"
    return _tell(told, number, ask, lambda: f"{asked} questions, {time.process_time() - began:.1f} s", [])


def _tell(name: str, number: int, hold: Callable[[], None], told: Callable[[], str], failed: list[bytes]) -> bool:
    try:
        hold()
    except Exception:  # noqa: BLE001 - whatever it is, it is what was looked for
        kept = _keep(name, failed[-1]) if failed else ""
        console.print(f"FAILED {name} --seed {number}: {told()} {kept}\n{traceback.format_exc(limit=-6)}")
        return False
    console.print(f"{name} --seed {number}: {told()}")
    return True


def _keep(name: str, body: bytes) -> str:
    path = FOUND / name / hashlib.sha256(body).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return f"kept as {path.relative_to(FOUND.parents[2])}"


def main(
    minutes: Annotated[float, typer.Option(help="How long it goes on.")] = 10,
    only: Annotated[str, typer.Option(help="Readers whose names hold this.")] = "",
    seed: Annotated[int, typer.Option(help="One slice for each reader, made from this number as it was told.")] = -1,
) -> None:
    """Slices of inputs for each reader and the API in turn, until the time is over; exit 1 where one failed."""
    end = time.monotonic() + minutes * 60
    held = True
    with tempfile.TemporaryDirectory() as folder:
        asking = [partial(fuzz_api, each) for each in find_operations(Path(folder)) if only in f"api {each.label}"]
        turns = [*(partial(fuzz_reader, reader, end) for reader in READERS if only in reader.name), *asking]
        while time.monotonic() < end:
            for turn in turns:
                if time.monotonic() < end:
                    held &= turn(seed if seed >= 0 else secrets.randbelow(2**32))
            if seed >= 0:
                break
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    typer.run(main)
