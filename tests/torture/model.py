"""What must be true of a database and of a published folder after any bad day, found out without the program's help."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

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
LOCKS = {".warta.lock", ".lock"}


class Broken(AssertionError):
    """What should have held, and did not."""


def find_rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Rows of an SQLite file, read without the program."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def check_database(path: Path, truths: Sequence[Truth]) -> int:
    """Opens the database as the program does; it is whole in itself, and every tender as one of ``truths`` has it.
    How many tenders were looked at."""
    if not path.exists():
        return 0
    engine = open_database(f"sqlite:///{path}")
    try:
        records = list(Repository(engine).find(ALL, NOW, WIB, apart=True))
    finally:
        engine.dispose()
    for check in ("PRAGMA integrity_check", "PRAGMA foreign_key_check"):
        if (found := find_rows(path, check)) not in ([], [("ok",)]):
            raise Broken(f"{check}: {found}")
    for record in records:
        told = record.as_dict()
        identity = (told["kind"], told["key"])
        if truths and not any(_is_true(told, truth.get(identity)) for truth in truths):
            raise Broken(f"{identity} is as it never was: {_tell_wrong(told, truths)}")
    check_releases(path)
    _check_derived(path, [Reading(tender=record.tender, republished=record.republished) for record in records])
    return len(records)


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


def check_releases(path: Path) -> None:
    """Numbers without a gap, one first release a tender, and each change ends where the next one begins: told from the
    last to the first, they lead from the tender that is kept back to where it began."""
    numbers = [row[0] for row in find_rows(path, "SELECT seq FROM releases ORDER BY seq")]
    if numbers != list(range(1, len(numbers) + 1)):
        raise Broken(f"releases are numbered {numbers}")
    now = {row[0]: json.loads(row[1]) for row in find_rows(path, "SELECT id, tender FROM tenders")}
    firsts: dict[int, int] = {}
    for seq, number, changes in find_rows(path, "SELECT seq, tender_id, changes FROM releases ORDER BY seq DESC"):
        if number not in now:
            raise Broken(f"release {seq} tells of a tender that is not kept")
        for field, old, new in json.loads(changes):
            if not is_same(now[number].get(field), new):
                raise Broken(f"release {seq}: {field} became {new!r}, and then is {now[number].get(field)!r}")
            now[number][field] = old
        firsts[number] = seq
    if lost := now.keys() - firsts.keys():
        raise Broken(f"tenders without any release: {sorted(lost)}")


def _check_derived(path: Path, readings: Sequence[Reading]) -> None:
    """Columns, full text and dossiers are as those of a database into which the same tenders are saved now."""
    fresh = path.with_name("fresh.db")
    engine = open_database(f"sqlite:///{fresh}")
    try:
        Repository(engine).save(readings, NOW)
    finally:
        engine.dispose()
    columns = ", ".join(DERIVED) + ", tender_text.text"
    for statement in (KEPT.format(columns=columns), *LINKED):
        kept, expected = sorted(find_rows(path, statement), key=str), sorted(find_rows(fresh, statement), key=str)
        if kept != expected:
            wrong = [row for row in kept if row not in expected] or [row for row in expected if row not in kept]
            raise Broken(f"what is found of a tender is not what it says: {str(wrong[0])[:500]}")
    count = "SELECT (SELECT count(*) FROM tenders), (SELECT count(*) FROM tender_text)"
    if len(set(find_rows(path, count)[0])) != 1:
        raise Broken(f"tenders and their full texts: {find_rows(path, count)[0]}")
    fresh.unlink()


def list_files(root: Path) -> dict[str, bytes]:
    """Every file below ``root`` that is served."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not any(step.startswith(".") for step in path.relative_to(root).parts)
    }


def check_tree(root: Path, generations: Sequence[Mapping[str, bytes]]) -> int:
    """Each file is whole: byte for byte as one of ``generations`` has it, and so is what its twin unpacks to. How many
    files were looked at."""
    found = list_files(root) if root.exists() else {}
    for name, body in found.items():
        if not any(generation.get(name) == body for generation in generations):
            raise Broken(f"{name} is torn, or of no publish: {body[:80]!r} …, {len(body)} bytes")
        # A compressed data file has no twin and is no twin.
        plain = name.removesuffix(".gz")
        if name != plain and plain in found and not any(g.get(plain) == gzip.decompress(body) for g in generations):
            raise Broken(f"{name} holds what {plain} never was")
    return len(found)


def check_healed(root: Path, expected: Mapping[str, bytes]) -> None:
    """The tree is byte for byte what a publish from nothing writes, and each twin is what its file packs to."""
    found = list_files(root)
    if found.keys() != expected.keys():
        raise Broken(f"the tree has {sorted(found.keys() - expected.keys())}, lacks {sorted(expected - found.keys())}")
    if wrong := [name for name in found if found[name] != expected[name]]:
        raise Broken(f"the tree is not what a publish from nothing writes: {wrong[:5]}")


def find_litter(folder: Path) -> set[str]:
    """Hidden files, and parts of files, that nobody will ever read again."""
    found = {path for path in folder.rglob("*") if path.name.startswith(".") or ".tmp" in path.name}
    manifest = {".warta.json", ".warta.size"}
    return {str(path.relative_to(folder)) for path in found if path.name not in LOCKS | manifest}


def check_no_litter(folder: Path) -> None:
    """Nothing lies about but what the program needs."""
    if litter := find_litter(folder):
        raise Broken(f"left lying about: {sorted(litter)}")
