"""From our own saved pages to hostile ones: broken as bytes, as tags, as JSON, as words. Each step can be shrunk."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

# What a value becomes: what parsers of numbers, dates, codes and addresses trip over.
WORDS = [
    "", " ", "-", "0", "-1", "1e400", "-1e-400", "NaN", "Infinity", "9" * 40, "9" * 5000, "٣٤", "1_000", "½", "²",
    "Rp. 1.234.567,89", "Rp. -0,00", "Rp. 99.999.999.999.999.999,99", "1,2,3", "0x1F",
    "31 Februari 2026", "0 Januari 0000", "29 Februari 2026 24:60", "99-99-9999", "1 Januari 9999 23:59",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-24", "2026-11-24T02:40:00", "20261124",
    "2026-11-24T02:40:00+99:99", "Tue, 24 Nov 2026 02:40:00 +9999", "Tue, 99 Nov 99999 02:40:00 GMT", "24/11/2026",
    "javascript:alert(1)", "//x.example/", "http://[::1", "https://user:pw@x.example/", "http://a.example:99999999/",
    "../../etc/passwd", "..", "a/b", "a\x00b", "\ud800", "\u202egnp", "\ufffe", "😀", "İ", "a" * 300,
    "<b>x</b>", "</script>", "&amp;lt;", "&#0;", "&#x110000;", "]]>", "<!--", "=1+1", "%00", "%s", "{0}", "{supplier}",
    "\r\nX: y", "\u2028", "null", "true", "[]", "{}",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2026, 10**18, 10**60, -(10**60), 0.1, 1e300, -0.0, float("inf"), float("nan"),
    [], {}, [[]], [None], {"": None}, {"id": {"id": []}}, [{}] * 3, [1, "a", None, {}],
]  # fmt: skip
CODINGS = ("utf-16", "utf-16-be", "utf-32", "latin-1", "utf-7", "utf-8-sig")
_TOKEN = re.compile(r"<[^>]*>|[^<]+|<")
_DEEP = 3000

Draw = st.DrawFn


def mutated(seeds: Sequence[bytes], form: str) -> st.SearchStrategy[bytes]:
    """Bytes made of one of ``seeds``, which are ``json``, ``markup`` or ``text``: some steps by form, some blind."""
    return _mutated(list(seeds), form)


@st.composite
def _mutated(draw: Draw, seeds: list[bytes], form: str) -> bytes:
    body = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        if form != "text" and draw(st.integers(0, 4)):
            body = (_change_json if form == "json" else _change_markup)(draw, body)
        else:
            body = draw(st.sampled_from(_BLIND))(draw, body, seeds)
    return body


# Bytes ----------------------------------------------------------------------------------------------------


def _span(draw: Draw, body: bytes, longest: int = 200) -> tuple[int, int]:
    start = draw(st.integers(0, len(body)))
    return start, min(len(body), start + draw(st.integers(0, longest)))


def _flip(draw: Draw, body: bytes, seeds: list[bytes]) -> bytes:
    if not body:
        return b"\x00"
    place = draw(st.integers(0, len(body) - 1))
    return body[:place] + bytes([body[place] ^ 1 << draw(st.integers(0, 7))]) + body[place + 1 :]


def _cut(draw: Draw, body: bytes, seeds: list[bytes]) -> bytes:
    start, stop = _span(draw, body, len(body))
    return body[:start] + body[stop:]


def _truncate(draw: Draw, body: bytes, seeds: list[bytes]) -> bytes:
    return body[: draw(st.integers(0, len(body)))]


def _repeat(draw: Draw, body: bytes, seeds: list[bytes]) -> bytes:
    start, stop = _span(draw, body)
    return body[:start] + body[start:stop] * draw(st.sampled_from([2, 3, 50, 1000])) + body[stop:]


def _splice(draw: Draw, body: bytes, seeds: list[bytes]) -> bytes:
    other = draw(st.sampled_from(seeds))
    return body[: draw(st.integers(0, len(body)))] + other[draw(st.integers(0, len(other))) :]


def _put_in(draw: Draw, body: bytes, seeds: list[bytes]) -> bytes:
    start, stop = _span(draw, body, 20)
    put = draw(st.one_of(st.binary(max_size=8), st.sampled_from(WORDS).map(_encode)))
    return body[:start] + put + body[stop:]


def _recode(draw: Draw, body: bytes, seeds: list[bytes]) -> bytes:
    return body.decode("utf-8", "replace").encode(draw(st.sampled_from(CODINGS)), "replace")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_BLIND: tuple[Callable[[Draw, bytes, list[bytes]], bytes], ...] = (
    *(_flip, _cut, _truncate, _repeat, _splice, _put_in, _recode),
)


# HTML and XML ---------------------------------------------------------------------------------------------


def _change_markup(draw: Draw, body: bytes) -> bytes:
    """One token (a tag, or the text between two) is left out, doubled, moved, replaced, or opened many times."""
    tokens = _TOKEN.findall(body.decode("utf-8", "surrogateescape"))
    if not tokens:
        return b"<table>"
    place = draw(st.integers(0, len(tokens) - 1))
    token = tokens[place]
    match draw(st.sampled_from(["drop", "double", "move", "word", "word", "attribute", "number", "deep", "doctype"])):
        case "drop":
            del tokens[place]
        case "double":
            tokens.insert(place, token)
        case "move":
            tokens.insert(draw(st.integers(0, len(tokens) - 1)), tokens.pop(place))
        case "word":
            between = [n for n, each in enumerate(tokens) if not each.startswith("<") and each.strip()] or [place]
            tokens[draw(st.sampled_from(between))] = draw(st.sampled_from(WORDS))
        case "attribute":
            word = draw(st.sampled_from(WORDS))
            tokens[place] = re.sub(r'"[^"]*"', lambda _: f'"{word}"', token, count=draw(st.integers(1, 3)))
        case "number":
            word = draw(st.sampled_from(WORDS[:20]))
            tokens[place] = re.sub(r"\d+", lambda _: word, token, count=1)
        case "deep":
            tokens.insert(place, draw(st.sampled_from(["<div>", "<table><tr><td>", "<b>", "<item>"])) * _DEEP)
        case "doctype":
            tokens.insert(0, '<!DOCTYPE x [<!ENTITY a "a"><!ENTITY b "&a;&a;">]>')
            tokens[place] = "&b;"
    return "".join(tokens).encode("utf-8", "surrogatepass" if "\ud800" in "".join(tokens) else "surrogateescape")


# JSON -----------------------------------------------------------------------------------------------------


def _change_json(draw: Draw, body: bytes) -> bytes:
    """One place of the document, of each line of it where there are several, becomes another value, or goes."""
    lines = body.split(b"\n") if b"\n{" in body.strip() and not body.lstrip().startswith(b"[") else [body]
    place = draw(st.integers(0, len(lines) - 1))
    try:
        document = json.loads(lines[place])
    except (ValueError, RecursionError):
        document = None
    if document is None:
        lines[place] = _put_in(draw, lines[place], [])
        return b"\n".join(lines)
    lines[place] = json.dumps(_change(draw, document), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return b"\n".join(lines)


def _change(draw: Draw, document: Any) -> Any:
    parent: Any = None
    key: Any = None
    value = document
    while isinstance(value, dict | list) and value and draw(st.integers(0, 7)):
        parent = value
        key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        value = parent[key]
    changed = _replace(draw, value)
    if parent is None:
        return changed
    match draw(st.sampled_from(["change", "change", "change", "change", "drop", "rename", "double", "deep"])):
        case "drop":
            del parent[key]
        case "rename" if isinstance(parent, dict):
            parent[draw(st.sampled_from(WORDS))] = parent.pop(key)
        case "double" if isinstance(parent, list):
            parent.extend([value] * draw(st.sampled_from([1, 2, 300])))
        case "deep":
            for _ in range(draw(st.sampled_from([1, 50, 900]))):
                value = [value]
            parent[key] = value
        case _:
            parent[key] = changed
    return document


def _replace(draw: Draw, value: Any) -> Any:
    if isinstance(value, str) and value and draw(st.booleans()):
        place = draw(st.integers(0, len(value)))
        return value[:place] + draw(st.sampled_from(WORDS)) + value[place:]
    return draw(st.one_of(st.sampled_from(WORDS), st.sampled_from(VALUES), st.text(max_size=20)))
