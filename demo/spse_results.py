"""Participants, evaluation, winner, contract, and the realisations of the small kinds. Pure: facts to bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from html import escape

from demo.names import Place
from demo.packages import (
    RECORDED,
    SELF_MANAGED,
    TENDER,
    Bidder,
    Package,
    Realisation,
    bidders,
    contracts,
    finishes,
    is_awarded,
    participants,
    realisations,
    winners,
)
from demo.spse_frame import render_date, render_label, render_rupiah, render_tab

# Participants, evaluation, winner, contract --------------------------------------------------------------


def render_participants(place: Place, package: Package, now: datetime) -> bytes:
    """Peserta 1…n before the award; names and prices after it."""
    if not is_awarded(package, now):
        names = (f"<td>Peserta {n + 1}</td>" for n in range(participants(package, now)))
        return render_tab(place, package, now, "participants", _numbered(("Nama Peserta",), names))
    heads = ("Nama Peserta", "NPWP", "Harga Penawaran", "Harga Terkoreksi")
    rows = (
        f"<td>{b.name}</td><td>{b.npwp}</td><td>{render_rupiah(b.bid)}</td><td>{render_rupiah(b.corrected)}</td>"
        for b in bidders(package)
    )
    return render_tab(place, package, now, "participants", _numbered(heads, rows))


_EVALUATION = ("Nama Peserta", *"KBATH", "SK", "SB", "ST", "P", "PT", "HN", "SH", "SA", "P", "PK", "Alasan")


def render_evaluation(place: Place, package: Package, now: datetime) -> bytes:
    """Marks and scores; the head P stands twice: bid, then winner."""
    named = {w.name for w in winners(package, now)}
    rows = (_evaluation_row(package, bidder, bidder.name in named) for bidder in bidders(package))
    return render_tab(place, package, now, "evaluation", _numbered(_EVALUATION, rows))


def _evaluation_row(package: Package, bidder: Bidder, won: bool) -> str:
    yes, no, none = (f'<i class="fa fa-{icon}"></i>' for icon in ("check", "close", "minus"))
    star = '<img src="/public/images/star.gif"/>' if won else none
    technical = yes if bidder.passed else no
    cells = [
        bidder.name,
        yes,
        none,
        yes,
        technical,
        yes if bidder.passed else none,
        "0.0",
        "0.0",
        f"{70 + package.seed % 30}.5" if bidder.passed else "0.0",
        render_rupiah(bidder.bid),
        render_rupiah(bidder.corrected),
        render_rupiah(bidder.negotiated),
        "0.0",
        "0.0",
        star,
        star,
        "" if bidder.passed else "Tidak memenuhi persyaratan teknis",
    ]
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _numbered(heads: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{words}</th>" for words in ("No", *heads))
    body = "".join(f"    <tr><td>{number}</td>{cells}</tr>\n" for number, cells in enumerate(rows, start=1))
    return f'<table class="table table-sm">\n    <tr>{head}</tr>\n{body}</table>\n'


def render_winner(place: Place, package: Package, now: datetime) -> bytes:
    """The winner; a head without rows where none is named."""
    last = "Harga Negosiasi" if package.kind == TENDER else "Hasil Negosiasi"
    rows = [(w, (w.bid, w.corrected, w.negotiated)) for w in winners(package, now)]
    content = _winner_table(place, package, ("Harga Penawaran", "Harga Terkoreksi", last), rows)
    return render_tab(place, package, now, "winner", content)


def render_contracted(place: Place, package: Package, now: datetime) -> bytes:
    """The contract; a head without rows where none is made yet."""
    signed = dict(contracts(package, now))
    rows = [
        (w, (signed[w.name], signed[w.name] * 9 / 10, Decimal(0))) for w in winners(package, now) if w.name in signed
    ]
    content = _winner_table(place, package, ("Harga Kontrak", "Nilai PDN", "Nilai UMK"), rows)
    return render_tab(place, package, now, "contracted", content)


def _winner_table(
    place: Place, package: Package, heads: Sequence[str], rows: Sequence[tuple[Bidder, Sequence[Decimal | None]]]
) -> str:
    noun = "Tender" if package.kind == TENDER else "Non Tender"
    labels = {
        f"Nama {noun}": escape(package.title),
        "Jenis Pengadaan": package.category,
        "K/L/PD/Instansi Lainnya": escape(package.buyer),
        "Satuan Kerja": escape(package.unit),
        "Pagu": render_rupiah(package.budget),
        "HPS": render_rupiah(package.value),
    }
    facts = "".join(
        f'    <tr>\n        <th class="bgwarning">{label}</th>\n        <td>{value}</td>\n    </tr>\n'
        for label, value in labels.items()
    )
    head = "".join(f"\n                    <th>{words}</th>" for words in heads)
    body = "".join(
        f"""
              <tr>
                  <td>{bidder.name}</td>
                  <td> <strong>{bidder.address}</strong> - {place.town}</td>
                  <td>
 {bidder.npwp}
