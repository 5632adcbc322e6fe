"""Announcements of all five kinds, and the schedule with its history. Pure: facts to bytes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha1
from html import escape

from demo.names import Place
from demo.packages import (
    BIDDING_KINDS,
    EMERGENCY,
    SELF_MANAGED,
    TENDER,
    Milestone,
    Package,
    document,
    milestones,
    participants,
    stage,
)
from demo.spse_frame import (
    render_badges,
    render_date,
    render_label,
    render_page,
    render_rupiah,
    render_tab,
    render_time,
)

# Announcements -------------------------------------------------------------------------------------------


def render_announcement(place: Place, package: Package, now: datetime, session: str) -> bytes:
    """The announcement of any kind; ``session`` makes the document's address differ, as it does there."""
    rows = _bidding_labels(place, package, now, session) if package.kind in BIDDING_KINDS else _purchase_labels(package)
    table = f'    <table class="table table-sm table-bordered">\n{"".join(rows)}    </table>\n'
    return render_tab(place, package, now, "announcement", table)


def _bidding_labels(place: Place, package: Package, now: datetime, session: str) -> Iterable[str]:
    tender = package.kind == TENDER
    noun, kind = ("Tender", "Tender") if tender else ("Paket", "Non Tender")
    page = "lelang" if tender else "nontender"
    name = f"<strong>{escape(package.title)}</strong>"
    marks = render_badges(package) if tender else ""
    yield render_label(f"Kode {noun}", f"<strong>{package.key}</strong>", more=' width="200"')
    yield render_label(f"Nama {noun}", f"{name} {marks}" if marks else name)
    yield render_label("Rencana Umum Pengadaan", _plan_table(package))
    if file := document(package):
        yield render_label("Uraian Singkat Pekerjaan", _download(place, package, file, session))
    yield render_label("Tanggal Pembuatan", render_date(package.created))
    where = f'<a href="/{place.slug}/{page}/{package.key}/jadwal" target="_blank">{stage(package, now)}</a>'
    yield render_label(f"Tahap {noun} Saat Ini", where if package.route else stage(package, now))
    yield render_label("K/L/PD/Instansi Lainnya", f" {escape(package.buyer)} ")
    yield render_label("Satuan Kerja", escape(package.unit))
    yield render_label("Jenis Pengadaan", package.category)
    yield render_label("Metode Pengadaan", package.method)
    yield render_label("Khusus Orang Asli Papua (OAP)", "  Tidak ")
    yield render_label("Tahun Anggaran", _funds(package))
    yield _amounts(package)
    yield render_label("Jenis Kontrak", "Lumsum" if package.seed % 2 else "Harga Satuan", more=' width="200"')
    places = "".join(f"\n             <li>{escape(where)}</li>" for where in package.locations)
    yield render_label("Lokasi Pekerjaan", f"<ul>{places}\n           </ul>\n           ", more=' width="200"')
    if tender:
        yield render_label(
            "Kualifikasi Usaha", "Perusahaan Kecil" if package.budget < 15 * 10**9 else "Perusahaan Non Kecil"
        )
        if package.route == "prequalified":
            yield render_label("Bobot Teknis", "80.0 %")
            yield render_label("Bobot Biaya", "20.0 %")
        yield render_label("Reverse Auction?", "Tidak")
    yield render_label("Syarat Kualifikasi", _QUALIFICATION)
    yield render_label(f"Peserta {kind}", f"{participants(package, now)} peserta")
    if package.again_reason:
        yield render_label("Alasan di ulang", escape(package.again_reason))
    if package.ended_reason:
        yield render_label("Alasan Pembatalan", escape(package.ended_reason))


def _amounts(package: Package) -> str:
    """One row, two pairs of label and value."""
    return f"""        <tr>
            <th class="bgwarning" width="200">Nilai Pagu Paket</th>
            <td>{render_rupiah(package.budget)}</td>
            <th class="bgwarning" width="200">Nilai HPS Paket</th>
            <td>{render_rupiah(package.value)}</td>
        </tr>
"""


def _purchase_labels(package: Package) -> Iterable[str]:
    own = package.kind == SELF_MANAGED
    noun = "Swakelola" if own else "Paket"
    yield render_label(f"Kode {noun}", f"<strong>{package.key}</strong>", more=' width="200"')
    yield render_label(f"Nama {noun}", f"<strong>{escape(package.title)}</strong>")
    if package.plans:
        yield render_label("Rencana Umum Pengadaan", _plan_table(package))
    yield render_label("Tanggal Pembuatan", render_date(package.created))
    yield render_label("K/L/PD" if own else "K/L/PD/Instansi Lainnya", escape(package.buyer))
    yield render_label("Satuan Kerja", escape(package.unit))
    if own:
        yield render_label("Tipe Pelaksana Swakelola", package.method)
    else:
        yield render_label("Jenis Pengadaan", package.category)
        yield render_label("Metode Pengadaan", f"{package.method} ")
    years = str(package.years[0]) if package.kind == EMERGENCY else _funds(package)
    yield render_label("Tahun Anggaran", years)
    yield render_label("Nilai Pagu Paket", render_rupiah(package.budget))


