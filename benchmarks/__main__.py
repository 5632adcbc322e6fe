"""`make bench`: speed and size beside what must be reached, in one run, as a table and as benchmarks/RESULTS.md.

Each module of NAMES has ``measure(*, quick)``, which yields figures and curves as they are found.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Curve, Figure, render_results
from benchmarks.measuring import describe_machine
from benchmarks.peers import PeersMissing
from benchmarks.plots import render_plot

NAMES = ("requesting", "crawling", "rendering", "serving", "growth")
HERE = Path(__file__).parent
PLOTS = "plots"  # beside RESULTS.md
_SIGNS = {None: "", True: "[green]✓[/]", False: "[red]✗[/]"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 every figure is what it must be, 1 one is not, 2 it cannot be measured."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    asked.add_argument("names", nargs="*", metavar="NAME", help=f"only these of: {', '.join(NAMES)}")
    asked.add_argument("--quick", action="store_true", help="small sizes and few rounds: to see that it works")
    asked.add_argument(
        "--output", type=Path, metavar="DIR", help="for RESULTS.md and plots/; benchmarks/ if all is run"
    )
    given = asked.parse_args(arguments)
    if unknown := set(given.names) - set(NAMES):
        asked.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    console = Console(highlight=False)
    output = given.output or (None if given.names or given.quick else HERE)
    figures, curves = list[Figure](), list[Curve]()
    for name in given.names or NAMES:
        try:
            for each in _run(name, console, quick=given.quick):
                figures += [each] if isinstance(each, Figure) else []
                curves += [each] if isinstance(each, Curve) else []
                if output:  # at once: half an hour that is broken off has not been for nothing
                    write_results(output, figures, curves)
        except PeersMissing as missing:
            asked.error(str(missing))
    missed = [figure for figure in figures if figure.reached is False]
    for figure in missed:
        console.print(f"[red]missed[/] {figure.group}: {figure.name}: {figure.measured}, must be {figure.bound}")
    return 1 if missed else 0


def write_results(folder: Path, figures: Sequence[Figure], curves: Sequence[Curve]) -> None:
    """RESULTS.md in ``folder``, and beside it a plot of every curve."""
    (folder / PLOTS).mkdir(parents=True, exist_ok=True)
    for curve in curves:
        (folder / PLOTS / curve.file_name).write_bytes(render_plot(curve))
    told = render_results(figures, curves, describe_machine(), PLOTS)
    (folder / "RESULTS.md").write_text(told, encoding="utf-8")


def _run(name: str, console: Console, *, quick: bool) -> Iterator[Figure | Curve]:
    """Measures, and shows each figure when it is known."""
    began = time.monotonic()
    console.rule(f"[bold]{name}", align="left")
    with console.status("measuring …"):
        for each in importlib.import_module(f"benchmarks.{name}").measure(quick=quick):
            if isinstance(each, Figure):
                console.print(_show(each))
            yield each
    console.print(f"[dim]{time.monotonic() - began:.0f} s[/]")


def _show(figure: Figure) -> Table:
    """One row: all have the same widths, so that rows printed one by one make a table."""
    row = Table.grid(padding=(0, 1))
    for width, justify in ((58, "left"), (14, "right"), (1, "left"), (14, "left"), (None, "left")):
        row.add_column(width=width, justify=justify)  # type: ignore[arg-type]  # one of its literals
    row.add_row(figure.name, figure.measured, _SIGNS[figure.reached], figure.bound, f"[dim]{figure.against}[/]")
    return row


if __name__ == "__main__":
    sys.exit(main())
