"""`python -m tests.torture [NAMES] --rounds N --seed S`: the bad days, each many times, and a table of what held.

Without names all of them; a name is a word or more of one, as in `kill`, or `power publish`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

from tests.torture.full import fail, run_short
from tests.torture.killing import ACTS, Act, Report, kill
from tests.torture.month import live_months
from tests.torture.power import cut_power
from tests.torture.servers import strike_server
from tests.torture.serving import starve_server
from tests.torture.spoilt import SPOILS, forbid, lock, restore_after, spoil, take_away
from tests.torture.stage import Stage, open_stage
from tests.torture.striking import open_forge

Scenario = Callable[[Stage, int, random.Random], Report]
ROUNDS = 60  # of each scenario


def list_scenarios() -> Mapping[str, Scenario]:
    """Every scenario by its name."""

    def on(act: Act, do: Callable[[Stage, Act, int, random.Random], Report]) -> Scenario:
        return lambda stage, rounds, dice: do(stage, act, rounds, dice)

    found: dict[str, Scenario] = {}
    for name, do in (("kill", kill), ("power", cut_power), ("disk", fail)):
        found |= {f"{name} {act.name}": on(act, do) for act in ACTS.values()}
    found |= {f"files {name}": on(ACTS[name], run_short) for name in ("crawl", "publish", "backup")}
    found |= {f"spoilt {name}": partial(_spoil, name) for name in SPOILS}
    return found | {
        "locked": lambda stage, rounds, dice: lock(stage, max(1, rounds // 20), dice),
        "read-only": lambda stage, rounds, dice: forbid(stage, max(1, rounds // 30), dice),
        "removed": lambda stage, rounds, dice: take_away(stage, max(1, rounds // 10), dice),
        "restored": lambda stage, rounds, dice: restore_after(stage, max(1, rounds // 10), dice),
        "files serve": lambda stage, rounds, dice: starve_server(stage, max(1, rounds // 10), dice),
        "postgresql": strike_server,
        "month": live_months,
    }


def _spoil(name: str, stage: Stage, rounds: int, dice: random.Random) -> Report:
    return spoil(stage, name, max(1, rounds // 10), dice)


def choose(scenarios: Mapping[str, Scenario], words: list[str]) -> Mapping[str, Scenario]:
    """Those whose name is among ``words``, or begins with one; all where there are none."""
    if not words:
        return scenarios
    chosen = {name: do for name, do in scenarios.items() if any(f"{name} ".startswith(f"{word} ") for word in words)}
    if not chosen:
        sys.exit(f"no scenario {' '.join(words)!r}; there are: {', '.join(scenarios)}")
    return chosen


def main() -> None:
    """Runs what was asked for; exit code 1 on any violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios, as in: kill, 'power publish', spoilt")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    scenarios = choose(list_scenarios(), asked.names)
    say(f"Seed {asked.seed}, {asked.rounds} rounds.")
    say(f"{'scenario':<32}{'rounds':>8}{'blows':>8}{'states checked':>16}{'violations':>12}{'seconds':>9}")
    total, wrong = Report("together"), list[str]()
    with open_forge() as forge, open_stage(forge) as stage:
        for name, do in scenarios.items():
            began = time.monotonic()
            report = do(stage, asked.rounds, random.Random(f"{asked.seed} {name}"))
            print_row(report, time.monotonic() - began)
            for violation in report.violations[:5]:
                say(f"    {violation[:1000]}")
            if report.violations:
                wrong.append(name)
            total.rounds, total.blows = total.rounds + report.rounds, total.blows + report.blows
            total.checked += report.checked
            total.violations += report.violations
    print_row(total, 0.0)
    for name in wrong:
        say(f"Again: python -m tests.torture {name!r} --rounds {asked.rounds} --seed {asked.seed}")
    sys.exit(1 if wrong else 0)


def say(line: str) -> None:
    """At once, for whoever waits."""
    print(line, flush=True)  # noqa: T201


def print_row(report: Report, seconds: float) -> None:
    told = (report.rounds, report.blows, report.checked, len(report.violations))
    say(f"{report.name:<32}{told[0]:>8}{told[1]:>8}{told[2]:>16,}{told[3]:>12}{seconds:>9.0f}")


if __name__ == "__main__":
    main()
