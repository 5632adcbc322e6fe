"""How the repository keeps dossiers: SQL around the rules of dossiers.py, inside the transaction of its caller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aggregator.bookkeeping import Batch, Row
from aggregator.changes import compare
from aggregator.database import dossiers, plan_codes, tenders
from aggregator.dossiers import LINKED, Member, belongs, compile_record, group, is_plan, name_plans
from aggregator.models import Event, Kind, Record, Tender
from aggregator.rows import parse_record, position, searched_row
from aggregator.search import render_text, searched_texts
from aggregator.statements import chunks, update_tenders, write_texts

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
    member, ``rows`` the columns that follow, ``texts`` and ``stale`` positions of full text, ``codes`` and ``uncoded``
    the plans named."""

    touched: set[int] = field(default_factory=set)
    pairs: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    texts: list[Row] = field(default_factory=list)
    stale: list[int] = field(default_factory=list)
    codes: list[Row] = field(default_factory=list)
    uncoded: list[int] = field(default_factory=list)


def find_links(connection: Connection, batch: Batch) -> Links:
    """The dossiers that the rows of ``batch`` now belong to. Silences releases that tell a reader nothing new.

    A release keeps those of its events that the purchase as a whole went through: what another source told before
    is no news, and what only a source that is believed less says is none either.
    """
    around = _Around(batch)
    around.name_codes()
    if around.members:
        around.find_members(connection)
        for cluster in around.find_clusters():
            around.link(cluster)
        around.silence()
    return around.links


def write_links(connection: Connection, links: Links) -> None:
    for chunk in chunks(links.uncoded):
        connection.execute(sa.delete(plan_codes).where(plan_codes.c.tender_id.in_(chunk)))
    if links.codes:
        connection.execute(sa.insert(plan_codes), links.codes)
    for chunk in chunks(links.touched):
        connection.execute(sa.delete(dossiers).where(dossiers.c.leader_id.in_(chunk)))
    if links.pairs:
        connection.execute(sa.insert(dossiers), links.pairs)
    update_tenders(connection, links.rows)
    for chunk in chunks(links.touched):
        spoken_for = sa.select(dossiers.c.member_id).where(dossiers.c.member_id == tenders.c.id).exists()
        connection.execute(sa.update(tenders).where(tenders.c.id.in_(chunk)).values(shown=~spoken_for))
    write_texts(connection, links.stale, links.texts)


def compile_rows(connection: Connection, rows: Sequence[Any], only: Collection[str] | None) -> list[Record]:
    """The records of ``rows`` of the tenders table, with what the other sources of each purchase tell.

    ``only`` these portals are listened to, all of them where it is None.
    """
    others = find_others(connection, rows)
    records = []
    for row in rows:
        members = [Member(number=row["id"], record=parse_record(row)), *others[row["id"]]]
        heard = [member for member in members if only is None or member.tender.portal in only]
        records.append(compile_record(heard or members))
    return records


def find_others(connection: Connection, rows: Sequence[Any]) -> Mapping[int, list[Member]]:
    """The other sources of the purchases of ``rows`` of the tenders table, by their numbers."""
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
    return others


