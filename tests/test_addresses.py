"""Paths of tenders' pages: no two keys share one, whatever a source calls its tenders."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given

from aggregator.models import Kind
from feeds.addresses import tender_path
from tests.feed_samples import hostile_texts


def name(key: str) -> str:
    return PurePosixPath(tender_path("malangkota", Kind.TENDER, key)).stem


@pytest.mark.parametrize("key", ["10020728000", "61521911", "ocds-b5fd17-2a"])
def test_a_plain_key_is_the_name(key: str) -> None:
    assert tender_path("malangkota", Kind.TENDER, key) == f"tenders/malangkota/tender/{key}.html"


@pytest.mark.parametrize("key", ["ocds:a", "../x", "", "局", "ABC", "x" * 200])
def test_a_key_that_looks_like_the_name_of_another_has_one_of_its_own(key: str) -> None:
    names = [name(key), name(name(key)), name(name(name(key)))]
    assert len({each.casefold() for each in names}) == 3


def test_keys_that_differ_by_case_have_names_that_differ_by_more() -> None:
    assert len({name(key).casefold() for key in ("abc", "Abc", "ABC")}) == 3


@given(hostile_texts)
def test_every_key_has_a_page_in_the_tree(key: str) -> None:
    path = tender_path("malangkota", Kind.TENDER, key)
    assert PurePosixPath(path).parent == PurePosixPath("tenders/malangkota/tender")
    assert len(path) < 150
    assert path.isascii()
