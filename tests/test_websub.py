"""WebSub: a real hub and a real subscriber on loopback, and what becomes of pings when the hub does not answer."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from flask import Flask
from flask_websub.hub import Hub, SQLite3HubStorage
from flask_websub.subscriber import (
    SQLite3SubscriberStorage,
    SQLite3TempSubscriberStorage,
    Subscriber,
    discover,
)
from starlette.types import ASGIApp
from uvicorn import Config as ServerConfig
from uvicorn import Server
from werkzeug.serving import make_server

from aggregator.config import Config
from aggregator.models import Reading, Tender
from aggregator.repository import Repository
from feeds import pinging
from feeds.app import make_app
from feeds.drafts import File
from feeds.publish import publish
from feeds.tree import lock_tree, open_tree
from feeds.websub import PATIENCE, PINGS, is_topic, note_changes, ping_apart, tell_hub
from tests.feed_samples import READ, TENDER, make_config
from tests.test_app import REPOSITORY, ask, put

NOW = READ + timedelta(minutes=5)
FEED = "feeds/semua.rss"


# A real hub --------------------------------------------------------------------------------------------


class Tasks:
    """What flask-websub asks of celery: each task runs at once, and a failed one is not tried again."""

    request = type("Request", (), {"retries": 0})

    def task(self, *, bind: bool = False, **_: object) -> Callable[..., Any]:
        def wrap(run: Any) -> Any:
            run.delay = (lambda *given: run(self, *given)) if bind else run
            return run

        return wrap

    def retry(self, **_: object) -> None:
        raise AssertionError("the subscriber did not take what the hub sent")


@contextmanager
def serve_flask(application: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_tree(make: Callable[[str], ASGIApp]) -> Iterator[None]:
    """The server that ``make`` makes for its own address."""
    config = ServerConfig(lambda: None, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    listener = config.bind_socket()
    config = ServerConfig(make(f"http://127.0.0.1:{listener.getsockname()[1]}/"), log_level="error", lifespan="off")
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_a_subscriber_at_a_real_hub_gets_the_feed_when_it_changes(
    config: Config, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    hub = Hub(SQLite3HubStorage(tmp_path / "hub.db"), Tasks(), PUBLISH_SUPPORTED=True)
    places = (SQLite3SubscriberStorage(tmp_path / "kept.db"), SQLite3TempSubscriberStorage(tmp_path / "asked.db"))
    subscriber = Subscriber(*places)
    received: list[tuple[str, bytes]] = []
    subscriber.add_listener(lambda topic, _, body: received.append((topic, body)))
    application = Flask("hub")
    application.config["PUBLISH_SUPPORTED"] = True
    application.register_blueprint(hub.build_blueprint(url_prefix="/hub"))
    application.register_blueprint(subscriber.build_blueprint(url_prefix="/callbacks"))
    made: list[Config] = []

    def make(url: str) -> ASGIApp:
        made.append(with_hub(config, f"{hub_url}hub", url))
        return make_app(made[0], repository)

    with serve_flask(application) as hub_url, serve_tree(make):
        told = made[0]
        save(repository, TENDER)
        publish(told, repository, NOW)
        topic = f"{told.publisher.url}feeds/perubahan.atom"
        assert discover(topic) == {"hub_url": told.publish.hub, "topic_url": topic}
        with application.test_request_context(base_url=hub_url):
            subscriber.subscribe(topic_url=topic, hub_url=told.publish.hub)
        publish(told, repository, NOW)
        assert received == []  # nothing has changed
        save(repository, replace(TENDER, title="Judul baru"), minutes=1)
        publish(told, repository, NOW + timedelta(minutes=1))
    assert received == [(topic, (told.public_folder / "feeds/perubahan.atom").read_bytes())]
    assert b"Judul baru" in received[0][1]
    assert not (told.public_folder / PINGS).exists()


def with_hub(config: Config, hub: str, url: str | None = None) -> Config:
    tables = {"publish": config.publish.model_copy(update={"hub": hub})}
    if url:
        tables["publisher"] = config.publisher.model_copy(update={"url": url})  # type: ignore[assignment]
    return config.model_copy(update=tables)


def save(repository: Repository, tender: Tender, minutes: float = 0) -> None:
    repository.save([Reading(tender=tender)], READ + timedelta(minutes=minutes))


# A hub that does not answer as it should ---------------------------------------------------------------


@dataclass
class StandIn:
    """A hub that answers with ``statuses``, one after another and the last one for ever, and notes what it is told."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [204])
    told: list[dict[str, list[str]]] = field(default_factory=list)
    agents: list[str | None] = field(default_factory=list)

    @property
    def topics(self) -> list[str]:
        return [form["hub.topic"][0].removeprefix("https://blp.example.go.id/umpan/") for form in self.told]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    hub = StandIn()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hub.agents.append(self.headers["User-Agent"])
            hub.told.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(hub.statuses.pop(0) if len(hub.statuses) > 1 else hub.statuses[0])
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])  # seconds between looks for the end
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}/"
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Clock:
    """Time that passes only in pauses."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Desk:
    """A tree whose publishes tell the hub."""

    root: Path
    config: Config
    clock: Clock = field(default_factory=Clock)

    def publish(self, *, die: bool = False, **bodies: str) -> None:
        """Publishes these: ``a_b="…"`` is feeds/a.b; ``die`` before the hub is told."""
        with open_tree(self.root) as tree:
            for name, body in bodies.items():
                path = f"feeds/{name.replace('_', '.')}"
                tree.save(path, body, {path: File(body.encode(), NOW)}, {})
            note_changes(tree, self.config)
        if not die:
            tell_hub(self.root, self.config, ping=self.ping)

    def ping(self, hub: str, agent: str, topics: Sequence[str]) -> tuple[list[str], str]:
        """As the process does, but here and on our clock."""
        pings = pinging.Round(hub, agent, PATIENCE, self.clock.sleep, self.clock.read)
        return list(pings.tell(topics)), pings.why

    @property
    def left(self) -> list[str]:
        return (self.root / PINGS).read_text().split() if (self.root / PINGS).exists() else []


@pytest.fixture
def desk(tmp_path: Path, stand_in: StandIn) -> Desk:
    return Desk(tmp_path / "public", make_config(hub=stand_in.url))


def test_the_hub_is_told_of_what_changed_and_of_nothing_else(desk: Desk, stand_in: StandIn) -> None:
    desk.publish(a_rss="1", a_atom="1", b_json="1", b_ics="1", b_html="1")
    assert stand_in.topics == ["feeds/a.atom", "feeds/a.rss", "feeds/b.ics", "feeds/b.json"]
    assert stand_in.told[0] == {
        "hub.mode": ["publish"],
        "hub.url": ["https://blp.example.go.id/umpan/feeds/a.atom"],
        "hub.topic": ["https://blp.example.go.id/umpan/feeds/a.atom"],
    }
    assert stand_in.agents[0] == desk.config.user_agent
    desk.publish(a_rss="1", a_atom="2", b_json="1", b_ics="1", b_html="2")
    assert stand_in.topics[4:] == ["feeds/a.atom"]
    assert desk.left == []


def test_archives_are_no_topics() -> None:
    assert [
        is_topic(path) for path in ("feeds/a.atom", "feeds/a/archive/2026-10.atom", "feeds.opml", "status.json")
    ] == [
        True,
        False,
        False,
        False,
    ]


def test_a_busy_hub_is_asked_again(desk: Desk, stand_in: StandIn) -> None:
    stand_in.statuses = [503, 429, 204]
    desk.publish(a_rss="1")
    assert (stand_in.topics, desk.left) == (["feeds/a.rss"] * 3, [])
    assert desk.clock.slept == list(pinging.PAUSES[1:])


def test_what_a_hub_that_is_down_was_not_told_is_told_after_the_next_publish(
    desk: Desk, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in.statuses = [500]
    desk.publish(a_rss="1", b_rss="1")
    assert stand_in.topics == ["feeds/a.rss"] * len(pinging.PAUSES)  # and b is not tried at all
    assert desk.left == ["feeds/a.rss", "feeds/b.rss"]
    assert "was not told of 2 changed feeds; the next publish tries again: it answered 500" in caplog.text
    stand_in.statuses, stand_in.told = [204], []
    desk.publish(a_rss="1", b_rss="1")
    assert (stand_in.topics, desk.left) == (["feeds/a.rss", "feeds/b.rss"], [])


@pytest.mark.parametrize("status", [302, 400, 404])
def test_a_refusal_stops_no_other_ping_and_redirects_lead_nowhere(desk: Desk, stand_in: StandIn, status: int) -> None:
    stand_in.statuses = [status, 204]
    desk.publish(a_rss="1", b_rss="1")
    assert (stand_in.topics, desk.left) == (["feeds/a.rss", "feeds/b.rss"], ["feeds/a.rss"])


def test_nobody_listens(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.config = make_config(hub="http://127.0.0.1:9/")
    desk.publish(a_rss="1")
    assert desk.left == ["feeds/a.rss"]
    assert "127.0.0.1" in caplog.text


def test_a_slow_hub_costs_a_publish_only_some_seconds(
    desk: Desk, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = requests.Session.post

    def post_slowly(self: requests.Session, *given: Any, timeout: float, **options: Any) -> requests.Response:
        assert timeout <= pinging.TIMEOUT
        desk.clock.now += timeout
        return post(self, *given, **options)

    monkeypatch.setattr(requests.Session, "post", post_slowly)
    bodies: dict[str, Any] = {f"feed{number}_rss": "1" for number in range(20)}
    desk.publish(**bodies)
    assert desk.clock.now <= PATIENCE
    assert 0 < len(stand_in.told) < 20
    assert len(desk.left) == 20 - len(stand_in.told)


Answer = Callable[[socket.socket, threading.Event], None]


@contextmanager
def listen(answer: Answer) -> Iterator[str]:
    """The address of a hub that does ``answer`` to whoever connects, until the event says that all is over."""
    server, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve() -> None:
        while not over.is_set():
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                answer(connection, over)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finally:
        over.set()
        socket.create_connection(server.getsockname()).close()
        thread.join()
        server.close()


def drip(start: bytes, piece: bytes) -> Answer:
    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(0.02):
            connection.sendall(piece)

    return answer


TOOK = b"HTTP/1.1 202 Accepted\r\n"


@pytest.mark.parametrize(
    "answer", [drip(TOOK, b"X"), drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")], ids=["headers", "100 Continue"]
)
def test_a_hub_that_never_comes_to_an_end_is_left(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("feeds.websub.PATIENCE", 0.5)
    monkeypatch.setattr("feeds.websub.START", 1.0)
    start = time.monotonic()
    with listen(answer) as hub:
        assert ping_apart(hub, "agent", ["https://a.example/feeds/a.rss"]) == ([], "no end after 1.5 s")
    assert time.monotonic() - start < 10


def test_no_body_is_read_and_no_broken_address_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    packed = gzip.compress(bytes(10_000_000))
    bomb = TOOK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    answers: list[Answer] = [
        lambda connection, _: connection.sendall(bomb + packed),
        drip(TOOK + b"Content-Length: 1000\r\n\r\n", b"x"),
        lambda connection, _: connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://[/\r\n\r\n"),
        lambda connection, _: connection.sendall(TOOK + b"Content-Length: abc\r\n\r\nxx"),
    ]
    left = iter(answers)
    with listen(lambda connection, over: next(left, answers[0])(connection, over)) as hub:
        told, why = ping_apart(hub, "agent", ["a", "b", "c", "d"])
    assert (told, why) == (["a", "b", "d"], "it answered 302")


def test_the_tree_is_free_while_the_hub_is_told_and_what_changes_meanwhile_is_told_again(desk: Desk) -> None:
    desk.publish(die=True, a_rss="1", b_rss="1")

    def ping(_: str, __: str, topics: Sequence[str]) -> tuple[Sequence[str], str]:
        desk.publish(die=True, a_rss="1", b_rss="2")
        with lock_tree(desk.root):
            return topics, ""

    tell_hub(desk.root, desk.config, ping=ping)
    assert desk.left == ["feeds/b.rss"]


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff\xfe junk",
        bytes(40),
        b"/etc/passwd\n../../x\nfeeds/none.rss\nfeeds/\xff.rss\n",
        b"feeds/%s.rss\n" % (b"x" * 300),
    ],
)
def test_junk_among_the_pings_is_dropped(desk: Desk, stand_in: StandIn, junk: bytes) -> None:
    desk.publish(a_rss="1")
    stand_in.told.clear()
    (desk.root / PINGS).write_bytes(junk + b"\nfeeds/a.rss\n")
    desk.publish(die=True, a_rss="1", b_rss="1")
    assert desk.left == ["feeds/a.rss", "feeds/b.rss"]
    (desk.root / PINGS).write_bytes(junk)
    desk.publish(a_rss="1", b_rss="1")
    assert (desk.left, stand_in.told) == ([], [])


def test_a_crash_forgets_no_ping(desk: Desk, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.publish(a_rss="1", b_rss="1")
    stand_in.told.clear()
    desk.publish(die=True, a_rss="2", b_rss="1")
    monkeypatch.setattr("tests.test_websub.note_changes", dying)
    with pytest.raises(KeyboardInterrupt):
        desk.publish(a_rss="2", b_rss="2")  # written, but not yet noted
    monkeypatch.undo()
    assert stand_in.told == []
    desk.publish(a_rss="2", b_rss="2")
    assert stand_in.topics == ["feeds/a.rss", "feeds/b.rss"]


def dying(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_feed_that_is_gone_is_told_of_no_more(desk: Desk, stand_in: StandIn) -> None:
    desk.publish(die=True, a_rss="1", b_rss="1")
    desk.publish(b_rss="1")
    assert (stand_in.topics, desk.left) == (["feeds/b.rss"], [])


def test_without_a_hub_nothing_is_kept_or_told(desk: Desk, stand_in: StandIn) -> None:
    desk.config = make_config()
    desk.publish(a_rss="1")
    assert (stand_in.told, desk.left) == ([], [])


# Discovery ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["rss", "atom", "json", "ics"])
def test_hub_and_topic_are_told_in_the_header(tmp_path: Path, method: str, form: str) -> None:
    put(tmp_path, f"feeds/semua.{form}")
    app = make_app(make_config(hub="https://hub.example.org/"), REPOSITORY, tmp_path)
    full = ask(app, f"/feeds/semua.{form}", method)
    held = ask(app, f"/feeds/semua.{form}", method, if_none_match=full.headers["etag"])
    assert held.status == 304
    self = f"https://blp.example.go.id/umpan/feeds/semua.{form}"
    assert (
        full.headers["link"] == held.headers["link"] == f'<https://hub.example.org/>; rel="hub", <{self}>; rel="self"'
    )


def test_what_is_no_topic_tells_no_hub_nor_does_anything_without_one(tmp_path: Path) -> None:
    paths = ("feeds/semua.html", "feeds/semua/archive/2026-10.atom", "feeds.opml", "status.json")
    for path in (*paths, FEED):
        put(tmp_path, path)
    app = make_app(make_config(hub="https://hub.example.org/"), REPOSITORY, tmp_path)
    assert not [path for path in paths if "link" in ask(app, f"/{path}").headers]
    assert "link" not in ask(make_app(make_config(), REPOSITORY, tmp_path), f"/{FEED}").headers
