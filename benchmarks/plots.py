"""A curve → SVG: what a cost is at each size, both axes logarithmic so that flat is flat and linear is a diagonal. Pure."""

from __future__ import annotations

import math
from itertools import chain

import pygal
from pygal.style import Style

from benchmarks.figures import Curve

_STYLE = Style(
    background="white",
    plot_background="white",
    foreground="#333333",
    foreground_strong="#111111",
    foreground_subtle="#777777",
    colors=("#0b6e4f", "#c8553d", "#1f4e9c", "#8a5a00", "#6a3d9a", "#333333"),
    font_family="system-ui, sans-serif",
    title_font_size=18,
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=14,
)


def render_plot(curve: Curve) -> bytes:
    """A file of its own, without script."""
    chart = pygal.XY(
        style=_STYLE,
        width=760,
        height=420,
        title=f"{curve.name} ({curve.unit})",
        x_title="tenders",
        xrange=_span([size for points in curve.points.values() for size, _ in points]),
        range=_span([value for points in curve.points.values() for _, value in points]),
        show_y_guides=True,
        show_x_guides=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        legend_box_size=14,
        dots_size=4,
        stroke_style={"width": 2},
        js=(),
        disable_xml_declaration=False,
        pretty_print=True,
        no_prefix=True,
    )
    return chart.render()


def _span(values: list[float]) -> tuple[float, float]:
    return min(chain(values, [math.inf])), max(chain(values, [1.0]))
