"""What a monitor asks the server: /healthz, /livez, /metrics; quick and true while the database is locked or gone."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.engine import Engine
from starlette.types import ASGIApp

from aggregator.config import Config
from aggregator.database import open_database
from aggregator.health import ChannelState, tell_health
from aggregator.leases import name_portal
from aggregator.models import Reading
from aggregator.queue import Queue
from aggregator.repository import Repository
from aggregator.verdicts import Verdict
from feeds.app import make_app
from feeds.publish import publish
from feeds.serving.health import REUSE, Found, Looking
from feeds.serving.metrics import render_metrics
from tests.feed_samples import READ, TENDER
from tests.test_app import ask
from tests.test_health import GOOD, make_config, make_run

NOW = READ + timedelta(minutes=10)
PATHS = ("/healthz", "/livez", "/metrics")
LABELS = {"portal", "channel", "verdict", "state", "code"}


class Clock:
    """A steady clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return make_config("malangkota", "batukota").model_copy(update={"folder": tmp_path})


@pytest.fixture
def repository(engine: Engine) -> Repository:
    """Two portals read, one tender known."""
    found = Repository(engine)
    found.save([Reading(tender=TENDER)], READ)
    earlier = make_run("malangkota", at=READ - timedelta(minutes=15))
    for run in (earlier, make_run("batukota"), make_run("malangkota")):
        found.save_run(run)
    return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(config: Config, repository: Repository, clock: Clock) -> ASGIApp:
    return make_app(config, repository, now=lambda: NOW, clock=clock)


