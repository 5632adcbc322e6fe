"""Verbs of this program run in processes of their own, which end when the process that began them ends."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from commands.logs import MISTAKE

PARENT = "WARTA_PARENT"  # in a child's environment: the process without which it must not go on
PATIENCE = 60.0  # seconds a child may take to end once it is asked to

_PDEATHSIG = 1  # PR_SET_PDEATHSIG of prctl(2)
_LIMIT = 1 << 20  # bytes of one line


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent dies, where the parent asked for that; else does nothing.

    By SIGKILL: an orphan must not ask a portal for anything, even one that hangs.
    """
    parent = os.environ.get(PARENT)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before the kernel was told
        sys.exit(f"warta: process {parent}, which began this one, is gone")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit code (negative: the signal that killed it), its output, its last line of errors."""

    code: int
    output: str
    last_words: str


class Child:
    """A verb under way. ``stop`` asks it to end; it is killed where it takes longer than PATIENCE."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._killing: asyncio.TimerHandle | None = None

    @classmethod
    async def start(cls, config: Path, arguments: Sequence[str]) -> Child:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "warta", "--config", str(config), *arguments),
            env={**os.environ, PARENT: str(os.getpid())},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the worker, which then asks its children
            limit=_LIMIT,
        )
        return cls(process)

    async def wait(self) -> Ended:
        """Until it ends; what it says on standard error goes to this process's."""
        stdout, stderr = self._process.stdout, self._process.stderr
        if stdout is None or stderr is None:
            raise ValueError("the child was started without pipes")
        output, last_words = await asyncio.gather(stdout.read(), _pass_on(stderr))
        code = await self._process.wait()
        if self._killing:
            self._killing.cancel()
        return Ended(code, output.decode("utf-8", "replace"), last_words)

    def stop(self) -> None:
        """Asks it to end; it finishes what it reads."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        self._killing = asyncio.get_running_loop().call_later(PATIENCE, self.kill)

    def kill(self) -> None:
        """Ends it at once, and all that it began."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


async def _pass_on(stream: asyncio.StreamReader) -> str:
    """Copies the lines to standard error; the last one."""
    last: deque[str] = deque(maxlen=1)
    async for line in stream:
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
        text = line.decode("utf-8", "replace").strip()
        if text:
            last.append(text)
    return last[0] if last else ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: how it ended (ENDINGS of working.py), and why in words."""

    ending: str
    why: str = ""


def judge_crawl(ended: Ended) -> Outcome:
    """What a `crawl PORTAL --json` came to: done, blocked, busy, failed, or broke (no verdict). Pure."""
    try:
        [told] = json.loads(ended.output)["portals"]
        verdict, why = told["verdict"], "; ".join(told["reasons"])
    except (ValueError, KeyError, TypeError):
        return judge_exit(ended) if ended.code else Outcome("broke", "it told no verdict")
    if verdict in ("ok", "partial"):
        return Outcome("done", why)
    if told["requests"] == 0 and why.startswith("busy:"):
        return Outcome("busy", why)
    return Outcome(verdict, why)


def judge_exit(ended: Ended) -> Outcome:
    """What a verb without a verdict came to, from its exit code. Pure."""
    if ended.code == 0:
        return Outcome("done")
    if ended.code < 0:
        return Outcome("broke", f"killed by {signal.Signals(-ended.code).name}")
    return Outcome("broke", _read_message(ended.last_words) or f"exit code {ended.code}")


def _read_message(line: str) -> str:
    """What a line of standard error says, also where the log is JSON."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, TypeError, KeyError):
        return line.removeprefix(MISTAKE)
