"""Whether all is well, and if not, why and what mends it: for `warta status`, /healthz and /metrics alike. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.config import Config, Portal
from aggregator.leases import name_host, name_portal
from aggregator.lines import count
from aggregator.queue import FAILED, RUNNING, WAITING, Queue
from aggregator.run_log import LastRuns
from aggregator.runs import find_next
from aggregator.verdicts import CONTRACT, PROBLEMS, Run, Verdict

LATE = 4  # times `every`: a reading so long ago, or a publish so far behind the last run, is not healthy
LEAST_FREE = 500_000_000  # bytes: below, a crawl or a publish may soon find no room
LONGEST_WAIT = timedelta(hours=1)  # of a job of the queue, while workers are there
LONGEST_OUTAGE = 3  # failures in a row of a channel, a quarter of an hour: one alone may be a service that restarts

_GOOD = frozenset({Verdict.OK, Verdict.PARTIAL})
_NAMED = 3  # portals that one sentence names


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """The database: ``kind`` as in sqlite, ``size`` in bytes, how many tenders and releases it holds, and when the
    newest release was made."""

    kind: str
    size: int
    tenders: int
    releases: int
    changed: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """A channel of [[notify]]: how often in a row it could not be told, when that is tried again, and ``lacks``, why
    its address cannot be used here."""

    id: str
    failures: int = 0
    retry_at: datetime | None = None
    lacks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found out at the rim; sizes in bytes.

    ``failure`` says why the database could not be read; then nothing of it is known. ``held`` is by its lease since
    when a run that is alive reads a portal or host. ``published`` is when the last publish ended, ``free`` is by folder
    what its disk has left. No ``queue``: none was ever used.
    """

    address: str = ""
    failure: str = ""
    database: DatabaseState | None = None
    last_runs: Mapping[str, LastRuns]
    held: Mapping[str, datetime] = field(default_factory=dict)
    archive_size: int = 0
    archive_oldest: datetime | None = None
    published: datetime | None = None
    tree_files: int | None = None
    tree_size: int | None = None
    free: Mapping[str, int]
    queue: Queue | None = None
    channels: Sequence[ChannelState] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not as it should be, and its mend. ``detail`` may name folders and addresses of this machine,
    so only the operator is told of it."""

    what: str
    mend: str
    detail: str = ""

    def tell(self, *, inside: bool) -> str:
        """It in plain English."""
        return f"{self.what}{f' ({self.detail})' if inside and self.detail else ''}. {self.mend}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalHealth:
    """A portal, its last runs, and until when the last good one counts as fresh.

    ``reading`` is since when a run under way reads it, ``host_read`` since when one reads its host.
    """

    portal: Portal
    runs: LastRuns | None
    now: datetime
    fresh_until: datetime | None
    reading: datetime | None = None
    host_read: datetime | None = None

    @property
    def last(self) -> Run | None:
        return self.runs.last if self.runs else None

    @property
    def good(self) -> Run | None:
        return self.runs.good if self.runs else None

    @property
    def age(self) -> timedelta | None:
        """Since the last good run ended; never below zero, should the clock have been set back."""
        return max(self.now - self.good.finished, timedelta()) if self.good else None

    @property
    def fresh(self) -> bool:
        return self.fresh_until is not None and self.now <= self.fresh_until

    @property
    def broken(self) -> list[str]:
        """Promises of the source that its last run found broken: codes of CONTRACT, and words it has no name for."""
        return [code for code in find_codes(self.last) if code in CONTRACT or code == "unknown_label"]

    @property
    def failed(self) -> bool:
        return self.last is not None and self.last.verdict not in _GOOD

    @property
    def stuck(self) -> bool:
        """Whether the run that reads it goes on for longer than any should: by then all of it was to be read anew."""
        return self.reading is not None and self.now - self.reading > self._longest

    @property
    def awaited(self) -> bool:
        """Whether a run under way is why it is not fresh: that reads it, or its host since it still was. A full sweep
        may take hours."""
        if self.reading is not None:
            return not self.stuck
        if self.host_read is None or self.fresh_until is None:
            return False
        return self.host_read <= self.fresh_until and self.now - self.host_read <= self._longest

    @property
    def _longest(self) -> timedelta:
        return max(self.portal.full_every, LATE * self.portal.every)

    @property
    def healthy(self) -> bool:
        return (self.fresh or self.awaited) and not self.failed

    def as_dict(self, *, inside: bool = True) -> dict[str, Any]:
        """The portal as `warta portals --json` prints it; times in its zone, ``age`` and ``every`` in seconds. Outside
        of this machine, reasons are told by their codes: their words may name folders of it."""
        last, good, zone = self.last, self.good, self.portal.zone
        due, sweep = find_next(self.portal, self.runs, self.now)
        return {
            "portal": self.portal.id,
            "name": self.portal.name,
            "url": self.portal.url,
            "enabled": self.portal.enabled,
            "verdict": last.verdict if last else None,
            "reasons": [] if last is None else list(last.reasons) if inside else find_codes(last),
            "broken": self.broken,
            "errors": last.errors if last else 0,
            "last_run": last.finished.astimezone(zone).isoformat() if last else None,
            "last_good": good.finished.astimezone(zone).isoformat() if good else None,
            "every": round(self.portal.every.total_seconds()),
            "age": None if self.age is None else round(self.age.total_seconds()),
            "fresh": self.fresh,
            "fresh_until": self.fresh_until.astimezone(zone).isoformat() if self.fresh_until else None,
            "next_due": max(due, self.now).astimezone(zone).isoformat(),
            "next_sweep": sweep,
            "reading_since": self.reading.astimezone(zone).isoformat("T", "seconds") if self.reading else None,
            "healthy": self.healthy,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The whole. It is healthy when ``why`` is empty; ``warnings`` can wait until the morning."""

    config: Config
    facts: Facts
    now: datetime
    portals: Sequence[PortalHealth]
    in_time: bool
    why: Sequence[Trouble]
    warnings: Sequence[Trouble]

    @property
    def healthy(self) -> bool:
        return not self.why

    def as_dict(self, *, inside: bool = True) -> dict[str, Any]:
        """The object that `warta status --json` prints. Not ``inside``, as strangers see it: without folders, addresses
        and portals that are switched off."""
        facts, limits = self.facts, self.config.crawl
        database = facts.database
        places: dict[str, dict[str, Any]] = {
            "database": {"url": facts.address, "error": facts.failure or None},
            "archive": {"directory": str(self.config.archive_folder)},
            "published": {"directory": str(self.config.public_folder)},
            "disk": {"folders": dict(facts.free)},
        }
        told: dict[str, dict[str, Any]] = {
            "database": {
                "kind": database.kind if database else None,
                "bytes": database.size if database else None,
                "tenders": database.tenders if database else None,
                "releases": database.releases if database else None,
                "changed": self._iso(database.changed if database else None),
                "healthy": not facts.failure,
            },
            "archive": {
                "bytes": facts.archive_size,
                "limit": limits.archive_size,
                "oldest": self._iso(facts.archive_oldest),
            },
            "published": {
                "updated": self._iso(facts.published),
                "files": facts.tree_files,
                "bytes": facts.tree_size,
                "healthy": self.in_time,
            },
            "disk": {"free": min(facts.free.values(), default=None), "healthy": not _list_full(facts.free)},
        }
        return {
            "healthy": self.healthy,
            "why": [trouble.tell(inside=inside) for trouble in self.why],
            "warnings": [trouble.tell(inside=inside) for trouble in self.warnings],
            "portals": [told.as_dict(inside=inside) for told in self.portals if inside or told.portal.enabled],
            **{name: (places[name] if inside else {}) | rest for name, rest in told.items()},
            "queue": self._tell_queue(),
            "channels": [
                {"channel": each.id, "failures": each.failures, "next_try": self._iso(each.retry_at)}
                for each in facts.channels
            ],
        }

    def _tell_queue(self) -> dict[str, Any] | None:
        queue = self.facts.queue
        if queue is None:
            return None
        states = {state: queue.jobs.get(state, 0) for state in (WAITING, RUNNING, FAILED)}
        return {**states, "oldest_waiting": self._iso(queue.oldest_waiting), "workers": queue.workers}

    def _iso(self, time: datetime | None) -> str | None:
        return time.astimezone(ZoneInfo(self.config.publisher.timezone)).isoformat("T", "seconds") if time else None