class _Around:
    """A batch's tenders, and all whose dossiers they may change: ``members`` and their ``rows`` by number.

    ``former`` has the other members of each dossier as it is kept, ``told`` what is news of each tender.
    """

    def __init__(self, batch: Batch) -> None:
        self.links = Links()
        self.rows = {batch.rows[i]["id"]: batch.rows[i] for i in batch.after if i[1] in LINKED}
        self.members = {number: _member(row, batch) for number, row in self.rows.items()}
        self._batch = batch
        self._former: dict[int, list[int]] = {}
        self._told: dict[int, set[Event]] = {}

    def name_codes(self) -> None:
        """Which plans the batch's tenders name, where that has changed."""
        for identity, tender in self._batch.after.items():
            number, codes = self._batch.rows[identity]["id"], name_plans(tender)
            before = self._batch.before.get(identity)
            if before is not None and name_plans(before) == codes:
                continue
            if before is not None:
                self.links.uncoded.append(number)
            self.links.codes += [{"code": code, "tender_id": number} for code in sorted(codes)]

    def find_members(self, connection: Connection) -> None:
        """Neighbours by key and code, those that name the batch's plans, and all of their dossiers so far."""
        new = _find_kin(connection, self.members.values())
        plans = [member.tender.key for member in self.members.values() if is_plan(member.tender)]
        new |= _find_numbers(connection, plan_codes.c.tender_id, plan_codes.c.code, plans)
        hidden = [number for number, row in self.rows.items() if not row["shown"]]
        leaders = {number for number, row in self.rows.items() if row["merged"]}
        leaders |= _find_numbers(connection, dossiers.c.leader_id, dossiers.c.member_id, hidden)
        new |= leaders | _find_numbers(connection, dossiers.c.member_id, dossiers.c.leader_id, leaders)
        while new := new - self.members.keys():
            for row in _find_rows(connection, new):
                self.rows[row["id"]] = row
                self.members[row["id"]] = Member(number=row["id"], record=parse_record(row))
            new = _find_kin(connection, [self.members[number] for number in new if number in self.members])
        self._former = _find_pairs(connection, [number for number, row in self.rows.items() if row["merged"]])

    def find_clusters(self) -> list[list[Member]]:
        """Every dossier among the members, the tender that speaks for it in front."""
        plans: dict[str, list[Member]] = defaultdict(list)
        for each in self.members.values():
            if is_plan(each.tender):
                plans[each.tender.key].append(each)
        clusters = [[*cluster, *_find_plans(cluster, plans)] for cluster in group(self.members.values())]
        return [each for each in clusters if len(each) > 1 or self._is_linked(each[0])]

    def link(self, cluster: list[Member]) -> None:
        """Puts down what a dossier is from now on, and what of it is news."""
        leader, *others = cluster
        self.links.touched |= {member.number for member in cluster}
        self.links.pairs += [{"leader_id": leader.number, "member_id": member.number} for member in others]
        for other in others:  # led a dossier of its own until now
            if self.rows[other.number]["merged"] and other.tender.kind == leader.tender.kind:
                self._write(other.record, merged=False, number=other.number)
        if not others and not self.rows[leader.number]["merged"]:
            return
        record = compile_record(cluster)
        changed = self._find_changed(cluster, record)
        self._write(record, merged=bool(others), number=leader.number, changed=changed)
        if changed != self.rows[leader.number]["changed"]:
            self._batch.mark(leader.tender, leader.number)
        before = self._find_before(cluster)
        if before is not None:
            release = compare(before, record.tender, self._batch.time)
            news = {*(release.events if release else ()), *_first_results(before, record.tender)}
            for member in cluster:
                self._told.setdefault(member.number, set()).update(news)

    def silence(self) -> None:
        """A plan of several purchases keeps what is news to one of them."""
        for release in self._batch.releases:
            told = self._told.get(release["tender_id"])
            if told is not None:
                kept = [event for event in release["events"].split() if event in told]
                release["events"] = "".join(f" {event} " for event in kept)

    def _is_linked(self, member: Member) -> bool:
        row = self.rows[member.number]
        return bool(row["merged"] or not row["shown"])

    def _write(self, told: Record, *, merged: bool, number: int, changed: datetime | None = None) -> None:
        """The columns and the full text of a tender that says what ``told`` does."""
        row = self.rows[number]
        place = position(told.tender.published or row["first_seen"], number)
        columns = {"merged": merged, "changed": changed or row["changed"], "position": place}
        self.links.rows.append({"id": number, **columns, **searched_row(told.tender)})
        self.links.stale.append(row["position"])
        self.links.texts.append({"rowid": place, "text": render_text(searched_texts(told.tender))})

    def _find_changed(self, cluster: Sequence[Member], record: Record) -> datetime:
        """When the purchase last changed: a member that joins or leaves may change it, one overruled does not."""
        leader = cluster[0]
        kept: datetime = self.rows[leader.number]["changed"]
        if leader.tender.identity in self._batch.new:
            return kept
        former = [leader, *(self.members[number] for number in self._former.get(leader.number, ()))]
        if compare(self._as_before(former), record.tender, self._batch.time):
            return max(member.record.changed for member in (*cluster, *former))
        return self._batch.last_changed.get(leader.tender.identity, kept)

    def _find_before(self, cluster: Sequence[Member]) -> Tender | None:
        """The purchase as it was before the batch; None where this is the first that is heard of it.

        A plan alone is another announcement than the tender that follows it, so that one is news.
        """
        known = [member for member in cluster if member.tender.identity not in self._batch.new]
        if not known or is_plan(known[0].tender) != is_plan(cluster[0].tender):
            return None
        return self._as_before(known)

    def _as_before(self, members: Iterable[Member]) -> Tender:
        before = self._batch.before
        then = [replace(m, record=replace(m.record, tender=before.get(m.tender.identity, m.tender))) for m in members]
        return compile_record(then).tender


