"""Bars as SVG for the pages. pygal draws them; of its drawing only bars and words are kept, without styles, scripts
and tooltips, and coloured by class from style.css: the pages allow nothing else. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import accumulate
from textwrap import wrap
from typing import Any

import pygal
from markupsafe import Markup
from pygal.style import Style

from feeds.words.text import plain

WIDTH = 360  # units; a page shows one as a pixel or a little more

_FONT = 13.5  # units, as in style.css
_LINE = 17  # units, from one line of text to the next
_COLUMNS = 84  # units, the height of the room for columns
_BAR, _GAP = 14, 12  # units, a bar that lies, and from it to the label below
_LEFT = -5  # units, so that bars begin at the edge: pygal keeps them off it
_OFF = 4  # units, between a column and the number above it
_TOLD = 108  # units, kept free right of the longest bar for what it means
_MOST_CHARACTERS = 46  # in a line of WIDTH units
_MOST_LINES = 3
_SHIFT = re.compile(r"translate\(([-0-9.]+),? ([-0-9.]+)\)")
_STYLE = Style(value_font_size=_FONT, label_font_size=_FONT)


@dataclass(frozen=True, slots=True)
class Bar:
    """``told`` is printed at the mark; a bar that is ``running`` still grows, and is only outlined."""

    label: str
    value: float
    told: str
    running: bool = False


@dataclass(frozen=True, slots=True)
class _Mark:
    """A bar or a word of a drawing: a word has no size, a bar no text."""

    name: str
    x: float
    y: float
    width: float = 0
    height: float = 0
    text: str = ""


class _Rows(pygal.HorizontalBar):  # type: ignore[misc]  # pygal tells no types
    _series_margin = 0.33  # of a row, above and below its bar: room for the label


def render_columns(bars: Sequence[Bar], title: str = "", *, tone: int = 1) -> Markup:
    """Bars that stand side by side, from zero, under a ``title``, each with its label below, if it has one.

    ``tone`` 1 or 2 is one of the two colours of charts.
    """
    top, height = _LINE * bool(title), _LINE * bool(title) + _COLUMNS + 2 * _LINE + _OFF
    labels = [bar.label for bar in bars]
    drawing = _draw(pygal.Bar, bars, height, margin_top=top + _LINE + _OFF, spacing=3, x_labels=labels)
    ground = max((mark.y + mark.height for mark in drawing if mark.name != "label"), default=0)
    drawn = [_text(0, _FONT, title, "q")] if title else []
    for mark in drawing:
        quiet, off = ("q", 0) if mark.name == "label" else ("", _OFF)
        drawn.append(_text(mark.x, mark.y - off, mark.text, quiet, "middle") if mark.text else _rect(mark, tone))
    return _svg(height + 5, [*drawn, f'<path class="ax" d="M0 {ground:g}h{WIDTH}"/>'])


def render_rows(bars: Sequence[Bar], *, tone: int = 1) -> Markup:
    """Bars that lie one below the other, from zero, each under its label, which may take several lines."""
    labels = [wrap(plain(bar.label), _MOST_CHARACTERS, max_lines=_MOST_LINES, placeholder="…") for bar in bars]
    # pygal gives every label one line; what is below a longer one moves down.
    shifts = list(accumulate((len(lines) - 1) * _LINE for lines in labels))
    height = (_LINE + _BAR + _GAP) * len(bars) + _GAP / 2
    room = {"margin_top": _GAP / 2, "margin_left": _LEFT, "margin_right": _TOLD, "show_x_labels": False}
    drawing = _draw(_Rows, bars[::-1], height, **room)  # pygal begins at the bottom
    found = [mark for mark in drawing if not mark.text], [mark for mark in drawing if mark.text]
    drawn = []
    for lines, down, bar, told in zip(labels, shifts, *(marks[::-1] for marks in found), strict=True):
        top = bar.y + down
        drawn += [_text(0, top - 5 - _LINE * up, line) for up, line in reversed(list(enumerate(reversed(lines))))]
        drawn += [_rect(replace(bar, y=top), tone), _text(told.x, told.y + down, told.text)]
    return _svg(height + (shifts[-1] if shifts else 0), drawn)


def _draw(kind: Any, bars: Sequence[Bar], height: float, **options: Any) -> list[_Mark]:
    chart = kind(
        width=WIDTH,
        height=height,
        margin=0,
        zero=0,
        style=_STYLE,
        show_legend=False,
        truncate_label=-1,
        show_y_labels=False,
        print_values=True,
        print_values_position="top",
        js=(),
        css=(),
        **options,
    )
    chart.add("", [_value(bar) for bar in bars])
    return list(_read(chart.render_tree(), 0, 0)) if bars else []


def _value(bar: Bar) -> dict[str, Any]:
    name = "running" if bar.running else "bar"
    return {"value": bar.value, "formatter": lambda _: bar.told, "node": {"class": name}}


def _read(element: Any, x: float, y: float) -> Iterator[_Mark]:
    """The bars and words in an element that stands at ``x`` and ``y``."""
    name = element.get("class", "")
    if shift := _SHIFT.fullmatch(element.get("transform", "")):
        x, y = x + float(shift[1]), y + float(shift[2])
    if name in {"bar", "running"} and element.get("x"):
        at = [float(element.get(key, 0)) for key in ("x", "y", "width", "height")]  # a size of nothing is left out
        yield _Mark(name, x + at[0], y + at[1], at[2], at[3])
    elif element.get("x") and element.text:
        kind = "value" if name == "value" else "label"
        yield _Mark(kind, x + float(element.get("x")), y + float(element.get("y")), text=element.text)
    for part in element.iterchildren("{*}*"):  # no comments
        yield from _read(part, x, y)


def _svg(height: float, drawn: Sequence[str]) -> Markup:
    # Told in words beside it: what reads the page aloud passes over the drawing itself.
    return Markup(f'<svg viewBox="0 0 {WIDTH} {height:g}" aria-hidden="true">{"".join(drawn)}</svg>')  # noqa: S704 # nosec B704 # words are escaped


def _rect(mark: _Mark, tone: int) -> str:
    at = f'x="{mark.x:.1f}" y="{mark.y:.1f}" width="{mark.width:.1f}" height="{mark.height:.1f}"'
    return f'<rect class="b{tone}{" run" if mark.name == "running" else ""}" {at}/>'


def _text(x: float, y: float, text: str, name: str = "", anchor: str = "") -> str:
    names = f' class="{name}"' if name else ""
    anchors = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text{names}{anchors} x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
