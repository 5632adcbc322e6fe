"""What the command line is asked for: portals, filters, and the database they are looked for in."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from aggregator.config import Config, ConfigError, Portal
from aggregator.filters import FILTER_HELP, Filter, FilterError
from commands.terminal import UsageMistake

if TYPE_CHECKING:
    from aggregator.repository import Repository

PortalIds = Annotated[
    list[str] | None, typer.Argument(metavar="PORTAL", help="Ids from warta.toml. None: all that are enabled.")
]


def open_repository(config: Config) -> Repository:
    from aggregator.database import open_database
    from aggregator.repository import Repository

    return Repository(open_database(config.database_url))


def look_at_repository(config: Config) -> Repository:
    """The database to look at, which changes nothing: one that is not there yet is not made."""
    from aggregator.database import is_made, open_database
    from aggregator.repository import Repository

    url = config.database_url
    return Repository(open_database(url if is_made(url) else "sqlite://"))


def choose_portals(config: Config, ids: Sequence[str] | None) -> list[Portal]:
    """The portals named, each once, or all that are enabled."""
    chosen = [config.find_portal(i) for i in dict.fromkeys(ids)] if ids else [p for p in config.portal if p.enabled]
    if not chosen:
        raise ConfigError("no portal is enabled in the configuration; add one, or name a portal")
    return chosen


def split_words(texts: Sequence[str] | None) -> list[str]:
    """``--year 2025,2026`` and ``--year 2025 --year 2026`` are the same."""
    return [word for text in texts or () for word in text.split(",")]


def read_filter(values: Mapping[str, Any], options: Mapping[str, str] = MappingProxyType({})) -> Filter:
    """What the options ask for; ``options`` has those that are not called as their key. UsageMistake names one."""
    try:
        return Filter.parse({key: value for key, value in values.items() if value is not None})
    except FilterError as error:
        option = options.get(error.key) or f"--{error.key.replace('_', '-')}"
        raise UsageMistake(f"{option}: {error.why}") from error


F = TypeVar("F", bound=Callable[..., None])


def with_filter_options(verb: F) -> F:
    """Gives ``verb`` one option for each key of Filter, repeatable where several values make sense."""
    signature = inspect.signature(verb, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = []
    for key in fields(Filter):
        several = isinstance(key.default, tuple)
        name = f"--{key.name.replace('_', '-')}"
        option = typer.Option(name, metavar="VALUE", help=FILTER_HELP[key.name], rich_help_panel="Filter")
        annotation = Annotated[list[str] | None if several else str | None, option]  # type: ignore[valid-type]
        options.append(inspect.Parameter(key.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))
    verb.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return verb
