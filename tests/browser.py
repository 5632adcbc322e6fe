"""A real browser for the tests: headless Chromium that tells every complaint, and a published town on two hosts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, ViewportSize, sync_playwright
from starlette.applications import Starlette

from aggregator.config import Config, parse_config
from aggregator.database import open_database
from aggregator.models import Award, Category, Contract, Kind, Method, Milestone, Money, Reading, Status, Sweep, Tender
from aggregator.repository import Repository
from aggregator.verdicts import Run, Verdict
from feeds.app import make_app
from feeds.publish import publish
from tests.conftest import need
from tests.feed_samples import TENDER

WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
NARROWEST: ViewportSize = {"width": 320, "height": 700}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What WCAG 2.2 AA asks, as axe names it; pages of other hosts in frames and their styles are not axe's to read.
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
    "iframes": False,
    "preload": False,
}

ROADS = "Dinas Pekerjaan Umum, Penataan Ruang, Perumahan dan Kawasan Permukiman"
UNITS = (ROADS, "Dinas Kesehatan", "Dinas Pendidikan dan Kebudayaan")
WORKS = (
    ("Pemeliharaan Berkala Jalan Danau Toba", Category.WORKS),
    ("Pengadaan Obat dan Bahan Medis Habis Pakai Puskesmas", Category.GOODS),
    ("Rehabilitasi Gedung Sekolah Dasar <b>Negeri</b> & Pagar", Category.WORKS),
    ("Jasa Konsultansi Pengawasan Jalan Lingkungan", Category.CONSULTING),
)
HEAD = """\
[publisher]
name = "BLP Kota Malang"
url = "{url}"
authority = "blp.example.go.id"
since = "2026-01-01"
place = "Kota Malang"
contact = "https://blp.example.go.id/kontak"

[publish]
english = true

[[portal]]
id = "malangkota"
family = "spse"
name = "LPSE Kota Malang"
url = "https://spse.example.go.id/malangkota"
"""


@dataclass(frozen=True)
class Town:
    """A published tree: ``site`` is its own server's address, ``files`` that of a plain host of the same files."""

    config: Config
    repository: Repository
    site: str
    files: str


