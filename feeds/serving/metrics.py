"""Health as numbers for Prometheus. Labels are portals, channels, verdicts, states, codes: no words of strangers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aggregator.health import Health, PortalHealth
from aggregator.queue import FAILED, RUNNING, WAITING
from aggregator.sizes import RunSum
from aggregator.verdicts import Run, Verdict

_COUNTED = {
    "requests": "Requests sent to portals, retries too",
    "errors": "Requests to portals that failed after all retries",
    "new": "Tenders seen for the first time",
    "changed": "Tenders whose content changed",
    "withdrawn": "Tenders that vanished from their lists",
}


def _timestamp(run: Run | None) -> float | None:
    return run.finished.timestamp() if run else None


def _seconds(span: timedelta | None) -> float | None:
    return span.total_seconds() if span is not None else None


# Numbers of each portal: None where it was never read.
_OF_PORTALS: Sequence[tuple[str, str, Callable[[PortalHealth], float | None]]] = (
    ("warta_portal_healthy", "1 where it was read well in time, quiet hours not counted", lambda told: told.healthy),
    ("warta_portal_reading", "1 while a run reads it", lambda told: told.reading is not None),
    ("warta_portal_contract_broken", "1 where its last run found its shape changed", lambda told: bool(told.broken)),
    ("warta_portal_every_seconds", "every of warta.toml", lambda told: told.portal.every.total_seconds()),
    ("warta_portal_freshness_seconds", "Since it was read well, quiet hours counted", lambda told: _seconds(told.age)),
    ("warta_portal_last_run_timestamp_seconds", "When its last run ended", lambda told: _timestamp(told.last)),
    (
        "warta_portal_last_good_run_timestamp_seconds",
        "When its last run ended that was ok or partial",
        lambda told: _timestamp(told.good),
    ),
)


class CountAnswers:
    """An ASGI app around another one: counts its answers by status."""

    def __init__(self, app: ASGIApp, answers: Counter[int]) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answers[message["status"]] += 1
            await send(message)

        await self._app(scope, receive, watch)


def render_metrics(
    health: Health | None, sums: Iterable[RunSum], answers: Mapping[int, int], accept: str = ""
) -> tuple[bytes, str]:
    """The text that Prometheus reads, in the form that its Accept field likes best, and the type of that.

    Without ``health`` the database did not answer in time. ``answers`` are those of this server, by status.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Told(health, list(sums), answers))
    render, kind = choose_encoder(accept)
    return render(registry), kind


class _Told(Collector):
    def __init__(self, health: Health | None, sums: list[RunSum], answers: Mapping[int, int]) -> None:
        self._health = health
        self._sums = sums
        self._answers = answers

    def collect(self) -> Iterator[Metric]:
        health = self._health
        yield _gauge("warta_healthy", "1 where `warta status` would say so", health is not None and health.healthy)
        answers = CounterMetricFamily("warta_http_responses", "Answers of this server", labels=["code"])
        for status, number in sorted(dict(self._answers).items()):
            answers.add_metric([str(status)], number)
        yield answers
        is_up = health is not None and health.facts.database is not None
        yield _gauge("warta_database_up", "1 where the database answers", is_up)
        if health is not None:
            yield from _tell_places(health)
        if health is not None and is_up:
            yield from _tell_portals([told for told in health.portals if told.portal.enabled])
            yield from _tell_runs(self._sums)


def _tell_places(health: Health) -> Iterator[Metric]:
    facts = health.facts
    if (database := facts.database) is not None:
        yield _gauge("warta_tenders", "Tenders in the database", database.tenders)
        yield _gauge("warta_releases", "Recorded changes in the database", database.releases)
        yield _gauge("warta_database_size_bytes", "Size of the database", database.size)
        yield _time("warta_newest_release_timestamp_seconds", "When the newest change was recorded", database.changed)
    yield _gauge("warta_archive_size_bytes", "Size of the raw archive", facts.archive_size)
    yield _gauge("warta_archive_limit_bytes", "archive_size of warta.toml", health.config.crawl.archive_size)
    yield _time("warta_published_timestamp_seconds", "When the last publish ended", facts.published)
    if facts.tree_size is not None:
        yield _gauge("warta_published_size_bytes", "Size of the published tree", facts.tree_size)
    yield _gauge("warta_disk_free_bytes", "Room left on the fullest disk", min(facts.free.values(), default=0))
    failures = GaugeMetricFamily(
        "warta_channel_failures", "How often in a row a channel of [[notify]] could not be told", labels=["channel"]
    )
    for channel in facts.channels:
        failures.add_metric([channel.id], channel.failures)
    yield failures
    if (queue := facts.queue) is not None:
        jobs = GaugeMetricFamily("warta_queue_jobs", "Jobs of the queue by state", labels=["state"])
        for state in (WAITING, RUNNING, FAILED):
            jobs.add_metric([state], queue.jobs.get(state, 0))
        yield jobs
        waited = (health.now - queue.oldest_waiting).total_seconds() if queue.oldest_waiting else 0
        yield _gauge("warta_queue_oldest_waiting_seconds", "How long the oldest job that may run has waited", waited)
        yield _gauge("warta_workers", "Workers that are alive", queue.workers)


def _tell_portals(portals: list[PortalHealth]) -> Iterator[Metric]:
    verdicts = GaugeMetricFamily(
        "warta_portal_verdict", "1 for the verdict of the portal's last run", labels=["portal", "verdict"]
    )
    for told in portals:
        for verdict in Verdict:
            verdicts.add_metric([told.portal.id, verdict], told.last is not None and told.last.verdict is verdict)
    yield verdicts
    for name, meaning, find in _OF_PORTALS:
        family = GaugeMetricFamily(name, meaning, labels=["portal"])
        for told in portals:
            if (number := find(told)) is not None:
                family.add_metric([told.portal.id], number)
        yield family


def _tell_runs(sums: Iterable[RunSum]) -> Iterator[Metric]:
    by_portal: dict[str, RunSum] = {}
    runs = CounterMetricFamily("warta_runs", "Runs by portal and verdict", labels=["portal", "verdict"])
    for each in sums:
        runs.add_metric([each.portal, each.verdict], each.runs)
        held = by_portal.get(each.portal)
        by_portal[each.portal] = each.add(held) if held else each
    yield runs
    took = SummaryMetricFamily("warta_run_duration_seconds", "How long runs took", labels=["portal"])
    for portal, total in by_portal.items():
        took.add_metric([portal], count_value=total.runs, sum_value=total.seconds)
    yield took
    for name, meaning in _COUNTED.items():
        counter = CounterMetricFamily(f"warta_run_{name}", meaning, labels=["portal"])
        for portal, total in by_portal.items():
            counter.add_metric([portal], getattr(total, name))
        yield counter


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _time(name: str, meaning: str, time: datetime | None) -> Metric:
    """Without a sample where it never was."""
    return GaugeMetricFamily(name, meaning, value=time.timestamp() if time else None)
