"""WebSub (W3C Recommendation, 2018): the hub is told which feeds changed; what it could not be told is kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath

from aggregator.config import Config
from aggregator.files import sync_folder
from feeds.definitions import Format
from feeds.tree import Tree, lock_tree, replace_file

PINGS = ".warta.pings"  # in the tree: a changed file a line, until the hub knows

_SUFFIXES = {f".{form}" for form in Format}
_log = logging.getLogger(__name__)


def is_topic(path: str) -> bool:
    """Whether one can subscribe at the hub to this file of the tree: to feeds, but to no archive, which never moves."""
    place = PurePosixPath(path)
    return place.parent == PurePosixPath("feeds") and place.suffix in _SUFFIXES


def render_link(config: Config, path: str) -> str | None:
    """The Link field by which subscribers discover hub and topic (§4); None for what is no topic, or without hub."""
    if not (config.publish.hub and is_topic(path)):
        return None
    return f'<{config.publish.hub}>; rel="hub", <{config.publisher.url}{path}>; rel="self"'


def note_changes(tree: Tree, config: Config) -> None:
    """Keeps which feeds this publish changed, if there is a hub. Before its end, so that a crash forgets none."""
    changed = {path for path in tree.changed if is_topic(path)}
    if config.publish.hub and changed:
        _save(tree.root, _load(tree.root) | changed)


def tell_hub(
    root: Path,
    config: Config,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Tells the configured hub of every feed below ``root`` that changed since it was last told.

    A hub that is down fails nothing: after some seconds the rest is left for the next publish.
    """
    hub = config.publish.hub
    if not hub or not (root / PINGS).exists():
        return
    from feeds.pinging import Round

    with lock_tree(root):  # so that no publish notes what we are about to strike off
        topics = {config.publisher.url + path: path for path in sorted(_load(root)) if (root / path).exists()}
        pings = Round(hub, config.user_agent, sleep, clock)
        told = pings.tell(topics)
        left = {path for topic, path in topics.items() if topic not in told}
        _save(root, left)
    if told:
        _log.info("%s was told of %d changed feeds", hub, len(told))
    if left:
        _log.warning("%s was not told of %d changed feeds; the next publish tries again: %s", hub, len(left), pings.why)


def _load(root: Path) -> set[str]:
    try:
        return set((root / PINGS).read_text(encoding="ascii").split())
    except FileNotFoundError:
        return set()


def _save(root: Path, topics: Collection[str]) -> None:
    if topics:
        replace_file(root / PINGS, "".join(f"{path}\n" for path in sorted(topics)).encode("ascii"))
    else:
        (root / PINGS).unlink(missing_ok=True)
    sync_folder(root)
