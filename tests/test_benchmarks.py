"""The benchmarks measure real runs: at tiny sizes each gives its figures, told as they are. Nothing is timed."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.repository import Repository
from benchmarks import __main__ as bench
from benchmarks import growth, loading, rendering, serving
from benchmarks.figures import Curve, Figure, render_number, render_results
from benchmarks.measuring import ProgramFailed, Spent, alternate, find_ratio, run_apart, run_program
from benchmarks.plots import list_marks, render_plot
from benchmarks.saving import measure_saving
from benchmarks.searching import OTHERS, WORDS
from benchmarks.tenders import (
    BLOCK,
    COMMON_WORD,
    NOW,
    RARE_WORD,
    ZONE,
    make_changed,
    make_tender,
    render_config,
)
from feeds.definitions import Format

FIGURES = [
    Figure(group="Save", name="new", value=7468.2, unit="/s", must=5000, higher_is_better=True, against="SQLite"),
    Figure(group="Publish", name="nothing changed", value=0.412, unit="s", must=0.3),
    Figure(group="Save", name="memory", value=81.04, unit="MB"),
]
CURVES = [
    Curve(group="Publish", name="Seconds of a publish", unit="s", points={"first": [(1_000, 0.9), (10_000, 9.1)]}),
    Curve(group="Memory", name="An export", unit="MB", points={"csv": [(1_000, 80)], "<&>": [(1_000, 0.0)]}),
]
FEW = 40  # tenders
SVG = {"svg": "http://www.w3.org/2000/svg"}


def test_results_hold_every_figure_under_its_group() -> None:
    assert render_results(FIGURES, CURVES, "2 cores.", "plots") == (
        "# What was measured\n\n"
        "2 cores. By `make bench`; what is beside a figure was measured in turn with it.\n\n"
        "## Save\n\n"
        "| figure | measured | must reach | | beside it |\n|---|---:|---:|---|---|\n"
        "| new | 7,468 /s | ≥ 5,000 /s | ✓ | SQLite |\n"
        "| memory | 81 MB | – |  |  |\n\n"
        "## Publish\n\n"
        "| figure | measured | must reach | | beside it |\n|---|---:|---:|---|---|\n"
        "| nothing changed | 0.412 s | ≤ 0.3 s | ✗ |  |\n\n"
        "![Seconds of a publish](plots/publish-seconds-of-a-publish.svg)\n\n"
        "## Memory\n\n"
        "![An export](plots/memory-an-export.svg)\n"
    )


@pytest.mark.parametrize(("value", "told"), [(0, "0"), (0.01234, "0.0123"), (1.254, "1.25"), (98.76, "98.8")])
def test_numbers_have_three_figures(value: float, told: str) -> None:
    assert render_number(value) == told


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: str(curve.name))
def test_a_plot_shows_every_point_and_needs_nothing_else(curve: Curve) -> None:
    drawn = etree.fromstring(render_plot(curve))
    shown = "".join(drawn.itertext())
    assert all(label in shown for label in curve.points)
    assert len(drawn.findall(".//svg:circle[@class='dot reactive tooltip-trigger']", SVG)) == sum(
        map(len, curve.points.values())
    )
    assert not drawn.findall(".//svg:script", SVG)


def test_marks_enclose_all_values() -> None:
    assert list_marks([0.3, 7]) == [0.2, 0.5, 1, 2, 5, 10]


def test_rounds_are_compared_with_each_other_and_take_turns() -> None:
    asked = []

    def run(name: str, values: Iterator[float]) -> float:
        asked.append(name)
        return next(values)

    ours, theirs = iter([1.0, 8.0, 3.0]), iter([2.0, 2.0, 6.0])
    found = alternate(3, ours=lambda: run("ours", ours), theirs=lambda: run("theirs", theirs))
    assert asked == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert find_ratio(found["ours"], found["theirs"]) == 0.5


def test_a_program_is_measured_by_itself() -> None:
    held = bytearray(b"1") * 100_000_000
    spent = run_program([sys.executable, "-c", "held = b'1' * 30_000_000; import time; time.sleep(0.1)"])
    assert 30 < spent.megabytes < 90, "what its parent holds is not its own"
    assert spent.cpu > 0
    assert held


def test_a_function_is_called_apart() -> None:
    assert run_apart(textwrap.indent, text="a\nb", prefix="> ")[0] == "> a\n> b"


def test_what_a_failed_program_said_is_told() -> None:
    with pytest.raises(ProgramFailed, match="ended with 3: away"):
        run_program([sys.executable, "-c", "import sys; sys.stderr.write('away'); sys.exit(3)"])


def test_tenders_are_the_same_at_every_run_and_of_many_sorts() -> None:
    tenders = [make_tender(number) for number in range(BLOCK)]
    assert tenders[7] == make_tender(7)
    assert len({tender.identity for tender in tenders}) == BLOCK
    assert [tender.published for tender in tenders] == sorted(tender.published or NOW for tender in tenders)
    assert 0.15 < sum(COMMON_WORD in tender.title.lower() for tender in tenders) / BLOCK < 0.4
    assert sum(RARE_WORD in tender.title.lower() for tender in tenders) == 5
    assert {status.value for tender in tenders if (status := tender.status)} >= {"active", "complete", "cancelled"}
    assert make_changed(7).tender.deadline != tenders[7].deadline


def test_saving_fills_the_database(tmp_path: Path) -> None:
    repository = Repository(open_database(f"sqlite:///{tmp_path}/warta.db"))
    rates = [measure_saving(repository, 0, 20, 8), measure_saving(repository, 20, 50, 8)]
    assert repository.count(Filter(), NOW, ZONE) == 50
    assert repository.find_newest_seq() == 50 + 2 * 8
    assert all(rate > 0 for each in rates for rate in (each.new, each.unchanged, each.changed))


def test_growth_measures_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "BOUND_AT", FEW)
    monkeypatch.setattr(growth, "FORMATS", ("csv",))
    monkeypatch.setattr(growth, "run_apart", run_here)
    found = growth.Growth()
    figures = list(growth.measure_database("SQLite", (FEW,), found))
    assert {figure.group for figure in figures} == {"Save", "Search", "Publish"}
    told = {figure.name: figure.value for figure in figures}
    assert told["nothing changed: files written"] == 0
    assert {f"SQLite: {name}, {FEW}" for name in (*WORDS, *OTHERS)} <= told.keys()
    curves = {curve.name: curve.points for curve in found.list_curves()}
    assert curves["Tenders exported a second"].keys() == {"csv"}
    assert curves["Files rewritten when one tender changed"]["files"][0][1] > 1
    assert all(value > 0 for points in curves.values() for line in points.values() for _, value in line)


def run_here(function: Callable[..., Any], **given: Any) -> tuple[Any, Spent]:
    """What would be run apart: starting a process takes longer than all that is tested."""
    return function(**given), Spent(1.0, 1.0, 1, b"")


def test_serving_compares_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(loading, "run_apart", run_here)
    (tmp_path / "warta.toml").write_text(render_config("sqlite:///var/warta.db"), encoding="utf-8")
    feed = tmp_path / "var/public" / serving.FEED
    feed.parent.mkdir(parents=True)
    feed.write_bytes(b"<rss/>" * 100)
    feed.with_name(f"{feed.name}.gz").write_bytes(gzip.compress(feed.read_bytes()))
    with serving.serve_ours(tmp_path / "warta.toml") as ours, serving.serve_bare(feed) as bare:
        for status, fields in serving.ASKED.values():
            rates = serving.compare({"ours": ours.port, "bare": bare}, fields, status, 1, 0.01)
            assert all(rate > 0 for each in rates.values() for rate in each)


def test_a_wrong_answer_under_load_is_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = threading.Thread(target=refuse_all, args=(listener,))
        refusing.start()
        with pytest.raises(ProgramFailed, match="500"):
            loading.measure_rate(f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, 0.1, 200)
        refusing.join()


def refuse_all(listener: socket.socket) -> None:
    """Answers every connection of the client with an error."""
    with ExitStack() as stack:
        for _ in range(loading.CONNECTIONS):
            connection = stack.enter_context(listener.accept()[0])
            connection.recv(1_000)
            connection.sendall(b"HTTP/1.1 500 Away\r\nContent-Length: 0\r\n\r\n")


def test_rendering_renders_the_same_entries() -> None:
    channel, entries = rendering.make_feed()
    told = json.loads(json.dumps(rendering.describe(channel, entries)))
    by_hand = {
        Format.RSS: rendering.render_rss_by_hand(told),
        Format.ATOM: rendering.render_atom_by_hand(told),
    }
    for form, body in by_hand.items():
        ids = [
            each.text
            for each in etree.fromstring(body).iterfind(".//{*}guid" if form is Format.RSS else "{*}entry/{*}id")
        ]
        assert ids == [entry.id for entry in entries]
    assert rendering.render_ours("rss", times=1) > 0


def test_a_figure_that_is_missed_ends_the_program_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rendering, "measure", lambda *, quick: iter([*FIGURES, *CURVES]))
    assert bench.main(["rendering", "--output", str(tmp_path)]) == 1
    assert "missed Publish: nothing changed: 0.412 s, must be ≤ 0.3 s" in capsys.readouterr().out
    assert (tmp_path / "RESULTS.md").read_text().count("\n| new |") == 1
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == sorted(each.file_name for each in CURVES)


def test_a_benchmark_that_does_not_exist_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench.main(["speeding"])
    assert "no benchmark is called speeding" in capsys.readouterr().err
