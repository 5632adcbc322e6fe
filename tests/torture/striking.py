"""Runs verbs of the program in processes of their own, and strikes them at the n-th thing that they write."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("faults.c")

# What a call does, and what befalls it: as in faults.c.
CREATE, WRITE, SYNC, NAME, SIZE, SEND, READ, OPEN = (1 << number for number in range(8))
CHANGES = CREATE | WRITE | SYNC | NAME | SIZE
COUNT, KILL, TEAR, FAIL, FAIL_ONCE = range(5)

LONGEST = 120.0  # seconds that a verb may take; one that hangs is a defect


@dataclass(frozen=True)
class Blow:
    """What is to befall a verb: ``what`` at the ``at``-th of the calls in ``classes``, or a kill after ``seconds``."""

    what: int = COUNT
    at: int = 0
    classes: int = CHANGES
    error: int = 0
    seconds: float | None = None
    limits: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"killed after {self.seconds:.3f} s"
        if self.limits:
            return ", ".join(f"{name} {value}" for name, value in self.limits.items())
        name = {KILL: "killed", TEAR: "torn"}.get(self.what) or errno.errorcode.get(self.error, "counted")
        return f"{name}{' once' if self.what == FAIL_ONCE else ''} at call {self.at} of {self.classes:#x}"


NONE = Blow()


@dataclass(frozen=True)
class Ended:
    """How a verb ended: its exit code (negative: the signal), the calls that were counted, and what it said."""

    arguments: tuple[str, ...]
    blow: Blow
    code: int
    calls: int
    cpu: float
    out: str
    err: str

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL

    def __str__(self) -> str:
        said = (self.out + self.err).strip().splitlines()[-1:] or [""]
        return f"warta {' '.join(self.arguments)}, {self.blow}: exit {self.code}, {said[0][-400:]!r}"


class Forge:
    """Where struck processes are made: a zygote, and the library that strikes them."""

    def __init__(self, zygote: subprocess.Popen[str], scratch: Path) -> None:
        self._zygote = zygote
        self._scratch = scratch

    def start(self, folder: Path, *arguments: str, blow: Blow = NONE, below: Path | None = None, **more: Any) -> int:
        """Begins a verb in ``folder``, struck below ``below``; its process id. ``finish`` must follow."""
        self._now = (arguments, blow)
        order = {
            "folder": str(folder),
            "arguments": arguments,
            "environment": more.get("environment", {}),
            "out": str(self._scratch / "out"),
            "err": str(self._scratch / "err"),
            "log": str(more["log"]) if more.get("log") else "",
            "limits": dict(blow.limits),
            "below": str(below or folder),
            "what": blow.what,
            "classes": blow.classes,
            "at": blow.at,
            "error": blow.error,
            "seconds": LONGEST if blow.seconds is None else blow.seconds,
        }
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        return int(self._hear()["started"])

    def finish(self) -> Ended:
        """Waits for the verb that was begun."""
        told, (arguments, blow) = self._hear(), self._now
        out, err = ((self._scratch / name).read_text(errors="replace") for name in ("out", "err"))
        if told["code"] == -signal.SIGKILL and blow.what not in {KILL, TEAR} and blow.seconds is None:
            err += f"\nIt did not end within {LONGEST:.0f} s."
        return Ended(arguments, blow, told["code"], told["calls"], told["cpu"], out, err)

    def run(self, folder: Path, *arguments: str, blow: Blow = NONE, below: Path | None = None, **more: Any) -> Ended:
        """A verb from its beginning to its end, whichever that is."""
        self.start(folder, *arguments, blow=blow, below=below, **more)
        return self.finish()

    def _hear(self) -> dict[str, Any]:
        assert self._zygote.stdout is not None
        line = self._zygote.stdout.readline()
        if not line:
            raise RuntimeError("the zygote is gone")
        told: dict[str, Any] = json.loads(line)
        return told


def find_compiler() -> str | None:
    """A C compiler, which faults.c needs."""
    return shutil.which("cc") or shutil.which("gcc")


@contextmanager
def open_forge() -> Iterator[Forge]:
    """Compiles faults.c and starts a zygote, which ends with the block."""
    compiler = find_compiler()
    if compiler is None:
        raise RuntimeError("no C compiler: install gcc and libc6-dev")
    with tempfile.TemporaryDirectory(prefix="warta-forge-") as name:
        library = Path(name, "faults.so")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("WARTA_")}
        environment |= {"LD_PRELOAD": str(library), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        with subprocess.Popen(
            [sys.executable, "-m", "tests.torture.zygote", str(library)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as zygote:
            try:
                yield Forge(zygote, Path(name))
            finally:
                zygote.terminate()