def tell_health(config: Config, facts: Facts, now: datetime) -> Health:
    """What ``facts`` mean at ``now``. Portals that are switched off are told but do not count."""
    portals = tell_portals(config, facts.last_runs, facts.held, now)
    enabled = [portal for portal in portals if portal.portal.enabled]
    in_time = is_published_in_time(config, facts.last_runs, facts.published)
    known = not facts.failure
    why = [
        *([] if known else [_database_failed(facts)]),
        *(_explain_portals(enabled) if known else ()),
        *([] if in_time else [_explain_publish(facts.published, ZoneInfo(config.publisher.timezone))]),
        *_explain_disk(facts.free),
        *(_explain_queue(facts.queue, now) if facts.queue else ()),
        *(_explain_channel(each) for each in facts.channels if each.failures >= LONGEST_OUTAGE),
    ]
    warnings = [*(_explain_drift(enabled) if known else ()), *_warn(config, facts)]
    return Health(config=config, facts=facts, now=now, portals=portals, in_time=in_time, why=why, warnings=warnings)


def tell_portals(
    config: Config, last_runs: Mapping[str, LastRuns], held: Mapping[str, datetime], now: datetime
) -> list[PortalHealth]:
    """Every portal of the configuration, in its order. ``held`` as in Facts."""
    return [_tell_portal(portal, last_runs.get(portal.id), held, now) for portal in config.portal]


