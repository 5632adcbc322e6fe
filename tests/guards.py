"""`make guards`: takes each guard of guards.toml out, in a copy of the tree, and sees its test fail.

`python -m tests.guards --table` writes the list into docs/security.md; tests/test_guards.py holds what is quick.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("guards.toml")
DOCUMENT = ROOT / "docs" / "security.md"
START, END = "<!-- guards: written by python -m tests.guards --table -->", "<!-- end of guards -->"
AREAS = {
    "crawling": "Where the crawler goes, and what it takes",
    "sources": "What a page or a file of a source holds",
    "readers": "What readers get: feeds, pages, embeds, calendars",
    "exports": "Exports and files for researchers",
    "server": "The server and its API",
    "database": "The database and the search",
    "secrets": "Secrets",
    "wordpress": "The WordPress plugin",
    "bad days": "Bad days",
}
LONGEST = 180  # seconds that one test may take; one that never ends proves nothing
# A file that is broken makes every test fail: that is not the guard being missed.
BROKEN = ("SyntaxError", "IndentationError", "ImportError", "ModuleNotFoundError", "NameError", "UnboundLocalError")
NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv*", "var", "dist", "node_modules", "__pycache__"),
    *(".hypothesis", ".mypy_cache", ".ruff_cache", ".pytest_cache"),
)


@dataclass(frozen=True)
class Guard:
    """One guard: what it stands against, where it stands, what stands there without it, the test that misses it."""

    area: str
    threat: str
    guard: str
    file: str
    find: str
    replace: str
    test: str

    def take_out(self, text: str) -> str:
        """The file's text without the guard; raises ValueError where the guard cannot be told from the rest."""
        if text.count(self.find) != 1:
            raise ValueError(f"{self.file} holds what `find` says {text.count(self.find)} times, not once")
        changed = text.replace(self.find, self.replace)
        if changed == text:
            raise ValueError("`replace` is the same as `find`")
        if self.file.endswith(".py"):
            compile(changed, self.file, "exec", dont_inherit=True)
        return changed


def load_guards(path: Path = LIST) -> list[Guard]:
    """The list, in the order of its areas as they are told in docs/security.md."""
    guards = [Guard(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["guard"]]
    return sorted(guards, key=lambda guard: list(AREAS).index(guard.area))


def render_table(guards: list[Guard]) -> str:
    """The tables of docs/security.md, one an area."""
    parts = []
    for area, members in groupby(guards, key=lambda guard: guard.area):
        rows = [
            f"| {_cell(one.threat)} | {_cell(one.guard)} | `{one.test.partition('[')[0].removeprefix('tests/')}` |"
            for one in members
        ]
        parts.append("\n".join([f"### {AREAS[area]}", "", "| threat | guard | test |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def put_into_document(document: str, table: str) -> str:
    """The document with the table between its markers."""
    head, _, rest = document.partition(START)
    _, _, tail = rest.partition(END)
    return f"{head}{START}\n\n{table}\n\n{END}{tail}"


# Taking them out -------------------------------------------------------------------------------------------


def run_tests(tree: Path, *tests: str) -> tuple[str, str]:
    """How tests end in a tree, *passed*, *failed*, *skipped* or *broken*, and a line that says why."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = ["-m", "pytest", "-p", "no:cacheprovider", "-x", "-q", f"--junit-xml={report.name}", *tests]
        # No compiled files: a file changed twice in a second, to the same size, would be taken for the one before.
        environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [sys.executable, *command], cwd=tree, env=environment, timeout=LONGEST, capture_output=True, text=True
            )
        except subprocess.TimeoutExpired:
            return "broken", f"did not end within {LONGEST} s"
        said = [line for line in done.stdout.splitlines() if line.strip()] or done.stderr.splitlines() or [""]
        if done.returncode not in (0, 1):
            return "broken", f"pytest ended with {done.returncode}: {said[-1]}"
        cases = list(ElementTree.parse(report.name).iter("testcase"))
    failures = [part.get("message", "") for case in cases for part in case.iter("failure")]
    if done.returncode and (len(failures) != 1 or failures[0].startswith(BROKEN)):
        return "broken", f"no failure of the test itself: {failures[0] if failures else said[-1]}"
    if done.returncode:
        return "failed", failures[0].split("\n")[0]
    skipped = [part.get("message", "") for case in cases for part in case.iter("skipped")]
    return ("skipped", skipped[0]) if skipped else ("passed", said[-1])


@contextmanager
def _written(path: Path, text: str) -> Iterator[None]:
    """A file with another text, for a while."""
    before = path.read_bytes()
    path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_bytes(before)


def try_guard(guard: Guard, tree: Path) -> tuple[str, str]:
    """*noticed*, when the test passes with the guard and fails without it; else what happened instead. And why."""
    file = tree / guard.file
    try:
        without = guard.take_out(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        return "broken", str(error)
    result, why = run_tests(tree, guard.test)
    if result != "passed":
        return ("skipped", why) if result == "skipped" else ("broken", f"fails with the guard in its place: {why}")
    with _written(file, without):
        result, why = run_tests(tree, guard.test)
    return {"failed": "noticed", "passed": "UNNOTICED"}.get(result, result), why


def try_all(guards: list[Guard]) -> dict[str, int]:
    """Tries guards side by side, in as many copies of the tree as there are processors; tells each as it ends."""
    count: dict[str, int] = {}
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="warta-guards-") as folder:
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        workers = min(os.cpu_count() or 1, len(guards))
        for number in range(workers):
            tree = Path(folder) / str(number)
            # Copied from the first: the tree may change meanwhile, and all are to be tried on the same.
            source = Path(folder) / "0" if number else ROOT
            trees.put(Path(shutil.copytree(source, tree, symlinks=True, ignore=NOT_COPIED)))

        def try_one(guard: Guard) -> tuple[str, str]:
            tree = trees.get()
            try:
                return try_guard(guard, tree)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(workers) as pool:
            for guard, (result, why) in zip(guards, pool.map(try_one, guards), strict=True):
                count[result] = count.get(result, 0) + 1
                console.print(f"{result:9} {guard.area}: {guard.threat}")
                if result != "noticed":
                    console.print(f"          {guard.file}, {guard.test}: {why}")
    return count


def main(arguments: list[str]) -> int:
    """`--table` writes docs/security.md; otherwise the guards whose area or threat holds the words given, or all."""
    guards = load_guards()
    if arguments == ["--table"]:
        document = put_into_document(DOCUMENT.read_text(encoding="utf-8"), render_table(guards))
        DOCUMENT.write_text(document, encoding="utf-8")
        return 0
    words = " ".join(arguments).lower()
    chosen = [guard for guard in guards if words in f"{guard.area}: {guard.threat}".lower()]
    if not chosen:
        sys.stderr.write(f"No guard's threat holds {words!r}; tests/guards.toml lists them.\n")
        return 2
    count = try_all(chosen)
    told = ", ".join(f"{number} {result}" for result, number in count.items())
    Console(highlight=False, markup=False, soft_wrap=True).print(f"{len(chosen)} guards: {told}")
    return 0 if set(count) <= {"noticed", "skipped"} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
