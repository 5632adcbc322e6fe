"""MasterLPSE and MasterKLPD: the numbers of LPSE and bodies by their names, and portals written out of them. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aggregator.config import ConfigError
from spiders.reading import ShapeError
from spiders.satudata.rows import Cells, parse_array

NEAR = 5  # names told when none is right

_CODE = re.compile(r"[A-Za-z]{0,4}\d{1,8}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a master: an LPSE with its number, or a body with its code."""

    code: str
    name: str


def parse_master(body: bytes, what: str) -> tuple[Entry, ...]:
    """``what`` is lpse or klpd. ShapeError when it is no array of them, or has none at all."""
    rows = [Cells(row, f"Master{what.upper()}", (f"kd_{what}", f"nama_{what}")) for row in parse_array(body)]
    entries = [Entry(cells.title(f"kd_{what}"), cells.title(f"nama_{what}")) for cells in rows]
    for entry in entries:
        if not _CODE.fullmatch(entry.code):  # it becomes part of an address
            raise ShapeError(f"Master{what.upper()}: a kd_{what} that is none", entry.code)
    if not entries:
        raise ShapeError(f"Master{what.upper()} is empty, so no name can be found in it", body)
    return tuple(entries)


def fold_name(name: str) -> str:
    """Case and spaces do not count."""
    return "".join(name.casefold().split())


def find_code(entries: Sequence[Entry], name: str, what: str) -> str:
    """The code of the one entry with this name. ConfigError, for whoever wrote the name, when there is not just one."""
    found = [entry for entry in entries if fold_name(entry.name) == fold_name(name)]
    if len(found) == 1:
        return found[0].code
    if found:
        codes = ", ".join(entry.code for entry in found)
        words = f"by its number, one of {codes}" if what == "kd_lpse" else f"by its code, one of {codes}"
        raise ConfigError(f"{len(found)} are called {name!r}; name it {words} ({what})")
    near = ", ".join(f"{entry.name!r} ({entry.code})" for entry in find_near(entries, name))
    raise ConfigError(f"none is called {name!r}; near: {near or 'none'}")


def find_near(entries: Sequence[Entry], name: str) -> list[Entry]:
    """At most NEAR entries whose names are like ``name``, the nearest first."""
    by_name: dict[str, Entry] = {}
    for entry in entries:
        by_name.setdefault(fold_name(entry.name), entry)
    holding = [key for key, entry in by_name.items() if _holds(entry.name, name)]
    like = difflib.get_close_matches(fold_name(name), by_name, NEAR, 0.6)
    return [by_name[key] for key in dict.fromkeys((*like, *holding))][:NEAR]


def find_named(entries: Sequence[Entry], words: str) -> list[Entry]:
    """Entries whose names hold all of the ``words``, by name."""
    found = [entry for entry in entries if _holds(entry.name, words)]
    return sorted(found, key=lambda entry: (entry.name.casefold(), entry.code.zfill(12)))


def _holds(name: str, words: str) -> bool:
    return bool(words.split()) and all(word in name.casefold() for word in words.casefold().split())


# Portals ---------------------------------------------------------------------------------------------

_PROVINCES = {
    "jawa barat": "jabar",
    "jawa tengah": "jateng",
    "jawa timur": "jatim",
    "kalimantan barat": "kalbar",
    "kalimantan selatan": "kalsel",
    "kalimantan tengah": "kalteng",
    "kalimantan timur": "kaltim",
    "kalimantan utara": "kaltara",
    "nusa tenggara barat": "ntb",
    "nusa tenggara timur": "ntt",
    "sulawesi barat": "sulbar",
    "sulawesi selatan": "sulsel",
    "sulawesi tengah": "sulteng",
    "sulawesi tenggara": "sultra",
    "sulawesi utara": "sulut",
    "sumatera barat": "sumbar",
    "sumatera selatan": "sumsel",
    "sumatera utara": "sumut",
}
_KNOWN = {  # slugs that no rule makes (SOURCES section 1.1)
    "kota surabaya": "surabaya",
    "kementerian kesehatan": "kemkes",
    "kementerian agama": "kemenag",
    "kementerian pekerjaan umum": "pu",
}
_ENDINGS = {"kota": "kota", "kabupaten": "kab", "kab.": "kab", "kab": "kab", "provinsi": "prov", "propinsi": "prov"}


def guess_slug(name: str) -> tuple[str, bool]:
    """The LPSE's slug on spse.inaproc.id, and whether a rule made it: *LPSE Kota Malang* is malangkota.

    Of ministries and others the words are put together, which is only a beginning.
    """
    words = re.sub(r"^lpse\b", "", name.casefold()).split()
    words = [word for word in words if word not in {"pemerintah", "pemkot", "pemkab", "pemprov"}]
    if (known := _KNOWN.get(" ".join(words))) is not None:
        return known, True
    ending = _ENDINGS.get(words[0]) if words else None
    place = " ".join(words[1:] if ending else words)
    short = _PROVINCES.get(place, place) if ending == "prov" else place
    slug = re.sub(r"[^a-z0-9]", "", short)[:50] + (ending or "")
    return slug or "lpse", ending is not None


def render_portals(entries: Sequence[Entry]) -> str:
    """Ready [[portal]] tables of family spse, one an entry; each id stands once."""
    return "\n".join(_render_tables(entries))


def _render_tables(entries: Sequence[Entry]) -> Iterator[str]:
    used: set[str] = set()
    for entry in entries:
        slug, sure = guess_slug(entry.name)
        portal = slug if slug not in used else f"{slug}-{re.sub('[^a-z0-9]', '', entry.code.casefold())}"
        used.add(portal)
        hint = "" if sure else "  # a guess from the name: check the slug"
        yield (
            f'[[portal]]  # kd_lpse {entry.code} in Satu Data\nid = "{portal}"\nfamily = "spse"\n'
            f"name = {json.dumps(entry.name, ensure_ascii=False)}\n"
            f'url = "https://spse.inaproc.id/{slug}"{hint}\n'
            'kinds = ["tender", "non_tender"]\nevery = "6h"\n'
        )
