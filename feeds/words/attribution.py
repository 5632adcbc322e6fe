"""What the licence of a source asks readers to be told, worded as the licence words it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from aggregator.config import Portal
from aggregator.models import Kind
from feeds.words.wording import Language, Wording


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence by its name and the address of its text."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Attribution:
    """``text`` names the source, in the licence's own ``language`` whatever the publisher's."""

    text: str
    licence: Licence | None = None
    language: Language = "en"

    @property
    def markup(self) -> str:
        """As HTML, the licence a link."""
        told = f'<span lang="{self.language}">{escape(self.text)}</span>'
        if self.licence is None:
            return told
        return f'{told} <a href="{escape(self.licence.url)}">{escape(self.licence.name)}</a>.'


CC_BY = Licence("CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/")
CC_BY_NC_SA = Licence("CC BY-NC-SA 4.0", "https://creativecommons.org/licenses/by-nc-sa/4.0/")
OGL = Licence(
    "Open Government Licence v3.0", "https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/"
)


def find_attribution(portal: Portal, kinds: Collection[Kind], read: datetime) -> Attribution | None:
    """What ``portal`` asks for where these ``kinds`` of its tenders (none named: all of them) are shown as they were
    read at ``read``; None where it asks for nothing."""
    find = _FAMILIES.get(portal.family)
    return find(portal, kinds, read) if find else None


def _attribute_satudata(portal: Portal, kinds: Collection[Kind], read: datetime) -> Attribution | None:
    """LKPP's own words, for Satu Data eProc: «({API} dan {tanggal})». The gateway is another service."""
    names = list(dict.fromkeys(name for kind, name in _find_services(portal.options) if not kinds or kind in kinds))
    if not names:
        return None
    date = Wording("id", portal.zone).date(read)
    text = f"Layanan ini menggunakan API Satu Data eProc ({', '.join(names)} dan {date})."
    # The services with a key are given out under an agreement, not under the licence of the open ones.
    return Attribution(text, CC_BY_NC_SA if portal.options.get("api") == "open" else None, "id")


def _find_services(options: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    if options.get("api") == "open":
        if options.get("lpse") or options.get("kd_lpse"):
            yield Kind.TENDER, "TenderUmumPublik"
        if options.get("klpd"):
            yield Kind.NOTICE, "SanksiDaftarHitam"
    if options.get("api") == "isb":
        for table in (options, *options.get("also", ())):
            name = str(table["service"])
            yield Kind.PLAN if name.startswith("RUP-") else Kind.TENDER, name


def _attribute_worldbank(portal: Portal, kinds: Collection[Kind], read: datetime) -> Attribution:
    return Attribution("© The World Bank,", CC_BY)


def _attribute_ocds(portal: Portal, kinds: Collection[Kind], read: datetime) -> Attribution | None:
    """Each publisher has its own licence, so the configuration tells it (an SPDX identifier)."""
    return _LICENSED.get(str(portal.options.get("licence")))


_LICENSED: Mapping[str, Attribution] = {
    "OGL-UK-3.0": Attribution("Contains public sector information licensed under the", OGL),
}
_FAMILIES: Mapping[str, Callable[[Portal, Collection[Kind], datetime], Attribution | None]] = {
    "satudata": _attribute_satudata,
    "worldbank": _attribute_worldbank,
    "ocds": _attribute_ocds,
}
