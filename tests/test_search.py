"""The language of q: what it says, and that SQLite and PostgreSQL take any text and find the same by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aggregator.conditions import Matches
from aggregator.database import open_database, reading, tender_text, writing
from aggregator.models import Award, Contract, Money
from aggregator.search import FENCE, Clause, Phrase, Query, fold, parse_query, render_text, searched_texts
from tests.databases import BOTH
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
def sqlite() -> Iterator[sa.Engine]:
    engine = open_database("sqlite://")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module", params=BOTH)
def index(request: pytest.FixtureRequest) -> sa.Engine:
    """A database whose full text holds TEXTS."""
    engine: sa.Engine = request.getfixturevalue("sqlite" if request.param == "sqlite" else "emptied")
    index_texts(engine, {number: [text, "Kota Malang"] for number, text in TEXTS.items()})
    return engine


def index_texts(engine: sa.Engine, texts: dict[int, list[str]]) -> None:
    """Puts these texts in place of all others."""
    with writing(engine) as connection:
        connection.execute(sa.delete(tender_text))
        rows = [{"rowid": number, "text": render_text(text)} for number, text in texts.items()]
        connection.execute(sa.insert(tender_text), rows)


def find(engine: sa.Engine, q: str) -> list[int]:
    statement = sa.select(tender_text.c.rowid).where(Matches(parse_query(q))).order_by(tender_text.c.rowid)
    with reading(engine) as connection:
        return list(connection.execute(statement).scalars())


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
def test_what_it_finds(index: sa.Engine, q: str, found: list[int]) -> None:
    assert find(index, q) == found


def means(meant: Query, words: list[str]) -> bool:
    """What the databases should find, by the definition."""

    def follows(phrase: Phrase) -> bool:
        size = len(phrase.words)
        return any(tuple(words[n : n + size]) == phrase.words for n in range(len(words)))

    return any(
        all(follows(phrase) for phrase in clause.wanted) and not any(follows(phrase) for phrase in clause.unwanted)
        for clause in meant.clauses
    )


# Words that both texts and questions have, and signs that mean something to FTS5, PostgreSQL or Python.
SIGNS = """
    jalan Jalan danau danaué DANAUÉ e-katalog OR AND NOT NEAR NEAR( - * " ' '' \\ \\' ( ) : ^ + { } , & | ! !! <->
    toba <2> :* :: %s :q ? % _ x_y 1 12 ½ ² ⅷ ß ſ İ ı ǅ ﷺ شارع الملك हिन्दी ก็ 東京 𐐷 ꭰ Ა 😀 🇮🇩 ʼ e\u0301 \u0345
    \u00ad \u200d \ue000 \U000e0001 wartapagar
"""
PIECES = st.one_of(st.sampled_from([*SIGNS.split(), "\x00", "\n", "\t", "\u2028", "a" * 3000]), st.text(max_size=4))


@st.composite
def lines(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(["", " ", " ", "\n"])).join(draw(st.lists(PIECES, max_size=8)))


@settings(max_examples=200)
@given(st.lists(st.lists(lines(), max_size=2), min_size=1, max_size=4), lines())
@example([["a" * 300], ["a" * 299 + "b"]], "a" * 299 + "c")
@example([["x"]], "-x -y " * 60)
def test_both_databases_find_what_is_meant(
    sqlite: sa.Engine, emptied: sa.Engine, texts: list[list[str]], q: str
) -> None:
    meant = parse_query(q)
    if not meant.clauses:
        return
    numbered = dict(enumerate(texts))
    for engine in (sqlite, emptied):
        index_texts(engine, numbered)
        assert find(engine, q) == [n for n, text in numbered.items() if means(meant, render_text(text).split())]


def test_texts_longer_than_postgresql_takes_are_found_alike(sqlite: sa.Engine, emptied: sa.Engine) -> None:
    long = {
        1: ["awal", *["malang kota"] * 400, "akhir"],
        2: [" ".join(f"kata{n}" for n in range(20_000)), "sesudah"],
        3: ["\U00020000" * 300_000],
        4: [" ".join(chr(0x20000 + n) * 99 for n in range(20_000))],
    }
    questions = ['"malang kota"', "malang -akhir", '"kota akhir"', "kata15000", "kata19999", '"kata5 kata6"', "sesudah"]
    found = []
    for engine in (sqlite, emptied):
        index_texts(engine, long)
        found.append([find(engine, q) for q in [*questions, "\U00020000" * 150, "-malang"]])
    assert found[0] == found[1] == [[1], [], [], [2], [], [2], [], [3], [2, 3, 4]]


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
