"""What leaves the raw archive and what stays: plans, bodies carried over, kills in between, writers beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from scrapy.http import HtmlResponse, Request
from typer.testing import CliRunner

import aggregator.archive
import warta
from aggregator.archive import CARRIED, Archive, ArchivedRun, Segment, Snapshot
from aggregator.config import Config, ConfigError, Crawl, parse_config, parse_size
from aggregator.database import open_database
from aggregator.models import Sweep
from aggregator.repository import Repository
from aggregator.retention import Holding, find_newest_full, look_at, plan_removal, prune_archive
from aggregator.sizes import find_newest_run, find_run_sums
from aggregator.verdicts import Run, Verdict
from spiders.crawl import WHOLE, Order, crawl
from spiders.replay import replay
from tests.conftest import CONFIG
from tests.road import Road

NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
DAY = timedelta(days=1)
LOTS = 10**12
GONE_AFTER_A_DAY = Crawl.model_validate({"archive_keep": "1d"})
FOREVER = Crawl()
OPEN = Order(sweep=Sweep.OPEN).as_text()


# Sizes in the configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "size"), [("1MB", 10**6), ("500MB", 500 * 10**6), ("5GB", 5 * 10**9)])
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "5", "GB", "0GB", "-1GB", "5 GB", "5gb", "1.5GB", "5GiB", "5TB", 5, None, True])
def test_another_size_is_told_with_a_right_one(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size; write a whole number and MB or GB, as in '5GB'"):
        parse_size(text)


def test_limits_stand_in_the_configuration() -> None:
    text = CONFIG.replace("delay = 0.0", 'delay = 0.0\narchive_keep = "400d"\narchive_size = "5GB"')
    crawl = parse_config(text, Path("warta.toml")).crawl
    assert (crawl.archive_keep, crawl.archive_size) == (timedelta(days=400), 5 * 10**9)
    assert (FOREVER.archive_keep, FOREVER.archive_size) == (None, 10 * 10**9)
    with pytest.raises(ConfigError, match=r"warta.toml:\d+: crawl.archive_size: '5' is not a size"):
        parse_config(text.replace("5GB", "5"), Path("warta.toml"))


# Plans --------------------------------------------------------------------------------------------------


def hold(name: str, days: float | None, size: int = 100, *, kept: bool = False) -> Holding:
    """A segment whose newest run is ``days`` old."""
    return Holding(name=name, size=size, newest=None if days is None else NOW - days * DAY, kept=kept)


@pytest.mark.parametrize(
    ("holdings", "keep", "size", "goes"),
    [
        ([], 1, 0, ()),
        ([hold("a", 3), hold("b", 1)], None, LOTS, ()),
        ([hold("b", 1), hold("a", 3)], 2, LOTS, ("a",)),
        ([hold("a", 2)], 2, LOTS, ()),
        ([hold("a", 3), hold("b", 2), hold("c", 1)], None, 200, ("a",)),
        ([hold("a", 3), hold("b", 2), hold("c", 1)], None, 199, ("a", "b")),
        ([hold("a", 3), hold("b", 2), hold("c", 1)], None, 300, ()),
        ([hold("a", 3, kept=True), hold("b", 2), hold("c", 1)], 2.5, 200, ("b",)),
        ([hold("a", None), hold("b", 2, kept=True)], 1, 0, ()),
        ([hold("a", 9), hold("b", 8), hold("c", 1)], 7, 250, ("a", "b")),
        ([hold("a", -400)], 1, LOTS, ()),
    ],
)
def test_plans(holdings: list[Holding], keep: float | None, size: int, goes: tuple[str, ...]) -> None:
    plan = plan_removal(holdings, None if keep is None else keep * DAY, size, NOW)
    assert plan.names == goes
    assert plan.size == 100 * len(goes)


def test_an_age_beyond_all_calendars_keeps_everything() -> None:
    assert plan_removal([hold("a", 3)], timedelta(days=999_999_999), LOTS, NOW).names == ()


def archived(portal: str, days: float, asked: str = WHOLE, *, good: bool = False) -> ArchivedRun:
    return ArchivedRun(portal=portal, run=NOW - days * DAY, asked=asked, answers=1, good=good)


def test_the_newest_good_full_run_is_found_for_each_portal() -> None:
    narrowed = Order(limit=5).as_text()
    runs = [
        archived("a", 9, good=True),
        archived("a", 8, good=True),
        archived("a", 7),
        archived("a", 6, OPEN, good=True),
        archived("a", 5, narrowed, good=True),
        archived("b", 4),
        archived("b", 3),
        archived("c", 2, OPEN, good=True),
    ]
    assert find_newest_full(runs, WHOLE) == [runs[1], runs[6]]


# What goes and what stays -------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(open_database(f"sqlite:///{tmp_path}/warta.db"))


@pytest.fixture
def archive(tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """An archive whose segments are full after the first answer of 5 kB."""
    monkeypatch.setattr(aggregator.archive, "SEGMENT_SIZE", 5000)
    return Archive(tmp_path / "archive", repository)


def page(name: str) -> bytes:
    """A page of 5 kB that does not get smaller when it is compressed."""
    return name.encode() + b" " + bytes(os.urandom(5000))


def save(archive: Archive, days: float, bodies: list[bytes], portal: str = "malangkota", asked: str = OPEN) -> None:
    """One run ``days`` ago."""
    run = NOW - days * DAY
    with archive.open_run(portal, run, asked, lambda: run) as answers:
        for number, body in enumerate(bodies):
            request = Request(f"https://spse.example.go.id/{portal}/{number}")
            answers.save(request, HtmlResponse(request.url, body=body))


def read(archive: Archive, repository: Repository, days: float, portal: str = "malangkota") -> list[bytes]:
    return [archive.read(snapshot) for snapshot in repository.find_snapshots(portal, NOW - days * DAY)]


def files(archive: Archive) -> list[str]:
    return sorted(path.name for path in archive.folder.iterdir() if path.name != ".lock")


def assert_whole(archive: Archive, repository: Repository) -> None:
    """Index and segments agree, every answer that is indexed can be read, and a lost index comes back as it was."""
    assert sorted(repository.find_segments()) == files(archive)
    runs = repository.find_all_archived()
    for run in runs:
        for snapshot in repository.find_snapshots(run.portal, run.run):
            archive.read(snapshot)
    other = Repository(open_database("sqlite://"))
    Archive(archive.folder, other).reindex()
    assert [replace(run, good=False) for run in runs] == other.find_all_archived()
    assert archive.reindex() == 0


def prune(archive: Archive, repository: Repository, limits: Crawl = GONE_AFTER_A_DAY) -> int:
    return len(prune_archive(archive, repository, limits, WHOLE, NOW).names)


def test_old_segments_go_and_young_ones_stay(archive: Archive, repository: Repository) -> None:
    young = [page("young")]
    save(archive, 3, [page("old"), page("old, too")])
    save(archive, 0.5, young)
    assert prune(archive, repository) == 2
    assert repository.find_archived_runs("malangkota", NOW - 9 * DAY) == [NOW - 0.5 * DAY]
    assert read(archive, repository, 0.5) == young
    assert len(files(archive)) == 1
    assert_whole(archive, repository)
    assert prune(archive, repository) == 0


def test_the_oldest_go_while_the_whole_is_too_large(archive: Archive, repository: Repository) -> None:
    pages = [page(str(day)) for day in range(5)]
    for day in range(5):
        save(archive, day, [pages[day]])
    limits = Crawl.model_construct(archive_keep=None, archive_size=3 * 5800)
    assert prune(archive, repository, limits) == 2
    assert [read(archive, repository, day) for day in range(5)] == [[pages[0]], [pages[1]], [pages[2]], [], []]
    assert_whole(archive, repository)


def test_nothing_goes_unless_asked(archive: Archive, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    save(archive, 4000, [page("very old")])
    monkeypatch.setattr(Repository, "find_all_archived", None)  # nor is anything planned: it must be cheap
    assert prune(archive, repository, FOREVER) == 0


def test_a_body_that_a_kept_answer_needs_is_carried_over(archive: Archive, repository: Repository) -> None:
    same = page("same")[:1500]
    save(archive, 3, [same, page("old")])
    save(archive, 0.5, [same, page("young")])
    assert prune(archive, repository) == 1
    assert read(archive, repository, 0.5)[0] == same
    assert [run.portal for run in repository.find_all_archived()] == ["malangkota"]
    assert_whole(archive, repository)
    save(archive, 0.2, [same])
    assert read(archive, repository, 0.2) == [same]
    assert prune(archive, repository) == 0
    # Once nobody needs it any more it goes with the rest.
    later = NOW + 2 * DAY
    prune_archive(archive, repository, GONE_AFTER_A_DAY, WHOLE, later)
    assert files(archive) == []
    assert repository.find_segments() == []


def test_what_is_needed_by_what_goes_as_well_is_not_carried(archive: Archive, repository: Repository) -> None:
    same = page("same")[:1500]
    save(archive, 4, [same, page("old")])
    save(archive, 3, [same, page("less old")])
    save(archive, 0.5, [page("young")])
    assert prune(archive, repository) == 2
    assert len(files(archive)) == 1
    assert_whole(archive, repository)


def test_a_segment_of_which_most_is_needed_stays(archive: Archive, repository: Repository) -> None:
    same = page("same")
    save(archive, 3, [same])
    save(archive, 0.5, [same])
    before = files(archive)
    assert prune(archive, repository) == 0
    assert files(archive) == before
    assert read(archive, repository, 0.5) == [same]


def test_the_newest_full_run_of_each_portal_stays(archive: Archive, repository: Repository) -> None:
    full, other = [page("full"), page("full, too")], [page("other")]
    save(archive, 9, [page("before")], asked=WHOLE)
    save(archive, 8, full, asked=WHOLE)
    save(archive, 7, other, portal="batukota", asked=WHOLE)
    save(archive, 6, [page("cut short")], asked=WHOLE)
    save(archive, 5, [page("open")])
    at = NOW - 8 * DAY
    repository.save_run(Run(portal="malangkota", sweep=Sweep.FULL, started=at, finished=at, verdict=Verdict.OK))
    assert prune(archive, repository) == 3
    assert read(archive, repository, 8) == full
    assert read(archive, repository, 7, "batukota") == other
    assert [len(read(archive, repository, day)) for day in (9, 6, 5)] == [0, 0, 0]
    tiny = Crawl.model_construct(archive_keep=None, archive_size=1)
    assert prune(archive, repository, tiny) == 0


def test_a_segment_that_is_written_to_stays(archive: Archive, repository: Repository) -> None:
    save(archive, 3, [page("old")])
    (name,) = files(archive)
    writer = Segment.lock(archive.folder / name)
    assert writer is not None
    assert prune(archive, repository) == 0
    writer.close()
    assert prune(archive, repository) == 1


def test_an_answer_that_a_writer_has_not_indexed_yet_counts(archive: Archive, repository: Repository) -> None:
    """A run under way leans on an old body, and nobody but its segment knows of it."""
    same = page("same")[:1500]
    save(archive, 3, [same, page("old")])
    with archive.open_run("batukota", NOW, OPEN) as under_way:
        request = Request("https://spse.example.go.id/batukota")
        under_way.save(request, HtmlResponse(request.url, body=same))
        assert repository.find_snapshots("batukota", NOW) == []
        assert prune(archive, repository) == 1
    assert [archive.read(snapshot) for snapshot in repository.find_snapshots("batukota", NOW)] == [same]
    assert_whole(archive, repository)


def test_nothing_goes_while_the_archive_is_read(archive: Archive, repository: Repository) -> None:
    save(archive, 3, [page("old")])
    with archive.shared():
        assert prune(archive, repository) == 0
    assert prune(archive, repository) == 1


def test_a_damaged_body_that_is_needed_keeps_its_segment(archive: Archive, repository: Repository) -> None:
    same = page("same")[:1500]
    save(archive, 3, [same, page("old")])
    save(archive, 0.5, [same])
    (old, _) = files(archive)
    content = bytearray((archive.folder / old).read_bytes())
    snapshot = repository.find_snapshots("malangkota", NOW - 3 * DAY)[0]
    content[snapshot.frame + 500] ^= 1
    (archive.folder / old).write_bytes(content)
    assert prune(archive, repository) == 0
    assert old in files(archive)


# A kill in between --------------------------------------------------------------------------------------


class Killed(BaseException):
    """kill -9: nothing after it runs; what was locked is free."""


def kill_at(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*arguments: object) -> None:
        raise Killed

    owner, name = {
        "before the file is renamed": (Path, "rename"),
        "before the index forgets": (Repository, "forget_segment"),
        "before the space is free": (Path, "unlink"),
        "before the bodies are indexed": (Repository, "save_snapshots"),
    }[step]
    monkeypatch.setattr(owner, name, die)


@pytest.mark.parametrize("then", ["prune", "reindex", "crawl"])
@pytest.mark.parametrize(
    "step",
    [
        "before the bodies are indexed",
        "before the file is renamed",
        "before the index forgets",
        "before the space is free",
    ],
)
def test_a_kill_in_between_is_mended(
    archive: Archive, repository: Repository, step: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = page("same")[:1500]
    old = page("old")
    save(archive, 3, [same, old])
    save(archive, 0.5, [same, page("young")])
    with monkeypatch.context() as patch:
        kill_at(step, patch)
        with pytest.raises(Killed):
            prune(archive, repository)
    if then == "crawl":
        save(archive, 0.1, [old, same])
        assert read(archive, repository, 0.1) == [old, same]
        prune(archive, repository, FOREVER)
    elif then == "prune":
        prune(archive, repository)
    archive.reindex()
    assert_whole(archive, repository)
    assert read(archive, repository, 0.5)[0] == same
    begun = step.startswith(("before the index", "before the space"))
    assert (read(archive, repository, 3) == []) == (begun or then == "prune")
    if then == "crawl":
        assert read(archive, repository, 0.1) == [old, same]


def test_rows_of_a_file_that_somebody_deleted_leave_the_index(archive: Archive, repository: Repository) -> None:
    body = page("page")
    save(archive, 3, [body])
    (archive.folder / files(archive)[0]).unlink()
    save(archive, 2, [body])  # does not lean on what is not there
    assert read(archive, repository, 2) == [body]
    archive.reindex()
    assert repository.find_archived_runs("malangkota", NOW - 9 * DAY) == [NOW - 2 * DAY]
    assert_whole(archive, repository)


def test_a_carried_body_is_no_answer_of_any_run(archive: Archive, repository: Repository) -> None:
    same = page("same")[:1500]
    save(archive, 3, [same, page("old")])
    save(archive, 0.5, [same])
    prune(archive, repository)
    holder = repository.find_body(aggregator.archive.hash_body(same))
    assert isinstance(holder, Snapshot)
    assert (holder.portal, holder.run) == (CARRIED, NOW - 0.5 * DAY)
    assert look_at(archive, repository, FOREVER, WHOLE, NOW, prune=False)["answers"] == 1


# The whole road -----------------------------------------------------------------------------------------


def with_limits(road: Road, monkeypatch: pytest.MonkeyPatch, **limits: object) -> Config:
    monkeypatch.setattr(aggregator.archive, "SEGMENT_SIZE", 20_000)
    table = road.config.crawl.model_copy(update=limits)
    road.config = road.config.model_copy(update={"crawl": table})
    return road.config


def crawl_days(road: Road, days: int) -> None:
    """A whole run a day, and a price that moves."""
    for _ in range(days):
        road.world.reprice(road.world.open("tender")[0].key)
        road.now += DAY
        crawl(road.config, road.config.portal, road.repository, Order(), now=road.now)


def test_a_crawl_prunes_when_it_ends(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_limits(road, monkeypatch, archive_keep=2.5 * DAY)
    crawl_days(road, 5)
    runs = road.repository.find_archived_runs("malangkota", NOW - 99 * DAY)
    assert [(road.now - run).days + 1 for run in runs] == [3, 2, 1, 0][-len(runs) :]
    assert len(runs) < 5
    assert_whole(Archive(config.archive_folder, road.repository), road.repository)
    before = road.records()
    dry = Order(dry_run=True)
    crawl(config, config.portal, road.repository, dry, now=road.now + 900 * DAY)
    assert road.repository.find_archived_runs("malangkota", NOW - 99 * DAY) == runs
    (run,) = replay(config, config.portal, road.repository, None, road.now)
    assert (run.verdict, run.new, run.changed) == (Verdict.OK, 0, 0)
    assert road.records() == before


def test_a_crawl_whose_archive_cannot_be_pruned_is_good_all_the_same(
    road: Road, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_limits(road, monkeypatch, archive_keep=timedelta(0))

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aggregator.retention.find_sizes", fail)
    (run,) = crawl(road.config, road.config.portal, road.repository, Order(), now=road.now)
    assert run.verdict is Verdict.OK
    assert "could not be removed from the archive" in caplog.text


def test_a_crawl_forgets_old_runs_when_it_ends(road: Road) -> None:
    (run,) = crawl(road.config, road.config.portal, road.repository, Order(), now=road.now)
    for days in (1, 2, 29):
        at = road.now + days * DAY
        road.repository.save_run(replace(run, started=at, finished=at))
    crawl(road.config, road.config.portal, road.repository, Order(dry_run=True), now=road.now + 31 * DAY)
    assert count_runs(road.repository) == 4
    crawl(road.config, road.config.portal, road.repository, Order(), now=road.now + 31 * DAY)
    assert count_runs(road.repository) == 2  # of the last 28 days: this one, and that of two days before


def count_runs(repository: Repository) -> int:
    newest = find_newest_run(repository.engine)
    return sum(each.runs for each in find_run_sums(repository.engine, 0, newest))


# The command --------------------------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What `warta archive` tells of a configuration that keeps answers for a day."""
    monkeypatch.delenv("WARTA_DATABASE_URL", raising=False)
    path = tmp_path / "warta.toml"
    text = CONFIG.replace("delay = 0.0", 'delay = 0.0\narchive_keep = "1d"\narchive = "archive"')
    path.write_text(text.replace("[[portal]]", '[database]\nurl = "sqlite:///warta.db"\n\n[[portal]]'))

    def tell(*options: str) -> str:
        result = CliRunner().invoke(warta.app, ["--config", str(path), "archive", *options])
        assert result.exit_code == 0, result.output
        return result.stdout

    return tell


