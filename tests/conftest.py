"""Fixtures that several tests share: a configuration in a folder of its own, and an empty repository."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from aggregator.config import DATABASE_URL, Config, load_config
from aggregator.database import open_database
from aggregator.repository import Repository
from demo.spse import Portal as StandIn
from demo.world import World
from tests.databases import address, database_kind, emptied, engine, postgresql, unmade  # noqa: F401  fixtures
from tests.road import HEAD, NOW, Road

ROOT = Path(__file__).parents[1]

# The same examples at every run, and none of them a failure for being slow: CI must not turn with the dice.
# HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

SPSE = """\
[[portal]]
id = "malangkota"
family = "spse"
name = "LPSE Kota Malang"
url = "{url}"
kinds = ["tender", "non_tender", "recorded", "self_managed", "emergency"]
"""
CONFIG = HEAD + SPSE.replace("{url}", "https://spse.example.go.id/malangkota")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a third of the time of the tests is waiting."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warta.toml with one portal that does not exist; its database and files lie beside it."""
    monkeypatch.delenv(DATABASE_URL, raising=False)
    path = tmp_path / "warta.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def config(config_file: Path) -> Config:
    return load_config(config_file)


@pytest.fixture
def repository(config: Config) -> Repository:
    return Repository(open_database(config.database_url))


def need(program: str) -> str:
    """The path of a program that a test needs: skips the test where it is missing, but fails it in CI."""
    path = shutil.which(program)
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"{program} is missing; .ci/run should have installed it")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


@pytest.fixture
def make_road(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Road]]:
    """Makes roads from numbers of packages of each kind; their servers end with the test."""
    monkeypatch.delenv(DATABASE_URL, raising=False)
    with ExitStack() as servers:

        def make(**world: Any) -> Road:
            sizes = {"tenders": 12, "non_tenders": 12, "recorded": 6, "self_managed": 4, "emergencies": 2} | world
            return servers.enter_context(Road.open(StandIn(World(NOW, **sizes)), SPSE, tmp_path))

        yield make


@pytest.fixture
def road(make_road: Callable[..., Road]) -> Road:
    return make_road()
