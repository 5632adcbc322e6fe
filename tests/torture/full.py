"""Every write of every verb fails: disk full, quota, broken disk, read-only, no file left to open. Told in one line."""

from __future__ import annotations

import errno
import random
import re

from tests.torture import model
from tests.torture.killing import Act, Report, mend
from tests.torture.model import Broken
from tests.torture.stage import Play, Stage
from tests.torture.striking import CHANGES, CREATE, FAIL, FAIL_ONCE, NAME, OPEN, READ, SIZE, SYNC, WRITE, Blow, Ended

# Which calls each error befalls.
ERRORS = {
    errno.ENOSPC: CREATE | WRITE | SIZE | SYNC,
    errno.EDQUOT: CREATE | WRITE | SIZE,
    errno.EIO: CHANGES,
    errno.EROFS: CREATE | NAME | OPEN,
    errno.EMFILE: CREATE | READ | OPEN,
    errno.ENFILE: CREATE | READ | OPEN,
}
PASSES = 0.3  # of the errors come once, the others from then on
TEMPORARY = re.compile(r"\.tmp|\.part|/\.(?!(warta\.)?(lock|json|size|tenders)\b)")


def fail(stage: Stage, act: Act, rounds: int, dice: random.Random) -> Report:
    """``rounds`` times a call of the verb fails, each error in its turn, then all is well again."""
    report = Report(f"failing disk: {act.name}")
    calls: dict[int, int] = {}
    for number in range(rounds):
        error = list(ERRORS)[number % len(ERRORS)]
        if error not in calls:
            with stage.play(act.begins) as play:
                calls[error] = play.run(*act.arguments, blow=Blow(classes=ERRORS[error])).calls
        what = FAIL_ONCE if dice.random() < PASSES else FAIL
        blow = Blow(what, dice.randint(1, max(calls[error], 1)), ERRORS[error], error)
        report.rounds += 1
        with stage.play(act.begins) as play, report.watch(act.name, blow):
            befall(act, stage, play, blow, report)
    return report


def run_short(stage: Stage, act: Act, rounds: int, dice: random.Random) -> Report:
    """``rounds`` times the verb may open few files, as where the system's limit is low or another one took them."""
    report = Report(f"few files: {act.name}")
    for _ in range(rounds):
        report.rounds += 1
        blow = Blow(limits={"RLIMIT_NOFILE": dice.randint(5, 24)})
        with stage.play(act.begins) as play, report.watch(act.name, blow):
            befall(act, stage, play, blow, report)
    return report


def befall(act: Act, stage: Stage, play: Play, blow: Blow, report: Report) -> None:
    """The verb under the blow, then without."""
    before = model.find_kept(play.address) if act.name != "migrate" else (set[str](), [])
    ended = play.run(*act.arguments, blow=blow)
    report.blows += 1
    check_told(ended, act)
    report.checked += act.check(stage, play)
    model.check_nothing_lost(before, play.address)
    mend(stage, act, play)


def check_told(ended: Ended, act: Act) -> None:
    """What failed is told without a traceback: an exit code, and a line that begins as all mistakes do or a verdict."""
    if "Traceback" in ended.err or "Traceback" in ended.out:
        raise Broken(f"a traceback: {ended}")
    if ended.code < 0 or ended.code > 2:
        raise Broken(f"it did not end by itself: {ended}")
    if ended.code == 2:
        lines = [line for line in ended.err.splitlines() if line.startswith("warta: ")]
        named = "|".join(["/", "database", r"[\w-]+\.\w+", *(f"{re.escape(name)}: " for name in ended.arguments[1:])])
        if len(lines) != 1 or not re.search(named, lines[0]):
            raise Broken(f"not one line that names what failed: {ended.err!r}")
        if TEMPORARY.search(lines[0]):
            raise Broken(f"it names a file that nobody knows: {lines[0]}")
    elif ended.code == 1 and act.name not in {"migrate"} and not re.search(r"errors|stopped|lease|busy", ended.out):
        raise Broken(f"failed without a reason: {ended.out!r} {ended.err!r}")
