"""The site in its editions: templates, and what every page knows. Pure: the same input gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from aggregator.config import Config
from feeds.addresses import ENGLISH
from feeds.opml import make_title
from feeds.pages.templates import Templates
from feeds.words.wording import Wording

SITE = Path(__file__).parents[1] / "site"
ASSETS = (
    "style.css",
    "site.js",
    "icon.svg",
    "embed.js",
    "embed-page.js",
    "embed.css",
    "figures.css",
    "tender.css",
    "cari.js",
    "cari-find.js",
    "cari-narrow.js",
)


@dataclass(frozen=True, slots=True)
class Site:
    """One edition of the site: its templates, and what every page knows.

    ``config`` is in the edition's language. ``prefix`` is the folder of the edition: empty for the publisher's own
    language. ``twin`` is the folder of the edition in the other language, None where there is none.
    """

    config: Config
    templates: Environment
    prefix: str = ""
    twin: str | None = None

    def render(self, template: str, path: str, **values: Any) -> bytes:
        """The page at ``path``, told from the top of the edition."""
        return self._render(template, "../" * path.count("/"), path, **values)

    def render_anywhere(self, template: str, root: str, **values: Any) -> bytes:
        """A page for any address; ``root`` leads from there to the top of the edition: ``../`` for every step."""
        return self._render(template, root, None, **values)

    def _render(self, template: str, root: str, path: str | None, **values: Any) -> bytes:
        top = root + "../" * self.prefix.count("/")
        twin = None if self.twin is None or path is None else f"{top}{self.twin}{path}"
        base = self.config.publisher.url
        page = self.templates.get_template(template).render(
            root=root,
            top=top,
            twin=twin,
            address=None if path is None else f"{base}{self.prefix}{path}",
            twin_address=None if twin is None else f"{base}{self.twin}{path}",
            **values,
        )
        return page.encode("utf-8", "replace")


def load_sites(config: Config, *, sample: bool) -> list[Site]:
    """The editions to publish: the publisher's own language first, then English where ``publish.english`` asks for it.

    ``sample`` marks all pages as made-up data.
    """
    own = load_site(config, sample=sample)
    if not config.publish.english or config.publisher.language == "en":
        return [own]
    publisher = config.publisher.model_copy(update={"language": "en"})
    english = load_site(config.model_copy(update={"publisher": publisher}), sample=sample)
    return [replace(own, twin=ENGLISH), replace(english, prefix=ENGLISH, twin="")]


def load_site(config: Config, *, sample: bool) -> Site:
    """The templates in the publisher's language; ``sample`` marks all pages as made-up data."""
    publisher = config.publisher
    is_indonesian = publisher.language == "id"
    templates = Templates(
        0 if is_indonesian else 1,
        loader=FileSystemLoader(SITE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters["number"] = lambda number: format_decimal(number, locale=publisher.language)
    templates.globals.update(
        t=lambda indonesian, english: indonesian if is_indonesian else english,
        wording=Wording(publisher.language, ZoneInfo(publisher.timezone)),
        format_day=lambda day, pattern: format_date(day, pattern, locale=publisher.language),
        publisher=publisher,
        site_title=make_title(publisher),
        sample=sample,
    )
    return Site(config, templates)


def render_error(site: Site, status: int, root: str, told: str = "") -> bytes:
    """What is shown for an HTTP ``status`` of 400 or more; ``told`` says what was wrong with a search."""
    return site.render_anywhere("error.html", root, status=status, told=told, portals=site.config.portal, discover=())
