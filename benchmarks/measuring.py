"""How a benchmark measures: programs in processes of their own, one beside the other in alternating rounds."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
LOOK_EVERY = 0.02  # seconds between two looks at the memory of a process that is measured
_START = (
    "import importlib, json, sys\n"
    "module, _, name = sys.argv[1].partition(':')\n"
    "print(json.dumps(getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))))"
)


class ProgramFailed(RuntimeError):
    """A program that is measured did not end well; says what it wrote."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a program took: seconds by the clock and of processors (its children's with it), the most bytes of memory
    that it held (and each of its children), and what it printed."""

    wall: float
    cpu: float
    peak: int
    output: bytes

    @property
    def megabytes(self) -> float:
        return self.peak / 1e6


def run_program(command: Sequence[str], *, env: Mapping[str, str] | None = None, given: bytes = b"") -> Spent:
    """Runs ``command`` from the top of the project to its end, with ``given`` as its input and ``env`` added to ours.

    ProgramFailed unless it ends with 0.
    """
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as complaints, tempfile.TemporaryFile() as source:
        source.write(given)
        source.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=source, stdout=told, stderr=complaints
        )
        peaks: dict[int, int] = {}
        try:
            while True:
                peaks.update({child: peak for child in list_family(process.pid) if (peak := find_peak(child))})
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
                if ended:
                    break
                time.sleep(LOOK_EVERY)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)  # which it cannot see any more
        told.seek(0)
        complaints.seek(0)
        if process.returncode:
            raise ProgramFailed(f"{command[0]} ended with {process.returncode}: {complaints.read()[-2000:].decode()}")
        return Spent(wall, usage.ru_utime + usage.ru_stime, sum(peaks.values()), told.read())


def run_apart(function: Callable[..., Any], *, env: Mapping[str, str] | None = None, **given: Any) -> tuple[Any, Spent]:
    """Calls a ``function`` of a module in a process of its own, so that the memory is its alone. What it is ``given``
    and returns is JSON; it prints nothing."""
    name = f"{function.__module__}:{function.__qualname__}"
    spent = run_program([sys.executable, "-c", _START, name, json.dumps(given)], env=env)
    return json.loads(spent.output), spent


def list_family(process: int) -> list[int]:
    """A process and those that it began (Linux)."""
    children: list[str] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it ended just now
            children += path.read_text().split()
    return [process, *(each for child in children for each in list_family(int(child)))]


def find_peak(process: int) -> int:
    """The most bytes of memory that a process held so far; 0 where it ended (Linux).

    Not getrusage, which tells a child the peak of the parent it was forked from.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def alternate(rounds: int, **runs: Callable[[], float]) -> dict[str, list[float]]:
    """What each of ``runs`` measured, round by round. Every round takes all in turn, every other one backwards, so
    that a machine that grows slower is so for all."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in reversed(runs) if number % 2 else runs:
            found[name].append(runs[name]())
    return found


def find_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios: what was measured side by side is compared with each other."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))


@contextmanager
def timed(into: list[float]) -> Any:
    """Appends the seconds that the block takes."""
    began = time.perf_counter()
    yield
    into.append(time.perf_counter() - began)


def describe_machine() -> str:
    """In a line: what it was measured on, and when."""
    model = platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = os.cpu_count()
    today = date.today().isoformat()  # noqa: DTZ011 - the reader's day, told to nobody else
    return f"{cores} cores ({model}), {memory:.0f} GiB, Python {platform.python_version()}, {today}."
