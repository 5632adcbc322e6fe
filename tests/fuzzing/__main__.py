"""`make fuzz MINUTES=10`: hostile input for every reader and for the API, other than the last time, seeds printed.

What fails is kept below tests/fuzzing/found/, where every run of the tests tries it again.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
import time
import traceback
from collections.abc import Callable
from typing import Annotated

import typer
from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.console import Console

from tests.fuzzing.mutating import mutated
from tests.fuzzing.readers import FOUND, READERS, Reader, try_read

SLICE = 400  # inputs for one reader, then the next one's turn

console = Console(highlight=False, markup=False, soft_wrap=True)


def fuzz_reader(reader: Reader, number: int, end: float) -> bool:
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
    """Slices of inputs for each reader in turn, until the time is over; exit 1 where one of them failed."""
    end = time.monotonic() + minutes * 60
    readers = [reader for reader in READERS if only in reader.name]
    held = True
    while time.monotonic() < end:
        for reader in readers:
            number = seed if seed >= 0 else secrets.randbelow(2**32)
            if time.monotonic() < end:
                held &= fuzz_reader(reader, number, end)
        if seed >= 0:
            break
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    typer.run(main)
