"""What any spider meets while it asks for pages: a signal to stop in the middle of it, and redirects that lead away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from scrapy.crawler import Crawler
from scrapy.http import Request as Question

from aggregator.config import Config, parse_config
from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from demo.messages import HTML, JSON, Request, Response
from demo.server import Server, serve
from spiders.crawl import Order, crawl
from spiders.own_host import LedAway, OwnHostMiddleware
from tests.conftest import CONFIG

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
RELEASE = {"ocid": "ocds-1", "id": "1", "date": "2026-11-20T00:00:00Z", "tag": ["tender"], "tender": {"title": "Uji"}}
FILE = 'family = "ocds"\noptions = { paging = "file" }'
GATEWAY = (
    'family = "satudata"\nyears = [2026]\n'
    'options = { api = "gateway", path = "tender/pengumuman", kode_klpd = "D228", token_env = "WARTA_TEST_TOKEN" }'
)


@dataclass
class Scripted:
    """A portal that answers what a test makes it: ``reply`` gets the request and its number."""

    reply: Callable[[Request, int], Response]
    prefix: str = "/api"
    asked: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        self.asked.append(request.address)
        return self.reply(request, len(self.asked))

    def advance(self, by: timedelta) -> None:
        """Knows no time."""


def write_config(server: Server, family: str) -> str:
    head = CONFIG.split("[[portal]]")[0]
    return f'{head}[[portal]]\nid = "uji"\nname = "Uji"\nurl = "{server.url}/api"\nkinds = ["tender"]\n{family}\n'


# A signal to stop ------------------------------------------------------------------------------------------


@contextmanager
def started(server: Server, family: str, folder: Path, *program: str) -> Iterator[subprocess.Popen[str]]:
    """`warta crawl` in a process of its own, which does not outlive the test."""
    config = folder / "warta.toml"
    config.write_text(write_config(server, family), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, *(program or ("-m", "warta")), "--config", str(config), "crawl", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WARTA_TEST_TOKEN": "made-up-token"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_broken_off(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The run ends within seconds, and says that it was told to."""
    told, _ = process.communicate(timeout=15)
    (run,) = json.loads(told)["portals"]
    assert (process.returncode, run["verdict"]) == (1, "failed")
    assert any(reason.startswith("stopped: ") for reason in run["reasons"])
    return cast("dict[str, Any]", run)


def make_rows(key: str) -> Callable[[Request, int], Response]:
    def answer(request: Request, number: int) -> Response:
        row = {key: number, "nama_paket": f"Paket {number}", "status_tender": "Aktif", "pagu": 1, "hps": 1}
        meta = {"has_more": True, "cursor": f"c{number}"}
        body = {"success": True, "data": [row | {"tahun_anggaran": 2026}], "meta": meta}
        return Response(json.dumps(body).encode(), "page", type=JSON)

    return answer


def tell_to_wait(request: Request, number: int) -> Response:
    return Response(b"slowly", "limited", 429, headers=(("Retry-After", "100"),))


@pytest.mark.parametrize(
    ("family", "reply", "requests"),
    [
        (GATEWAY, make_rows("kd_tender"), 20),
        (GATEWAY, make_rows("strange"), 20),  # whose rows cannot be read: that must not hide that the run was stopped
        (GATEWAY, tell_to_wait, 1),
        (FILE, tell_to_wait, 1),
    ],
    ids=["rows for ever", "unreadable rows for ever", "Retry-After", "a publisher's pause"],
)
def test_one_sigterm_ends_a_run(family: str, reply: Any, requests: int, tmp_path: Path) -> None:
    portal = Scripted(reply)
    with serve([portal]) as server, started(server, family, tmp_path) as process:
        end = time.monotonic() + 30
        while len(portal.asked) < requests:
            assert time.monotonic() < end, "the crawl sends no requests"
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        assert_broken_off(process)


_SIGNAL_AMID_SAVING = """
import os, signal, sys, time, aggregator.pipeline, warta

def take(intake, item, kept=aggregator.pipeline.Intake.take):
    kept(intake, item)
    if not sent:
        sent.append(True)
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.05)

sent = []
aggregator.pipeline.Intake.take = take
sys.exit(warta.main())
"""


