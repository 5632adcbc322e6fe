"""Every family's stand-in, small, with the portal that reads it: for tests of all and for `python -m demo --all`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from demo.blacklist import Blacklist
from demo.messages import StandIn
from demo.newsroom import Newsroom
from demo.ocds import Publisher
from demo.prozorro import Prozorro
from demo.satudata import SatuData
from demo.sirup import Register
from demo.spse import Portal
from demo.syndication import Feeds
from demo.ted import Ted
from demo.wordpress import Site
from demo.world import World
from demo.worldbank import WorldBank

SIZE = 6  # enough for every list to have some rows, few enough to be read at once


@dataclass(frozen=True, slots=True)
class Drift:
    """A fault (of the stand-in's FAULTS) in addresses that ``match``."""

    fault: str
    match: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One family: ``make`` gives its stand-in at a time and of a size, ``table`` is a [[portal]] table that reads it.

    Of size 0 the source has nothing to tell. ``{url}`` in the table stands for the stand-in's address. ``drift``
    makes the source answer in another shape.
    """

    make: Callable[[datetime, int], StandIn]
    table: str
    drift: Drift


def _make_spse(now: datetime, size: int) -> StandIn:
    few = size // 2
    return Portal(World(now, tenders=size, non_tenders=size, recorded=few, self_managed=few, emergencies=few))


def _make_satudata(now: datetime, size: int) -> StandIn:
    made = SatuData(now, tenders=size, plans=size)
    del made.blacklist[size:]
    return made


EXAMPLES: Mapping[str, Example] = {
    "spse": Example(
        _make_spse,
        """\
[[portal]]
id = "malangkota"
family = "spse"
name = "LPSE Kota Malang"
url = "{url}"
kinds = ["tender", "non_tender", "recorded", "self_managed", "emergency"]
years = ["current", "previous"]
""",
        drift=Drift("odd_row", r"/dt/"),
    ),
    "sirup": Example(
        lambda now, size: Register(now, providers=size, self_managed=size // 2),
        """\
[[portal]]
id = "rup-malang"
family = "sirup"
name = "SiRUP Kota Malang"
url = "{url}"
kinds = ["plan"]
every = "24h"
options = { id_kldi = "D228", nama_kldi = "Kota Malang" }
""",
        drift=Drift("odd_row", r"datarup"),
    ),
    "satudata": Example(
        _make_satudata,
        """\
[[portal]]
id = "satudata-malang"
family = "satudata"
name = "Satu Data: LPSE Kota Malang"
url = "{url}/api/satudata"
kinds = ["tender", "notice"]
every = "6h"
options = { api = "open", lpse = "LPSE Kota Malang", klpd = "Kota Malang" }
""",
        drift=Drift("drifted", r"TenderUmum"),
    ),
    "blacklist": Example(
        lambda now, size: Blacklist(now, size),
        """\
[[portal]]
id = "daftar-hitam"
family = "blacklist"
name = "Daftar Hitam Nasional"
url = "{url}/"
kinds = ["notice"]
every = "24h"
options = { stale_after = "60d" }
""",
        drift=Drift("drifted", r"daftarhitam"),
    ),
    "wordpress": Example(
        lambda now, size: Site(Newsroom(now, size)),
        """\
[[portal]]
id = "berita-blp"
family = "wordpress"
name = "Berita BLP Kota Malang"
url = "{url}"
kinds = ["news"]
every = "1h"
options = { since = "2026-01-01", stale_after = "60d" }
""",
        drift=Drift("drifted", r"wp-json"),
    ),
    "syndication": Example(
        lambda now, size: Feeds(Newsroom(now, size)),
        """\
[[portal]]
id = "umpan-blp"
family = "syndication"
name = "Umpan BLP Kota Malang"
url = "{url}/rss.xml"
kinds = ["news"]
every = "1h"
options = { stale_after = "60d" }
""",
        drift=Drift("drifted", r"xml"),
    ),
    "worldbank": Example(
        lambda now, size: WorldBank(now, size),
        """\
[[portal]]
id = "worldbank"
family = "worldbank"
name = "World Bank: Indonesia"
url = "{url}"
kinds = ["notice"]
every = "6h"
options = { country = "Indonesia", stale_after = "60d" }
""",
        drift=Drift("drifted", r"procnotices"),
    ),
    "ocds": Example(
        lambda now, size: Publisher(now, size),
        """\
[[portal]]
id = "find-a-tender"
family = "ocds"
name = "Find a Tender (United Kingdom)"
url = "{url}/api/1.0/ocdsReleasePackages"
timezone = "Europe/London"
kinds = ["tender"]
every = "1h"
options = { paging = "windows", query = { limit = 20 }, since = "4d" }
""",
        drift=Drift("drifted", r"ocdsReleasePackages"),
    ),
    "prozorro": Example(
        lambda now, size: Prozorro(now, size),
        """\
[[portal]]
id = "prozorro"
family = "prozorro"
name = "Prozorro"
url = "{url}"
timezone = "Europe/Kyiv"
kinds = ["tender"]
options = { days = 7 }
""",
        drift=Drift("drifted", r"tenders\?"),
    ),
    "ted": Example(
        lambda now, size: Ted(now, size),
        """\
[[portal]]
id = "ted"
family = "ted"
name = "TED: Indonesia"
url = "{url}/v3"
timezone = "Europe/Brussels"
kinds = ["notice"]
every = "6h"
options = { query = "place-of-performance IN (IDN)", stale_after = "90d" }
""",
        drift=Drift("drifted", r"search"),
    ),
}

_HEAD = """\
[publisher]
name = "BLP Kota Malang"
url = "http://127.0.0.1/umpan/"
authority = "blp.example.go.id"
since = "2026-01-01"
place = "Kota Malang"

[crawl]
delay = 0.0                                   # stand-ins on this machine need no rest

"""


def make_stand_ins(now: datetime, size: int = SIZE) -> dict[str, StandIn]:
    """A new stand-in of each family, by family; each has a prefix of its own, so that one server serves them all."""
    return {family: example.make(now, size) for family, example in EXAMPLES.items()}


def render_table(family: str, url: str) -> str:
    """The family's [[portal]] table, leading to the stand-in at ``url`` (its prefix included)."""
    return EXAMPLES[family].table.replace("{url}", url)


def render_config(server_url: str, stand_ins: Mapping[str, StandIn]) -> str:
    """A warta.toml with a portal for each stand-in, by family, that stands at ``server_url``."""
    return _HEAD + "\n".join(
        render_table(family, server_url + stand_in.prefix) for family, stand_in in stand_ins.items()
    )
