"""What robots.txt of a host said: kept for a day, so that it is asked for once and not once a run (RFC 9309)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from aggregator.database import reading, robots, writing
from aggregator.patience import persist

MOST_BYTES = 500 * 1024  # as many as section 2.5 asks to read

_KEPT = timedelta(hours=24)  # section 2.4
_KEPT_DENIED = timedelta(hours=1)  # 403 and the like: a wall that may be gone soon
_LASTING = {404, 410}  # there is none


class RobotsAnswer(NamedTuple):
    """The answer to robots.txt: when it came, its status and body."""

    fetched: datetime
    status: int
    body: bytes

    @property
    def rules(self) -> bytes:
        """What the host asks for: nothing where it has no such file (section 2.3.1.3)."""
        return self.body if 200 <= self.status < 300 else b""

    def is_fresh(self, now: datetime) -> bool:
        """Whether it need not be asked for again; what comes from the future was told by a clock set back since."""
        lasting = 200 <= self.status < 300 or self.status in _LASTING
        return abs(now - self.fetched) < (_KEPT if lasting else _KEPT_DENIED)


class Robots:
    """The answers of all hosts, by scheme and host as in https://a.example. Without ``engine`` they are kept in memory
    only; ``dry_run`` writes none."""

    def __init__(self, engine: Engine | None = None, *, dry_run: bool = False) -> None:
        self._engine = engine
        self._dry_run = dry_run
        self._answers: dict[str, RobotsAnswer] = {}

    def find(self, host: str) -> RobotsAnswer | None:
        """The last answer, however old."""
        if host not in self._answers and self._engine is not None:
            columns = robots.c.fetched, robots.c.status, robots.c.body
            engine = self._engine

            def read() -> RobotsAnswer | None:
                with reading(engine) as connection:
                    row = connection.execute(sa.select(*columns).where(robots.c.host == host)).one_or_none()
                return RobotsAnswer(*row) if row else None

            if answer := persist(read):
                self._answers[host] = answer
        return self._answers.get(host)

    def save(self, host: str, answer: RobotsAnswer) -> None:
        """In the place of what the host said before."""
        self._answers[host] = answer
        if self._engine is None or self._dry_run:
            return
        engine = self._engine

        def write() -> None:
            with writing(engine) as connection:
                connection.execute(sa.delete(robots).where(robots.c.host == host))
                connection.execute(sa.insert(robots).values(host=host, **answer._asdict()))

        persist(write)
