"""kill -9 at every write of every verb that writes, and at random moments: nothing half, lost, or told twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from aggregator.backup import unpack_backup
from aggregator.config import load_config
from tests.torture import model
from tests.torture.model import Broken
from tests.torture.stage import DATABASE, Play, Stage
from tests.torture.striking import CHANGES, KILL, TEAR, Blow, Ended

BY_TIME = 0.25  # of the kills come after a time, not at a call
TWICE = 0.2  # of the runs that are to mend all are killed, too


@dataclass(frozen=True)
class Act:
    """A verb: in which folder it begins, and what it may, and then must, leave behind."""

    name: str
    begins: str
    arguments: tuple[str, ...]
    check: Callable[[Stage, Play], int]
    check_after: Callable[[Stage, Play], None]
    codes: frozenset[int] = frozenset({0})
    done: str = ""  # what it may say on standard error where it was done before
    mend: tuple[str, ...] = ()  # what is done after the blow; the same verb again where there is none

    def is_mended(self, ended: Ended) -> bool:
        """Whether the verb came to its end after all, or had done so before."""
        return ended.code in self.codes or (ended.code == 2 and bool(self.done) and self.done in ended.err)


@dataclass
class Report:
    """What a scenario found, a row of the table."""

    name: str
    rounds: int = 0
    blows: int = 0
    checked: int = 0
    violations: list[str] = field(default_factory=list)

    @contextmanager
    def watch(self, *told: object) -> Iterator[None]:
        """A violation in the block is written down with what led to it, and the next round begins."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it was not to be
            what = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            self.violations.append(" | ".join([*map(str, told), what]))


def check_kept(stage: Stage, play: Play) -> int:
    """The database at any moment after the first crawl."""
    return model.check_database(play.address, stage.truths)


def check_begun(stage: Stage, play: Play) -> int:
    """As ``check_kept``, while a replay goes on: of a page that the disk did not give it says that it is lacking."""
    return model.check_database(play.address, stage.truths, admitted=True)


def check_crawled(stage: Stage, play: Play) -> None:
    model.check_database(play.address, stage.truths[1:])
    model.check_news(play.address, model.find_news(f"sqlite:///{stage.kept('moved') / DATABASE}"))


def check_crawled_anew(stage: Stage, play: Play) -> None:
    model.check_database(play.address, stage.truths[1:])
    model.check_news(play.address, model.find_news(f"sqlite:///{stage.kept('anew') / DATABASE}"))


def check_published(stage: Stage, play: Play) -> int:
    return model.check_tree(play.public, [stage.old, stage.new])


def check_published_first(stage: Stage, play: Play) -> int:
    return model.check_tree(play.public, [stage.anew])


def check_published_again(stage: Stage, play: Play) -> None:
    model.check_healed(play.public, stage.new)


def check_published_anew(stage: Stage, play: Play) -> None:
    model.check_healed(play.public, stage.anew)


def check_replayed(stage: Stage, play: Play) -> None:
    """What a killed replay had not come to yet is corrected by the next one, which is no news."""
    model.check_database(play.address, stage.truths[1:])
    model.check_told_once(play.address, model.find_news(f"sqlite:///{stage.kept('replayed') / DATABASE}"))


def check_migrated(stage: Stage, play: Play) -> None:
    check_same(stage, play.address)


def check_export(stage: Stage, play: Play) -> int:
    """Absent, or whole: each line ends, and there are as many as tenders."""
    path = play.folder / "x.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    wanted = len(stage.truths[0])
    if path.exists() and (len(lines) != wanted or not lines[-1].endswith(b"}\n")):
        raise Broken(f"an export of {len(lines)} lines for {wanted} tenders")
    return len(lines) + check_kept(stage, play)


def check_exported(stage: Stage, play: Play) -> None:
    if not check_export(stage, play) > len(stage.truths[0]):
        raise Broken("no export was written")


def check_backup(stage: Stage, play: Play) -> int:
    """Absent, or whole: every sum in it is right."""
    looked_at = check_kept(stage, play)
    for path in play.folder.glob("?.tar.zst"):
        with unpack_backup(path, play.folder) as backup:
            looked_at += model.check_database(f"sqlite:///{backup.folder / 'warta.db'}", stage.truths)
    return looked_at


def check_backed_up(stage: Stage, play: Play) -> None:
    if not (play.folder / "c.tar.zst").exists():
        raise Broken("no backup was written")
    check_backup(stage, play)


