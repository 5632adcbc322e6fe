"""`make family`: what it writes is clean, is found by Scrapy, and fails one test only, which says what to write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aggregator.config import parse_config
from spiders.scaffold.__main__ import FILES, LONGEST_NAME, find_mistake, main, render_files, render_template
from tests.road import HEAD

ROOT = Path(__file__).parents[1]
NAME = "tender_watch"


def run(folder: Path, *command: str | Path) -> tuple[int, str]:
    env = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"}
    arguments = [sys.executable, "-m", *map(str, command)]
    done = subprocess.run(arguments, cwd=folder, env=env, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a family stands on, with one more family in it."""
    folder = tmp_path_factory.mktemp("checkout")
    for room in ("spiders", "aggregator", "demo"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    shared = [f"tests/{name}.py" for name in ("__init__", "conftest", "databases", "road")]
    for paper in ("pyproject.toml", "scrapy.cfg", *shared):
        shutil.copy2(ROOT / paper, folder / paper)
    if (cache := ROOT / ".mypy_cache").is_dir():  # what `make check` knows already is not worked out again
        shutil.copytree(cache, folder / cache.name)
    main([NAME, "--into", str(folder)])
    return folder


def modules(folder: Path) -> list[str]:
    return [name for name in render_files(NAME) if name.endswith(".py") and (folder / name).exists()]


def test_every_file_is_made(checkout: Path) -> None:
    made = {pattern.format(NAME) for pattern in FILES.values()}
    assert {name for name in made if (checkout / name).is_file()} == made
    assert len(modules(checkout)) == 3


@pytest.mark.parametrize("tool", [("ruff", "format", "--check"), ("ruff", "check"), ("mypy",)], ids=" ".join)
def test_what_is_made_is_clean(tool: tuple[str, ...], checkout: Path) -> None:
    code, told = run(checkout, *tool, *modules(checkout))
    assert code == 0, told


def test_names_of_any_length_and_place_among_the_imports_are_clean(tmp_path: Path) -> None:
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    for room in ("spiders", "demo", "tests"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").touch()
    for name in ("a", "z9", "server_x", "open_" + "w" * (LONGEST_NAME - 5)):
        main([name, "--into", str(tmp_path)])
    for tool in (("format", "--check"), ("check",)):
        code, told = run(tmp_path, "ruff", *tool, ".")
        assert code == 0, told


def test_the_made_test_fails_once_and_says_what_to_do_next(checkout: Path) -> None:
    code, told = run(checkout, "pytest", "-q", "-p", "no:cacheprovider", f"tests/test_{NAME}.py")
    assert code == 1, told
    failed = [line for line in told.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert [line.split(" - ")[0] for line in failed] == [
        f"FAILED tests/test_{NAME}.py::test_each_page_means_its_value[page]"
    ]
    assert (
        f"AssertionError: parse_row of spiders/{NAME}.py does not read this page as the value beside it says." in told
    )
    assert f"1. tests/fixtures/{NAME}/page.json: a page of the source's own shape" in told
    assert "docs/adding-a-source.md" in told


def test_the_made_test_passes_once_the_parser_is_written(checkout: Path, tmp_path: Path) -> None:
    folder = tmp_path / "written"
    shutil.copytree(checkout, folder)
    spider = folder / f"spiders/{NAME}.py"
    text = spider.read_text(encoding="utf-8")
    line = next(line for line in text.splitlines(keepends=True) if "Yours to write" in line)
    text = text.replace(line, WRITTEN).replace("import ONE_LIST", "import Status, ONE_LIST")
    spider.write_text(text.replace("import ShapeError", "import parse_rupiah, ShapeError"), encoding="utf-8")
    few = ("-k", "means_its_value or first_crawl")
    code, told = run(folder, "pytest", "-q", "-p", "no:cacheprovider", *few, f"tests/test_{NAME}.py")
    assert code == 0, told


WRITTEN = """\
            buyer=told.pop("buyer"),
            status={"Dibuka": Status.ACTIVE, "Dibatalkan": Status.CANCELLED}[told.pop("state")],
            deadline=parse_time(told.pop("closes", ""), portal.zone),
            value=parse_rupiah(told.pop("amount")),
"""


def test_scrapy_finds_the_made_spider_and_chokes_on_no_template(checkout: Path) -> None:
    code, told = run(checkout, "scrapy", "list")
    assert (code, "Traceback" in told, "Warning" in told) == (0, False, False), told
    assert {NAME, "spse"} <= set(told.split())
    assert not list((ROOT / "spiders/scaffold/templates").rglob("*.py"))


def test_the_tables_it_shows_are_portals() -> None:
    page = render_template("source.md", NAME).partition("```toml\n")[2].partition("```")[0]
    entry = render_template("example.txt", NAME).partition('"""\\\n')[2].partition('"""')[0]
    for table in (page, entry.replace("{url}", "https://example.go.id")):
        (portal,) = parse_config(HEAD + table, Path("warta.toml")).portal
        assert (portal.id, portal.family) == ("tender-watch", NAME)


def test_the_page_and_its_value_are_json() -> None:
    files = render_files(NAME)
    page, value = (json.loads(files[f"tests/fixtures/{NAME}/page{end}.json"]) for end in ("", ".value"))
    assert len(page["rows"]) == len(value["tenders"]) == page["total"]


def test_nothing_is_overwritten(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: (checkout / name).read_bytes() for name in render_files(NAME)}
    with pytest.raises(SystemExit) as ended:
        main([NAME, "--into", str(checkout)])
    assert ended.value.code == 2
    assert f"spiders/{NAME}.py" in (told := capsys.readouterr().err)
    assert "there already, and never overwritten" in told
    assert {name: (checkout / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("name", ["spse", "portal", "world", "worldbank"])
def test_a_name_that_a_module_has_is_refused(name: str) -> None:
    assert "there already" in (find_mistake(name, ROOT) or "")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "small letters, digits and _ only"),
        ("Tender", "small letters, digits and _ only"),
        ("9lives", "small letters, digits and _ only"),
        ("open-data", "small letters, digits and _ only"),
        ("../x", "small letters, digits and _ only"),
        ("x\n", "small letters, digits and _ only"),
        ("import", "a word of Python"),
        ("x" * (LONGEST_NAME + 1), f"{LONGEST_NAME} characters at the most"),
    ],
)
def test_a_name_that_cannot_be_is_told(name: str, told: str, tmp_path: Path) -> None:
    assert told in (find_mistake(name, tmp_path) or "")