def _find_kin(connection: Connection, members: Iterable[Member]) -> set[int]:
    """Tenders of the same key in other portals, and the plans that are named."""
    portals: dict[tuple[Kind, str], set[str]] = defaultdict(set)
    codes: set[str] = set()
    for member in members:
        portals[member.tender.kind, member.tender.key].add(member.tender.portal)
        codes |= name_plans(member.tender)
    found: set[int] = set()
    columns = (tenders.c.id, tenders.c.portal, tenders.c.kind, tenders.c.key)
    # Kinds, which nearly all tenders have, must not lead by their index: SQLite would look through all for each batch.
    statement = sa.select(*columns).where(tenders.c.kind.concat("").in_(LINKED))
    for chunk in chunks({key for _, key in portals} | codes):
        for row in connection.execute(statement.where(tenders.c.key.in_(chunk))):
            of_key = portals.get((Kind(row.kind), row.key), set())
            if (of_key and of_key != {row.portal}) or (row.kind == Kind.PLAN and row.key in codes):
                found.add(row.id)
    return found


def _find_numbers(
    connection: Connection, column: sa.Column[int], where: sa.Column[Any], values: Collection[Any]
) -> set[int]:
    statements = (sa.select(column).where(where.in_(chunk)) for chunk in chunks(values))
    return {number for statement in statements for number in connection.execute(statement).scalars()}


def _find_rows(connection: Connection, numbers: Collection[int]) -> Iterator[Row]:
    for chunk in chunks(numbers):
        for row in connection.execute(sa.select(*_MEMBER).where(tenders.c.id.in_(chunk))).mappings():
            yield dict(row)


def _find_pairs(connection: Connection, leaders: Collection[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for chunk in chunks(leaders):
        pairs = sa.select(dossiers.c.leader_id, dossiers.c.member_id).where(dossiers.c.leader_id.in_(chunk))
        for leader, member in connection.execute(pairs):
            found[leader].append(member)
    return found


def _find_plans(cluster: Sequence[Member], plans: Mapping[str, list[Member]]) -> list[Member]:
    codes = sorted({code for each in cluster for code in name_plans(each.tender)})
    named = [plan for code in codes for plan in plans.get(code, ())]
    return [plan for plan in named if any(belongs(plan.tender, each.tender) for each in cluster)]


def _first_results(before: Tender, now: Tender) -> Iterator[Event]:
    """Results that nobody told before, be it that no source so far could tell them."""
    if now.awards and not before.awards:
        yield Event.AWARD
    if now.contracts and not before.contracts:
        yield Event.CONTRACT


def _member(row: Row, batch: Batch) -> Member:
    record = Record(
        tender=batch.after[row["portal"], row["kind"], row["key"]],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        changed=row["changed"],
        republished=row["republished"],
    )
    return Member(number=row["id"], record=record)
