"""Releases of one process → one compiled release, as OCDS merges them. Pure; no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aggregator.exports.merging import merge_bodies
from spiders.ocds.packages import Release
from spiders.reading import ShapeError


def merge_releases(releases: Sequence[Release]) -> dict[str, Any]:
    """The compiled release of one process's ``releases``, which come oldest first by instant.

    ShapeError where one release has an object and another a list in the same place.
    """
    try:
        return merge_bodies(release.body for release in releases)
    except ValueError as error:
        raise ShapeError(str(error), releases[0].id) from error
