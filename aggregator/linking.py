"""How the repository keeps dossiers: SQL around the rules of dossiers.py, inside the transaction of its caller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aggregator.bookkeeping import Batch, Row
from aggregator.changes import compare
from aggregator.database import dossiers, plan_codes, tender_text, tenders
from aggregator.dossiers import LINKED, Member, belongs, compile_record, group, is_plan, name_plans
from aggregator.models import Event, Kind, Record, Tender
from aggregator.rows import parse_record, searched_row
from aggregator.search import render_text, searched_texts

CHUNK = 500  # values in one IN (…), rows in one fetch or insert

_MEMBER = [
    tenders.c[name]
    for name in (
        *("id", "portal", "kind", "key", "position", "tender", "unread", "first_seen", "last_seen", "changed"),
        *("republished", "shown", "merged"),
    )
]


@dataclass
class Links:
    """What a batch does to dossiers: ``touched`` are all tenders whose dossiers are made anew, ``pairs`` leader and
    member, ``rows`` the columns that follow, ``texts`` by position, ``codes`` and ``uncoded`` the plans named."""

    touched: set[int] = field(default_factory=set)
    pairs: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    texts: list[Row] = field(default_factory=list)
    codes: list[Row] = field(default_factory=list)
    uncoded: list[int] = field(default_factory=list)
    old: dict[int, set[int]] = field(default_factory=dict)


def chunks(values: Collection[Any]) -> Iterator[list[Any]]:
    """``values`` in lists short enough for one statement."""
    every = list(values)
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]


def find_links(connection: Connection, batch: Batch) -> Links:
    """The dossiers that the rows of ``batch`` now belong to. Silences releases that tell a reader nothing new.

    A release keeps those of its events that the purchase as a whole went through: what another source told before
    is no news, and what only a source that is believed less says is none either.
    """
    links = Links()
    moved = {batch.rows[i]["id"]: i for i in batch.after if i[1] in LINKED}
    _name_codes(batch, links)
    if not moved:
        return links
    rows = {number: batch.rows[identity] for number, identity in moved.items()}
    members = {number: _member(rows[number], batch) for number in moved}
    new = _find_first(connection, members, rows)
    while new := new - members.keys():
        for row in _find_rows(connection, new):
            rows[row["id"]] = row
            members[row["id"]] = Member(number=row["id"], record=parse_record(row))
        new = _find_kin(connection, [members[number] for number in new if number in members])
    told: dict[int, set[str]] = {}
    links.old = _find_pairs(connection, [number for number, row in rows.items() if row["merged"]])
    for cluster in _clusters(members):
        row = rows[cluster[0].number]
        if len(cluster) > 1 or row["merged"] or not row["shown"]:
            _link(cluster, members, rows, batch, links, told)
    _silence(batch, told)
    return links


def write_links(connection: Connection, links: Links) -> None:
    if links.uncoded:
        connection.execute(
            sa.delete(plan_codes).where(plan_codes.c.tender_id == sa.bindparam("number")),
            [{"number": number} for number in links.uncoded],
        )
    if links.codes:
        connection.execute(sa.insert(plan_codes), links.codes)
    for chunk in chunks(links.touched):
        connection.execute(sa.delete(dossiers).where(dossiers.c.leader_id.in_(chunk)))
    if links.pairs:
        connection.execute(sa.insert(dossiers), links.pairs)
    if links.rows:
        names = [name for name in links.rows[0] if name != "id"]
        connection.execute(
            sa.update(tenders)
            .where(tenders.c.id == sa.bindparam("number"))
            .values({name: sa.bindparam(name + "_") for name in names}),
            [{"number": row["id"], **{name + "_": row[name] for name in names}} for row in links.rows],
        )
    for chunk in chunks(links.touched):
        spoken_for = sa.select(dossiers.c.member_id).where(dossiers.c.member_id == tenders.c.id).exists()
        connection.execute(sa.update(tenders).where(tenders.c.id.in_(chunk)).values(shown=~spoken_for))
    if links.texts:
        old = tender_text.c.rowid == sa.bindparam("old")
        connection.execute(sa.delete(tender_text).where(old), [{"old": text["rowid"]} for text in links.texts])
        connection.execute(sa.insert(tender_text), links.texts)


def compile_rows(connection: Connection, rows: Sequence[Any], only: Collection[str] | None) -> list[Record]:
    """The records of ``rows`` of the tenders table, with what the other sources of each purchase tell.

    ``only`` these portals are listened to, all of them where it is None.
    """
    merged = [row["id"] for row in rows if row["merged"]]
    others: dict[int, list[Member]] = defaultdict(list)
    for chunk in chunks(merged):
        statement = (
            sa.select(dossiers.c.leader_id, *_MEMBER)
            .join(tenders, tenders.c.id == dossiers.c.member_id)
            .where(dossiers.c.leader_id.in_(chunk))
        )
        for row in connection.execute(statement).mappings():
            others[row["leader_id"]].append(Member(number=row["id"], record=parse_record(row)))
    records = []
    for row in rows:
        members = [Member(number=row["id"], record=parse_record(row)), *others[row["id"]]]
        heard = [member for member in members if only is None or member.tender.portal in only]
        records.append(compile_record(heard or members))
    return records


def _name_codes(batch: Batch, links: Links) -> None:
    for identity, tender in batch.after.items():
        number, codes = batch.rows[identity]["id"], name_plans(tender)
        before = batch.before.get(identity)
        if before is not None and name_plans(before) == codes:
            continue
        if before is not None:
            links.uncoded.append(number)
        links.codes += [{"code": code, "tender_id": number} for code in sorted(codes)]


def _find_first(connection: Connection, members: dict[int, Member], rows: dict[int, Row]) -> set[int]:
    """Neighbours of the batch's own rows: by key and code, those that name its plans, and their dossiers so far."""
    found = _find_kin(connection, members.values())
    for chunk in chunks([m.tender.key for m in members.values() if is_plan(m.tender)]):
        found |= set(
            connection.execute(sa.select(plan_codes.c.tender_id).where(plan_codes.c.code.in_(chunk))).scalars()
        )
    leaders = {number for number, row in rows.items() if row["merged"]}
    for chunk in chunks([number for number, row in rows.items() if not row["shown"]]):
        leaders |= set(
            connection.execute(sa.select(dossiers.c.leader_id).where(dossiers.c.member_id.in_(chunk))).scalars()
        )
    for chunk in chunks(leaders):
        found |= set(
            connection.execute(sa.select(dossiers.c.member_id).where(dossiers.c.leader_id.in_(chunk))).scalars()
        )
    found |= leaders
    return found


