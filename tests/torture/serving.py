"""The server runs out of files to open, or its database is spoilt under it: published files are answered still."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException

from tests.torture.killing import Report
from tests.torture.model import Broken
from tests.torture.stage import DATABASE, Play, Stage
from tests.torture.striking import Blow

FEED = "/feeds/semua.rss"
SEARCH = "/feeds/search.rss?q=jalan"
LONGEST = 20.0  # seconds until it answers, or answers again


def starve_server(stage: Stage, rounds: int, dice: random.Random) -> Report:
    """Connections take every file it may open; once they are gone it answers. Then its database is damaged."""
    report = Report("few files: serve")
    for _ in range(rounds):
        report.rounds += 1
        limit = dice.randint(40, 80)
        with stage.play("first") as play, report.watch(f"RLIMIT_NOFILE {limit}"):
            port = find_port()
            number = play.forge.start(
                *(play.folder, "serve", "--port", str(port)), blow=Blow(limits={"RLIMIT_NOFILE": limit})
            )
            try:
                _starve(play, port, report, dice)
            finally:
                os.kill(number, signal.SIGTERM)
                ended = play.forge.finish()
            if "Traceback" in ended.err:
                raise Broken(f"a traceback: {ended.err[-1000:]}")
    return report


def _starve(play: Play, port: int, report: Report, dice: random.Random) -> None:
    wait_for(port, FEED, 200)
    with ExitStack() as held:
        for _ in range(120):
            try:
                held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=0.2))
            except OSError:
                break
            report.blows += 1
    wait_for(port, FEED, 200)
    wait_for(port, SEARCH, 200)
    noise = play.folder / "noise"
    noise.write_bytes(dice.randbytes(8192))
    noise.replace(play.folder / DATABASE)  # a new file: what is open goes on reading the old one
    report.blows += 1
    wait_for(port, FEED, 200)
    wait_for(port, f"{SEARCH}{dice.random()}", 503)
    report.checked += 5


def find_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_for(port: int, path: str, status: int) -> None:
    """The server answers so within LONGEST seconds. Broken where it never does."""
    end, last = time.monotonic() + LONGEST, ""
    while time.monotonic() < end:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == status:
                return
            last = f"{answer.status} {body[:100]!r}"
        except (OSError, HTTPException) as error:
            last = str(error)
        finally:
            connection.close()
        time.sleep(0.05)
    raise Broken(f"{path} is not answered with {status}, but {last}")
