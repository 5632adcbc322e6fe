"""The pages of the site: what each one tells, and its HTML. Pure: the same input gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from aggregator.config import Config

SITE = Path(__file__).parent / "site"
ASSETS = ("style.css", "site.js", "icon.svg")

Site = Environment  # the templates, with what every page of one publisher knows


def load_site(config: Config, *, sample: bool) -> Site:
    """The templates in the publisher's language; ``sample`` marks all pages as made-up data."""
    site = Environment(
        loader=FileSystemLoader(SITE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    language = config.publisher.language
    site.globals.update(
        t=(lambda id, en: id) if language == "id" else (lambda id, en: en),
        language=language,
        publisher=config.publisher,
        sources=config.portal,
        sample=sample,
    )
    return site
