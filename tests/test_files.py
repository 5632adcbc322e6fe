"""Files that outlive a power cut, and what killed processes leave of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aggregator.files import make_folder, working_folder, writing_whole

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
