"""A curve → SVG: what a cost is at each size, on logarithmic axes: flat is flat, linear is a diagonal. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import pygal
from lxml import etree
from pygal.style import Style

from benchmarks.figures import Curve, render_number

_STYLE = Style(
    background="white",
    plot_background="white",
    foreground="#333",
    foreground_strong="#111",
    foreground_subtle="#777",
    guide_stroke_color="#ccc",
    major_guide_stroke_color="#ccc",
    colors=(
        *("#0b6e4f", "#c8553d", "#1f4e9c", "#8a5a00", "#6a3d9a", "#333333"),
        *("#d01c8b", "#4d9221", "#0097a7", "#a6611a", "#7f7f7f"),
    ),
    font_family="system-ui, sans-serif",
    title_font_size=18.0,
    label_font_size=13.0,
    major_label_font_size=13.0,
    legend_font_size=13.0,
)
LEGEND_COLUMNS = 3
_LEAST = 1e-6  # where zero is drawn


def render_plot(curve: Curve) -> bytes:
    """A file of its own, without script."""
    sizes = sorted({size for points in curve.points.values() for size, _ in points})
    values = [value for points in curve.points.values() for _, value in points]
    chart = pygal.XY(
        style=_STYLE,
        width=800,
        height=430 + 22 * math.ceil(len(curve.points) / LEGEND_COLUMNS),
        title=f"{curve.name}, {curve.unit}",
        x_title="tenders",
        legend_at_bottom=True,
        legend_at_bottom_columns=LEGEND_COLUMNS,
        legend_box_size=13,
        truncate_legend=-1,
        dots_size=4,
        margin=16,
        margin_bottom=36,  # the last line of the legend
        margin_right=44,  # half of the last label
        stroke_style={"width": 2},
        show_x_guides=False,
        no_prefix=True,
    )
    chart.x_labels = [{"label": f"{size:,}", "value": math.log10(size)} for size in sizes]
    chart.y_labels = [{"label": render_number(mark), "value": math.log10(mark)} for mark in list_marks(values)]
    for label, points in curve.points.items():
        told = [
            {"value": (math.log10(size), math.log10(max(value, _LEAST))), "formatter": _tell(value, curve.unit)}
            for size, value in points
        ]
        chart.add(label, told)
    drawing = chart.render_tree()
    for script in drawing.findall(".//{*}script"):  # which moves nothing without pygal's own from elsewhere
        script.getparent().remove(script)
    return etree.tostring(drawing, xml_declaration=True, encoding="UTF-8")


def list_marks(values: Iterable[float]) -> list[float]:
    """Round numbers (1, 2 or 5 with zeros) from the one below all ``values`` to the one above them."""
    known = [max(value, _LEAST) for value in values]
    least, most = min(known), max(known)
    marks = list(_count_up(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1))
    below = max(mark for mark in marks if mark <= least)
    above = min(mark for mark in marks if mark >= most)
    return [mark for mark in marks if below <= mark <= above]


def _count_up(first: int, last: int) -> Iterator[float]:
    for power in range(first, last + 1):
        yield from (digit * 10.0**power for digit in (1, 2, 5))


def _tell(value: float, unit: str) -> object:
    return lambda _: f"{render_number(value)} {unit}"
