"""The rules of the house, held by reading the files: rooms, arrows, names, sizes, no registry address."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("commands", "spiders", "aggregator", "feeds", "demo")
MODULES = [*sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")), ROOT / "warta.py"]
PYTHON = [*MODULES, *sorted(path for room in ("benchmarks", "tests") for path in (ROOT / room).rglob("*.py"))]

# commands → all; spiders → aggregator ← feeds; the stand-ins of demo/ know nothing of how they are read.
MAY_IMPORT = {
    "commands": {"spiders", "aggregator", "feeds", "demo"},
    "spiders": {"aggregator"},
    "aggregator": set[str](),
    "feeds": {"aggregator"},
    "demo": set[str](),
}
SQL_STANDS_IN = {
    *("repository", "saving", "linking", "statements", "conditions", "database", "connecting", "versions"),
    *("facets", "reports", "yearly", "visits", "sequence", "paging", "histories", "copying"),
    *("leases", "robots", "notices", "sizes", "queue", "queue_connection", "run_log"),
}
SQL = {"sqlalchemy", "alembic", "sqlite3", "psycopg"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Every module that ``path`` imports, anywhere in it, under TYPE_CHECKING too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def tracked() -> list[Path]:
    """The files git knows, new ones too, ignored ones not; all files where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True
    )
    if listing.returncode:
        return [
            path
            for path in ROOT.rglob("*")
            if path.is_file() and not path.relative_to(ROOT).as_posix().startswith(".venv")
        ]
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    if room == "warta.py":
        return  # the only place that knows all rooms
    known = {module.split(".")[0] for module in imports(path)} & {*ROOMS, "warta", "tests"}
    assert known - {room} <= MAY_IMPORT[room]


@pytest.mark.parametrize("path", [m for m in MODULES if m.name != "warta.py"], ids=name_of)
def test_sql_stays_where_it_belongs(path: Path) -> None:
    if "migrations" in path.parts or name_of(path) in {f"aggregator/{name}.py" for name in SQL_STANDS_IN}:
        return
    assert not {module.split(".")[0] for module in imports(path)} & SQL


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_no_module_is_a_drawer_for_everything(path: Path) -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "base", "misc", "mixins", "tools", "core", "manager"}
    assert not drawers & set(path.stem.split("_"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 600
    lengths = {
        node.name: (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > 60} == {}


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "starts with a docstring of one to three lines"


@pytest.mark.parametrize("path", PYTHON, ids=name_of)
def test_no_error_is_swallowed(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: bare except"
            silent = all(isinstance(part, ast.Pass) for part in node.body)
            assert not silent, f"line {node.lineno}: name what is ignored with contextlib.suppress"


def test_no_file_names_a_package_registry() -> None:
    hosts = "|".join(["py" + "pi", "python" + "hosted", "npm" + "js"])
    address = re.compile(rf"https?://[\w.-]*({hosts})|index" + r"-url|https?://[\w.-]+/simple\b")
    found = [
        name_of(path)
        for path in tracked()
        if path.suffix not in {".png", ".gz", ".zip", ".ico"} and address.search(path.read_text(errors="replace"))
    ]
    assert found == []


def test_no_file_is_large() -> None:
    assert [name_of(path) for path in tracked() if path.stat().st_size > 400_000] == []


def test_every_room_and_paper_stands_at_the_top() -> None:
    papers = "README.md README.id.md CONTRIBUTING.md CHANGELOG.md SECURITY.md LICENSE Makefile .ci/run scrapy.cfg"
    assert [name for name in (*papers.split(), *ROOMS) if not (ROOT / name).exists()] == []


def test_the_lock_pins_every_dependency_with_hashes() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)
    # With or without an extra: "psycopg[binary]>=3.1", "alembic>=1.13".
    wanted = re.findall(r'"([a-z0-9-]+)(?:\[[a-z]+\])?>=', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert wanted
    assert set(wanted) <= set(pinned)
    assert lock.count("\n    --hash=sha256:") >= len(pinned)
