"""Files that must outlive a power cut."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO


def sync_folder(folder: Path) -> None:
    """Makes renames, new names and removals in ``folder`` last through a power cut."""
    folder = folder.resolve()  # an error names it: nobody knows which one "." is
    with _told_as(folder, folder.name):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(folder: Path) -> None:
    """``folder`` is there, with all above it, and still is after a power cut."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync_folder(each.parent)


@contextmanager
def writing_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name only when all is written, so that what broke off never looks whole.

    What is no file (a pipe, a device) is written as it is. OSError where that fails.
    """
    path = path.resolve()  # a link stays one
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    with _told_as(path, _hide(path)):
        beside, made = _make_beside(path)
        with made as stream:
            try:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                if path.exists():
                    shutil.copymode(path, beside)
                beside.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
        sync_folder(path.parent)


@contextmanager
def _told_as(path: Path, hidden: str) -> Iterator[None]:
    """A failed write, and what befalls a file called ``hidden`` and more, which nobody knows, is told as of ``path``,
    which was asked for."""
    try:
        yield
    except OSError as error:
        steps = Path(os.fsdecode(error.filename)).parts if isinstance(error.filename, str | bytes) else (hidden,)
        if error.strerror is None or not any(step.startswith(hidden) for step in steps):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _hide(path: Path) -> str:
    """How the names of the hidden files beside ``path`` begin."""
    return f".{path.name[:200]}."


def _make_beside(path: Path) -> tuple[Path, IO[bytes]]:
    """A new hidden file beside ``path``, locked; those that killed processes left there go first."""
    name = _hide(path)
    _remove_dead(path.parent, name)
    while True:
        beside = path.with_name(name + secrets.token_hex(4))
        stream = beside.open("xb")
        if _lock(stream.fileno(), beside):
            return beside, stream
        stream.close()


@contextmanager
def working_folder(place: Path, name: str, of: Path | None = None) -> Iterator[Path]:
    """A new folder in ``place``, called ``name`` and eight letters, that goes with the block; those that killed
    processes left there go first. OSError, which names ``of`` or else ``place``, where that fails."""
    with _told_as(of or place.resolve(), name), ExitStack() as stack:
        _remove_dead(place, name)
        while True:
            # What cannot be removed goes next time: told is what failed first.
            made = stack.enter_context(TemporaryDirectory(prefix=name, dir=place, ignore_cleanup_errors=True))
            descriptor = os.open(made, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            if _lock(descriptor, Path(made)):
                break
        yield Path(made)
    sync_folder(place)


def _lock(descriptor: int, path: Path) -> bool:
    """Tells others that who made ``path`` is alive. False where one of them was faster, and took it for dead."""
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def _remove_dead(place: Path, name: str) -> None:
    """Removes what is called ``name`` and eight letters more and is locked by nobody: whoever made it was killed."""
    for left in place.iterdir():
        if not left.name.startswith(name) or len(left.name) != len(name) + 8:
            continue
        with suppress(OSError):  # another one removes it, or may do so: it is in nobody's way
            descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            finally:
                os.close(descriptor)