def _tell_portal(portal: Portal, runs: LastRuns | None, held: Mapping[str, datetime], now: datetime) -> PortalHealth:
    good = runs.good if runs else None
    return PortalHealth(
        portal=portal,
        runs=runs,
        now=now,
        fresh_until=find_stale(portal, good.finished) if good else None,
        reading=held.get(name_portal(portal.id)),
        host_read=held.get(name_host(portal.host)),
    )


def find_stale(portal: Portal, read: datetime) -> datetime:
    """Until when a portal that was last read well at ``read`` counts as fresh: everything that tells so asks here. Its
    quiet hours do not count, for nothing is read in them."""
    return portal.quiet.add(read, LATE * portal.every)


def find_codes(run: Run | None) -> list[str]:
    """The codes of a run's reasons, each once, those that force the worst verdict first."""
    codes = dict.fromkeys(reason.partition(":")[0] for reason in run.reasons) if run else {}
    worst = (Verdict.BLOCKED, Verdict.FAILED, Verdict.PARTIAL)
    return sorted(codes, key=lambda code: next((n for n, v in enumerate(worst) if PROBLEMS.get(code) is v), len(worst)))


def is_published_in_time(config: Config, last_runs: Mapping[str, LastRuns], published: datetime | None) -> bool:
    """Whether the last publish is not far behind the newest run; the portal read most often says what far is."""
    portals = [portal for portal in config.portal if portal.enabled]
    runs = [last_runs[portal.id].last.finished for portal in portals if portal.id in last_runs]
    if published is None or not runs:
        return published is not None
    return max(runs) - published <= LATE * min(portal.every for portal in portals)


# Why, and the mend -------------------------------------------------------------------------------------

_TIMER = "Is the timer or a worker running? Try: warta run --due"
_BUSY = ", while its host is being read"
_TURN = "Its turn comes; if that lasts, raise every in warta.toml"
_LONG = "End it, and the next one goes on; if all of them take so long, raise full_every in warta.toml"
_MENDS = {
    "blocked": "It put a browser check in front, which Warta never tries to get past: ask its operators to let your"
    " User-Agent in",
    "refused": "It no longer lets programs in: look at its robots.txt, and whether a key ran out",
    "rate_limited": "It asks for fewer requests: raise its delay or every in warta.toml",
    "listing": "Open its url in a browser: if it is wrong, mend it in warta.toml; if it opens and this lasts, its pages"
    " changed, so look for a newer Warta",
    "busy": "Another run holds its host: if no run is under way, look with: warta queue",
    "lease": "Another run took its place, or the database was away: the next run tries again",
    "stopped": "A signal ended it: the next run goes on",
    "errors": "Open its page in a browser: if it works there, look at this machine's network and at the log of the run",
}
_CHANGED = "Not all it sent was believed; what is kept stays. If that lasts, look for a newer Warta, then: warta replay"
_OTHERWISE = "See its reasons with: warta portals"


def _explain_portals(portals: Iterable[PortalHealth]) -> Iterator[Trouble]:
    """One trouble for all portals that have the same, that of most portals first: 700 that were not read since a timer
    stopped are one thing to mend."""
    alike: dict[str, list[PortalHealth]] = defaultdict(list)
    mends: dict[str, str] = {}
    for told in portals:
        if not told.healthy:
            what, mend = _diagnose(told)
            alike[what].append(told)
            mends.setdefault(what, mend)
    for what, those in sorted(alike.items(), key=lambda item: -len(item[1])):
        yield Trouble(f"{_name(those)}: {what}", mends[what], _detail(those))


