"""No regular expression takes more than a moment of text that was written to make it take for ever (ReDoS).

Every expression of the program is found in its source, with how it is used, and is run on texts made from itself: each
part that repeats is repeated thousands of times, and then goes on as it should not.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fuzzing.checking import TooLong, bounded

ROOT = Path(__file__).parents[1]
sre: Any = importlib.import_module("re._parser")  # private, so without types
METHODS = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
LONG = 60_000  # characters: a linear expression needs a hundredth of PATIENCE, one that squares many times that
PATIENCE = 0.25  # seconds of processor time for one text
LETTERS = ("a1 -=/:.", "1a -=/:.", " a1-=/:.", '?A<"')  # of a class, the first of these that it has
OTHERS = "".join(map(chr, range(256))) + "\ud800\ufdd0\ufffe\u200b\u0301\u2028😀"
TAILS = ("", "\x00", "! ", "1")

# Squares on such texts, but never sees one: what keeps its text short stands beside it.
SHORT_ONLY: dict[str, str] = {}


class Use(NamedTuple):
    """An expression as it stands somewhere, and what is done with it."""

    place: str
    pattern: str | bytes
    flags: int
    method: str


def find_uses() -> Iterator[Use]:
    """Every expression in the program's source, once for each way it is used."""
    for room in ("spiders", "aggregator", "feeds", "commands"):
        for path in sorted((ROOT / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            place = path.relative_to(ROOT).as_posix()
            compiled: dict[str, ast.Call] = {}
            for node in ast.walk(tree):
                if isinstance(node, ast.Assign):
                    pairs = _pair(node.targets[0], node.value)
                    compiled |= {name: call for name, call in pairs if _is_re(call, {"compile"})}
            used: dict[str, set[str]] = {name: set() for name in compiled}
            for node in ast.walk(tree):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                if _is_re(node, METHODS):
                    yield from _read(place, node, node.func.attr)
                elif isinstance(node.func.value, ast.Name) and node.func.value.id in used:
                    used[node.func.value.id].add(node.func.attr)
            for name, call in compiled.items():
                for method in used[name] or {"search"}:  # used elsewhere, or called in another way: the hardest
                    yield from _read(f"{place} {name}", call, method)


def _pair(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.Call]]:
    if isinstance(target, ast.Name) and isinstance(value, ast.Call):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for each, part in zip(target.elts, value.elts, strict=True):
            yield from _pair(each, part)


def _is_re(call: ast.Call, names: set[str]) -> bool:
    named = call.func
    return (
        isinstance(named, ast.Attribute)
        and isinstance(named.value, ast.Name)
        and named.value.id == "re"
        and named.attr in names
    )


def _read(place: str, call: ast.Call, method: str) -> Iterator[Use]:
    """Where the expression is put together at run time, its fixed parts; the others are escaped there."""
    pattern = _constant(call.args[0])
    flags = re.NOFLAG
    for part in (*call.args[1:], *(keyword.value for keyword in call.keywords if keyword.arg == "flags")):
        for node in ast.walk(part):
            if isinstance(node, ast.Attribute) and node.attr in re.RegexFlag.__members__:
                flags |= re.RegexFlag[node.attr]
    if pattern is not None:
        yield Use(f"{place}:{call.lineno}", pattern, int(flags), method)


def _constant(node: ast.expr) -> str | bytes | None:
    match node:
        case ast.Constant(value=str() | bytes() as value):
            return value
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
        case ast.BinOp(left=left, right=right):
            return "".join(part for part in (_constant(left), _constant(right)) if isinstance(part, str)) or None
        case _:
            return None


# Texts ----------------------------------------------------------------------------------------------------


def make_texts(pattern: str | bytes, flags: int) -> set[str]:
    """Texts that begin as the expression does, and repeat what it repeats."""
    parsed = list(sre.parse(pattern, flags))
    texts = set()
    for letters in LETTERS:
        pairs = {*_repeats(parsed, "", letters), ("", _example(parsed, letters))}
        seeds = {seed for before, repeated in pairs for seed in (repeated, before + repeated, before, f"{before} ")}
        begun = {("", seed) for seed in seeds} | pairs
        texts |= {
            before + repeated * (LONG // len(repeated)) + tail
            for before, repeated in begun
            if repeated
            for tail in TAILS
        }
    return texts


def _repeats(parts: list[Any], before: str, letters: str) -> Iterator[tuple[str, str]]:
    """What stands before each part that repeats, and an example of that part."""
    for kind, value in parts:
        if kind in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
            least, most, inner = value
            example = _example(inner, letters)
            if most > 8:
                yield before, example
            yield from _repeats(list(inner), before, letters)
            before += example * least
            continue
        for inner in _inside(kind, value):
            yield from _repeats(inner, before, letters)
        before += _example([(kind, value)], letters)


def _inside(kind: Any, value: Any) -> list[list[Any]]:
    if kind is sre.SUBPATTERN:
        return [list(value[-1])]
    if kind is sre.BRANCH:
        return [list(branch) for branch in value[1]]
    return [list(value)] if kind is sre.ATOMIC_GROUP else []


def _example(parts: Any, letters: str) -> str:
    """A short text that the parts take."""
    made = ""
    for kind, value in parts:
        if kind is sre.LITERAL:
            made += chr(value)
        elif kind is sre.NOT_LITERAL:
            made += "a" if value != ord("a") else "b"
        elif kind is sre.ANY:
            made += "a"
        elif kind is sre.IN:
            made += _member(value, letters)
        elif kind in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
            made += _example(value[2], letters) * max(value[0], 1 if value[1] else 0)
        else:
            made += "".join(_example(inner, letters) for inner in _inside(kind, value)[:1])
    return made


def _member(members: Any, letters: str) -> str:
    """A character of a class."""
    taken = re.compile(f"[{''.join(_spell(kind, value) for kind, value in members)}]")
    return next(letter for letter in letters + OTHERS if taken.match(letter))


def _spell(kind: Any, value: Any) -> str:
    if kind is sre.NEGATE:
        return "^"
    if kind is sre.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    if kind is sre.LITERAL:
        return re.escape(chr(value))
    return {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w", "NOT_DIGIT": r"\D", "NOT_SPACE": r"\S", "NOT_WORD": r"\W"}[
        str(value).removeprefix("CATEGORY_")
    ]


# The test -------------------------------------------------------------------------------------------------


def find_slow(use: Use) -> str | None:
    """The beginning of a text that takes too long; None where there is none."""
    expression: re.Pattern[Any] = re.compile(use.pattern, use.flags)
    for text in sorted(make_texts(use.pattern, use.flags)):
        given = text.encode("utf-8", "replace") if isinstance(use.pattern, bytes) else text
        try:
            with bounded(PATIENCE):
                _run(expression, use.method, given)
        except TooLong:
            return ascii(text[:60])
    return None


def _run(expression: re.Pattern[Any], method: str, text: Any) -> None:
    if method in {"sub", "subn"}:
        expression.sub(lambda match: match[0], text)
    elif method == "finditer":
        for _ in expression.finditer(text):
            continue
    else:
        getattr(expression, method)(text)


USES = sorted(set(find_uses()), key=str)


@pytest.mark.parametrize("room", ["spiders", "aggregator", "feeds", "commands"])
def test_no_expression_takes_for_ever(room: str) -> None:
    uses = [use for use in USES if use.place.startswith(f"{room}/")]
    assert uses
    slow = {use.place: found for use in uses if use.place.split(":")[0] not in SHORT_ONLY and (found := find_slow(use))}
    assert slow == {}


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"(a+)+$", "fullmatch"),
        (r"(a|aa)+x", "match"),
        (r"\s+$", "search"),
        (r"\bx\b.*\by\b", "search"),
        ("a*b", "sub"),
    ],
)
def test_an_expression_that_does_is_found(pattern: str, method: str) -> None:
    assert find_slow(Use("here", pattern, 0, method))
