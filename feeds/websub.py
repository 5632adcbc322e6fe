"""WebSub (W3C Recommendation, 2018): the hub is told which feeds changed; what it could not be told is kept."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePosixPath

from aggregator.config import Config
from aggregator.files import sync_folder
from feeds.definitions import Format
from feeds.drafts import replace_file
from feeds.tree import Tree, lock_tree

PINGS = ".warta.pings"  # in the tree: a changed file a line, until the hub knows
PATIENCE = 8.0  # seconds that pings may last
START = 2.0  # seconds more for the process that sends them to begin; then it is ended, whatever the hub does

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
        _save(tree.root, _load(tree.root).keys() | changed)


def ping_apart(hub: str, agent: str, topics: Sequence[str]) -> tuple[Collection[str], str]:
    """Which of ``topics`` the hub took, and why not the others. A process of its own does it, so that nothing that a
    hub answers can hold or break a publish, and ``PATIENCE`` and ``START`` are all the time it takes."""
    asked = json.dumps({"hub": hub, "agent": agent, "patience": PATIENCE, "topics": topics}).encode()
    program = [sys.executable, "-P", str(Path(__file__).with_name("pinging.py"))]  # -P: this folder has a calendar.py
    try:
        ended = subprocess.run(  # noqa: S603 # nosec B603 # our own program; what it works with it reads from its input
            program, input=asked, capture_output=True, timeout=PATIENCE + START, check=False
        )
    except subprocess.TimeoutExpired as error:
        return _parse_lines(error.stdout), f"no end after {PATIENCE + START:g} s"
    return _parse_lines(ended.stdout), "".join(_parse_lines(ended.stderr)[-1:])


def _parse_lines(output: bytes | None) -> list[str]:
    return (output or b"").decode(errors="replace").splitlines()


def tell_hub(
    root: Path,
    config: Config,
    *,
    ping: Callable[[str, str, Sequence[str]], tuple[Collection[str], str]] = ping_apart,
) -> None:
    """Tells the configured hub of every feed below ``root`` that changed since it was last told.

    A hub that is down fails nothing: after some seconds the rest is left for the next publish. The tree is not held
    meanwhile: what another publish changes then is told once more.
    """
    hub = config.publish.hub
    if not hub or not (root / PINGS).exists():
        return
    before = _load(root)
    topics = {config.publisher.url + path: path for path in sorted(before)}
    told, why = ping(hub, config.user_agent, list(topics)) if topics else ((), "")
    with lock_tree(root):  # so that no publish notes what we are about to strike off
        done = {path for topic, path in topics.items() if topic in told}
        left = [path for path, mtime in _load(root).items() if path not in done or mtime != before[path]]
        _save(root, left)
    if done:
        _log.info("%s was told of %d changed feeds", hub, len(done))
    if missed := topics.keys() - set(told):
        _log.warning("%s was not told of %d changed feeds; the next publish tries again: %s", hub, len(missed), why)


def _load(root: Path) -> dict[str, int]:
    """Feeds that are in the tree, with their times in ns; whatever else may stand in the file is dropped."""
    try:
        lines = (root / PINGS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    return {line: mtime for line in lines if is_topic(line) and (mtime := _find_mtime(root / line)) is not None}


def _find_mtime(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except (OSError, ValueError):  # there is none, or there cannot be one of that name
        return None


def _save(root: Path, topics: Collection[str]) -> None:
    if topics:
        replace_file(root / PINGS, "".join(f"{path}\n" for path in sorted(topics)).encode())
    else:
        (root / PINGS).unlink(missing_ok=True)
    sync_folder(root)
