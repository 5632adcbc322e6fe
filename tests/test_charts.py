"""Charts as the pages allow them: no style, no script, nothing from outside, every text escaped, colours by class."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.pages.charts import WIDTH, Bar, render_columns, render_rows
from tests.feed_samples import hostile_texts

ALLOWED = {
    "svg": {"viewBox", "aria-hidden"},
    "rect": {"class", "x", "y", "width", "height"},
    "text": {"class", "text-anchor", "x", "y"},
    "path": {"class", "d"},
}
MONTHS = [Bar("Jan", 31, "31"), Bar("Feb", 68, "68"), Bar("Mar", 0, "0"), Bar("Apr*", 33, "33", running=True)]
UNITS = [
    Bar("Dinas Pekerjaan Umum, Penataan Ruang, Perumahan dan Kawasan Permukiman (24 paket)", 65.7, "Rp65,7 miliar"),
    Bar("Dinas Kesehatan", 15.2, "Rp15,2 miliar"),
    Bar("3 satuan kerja lain", 0, "Rp0"),
]


def parse(svg: str) -> ElementTree.Element:
    """The drawing, of which every element and attribute is allowed."""
    root = ElementTree.fromstring(svg)  # our own
    for element in root.iter():
        assert set(element.attrib) <= ALLOWED[element.tag]
    return root


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    keys = ("x", "y", "width", "height")
    return [tuple(float(rect.attrib[key]) for key in keys) for rect in parse(svg).iter("rect")]  # type: ignore[misc]


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in parse(svg).iter("text")]


def test_columns_stand_on_one_ground_and_tell_their_numbers() -> None:
    drawn = render_columns(MONTHS, "Jumlah paket")
    found = boxes(drawn)
    assert len({round(y + height) for _, y, _, height in found}) == 1
    heights = [height for *_, height in found]
    assert heights[2] == 0
    assert heights[0] / heights[1] == pytest.approx(31 / 68, abs=0.01)  # from zero
    assert [x for x, *_ in found] == sorted(x for x, *_ in found)
    assert texts(drawn) == ["Jumlah paket", "Jan", "Feb", "Mar", "Apr*", "31", "68", "0", "33"]
    assert re.findall(r'<rect class="([^"]+)"', drawn) == ["b1", "b1", "b1", "b1 run"]


def test_rows_lie_under_their_labels() -> None:
    drawn = render_rows(UNITS, tone=2)
    found = boxes(drawn)
    widths = [width for _, _, width, _ in found]
    assert widths[1] / widths[0] == pytest.approx(15.2 / 65.7, abs=0.01)
    assert [y for _, y, *_ in found] == sorted(y for _, y, *_ in found)
    assert widths[0] < WIDTH - 100  # room for what it means
    lines = texts(drawn)
    assert lines[-4:] == ["Dinas Kesehatan", "Rp15,2 miliar", "3 satuan kerja lain", "Rp0"]
    assert " ".join(lines[:2]) == UNITS[0].label  # in two lines, not cut
    assert set(re.findall(r'<rect class="([^"]+)"', drawn)) == {"b2"}


def test_nothing_lies_over_anything_else() -> None:
    height = float(parse(render_rows(UNITS)).attrib["viewBox"].split()[3])
    marks = parse(render_rows(UNITS))
    baselines = [float(text.attrib["y"]) for text in marks.iter("text")]
    assert all(0 < y < height for y in baselines)
    assert len({round(y) for y in baselines}) == len(baselines)


def test_nothing_to_draw_is_no_error() -> None:
    assert boxes(render_rows([])) == []
    assert boxes(render_columns([])) == []
    assert [height for *_, height in boxes(render_columns([Bar("Jan", 0, "0")]))] == [0]


@given(hostile_texts, hostile_texts, st.floats(0, 1e18))
def test_no_text_becomes_markup(label: str, told: str, value: float) -> None:
    parse(render_rows([Bar(label, value, "x")]))
    assert texts(render_columns([Bar("Jan", value, "x")], "Nilai")) == ["Nilai", "Jan", "x"]


def test_the_same_bars_are_the_same_bytes() -> None:
    assert render_columns(MONTHS) == render_columns(MONTHS)
    assert render_rows(UNITS) == render_rows(UNITS)


def test_every_class_has_its_colour() -> None:
    style = Path("feeds/site/figures.css").read_text(encoding="utf-8")
    drawn = render_columns(MONTHS, "x") + render_rows(UNITS, tone=2)
    names = {name for found in re.findall(r'class="([^"]+)"', drawn) for name in found.split()}
    assert [name for name in sorted(names) if f".chart .{name} {{" not in style] == []
