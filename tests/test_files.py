"""Files that outlive a power cut, and what killed processes leave of them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aggregator.files import make_folder, sync_folder, working_folder, writing_whole

ROOT = Path(__file__).parents[1]
KILLED = """
import os, signal, sys
from pathlib import Path
from aggregator.files import working_folder, writing_whole
folder = Path(sys.argv[1])
with working_folder(folder, ".warta-x-") as made, writing_whole(folder / "out.csv") as stream:
    (made / "part").write_bytes(b"half")
    stream.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_killed_processes_left_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert len(list_names(tmp_path)) == 2
    (tmp_path / ".out.csv.bak").write_text("somebody else's")
    with working_folder(tmp_path, ".warta-x-") as first, writing_whole(tmp_path / "out.csv") as stream:
        with working_folder(tmp_path, ".warta-x-") as second, writing_whole(tmp_path / "out.csv") as other:
            other.write(b"second")
            assert first.is_dir()
            assert second.is_dir()
        stream.write(b"first")
    assert (tmp_path / "out.csv").read_bytes() == b"first"
    assert list_names(tmp_path) == [".out.csv.bak", "out.csv"]


def test_what_breaks_off_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_bytes(b"old")
    with pytest.raises(TypeError), writing_whole(tmp_path / "out.csv") as stream:
        stream.write(b"new" + None)  # type: ignore[operator]
    assert (tmp_path / "out.csv").read_bytes() == b"old"
    assert list_names(tmp_path) == ["out.csv"]


def test_folders_are_made_with_all_above_them(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_what_fails_in_a_hidden_file_is_told_as_of_the_one_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as full, writing_whole(tmp_path / "out.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")  # as a write says it: without a name
    assert full.value.filename == str(tmp_path / "out.csv")
    with pytest.raises(FileNotFoundError) as gone, working_folder(tmp_path, ".warta-x-") as made:
        (made / "part").read_bytes()
    assert gone.value.filename == str(tmp_path)
    with pytest.raises(FileNotFoundError) as gone, working_folder(tmp_path, ".warta-x-", of=tmp_path / "x.tar") as made:
        (made / "part").read_bytes()
    assert gone.value.filename == str(tmp_path / "x.tar")
    with pytest.raises(FileNotFoundError) as other, writing_whole(tmp_path / "out.csv"):
        (tmp_path / "other").read_bytes()
    assert other.value.filename == str(tmp_path / "other")


def test_a_folder_that_cannot_be_synced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="Input/output error") as told:
        sync_folder(Path())
    assert told.value.filename == str(tmp_path)
