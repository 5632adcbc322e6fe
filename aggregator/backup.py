"""A backup: one file with the database, the configuration and, where asked, the raw archive; and the way back.

It is a tar file: ``warta.db`` (SQLite, whatever the database is), ``warta.toml``, ``archive/*.zst`` and ``SHA256SUMS``,
as ``sha256sum -c`` reads them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import zstandard

from aggregator.archive import Archive
from aggregator.config import Config
from aggregator.connecting import DatabaseError, show_url
from aggregator.copying import Progress, check_empty, copy_database, is_copied
from aggregator.database import open_database
from aggregator.files import make_folder, sync_folder, working_folder, writing_whole
from aggregator.repository import Repository

DATABASE = "warta.db"
CONFIG = "warta.toml"
ARCHIVE = "archive"
SUMS = "SHA256SUMS"

_NAME = re.compile(r"warta\.db|warta\.toml|SHA256SUMS|archive/[0-9A-Za-z][0-9A-Za-z-]{0,99}\.zst")
_ZSTD = b"\x28\xb5\x2f\xfd"  # how a zstd frame begins: RFC 8878 section 3.1.1
_BLOCK = 1024 * 1024


class BackupError(Exception):
    """A backup cannot be written or read. The message says which file, why, and what to do."""


@dataclass(frozen=True)
class Backup:
    """What an unpacked backup holds, verified: files in ``folder``, and their SHA-256 by name."""

    folder: Path
    sums: dict[str, str]
    config_mode: int

    @property
    def config_text(self) -> str:
        return (self.folder / CONFIG).read_text(encoding="utf-8")

    @property
    def segments(self) -> list[str]:
        return sorted(name.removeprefix(f"{ARCHIVE}/") for name in self.sums if name.startswith(f"{ARCHIVE}/"))


# Writing -----------------------------------------------------------------------------------------------


def save_backup(
    path: Path,
    config_file: Path,
    config: Config,
    repository: Repository,
    *,
    raw: bool,
    on_progress: Progress | None = None,
) -> None:
    """Writes a backup to ``path``, with the raw archive where ``raw``; crawls may go on meanwhile.

    The file is there when it is whole, and nobody but its owner may read it: configurations hold passwords.
    BackupError when ``path`` is there already, DatabaseError and OSError where it cannot be done.
    """
    if not path.name.endswith((".tar", ".tar.zst")):
        raise BackupError(f"{path}: a backup is a tar file; name it as in warta-2026-11-24.tar.zst, or .tar")
    if not path.parent.is_dir():
        raise BackupError(f"{path.parent}: no such folder; make it, or name another one")
    _refuse_to_overwrite(path)
    archive = Archive(config.archive_folder, repository)
    with ExitStack() as stack:
        folder = stack.enter_context(working_folder(path.parent, ".warta-backup-", of=path))
        if raw:
            stack.enter_context(archive.shared())  # what the database's index names must not leave the archive
        with _told_as_in(path, folder):
            _copy_into_file(repository, folder / DATABASE, on_progress)
        members = [(DATABASE, folder / DATABASE), (CONFIG, config_file)]
        if raw:
            members += [(f"{ARCHIVE}/{each.name}", each) for each in sorted(archive.folder.glob("*.zst"))]
        written = folder / path.name
        _write_tar(written, members, on_progress)
        _refuse_to_overwrite(path)
        written.rename(path)
        sync_folder(path.parent)


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise BackupError(
            f"{path} is there already, and a backup overwrites nothing; move it away, or name another file"
        )


def _copy_into_file(repository: Repository, path: Path, on_progress: Progress | None) -> None:
    made = open_database(f"sqlite:///{path}")
    try:
        copy_database(repository.engine, made, on_progress)
    finally:
        made.dispose()  # the last connection that closes brings all into the one file
    if path.with_name(f"{path.name}-wal").exists():  # but where that fails, it says nothing
        raise DatabaseError(f"database {show_url(made.url)} cannot be written; is its disk full, or broken?")


@contextmanager
def _told_as_in(path: Path, folder: Path) -> Iterator[None]:
    """What is wrong with the database in ``folder``, which nobody knows, is told as of the one in the backup."""
    try:
        yield
    except DatabaseError as error:
        told = str(error).replace(f"sqlite:///{folder / DATABASE}", f"in {path}")
        raise type(error)(told) from error


def _write_tar(path: Path, members: list[tuple[str, Path]], on_progress: Progress | None) -> None:
    sums = ""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        with ExitStack() as stack:
            packed: Any = file
            if path.suffix == ".zst":
                packed = stack.enter_context(zstandard.ZstdCompressor().stream_writer(file, closefd=False))
            tar = stack.enter_context(tarfile.open(fileobj=packed, mode="w|"))
            for done, (name, each) in enumerate(members, start=1):
                sums += f"{_add(tar, name, each)}  {name}\n"
                if on_progress:
                    on_progress("files", done, len(members))
            info = tarfile.TarInfo(SUMS)
            info.size = len(sums)
            tar.addfile(info, BytesIO(sums.encode("ascii")))
        file.flush()
        os.fsync(file.fileno())


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str:
    """Adds a file as long as it is now, since others may append to it; its SHA-256."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = found.st_size, int(found.st_mtime), stat.S_IMODE(found.st_mode)
        reader = _Summed(file)
        tar.addfile(info, reader)  # type: ignore[arg-type]  # it calls nothing but read
    return str(reader.sum.hexdigest())


