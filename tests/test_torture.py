"""The bad days of `make torture` in short, with fixed seeds: a few rounds of each, and the guards one by one."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.full import fail, run_short
from tests.torture.killing import ACTS, Report, kill
from tests.torture.month import live_a_month
from tests.torture.power import Disk, cut_power, read_steps
from tests.torture.serving import starve_server
from tests.torture.spoilt import SPOILS, spoil, take_away
from tests.torture.stage import Stage, open_stage
from tests.torture.striking import find_compiler, open_forge


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Skips the test where there is no C compiler, but fails it in CI."""
    if find_compiler() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no C compiler; .ci/run should have installed one")
        pytest.skip("no C compiler: install gcc and libc6-dev")
    with open_forge() as forge, open_stage(forge) as stage:
        yield stage


def assert_held(report: Report, blows: int = 1) -> None:
    """Something was struck, something was looked at, and nothing was wrong."""
    assert report.violations == []
    assert report.blows >= blows
    assert report.checked > 0


def draw(name: str) -> random.Random:
    """Dice that fall alike in every run of the suite."""
    return random.Random(f"suite {name}")


@pytest.mark.parametrize("name", ["crawl", "publish", "migrate", "backup", "restore", "export"])
def test_what_is_killed_loses_and_leaves_nothing(stage: Stage, name: str) -> None:
    assert_held(kill(stage, ACTS[name], 2, draw(name)))


@pytest.mark.parametrize("name", ["crawl", "publish", "restore"])
def test_the_power_fails(stage: Stage, name: str) -> None:
    assert_held(cut_power(stage, ACTS[name], 2, draw(name)))


@pytest.mark.parametrize(("name", "rounds"), [("crawl", 1), ("publish", 2), ("export", 2)])
def test_the_disk_fails(stage: Stage, name: str, rounds: int) -> None:
    assert_held(fail(stage, ACTS[name], rounds, draw(name)))


def test_a_publish_with_few_files_to_open_ends_in_a_line(stage: Stage) -> None:
    assert_held(run_short(stage, ACTS["publish"], 1, random.Random(5)))


@pytest.mark.parametrize("name", ["foreign", "gone"])
def test_a_spoilt_database_is_told_and_never_replaced(stage: Stage, name: str) -> None:
    assert name in SPOILS
    assert_held(spoil(stage, name, 1, draw(name), [("publish",)]))


def test_a_database_that_goes_during_a_crawl_is_told_and_never_replaced(stage: Stage) -> None:
    assert_held(take_away(stage, 1, random.Random(4)))


def test_a_server_without_files_to_open_answers_again(stage: Stage) -> None:
    assert_held(starve_server(stage, 1, random.Random(3)))


@pytest.mark.parametrize("name", ["crawl", "publish", "export", "backup", "restore"])
def test_all_is_synced_before_it_is_named_and_once_a_verb_has_ended(stage: Stage, name: str, tmp_path: Path) -> None:
    act = ACTS[name]
    with stage.play(act.begins) as play:
        disk = Disk(play.folder)
        assert play.run(*act.arguments, log=tmp_path / "steps").code == 0
        steps = list(read_steps(tmp_path / "steps"))
        for step in steps:
            disk.do(step)
    assert len(steps) > 10
    assert disk.wrong == []
    assert disk.find_unsafe() == []


def test_after_days_of_faults_database_feeds_and_truth_agree(tmp_path: Path) -> None:
    outcome = live_a_month(tmp_path, seed=3, turns=14)
    assert outcome.looked_at > 0
    assert outcome.befell.total() == 14
    assert len(outcome.befell) > 3
