"""The published folder: atomic, untouched where nothing changed, and mindful of what is not its own."""

from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feeds.columns import COLUMNS
from feeds.drafts import File
from feeds.tree import JOURNAL, LOCK, MANIFEST, MANY_PARTS, SIZE, Part, Published, find_last_publish, open_tree

NOW = datetime(2026, 11, 24, 2, 40, 0, 123456, tzinfo=UTC)
BODY = b"<p>" + b"paket " * 200


def save(root: Path, files: dict[str, bytes], *, name: str = "part", print_of: str = "1") -> Published:
    with open_tree(root) as tree:
        tree.save(name, print_of, {path: File(body, NOW) for path, body in files.items()}, {})
    return tree.published


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name[0] != "."}


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    return {name: ((root / name).stat().st_mtime_ns, (root / name).stat().st_ino) for name in files(root)}


def test_a_file_and_its_twin_are_written_once(tmp_path: Path) -> None:
    assert save(tmp_path, {"feeds/a.rss": BODY, "robots.txt": b"x"}) == Published(written=2)
    assert set(files(tmp_path)) == {"feeds/a.rss", "feeds/a.rss.gz", "robots.txt"}  # one byte does not compress
    assert gzip.decompress((tmp_path / "feeds/a.rss.gz").read_bytes()) == BODY
    assert (tmp_path / "feeds/a.rss.gz").read_bytes()[4:8] == bytes(4)  # no time in the header
    before = stamps(tmp_path)
    assert save(tmp_path, {"feeds/a.rss": BODY, "robots.txt": b"x"}, print_of="2") == Published(unchanged=2)
    assert stamps(tmp_path) == before


def test_the_time_of_a_file_is_that_of_the_change(tmp_path: Path) -> None:
    save(tmp_path, {"a.rss": BODY})
    for name in ("a.rss", "a.rss.gz"):
        assert (tmp_path / name).stat().st_mtime_ns == 1_795_488_000_123_456_000


def test_new_bytes_always_have_a_later_time(tmp_path: Path) -> None:
    """An entry that leaves a feed changes its bytes but brings no newer change: If-Modified-Since must see it."""
    save(tmp_path, {"a.rss": BODY})
    save(tmp_path, {"a.rss": BODY + b"!"}, print_of="2")
    assert (tmp_path / "a.rss").stat().st_mtime_ns == 1_795_488_001_123_456_000


def test_published_files_can_be_read_by_the_web_server(tmp_path: Path) -> None:
    save(tmp_path, {"a.rss": BODY})
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "a.rss").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_kept_part_is_not_written_again(tmp_path: Path) -> None:
    with open_tree(tmp_path) as tree:
        tree.save("part", "1", {"a.rss": File(BODY, NOW)}, {"count": 3})
    with open_tree(tmp_path) as tree:
        assert tree.find_kept("part", "2") is None
        part = tree.find_kept("part", "1")
    assert part is not None
    assert part.facts == {"count": 3}
    assert tree.published == Published(unchanged=1)
    assert (tmp_path / "a.rss").exists()


