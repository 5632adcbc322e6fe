"""What is asked of a database that may be away for a moment, as while its server starts anew, is asked again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from itertools import chain, repeat
from typing import ParamSpec, TypeVar

from aggregator.database import DatabaseAway
from aggregator.repository import Repository

PATIENCE = 60.0  # seconds for which a database may be away; a stop that is asked for meanwhile waits as long
WAITS = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between the first tries; from then on the longest

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


def persist(
    action: Callable[[], T],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What ``action`` returns, which is tried again as a whole while the database is away.

    So it must come to the same when it is done twice: whether a commit that was answered by nothing took place, only
    the database knows. After PATIENCE seconds its DatabaseAway is passed on.
    """
    end = clock() + PATIENCE
    waits = chain(WAITS, repeat(WAITS[-1]))
    while True:
        try:
            return action()
        except DatabaseAway as away:
            wait = next(waits)
            if clock() + wait > end:
                raise
            if wait == WAITS[0]:
                logger.warning("%s; trying again for %.0f s", away, PATIENCE)
        sleep(wait)


def _patiently(method: Callable[P, T]) -> Callable[P, T]:
    @wraps(method)
    def again(*arguments: P.args, **named: P.kwargs) -> T:
        return persist(lambda: method(*arguments, **named))

    return again


class PatientRepository(Repository):
    """A repository as a crawl needs it: it outlives a restart of its database. See ``persist``."""

    save = _patiently(Repository.save)
    touch = _patiently(Repository.touch)
    save_listing = _patiently(Repository.save_listing)
    correct = _patiently(Repository.correct)
    save_run = _patiently(Repository.save_run)
    load_known = _patiently(Repository.load_known)
    find_last_start = _patiently(Repository.find_last_start)
    find_years = _patiently(Repository.find_years)
    find_last_runs = _patiently(Repository.find_last_runs)
    save_snapshots = _patiently(Repository.save_snapshots)
    find_segment_end = _patiently(Repository.find_segment_end)
    find_body = _patiently(Repository.find_body)
    find_segments = _patiently(Repository.find_segments)
    find_needed = _patiently(Repository.find_needed)
    forget_segment = _patiently(Repository.forget_segment)