def test_a_sigterm_while_something_is_saved_ends_the_run_and_keeps_it(tmp_path: Path) -> None:
    body = {"releases": [RELEASE | {"ocid": f"ocds-{number}"} for number in range(50)]}
    portal = Scripted(lambda request, number: Response(json.dumps(body).encode(), "file", type=JSON))
    with (
        serve([portal]) as server,
        started(server, FILE, tmp_path, "-c", _SIGNAL_AMID_SAVING) as process,
    ):
        run = assert_broken_off(process)
        config = parse_config(write_config(server, FILE), tmp_path / "warta.toml")
    kept = list(Repository(open_database(config.database_url)).find(Filter(), NOW, config.portal[0].zone))
    assert len(kept) == run["new"] > 0


# Redirects -------------------------------------------------------------------------------------------------


def crawl_once(config: Config, repository: Repository) -> Run:
    (run,) = crawl(config, config.portal, repository, Order(), now=NOW)
    return run


def redirect(status: int) -> Callable[[str], Response]:
    return lambda address: Response(b"", "redirect", status, headers=(("Location", address),))


def refresh(address: str) -> Response:
    return Response(f'<meta http-equiv="refresh" content="0; url={address}">'.encode(), "refresh", type=HTML)


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        (redirect(301), "leads to http://localhost:{port}/api/elsewhere, which is not the portal's"),
        (redirect(302), "leads to http://localhost:{port}/api/elsewhere, which is not the portal's"),
        (redirect(307), "leads to http://localhost:{port}/api/elsewhere, which is not the portal's"),
        (refresh, "no JSON"),
    ],
    ids=["301", "302", "307", "meta refresh"],
)
def test_what_another_host_answers_is_not_the_portals(
    lead: Callable[[str], Response], words: str, tmp_path: Path
) -> None:
    def reply(request: Request, number: int) -> Response:
        if request.path.endswith("elsewhere"):
            return Response(json.dumps({"releases": [RELEASE]}).encode(), "elsewhere", type=JSON)
        return lead(f"http://localhost:{port}/api/elsewhere")

    with serve([Scripted(reply)]) as server:
        port = server.url.rpartition(":")[2]
        config = parse_config(write_config(server, FILE), tmp_path / "warta.toml")
        repository = Repository(open_database(config.database_url))
        run = crawl_once(config, repository)
        assert run.verdict is Verdict.FAILED
        assert words.format(port=port) in run.reasons[0]
        assert run.seen == server.stats.pages["elsewhere"] == 0
        assert server.stats.pages["robots"] == 1


def test_a_redirect_on_the_same_host_is_followed(tmp_path: Path) -> None:
    def reply(request: Request, number: int) -> Response:
        if request.path.endswith("moved"):
            return Response(json.dumps({"releases": [RELEASE]}).encode(), "moved", type=JSON)
        return redirect(302)("/api/moved")

    with serve([Scripted(reply)]) as server:
        config = parse_config(write_config(server, FILE), tmp_path / "warta.toml")
        run = crawl_once(config, Repository(open_database(config.database_url)))
    assert (run.verdict, run.new) == (Verdict.OK, 1)


@pytest.mark.parametrize(
    ("url", "come_from", "allowed"),
    [
        ("http://a.example/x", (), True),
        ("https://A.example/x", ("http://a.example/",), True),
        ("https://a.example:8443/x", ("http://a.example/",), False),
        ("http://a.example:6379/x", (), False),  # what runs behind another port is another's
        ("http://a.example/x", ("https://a.example/",), False),
        ("http://b.example/x", (), False),  # a link on the portal's page
        ("http://b.a.example/x", ("http://a.example/",), False),
        ("http://a.example@b.example/x", ("http://a.example/",), False),
    ],
)
def test_only_the_hosts_of_a_spider_are_asked(url: str, come_from: tuple[str, ...], allowed: bool) -> None:
    middleware = OwnHostMiddleware(
        cast("Crawler", SimpleNamespace(spider=SimpleNamespace(own_places={("a.example", 80)})))
    )
    question = Question(url, meta={"redirect_urls": list(come_from)}, dont_filter=True)
    if allowed:
        middleware.process_request(question)
    else:
        with pytest.raises(LedAway, match="is not the portal's"):
            middleware.process_request(question)