@pytest.mark.parametrize("name", ["a.rss", "a.rss.gz"])
@pytest.mark.parametrize("content", [None, b"", BODY[::-1]])
def test_a_part_that_was_tampered_with_is_not_kept_and_gets_mended(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    save(tmp_path, {"a.rss": BODY})
    before = files(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with open_tree(tmp_path) as tree:
        assert tree.find_kept("part", "1") is None
        tree.save("part", "1", {"a.rss": File(BODY, NOW)}, {})
    assert files(tmp_path) == before


def test_what_is_no_longer_published_goes_and_foreign_files_stay(tmp_path: Path) -> None:
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds/own.rss").write_bytes(b"foreign")
    (tmp_path / "feeds/own.rss.gz").write_bytes(b"foreign")
    save(tmp_path, {"feeds/a.rss": BODY, "feeds/b.rss": BODY})
    assert save(tmp_path, {"feeds/b.rss": BODY}) == Published(unchanged=1, removed=1)
    assert set(files(tmp_path)) == {"feeds/own.rss", "feeds/own.rss.gz", "feeds/b.rss", "feeds/b.rss.gz"}


def test_a_folder_that_is_empty_then_goes_too(tmp_path: Path) -> None:
    save(tmp_path, {"en/tenders/x/1.html": BODY, "en/index.html": BODY, "a.html": BODY})
    (tmp_path / "en" / "foreign.txt").write_text("kept")
    save(tmp_path, {"a.html": BODY})
    assert [path.name for path in (tmp_path / "en").iterdir()] == ["foreign.txt"]
    (tmp_path / "en" / "foreign.txt").unlink()
    save(tmp_path, {"en/index.html": BODY, "a.html": BODY})
    save(tmp_path, {"a.html": BODY})
    assert not (tmp_path / "en").exists()


def test_a_failing_publish_removes_nothing(tmp_path: Path) -> None:
    save(tmp_path, {"a.rss": BODY})
    with pytest.raises(ZeroDivisionError), open_tree(tmp_path):
        _ = 1 / 0
    assert "a.rss" in files(tmp_path)


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", ".hidden", "a/.hidden", "", "a\nb", "ä", "a" * 250, "a/" * 1500 + "b"]
)
def test_no_path_leads_outside(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="no path inside"):
        save(tmp_path / "root", {path: BODY})
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.name[0] != "."]


