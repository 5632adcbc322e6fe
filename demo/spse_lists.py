"""The front of an SPSE portal: home page, list pages with their token, and the DataTables answers. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from html import escape

from demo.names import CATEGORIES, INTEGRATED, Place
from demo.packages import (
    ANNOUNCEMENTS,
    EMERGENCY,
    NON_TENDER,
    RECORDED,
    ROUTES,
    SELF_MANAGED,
    TENDER,
    Package,
    contracts,
    purchase_status,
    registration_closes,
    stage,
)
from demo.spse_frame import render_badges, render_page, render_rupiah, render_time

Cells = list[str | None]

MAX_INT = 2_147_483_647
UNSIGNED = "Nilai Kontrak belum dibuat"
LISTS = {  # kind → page and endpoint below the portal
    TENDER: ("lelang", "dt/lelang"),
    NON_TENDER: ("nontender", "dt/pl"),
    RECORDED: ("pencatatan", "dt/nonspk"),
    SELF_MANAGED: ("swakelola", "dt/swakelola"),
    EMERGENCY: ("darurat", "dt/darurat-list"),
}

# Home page -----------------------------------------------------------------------------------------------

_HOME_CATEGORIES = (*CATEGORIES.values(), INTEGRATED)


def render_home(place: Place, now: datetime, tenders: Sequence[Package], non_tenders: Sequence[Package]) -> bytes:
    """What is open now, by category: exact HPS and the end of registration."""
    main = f"""
<div class="content">
<h2>Selamat datang di {escape(place.lpse)} (tiruan)</h2>
<h4>Tender</h4>
{_home_table("table table-sm", "", place, tenders)}
<h4>Non Tender</h4>
{_home_table("table table-sm pl", "_pl", place, non_tenders)}
</div>
"""
    return render_page(place, now, escape(place.lpse), main)


def _home_table(classes: str, suffix: str, place: Place, packages: Sequence[Package]) -> str:
    parts = []
    for category in _HOME_CATEGORIES:
        within = [p for p in packages if p.category == category]
        parts.append(
            f'    <tr><td colspan="4" style="background-color: #ffffff"><a href="#"><b>{category}</b></a>'
            f'<span class="badge badge-secondary float-right">{len(within)}</span></td></tr>\n'
        )
        row_class = category.replace(" ", "_") + suffix
        parts += [_home_row(place, row_class, number, p) for number, p in enumerate(within, start=1)]
    return f"""<table class="{classes}">
    <thead>
    <tr><th width="5%">No</th><th scope="col">Nama Paket</th><th class="center" scope="col">HPS</th>
        <th class="center" width="170">Akhir Pendaftaran</th></tr>
    </thead>
    <tbody>
{"".join(parts)}    </tbody>
</table>"""


def _home_row(place: Place, row_class: str, number: int, package: Package) -> str:
    closes = registration_closes(package)
    address = f"/{place.slug}/{ANNOUNCEMENTS[package.kind].format(package.key)}"
    return f"""    <tr class="{row_class}" style="background-color: #f5f6f9">
        <td style="text-align: center;">{number}</td>
        <td><a href="{address}" target="_blank">{escape(package.title)}</a>&nbsp;
            <span class="badge badge-info">spse 4.5</span> <span class="badge  badge-info">{package.method}</span>
            {render_badges(package)}</td>
        <td class="table-hps"> {render_rupiah(package.value)} </td>
        <td class="center">{render_time(closes) if closes else ""}</td>
    </tr>
"""


# List pages ----------------------------------------------------------------------------------------------


def render_list_page(place: Place, now: datetime, kind: str, token: str, buyers: Sequence[str]) -> bytes:
    """The page whose script fills the list; ``token`` stands in it, as it does in the cookie."""
    page, endpoint = LISTS[kind]
    years = "".join(f'<option value="{year}">{year}</option>' for year in range(now.year, now.year - 6, -1))
    kinds = "".join(f'<option value="{number}">{words}</option>' for number, words in CATEGORIES.items())
    names = "".join(f'<option value="{n}">{escape(buyer)}</option>' for n, buyer in enumerate(buyers, start=1))
    main = f"""
<div class="content">
    <select name="tahun" id="tahun"><option value="">Semua</option>{years}</select>
    <select name="kategoriId" id="kategoriId"><option value="">Semua</option>{kinds}</select>
    <select name="instansiId" id="instansiId"><option value="">Semua</option>{names}</select>
    <table class="table table-sm" id="tbl{page}">
        <thead>
        <tr><th>Kode</th><th>Nama Paket</th><th>K/L/PD/Instansi Lainnya</th><th>Tahap</th><th>HPS</th></tr>
        </thead>
    </table>
