"""Releases of one process → one compiled release, as OCDS merges them (ocdsmerge). Pure; no network."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from ocdsmerge.exceptions import DuplicateIdValueWarning, OCDSMergeError  # type: ignore[import-untyped]
from ocdsmerge.merge import CompiledRelease  # type: ignore[import-untyped]

# What release-schema.json of OCDS 1.1.5 says; ocdsmerge would ask the standard's web site for it in every run.
_WHOLE_LISTS = """
parties/additionalIdentifiers
parties/roles
buyer/additionalIdentifiers
tender/procuringEntity/additionalIdentifiers
tender/items/additionalClassifications
tender/additionalProcurementCategories
tender/submissionMethod
tender/tenderers/additionalIdentifiers
tender/amendments/changes
tender/amendment/changes
awards/suppliers/additionalIdentifiers
awards/items/additionalClassifications
awards/amendments/changes
awards/amendment/changes
contracts/items/additionalClassifications
contracts/implementation/transactions/payer/additionalIdentifiers
contracts/implementation/transactions/payee/additionalIdentifiers
contracts/relatedProcesses/relationship
contracts/amendments/changes
contracts/amendment/changes
relatedProcesses/relationship
"""
MERGE_RULES: Mapping[tuple[str, ...], str] = {
    **dict.fromkeys((("id",), ("date",), ("tag",)), "omitWhenMerged"),
    **{tuple(path.split("/")): "wholeListMerge" for path in _WHOLE_LISTS.split()},
}


def merge_bodies(bodies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The compiled release of ``bodies``, which come oldest first by instant.

    ocdsmerge's own sorting compares dates as text, which puts ``16:04+01:00`` after ``15:30Z``. ValueError where
    one release has an object and another a list in the same place.
    """
    merging = Merging()
    for body in bodies:
        merging.add(body)
    return merging.compile()


class Merging:
    """Releases merged one after the other. Errors as ``merge_bodies`` has them."""

    def __init__(self) -> None:
        self._compiled = CompiledRelease(merge_rules=MERGE_RULES)

    def add(self, body: Mapping[str, Any]) -> None:
        """Merges the next release, the oldest first."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DuplicateIdValueWarning)  # the later object wins, as OCDS has it
                self._compiled.append(dict(body))
        except (OCDSMergeError, AttributeError, TypeError) as error:
            raise ValueError(f"releases that cannot be merged: {error}") from error

    def compile(self) -> dict[str, Any]:
        """The compiled release of all that was added."""
        try:
            merged: dict[str, Any] = self._compiled.asdict()
        except (OCDSMergeError, AttributeError, TypeError) as error:
            raise ValueError(f"releases that cannot be merged: {error}") from error
        return merged


def prune(value: Any) -> Any:
    """``value`` without objects and lists that hold nothing: merging leaves them where all in them was taken back."""
    if isinstance(value, list):
        return [part for part in map(prune, value) if part not in ({}, [])]
    if isinstance(value, dict):
        return {
            name: part for name, part in zip(value, map(prune, value.values()), strict=True) if part not in ({}, [])
        }
    return value
