"""Whether all is well: portals read in time, what broke, room on the disk, the queue; each with a mend, on both
databases where they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from aggregator.config import Config, parse_config
from aggregator.database import DatabaseError
from aggregator.health import LEAST_FREE, ChannelState, DatabaseState, Facts, Health, find_codes, tell_health
from aggregator.leases import Leases, name_host, name_portal
from aggregator.models import Reading, Sweep
from aggregator.notices import Standing, save_told, start_channel
from aggregator.queue import Queue
from aggregator.repository import Repository
from aggregator.run_log import LastRuns
from aggregator.sizes import RunTotals, find_database_state, find_oldest_answer, find_run_sums
from aggregator.verdicts import Run, Verdict
from feeds.health import find_health
from tests.feed_samples import READ, TENDER

HOUR = timedelta(hours=1)
NOW = READ + timedelta(minutes=10)
PLENTY = {"/srv/warta": 10 * LEAST_FREE}
MANY = [f"portal-{number}" for number in range(9)]


def make_config(*portals: str, more: str = "") -> Config:
    head = '[publisher]\nname = "BLP"\nurl = "https://blp.example.go.id/"\nauthority = "blp.example.go.id"\n'
    tables = "".join(
        f'[[portal]]\nid = "{portal}"\nfamily = "spse"\nname = "LPSE"\nurl = "https://spse.example.go.id/{portal}"\n{more}'
        for portal in portals
    )
    return parse_config(f'{head}since = "2026-01-01"\n{tables}', Path("/srv/warta/warta.toml"))


def make_run(portal: str, verdict: Verdict = Verdict.OK, at: datetime = READ, *reasons: str, errors: int = 0) -> Run:
    return Run(
        portal=portal,
        sweep=Sweep.OPEN,
        started=at - timedelta(seconds=4),
        finished=at,
        verdict=verdict,
        reasons=reasons,
        requests=3,
        new=1,
        errors=errors,
    )


def make_last(last: Run, good: Run | None = None) -> LastRuns:
    is_good = last.verdict in {Verdict.OK, Verdict.PARTIAL}
    return LastRuns(last=last, good=last if is_good else good, full=None, tried=None)


STATE = DatabaseState(kind="sqlite", size=2_000_000, tenders=40, releases=60, changed=READ)
GOOD = Facts(
    address="sqlite:////srv/warta/var/warta.db",
    database=STATE,
    last_runs={"malangkota": make_last(make_run("malangkota"))},
    published=READ,
    free=PLENTY,
)


def judge(facts: Facts, config: Config | None = None, now: datetime = NOW) -> Health:
    return tell_health(config or make_config("malangkota"), facts, now)


def explain(facts: Facts, config: Config | None = None, now: datetime = NOW) -> list[str]:
    return [trouble.tell(inside=True) for trouble in judge(facts, config, now).why]


def with_run(run: Run, good: Run | None = None) -> Facts:
    return replace(GOOD, last_runs={run.portal: make_last(run, good)})


# Pure ---------------------------------------------------------------------------------------------------


def test_all_is_well() -> None:
    health = judge(GOOD)
    assert (health.healthy, health.why, health.warnings) == (True, [], [])
    told = health.as_dict()
    portal = told["portals"][0]
    assert (portal["age"], portal["every"], portal["fresh"]) == (600, 900, True)
    assert portal["fresh_until"] == "2026-11-24T10:40:00+07:00"
    assert told["database"] | {"url": "", "changed": ""} == {
        "kind": "sqlite",
        "url": "",
        "error": None,
        "bytes": 2_000_000,
        "tenders": 40,
        "releases": 60,
        "changed": "",
        "healthy": True,
    }
    assert told["queue"] is None


@pytest.mark.parametrize(("minutes", "is_fresh"), [(60, True), (61, False)])  # four times 15m
def test_a_portal_is_fresh_for_four_times_its_every(minutes: int, is_fresh: bool) -> None:
    now = READ + timedelta(minutes=minutes)
    health = judge(replace(GOOD, published=now), now=now)
    assert (health.portals[0].fresh, health.healthy) == (is_fresh, is_fresh)
    assert health.as_dict()["portals"][0]["age"] == minutes * 60


def test_quiet_hours_make_nothing_late() -> None:
    config = make_config("malangkota", more='quiet = "10:00-16:00"\n')  # WIB: from 20 minutes after the run
    health = judge(replace(GOOD, published=READ), config, READ + timedelta(hours=6))
    assert health.healthy
    assert health.as_dict()["portals"][0]["fresh_until"] == "2026-11-24T16:40:00+07:00"


@pytest.mark.parametrize("hours", [2, 23])
def test_a_long_full_sweep_makes_no_portal_late(hours: int) -> None:
    now = READ + hours * HOUR
    held = {name_portal("malangkota"): READ + HOUR / 10}
    health = judge(replace(GOOD, published=now, held=held), now=now)
    assert (health.why, health.portals[0].fresh, health.portals[0].healthy) == ([], False, True)
    assert health.as_dict()["portals"][0]["reading_since"] == "2026-11-24T09:46:00+07:00"
    assert judge(replace(GOOD, last_runs={}, held=held), now=now).healthy  # the first of all


def test_a_run_that_goes_on_for_longer_than_full_every_is_told() -> None:
    now = READ + 25 * HOUR
    facts = replace(GOOD, published=now, held={name_portal("malangkota"): READ + HOUR / 10})
    [told] = explain(facts, now=now)
    assert told.startswith(
        "malangkota: a run has been reading it for longer than its full_every (last read well 2026-11-24 09:40 WIB; "
        "being read since 2026-11-24 09:46 WIB). End it"
    )


def test_a_reading_under_way_does_not_hide_that_the_last_one_failed() -> None:
    facts = with_run(make_run("malangkota", Verdict.FAILED, READ, "listing: home page: 404"))
    [told] = explain(replace(facts, held={name_portal("malangkota"): READ + HOUR / 10}))
    assert told.startswith("malangkota: last run failed: listing (listing: home page: 404; being read since")
    assert "if it is wrong, mend it in warta.toml" in told


@pytest.mark.parametrize(("begun", "is_healthy"), [(READ + HOUR / 2, True), (READ + 2 * HOUR, False)])
def test_a_portal_may_wait_for_a_sweep_of_its_host_that_began_while_it_was_fresh(
    begun: datetime, is_healthy: bool
) -> None:
    now = READ + 3 * HOUR
    facts = replace(GOOD, published=now, held={name_host("spse.example.go.id"): begun})
    health = judge(facts, now=now)
    assert health.healthy == is_healthy
    if not is_healthy:
        assert "4 times its every, while its host is being read" in health.why[0].what


def test_a_channel_that_cannot_be_told_is_told_here() -> None:
    first, last = ChannelState(id="telegram", failures=2, retry_at=READ), ChannelState(id="surel", failures=3)
    health = judge(replace(GOOD, channels=[first, last, ChannelState(id="x", lacks="url: the environment has no Y")]))
    assert [trouble.tell(inside=True) for trouble in health.why] == [
        "channel surel: could not be told, 3 times in a row. See why with: warta notify --test surel"
    ]
    assert [trouble.what for trouble in health.warnings] == [
        "channel telegram: could not be told, 2 times in a row",
        "channel x: its address is not known here",
    ]
    assert "the environment has no Y" in health.as_dict()["warnings"][1]
    assert "no Y" not in str(health.as_dict(inside=False))
    assert health.as_dict()["channels"][0] == {
        "channel": "telegram",
        "failures": 2,
        "next_try": "2026-11-24T09:40:00+07:00",
    }


def test_what_was_never_read_is_told_with_its_command() -> None:
    [told] = explain(replace(GOOD, last_runs={}))
    assert told == "malangkota: never read. Is the timer or a worker running? Try: warta crawl malangkota"


def test_a_failure_is_told_with_its_reason_and_its_mend() -> None:
    good = make_run("malangkota", at=READ - HOUR)
    reasons = ("shape: odd rows", "rate_limited: 429 twice")
    [told] = explain(with_run(make_run("malangkota", Verdict.FAILED, READ, *reasons), good))
    assert told.startswith(
        "malangkota: last run failed: rate_limited (rate_limited: 429 twice; last read well 2026-11-24"
    )
    assert "raise its delay or every" in told


def test_every_reason_of_a_failure_has_a_mend_of_its_own() -> None:
    from aggregator.health import _MENDS
    from aggregator.verdicts import PROBLEMS

    failing = {code for code, verdict in PROBLEMS.items() if verdict in {Verdict.FAILED, Verdict.BLOCKED}}
    assert failing <= _MENDS.keys()


def test_a_broken_contract_warns_and_does_not_wake_anybody() -> None:
    health = judge(
        with_run(make_run("malangkota", Verdict.PARTIAL, READ, "shape: row 4 of the list", "unknown_label: X"))
    )
    assert health.healthy
    assert health.portals[0].broken == ["shape", "unknown_label"]
    assert "changed its shape: shape, unknown_label (shape: row 4" in health.warnings[0].tell(inside=True)
    assert health.as_dict()["portals"][0]["broken"] == ["shape", "unknown_label"]


def test_a_timer_that_stopped_is_one_trouble_however_many_portals_there_are() -> None:
    runs = {portal: make_last(make_run(portal)) for portal in MANY}
    [told] = explain(replace(GOOD, last_runs=runs, published=READ), make_config(*MANY), READ + 2 * HOUR)
    assert told.startswith("portal-0, portal-1, portal-2 and 6 more portals: not read well for more than 4 times")


def test_a_portal_that_is_switched_off_does_not_count_and_strangers_are_not_told_of_it() -> None:
    health = judge(replace(GOOD, last_runs={}), make_config("malangkota", more="enabled = false\n"))
    assert health.healthy
    assert [told["portal"] for told in health.as_dict()["portals"]] == ["malangkota"]
    assert health.as_dict(inside=False)["portals"] == []


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (replace(GOOD, published=None), "nothing is published yet. Try: warta publish"),
        (replace(GOOD, published=READ - 2 * HOUR), "the published tree is from long before the last run"),
        (replace(GOOD, free={"/a": 10**10, "/b": 3_000_000}), "only 3 MB of disk are left (/b). Make room"),
        (
            replace(GOOD, queue=Queue(jobs={"waiting": 2}, oldest_waiting=READ, workers=0)),
            "2 jobs wait and no worker is alive. Start one: warta worker",
        ),
        (
            replace(GOOD, queue=Queue(jobs={"waiting": 1}, oldest_waiting=READ, workers=0)),
            "1 job waits and no worker is alive. Start one: warta worker",
        ),
        (
            replace(GOOD, queue=Queue(jobs={"waiting": 2}, oldest_waiting=READ - HOUR, workers=3)),
            "a job has waited for more than an hour",
        ),
    ],
)
def test_what_else_is_not_well(facts: Facts, told: str) -> None:
    [said] = explain(facts)
    assert said.startswith(told)


def test_a_database_that_fails_is_all_that_is_told_of_it() -> None:
    facts = replace(
        GOOD, database=None, last_runs={}, failure="database postgresql://warta:***@db/warta cannot be reached"
    )
    health = judge(facts)
    assert [trouble.what for trouble in health.why] == ["the database cannot be read"]
    inside, outside = health.as_dict(), health.as_dict(inside=False)
    assert "db/warta cannot be reached" in inside["why"][0]
    assert "db/warta" not in str(outside)
    assert (inside["database"]["tenders"], inside["database"]["healthy"]) == (None, False)


def test_failed_jobs_and_a_large_archive_can_wait() -> None:
    queue = Queue(jobs={"failed": 3}, oldest_waiting=None, workers=1)
    health = judge(replace(GOOD, queue=queue, archive_size=10**12))
    assert health.healthy
    assert [trouble.what for trouble in health.warnings] == [
        "the archive is larger than archive_size",
        "3 jobs of the queue failed",
    ]
    assert health.as_dict()["queue"] == {
        "waiting": 0,
        "running": 0,
        "failed": 3,
        "oldest_waiting": None,
        "workers": 1,
    }


def test_strangers_hear_of_no_folder_and_no_address() -> None:
    run = make_run("malangkota", Verdict.FAILED, READ, "errors: OSError: /srv/warta/var: no room")
    facts = replace(with_run(run), free={"/srv/warta/var": 1})
    told = judge(facts).as_dict(inside=False)
    assert "/srv" not in str(told)
    assert "sqlite:" not in str(told)
    assert told["portals"][0]["reasons"] == ["errors"]
    assert "/srv/warta/var: no room" in str(judge(facts).as_dict())


def test_a_clock_that_was_set_back_makes_no_age_below_zero() -> None:
    told = judge(GOOD, now=READ - 5 * HOUR).as_dict()["portals"][0]
    assert (told["age"], told["fresh"]) == (0, True)


def test_codes_are_told_once_and_the_worst_first() -> None:
    run = make_run("m", Verdict.BLOCKED, READ, "shape: a", "shape: b", "unknown_label: c", "errors: d", "blocked: e")
    assert find_codes(run) == ["blocked", "errors", "shape", "unknown_label"]
    assert find_codes(None) == []


# From the database -------------------------------------------------------------------------------------


def save(engine: Engine, *runs: Run) -> Repository:
    repository = Repository(engine)
    for run in runs:
        repository.save_run(run)
    return repository


def test_the_database_is_measured_without_counting(engine: Engine) -> None:
    empty = find_database_state(engine)
    assert (empty.tenders, empty.releases, empty.changed) == (0, 0, None)
    assert find_oldest_answer(engine) is None
    repository = Repository(engine)
    tenders = [replace(TENDER, key=f"{number}") for number in range(7)]
    repository.save([Reading(tender=tender) for tender in tenders], READ)
    repository.save([Reading(tender=replace(tender, title="Baru")) for tender in tenders[:2]], READ + HOUR)
    state = find_database_state(engine)
    assert (state.kind, state.tenders, state.releases) == (engine.dialect.name, 7, 9)
    assert state.changed is not None
    assert state.changed - READ - HOUR < timedelta(seconds=1)
    assert state.size > 50_000


def test_runs_are_added_up_and_each_only_once(engine: Engine) -> None:
    totals = RunTotals(engine)
    assert totals.find() == []
    save(engine, make_run("a"), make_run("a", errors=2), make_run("a", Verdict.FAILED), make_run("b"))
    sums = {(told.portal, told.verdict): told for told in totals.find()}
    assert {key: told.runs for key, told in sums.items()} == {
        ("a", Verdict.OK): 2,
        ("a", Verdict.FAILED): 1,
        ("b", Verdict.OK): 1,
    }
    both = sums["a", Verdict.OK]
    assert (both.seconds, both.requests, both.errors, both.new) == (8.0, 6, 2, 2)
    assert totals.find() == list(sums.values())
    save(engine, make_run("a"))
    assert next(told for told in totals.find() if told.verdict is Verdict.OK).runs == 3
    assert find_run_sums(engine, 5, 5) == []


def test_the_last_runs_of_each_portal_are_found_however_many_there_are(engine: Engine) -> None:
    turns = [Verdict.OK, Verdict.FAILED, Verdict.PARTIAL, Verdict.BLOCKED]
    times = [READ + number * HOUR for number in range(4)]
    save(engine, *(make_run(portal, verdict, at) for verdict, at in zip(turns, times, strict=True) for portal in MANY))
    found = Repository(engine).find_last_runs()
    assert sorted(found) == MANY
    assert {runs.last.finished for runs in found.values()} == {times[3]}
    assert {runs.good.finished if runs.good else None for runs in found.values()} == {times[2]}
    assert {(runs.full, runs.tried) for runs in found.values()} == {(None, None)}


def test_health_is_found_on_both_databases(engine: Engine, tmp_path: Path) -> None:
    repository = save(engine, make_run("malangkota", at=READ))
    config = make_config("malangkota").model_copy(update={"folder": tmp_path})
    health = find_health(config, lambda: repository, NOW, tmp_path / "public")
    told = health.as_dict()
    assert (told["portals"][0]["verdict"], told["portals"][0]["fresh"]) == ("ok", True)
    assert told["database"]["kind"] == engine.dialect.name
    assert told["disk"]["free"] > 0
    assert [trouble.what for trouble in health.why] == ["nothing is published yet"]


def test_what_is_read_now_and_whom_nobody_could_tell_is_found_on_both_databases(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WARTA_NOWHERE", raising=False)
    channel = '[[notify]]\nid = "telegram"\nurl = "env:WARTA_NOWHERE"\non = "failures"\n'
    config = make_config("malangkota", more=f"{channel}").model_copy(update={"folder": tmp_path})
    start_channel(engine, "telegram", "status", (), READ)
    save_told(engine, "telegram", (), (), Standing(about="status", caught_up=READ, failures=4), READ)
    with Leases(engine, tmp_path) as leases, leases.take(name_portal("malangkota")):
        health = find_health(config, lambda: Repository(engine), datetime.now(UTC), tmp_path / "public")
    assert health.portals[0].reading is not None
    assert [trouble.what for trouble in health.why] == [
        "nothing is published yet",
        "channel telegram: could not be told, 4 times in a row",
    ]
    assert [trouble.what for trouble in health.warnings] == ["channel telegram: its address is not known here"]


def test_a_database_that_cannot_be_opened_is_an_answer_too(tmp_path: Path) -> None:
    def fail() -> Repository:
        raise DatabaseError("database sqlite:////srv/x.db was locked by another program")

    config = make_config("malangkota").model_copy(update={"folder": tmp_path})
    health = find_health(config, fail, datetime.now(UTC), tmp_path)
    assert health.facts.failure.endswith("locked by another program")
    assert not health.healthy


# The feed of failures ----------------------------------------------------------------------------------


def tell_turns(repository: Repository) -> Mapping[str, str]:
    """By portal the verdicts with which it turned, oldest first, in one letter each."""
    turns: dict[str, str] = {}
    for run in reversed(repository.find_verdict_turns()):
        turns[run.portal] = turns.get(run.portal, "") + run.verdict[0]
    return turns


def test_a_failure_is_told_when_it_begins_and_when_it_ends_and_never_again(engine: Engine) -> None:
    """A night of failures of one portal beside another that flaps and a third that is fine."""
    stories = {"night": "o" + "f" * 40 + "o" * 5, "flaps": "ofofbof" + "f" * 10, "fine": "o" * 20}
    verdicts = {verdict[0]: verdict for verdict in Verdict}
    for hours in range(46):
        for portal, story in stories.items():
            if hours < len(story):
                save(engine, make_run(portal, verdicts[story[hours]], READ + hours * HOUR))
    assert tell_turns(Repository(engine)) == {"night": "fo", "flaps": "fofof"}


def test_a_downtime_of_our_own_tells_nothing(engine: Engine) -> None:
    save(engine, make_run("a"), make_run("b", Verdict.FAILED))
    after = READ + timedelta(days=9)
    repository = save(engine, make_run("a", at=after), make_run("b", Verdict.BLOCKED, after))
    assert tell_turns(repository) == {"b": "f"}