</td>{"".join(f"<td> {render_rupiah(amount)} </td>" for amount in amounts)}
              </tr>"""
        for bidder, amounts in rows
    )
    return f"""    <table class="table table-sm">
{facts}    <tr>
        <td colspan="2">
            <table class="table table-sm">
                <tr>
                    <th>Nama Pemenang</th>
                    <th>Alamat</th>
                    <th width="15%">NPWP</th>{head}
                </tr>{body}
            </table>
        </td>
    </tr>
    </table>
"""


# Realisations of the three small kinds -------------------------------------------------------------------


def render_realised(place: Place, package: Package, now: datetime) -> bytes:
    """Pemenang Berkontrak or Pelaksana Swakelola, in the broken markup that the portal sends: rows in a div."""
    rows = realisations(package, now)
    labels = "".join(render_label(label, value, span=4) for label, value in _realised_labels(package, rows))
    payments = "".join(_payment(number, row, package) for number, row in enumerate(rows, start=1))
    content = f"""    <table class="table table-sm">
{labels}    </table>

    <tr>
        <td colspan="2">
            <div class="bs-callout bs-callout-info"><strong>Realisasi</strong></div>
            <table class="table table-sm">
                <tr>
                    <th width="30">No.</th>
                    <th>Jenis Realisasi</th>
                    <th>Nilai Realisasi</th>
                    <th>Tanggal Realisasi</th>
                </tr>
{payments}            </table>
        </td>
    </tr>
"""
    return render_tab(place, package, now, "realised", content)


def _realised_labels(package: Package, rows: Sequence[Realisation]) -> Iterable[tuple[str, str]]:
    own = package.kind == SELF_MANAGED
    total = sum((row.amount for row in rows), Decimal(0))
    yield "Nama Paket", escape(package.title)
    yield "Tipe Pelaksana" if own else "Metode Pengadaan", f"{package.method} "
    yield "K/L/PD" if own else "K/L/PD/Instansi Lainnya", escape(package.buyer)
    yield "Satuan Kerja", escape(package.unit)
    yield "Nilai Pagu Paket", render_rupiah(package.budget)
    yield "Nilai Total Realisasi", render_rupiah(total)
    if not own:
        yield "Nilai PDN", render_rupiah(total) if package.kind == RECORDED else ""
        yield "Nilai UMK", render_rupiah(Decimal(0)) if package.kind == RECORDED else ""
    yield "Tanggal Paket Selesai", render_date(finishes(package))


def _payment(number: int, row: Realisation, package: Package) -> str:
    return f"""                <tr>
                    <td align="center">{number}</td>
                    <td>
{row.title}
                    </td>
                    <td>{render_rupiah(row.amount)}</td>
                    <td>{row.date:%d-%m-%Y}</td>
                    <tr>
                        <td></td>
                        <td colspan="3">
{_suppliers(row, package)}                        </td>
                    </tr>
                </tr>
"""


def _suppliers(row: Realisation, package: Package) -> str:
    """The nested table, with an e-mail and a telephone that nobody may keep."""
    if not row.suppliers:
        return ""
    noun = "Pelaksana" if package.kind == SELF_MANAGED else "Penyedia"
    heads = "".join(f"<th>{words}</th>" for words in (f"Nama {noun}", "NPWP", "Email", "Telp", "Alamat"))
    rows = "".join(
        f"""                                    <tr>
                                        <td>{number}</td>
                                        <td>{escape(name)}</td>
                                        <td>

</td>
                                        <td>rahasia{number}@contoh.invalid</td>
                                        <td>0341-0000{number:02d}</td>
                                        <td>Jl. Contoh Rekaan</td>
                                    </tr>
"""
        for number, name in enumerate(row.suppliers, start=1)
    )
    return f"""                            <table class="table table-sm table-bordered">
                                <thead>
                                <tr><th width="5">No</th>{heads}</tr>
                                </thead>
                                <tbody>
{rows}                                </tbody>
                            </table>
"""
