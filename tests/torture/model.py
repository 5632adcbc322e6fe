"""What must be true of a database and of a published folder after any bad day, found out without the program's help."""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from aggregator.database import open_database
from aggregator.models import Reading
from aggregator.repository import Repository
from tests.road import ALL, NOW, UNTOLD, WIB, is_same

Identity = tuple[str, str]
Truth = Mapping[Identity, Mapping[str, Any]]

# What is derived from a tender: must be as if it had been saved just now. ``position`` and ids depend on the order.
DERIVED = (
    *("status", "category", "method", "buyer", "buyer_folded", "procuring_entity", "procuring_entity_folded"),
    *("locations_folded", "years", "amount", "closes", "retender", "awarded", "contracted", "republished", "shown"),
    *("merged", "unread", "tender"),
)
KEPT = "SELECT kind || ' ' || key, {columns} FROM tenders JOIN tender_text ON tender_text.rowid = tenders.position"
LINKED = (
    "SELECT a.kind || a.key, b.kind || b.key FROM dossiers JOIN tenders a ON a.id = leader_id"
    " JOIN tenders b ON b.id = member_id ORDER BY 1, 2",
    "SELECT kind || key, code FROM plan_codes JOIN tenders ON tenders.id = tender_id ORDER BY 1, 2",
)
RELEASE = "seq, kind, key, tags, events, changes FROM releases JOIN tenders ON tenders.id = tender_id"
NEWS = "kind || ' ' || key, events, changes FROM releases JOIN tenders ON tenders.id = tender_id"
LOCKS = {".warta.lock", ".lock"}


class Broken(AssertionError):
    """What should have held, and did not."""


def find_rows(address: str, statement: str) -> list[tuple[Any, ...]]:
    """Rows of a database, read without the program; truth values as numbers, as SQLite has them."""
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(statement).fetchall()
    return [tuple(int(value) if isinstance(value, bool) else value for value in row) for row in rows]


def check_database(address: str, truths: Sequence[Truth], *, admitted: bool = False) -> int:
    """Opens the database as the program does; it is whole in itself, and every tender as one of ``truths`` has it, or,
    where ``admitted``, says itself that it is incomplete. How many tenders were looked at."""
    if is_missing(address):
        return 0
    engine = open_database(address)
    try:
        records = list(Repository(engine).find(ALL, NOW, WIB, apart=True))
    finally:
        engine.dispose()
    for check in ("integrity_check", "foreign_key_check") if address.startswith("sqlite") else ():
        if (found := find_rows(address, f"PRAGMA {check}")) not in ([], [("ok",)]):
            raise Broken(f"{check}: {found}")
    for record in records:
        told = record.as_dict()
        identity = (told["kind"], told["key"])
        if admitted and told["incomplete"]:
            continue
        if truths and not any(_is_true(told, truth.get(identity)) for truth in truths):
            raise Broken(f"{identity} is as it never was: {_tell_wrong(told, truths)}")
    check_releases(address)
    _check_derived(address, [Reading(tender=record.tender, republished=record.republished) for record in records])
    return len(records)


def is_missing(address: str) -> bool:
    """Whether there is no file of the database."""
    path = sa.make_url(address).database
    return address.startswith("sqlite") and not (path and Path(path).exists())


def forget_leases(address: str) -> None:
    """As if a minute had passed since their holder's machine stood still."""
    if not is_missing(address):
        engine = sa.create_engine(address, poolclass=sa.NullPool)
        with engine.begin() as connection:
            if sa.inspect(connection).has_table("leases"):
                connection.exec_driver_sql("DELETE FROM leases")


