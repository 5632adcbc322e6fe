"""A portal's ``options`` as its family's own model: checked before any request, every mistake named with its mend."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from aggregator.config import ConfigError, Portal

Options = TypeVar("Options", bound=BaseModel)


def parse_options(model: type[Options], portal: Portal) -> Options:
    """The portal's ``options`` as ``model``. ConfigError names portal and key of each that cannot be, and why; what
    the configuration says stays out of it, for it may be a key."""
    try:
        return model.model_validate(dict(portal.options))
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_input=False)
        told = "; ".join(
            f"{'.'.join(('options', *map(str, e['loc'])))}: {_mend(e['type'], e['msg'])}" for e in mistakes
        )
        raise ConfigError(f"portal {portal.id}: {told}") from None


def _mend(kind: str, words: str) -> str:
    if kind == "extra_forbidden":
        return "unknown key; check its spelling or remove it"
    return "is missing; add it" if kind == "missing" else words.removeprefix("Value error, ")
