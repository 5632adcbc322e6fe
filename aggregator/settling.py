"""The warta.toml of a backup in a folder of its own: what it names outside of that folder comes to lie inside."""

from __future__ import annotations

import json
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from aggregator.config import Config, ConfigError, Crawl, Database, Publish, parse_config
from aggregator.connecting import DatabaseError, mask_address
from aggregator.database import find_database_file


def settle_config(text: str, path: Path, *, has_database: bool) -> tuple[str, list[str]]:
    """``text`` as it stands at ``path``, and what was changed for that, in words without a password.

    A database, raw archive or published tree outside of the folder of ``path`` takes its usual place within: what lives
    there is not touched. The old lines stay as comments. With ``has_database`` the database is told elsewhere.
    ConfigError where ``text`` says something that cannot be, or in a way that is not understood here.
    """
    config = parse_config(text, path)
    told = []
    for table, key, is_inside, usual in (
        ("database", "url", has_database or _is_inside(config, _find_file(config)), Database().url),
        ("crawl", "archive", _is_inside(config, config.archive_folder), str(Crawl().archive)),
        ("publish", "directory", _is_inside(config, config.public_folder), str(Publish().directory)),
    ):
        if not is_inside:
            old = str(tomllib.loads(text)[table][key])
            text = _replace(text, path, (table, key), usual)
            told.append(f"{table}.{key} was {mask_address(old)}; in {path} it is {usual}")
    return text, told


def _find_file(config: Config) -> Path | None:
    with suppress(DatabaseError):  # no address: then it names nothing inside
        return find_database_file(config.locate_database(config.database.url))
    return None


def _is_inside(config: Config, place: Path | None) -> bool:
    return place is not None and place.resolve().is_relative_to(config.folder.resolve())


def _replace(text: str, path: Path, where: tuple[str, str], value: str) -> str:
    """``text`` with another value at ``where``; of the ways in which it may be written, the one that gives that."""
    table, key = where
    wanted = tomllib.loads(text)
    old = wanted[table][key]
    wanted[table][key] = value
    for literal in (json.dumps(old, ensure_ascii=False), json.dumps(old), f"'{old}'"):
        for found in re.finditer(re.escape(literal), text):
            start = text.rfind("\n", 0, found.start()) + 1
            line = text[start:].partition("\n")[0]
            changed = f"{text[: found.start()]}{json.dumps(value)}{text[found.end() :]}"
            changed = f"{changed[:start]}# Before it was restored here: {line}\n{changed[start:]}"
            if _read(changed) == wanted:
                return changed
    raise ConfigError(
        f"{path}: {table}.{key} of the backup names a place outside of its folder, written in a way that cannot be "
        "changed here; unpack its warta.toml with tar -xf, change that, then: warta --config FILE restore BACKUP"
    )


def _read(text: str) -> dict[str, Any] | None:
    with suppress(tomllib.TOMLDecodeError):  # it stood within a longer text
        return tomllib.loads(text)
    return None