@pytest.mark.parametrize(
    "manifest",
    ["", "{", "[]", '{"a": 1}', '{"a": {}}', '{"p": {"fingerprint": "", "files": {"../x": []}, "facts": {}}}'],
)
def test_an_unreadable_manifest_only_costs_time(
    tmp_path: Path, manifest: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "public"
    save(root, {"a.rss": BODY})
    (tmp_path / "x").write_text("not ours")
    (root / MANIFEST).write_text(manifest)
    assert save(root, {"a.rss": BODY}) == Published(unchanged=1)
    assert "cannot be read" in caplog.text
    assert (tmp_path / "x").exists()
    assert "part" in json.loads((root / MANIFEST).read_text())


def test_the_manifest_is_not_written_again_but_tells_of_every_publish(tmp_path: Path) -> None:
    assert find_last_publish(tmp_path) is None
    save(tmp_path, {"a.rss": BODY})
    inode = (tmp_path / MANIFEST).stat().st_ino
    os.utime(tmp_path / MANIFEST, (NOW.timestamp(), NOW.timestamp()))
    start = datetime.now(UTC)
    with open_tree(tmp_path) as tree:
        assert isinstance(tree.find_kept("part", "1"), Part)
    assert (tmp_path / MANIFEST).stat().st_ino == inode
    last = find_last_publish(tmp_path)
    assert last is not None
    assert last >= start - timedelta(seconds=1)  # file systems count in ticks
    assert last != NOW


def test_a_publish_that_failed_does_not_count(tmp_path: Path) -> None:
    save(tmp_path, {"a.rss": BODY})
    before = find_last_publish(tmp_path)
    with pytest.raises(RuntimeError), open_tree(tmp_path):
        raise RuntimeError("no words for it")
    assert find_last_publish(tmp_path) == before


def test_an_interrupted_publish_leaves_whole_files_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dying at any single rename leaves each file old or new; the next publish makes everything right."""
    old = {"a.rss": BODY, "b.rss": BODY}
    new = {"a.rss": BODY + b"2", "c.rss": BODY + b"3"}
    real = Path.replace
    for survived in range(5):
        root = tmp_path / str(survived)
        save(root, old)
        renames = 0

        def dying(self: Path, target: Path, survived: int = survived) -> Path:
            nonlocal renames
            renames += 1
            if renames > survived:
                raise KeyboardInterrupt
            return real(self, target)

        monkeypatch.setattr(Path, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            save(root, new, print_of="2")
        monkeypatch.setattr(Path, "replace", real)
        assert (root / "a.rss").read_bytes() in {old["a.rss"], new["a.rss"]}
        assert (root / JOURNAL).exists()
        save(root, {"a.rss": BODY + b"4"}, print_of="3")
        assert set(files(root)) == {"a.rss", "a.rss.gz"}
        assert gzip.decompress((root / "a.rss.gz").read_bytes()) == BODY + b"4"
        assert {p.name for p in root.iterdir() if p.name[0] == "."} == {MANIFEST, LOCK, SIZE}


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.test_tree import BODY, NOW, File, open_tree
with open_tree(Path(sys.argv[1])) as tree:
    tree.save("x", "2", {f"{n}.rss": File(BODY + b"2", NOW) for n in range(3)}, {})
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_frees_the_lock_and_the_next_publish_mends(tmp_path: Path) -> None:
    save(tmp_path, {"0.rss": BODY}, name="x")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=Path(__file__).parents[1])
    assert killed.returncode == -signal.SIGKILL
    save(tmp_path, {"0.rss": BODY}, name="x")
    assert set(files(tmp_path)) == {"0.rss", "0.rss.gz"}
    assert (tmp_path / "0.rss").read_bytes() == BODY


def test_two_publishes_at_once_follow_each_other(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with open_tree(tmp_path) as tree:
            order.append("second")
            tree.save("part", "2", {"b.rss": File(BODY, NOW)}, {})

    with open_tree(tmp_path) as tree:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        tree.save("part", "1", {"a.rss": File(BODY, NOW)}, {})
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert set(files(tmp_path)) == {"b.rss", "b.rss.gz"}


def test_a_full_disk_is_told_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        if os.fstat(descriptor).st_size == 10:  # the file itself; the journal still found room
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"feeds/a\.rss.* cannot be written: No space left on device"):
        save(tmp_path, {"feeds/a.rss": b"x" * 10})


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a"), ("a", "a")])
def test_two_that_want_one_file_stop_nothing_and_the_first_keeps_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, first: str, second: str
) -> None:
    """The second one's other file is published, unless both are one part."""

    def publish(change: bytes) -> None:
        with open_tree(tmp_path) as tree:
            wanted = [(first, BODY, {"x.html": BODY}), (second, BODY + change, {"x.html": change, "y.html": change})]
            moved = [each for each in wanted if tree.find_kept(each[0], str(each[1])) is None]
            for name, body, found in moved:
                tree.save(name, str(body), {path: File(each, NOW) for path, each in found.items()}, {})

    publish(b"1")
    assert "x.html: two parts want to be this file" in caplog.text
    kept = files(tmp_path)
    assert kept["x.html"] == BODY
    assert ("y.html" in kept) is (first != second)
    before = stamps(tmp_path)
    for change in (b"1", b"2", b"1"):
        publish(change)
        assert files(tmp_path)["x.html"] == BODY
        assert stamps(tmp_path)["x.html"] == before["x.html"]


def test_a_file_can_move_to_another_part(tmp_path: Path) -> None:
    save(tmp_path, {"x.html": BODY, "y.html": BODY}, name="a")
    with open_tree(tmp_path) as tree:
        tree.save("b", "1", {"x.html": File(b"b", NOW)}, {})
        tree.save("a", "2", {"y.html": File(BODY, NOW)}, {})
    assert files(tmp_path)["x.html"] == b"b"


def test_a_part_whose_file_another_took_before_is_not_kept(tmp_path: Path) -> None:
    save(tmp_path, {"x.html": BODY}, name="a")
    with open_tree(tmp_path) as tree:
        tree.save("b", "1", {"x.html": File(b"b", NOW)}, {})
        assert tree.find_kept("a", "1") is None


TENDERS = {f"{MANY_PARTS}a/{number}": {f"{MANY_PARTS}a/{number}.html": BODY + b"%d" % number} for number in range(3)}


def save_tenders(root: Path, wanted: dict[str, dict[str, bytes]] = TENDERS, *, other: bytes = b"x") -> Published:
    """As a publish does: all of them at a stroke where nothing moved, else each by itself; and a page beside them."""
    with open_tree(root) as tree:
        if wanted is not TENDERS or not tree.keep_many():
            for name, bodies in wanted.items():
                if tree.find_kept(name, repr(bodies)) is None:
                    tree.save(name, repr(bodies), {path: File(body, NOW) for path, body in bodies.items()}, {})
        tree.save("other", "1", {"status.html": File(other, NOW)}, {})
    return tree.published


def test_many_parts_are_kept_at_a_stroke_and_beside_the_manifest(tmp_path: Path) -> None:
    save_tenders(tmp_path)
    columns = (tmp_path / COLUMNS).stat()
    assert list(json.loads((tmp_path / MANIFEST).read_text())) == ["other", MANY_PARTS]
    with open_tree(tmp_path) as tree:
        assert tree.had(MANY_PARTS)
        assert tree.keep_many()
        assert tree.is_unmoved(but="other")
        assert set(tree.find_parts()) == set(TENDERS)
        assert tree.claim("other", ["tenders/a/1.html"]) == []
        tree.save("other", "1", {"status.html": File(b"x", NOW)}, {})
    assert tree.published == Published(unchanged=4)
    assert save_tenders(tmp_path, other=b"y") == Published(written=1, unchanged=3)
    assert (tmp_path / COLUMNS).stat() == columns  # what moved beside them is no reason to write them again
    assert (tmp_path / SIZE).read_text() == f"4 {sum(map(len, files(tmp_path).values()))}"


@pytest.mark.parametrize("name", ["tenders/a/1.html", "tenders/a/1.html.gz"])
@pytest.mark.parametrize("content", [None, b"", BODY[::-1]])
def test_one_that_was_tampered_with_is_mended(tmp_path: Path, name: str, content: bytes | None) -> None:
    save_tenders(tmp_path)
    before = files(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    assert save_tenders(tmp_path) == Published(written=1, unchanged=3)
    assert files(tmp_path) == before
    assert save_tenders(tmp_path) == Published(unchanged=4)


def test_of_many_parts_those_no_longer_published_go(tmp_path: Path) -> None:
    save_tenders(tmp_path)
    left = dict([*TENDERS.items()][:1])
    assert save_tenders(tmp_path, left) == Published(unchanged=2, removed=2)
    assert {path for path in files(tmp_path) if path.startswith(MANY_PARTS)} == {
        "tenders/a/0.html",
        "tenders/a/0.html.gz",
    }
    save_tenders(tmp_path, {})
    assert set(files(tmp_path)) == {"status.html"}
    assert not (tmp_path / COLUMNS).exists()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"[1,2,3,4,5]", b'["","","",[],[1]]', b'["a","b","../x",[1],[1,1,-1,-1]]', None]
)
def test_unreadable_columns_only_cost_time(tmp_path: Path, body: bytes | None) -> None:
    root = tmp_path / "public"
    save_tenders(root)
    before, columns = stamps(root), (root / COLUMNS).read_bytes()
    (tmp_path / "x").write_text("not ours")
    (root / COLUMNS).unlink() if body is None else (root / COLUMNS).write_bytes(body)
    assert save_tenders(root) == Published(unchanged=4)
    assert (stamps(root), (root / COLUMNS).read_bytes()) == (before, columns)
    assert (tmp_path / "x").exists()


@pytest.mark.parametrize("lost", [MANIFEST, COLUMNS])
def test_columns_that_are_not_those_of_the_manifest_are_believed_part_by_part(tmp_path: Path, lost: str) -> None:
    """A crash between the two leaves one of them old."""
    save_tenders(tmp_path)
    old = (tmp_path / lost).read_bytes()
    moved = {**TENDERS, "tenders/a/1": {"tenders/a/1.html": b"moved"}}
    save_tenders(tmp_path, moved)
    (tmp_path / lost).write_bytes(old)
    with open_tree(tmp_path) as tree:
        assert not tree.keep_many()
    save_tenders(tmp_path, moved)
    assert files(tmp_path)["tenders/a/1.html"] == b"moved"
    with open_tree(tmp_path) as tree:
        assert tree.keep_many()
