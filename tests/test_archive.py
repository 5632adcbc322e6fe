"""The raw archive: what is kept once, what a torn or full disk leaves, and what the segments alone can tell."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard
from scrapy.http import HtmlResponse, Request, Response

import aggregator.archive
from aggregator.archive import Archive, ArchiveError, RunArchive, Segment, Snapshot, hash_body, read_segment
from aggregator.database import open_database
from aggregator.repository import Repository

RUN = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
BASE = "https://spse.example.go.id/malangkota"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive", Repository(open_database(f"sqlite:///{tmp_path}/warta.db")))


def save(run: RunArchive, path: str, body: bytes, *, form: bytes = b"", status: int = 200) -> None:
    request = Request(f"{BASE}/{path}", method="POST" if form else "GET", body=form)
    headers = {"Content-Type": "text/html; charset=utf-8"}
    run.save(request, HtmlResponse(request.url, status=status, headers=headers, body=body))


def find(archive: Archive, run: datetime = RUN) -> Sequence[Snapshot]:
    assert isinstance(archive.index, Repository)
    return archive.index.find_snapshots("malangkota", run)


def segments(archive: Archive) -> list[Path]:
    return sorted(archive.folder.glob("*.zst"))


def test_what_was_answered_comes_back_in_order(archive: Archive) -> None:
    with archive.open_run("malangkota", RUN) as run:
        save(run, "lelang", b"<p>token</p>")
        save(run, "dt/lelang", b'{"data":[]}', form=b"start=0")
        save(run, "dt/lelang", b'{"data":[1]}', form=b"start=100", status=500)
    found = find(archive)
    assert [archive.read(snapshot) for snapshot in found] == [b"<p>token</p>", b'{"data":[]}', b'{"data":[1]}']
    assert [(s.method, s.url.removeprefix(BASE), s.status) for s in found] == [
        ("GET", "/lelang", 200),
        ("POST", "/dt/lelang", 200),
        ("POST", "/dt/lelang", 500),
    ]
    assert found[1].request_hash == hash_body(b"start=0")
    assert json.loads(found[0].headers) == {"Content-Type": "text/html; charset=utf-8"}
    assert (found[0].portal, found[0].run) == ("malangkota", RUN)


def test_an_answer_without_type_or_body(archive: Archive) -> None:
    with archive.open_run("malangkota", RUN) as run:
        run.save(Request(BASE), Response(BASE, status=503))
    (snapshot,) = find(archive)
    assert (archive.read(snapshot), snapshot.headers, snapshot.status) == (b"", "{}", 503)


def test_the_same_body_is_written_once(archive: Archive) -> None:
    page = os.urandom(5000)
    for hour in range(3):
        with archive.open_run("malangkota", RUN + timedelta(hours=hour)) as run:
            save(run, "lelang", page)
            save(run, "nontender", page)
    assert sum(path.stat().st_size for path in segments(archive)) < 3 * len(page)
    assert [archive.read(s) for s in find(archive, RUN + timedelta(hours=2))] == [page, page]


def test_a_segment_is_a_zst_file_of_the_bodies(archive: Archive) -> None:
    with archive.open_run("malangkota", RUN) as run:
        save(run, "a", b"first ")
        save(run, "b", b"second")
    (path,) = segments(archive)
    reader = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True)
    assert reader.read() == b"first second"


def test_runs_share_a_segment_until_it_is_full(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregator.archive, "SEGMENT_SIZE", 10_000)
    for number in range(6):
        with archive.open_run("malangkota", RUN) as run:
            save(run, str(number), os.urandom(4000))
    assert len(segments(archive)) == 2
    assert len({archive.read(snapshot) for snapshot in find(archive)}) == 6


def test_two_writers_at_once_have_a_segment_each(archive: Archive) -> None:
    with archive.open_run("malangkota", RUN) as one, archive.open_run("batukota", RUN) as other:
        for number in range(5):
            save(one, f"{number}", f"one {number}".encode())
            save(other, f"{number}", f"other {number}".encode())
    assert len(segments(archive)) == 2
    assert [archive.read(snapshot) for snapshot in find(archive)] == [f"one {n}".encode() for n in range(5)]


# Bad days ----------------------------------------------------------------------------------------------


def kill(run: RunArchive) -> None:
    """What kill -9 leaves: the segment as written so far, its lock free, nothing more in the index."""
    assert run._segment is not None
    run._segment.close()


def test_a_killed_run_loses_nothing_that_was_written(archive: Archive) -> None:
    run = archive.open_run("malangkota", RUN)
    save(run, "1", b"one")
    run.flush()
    save(run, "2", b"two")
    kill(run)
    assert len(find(archive)) == 1
    with archive.open_run("malangkota", RUN + timedelta(hours=1)) as later:
        save(later, "3", b"three")
    assert [archive.read(snapshot) for snapshot in find(archive)] == [b"one", b"two"]
    assert len(segments(archive)) == 1


@pytest.mark.parametrize("cut", [1, 3, 20, 200])
def test_a_torn_last_record_is_cut_off(archive: Archive, cut: int) -> None:
    run = archive.open_run("malangkota", RUN)
    save(run, "1", b"one")
    save(run, "2", b"two")
    kill(run)
    (path,) = segments(archive)
    whole = [snapshot.stop for snapshot in read_segment(path)]
    os.truncate(path, whole[1] - cut)
    assert [snapshot.stop for snapshot in read_segment(path)] == whole[:1]
    with archive.open_run("malangkota", RUN) as later:
        save(later, "3", b"three")
    assert [archive.read(snapshot) for snapshot in find(archive)] == [b"one", b"three"]


def test_a_tail_of_zeros_after_a_power_cut_is_cut_off(archive: Archive) -> None:
    run = archive.open_run("malangkota", RUN)
    save(run, "1", b"one")
    kill(run)
    (path,) = segments(archive)
    os.truncate(path, path.stat().st_size + 4096)
    with archive.open_run("malangkota", RUN) as later:
        save(later, "2", b"two")
    assert [archive.read(snapshot) for snapshot in find(archive)] == [b"one", b"two"]


def test_a_full_disk_leaves_no_half_record(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    run = archive.open_run("malangkota", RUN)
    save(run, "1", b"one")

    written = os.pwrite

    def write_a_little(descriptor: int, record: memoryview, offset: int) -> int:
        if len(record) <= 10:
            raise OSError(28, "No space left on device")
        return written(descriptor, record[:-10], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", write_a_little)
        with pytest.raises(ArchiveError, match="No space left on device"):
            save(run, "2", b"two")
    save(run, "3", b"three")
    run.close()
    assert [archive.read(snapshot) for snapshot in find(archive)] == [b"one", b"three"]


def test_a_folder_that_cannot_be_written(archive: Archive) -> None:
    archive.folder.write_text("a file")
    with pytest.raises(ArchiveError, match="cannot be written"):
        save(archive.open_run("malangkota", RUN), "1", b"one")


def test_a_damaged_body_is_told(archive: Archive) -> None:
    with archive.open_run("malangkota", RUN) as run:
        save(run, "1", os.urandom(1000))
    (path,) = segments(archive)
    (snapshot,) = find(archive)
    content = bytearray(path.read_bytes())
    content[snapshot.frame + 500] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=rf"{path.name} .*1 has another hash"):
        archive.read(snapshot)
    path.unlink()
    with pytest.raises(ArchiveError, match=f"{path.name} cannot be read"):
        archive.read(snapshot)


def test_the_index_is_made_again_from_the_segments(archive: Archive, tmp_path: Path) -> None:
    with archive.open_run("malangkota", RUN) as run:
        for number in range(5):
            save(run, str(number), b"the same page" if number % 2 else f"page {number}".encode())
    again = Archive(archive.folder, Repository(open_database(f"sqlite:///{tmp_path}/new.db")))
    assert again.reindex() == 5
    assert again.reindex() == 0
    assert find(again) == find(archive)
    assert [again.read(s) for s in find(again)] == [archive.read(s) for s in find(archive)]


def test_a_segment_that_the_index_does_not_fit_is_left_alone(archive: Archive) -> None:
    with archive.open_run("malangkota", RUN) as run:
        save(run, "1", b"one")
    (path,) = segments(archive)
    path.write_bytes(b"")
    with archive.open_run("malangkota", RUN) as run:
        save(run, "2", b"two")
    assert len(segments(archive)) == 2
    assert path.stat().st_size == 0


def test_a_segment_is_locked_by_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    segment = Segment.lock(path)
    assert segment is not None
    assert Segment.lock(path) is None
    segment.close()
    again = Segment.lock(path)
    assert again is not None
    again.close()
