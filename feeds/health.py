"""Finds out what health is told from: the database, folders and disks as they are now, in a few cheap looks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from aggregator.config import Config, ConfigError, Notify
from aggregator.database import DatabaseError, find_database_file, show_address
from aggregator.health import ChannelState, Facts, Health, tell_health
from aggregator.leases import find_held
from aggregator.notices import Standing, find_standings
from aggregator.queue import find_queue
from aggregator.repository import Repository
from aggregator.retention import find_sizes
from aggregator.sizes import find_database_state, find_oldest_answer
from feeds.tree import find_last_publish, find_tree_size


def find_health(config: Config, open_repository: Callable[[], Repository], now: datetime, root: Path) -> Health:
    """How all stands at ``now``, with the tree published at ``root``. A database that cannot be opened or read is part
    of the answer; it may take as long as the database's own patience."""
    tree = find_tree_size(root)
    facts = Facts(
        address=show_address(config.database_url),
        last_runs={},
        archive_size=sum(find_sizes(config.archive_folder).values()),
        published=find_last_publish(root),
        tree_files=tree.files if tree else None,
        tree_size=tree.size if tree else None,
        free=_find_free(config, root),
        channels=[_tell_channel(table, None) for table in config.notify],
    )
    try:
        repository = open_repository()
        standings = find_standings(repository.engine)
        facts = replace(
            facts,
            database=find_database_state(repository.engine),
            last_runs=repository.find_last_runs(),
            archive_oldest=find_oldest_answer(repository.engine),
            held=find_held(repository.engine),
            queue=find_queue(repository.engine),
            channels=[_tell_channel(table, standings.get(table.id)) for table in config.notify],
        )
    except DatabaseError as error:
        facts = replace(facts, failure=str(error))
    return tell_health(config, facts, now)


def _tell_channel(table: Notify, standing: Standing | None) -> ChannelState:
    lacks = ""
    try:
        table.load_url()
    except ConfigError as error:
        lacks = str(error)
    failures, retry_at = (standing.failures, standing.retry_at) if standing else (0, None)
    return ChannelState(id=table.id, failures=failures, retry_at=retry_at, lacks=lacks)


def _find_free(config: Config, root: Path) -> Mapping[str, int]:
    """Bytes that this user may still write, by folder: where the database lies if it is a file, archive and tree.
    A folder that is not there yet is told by the one that it will be made in."""
    file = find_database_file(config.database_url)
    folders = [*([file.parent] if file else []), config.archive_folder, root]
    there = (next(place for place in (folder, *folder.parents) if place.exists()) for folder in folders)
    return {str(folder): shutil.disk_usage(folder).free for folder in dict.fromkeys(there)}
