"""How many tenders have each value of a field: the same as narrowing the search to it would find."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, get_args

import pytest
import sqlalchemy as sa

from aggregator.facets import Facet
from aggregator.filters import Filter
from aggregator.models import Category, Kind, Method, Reading, Status
from aggregator.repository import Repository
from tests.feed_samples import READ, TENDER, WIB

FACETS: tuple[Facet, ...] = get_args(Facet)


@pytest.fixture
def repository(engine: sa.Engine) -> Repository:
    """Six announcements of five purchases, on SQLite and on PostgreSQL."""
    repository = Repository(engine)
    tenders = [
        TENDER,
        replace(TENDER, portal="satudata"),
        replace(TENDER, key="2", procuring_entity="Dpuprpkp", category=Category.GOODS, title="Kursi"),
        replace(TENDER, key="3", procuring_entity="Älteste Dinas", status=None, method=None),
        replace(TENDER, key="4", procuring_entity="aparat Desa", kind=Kind.NON_TENDER, method=Method.DIRECT),
        replace(TENDER, portal="batukota", key="5", procuring_entity=None, status=Status.COMPLETE, category=None),
    ]
    repository.save([Reading(tender=tender) for tender in tenders], READ)
    return repository


def test_each_value_is_counted_most_first_then_by_name(repository: Repository) -> None:
    assert {field: repository.count_by(field, Filter(limit=1), READ, WIB) for field in FACETS} == {
        "category": [("works", 3), ("goods", 1)],
        "method": [("open", 3), ("direct", 1)],
        "status": [("active", 3), ("complete", 1)],
        "kind": [("tender", 4), ("non_tender", 1)],
        "procuring_entity": [("Dpuprpkp", 2), ("Älteste Dinas", 1), ("aparat Desa", 1)],
        "portal": [("malangkota", 4), ("batukota", 1), ("satudata", 1)],
    }


def test_narrowing_to_a_value_finds_as_many(repository: Repository) -> None:
    searches: list[dict[str, Any]] = [{}, {"q": "drainase"}, {"q": "-kursi", "status": "active"}, {"location": "kec"}]
    for values, only, field in product(searches, [None, ["malangkota"], ["satudata", "batukota"], []], FACETS):
        for value, number in repository.count_by(field, Filter.parse(values), READ, WIB, only=only):
            narrowed = Filter.parse({**values, field: value})
            assert (values, only, value, number) == (
                values,
                only,
                value,
                repository.count(narrowed, READ, WIB, only=only),
            )


def test_a_portal_that_is_not_listened_to_is_not_counted(repository: Repository) -> None:
    assert repository.count_by("portal", Filter(), READ, WIB, only=["satudata"]) == [("satudata", 1)]
    assert repository.count_by("portal", Filter(q="***"), READ, WIB) == []
