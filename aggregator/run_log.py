"""How the runs of every portal ended, as SQL: each portal's last ones, where one failed or was back, and what of it all
may be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.database import reading, runs, writing
from aggregator.models import Sweep
from aggregator.rows import parse_run, run_row
from aggregator.saving import next_number
from aggregator.statements import chunks, list_portals
from aggregator.verdicts import Run, Verdict

# Four times the week that readers are shown day by day (feeds.pages.portals). A country's 790 portals, read every
# quarter of an hour, then keep 2 million runs, and not 28 million a year.
KEPT = timedelta(days=28)
FORGOTTEN_AT_ONCE = 10_000  # runs: some 0.1 s, in which nobody else writes; what is over goes with the next crawl

GOOD = (Verdict.OK, Verdict.PARTIAL)

_FULL = sa.and_(runs.c.sweep == Sweep.FULL, sa.not_(runs.c.narrowed))
_IS_GOOD = runs.c.verdict.in_(GOOD)
_KINDS = {"last": sa.true(), "good": _IS_GOOD, "full": sa.and_(_IS_GOOD, _FULL), "tried": _FULL}


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRuns:
    """A portal's last run, its last good one (ok or partial), its last full sweep and its last good one.

    Narrowed runs (a limit, some kinds or years) are no full sweeps.
    """

    last: Run
    good: Run | None
    full: Run | None
    tried: Run | None


def save_run(engine: Engine, run: Run) -> None:
    """Adds a run, unless it is the last one kept of its portal."""
    last = sa.select(runs).where(runs.c.portal == run.portal).order_by(runs.c.id.desc()).limit(1)
    with writing(engine) as connection:
        row = connection.execute(last).mappings().one_or_none()
        kept = parse_run(row) if row else None
        if kept != run:
            turned = _state(run) != (_state(kept) if kept else _WELL)
            number = next_number(connection, runs.c.id)
            connection.execute(sa.insert(runs), {**run_row(run, number), "turned": turned})


def find_last_runs(engine: Engine) -> dict[str, LastRuns]:
    """By portal; portals never crawled are absent."""
    with reading(engine) as connection:
        numbers = _find_last_numbers(connection)
        wanted = {number for row in numbers for number in row if number is not None}
        found = {
            row["id"]: parse_run(row)
            for chunk in chunks(wanted)
            for row in connection.execute(sa.select(runs).where(runs.c.id.in_(chunk))).mappings()
        }
    return {
        found[row.last].portal: LastRuns(
            last=found[row.last],
            good=found.get(row.good),
            full=found.get(row.full),
            tried=found.get(row.tried),
        )
        for row in numbers
    }


def find_verdict_turns(engine: Engine, limit: int | None) -> list[Run]:
    """The runs where a portal went from good to a broken contract, or to failed or blocked, or back; newest first.

    A portal whose first run failed went wrong there.
    """
    statement = sa.select(runs).where(runs.c.turned).order_by(runs.c.id.desc()).limit(limit)
    with reading(engine) as connection:
        return [parse_run(row) for row in connection.execute(statement).mappings()]


def forget_runs(engine: Engine, now: datetime) -> int:
    """Takes out runs that ended more than KEPT before ``now``, the oldest first; how many. Cheap where there are none.

    What somebody asks for stays whatever its age: where a portal failed or was back, and the last runs of each, among
    them the good full sweep whose answers the archive keeps.
    """
    old = sa.select(runs.c.id).where(runs.c.finished < now - KEPT, sa.not_(runs.c.turned)).order_by(runs.c.finished)
    with reading(engine) as connection:
        last = {number for row in _find_last_numbers(connection) for number in row}
        found = connection.execute(old.limit(FORGOTTEN_AT_ONCE + len(last))).scalars()
        forgotten = [number for number in found if number not in last][:FORGOTTEN_AT_ONCE]
    if forgotten:
        with writing(engine) as connection:
            for chunk in chunks(forgotten):
                connection.execute(sa.delete(runs).where(runs.c.id.in_(chunk)))
    return len(forgotten)


def _find_last_numbers(connection: Connection) -> list[sa.Row[tuple[int, int | None, int | None, int | None]]]:
    """The numbers of each portal's last runs, by what LastRuns calls them."""
    portals = list_portals(runs)
    newest_first = sa.select(runs.c.id).where(runs.c.portal == portals.c.portal).order_by(runs.c.id.desc()).limit(1)
    newest = (newest_first.where(of_kind).scalar_subquery().label(name) for name, of_kind in _KINDS.items())
    return list(connection.execute(sa.select(*newest).where(portals.c.portal.is_not(None))))


_WELL, _BROKEN, _DOWN = range(3)


def _state(run: Run) -> int:
    """How a run left its portal, as readers of the status feed hear of it."""
    if run.verdict not in GOOD:
        return _DOWN
    return _BROKEN if run.broken else _WELL
