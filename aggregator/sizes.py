"""How much the database holds, and what its runs came to, as SQL: cheap however much it is, so that polling may ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from aggregator.archive import CARRIED
from aggregator.database import DatabaseError, find_database_file, reading, releases, runs, snapshots, tenders
from aggregator.health import DatabaseState
from aggregator.statements import list_portals
from aggregator.verdicts import Verdict

MOST_SUMMED = 100_000  # runs that one question adds up: about 0.1 s


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSum:
    """The runs of a portal that ended in one verdict: how many, how long in seconds, and their counts added up."""

    portal: str
    verdict: Verdict
    runs: int
    seconds: float
    requests: int
    errors: int
    new: int
    changed: int
    withdrawn: int

    def add(self, other: RunSum) -> RunSum:
        """Both together; the verdict is that of this one."""
        names = ("runs", "seconds", "requests", "errors", "new", "changed", "withdrawn")
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in names})


def find_database_state(engine: Engine) -> DatabaseState:
    """Sizes and numbers of the database.

    Neither tenders nor releases are ever deleted, and both are numbered from 1 without a gap: the highest number is
    how many there are, where count(*) would read a million rows. DatabaseError also where the file was taken away:
    connections that are open would go on reading it.
    """
    file = find_database_file(engine.url.render_as_string(hide_password=False))
    if file is not None and not file.exists():
        raise DatabaseError(f"database {file} is not there any more; put it back, or a backup in its place")
    numbers = sa.select(
        sa.select(sa.func.max(tenders.c.id)).scalar_subquery(),
        sa.select(sa.func.max(releases.c.seq)).scalar_subquery(),
        sa.select(sa.func.max(releases.c.time)).scalar_subquery(),
    )
    with reading(engine) as connection:
        tender_count, release_count, changed = connection.execute(numbers).one()
        size = _find_size(connection)
    return DatabaseState(
        kind=engine.dialect.name, size=size, tenders=tender_count or 0, releases=release_count or 0, changed=changed
    )


def _find_size(connection: Connection) -> int:
    """Bytes on disk, indexes too; of SQLite without what waits in its -wal file."""
    if connection.dialect.name == "postgresql":
        statement = "SELECT pg_database_size(current_database())"
    else:
        statement = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    return int(connection.exec_driver_sql(statement).scalar_one())


def find_portals(engine: Engine) -> list[str]:
    """The portals that something is kept of, configured or not."""
    portals = list_portals(tenders)
    with reading(engine) as connection:
        return list(connection.execute(sa.select(portals.c.portal).where(portals.c.portal.is_not(None))).scalars())


def find_oldest_answer(engine: Engine) -> datetime | None:
    """The time of the oldest run whose answers the archive holds; None where it holds none."""
    portals = list_portals(snapshots)
    first = sa.select(sa.func.min(snapshots.c.run)).where(snapshots.c.portal == portals.c.portal).scalar_subquery()
    with reading(engine) as connection:
        times = connection.execute(sa.select(first).where(portals.c.portal != CARRIED)).scalars()
        return min(times, default=None)


class RunTotals:
    """What the runs came to, by portal and verdict, for counters. At first the newest MOST_SUMMED are added up: a
    counter may begin anywhere, and asking must stay cheap."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last: int | None = None
        self._sums: dict[tuple[str, Verdict], RunSum] = {}

    def find(self) -> list[RunSum]:
        """The sums, with the runs that ended since the last call. DatabaseError, and then nothing was added."""
        newest = find_newest_run(self._engine)
        last = max(newest - MOST_SUMMED, 0) if self._last is None else self._last
        for found in find_run_sums(self._engine, last, newest):
            held = self._sums.get((found.portal, found.verdict))
            self._sums[found.portal, found.verdict] = found.add(held) if held else found
        self._last = newest
        return list(self._sums.values())


def find_newest_run(engine: Engine) -> int:
    """The number of the newest run; 0 where there is none."""
    with reading(engine) as connection:
        return connection.execute(sa.select(sa.func.max(runs.c.id))).scalar_one() or 0


def find_run_sums(engine: Engine, after: int, until: int) -> Sequence[RunSum]:
    """The runs with a number above ``after`` and up to ``until``, added up by portal and verdict."""
    # As bare integers: a difference of two instants is no instant.
    took = sa.cast(runs.c.finished, sa.BigInteger) - sa.cast(runs.c.started, sa.BigInteger)
    took = sa.case((took < 0, 0), else_=took)  # the clock was set back
    counts = [runs.c[name] for name in ("requests", "errors", "new", "changed", "withdrawn")]
    statement = (
        sa.select(
            runs.c.portal,
            runs.c.verdict,
            sa.func.count().label("runs"),
            sa.func.sum(took).label("took"),
            *(sa.func.sum(count).label(count.name) for count in counts),
        )
        .where(runs.c.id > after, runs.c.id <= until)
        .group_by(runs.c.portal, runs.c.verdict)
    )
    with reading(engine) as connection:
        return [
            RunSum(
                portal=row["portal"],
                verdict=Verdict(row["verdict"]),
                runs=row["runs"],
                seconds=int(row["took"]) / 1_000_000,
                **{count.name: int(row[count.name]) for count in counts},
            )
            for row in connection.execute(statement).mappings()
        ]
