"""The language of ``q``: words (all must occur), "phrases", OR, -not. Pure, and free of any database's syntax.

Text is folded and split here before it is indexed and before it is looked for, so neither case nor diacritics count
and every database finds the same: SQLite's FTS5 only splits at spaces, PostgreSQL gets words with their positions.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aggregator.models import Tender

# Stands between the texts of a tender: phrases do not reach over it, and it is in every indexed text, since FTS5
# has no "everything but". Nobody can look for it.
FENCE = "wartapagar"

# What a tsvector of PostgreSQL holds: positions to 16383, 255 of one word, words under 2 kB, in all 1 MB.
MOST_WORDS = 16_000
MOST_REPEATS = 255
LONGEST_WORD = 100
LONGEST_NAME = 500  # letters, of up to four bytes each
MOST_TEXT = 200_000

_GAPS = re.compile(r"[^\w\n]+|_")
_PARTS = re.compile(r'(-*)"([^"]*)"?|(\S+)')


@dataclass(frozen=True, slots=True)
class Phrase:
    """Folded words that must follow one another; a single word is a phrase of one."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """Holds for a text that has every phrase of ``wanted`` and none of ``unwanted``."""

    wanted: tuple[Phrase, ...]
    unwanted: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """Holds where one of its clauses does; without clauses (nothing that could be found) it never holds."""

    clauses: tuple[Clause, ...]


def fold(text: str) -> str:
    """``text`` in lower case and without diacritics, as it is compared."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text)
    return "".join(c for c in parts if not unicodedata.combining(c)).casefold()


def fold_name(name: str) -> str:
    """``name`` as names are compared: folded, and no longer than an index of PostgreSQL holds (2,704 bytes)."""
    return fold(name)[:LONGEST_NAME]


def parse_query(q: str) -> Query:
    """The query that ``q`` says. Any text is a query: signs that mean nothing are skipped.

    Words bind tighter than OR: ``jalan danau OR jembatan`` is (jalan and danau) or jembatan.
    """
    clauses: list[Clause] = []
    wanted: list[Phrase] = []
    unwanted: list[Phrase] = []
    for minus, quoted, bare in [*_PARTS.findall(q), ("", "", "OR")]:
        if bare == "OR":
            if wanted or unwanted:
                clauses.append(Clause(tuple(wanted), tuple(unwanted)))
            wanted, unwanted = [], []
        elif words := _split(quoted or bare):
            (unwanted if minus or bare.startswith("-") else wanted).append(Phrase(tuple(words)))
    return Query(tuple(clauses))


def render_match(query: Query) -> str:
    """The query as an FTS5 MATCH expression over texts made by ``render_text``. Needs at least one clause."""
    return " OR ".join(f"({_render_clause(clause)})" for clause in query.clauses)


def render_tsquery(query: Query) -> str:
    """The query as a PostgreSQL tsquery over vectors made by ``render_vector``. Needs at least one clause."""
    return " | ".join(
        " & ".join(
            [
                *([_follow(phrase) for phrase in clause.wanted] or [f"'{FENCE}'"]),
                *(f"!{_follow(phrase)}" for phrase in clause.unwanted),
            ]
        )
        for clause in query.clauses
    )


def searched_texts(tender: Tender) -> tuple[str, ...]:
    """The texts of a tender that ``q`` looks at."""
    texts = (
        tender.title,
        tender.description,
        tender.buyer,
        tender.procuring_entity,
        tender.category_detail,
        tender.method_detail,
        *tender.locations,
        tender.key,
        *tender.plans,
        *(award.supplier for award in (*tender.awards, *tender.contracts)),
    )
    return tuple(text for text in texts if text)


def render_text(texts: Iterable[str]) -> str:
    """``texts`` folded into the one that is indexed: words and fences with single spaces between.

    Beyond the limits above it is cut, and words that occur too often become fences, so that no phrase is made up.
    """
    words = [FENCE]
    for line in fold("\n".join(texts))[:MOST_TEXT].split("\n"):
        words += [*_cut(line), FENCE]
    words = words[:-1][:MOST_WORDS]
    if len(words) > MOST_REPEATS:
        seen: dict[str, int] = defaultdict(int)
        for place, word in enumerate(words):
            seen[word] += 1
            if seen[word] > MOST_REPEATS:
                words[place] = FENCE
    return " ".join(words)


def render_vector(text: str) -> str:
    """What ``render_text`` made, as a PostgreSQL tsvector: ``'jalan':2 'danau':3``."""
    places: dict[str, list[str]] = defaultdict(list)
    for place, word in enumerate(text.split(" "), start=1):
        if word != FENCE:
            places[word].append(str(place))
    return " ".join([f"'{FENCE}'", *(f"'{word}':{','.join(found)}" for word, found in places.items())])


def parse_vector(vector: str) -> str:
    """The inverse of ``render_vector``, but for fences at the end."""
    words = {1: FENCE}
    for lexeme in vector.split(" "):
        word, _, places = lexeme.partition(":")
        words |= {int(place): word.strip("'") for place in places.split(",") if place}
    return " ".join(words.get(place, FENCE) for place in range(1, max(words) + 1))


def _split(text: str) -> list[str]:
    return [word for word in _cut(fold(text)) if word != FENCE]


def _cut(folded: str) -> Iterator[str]:
    return (word[:LONGEST_WORD] for word in _GAPS.sub(" ", folded).split())


def _render_clause(clause: Clause) -> str:
    wanted = [_quote(phrase) for phrase in clause.wanted] or [f'"{FENCE}"']
    return " NOT ".join([f"({' AND '.join(wanted)})", *(_quote(phrase) for phrase in clause.unwanted)])


def _quote(phrase: Phrase) -> str:
    return '"' + " ".join(phrase.words) + '"'  # every word quoted, none holds a quote: FTS5 reads no operator


def _follow(phrase: Phrase) -> str:
    return "(" + " <-> ".join(f"'{word}'" for word in phrase.words) + ")"  # words hold neither ' nor \