@dataclass
class _Summed:
    """A file, and the SHA-256 of what was read of it."""

    file: IO[bytes]
    sum: Any = field(default_factory=hashlib.sha256)

    def read(self, size: int) -> bytes:
        block = self.file.read(size)
        self.sum.update(block)
        return block


# The way back ------------------------------------------------------------------------------------------


@contextmanager
def unpack_backup(path: Path, place: Path) -> Iterator[Backup]:
    """The backup at ``path``, verified, in a folder of its own in ``place`` that goes with the block.

    BackupError when it holds anything but what ``save_backup`` writes, or is damaged.
    """
    with working_folder(place, ".warta-restore-") as folder:
        (folder / ARCHIVE).mkdir()
        try:
            with path.open("rb") as file:
                backup = _unpack(file, folder)
        except FileNotFoundError:
            raise BackupError(f"{path}: no such file; name a backup that 'warta backup' wrote") from None
        except BackupError as error:
            raise BackupError(f"{path} cannot be restored: {error}; nothing was written") from error
        except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError) as error:
            raise BackupError(
                f"{path} cannot be restored: it was cut short or damaged, or is no backup; nothing was written"
            ) from error
        with _told_as_in(path, folder):
            yield backup


def restore_backup(
    backup: Backup, config: Config, on_progress: Progress | None = None, *, again: bool = False
) -> dict[str, int]:
    """Puts the database and the raw archive of ``backup`` where ``config`` says; the rows of each table.

    DatabaseError when the database holds something, but, where ``again``, for what a restore that was broken off put
    there; BackupError when the archive has other segments of the names.
    """
    with ExitStack() as stack:
        target = open_database(config.database_url)
        stack.callback(target.dispose)
        source = open_database(f"sqlite:///{backup.folder / DATABASE}")
        stack.callback(source.dispose)
        copied = is_copied(source, target) if again else {}
        if not copied:
            check_empty(target)
        for name in backup.segments:
            _put_back(backup.folder / ARCHIVE / name, config.archive_folder / name, backup.sums[f"{ARCHIVE}/{name}"])
        rows = copied or copy_database(source, target, on_progress)
        if backup.segments:
            Archive(config.archive_folder, Repository(target)).reindex()  # answers that came during the backup
    return rows


def save_config(backup: Backup, text: str, path: Path) -> None:
    """Writes ``text``, the configuration of ``backup``, to ``path``, where there must be none, for the same readers."""
    with writing_whole(path) as file:
        os.chmod(file.fileno(), backup.config_mode & 0o666)
        file.write(text.encode())


def _unpack(file: IO[bytes], folder: Path) -> Backup:
    packed = file.read(len(_ZSTD)) == _ZSTD
    file.seek(0)
    stream: Any = zstandard.ZstdDecompressor().stream_reader(file) if packed else file
    found: dict[str, str] = {}
    mode = 0o600
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            member = tar.extractfile(info) if info.type in {tarfile.REGTYPE, tarfile.AREGTYPE} else None
            if member is None or info.issparse() or not _NAME.fullmatch(info.name) or info.name in found:
                raise BackupError(f"it holds {info.name!r}, which no backup of this program does")
            reader = _Summed(member)
            with (folder / info.name).open("xb") as written:
                while block := reader.read(_BLOCK):
                    written.write(block)
            found[info.name] = reader.sum.hexdigest()
            mode = info.mode if info.name == CONFIG else mode
    if missing := [name for name in (DATABASE, CONFIG, SUMS) if name not in found]:
        raise BackupError(f"it lacks {missing[0]}: it is no backup of this program, or was cut short")
    del found[SUMS]
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    told = {name: told for told, _, name in (line.partition("  ") for line in lines)}
    for name in sorted({*told, *found}):
        if told.get(name) != found.get(name):
            raise BackupError(f"it is damaged: {name} is not what {SUMS} says")
    return Backup(folder, found, mode)


def _put_back(source: Path, target: Path, expected: str) -> None:
    """Copies a segment, in one step; one that is there already and the same is left alone."""
    if target.exists():
        with target.open("rb") as kept:
            if hashlib.file_digest(kept, "sha256").hexdigest() != expected:
                raise BackupError(f"{target} is there already and differs; move the archive away, or name another")
        return
    make_folder(target.parent)
    with source.open("rb") as packed, writing_whole(target) as written:
        shutil.copyfileobj(packed, written, _BLOCK)
