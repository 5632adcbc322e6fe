"""The language of ``q``: words (all must occur), "phrases", OR, -not. Pure, and free of any database's syntax.

Text is folded before it is indexed and before it is looked for, so neither case nor diacritics count and every
database finds the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.models import Tender

# Stands between the texts of a tender: phrases do not reach over it, and it is in every indexed text, since FTS5
# has no "everything but".
FENCE = "wartapagar"

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
    """``texts`` folded into the one that is indexed."""
    lines = _GAPS.sub(" ", fold("\n".join(texts)))
    return f"{FENCE} {lines}".replace("\n", f" {FENCE} ")


def _split(text: str) -> list[str]:
    return _GAPS.sub(" ", fold(text)).split()


def _render_clause(clause: Clause) -> str:
    wanted = [_quote(phrase) for phrase in clause.wanted] or [f'"{FENCE}"']
    return " NOT ".join([f"({' AND '.join(wanted)})", *(_quote(phrase) for phrase in clause.unwanted)])


def _quote(phrase: Phrase) -> str:
    return '"' + " ".join(phrase.words) + '"'  # every word quoted, none holds a quote: FTS5 reads no operator
