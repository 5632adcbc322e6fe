"""How long a publish takes: from nothing, when nothing changed, when one tender did; each in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from aggregator.config import Config, load_config
from aggregator.database import open_database
from aggregator.repository import Repository
from benchmarks.tenders import BLOCK, NOW, make_changed
from feeds.publish import publish
from feeds.tree import Published

TIMES = 5  # a publish of what is published; the median counts


def publish_first(config: str) -> dict[str, Any]:
    """Seconds into an empty folder, and how many files and feeds that makes."""
    loaded, repository = _open(config)
    seconds, done = _publish(loaded, repository, NOW)
    feeds = len(list(loaded.public_folder.glob("feeds/*.rss")))
    return {"seconds": seconds, "files": done.written, "feeds": feeds}


def publish_again(config: str) -> dict[str, Any]:
    """Seconds where all is published, the first ones of a process left out: what it then reads once counts there."""
    loaded, repository = _open(config)
    first, done = _publish(loaded, repository, NOW + timedelta(minutes=1))
    times = [_publish(loaded, repository, NOW + timedelta(minutes=2 + n)) for n in range(TIMES)]
    written = done.written + sum(each.written for _, each in times)
    return {"first": first, "seconds": median(seconds for seconds, _ in times), "files": written}


def publish_one(config: str, size: int) -> dict[str, Any]:
    """Seconds after one open tender changed, how many files that rewrote, and those of them that do not show it."""
    loaded, repository = _open(config)
    _publish(loaded, repository, NOW + timedelta(minutes=10))
    number = size - 1 - (BLOCK // 1_000)  # among the newest of its portal
    changed = make_changed(number, times=2)
    repository.save([changed], NOW + timedelta(minutes=11))
    before = dict(_list_files(loaded.public_folder))
    seconds, done = _publish(loaded, repository, NOW + timedelta(minutes=12))
    rewritten = [path for path, stamp in _list_files(loaded.public_folder) if before.get(path) != stamp]
    key = changed.tender.key.encode()
    others = [path for path in rewritten if key not in (loaded.public_folder / path).read_bytes()]
    return {"seconds": seconds, "files": done.written, "others": others}


def _open(config: str) -> tuple[Config, Repository]:
    loaded = load_config(Path(config))
    return loaded, Repository(open_database(loaded.database_url))


def _publish(config: Config, repository: Repository, now: datetime) -> tuple[float, Published]:
    began = time.perf_counter()
    done = publish(config, repository, now)
    return time.perf_counter() - began, done


def _list_files(folder: Path) -> Iterator[tuple[str, int]]:
    """What is served, without the packed twins, each with what tells whether it is still the same."""
    for path in folder.rglob("[!.]*"):
        if path.is_file() and not path.name.endswith(".gz"):
            yield path.relative_to(folder).as_posix(), path.stat().st_ino