def _diagnose(told: PortalHealth) -> tuple[str, str]:
    """What is wrong with a portal that is not healthy, and the mend."""
    if told.stuck:
        return "a run has been reading it for longer than its full_every", _LONG
    if told.last is None:
        what, mend = "never read", f"Is the timer or a worker running? Try: warta crawl {told.portal.id}"
        return (f"{what}{_BUSY}", _TURN) if told.host_read else (what, mend)
    if told.last.verdict in _GOOD:
        what = f"not read well for more than {LATE} times its every"
        return (f"{what}{_BUSY}", _TURN) if told.host_read else (what, _TIMER)
    code = next(iter(find_codes(told.last)), "")
    named = "" if code in {"", told.last.verdict} else f": {code}"
    return f"last run {told.last.verdict}{named}", _MENDS.get(code, _OTHERWISE)


def _detail(those: Sequence[PortalHealth]) -> str:
    """When the last good one was, and of a single portal the reason that weighs most and since when it is read."""
    goods = [told.good.finished.astimezone(told.portal.zone) for told in those if told.good]
    since = f"last read well {_tell_time(max(goods))}" if goods else ""
    last, begun = (those[0].last, those[0].reading) if len(those) == 1 else (None, None)
    codes = find_codes(last)
    reason = next((r for r in last.reasons if codes and r.startswith(codes[0])), "") if last else ""
    under_way = f"being read since {_tell_time(begun.astimezone(those[0].portal.zone))}" if begun else ""
    return "; ".join(part for part in (reason, since, under_way) if part)


def _tell_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M %Z}"


def _name(portals: Sequence[PortalHealth]) -> str:
    names = [told.portal.id for told in portals]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {count(more, 'more portal')}" if more > 0 else "")


def _explain_drift(portals: Iterable[PortalHealth]) -> Iterator[Trouble]:
    drifted: dict[str, list[PortalHealth]] = defaultdict(list)
    for told in portals:
        if told.healthy and told.broken:
            drifted[", ".join(told.broken)].append(told)
    for codes, those in drifted.items():
        yield Trouble(f"{_name(those)}: changed its shape: {codes}", _CHANGED, _detail(those))


def _database_failed(facts: Facts) -> Trouble:
    return Trouble("the database cannot be read", "Is its server running, and its disk there?", facts.failure)


def _explain_publish(published: datetime | None, zone: ZoneInfo) -> Trouble:
    if published is None:
        return Trouble("nothing is published yet", "Try: warta publish")
    what = "the published tree is from long before the last run"
    return Trouble(what, "Try: warta publish", _tell_time(published.astimezone(zone)))


def _list_full(free: Mapping[str, int]) -> list[str]:
    return [folder for folder, left in free.items() if left < LEAST_FREE]


def _explain_disk(free: Mapping[str, int]) -> Iterator[Trouble]:
    full = _list_full(free)
    if full:
        what = f"only {min(free.values()) // 1_000_000} MB of disk are left"
        yield Trouble(what, "Make room, or lower archive_size in warta.toml", ", ".join(full))


def _explain_queue(queue: Queue, now: datetime) -> Iterator[Trouble]:
    if queue.jobs.get(WAITING) and not queue.workers:
        waiting = count(queue.jobs[WAITING], "job waits", "jobs wait")
        yield Trouble(f"{waiting} and no worker is alive", "Start one: warta worker")
    elif queue.oldest_waiting and now - queue.oldest_waiting > LONGEST_WAIT:
        yield Trouble("a job has waited for more than an hour", "Start more workers, or look with: warta queue")


def _warn(config: Config, facts: Facts) -> Iterator[Trouble]:
    if facts.archive_size > config.crawl.archive_size:
        mend = "A crawl mends that when it ends; to do so now: warta archive --prune"
        yield Trouble("the archive is larger than archive_size", mend)
    if facts.queue and facts.queue.jobs.get(FAILED):
        yield Trouble(f"{count(facts.queue.jobs[FAILED], 'job')} of the queue failed", "Look with: warta queue")
    for channel in facts.channels:
        if 0 < channel.failures < LONGEST_OUTAGE:
            yield _explain_channel(channel)
        if channel.lacks:
            mend = "Set it where Warta is started: a service and a shell have each their own environment"
            yield Trouble(f"channel {channel.id}: its address is not known here", mend, channel.lacks)


def _explain_channel(channel: ChannelState) -> Trouble:
    what = f"channel {channel.id}: could not be told, {count(channel.failures, 'time')} in a row"
    return Trouble(what, f"See why with: warta notify --test {channel.id}")