</div>
"""
    script = f"""
    <script type="text/javascript">
        var table = $('#tbl{page}').DataTable({{
            serverSide: true,
            ajax: {{
                url: "/{place.slug}/{endpoint}?kategoriId=&rekanan=&tahun={now.year}&instansiId=",
                type: 'POST',
                data: function (d) {{
                    d.authenticityToken = '{token}';
                }}
            }}
        }});
    </script>"""
    return render_page(place, now, "Cari Paket", main, script=script)


# Rows ----------------------------------------------------------------------------------------------------


_UNITS = (("T", 10**12, 10**12), ("M", 10**9, 10**9), ("Jt", 10**6, 10**5), ("Rb", 10**3, 0))  # name, size, from


def short_amount(amount: Decimal) -> str:
    """An amount as lists round it: ``22,7 M``, ``750,9 Jt``, ``1.000 Jt``, ``0,6 Jt``; T, M, Jt, Rb."""
    unit, size = next((unit for unit in _UNITS if amount >= unit[2]), _UNITS[-1])[:2]
    tenths = int((amount * 10 / size).quantize(Decimal(1), ROUND_HALF_UP))
    whole = f"{tenths // 10:,}".replace(",", ".")
    return f"{whole},{tenths % 10} {unit}" if tenths % 10 else f"{whole} {unit}"


def render_row(package: Package, now: datetime) -> Cells:
    """The cells of a package in its kind's list."""
    return _ROWS[package.kind](package, now)


def _tender_row(package: Package, now: datetime) -> Cells:
    route = ROUTES.get(package.route)
    return [
        *_first_cells(package, stage(package, now)),
        route.qualification if route else "Pascakualifikasi Satu File",
        package.method,
        route.evaluation if route else "Harga Terendah Sistem Gugur",
        _category(package),
        "5",
        _signed(package, now),
        "1" if package.seed % 25 == 0 else None,
        None,
        "0",
        "0",
        None,
    ]


def _non_tender_row(package: Package, now: datetime) -> Cells:
    flag = None if package.seed % 25 == 0 else "1"
    return [
        *_first_cells(package, stage(package, now)),
        package.method,
        _category(package),
        "5",
        _signed(package, now),
        flag,
        "0",
        "0" if flag else None,
    ]


def _first_cells(package: Package, told: str) -> Cells:
    name = escape(package.title)
    marks = render_badges(package)
    amount = package.budget if package.value is None else package.value
    return [package.key, f"{name} {marks}" if marks else name, package.buyer, told, short_amount(amount)]


def _recorded_row(package: Package, now: datetime) -> Cells:
    key, name, buyer, status, budget = _first_cells(package, purchase_status(package, now))
    return [key, name, buyer, budget, package.method, package.category, str(package.years[0]), "5", status]


def _self_managed_row(package: Package, now: datetime) -> Cells:
    key, name, buyer, status, budget = _first_cells(package, purchase_status(package, now))
    return [key, name, buyer, budget, "5", str(package.years[0]), "5", status]


def _emergency_row(package: Package, now: datetime) -> Cells:
    key, name, buyer, status, budget = _first_cells(package, purchase_status(package, now))
    return [key, name, buyer, budget, str(package.years[0]), "5", package.category, status]


_ROWS: Mapping[str, Callable[[Package, datetime], Cells]] = {
    TENDER: _tender_row,
    NON_TENDER: _non_tender_row,
    RECORDED: _recorded_row,
    SELF_MANAGED: _self_managed_row,
    EMERGENCY: _emergency_row,
}


def _category(package: Package) -> str:
    return f"{package.category} - TA {','.join(map(str, package.years))}"


def _signed(package: Package, now: datetime) -> str:
    amounts = [amount for _, amount in contracts(package, now)]
    return render_rupiah(sum(amounts, Decimal(0))) if amounts else UNSIGNED


# Answers -------------------------------------------------------------------------------------------------


def select(packages: Iterable[Package], form: Mapping[str, str], buyers: Sequence[str]) -> list[Package]:
    """What ``tahun``, ``kategoriId``, ``instansiId`` and ``search[value]`` leave; for an unknown value, nothing."""
    found = list(packages)
    if year := form.get("tahun"):
        found = [p for p in found if year in map(str, p.years)]
    if category := form.get("kategoriId"):
        found = [p for p in found if p.category == CATEGORIES.get(category)]
    if buyer := form.get("instansiId"):
        names = {str(n): name for n, name in enumerate(buyers, start=1)}
        found = [p for p in found if p.buyer == names.get(buyer)]
    if words := form.get("search[value]", "").lower():
        found = [p for p in found if words in p.title.lower()]
    return found


def arrange(packages: list[Package], form: Mapping[str, str], now: datetime, turn: int) -> list[Package]:
    """Ordered as asked, column 0 as a number. Without an order: newest first, ties falling otherwise each ``turn``."""
    column, down = form.get("order[0][column]", ""), form.get("order[0][dir]") == "desc"
    if column == "0":
        return sorted(packages, key=lambda p: int(p.key), reverse=down)
    if column.isdigit():
        number = int(column)
        return sorted(packages, key=lambda p: _cell(render_row(p, now), number), reverse=down)
    return sorted(packages, key=lambda p: (p.created, hash((p.seed, turn))), reverse=True)


def _cell(cells: Cells, number: int) -> str:
    return (cells[number] or "") if number < len(cells) else ""


def render_answer(draw: str, rows: Sequence[Cells]) -> bytes:
    """The JSON of one page: totals are always MAX_INT, ``draw`` is a string, HTML signs are escaped as Gson does."""
    answer = {"draw": draw, "recordsTotal": MAX_INT, "recordsFiltered": MAX_INT, "data": rows}
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_GSON).encode()


_GSON = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&='"}
