"""The language of q: what it says, and that SQLite's FTS5 takes whatever becomes of any text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.models import Award, Contract, Money
from aggregator.search import FENCE, Clause, Phrase, Query, fold, parse_query, render_match, render_text, searched_texts
from tests.feed_samples import TENDER

TEXTS = {
    1: "Peningkatan Jalan Danau Toba",
    2: "Rehabilitasi Jembatan, Jl. Danau Jonge",
    3: "Pembangunan trotoar jalan Ijen",
    4: "Pengadaan Réagen Laboratorium (e-katalog)",
}


def query(*clauses: tuple[list[str], list[str]]) -> Query:
    def phrases(texts: list[str]) -> tuple[Phrase, ...]:
        return tuple(Phrase(tuple(text.split())) for text in texts)

    return Query(tuple(Clause(phrases(wanted), phrases(unwanted)) for wanted, unwanted in clauses))


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(text, tokenize = 'unicode61 remove_diacritics 0')")
    rows = [(number, render_text([text, "Kota Malang"])) for number, text in TEXTS.items()]
    connection.executemany("INSERT INTO t(rowid, text) VALUES (?, ?)", rows)
    yield connection
    connection.close()


def find(index: sqlite3.Connection, q: str) -> list[int]:
    found = index.execute("SELECT rowid FROM t WHERE t MATCH ? ORDER BY rowid", [render_match(parse_query(q))])
    return [rowid for (rowid,) in found]


@pytest.mark.parametrize(
    ("q", "meant"),
    [
        ("jalan drainase", query((["jalan", "drainase"], []))),
        ('"jalan danau" toba', query((["jalan danau", "toba"], []))),
        ("jalan OR jembatan", query((["jalan"], []), (["jembatan"], []))),
        ("jalan danau OR jembatan -toba", query((["jalan", "danau"], []), (["jembatan"], ["toba"]))),
        ('-"jalan danau"', query(([], ["jalan danau"]))),
        ("jalan or jembatan", query((["jalan", "or", "jembatan"], []))),
        ('"OR"', query((["or"], []))),
        ("e-katalog", query((["e katalog"], []))),
        ("OR jalan OR OR", query((["jalan"], []))),
        ('jalan "danau toba', query((["jalan", "danau toba"], []))),
        ("--jalan", query(([], ["jalan"]))),
        ("RÉHABILITASI", query((["rehabilitasi"], []))),
        ('- "" *** OR ()', Query(())),
        ("", Query(())),
    ],
)
def test_what_a_text_says(q: str, meant: Query) -> None:
    assert parse_query(q) == meant


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("jalan", [1, 3]),
        ("jalan danau", [1]),
        ("danau", [1, 2]),
        ('"jalan danau"', [1]),
        ('"danau jalan"', []),
        ("toba OR jembatan", [1, 2]),
        ("danau -toba", [2]),
        ("-jalan", [2, 4]),
        ("-jalan OR trotoar", [2, 3, 4]),
        ("reagen", [4]),
        ("KATALOG malang", [4]),
        ("e-katalog", [4]),
        ('"toba kota"', []),
        ("NOT jalan", []),
        ("jala*", []),
    ],
)
def test_what_it_finds(index: sqlite3.Connection, q: str, found: list[int]) -> None:
    assert find(index, q) == found


@given(st.text(max_size=60))
@example('"')
@example('a" OR b NEAR(c) AND {text}: ^d + e*')
@example("\x00 jalan")
@example("𐐷𝔍 ﷺ ½")
def test_no_text_breaks_it(index: sqlite3.Connection, q: str) -> None:
    if parse_query(q).clauses:
        assert set(find(index, q)) <= set(TEXTS)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text("abcXYZ019éÉñÅ .,-", max_size=20))
def test_a_text_is_found_by_itself_in_any_case(text: str) -> None:
    for spelling in (text, text.upper(), text.lower()):
        for clause in parse_query(f'"{spelling}"').clauses:
            assert render_text([text]).split() == [FENCE, *clause.wanted[0].words]


def test_every_text_of_a_tender_is_searched() -> None:
    tender = replace(
        TENDER,
        description="uraian",
        awards=(Award(supplier="CV Karya Maju", amount=Money(Decimal(1))),),
        contracts=(Contract(supplier="PT Lain"),),
    )
    assert searched_texts(tender) == (
        "Rehabilitasi Saluran Drainase Jalan Soekarno-Hatta",
        "uraian",
        "Kota Malang",
        "DPUPRPKP",
        "Pekerjaan Konstruksi",
        "Tender",
        "Kec. Lowokwaru",
        "10099412000",
        "61521911",
        "CV Karya Maju",
        "PT Lain",
    )


def test_texts_are_fenced_off_one_another() -> None:
    assert render_text(["Jl. Ijen,", "Kota\nMalang"]).split() == [
        *(FENCE, "jl", "ijen", FENCE, "kota", FENCE, "malang"),
    ]
