"""SQLite, which takes every kind and status for rare, still finds its way among a million tenders: by which index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aggregator.database import open_database
from aggregator.filters import Filter, Moment, Sort
from aggregator.models import Kind, Reading, Status
from aggregator.paging import Place, find_page
from aggregator.repository import Repository
from tests.feed_samples import READ, TENDER, WIB

Explain = Callable[[Callable[[], object]], list[str]]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(open_database(f"sqlite:///{tmp_path}/warta.db"))


@pytest.fixture
def explain(repository: Repository) -> Explain:
    """The steps in which SQLite finds tenders while something is done."""

    def find_steps(act: Callable[[], object]) -> list[str]:
        asked: list[tuple[str, Any]] = []

        def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
            if statement.startswith("SELECT") and "FROM tenders" in statement:
                asked.append((statement, values))

        sa.event.listen(repository.engine, "before_cursor_execute", note)
        act()
        sa.event.remove(repository.engine, "before_cursor_execute", note)
        with repository.engine.connect() as connection:
            plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values) for text, values in asked]
            return [row[-1] for plan in plans for row in plan]

    return find_steps


def test_a_batch_does_not_look_through_all_tenders_of_its_kinds(repository: Repository, explain: Explain) -> None:
    batch = [Reading(tender=replace(TENDER, key=str(number))) for number in range(500)]
    steps = explain(lambda: repository.save(batch, READ))
    assert any("ix_tenders_key (key=?)" in step for step in steps)
    assert not any("ix_tenders_kind_position" in step for step in steps)
    assert not any(step.startswith("SCAN tenders") for step in steps)


@pytest.mark.parametrize("after", [None, Place(7, 7)])
@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(kind=(Kind.TENDER,)),
        Filter(kind=(Kind.TENDER, Kind.PLAN), status=(Status.ACTIVE,)),
        Filter(status=(Status.ACTIVE,), deadline_from=Moment("-0d")),
    ],
)
@pytest.mark.parametrize(
    ("sort", "index"), [(Sort.DEADLINE, "closes"), (Sort.VALUE, "amount"), (Sort.CHANGED, "changed")]
)
def test_a_page_is_found_by_its_order(
    repository: Repository, explain: Explain, wanted: Filter, sort: Sort, index: str, after: Place | None
) -> None:
    wanted = replace(wanted, sort=sort)
    steps = explain(lambda: find_page(repository.engine, wanted, READ, WIB, limit=9, after=after))
    looked = [step for step in steps if "tenders USING" in step]
    assert looked
    assert {f"ix_tenders_{index}_position_kind_status" in step for step in looked} == {True}
    assert not any(step == "USE TEMP B-TREE FOR ORDER BY" for step in steps)


@pytest.mark.parametrize("sort", [Sort.DEADLINE, Sort.VALUE, Sort.CHANGED])
def test_what_changed_lately_is_found_by_that_and_then_put_in_order(
    repository: Repository, explain: Explain, sort: Sort
) -> None:
    wanted = Filter(changed_since=Moment("-7d"), kind=(Kind.TENDER,), sort=sort)
    steps = explain(lambda: find_page(repository.engine, wanted, READ, WIB, limit=9))
    assert {"ix_tenders_changed" in step for step in steps if "tenders USING" in step} == {True}


def test_notices_are_few_and_found_by_their_kind(repository: Repository, explain: Explain) -> None:
    wanted = Filter(kind=(Kind.NOTICE,), sort=Sort.CHANGED)
    steps = explain(lambda: find_page(repository.engine, wanted, READ, WIB, limit=9))
    assert {"ix_tenders_kind_position" in step for step in steps if "tenders USING" in step} == {True}
