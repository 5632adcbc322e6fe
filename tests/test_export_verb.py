"""`warta export`: files are there only when they are whole, with the same bytes wherever the data lies."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, NamedTuple
from zoneinfo import ZoneInfo

import pytest

import warta as command_line
from aggregator.database import open_database
from aggregator.dossiers import Member
from aggregator.exports import columns, parquet
from aggregator.exports.columns import Clocks
from aggregator.exports.csv import write_csv
from aggregator.exports.jsonl import write_jsonl
from aggregator.exports.packages import Package, write_records, write_releases
from aggregator.exports.parquet import write_parquet
from aggregator.exports.xlsx import write_xlsx
from aggregator.files import writing_whole
from aggregator.histories import Past, Purchase, find_purchases
from aggregator.models import Award, Kind, Milestone, Money, Reading, Record, Status
from aggregator.repository import Repository
from commands import exporting
from tests.databases import Server
from tests.feed_samples import PUBLISHER, READ, TENDER, make_record, make_release
from tests.road import ALL, NOW, WIB

FORMATS = ("ocds", "ocds-records", "jsonl", "csv", "xlsx", "parquet")


class Said(NamedTuple):
    code: int
    out: bytes
    err: str


Export = Callable[..., Said]


def fill(repository: Repository) -> None:
    """Two sources of one purchase, a plan, news, and what became of them."""
    national = replace(TENDER, portal="nasional", stage=None, url="https://nasional.example.go.id/1")
    plan = replace(TENDER, portal="rup", kind=Kind.PLAN, key="61521911", status=Status.PLANNED, plans=())
    news = replace(TENDER, kind=Kind.NEWS, key="7", title='=HYPERLINK("http://x")')
    won = replace(TENDER, status=Status.COMPLETE, awards=(Award(supplier="PT Maju", amount=Money(Decimal("9.50"))),))
    repository.save([Reading(tender=plan), Reading(tender=TENDER), Reading(tender=news)], READ)
    repository.save([Reading(tender=national, republished=True)], READ + timedelta(hours=1))
    repository.save([Reading(tender=won), Reading(tender=replace(plan, title="Lain"))], READ + timedelta(hours=2))


@pytest.fixture
def export(config_file: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Export:
    """Runs the verb in this process, in a folder with a filled database; its results as bytes."""
    monkeypatch.chdir(config_file.parent)
    fill(Repository(open_database(f"sqlite:///{config_file.parent}/var/warta.db")))
    return make_export(monkeypatch, capfdbinary)


def make_export(monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[bytes]) -> Export:
    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["warta", "export", "--format", *arguments])
        captured.readouterr()
        with pytest.raises(SystemExit) as end:
            command_line.main()
        out, err = captured.readouterr()
        return Said(int(end.value.code or 0), out, err.decode())

    return run


# Output -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_a_pipe_and_a_second_time_give_the_same_bytes(form: str, export: Export) -> None:
    said = export(form)
    assert (said.code, said.err) == (0, "")
    assert len(said.out) > 500
    assert export(form, "-o", "made").out == b""
    assert Path("made").read_bytes() == said.out == export(form, "-o", "-").out


def test_the_filter_goes_for_every_format(export: Export) -> None:
    assert export("csv", "--kind", "plan").out.count(b"\r\n") == 1  # spoken for by its tender
    assert export("csv", "--portal", "rup").out.count(b"\r\n") == 2
    (release, *_) = json.loads(export("ocds", "--portal", "rup").out)["releases"]
    assert release["tag"] == ["planning"]
    assert "portal=rup" in json.loads(export("ocds", "--portal", "rup").out)["uri"]


def test_headings_in_indonesian(export: Export) -> None:
    assert "Satuan kerja" in export("csv", "--language", "id").out.decode()


def test_what_has_no_headings_says_so(export: Export) -> None:
    said = export("jsonl", "--language", "id")
    assert (said.code, said.out) == (2, b"")
    assert said.err == "warta: --language: jsonl has no headings; it goes with --format csv and xlsx\n"


def test_nothing_found_is_said_of_a_package(export: Export) -> None:
    said = export("ocds", "--kind", "news")
    assert said.code == 0
    assert json.loads(said.out)["releases"] == []
    assert "nothing found" in said.err


@pytest.mark.parametrize("form", ["xlsx", "parquet"])
def test_binary_is_not_poured_over_a_terminal(form: str, export: Export) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "warta", "export", "--format", form]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=60, env=env)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert done.stderr.startswith(f"warta: --output: {form} is no text to look at; name a file with -o")


def test_a_broken_export_leaves_the_last_good_one(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    export("jsonl", "-o", "tenders.jsonl")
    good = Path("tenders.jsonl").read_bytes()

    def break_off(*_values: object, **_options: object) -> Iterator[Record]:
        yield make_record()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Repository, "find", break_off)
    said = export("jsonl", "-o", "tenders.jsonl")
    assert (said.code, said.err) == (2, "warta: --output: No space left on device: tenders.jsonl\n")
    assert Path("tenders.jsonl").read_bytes() == good
    assert sorted(path.name for path in Path().iterdir()) == ["tenders.jsonl", "var", "warta.toml"]


# Files that are whole or not there ------------------------------------------------------------------------


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "made"
    with writing_whole(path) as stream:
        stream.write(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    path.chmod(0o640)
    with pytest.raises(KeyboardInterrupt), writing_whole(path) as stream:
        raise KeyboardInterrupt
    assert [each.name for each in tmp_path.iterdir()] == ["made"]
    link = tmp_path / "link"
    link.symlink_to(path)
    with writing_whole(link) as stream:
        stream.write(b"whole")
    assert link.is_symlink()
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"whole", 0o640)


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    with writing_whole(path) as stream:
        stream.write(b"told")
    reader.join(10)
    assert read == [b"told"]
    assert path.is_fifo()


# Databases ----------------------------------------------------------------------------------------------


def test_both_databases_export_the_same_bytes(
    config_file: Path,
    postgresql: Server,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.chdir(config_file.parent)
    export = make_export(monkeypatch, capfdbinary)
    told: list[list[bytes]] = []
    with postgresql.make_database() as made:
        for url in (f"sqlite:///{config_file.parent}/var/warta.db", made):
            engine = open_database(url)
            repository = Repository(engine)
            fill(repository)
            monkeypatch.setattr(exporting, "open_repository", lambda _config, found=repository: found)
            told.append([export(form).out for form in FORMATS])
            engine.dispose()
    assert told[0] == told[1]
    assert all(told[0])


def test_purchases_come_a_few_at_a_time(address: str) -> None:
    """On both databases: the first is there before the last was read."""
    engine = open_database(address)
    Repository(engine).save([Reading(tender=replace(TENDER, key=str(n), plans=())) for n in range(1200)], READ)
    found = find_purchases(engine, ALL, NOW, WIB)
    tracemalloc.start()
    assert next(found).told[0].member.tender.portal == "malangkota"
    first = tracemalloc.get_traced_memory()[1]
    assert sum(1 for _ in found) == 1199
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    engine.dispose()
    assert peak < 2.2 * first  # a chunk while the one before is still held


# Memory -------------------------------------------------------------------------------------------------

STAGES = tuple(Milestone(title=f"Tahap {n}", starts=READ, ends=READ + timedelta(days=n)) for n in range(6))


class Sink(io.RawIOBase):
    """Takes what is written and keeps nothing of it."""

    def writable(self) -> bool:
        return True

    def write(self, written: object) -> int:
        return len(bytes(written))  # type: ignore[call-overload]


def records(number: int) -> Iterator[Record]:
    for n in range(number):
        yield make_record(replace(TENDER, key=str(n), title=f"Jalan {n}", milestones=STAGES))


def purchases(number: int) -> Iterator[Purchase]:
    for n, record in enumerate(records(number)):
        yield Purchase(record.tender.identity, (Past(Member(number=n, record=record), (make_release(seq=n),)),))


def write(form: str, number: int, stream: IO[bytes]) -> None:
    clocks = Clocks({}, ZoneInfo("Asia/Jakarta"))
    package = Package(PUBLISHER, "tag:x,2026:y", READ)
    match form:
        case "jsonl":
            write_jsonl(records(number), stream)
        case "csv":
            write_csv(records(number), stream, clocks)
        case "xlsx":
            write_xlsx(records(number), stream, clocks)
        case "parquet":
            write_parquet(records(number), stream, clocks)
        case "ocds":
            write_releases(purchases(number), stream, package)
        case _:
            write_records(purchases(number), stream, package)


@pytest.mark.parametrize("form", FORMATS)
def test_memory_does_not_grow_with_the_number_of_tenders(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "ROWS", 50)
    monkeypatch.setattr(parquet, "ROWS", 100)

    def peak(number: int) -> int:
        tracemalloc.start()
        write(form, number, Sink())  # type: ignore[arg-type]
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)  # what is imported
    assert peak(400) < peak(200) + 100_000
