"""How fast a published feed is answered: `warta serve` beside a bare uvicorn app that holds the same bytes in memory,
and nginx beside both."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from aggregator.config import parse_config
from aggregator.database import open_database
from aggregator.repository import Repository
from benchmarks.figures import Curve, Figure
from benchmarks.loading import measure_rate
from benchmarks.measuring import ROOT, alternate, find_peak, find_ratio
from benchmarks.tenders import NOW, find_run, make_reading, render_config
from feeds.publish import publish

GROUP = "Serving"
FEED = "feeds/semua.rss"
TYPE = "application/rss+xml; charset=utf-8"
PATIENCE = 60.0  # seconds in which a server must answer
TENDERS = 10_000
MUST = 0.8  # of the bare server's rate
ASKED = {
    "plain": (200, {"Accept-Encoding": "identity"}),
    "gzip": (200, {"Accept-Encoding": "gzip"}),
    "304, If-None-Match": (304, {"If-None-Match": "etag", "Accept-Encoding": "gzip"}),
    "304, If-Modified-Since": (304, {"If-Modified-Since": "last-modified", "Accept-Encoding": "gzip"}),
}


def measure(*, quick: bool) -> Iterator[Figure | Curve]:
    """The rates of one feed, as a ratio of the bare server's."""
    tenders, rounds, seconds = (1_000, 1, 1.0) if quick else (TENDERS, 5, 2.0)
    with tempfile.TemporaryDirectory(prefix="warta-bench-serve-") as folder, ExitStack() as stack:
        config = publish_tree(Path(folder), tenders)
        tree = Path(folder, "var/public")
        ours = stack.enter_context(serve_ours(config))
        servers = {"ours": ours.port, "bare": stack.enter_context(serve_bare(tree / FEED))}
        if nginx := shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin"):
            servers["nginx"] = stack.enter_context(serve_nginx(nginx, Path(folder), tree))
        for name, (status, fields) in ASKED.items():
            rates = compare(servers, fields, status, rounds, seconds)
            yield _tell(name, rates, (tree / FEED).stat().st_size)
        yield Figure(group=GROUP, name="memory of warta serve", value=find_peak(ours.process) / 1e6, unit="MB")


def compare(
    servers: Mapping[str, int], fields: Mapping[str, str], status: int, rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Answers a second of each of ``servers`` (by its port), round by round. ``fields`` of a condition name the header
    that the server itself sent before."""
    runs = {}
    for name, port in servers.items():
        headers = _fill(port, fields)
        answer = _ask(port, headers)
        if answer.status != status:
            raise RuntimeError(f"{name} answers with {answer.status}, not {status}, to {headers}")
        runs[name] = partial(measure_rate, f"http://127.0.0.1:{port}/{FEED}", headers, seconds, status)
    return alternate(rounds, **runs)


def _tell(name: str, rates: Mapping[str, Sequence[float]], size: int) -> Figure:
    told = ", ".join(f"{server} {median(each):,.0f}/s" for server, each in rates.items())
    return Figure(
        group=GROUP,
        name=f"a feed of {size / 1e3:.0f} kB: {name}",
        value=find_ratio(rates["ours"], rates["bare"]),
        unit="×",
        must=MUST,
        higher_is_better=True,
        against=f"of bare uvicorn's rate: {told}",
    )


def publish_tree(folder: Path, tenders: int) -> Path:
    """A database of so many tenders and the tree of it; returns the configuration."""
    config = folder / "warta.toml"
    text = render_config("sqlite:///var/warta.db")
    config.write_text(text, encoding="utf-8")
    loaded = parse_config(text, config)
    repository = Repository(open_database(loaded.database_url))
    for start in range(0, tenders, 500):
        repository.save([make_reading(number) for number in range(start, start + 500)], find_run(start))
    publish(loaded, repository, NOW)
    repository.engine.dispose()
    return config


# Servers ----------------------------------------------------------------------------------------------------


class Served:
    """A server that runs: its port, and the number of its process."""

    def __init__(self, port: int, process: int) -> None:
        self.port = port
        self.process = process


@contextmanager
def serve_ours(config: Path, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """`warta serve`, as an operator starts it."""
    port = find_port()
    with _start(
        [sys.executable, "-m", "warta", "--config", str(config), "serve", "--port", str(port)], port, env
    ) as it:
        yield Served(port, it.pid)


@contextmanager
def serve_bare(feed: Path) -> Iterator[int]:
    port = find_port()
    with _start([sys.executable, str(ROOT / "benchmarks/peers/bare_uvicorn.py"), str(port), str(feed), TYPE], port):
        yield port


@contextmanager
def serve_nginx(program: str, folder: Path, tree: Path) -> Iterator[int]:
    """nginx over the same tree with one worker, sending the packed twins that lie in it."""
    port, prefix = find_port(), folder / "nginx"
    prefix.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    places = " ".join(
        f"{kind}_temp_path {prefix}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (prefix / "nginx.conf").write_text(
        f"{user} daemon off; pid {prefix}/nginx.pid; worker_processes 1; events {{ worker_connections 256; }}\n"
        f"http {{ access_log off; {places} types {{ application/rss+xml rss; }} sendfile on;\n"
        "keepalive_requests 1000000000;\n"
        f"server {{ listen 127.0.0.1:{port}; root {tree}; gzip_static on; }} }}\n"
    )
    with _start([program, "-p", str(prefix), "-c", "nginx.conf", "-e", "stderr"], port):
        yield port


@contextmanager
def _start(
    command: Sequence[str], port: int, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when it listens until the block ends."""
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(env or {})}, stderr=complaints)
        try:
            until = time.monotonic() + PATIENCE
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    complaints.seek(0)
                    raise RuntimeError(f"{' '.join(command)} does not serve: {complaints.read()[-2000:].decode()}")
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _listens(port: int) -> bool:
    with socket.socket() as knocking:
        return knocking.connect_ex(("127.0.0.1", port)) == 0


def find_port() -> int:
    """A port of this machine that is free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _ask(port: int, headers: Mapping[str, str]) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", f"/{FEED}", headers=dict(headers))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def _fill(port: int, fields: Mapping[str, str]) -> dict[str, str]:
    """``fields`` with the validators in them as the server tells them."""
    given = {name: value for name, value in fields.items() if not name.startswith("If-")}
    told = _ask(port, given).headers
    return given | {name: told[value] for name, value in fields.items() if name.startswith("If-")}
