"""A made-up town whose purchases several sources tell of: plans, packages, open data, and the bureau's news."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from demo.messages import StandIn
from demo.newsroom import Newsroom
from demo.satudata import SatuData
from demo.sirup import MALANG, Plan, Register
from demo.spse import Portal
from demo.wordpress import Site
from demo.world import World

# Portal tables that read the sources beside the LPSE.
_TABLES = """
[[portal]]
id = "rup"
family = "sirup"
name = "SiRUP Kota Malang (rekaan)"
url = "{url}/sirup"
kinds = ["plan"]
options = {{ id_kldi = "D228", nama_kldi = "Kota Malang" }}

[[portal]]
id = "satudata"
family = "satudata"
name = "Satu Data LPSE Kota Malang (rekaan)"
url = "{url}/satudata/api/satudata"
kinds = ["tender"]
options = {{ api = "open", lpse = "LPSE Kota Malang", page = "{url}/malangkota/lelang/{{key}}/pengumumanlelang" }}

[[portal]]
id = "berita"
family = "wordpress"
name = "Berita BLP Kota Malang (rekaan)"
url = "{url}/berita"
kinds = ["news"]
"""
_CATEGORIES = {"works": "Pekerjaan Konstruksi", "services": "Jasa Lainnya", "consulting": "Jasa Konsultansi"}


class Town:
    """``world`` has the packages at its own ``now``; every other source tells of the same ones."""

    def __init__(self, now: datetime) -> None:
        self.world = World(now, hostile=False)
        self._register = Register(now, providers=6, self_managed=2)
        self._open_data = SatuData(now, [])
        self._newsroom = Newsroom(now)
        self._tell()

    @property
    def stand_ins(self) -> list[StandIn]:
        return [Portal(self.world), self._register, self._open_data, Site(self._newsroom)]

    def advance(self, *, to: datetime) -> None:
        self._newsroom.advance(to - self.world.now)
        self.world.advance(to=to)
        self._tell()

    def render_tables(self, url: str) -> str:
        """TOML that reads the other sources where they are served at ``url``."""
        return _TABLES.format(url=url)

    def _tell(self) -> None:
        """Plans of the town's own packages, and the tenders once more as open data."""
        rows = self.world.truth()
        for row in rows:
            for code in row["plans"] if row["buyer"] == MALANG.name else ():
                self._register.plans.setdefault(int(code), _make_plan(row, int(code), self.world.now))
        self._open_data.now = self.world.now
        self._open_data.packages = [row for row in rows if row["kind"] == "tender"]


def _make_plan(row: dict[str, Any], code: int, now: datetime) -> Plan:
    units = {name.casefold(): number for number, name in MALANG.units.items()}
    return Plan(
        code=code,
        body=MALANG,
        unit=units.get((row["procuring_entity"] or "").casefold(), next(iter(MALANG.units))),
        self_managed=row["kind"] == "self_managed",
        title=row["title"],
        text=row["title"],
        category=_CATEGORIES.get(row["category"], "Barang"),
        method=row["method_detail"] if row["kind"] == "tender" else "Pengadaan Langsung",
        pagu=int(float(row["budget"]["amount"])),
        year=row["fiscal_years"][0],
        month=0,
        announced=now.replace(microsecond=0),
    )