def _funds(package: Package) -> str:
    """Funds and years, one for each plan, so that one year may stand there several times."""
    return "".join(f" {package.fund} {year}&nbsp;&nbsp;&nbsp;" for year in package.years for _ in package.plans)


def _plan_table(package: Package) -> str:
    rows = "".join(
        f"""
    <tr>
        <td class="text-center">{code}</td>
        <td>{escape(package.title)}</td>
        <td>{package.fund}</td>
    </tr>"""
        for code in package.plans
    )
    return f"""
<table class="table table-sm" style="margin-bottom:0.1rem">
    <tr>
        <th width="120" class="text-center">Kode RUP</th>
        <th>Nama Paket</th>
        <th width="200">Sumber Dana</th>
    </tr>{rows}
</table>
"""


def _download(place: Place, package: Package, file: str, session: str) -> str:
    name = sha1(f"{session}{package.key}".encode(), usedforsecurity=False).hexdigest()
    return f'<a href="/{place.slug}/dl/{name}" title=" "><i class="fa fa-download"></i>&nbsp;{file}</a>'


_QUALIFICATION = """<strong>Persyaratan Kualifikasi Administrasi/Legalitas</strong>
<table class="table table-sm">
    <tr>
        <th>Izin Usaha</th>
    </tr>
    <tr>
        <td>
            <table class="table table-sm">
                <tr>
                    <td>Jenis Izin</td>
                    <td>Bidang Usaha/Sub Bidang Usaha/Klasifikasi/Sub Klasifikasi</td>
                </tr>
                <tr>
                    <td>NIB</td>
                    <td>Sesuai bidang pekerjaan (rekaan)</td>
                </tr>
            </table>
        </td>
    </tr>
    <tr>
        <td>
            <div style="word-wrap: break-word;">Status wajib pajak valid;<br>
                a) Akta pendirian perusahaan;<br>
                b) Surat kuasa, bila dikuasakan.<br>
            </div>
        </td>
    </tr>
</table>
<strong>Persyaratan Kualifikasi Teknis</strong>
<table class="table table-sm">
    <tr>
        <td>Pengalaman pekerjaan sejenis dalam 3 (tiga) tahun terakhir</td>
    </tr>
</table>
"""


# Schedule ------------------------------------------------------------------------------------------------


def render_schedule(place: Place, package: Package, now: datetime) -> bytes:
    """The schedule, which is no tab."""
    folder = "jadwal" if package.kind == TENDER else "jadwalnontender"
    rows = "".join(
        f"""    <tr>
        <td >{number}</td>
        <td> {row.title}
        </td>
        <td>{render_time(row.starts)}</td>
        <td>{render_time(row.ends)}</td>
        <td> {_edits(f"/{place.slug}/{folder}/{package.key}{number:02d}/history", row)} </td>
    </tr>
"""
        for number, row in enumerate(milestones(package), start=1)
    )
    content = f"""
<div class="content">
<table class="table table-sm">
    <tr>
        <th width="20">No</th>
        <th width="400">Tahap</th>
        <th width="160">Mulai</th>
        <th width="160">Sampai</th>
        <th> Perubahan</th>
    </tr>
{rows}</table>
</div>
"""
    noun = "Tender" if package.kind == TENDER else "Paket"
    return render_page(place, now, f"Tahap {noun} Saat Ini - [{package.key}] {escape(package.title)}", content)


def _edits(address: str, row: Milestone) -> str:
    return f'<a href="{address}" >{len(row.edits)} kali perubahan</a>' if row.edits else "Tidak Ada"


def render_history(place: Place, now: datetime, row: Milestone) -> bytes:
    """How one row of a schedule was edited."""
    rows = "".join(
        f"""    <tr>
        <td>{number}</td>
        <td>{render_time(edit.time)}</td>
        <td>{render_time(edit.starts)}</td>
        <td>{render_time(edit.ends)}</td>
        <td>{escape(edit.reason)}</td>
    </tr>
"""
        for number, edit in enumerate(row.edits, start=1)
    )
    content = f"""
<div class="content">
<table class="table table-sm">
    <tr>
        <th rowspan="2">No</th>
        <th rowspan="2">Tanggal Edit</th>
        <th colspan="2">Jadwal Original</th>
        <th rowspan="2">Keterangan</th>
    </tr>
    <tr>
        <th>Mulai</th>
        <th>Sampai</th>
    </tr>
{rows}</table>
</div>
"""
    return render_page(place, now, f"Riwayat Perubahan Jadwal - {row.title}", content)