def check_restore(stage: Stage, play: Play) -> int:
    """A folder with a warta.toml is whole; one without is only begun."""
    path = play.folder / "new" / "warta.toml"
    if path.exists():
        check_restored(stage, play)
    return check_kept(stage, play)


def check_restored(stage: Stage, play: Play) -> None:
    config = load_config(play.folder / "new" / "warta.toml")
    check_same(stage, config.database_url)
    if not list(config.archive_folder.glob("*.zst")):
        raise Broken("no archive was restored")


def check_move(stage: Stage, play: Play) -> int:
    """The new database has nothing, or all; the old one is as it was."""
    target = f"sqlite:///{play.folder}/var/new.db"
    tenders, _ = model.find_kept(target)
    if tenders:
        check_same(stage, target)
    check_same(stage, play.address)
    return len(tenders) + len(stage.truths[0])


def check_moved(stage: Stage, play: Play) -> None:
    check_same(stage, f"sqlite:///{play.folder}/var/new.db")


def check_same(stage: Stage, address: str) -> None:
    """The database holds what ``first`` does."""
    model.check_database(address, stage.truths[:1])
    if model.find_kept(address) != model.find_kept(f"sqlite:///{stage.kept('first') / DATABASE}"):
        raise Broken(f"{address} does not hold what was to be carried there")


ACTS = {
    act.name: act
    for act in (
        Act("crawl", "first", ("crawl",), check_kept, check_crawled),
        Act("first crawl", "empty", ("crawl",), check_kept, check_crawled_anew),
        Act("publish", "moved", ("publish",), check_published, check_published_again),
        Act("first publish", "bare", ("publish",), check_published_first, check_published_anew),
        Act("replay", "lost", ("replay",), check_begun, check_replayed),
        Act("migrate", "old", ("status",), check_kept, check_migrated, codes=frozenset({0, 1})),
        Act("export", "first", ("export", "--format", "jsonl", "-o", "x.jsonl"), check_export, check_exported),
        Act(
            *("backup", "first", ("backup", "--archive", "b.tar.zst"), check_backup, check_backed_up),
            mend=("backup", "--archive", "c.tar.zst"),
        ),
        Act(
            *("restore", "backed", ("restore", "b.tar.zst", "new"), check_restore, check_restored),
            done="warta.toml is there already",
        ),
        Act(
            *("move", "first", ("db", "move", "--to", "sqlite:///var/new.db"), check_move, check_moved),
            done="holds something already",
        ),
    )
}


def kill(stage: Stage, act: Act, rounds: int, dice: random.Random) -> Report:
    """``rounds`` times the verb is killed, at calls that are drawn without putting back, until all had their turn."""
    report = Report(f"kill -9: {act.name}")
    with stage.play(act.begins) as play:
        ended = play.run(*act.arguments, blow=Blow(classes=CHANGES))
        if ended.code not in act.codes:
            raise AssertionError(str(ended))
        calls, seconds = ended.calls, max(ended.cpu, 0.05) * 2
    places: list[int] = []
    for _ in range(rounds):
        places = places or dice.sample(range(1, calls + 1), calls)
        report.rounds += 1
        blow = Blow(dice.choice([KILL, KILL, TEAR]), places.pop())
        if dice.random() < BY_TIME:
            blow = Blow(seconds=dice.uniform(0.0, seconds))
        second = Blow(KILL, dice.randint(1, calls)) if dice.random() < TWICE else None
        with stage.play(act.begins) as play:
            strike(stage, act, play, [blow, *([second] if second else [])], report)
    return report


def strike(stage: Stage, act: Act, play: Play, blows: Sequence[Blow], report: Report) -> None:
    """The verb under each blow, then once more without: checked after each."""
    told: list[Ended] = []
    with report.watch(act.name, *blows):
        for blow in blows:
            before = model.find_kept(play.address) if act.name != "migrate" else (set[str](), [])
            told.append(play.run(*act.arguments, blow=blow))
            report.blows += told[-1].was_killed
            report.checked += act.check(stage, play)
            model.check_nothing_lost(before, play.address)
        mend(stage, act, play)


def mend(stage: Stage, act: Act, play: Play) -> None:
    """The verb once more, and nothing befalls it: all is as if there had been no bad day."""
    mended = play.run(*(act.mend or act.arguments))
    if not act.is_mended(mended):
        raise Broken(str(mended))
    act.check_after(stage, play)
    model.check_no_litter(play.folder)
