"""The built wheel: all rooms with their templates and migrations are in it, and it runs away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by hatchling, which is installed: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile")
    run(*pip, "--target", folder, wheel, cwd=folder)
    return folder


def test_the_wheel_holds_every_file_of_the_rooms_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    rooms = [
        path.relative_to(ROOT).as_posix()
        for room in ("commands", "spiders", "aggregator", "feeds", "demo")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert held == {"warta.py", *rooms}
    assert any(name.startswith("aggregator/migrations/versions/") for name in held)
    assert any(name.startswith("feeds/site/") and name.endswith(".html") for name in held)


def test_the_installed_command_runs_from_anywhere(installed: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(installed), "NO_COLOR": "1"}
    told = run(sys.executable, installed / "bin" / "warta", "--help", cwd=tmp_path, env=env)
    assert "Reads official procurement portals" in told
    where = run(sys.executable, "-c", "import warta; print(warta.__file__)", cwd=tmp_path, env=env)
    assert Path(where.strip()).is_relative_to(installed)


def test_what_is_installed_opens_a_database_and_writes_a_configuration(installed: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(installed)}
    warta = (sys.executable, installed / "bin" / "warta")
    answers = ("--name", "BLP", "--url", "https://blp.example.go.id/", "--portal", "malangkota", "--yes")
    run(*warta, "init", "desk", *answers, cwd=tmp_path, env=env)
    assert "malangkota" in run(*warta, "portals", cwd=tmp_path / "desk", env=env)
    run(*warta, "publish", cwd=tmp_path / "desk", env=env)
    assert (tmp_path / "desk/var/warta.db").exists()


def test_the_version_is_told(installed: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(installed)}
    told = run(sys.executable, installed / "bin" / "warta", "--version", cwd=tmp_path, env=env)
    assert f'version = "{told.split()[1]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