def _find_kin(connection: Connection, members: Iterable[Member]) -> set[int]:
    """Tenders of the same key in other portals, and the plans that are named."""
    portals: dict[tuple[Kind, str], set[str]] = defaultdict(set)
    codes: set[str] = set()
    for member in members:
        portals[member.tender.kind, member.tender.key].add(member.tender.portal)
        codes |= name_plans(member.tender)
    found: set[int] = set()
    for chunk in chunks({key for _, key in portals} | codes):
        columns = (tenders.c.id, tenders.c.portal, tenders.c.kind, tenders.c.key)
        for row in connection.execute(sa.select(*columns).where(tenders.c.key.in_(chunk), tenders.c.kind.in_(LINKED))):
            of_key = portals.get((Kind(row.kind), row.key), set())
            if (of_key and of_key != {row.portal}) or (row.kind == Kind.PLAN and row.key in codes):
                found.add(row.id)
    return found


def _find_rows(connection: Connection, numbers: Collection[int]) -> Iterator[Row]:
    for chunk in chunks(numbers):
        for row in connection.execute(sa.select(*_MEMBER).where(tenders.c.id.in_(chunk))).mappings():
            yield dict(row)


def _clusters(members: dict[int, Member]) -> list[list[Member]]:
    """Every dossier among ``members``, the tender that speaks for it in front."""
    plans: dict[str, list[Member]] = defaultdict(list)
    for each in members.values():
        if is_plan(each.tender):
            plans[each.tender.key].append(each)
    return [[*cluster, *_find_plans(cluster, plans)] for cluster in group(members.values())]