@dataclass
class Watch:
    """What a browser complains of: console, scripts, failed requests, requests beyond the origins allowed."""

    origins: set[str]
    forgiven: set[str] = field(default_factory=set)  # complaints that hold one of these texts are expected
    complaints: list[str] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", self._see)
        page.on("requestfailed", self._miss)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"console: {message.text} ({message.location['url']})")

    def _see(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and f"{parts.scheme}://{parts.netloc}" not in self.origins:
            self.complaints.append(f"outside: {request.url}")

    def _miss(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before it had come
            self.complaints.append(f"failed: {request.url} {request.failure}")

    def check(self) -> None:
        """AssertionError where there is a complaint that was not expected."""
        unexpected = [each for each in self.complaints if not any(text in each for text in self.forgiven)]
        assert not unexpected, "\n".join(unexpected)


@contextmanager
def open_town(folder: Path) -> Iterator[Town]:
    """A town's packages of every sort, published and served until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        site = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        config = parse_config(HEAD.replace("{url}", site), folder / "warta.toml")
        repository = Repository(open_database(config.database_url))
        now = datetime.now(UTC).replace(microsecond=0)
        fill(repository, now)
        publish(config, repository, now)
        with serve(make_app(config, repository), listener), host(config.public_folder) as files:
            yield Town(config, repository, site, files)


def fill(repository: Repository, now: datetime) -> None:
    """44 open packages, one that is complete with a contract, one cancelled; some of them moved since."""
    tenders = [make_open(number, now) for number in range(44)]
    complete, cancelled = make_complete(now), replace(make_open(98, now), cancellation_reason=None)
    repository.save([Reading(tender=tender) for tender in (*tenders, complete, cancelled)], now - timedelta(days=3))
    moved = [replace(tender, deadline=tender.deadline + timedelta(days=2)) for tender in tenders[:5] if tender.deadline]
    ended = replace(cancelled, status=Status.CANCELLED, stage="Batal", cancellation_reason="Anggaran dialihkan")
    repository.save([Reading(tender=tender) for tender in (*moved, ended)], now - timedelta(hours=1))
    run = Run(portal="malangkota", sweep=Sweep.FULL, started=now, finished=now, verdict=Verdict.OK, seen=46)
    repository.save_run(run)


def make_open(number: int, now: datetime) -> Tender:
    """Every unit, category and a wide range of values among them; every third is a road of the first unit."""
    title, category = WORKS[0] if number % 3 == 0 else WORKS[number % 4]
    deadline = now + timedelta(days=3 + number % 12, hours=1)
    return replace(
        TENDER,
        key=f"{10_000 + number}",
        kind=Kind.NON_TENDER if number % 2 else Kind.TENDER,
        title=f"{title} Tahap {number + 1}",
        url=f"https://spse.example.go.id/malangkota/lelang/{10_000 + number}/pengumumanlelang",
        procuring_entity=UNITS[number % 3],
        category=category,
        category_detail=None,
        method=Method.DIRECT if number % 2 else Method.OPEN,
        method_detail="Pengadaan Langsung" if number % 2 else "Tender",
        value=Money(Decimal(150_000_000 + number * 40_000_000)),
        published=now - timedelta(days=5),
        deadline=deadline,
        milestones=(
            Milestone(title="Pengumuman", starts=now - timedelta(days=5), ends=deadline),
            Milestone(title="Upload Dokumen Penawaran", starts=now - timedelta(days=4), ends=deadline, changes=1),
            Milestone(title="Penandatanganan Kontrak", starts=None, ends=None),
        ),
    )


def make_complete(now: datetime) -> Tender:
    price = Money(Decimal("640000000.00"))
    return replace(
        make_open(99, now),
        status=Status.COMPLETE,
        stage="Tender Sudah Selesai",
        value=Money(Decimal("700000000.00")),
        deadline=now - timedelta(days=20),
        awards=(Award(supplier="CV Karya Jaya", amount=price, date=now - timedelta(days=9)),),
        contracts=(Contract(supplier="CV Karya Jaya", amount=price, date=now - timedelta(days=2)),),
    )


@contextmanager
def serve(app: Starlette, listener: socket.socket) -> Iterator[None]:
    """What `warta serve` does, on ``listener`` until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """A plain host of files."""

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def host(folder: Path) -> Iterator[str]:
    """The address of a plain host of the files in ``folder``, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Chromium until the block ends; so long, nothing else can have an event loop in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need("chromium"), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Reader:
    """Somebody with a browser: every address is opened in a context of its own."""

    browser: Browser
    watch: Watch
    contexts: list[BrowserContext] = field(default_factory=list)

    def open(self, address: str, **options: Any) -> Page:
        """``open(address, viewport=NARROW, java_script_enabled=False)``: options of Playwright's contexts."""
        habits = {"viewport": WIDE, "locale": "id-ID", "timezone_id": "Asia/Jakarta"}
        context = self.browser.new_context(**habits | options)
        context.set_default_timeout(10_000)
        self.contexts.append(context)
        page = context.new_page()
        self.watch.attach(page)
        page.goto(address)
        return page

    def leave(self) -> None:
        """Closes every page."""
        while self.contexts:
            self.contexts.pop().close()


@contextmanager
def watched(browser: Browser, *sites: str) -> Iterator[Reader]:
    """A reader that may ask these ``sites`` only. AssertionError at the end where the browser had a complaint."""
    reader = Reader(browser, Watch({site.rstrip("/") for site in sites}))
    yield reader
    reader.leave()
    reader.watch.check()


def find_violations(page: Page) -> list[str]:
    """What axe finds on the page as it is now: rule, and the elements that break it."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{each['id']}: {[node['html'][:160] for node in each['nodes']]}" for each in found]