def read_metrics(app: ASGIApp) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample of /metrics by its name and the values of its labels."""
    answer = ask(app, "/metrics")
    assert answer.status == 200
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def test_a_healthy_server_says_so(app: ASGIApp, config: Config, repository: Repository) -> None:
    publish(config, repository, NOW)
    answer = ask(app, "/healthz")
    told = json.loads(answer.body)
    assert (answer.status, told["healthy"], told["why"]) == (200, True, [])
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert [(each["portal"], each["age"]) for each in told["portals"]] == [("malangkota", 600), ("batukota", 600)]
    assert told["database"]["tenders"] == 1
    assert told["published"]["files"] > 20
    written = [path for path in config.public_folder.rglob("*") if path.is_file() and path.name[0] != "."]
    assert told["published"]["files"] == len(
        [path for path in written if not (path.suffix == ".gz" and path.with_suffix("") in written)]
    )
    assert told["published"]["bytes"] == sum(path.stat().st_size for path in written)


def test_what_is_wrong_makes_503_with_the_reason_and_names_no_place(app: ASGIApp, config: Config) -> None:
    answer = ask(app, "/healthz")
    told = json.loads(answer.body)
    assert (answer.status, told["why"]) == (503, ["nothing is published yet. Try: warta publish"])
    assert str(config.folder) not in answer.body.decode()
    assert "sqlite:" not in answer.body.decode()
    assert ask(app, "/livez").status == 200


@pytest.mark.parametrize("path", PATHS)
def test_methods(app: ASGIApp, path: str) -> None:
    got, head = ask(app, path), ask(app, path, "HEAD")
    assert (head.status, head.body) == (got.status, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        answer = ask(app, path, method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_polling_asks_the_database_once_in_a_while(
    app: ASGIApp, repository: Repository, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Counter[str]()
    look = repository.find_last_runs
    monkeypatch.setattr(repository, "find_last_runs", lambda: looks.update("x") or look())
    for path in (*PATHS, *PATHS):
        ask(app, path)
    assert looks.total() == 1
    clock.now += REUSE + 0.1
    ask(app, "/metrics")
    assert looks.total() == 2


def test_metrics_tell_what_status_tells(app: ASGIApp, config: Config, repository: Repository, clock: Clock) -> None:
    publish(config, repository, NOW)
    ask(app, "/nothing-here")
    found = read_metrics(app)
    assert found["warta_healthy", ()] == 1
    assert found["warta_database_up", ()] == 1
    assert (found["warta_tenders", ()], found["warta_releases", ()]) == (1, 1)
    assert found["warta_database_size_bytes", ()] > 50_000
    assert found["warta_disk_free_bytes", ()] > 0
    assert found["warta_published_timestamp_seconds", ()] > 0
    assert found["warta_portal_verdict", ("malangkota", "ok")] == 1
    assert found["warta_portal_verdict", ("malangkota", "failed")] == 0
    assert found["warta_portal_freshness_seconds", ("malangkota",)] == 600
    assert found["warta_portal_last_good_run_timestamp_seconds", ("batukota",)] == READ.timestamp()
    assert found["warta_runs_total", ("malangkota", "ok")] == 2
    assert found["warta_run_duration_seconds_sum", ("malangkota",)] == 8
    assert found["warta_run_requests_total", ("batukota",)] == 3
    assert found["warta_http_responses_total", ("404",)] == 1
    repository.save_run(make_run("malangkota", Verdict.FAILED))
    clock.now += REUSE + 0.1
    assert read_metrics(app)["warta_runs_total", ("malangkota", "failed")] == 1


def test_names_and_labels_are_as_prometheus_wants_them() -> None:
    facts = replace(GOOD, queue=Queue(jobs={"waiting": 2, "failed": 1}, oldest_waiting=READ, workers=3), tree_size=5)
    body, kind = render_metrics(tell_health(make_config("malangkota"), facts, NOW), [], {200: 7})
    assert kind.startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    ours = {name: family for name, family in families.items() if name.startswith("warta_")}
    assert len(ours) > 20
    assert "process_resident_memory_bytes" in families
    for name, family in ours.items():
        assert family.documentation, name
        assert family.type != "unknown", name
        assert {label for sample in family.samples for label in sample.labels} <= LABELS
    jobs = {sample.labels["state"]: sample.value for sample in ours["warta_queue_jobs"].samples}
    assert jobs == {"waiting": 2, "running": 0, "failed": 1}
    assert ours["warta_queue_oldest_waiting_seconds"].samples[0].value == 600
    assert ours["warta_workers"].samples[0].value == 3


def test_a_quiet_night_is_no_alarm() -> None:
    """What docs/operations.md has Prometheus watch: in quiet hours the age grows, and nothing is late."""
    config = make_config("malangkota", more='quiet = "10:00-16:00"\n')
    body, _ = render_metrics(tell_health(config, GOOD, READ + timedelta(hours=6)), [], {})
    found = {sample.name: sample.value for family in read_families(body) for sample in family.samples}
    assert found["warta_portal_freshness_seconds"] > 4 * found["warta_portal_every_seconds"]
    assert found["warta_portal_healthy"] == 1


def test_what_is_under_way_and_who_cannot_be_told_are_numbers() -> None:
    channels = [ChannelState(id="telegram", failures=5), ChannelState(id="surel")]
    facts = replace(GOOD, held={name_portal("malangkota"): READ}, channels=channels)
    body, _ = render_metrics(tell_health(make_config("malangkota", "batukota"), facts, NOW), [], {})
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in read_families(body)
        for sample in family.samples
    }
    assert found["warta_portal_reading", "malangkota"] == 1
    assert found["warta_portal_reading", "batukota"] == 0
    assert found["warta_channel_failures", "telegram"] == 5
    assert found["warta_channel_failures", "surel"] == 0
    assert found["warta_healthy",] == 0


def read_families(body: bytes) -> list[Metric]:
    return list(text_string_to_metric_families(body.decode()))


def test_openmetrics_is_told_to_who_asks_for_it() -> None:
    health = tell_health(make_config("malangkota"), GOOD, NOW)
    body, kind = render_metrics(health, [], {}, "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    families = parse_openmetrics(body.decode())  # type: ignore[no-untyped-call]
    assert "warta_healthy" in {family.name for family in families}


def test_a_database_that_is_gone_is_told_and_breaks_nothing(
    config: Config, repository: Repository, clock: Clock, engine: Engine
) -> None:
    nobody = {"sqlite": "sqlite:////nowhere/at/all/warta.db", "postgresql": "postgresql+psycopg://127.0.0.1:1/x"}
    broken = Repository(open_database("sqlite://"))
    broken._engine = sa.create_engine(nobody[engine.dialect.name])
    app = make_app(config, broken, now=lambda: NOW, clock=clock)
    answer = ask(app, "/healthz")
    told = json.loads(answer.body)
    assert answer.status == 503
    assert told["why"][0] == "the database cannot be read. Is its server running, and its disk there?"
    assert "nowhere" not in answer.body.decode()
    assert "127.0.0.1" not in answer.body.decode()
    found = read_metrics(app)
    assert (found["warta_database_up", ()], found["warta_healthy", ()]) == (0, 0)
    assert "warta_tenders" not in {name for name, _ in found}
    assert ask(app, "/livez").status == 200


def test_a_database_file_that_was_taken_away_is_told(config: Config, tmp_path: Path) -> None:
    repository = Repository(open_database(f"sqlite:///{tmp_path}/x.db"))
    app = make_app(config, repository, now=lambda: NOW)
    (tmp_path / "x.db").unlink()
    assert json.loads(ask(app, "/healthz").body)["why"][0].startswith("the database cannot be read")


def find(looking: Looking) -> Found | None:
    return asyncio.run(looking.find())


def test_who_polls_does_not_wait_for_a_database_that_hangs(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("feeds.serving.health.PATIENCE", 0.05)
    found = Found(tell_health(make_config("malangkota"), GOOD, NOW), [])
    released, begun = threading.Event(), Counter[str]()

    def hang() -> Found:
        begun.update("x")
        released.wait(10)
        return found

    async def poll() -> list[Found | None]:
        looking = Looking(hang, clock)
        first = [await looking.find() for _ in range(3)]  # one look under way, however many ask
        released.set()
        await asyncio.sleep(0.05)
        return [*first, await looking.find()]

    assert asyncio.run(poll()) == [None, None, None, found]
    assert begun.total() == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_look_that_breaks_is_logged_and_tried_again(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    found = Found(tell_health(make_config("malangkota"), GOOD, NOW), [])
    looks: list[Callable[[], Found]] = [lambda: found, lambda: 1 / 0]  # type: ignore[list-item,return-value]
    looking = Looking(lambda: looks.pop()(), clock)
    assert find(looking) is None
    assert "health cannot be told: division by zero" in caplog.text
    assert find(looking) == found
