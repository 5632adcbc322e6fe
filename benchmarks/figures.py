"""What a benchmark found: figures beside what they must reach, as a table and as benchmarks/RESULTS.md. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure. ``must`` is its bound in ``unit`` (None: told, with no bound of its own): ``value`` is to be
    at most that, or at least that where ``higher_is_better``. ``against`` says what was measured beside it, in the
    same run, and what with what."""

    group: str
    name: str
    value: float
    unit: str
    must: float | None = None
    higher_is_better: bool = False
    against: str = ""

    @property
    def reached(self) -> bool | None:
        """None where there is nothing to reach."""
        if self.must is None:
            return None
        return self.value >= self.must if self.higher_is_better else self.value <= self.must

    @property
    def measured(self) -> str:
        """As a reader reads it: `33.1 ×`."""
        return f"{render_number(self.value)} {self.unit}".rstrip()

    @property
    def bound(self) -> str:
        """As a reader reads it: `≥ 30 ×`."""
        if self.must is None:
            return "–"
        return f"{'≥' if self.higher_is_better else '≤'} {render_number(self.must)} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What one cost is at several sizes: ``points`` are (tenders, value in ``unit``), by the label of each line."""

    group: str
    name: str
    unit: str
    points: Mapping[str, Sequence[tuple[int, float]]]

    @property
    def file_name(self) -> str:
        """Of its plot: letters, digits and hyphens."""
        return "-".join(re.findall("[a-z0-9]+", f"{self.group} {self.name}".lower())) + ".svg"


def render_results(figures: Sequence[Figure], curves: Sequence[Curve], machine: str, folder: str) -> str:
    """RESULTS.md: for each group, in the order in which they come first, a table and the plots of its curves, which
    lie in ``folder`` beside it."""
    lines = [
        "# What was measured",
        "",
        f"{machine} By `make bench`; what is beside a figure was measured in turn with it.",
        "",
    ]
    for group in dict.fromkeys([*(figure.group for figure in figures), *(curve.group for curve in curves)]):
        lines += [f"## {group}", ""]
        if rows := [_row(figure) for figure in figures if figure.group == group]:
            lines += ["| figure | measured | must reach | | beside it |", "|---|---:|---:|---|---|", *rows, ""]
        for curve in (curve for curve in curves if curve.group == group):
            lines += [f"![{curve.name}]({folder}/{curve.file_name})", ""]
    return "\n".join(lines).rstrip() + "\n"


def _row(figure: Figure) -> str:
    sign = {None: "", True: "✓", False: "✗"}[figure.reached]
    return f"| {figure.name} | {figure.measured} | {figure.bound} | {sign} | {figure.against} |"


def render_number(value: float) -> str:
    """Three figures, no exponent: 0.0123, 1.25, 98.8, 1,250."""
    if value and abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
