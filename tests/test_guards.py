"""The list of guards is true: each stands where it says, once, and its test is there. `make guards` takes them out."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.guards import (
    AREAS,
    DOCUMENT,
    ROOT,
    Guard,
    load_guards,
    put_into_document,
    render_table,
    run_tests,
    try_guard,
)

GUARDS = load_guards()


@cache
def find_tests(file: str) -> frozenset[str]:
    """The test functions of a file, with their classes, as pytest names them."""
    found: set[str] = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        members = [(f"{node.name}::", each) for each in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
        found |= {
            f"{prefix}{each.name}"
            for prefix, each in members
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        }
    return frozenset(found)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.threat[:60])
def test_a_guard_stands_where_the_list_says(guard: Guard) -> None:
    guard.take_out((ROOT / guard.file).read_text(encoding="utf-8"))
    named = [ROOT / word.strip(",:;()") for word in guard.guard.split() if "." in word.strip(",:;().")]
    assert any(path.is_file() for path in named) or guard.file.split("/")[-1] in guard.guard, "`guard` names its file"
    assert all("\n" not in text and text.strip() for text in (guard.threat, guard.guard))
    file, _, test = guard.test.partition("::")
    assert test.partition("[")[0] in find_tests(file)


def test_no_threat_stands_twice() -> None:
    threats = [(guard.area, guard.threat) for guard in GUARDS]
    assert sorted(set(threats)) == sorted(threats)


def test_every_area_has_a_guard() -> None:
    assert {guard.area for guard in GUARDS} <= set(AREAS)


def test_the_paper_shows_the_list() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    fresh = put_into_document(document, render_table(GUARDS))
    assert document == fresh, "python -m tests.guards --table"


# How one is taken out -------------------------------------------------------------------------------------

TESTS = """
import guarded
import pytest

def test_it_is_refused():
    assert guarded.answer("<") is None

def test_something_else():
    assert guarded.answer("a") == "a"

def test_not_here():
    pytest.skip("needs a program")
"""
GUARDED = 'def answer(text):\n    if "<" in text:\n        return None\n    return text\n'


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take most of the time, and have no part in this
    (tmp_path / "guarded.py").write_text(GUARDED)
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


@pytest.mark.parametrize(
    ("find", "replace", "test", "result", "why"),
    [
        ('if "<" in text:', "if False:", "test_it_is_refused", "noticed", "AssertionError"),
        ('if "<" in text:', "if False:", "test_something_else", "UNNOTICED", "1 passed"),
        ('if "<" in text:', "if False:", "test_not_here", "skipped", "needs a program"),
        ('if "<" in text:', "if False:", "test_of_no_such_name", "broken", "pytest ended with 4"),
        ('if "<" in text:', "if undefined:", "test_it_is_refused", "broken", "NameError"),
        ('if "<" in text:', "if (:", "test_it_is_refused", "broken", "invalid syntax"),
        ('if ">" in text:', "if False:", "test_it_is_refused", "broken", "0 times"),
        ("text", "x", "test_it_is_refused", "broken", "3 times"),
    ],
)
def test_only_a_test_that_misses_the_guard_counts(
    tree: Path, find: str, replace: str, test: str, result: str, why: str
) -> None:
    guard = Guard("sources", "", "", "guarded.py", find, replace, f"test_it.py::{test}")
    told = try_guard(guard, tree)
    assert told[0] == result
    assert why in told[1]
    assert (tree / "guarded.py").read_text() == GUARDED  # put back


def test_a_test_that_fails_with_its_guard_proves_nothing(tree: Path) -> None:
    (tree / "guarded.py").write_text(GUARDED.replace("return None", "return 1"))
    guard = Guard("sources", "", "", "guarded.py", 'if "<" in text:', "if False:", "test_it.py::test_it_is_refused")
    assert try_guard(guard, tree)[0] == "broken"


def test_a_failing_fixture_is_no_failing_test(tree: Path) -> None:
    text = TESTS + "\n@pytest.fixture\ndef bad():\n    raise OSError\n\ndef test_bad(bad):\n    pass\n"
    (tree / "test_it.py").write_text(text)
    result, why = run_tests(tree, "test_it.py::test_bad")
    assert (result, "no failure of the test itself" in why) == ("broken", True)