def _find_plans(cluster: list[Member], plans: Mapping[str, list[Member]]) -> list[Member]:
    codes = sorted({code for each in cluster for code in name_plans(each.tender)})
    named = [plan for code in codes for plan in plans.get(code, ())]
    return [plan for plan in named if any(belongs(plan.tender, each.tender) for each in cluster)]


def _link(
    cluster: list[Member],
    members: dict[int, Member],
    rows: dict[int, Row],
    batch: Batch,
    links: Links,
    told: dict[int, set[str]],
) -> None:
    leader, *others = cluster
    row = rows[leader.number]
    links.touched |= {member.number for member in cluster}
    links.pairs += [{"leader_id": leader.number, "member_id": member.number} for member in others]
    for other in others:  # led its own dossier until now
        if rows[other.number]["merged"] and other.tender.kind == leader.tender.kind:
            _tell(other.record, rows[other.number], links, merged=False, changed=rows[other.number]["changed"])
    if not others and not row["merged"]:
        return
    now = compile_record(cluster)
    changed = row["changed"]
    if leader.tender.identity not in batch.new:
        former = [leader, *(members[number] for number in links.old.get(leader.number, ()) if number in members)]
        changed = batch.last_changed.get(leader.tender.identity, changed)
        if compare(_as_before(former, batch).tender, now.tender, batch.time):
            changed = max(member.record.changed for member in (*cluster, *former))
    before = _before(cluster, batch)
    if before is not None:
        release = compare(before.tender, now.tender, batch.time)
        news = {*(release.events if release else ()), *_first_results(before.tender, now.tender)}
        for member in cluster:
            told.setdefault(member.number, set()).update(news)
    _tell(now, row, links, merged=bool(others), changed=changed)


def _tell(told: Record, row: Row, links: Links, *, merged: bool, changed: Any) -> None:
    links.rows.append({"id": row["id"], "merged": merged, "changed": changed, **searched_row(told.tender)})
    links.texts.append({"rowid": row["position"], "text": render_text(searched_texts(told.tender))})


def _before(cluster: Sequence[Member], batch: Batch) -> Record | None:
    """The purchase as it was before the batch; None where this is the first that is heard of it.

    A plan alone is another announcement than the tender that follows it, so that one is news.
    """
    known = [member for member in cluster if member.tender.identity not in batch.new]
    if not known or is_plan(known[0].tender) != is_plan(cluster[0].tender):
        return None
    return _as_before(known, batch)


def _as_before(members: Sequence[Member], batch: Batch) -> Record:
    return compile_record(
        [replace(m, record=replace(m.record, tender=batch.before.get(m.tender.identity, m.tender))) for m in members]
    )


def _find_pairs(connection: Connection, leaders: Collection[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = defaultdict(set)
    for chunk in chunks(leaders):
        for leader, member in connection.execute(
            sa.select(dossiers.c.leader_id, dossiers.c.member_id).where(dossiers.c.leader_id.in_(chunk))
        ):
            found[leader].add(member)
    return found


def _first_results(before: Tender, now: Tender) -> Iterator[Event]:
    """Results that nobody told before, be it that no source so far could tell them."""
    if now.awards and not before.awards:
        yield Event.AWARD
    if now.contracts and not before.contracts:
        yield Event.CONTRACT


def _silence(batch: Batch, told: Mapping[int, Collection[str]]) -> None:
    """A plan of several purchases keeps what is news to one of them."""
    for release in batch.releases:
        if release["tender_id"] in told:
            kept = [event for event in release["events"].split() if event in told[release["tender_id"]]]
            release["events"] = "".join(f" {event} " for event in kept)


def _member(row: Row, batch: Batch) -> Member:
    record = Record(
        tender=batch.after[row["portal"], row["kind"], row["key"]],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        changed=row["changed"],
        republished=row["republished"],
    )
    return Member(number=row["id"], record=record)
