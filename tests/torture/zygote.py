"""A process that has imported the whole program once, and forks a new one for each verb: a third of the time.

Started by ``striking.Forge``, with faults.c loaded; reads what to run from its input, a JSON object a line.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import select
import signal
import sys
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import commands.terminal
import feeds.app
import feeds.publish
import feeds.serving.running
import spiders.crawl
import spiders.replay
import spiders.spse.spider
import warta
from aggregator import backup, copying, settling
from aggregator.exports import csv, jsonl, packages, parquet, xlsx

CONFIG = """\
[publisher]
name = "Pemanasan"
url = "https://blp.example.go.id/"
authority = "blp.example.go.id"
since = "2026-01-01"
[[portal]]
id = "satu"
family = "spse"
name = "Satu"
url = "https://spse.example.go.id/satu"
"""

LOADED = (commands.terminal, feeds.app, feeds.publish, feeds.serving.running, spiders.crawl, spiders.replay)
ALSO = (spiders.spse.spider, backup, copying, settling, csv, jsonl, packages, parquet, xlsx)


def load_faults(path: str) -> ctypes.CDLL:
    """faults.c, which LD_PRELOAD has loaded already, to be called."""
    faults = ctypes.CDLL(path)
    long, integer = ctypes.c_long, ctypes.c_int
    faults.torture_arm.argtypes = [ctypes.c_char_p, integer, integer, long, integer, integer]
    faults.torture_calls.restype = long
    return faults


def warm_up() -> None:
    """Compiles templates and loads what verbs load late, so that no fork has to."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(StringIO()):
        Path("warta.toml").write_text(CONFIG, encoding="utf-8")
        for arguments in (["publish"], ["status"], ["export", "--format", "jsonl", "-o", "x"]):
            sys.argv = ["warta", *arguments]
            with redirect_stderr(StringIO()), suppress(SystemExit):
                warta.main()
    gc.collect()
    gc.freeze()


def become(faults: ctypes.CDLL, order: dict[str, Any]) -> None:
    """Turns this fork into a process that was started to run the verb, with all that is to befall it."""
    signal.set_wakeup_fd(-1)
    os.setsid()
    for descriptor, path in ((1, order["out"]), (2, order["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["folder"])
    os.environ.pop("LD_PRELOAD", None)  # for what it starts itself
    os.environ.update(order["environment"])
    sys.argv = ["warta", *order["arguments"]]
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) if order["log"] else -1
    for limit, value in order["limits"].items():
        resource.setrlimit(getattr(resource, limit), (value, value))
    if order["below"]:
        below = os.path.realpath(order["below"]).encode()
        faults.torture_arm(below, order["what"], order["classes"], order["at"], order["error"], log)


def main() -> None:
    """Forks for each order and tells how it ended; returns, in the fork, when the verb is to begin."""
    faults = load_faults(sys.argv[1])
    warm_up()
    sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            become(faults, order)
            return
        print(json.dumps({"started": child}), flush=True)  # noqa: T201
        ended = os.pidfd_open(child)
        if not select.select([ended], [], [], order["seconds"])[0]:
            os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        os.close(ended)
        told = {
            "code": os.waitstatus_to_exitcode(status),
            "calls": faults.torture_calls(),
            "cpu": usage.ru_utime + usage.ru_stime,
        }
        print(json.dumps(told), flush=True)  # noqa: T201
    sys.exit()


if __name__ == "__main__":
    main()
    warta.main()