def test_an_archive_that_is_not_there_is_told_and_not_made(told: Callable[..., str], tmp_path: Path) -> None:
    answer = json.loads(told("--json"))
    assert (answer["bytes"], answer["runs"], answer["oldest"], answer["portals"]) == (0, 0, None, [])
    assert "0 segments" in told()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["warta.toml"]
    assert json.loads(told("--json", "--prune"))["removed"] == {"segments": 0, "bytes": 0}


def test_the_archive_is_told_and_pruned(told: Callable[..., str], archive: Archive) -> None:
    now = datetime.now(UTC)
    age = (NOW - now) / DAY  # the command has the clock on the wall
    save(archive, age + 3, [page("old")])
    save(archive, age + 0.5, [page("young"), page("young, too")], portal="batukota")
    answer = json.loads(told("--json"))
    size = sum(path.stat().st_size for path in archive.folder.glob("*.zst"))
    assert (answer["bytes"], answer["segments"], answer["runs"], answer["answers"]) == (size, 3, 2, 3)
    assert answer["limits"] == {"keep": 86400, "size": 10**10}
    assert answer["removable"]["segments"] == 1
    assert [(row["portal"], row["runs"], row["answers"]) for row in answer["portals"]] == [
        ("batukota", 1, 2),
        ("malangkota", 1, 1),
    ]
    assert (answer["oldest"], answer["newest"]) == (answer["portals"][1]["oldest"], answer["portals"][0]["newest"])
    assert f"would remove at most: 1 segment, {answer['removable']['bytes'] / 1000:.1f} kB" in told()
    pruned = json.loads(told("--json", "--prune"))
    assert pruned["removed"] == answer["removable"]
    assert pruned["removable"] == {"segments": 0, "bytes": 0}
    assert pruned["runs"] == 1
    assert "Removed" not in told("--prune")


def test_the_json_is_documented_as_it_is(told: Callable[..., str], archive: Archive) -> None:
    save(archive, (NOW - datetime.now(UTC)) / DAY, [page("page")])
    text = (Path(__file__).parents[1] / "docs/commands.md").read_text(encoding="utf-8")
    documented = json.loads(text.split("$ warta archive --json\n")[1].splitlines()[0])
    answer = json.loads(told("--json"))
    assert [list(answer), *map(list, answer["portals"])] == [list(documented), *map(list, documented["portals"])]
    assert list(answer["limits"]) == list(documented["limits"])


def test_a_folder_that_cannot_be_used_is_one_line(
    told: Callable[..., str], tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(archive, (NOW - datetime.now(UTC)) / DAY + 3, [page("old")])
    (archive.folder / ".lock").unlink()
    (archive.folder / ".lock").mkdir()
    monkeypatch.setattr("sys.argv", ["warta", "--config", str(tmp_path / "warta.toml"), "archive", "--prune"])
    with pytest.raises(SystemExit) as end:
        warta.main()
    assert end.value.code == 2
