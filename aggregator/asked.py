"""A repository that is asked everything once: a publish asks the same for each edition, and for many feeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from aggregator.facets import Facet
from aggregator.filters import Filter
from aggregator.models import Event, Record, Release
from aggregator.repository import Repository
from aggregator.run_log import LastRuns
from aggregator.verdicts import Run
from aggregator.versions import Version

MOST_RECORDS = 6_000  # kept in memory: all that feeds and lists hold, of the largest town


class AskedOnce(Repository):
    """Each answer is kept, and each tender read once. For one publish: what is saved later is not found any more."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository.engine)
        self._answers: dict[Hashable, Any] = {}
        self._records: dict[tuple[int, Hashable], Record] = {}

    def find(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        *,
        start: int = 0,
        apart: bool = False,
        only: Collection[str] | None = None,
    ) -> Iterator[Record]:
        if apart:
            yield from super().find(wanted, now, zone, start=start, apart=True, only=only)
            return
        numbers = self.find_numbers(wanted, now, zone, start=start, only=only)
        told_by = _listed(only)
        missing = [number for number in numbers if (number, told_by) not in self._records]
        if len(self._records) + len(missing) > MOST_RECORDS:
            self._records.clear()
            missing = list(numbers)
        if len(missing) > MOST_RECORDS:
            yield from self.find_numbered(numbers, only)
            return
        for number, record in zip(missing, self.find_numbered(missing, only), strict=True):
            self._records[number, told_by] = record
        yield from [self._records[number, told_by] for number in numbers]

    def find_numbers(
        self, wanted: Filter, now: datetime, zone: ZoneInfo, *, start: int = 0, only: Collection[str] | None = None
    ) -> list[int]:
        ask = partial(super().find_numbers, wanted, now, zone, start=start, only=only)
        return cast("list[int]", self._once(("numbers", wanted, now, zone, start, _listed(only)), ask))

    def count(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        *,
        apart: bool = False,
        only: Collection[str] | None = None,
        most: int | None = None,
    ) -> int:
        ask = partial(super().count, wanted, now, zone, apart=apart, only=only, most=most)
        return cast("int", self._once(("count", wanted, now, zone, apart, _listed(only), most), ask))

    def count_by(
        self,
        field: Facet,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        *,
        apart: bool = False,
        only: Collection[str] | None = None,
    ) -> list[tuple[str, int]]:
        ask = partial(super().count_by, field, wanted, now, zone, apart=apart, only=only)
        return cast("list[tuple[str, int]]", self._once(("by", field, wanted, now, zone, apart, _listed(only)), ask))

    def find_releases(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        events: frozenset[Event] = frozenset(),
        limit: int = 100,
        *,
        only: Collection[str] | None = None,
    ) -> list[tuple[Release, Record]]:
        ask = partial(super().find_releases, wanted, now, zone, events, limit, only=only)
        found = self._once(("releases", wanted, now, zone, events, limit, _listed(only)), ask)
        return cast("list[tuple[Release, Record]]", found)

    def find_release_places(
        self,
        wanted: Filter,
        now: datetime,
        zone: ZoneInfo,
        events: frozenset[Event],
        limit: int,
        *,
        only: Collection[str] | None = None,
    ) -> list[tuple[int, int]]:
        ask = partial(super().find_release_places, wanted, now, zone, events, limit, only=only)
        found = self._once(("places", wanted, now, zone, events, limit, _listed(only)), ask)
        return cast("list[tuple[int, int]]", found)

    def find_versions(self, only: Collection[str]) -> list[Version]:
        return cast("list[Version]", self._once(("versions", _listed(only)), partial(super().find_versions, only)))

    def find_names(self, column: Literal["buyer", "procuring_entity"]) -> list[tuple[str, int]]:
        return cast("list[tuple[str, int]]", self._once(("names", column), partial(super().find_names, column)))

    def find_last_runs(self) -> dict[str, LastRuns]:
        return cast("dict[str, LastRuns]", self._once("last runs", super().find_last_runs))

    def find_verdict_turns(self, limit: int | None = 100) -> list[Run]:
        return cast("list[Run]", self._once(("turns", limit), partial(super().find_verdict_turns, limit)))

    def find_newest_seq(self) -> int:
        return cast("int", self._once("newest seq", super().find_newest_seq))

    def _once(self, question: Hashable, ask: Callable[[], Any]) -> Any:
        if question not in self._answers:
            self._answers[question] = ask()
        return self._answers[question]


def _listed(only: Collection[str] | None) -> tuple[str, ...] | None:
    return None if only is None else tuple(sorted(only))