def has_tables(address: str) -> bool:
    """Whether the program has made its tables there."""
    engine = sa.create_engine(address, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return sa.inspect(connection).has_table("releases")


def find_kept(address: str) -> tuple[set[str], list[tuple[Any, ...]]]:
    """What must never be lost: which tenders there are, and every release in its order."""
    if is_missing(address) or not has_tables(address):
        return set(), []
    keys = {row[0] for row in find_rows(address, "SELECT kind || ' ' || key FROM tenders")}
    return keys, find_rows(address, f"SELECT {RELEASE} ORDER BY seq")


def check_nothing_lost(before: tuple[set[str], list[tuple[Any, ...]]], address: str) -> None:
    """All that was kept ``before`` still is, and releases were only added behind."""
    tenders, told = find_kept(address)
    if lost := before[0] - tenders:
        raise Broken(f"lost: {sorted(lost)}")
    if told[: len(before[1])] != before[1]:
        raise Broken("a release that was there is gone, or another one")


def find_news(address: str) -> tuple[Counter[Any], Counter[Any]]:
    """How often each event, and each change of a field, was told of a tender."""
    events, changes = Counter[Any](), Counter[Any]()
    for identity, told, text in find_rows(address, f"SELECT {NEWS}"):
        events.update((identity, event) for event in told.split())
        changes.update((identity, json.dumps(change)) for change in json.loads(text) if change[0] not in UNTOLD)
    return events, changes


def check_told_once(address: str, expected: tuple[Counter[Any], Counter[Any]]) -> None:
    """No event was told more often than ``expected``."""
    if twice := find_news(address)[0] - expected[0]:
        raise Broken(f"told too often: {list(twice)[:3]}")


def check_news(address: str, expected: tuple[Counter[Any], Counter[Any]]) -> None:
    """Every event was told once, and every change: as in a run that nothing befell."""
    for found, wanted in zip(find_news(address), expected, strict=True):
        if found != wanted:
            raise Broken(f"told too much: {list(found - wanted)[:3]}, or never: {list(wanted - found)[:3]}")


def _is_true(told: Mapping[str, Any], expected: Mapping[str, Any] | None) -> bool:
    return expected is not None and not list(_find_wrong(told, expected))


def _find_wrong(told: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        # The registration's end is kept after the package has left the home page, the only one that told it.
        kept = name == "registration_deadline" and value is None
        if name not in UNTOLD and not kept and not is_same(told[name], value):
            yield f"{name} {told[name]!r} for {value!r}"


def _tell_wrong(told: Mapping[str, Any], truths: Sequence[Truth]) -> str:
    expected = [truth[told["kind"], told["key"]] for truth in truths if (told["kind"], told["key"]) in truth]
    return " | ".join("; ".join(_find_wrong(told, each)) for each in expected) or "nobody ever told of it"


def check_releases(address: str) -> None:
    """Numbers without a gap, one first release a tender, and each change ends where the next one begins: told from the
    last to the first, they lead from the tender that is kept back to where it began."""
    numbers = [row[0] for row in find_rows(address, "SELECT seq FROM releases ORDER BY seq")]
    if numbers != list(range(1, len(numbers) + 1)):
        raise Broken(f"releases are numbered {numbers}")
    now = {row[0]: json.loads(row[1]) for row in find_rows(address, "SELECT id, tender FROM tenders")}
    firsts: dict[int, int] = {}
    for seq, number, changes in find_rows(address, "SELECT seq, tender_id, changes FROM releases ORDER BY seq DESC"):
        if number not in now:
            raise Broken(f"release {seq} tells of a tender that is not kept")
        for field, old, new in json.loads(changes):
            if not is_same(now[number].get(field), new):
                raise Broken(f"release {seq}: {field} became {new!r}, and then is {now[number].get(field)!r}")
            now[number][field] = old
        firsts[number] = seq
    if lost := now.keys() - firsts.keys():
        raise Broken(f"tenders without any release: {sorted(lost)}")


def _check_derived(address: str, readings: Sequence[Reading]) -> None:
    """Columns, full text and dossiers are as those of a database into which the same tenders are saved now."""
    own = ", tender_text.text" if address.startswith("sqlite") else ""  # PostgreSQL's own words are of another type
    with tempfile.TemporaryDirectory() as folder:
        fresh = f"sqlite:///{folder}/fresh.db"
        engine = open_database(fresh)
        Repository(engine).save(readings, NOW)
        engine.dispose()
        for statement in (KEPT.format(columns=", ".join(DERIVED) + own), *LINKED):
            kept, expected = (sorted(find_rows(each, statement), key=str) for each in (address, fresh))
            if kept != expected:
                wrong = [row for row in kept if row not in expected] or [row for row in expected if row not in kept]
                raise Broken(f"what is found of a tender is not what it says: {str(wrong[0])[:500]}")
    tenders, texts = find_rows(address, "SELECT (SELECT count(*) FROM tenders), (SELECT count(*) FROM tender_text)")[0]
    if tenders != texts:
        raise Broken(f"{tenders} tenders have {texts} full texts")


def list_files(root: Path) -> dict[str, bytes]:
    """Every file below ``root`` that is served; a twin as what it unpacks to, the sitemap without the files' times."""
    found = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not any(step.startswith(".") for step in path.relative_to(root).parts):
            body = path.read_bytes()
            if name.endswith(".gz") and not name.startswith("data/paket-"):
                try:
                    body = gzip.decompress(body)
                except (OSError, EOFError) as error:
                    raise Broken(f"{name} does not unpack: {error}") from error
            found[name] = re.sub(rb"<lastmod>[^<]*", b"", body) if "sitemap" in name else body
    return found


def check_tree(root: Path, generations: Sequence[Mapping[str, bytes]]) -> int:
    """Each file, and what its twin unpacks to, is whole: byte for byte as one of ``generations`` has it. How many
    files were looked at."""
    found = list_files(root) if root.exists() else {}
    for name, body in found.items():
        if not any(generation.get(name) == body for generation in generations):
            raise Broken(f"{name} is torn, or of no publish: {body[:80]!r} …, {len(body)} bytes")
    return len(found)


def check_healed(root: Path, expected: Mapping[str, bytes]) -> None:
    """The tree is byte for byte what it should be, and not one file more."""
    found = list_files(root)
    if found.keys() != expected.keys():
        raise Broken(f"the tree has {sorted(found.keys() - expected.keys())}, lacks {sorted(expected.keys() - found)}")
    if wrong := [name for name in found if found[name] != expected[name]]:
        raise Broken(f"the tree is not what it would be without a bad day: {wrong[:5]}")


def find_litter(folder: Path) -> set[str]:
    """Hidden files, and parts of files, that nobody will ever read again."""
    found = {path for path in folder.rglob("*") if path.name.startswith(".") or ".tmp" in path.name}
    manifest = {".warta.json", ".warta.size", ".warta.tenders"}
    return {str(path.relative_to(folder)) for path in found if path.name not in LOCKS | manifest}


def check_no_litter(folder: Path) -> None:
    """Nothing lies about but what the program needs."""
    if litter := find_litter(folder):
        raise Broken(f"left lying about: {sorted(litter)}")
