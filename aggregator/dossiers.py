"""One dossier a purchase: which tenders of several sources are the same process, and what they tell together. Pure.

The rules, all of them; a false match is worse than a missed one:

1. Two tenders are one purchase when they have the same kind and key, come from different portals, their buyers do
   not contradict each other, and a witness speaks for it: the same title, a plan (RUP code) that both name, or, where
   one of them tells no title, the same exact value.
2. Where that leaves a doubt (one matches two that do not match each other), all of them stay apart.
3. A plan belongs to every tender that names its RUP code, unless their buyers contradict each other. Tenders that
   share a plan stay two.

Of sources that differ, the portal that announces is believed before one that republishes, then the one seen first;
a plan is believed last, and only about what a plan can know. Each tender stays as its source told it: a dossier is
made of them anew at every change, so a wrong match that is split loses nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aggregator.models import Kind, Record, Source, Status, Tender
from aggregator.search import fold

PURCHASES = frozenset({Kind.TENDER, Kind.NON_TENDER, Kind.RECORDED, Kind.SELF_MANAGED, Kind.EMERGENCY})
LINKED = PURCHASES | {Kind.PLAN}

_LONGEST_CODE = 128  # what is longer is no key of any plan (models.KEY), and too long for an index of PostgreSQL

# Fields that one source tells together: a status of one portal must not stand beside the stage of another.
_TOGETHER = (
    ("title",),
    ("description",),
    ("buyer",),
    ("procuring_entity",),
    ("category", "category_detail"),
    ("method", "method_detail"),
    ("status", "stage", "cancellation_reason"),
    ("budget",),
    ("value",),
    ("fiscal_years",),
    ("published",),
    ("registration_deadline",),
    ("deadline",),
    ("locations",),
    ("plans",),
    ("retender", "retender_reason"),
    ("participants",),
    ("milestones",),
    ("awards",),
    ("contracts",),
    ("documents",),
)
_OF_A_PLAN = frozenset(
    {"description", "buyer", "procuring_entity", "category", "method", "budget", "fiscal_years", "locations"}
)
_FILLERS = frozenset({"pemerintah", "pemda", "pemkot", "pemkab", "daerah", "republik", "indonesia", "ri", "lpse"})
_WORDS = {"kab": "kabupaten", "prov": "provinsi", "propinsi": "provinsi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One source's own telling of a purchase; ``number`` is that of its row."""

    number: int
    record: Record

    @property
    def tender(self) -> Tender:
        return self.record.tender

    @property
    def age(self) -> tuple[datetime, int]:
        """What is older was seen first."""
        return (self.record.first_seen, self.number)


def is_same_purchase(one: Tender, other: Tender) -> bool:
    """Rule 1."""
    if (one.kind, one.key) != (other.kind, other.key) or one.portal == other.portal or one.kind not in LINKED:
        return False
    if "title" in one.unread | other.unread:
        alike = one.value is not None and one.value == other.value
    else:
        alike = _plain(one.title) == _plain(other.title)
    return (alike or bool(set(one.plans) & set(other.plans))) and not _contradict(one.buyer, other.buyer)


def belongs(plan: Tender, tender: Tender) -> bool:
    """Rule 3."""
    return is_plan(plan) and plan.key in name_plans(tender) and not _contradict(plan.buyer, tender.buyer)


def is_plan(tender: Tender) -> bool:
    return tender.kind is Kind.PLAN


def name_plans(tender: Tender) -> frozenset[str]:
    """The RUP codes by which a purchase names its plans; none for what is no purchase."""
    return frozenset(code for code in tender.plans if len(code) <= _LONGEST_CODE and tender.kind in PURCHASES)


def group(members: Iterable[Member]) -> list[list[Member]]:
    """The purchases among ``members`` by rules 1 and 2, each with the one seen first in front."""
    by_key: dict[tuple[Kind, str], list[Member]] = defaultdict(list)
    for member in sorted(members, key=lambda each: each.age):
        by_key[member.tender.kind, member.tender.key].append(member)
    groups: list[list[Member]] = []
    for alike in by_key.values():
        left = list(alike)
        while left:
            cluster = _reach(left[0], left)
            left = [each for each in left if each not in cluster]
            sure = all(is_same_purchase(a.tender, b.tender) for a in cluster for b in cluster if a is not b)
            groups += [cluster] if sure else [[each] for each in cluster]
    return groups


def compile_record(members: Sequence[Member]) -> Record:
    """What all ``members`` tell of one purchase. The first of them that is no plan gives its identity and times,
    the most believed one its address; ``sources`` says who told which field.

    A single member is its own record, with no sources named.
    """
    leader = min(members, key=lambda each: (is_plan(each.tender), each.age)).record
    if len(members) == 1:
        return leader
    believed = sorted(members, key=_belief)
    values, told = _choose([each.tender for each in believed])
    tellers = [each.tender for each in believed if each.tender.kind == leader.tender.kind]
    tender = replace(
        leader.tender,
        **values,
        url=believed[0].tender.url,
        incomplete=all(each.incomplete for each in tellers),
        unread=frozenset.intersection(*(each.unread for each in tellers)) - values.keys(),
    )
    sources = tuple(
        Source(
            portal=each.tender.portal,
            kind=each.tender.kind,
            key=each.tender.key,
            url=each.tender.url,
            changed=each.record.changed,
            fields=fields,
        )
        for each, fields in zip(believed, told, strict=True)
    )
    return replace(leader, tender=tender, sources=sources, last_seen=max(m.record.last_seen for m in members))


def _choose(believed: Sequence[Tender]) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    """The value of every field that one of ``believed`` told, by the first that did; and who told which."""
    values: dict[str, Any] = {}
    told: list[list[str]] = [[] for _ in believed]
    for fields in _TOGETHER:
        for place, tender in enumerate(believed):
            if _tells(tender, fields) and (not is_plan(tender) or _may_tell(believed, fields)):
                values.update((name, getattr(tender, name)) for name in fields)
                told[place] += [name for name in fields if getattr(tender, name) not in (None, ())]
                break
    return values, [tuple(names) for names in told]


def _may_tell(believed: Sequence[Tender], fields: tuple[str, ...]) -> bool:
    return is_plan(believed[0]) or fields[0] in _OF_A_PLAN


def _tells(tender: Tender, fields: tuple[str, ...]) -> bool:
    return any(name not in tender.unread and getattr(tender, name) not in (None, ()) for name in fields)


def _belief(member: Member) -> tuple[bool, bool, bool, tuple[datetime, int]]:
    gone = member.tender.status is Status.WITHDRAWN
    return (is_plan(member.tender), member.record.republished, gone, member.age)


def _reach(first: Member, among: Sequence[Member]) -> list[Member]:
    """All of ``among`` that a chain of matches leads to from ``first``, in their order."""
    found, new = [first], [first]
    while new:
        seen = {each.number for each in found}
        new = [m for m in among if m.number not in seen and any(is_same_purchase(m.tender, n.tender) for n in new)]
        found += new
    return sorted(found, key=lambda each: each.age)


def _contradict(one: str | None, other: str | None) -> bool:
    """Two buyers' names of which neither holds all words of the other: «Kota Malang», «Kabupaten Malang»."""
    if not one or not other:
        return False
    a, b = _name_words(one), _name_words(other)
    return not (a <= b or b <= a)


def _name_words(name: str) -> set[str]:
    return {_WORDS.get(word, word) for word in _plain(name).split()} - _FILLERS


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", fold(text)))
