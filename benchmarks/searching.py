"""How long a reader waits for a page of 20 and for the feed of a search, on a database of any size."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from statistics import median
from urllib.parse import quote

from aggregator.database import open_database
from aggregator.filters import Filter
from aggregator.models import Category, Status
from aggregator.repository import Repository
from benchmarks.tenders import COMMON_WORD, NOW, RARE_WORD, SELDOM_WORD, ZONE

PAGE = 20
TIMES = 5  # each search is asked; the median counts

# By date, newest first, as all but few are asked. Bounded are words, however many tenders have them.
WORDS: Mapping[str, Filter] = {
    "a common word": Filter(q=COMMON_WORD),
    "two common words": Filter(q=f"{COMMON_WORD} rehabilitasi"),
    "either of two words": Filter(q=f"{COMMON_WORD} OR jembatan"),
    "a common and a rare word": Filter(q=f"{COMMON_WORD} {SELDOM_WORD}"),
    "a rare word": Filter(q=SELDOM_WORD),
    "a rare word, all of it old": Filter(q=RARE_WORD),
    "a word that nothing has": Filter(q="zeppelin"),
}
OTHERS: Mapping[str, Filter] = {
    "everything": Filter(),
    "what is open": Filter(status=(Status.ACTIVE,)),
    "works of an older year": Filter(category=(Category.WORKS,), year=(2018,)),
    "a common word, one work unit": Filter(q=COMMON_WORD, procuring_entity=("Dinas Kesehatan",)),
}


def measure_searches(address: str) -> dict[str, float]:
    """Seconds for the first page of each search."""
    repository = Repository(open_database(address))
    return {
        name: median(_find(repository, wanted) for _ in range(TIMES)) for name, wanted in {**WORDS, **OTHERS}.items()
    }


def _find(repository: Repository, wanted: Filter) -> float:
    began = time.perf_counter()
    list(repository.find(replace(wanted, limit=PAGE), NOW + timedelta(hours=1), ZONE))
    return time.perf_counter() - began


def measure_query_feeds(port: int) -> tuple[float, float]:
    """Seconds until a server at ``port`` of this machine answers with the feed of a search: asked for the first time,
    and again. Medians over WORDS."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    first, again = [], []
    for wanted in WORDS.values():
        path = f"/feeds/search.rss?q={quote(wanted.q)}"
        first.append(_ask(connection, path))
        again.append(median(_ask(connection, path) for _ in range(TIMES)))
    connection.close()
    return median(first), max(again)


def _ask(connection: http.client.HTTPConnection, path: str) -> float:
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} was answered with {answer.status}")
    return time.perf_counter() - began
