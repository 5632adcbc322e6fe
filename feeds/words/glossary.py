"""What the terms of the trade mean, for readers who are not in it: one plain sentence each, in both languages. Pure.

After Perpres 16/2018 as changed by 12/2021 and 46/2025, without the amounts and days that such changes move.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from feeds.words.wording import Language

_WORD = re.compile(r"\w+")


class _Term(NamedTuple):
    """``names`` as texts write it, the first as it is shown; ``id`` and ``en`` go on after it."""

    names: tuple[str, ...]
    id: str
    en: str


_TERMS = (
    # money and plans
    _Term(
        ("HPS", "harga perkiraan sendiri"),
        "harga perkiraan sendiri, yang dihitung pemerintah sebelum pemilihan untuk menilai kewajaran harga; "
        "kecuali untuk jasa konsultansi, penawaran tidak boleh melebihinya",
        "the owner's own estimate, made before bidding to judge whether prices are fair; except for consulting, "
        "no bid may exceed it",
    ),
    _Term(
        ("Pagu", "pagu anggaran", "budget"),
        "anggaran yang disediakan untuk paket ini, batas tertinggi yang boleh dibelanjakan",
        "the money set aside for the package (pagu), the most that may be spent",
    ),
    _Term(
        ("RUP", "rencana umum pengadaan"),
        "rencana umum pengadaan: daftar belanja yang direncanakan tiap instansi, diumumkan sebelum pemilihan dimulai",
        "rencana umum pengadaan: what each institution plans to buy, announced before any bidding starts",
    ),
    _Term(
        ("SiRUP",),
        "situs LKPP tempat semua instansi mengumumkan rencana pengadaannya",
        "the national site on which institutions announce their procurement plans",
    ),
    _Term(
        ("APBD", "APBDP"),
        "anggaran pendapatan dan belanja daerah, yaitu uang pemerintah daerah",
        "the budget of a regional government",
    ),
    _Term(
        ("APBN", "APBNP"),
        "anggaran pendapatan dan belanja negara, yaitu uang pemerintah pusat",
        "the budget of the central government",
    ),
    _Term(
        ("BLUD",),
        "badan layanan umum daerah, misalnya rumah sakit, yang mengelola pendapatannya sendiri",
        "a regional public service body, such as a hospital, that manages its own income",
    ),
    _Term(
        ("DIPA",),
        "daftar isian pelaksanaan anggaran, dokumen yang menjadi dasar belanja instansi pusat",
        "the document on which a central institution's spending rests",
    ),
    _Term(
        ("DPA",),
        "dokumen pelaksanaan anggaran, dasar belanja perangkat daerah",
        "the document on which a regional office's spending rests",
    ),
    # who
    _Term(
        ("K/L/PD", "K/L/D/I", "KLPD"),
        "kementerian, lembaga, atau perangkat daerah",
        "ministry, state institution or regional office",
    ),
    _Term(
        ("Satuan kerja", "Satker", "work unit"),
        "unit di dalam instansi yang memakai anggaran dan membutuhkan barang atau jasanya",
        "the unit within an institution that holds the budget and needs the goods or services (satuan kerja)",
    ),
    _Term(
        ("LPSE",),
        "layanan pengadaan secara elektronik: unit yang menjalankan situs resmi tempat paket diumumkan dan diikuti",
        "the unit that runs the official site where packages are announced and bids are made",
    ),
    _Term(
        ("SPSE",),
        "sistem pengadaan secara elektronik, aplikasi yang dipakai LPSE",
        "the software on which LPSE sites run",
    ),
    _Term(
        ("PPK",),
        "pejabat pembuat komitmen, yang menetapkan HPS, menandatangani kontrak, dan mengendalikannya",
        "the officer who sets the HPS, signs the contract and oversees it",
    ),
    _Term(
        ("Pokja", "Pokja Pemilihan", "kelompok kerja"),
        "kelompok kerja yang menyelenggarakan pemilihan penyedia",
        "the working group that conducts the selection",
    ),
    # how a supplier is chosen
    _Term(
        ("Tender",),
        "pemilihan penyedia yang terbuka bagi semua pelaku usaha yang memenuhi syarat",
        "a selection open to every firm that meets the requirements",
    ),
    _Term(
        ("Tender cepat",),
        "tender tanpa penilaian kualifikasi, bagi pelaku usaha yang datanya sudah terverifikasi; harga yang menentukan",
        "a quick tender without assessing qualifications, for firms verified beforehand; the price decides",
    ),
    _Term(
        ("Tender ulang", "seleksi ulang", "retender"),
        "tender yang diulang karena yang sebelumnya gagal",
        "a tender held again because the one before failed",
    ),
    _Term(
        ("Non tender", "non-tender", "nontender"),
        "penyedia dipilih tanpa tender, lewat pengadaan langsung atau penunjukan langsung",
        "the supplier is chosen without a tender, by direct procurement or direct appointment",
    ),
    _Term(
        ("Seleksi",),
        "pemilihan penyedia jasa konsultansi",
        "the selection of a consultant",
    ),
    _Term(
        ("Penunjukan langsung",),
        "satu penyedia ditunjuk tanpa tender, hanya dalam keadaan tertentu yang diatur",
        "direct appointment: one supplier is appointed without a tender, in circumstances laid down by law",
    ),
    _Term(
        ("Pengadaan langsung",),
        "cara sederhana untuk paket bernilai kecil, tanpa tender",
        "direct procurement: a simple way for packages of small value, without a tender",
    ),
    _Term(
        ("Pencatatan", "recorded"),
        "belanja di luar pemilihan elektronik yang hasilnya dicatat agar dapat dilihat umum",
        "bought outside electronic bidding; the outcome is recorded for all to see (pencatatan)",
    ),
    _Term(
        ("Swakelola", "self-managed"),
        "dikerjakan sendiri oleh instansi, instansi lain, organisasi, atau kelompok masyarakat, bukan penyedia",
        "done by the institution itself, another one, or a community group instead of a supplier (swakelola)",
    ),
    _Term(
        ("Darurat", "pengadaan darurat", "keadaan darurat", "emergency"),
        "belanja untuk menangani bencana atau keadaan mendesak, tanpa pemilihan biasa, yang dicatat sesudahnya",
        "bought to cope with a disaster or other emergency, without the usual selection; recorded afterwards (darurat)",
    ),
    _Term(
        ("E-purchasing",),
        "pembelian lewat katalog elektronik atau toko daring pemerintah",
        "buying through the government's electronic catalogue or online shops",
    ),
    _Term(
        ("Kontes",),
        "lomba untuk memperoleh barang atau benda tertentu yang tidak punya harga pasar",
        "a contest for a particular object that has no market price",
    ),
    _Term(
        ("Sayembara",),
        "lomba gagasan, desain, atau karya",
        "a competition of ideas, designs or works",
    ),
    # how bids are handed in and weighed
    _Term(
        ("Pascakualifikasi", "pasca kualifikasi"),
        "kemampuan peserta diperiksa setelah penawaran masuk",
        "bidders' qualifications are checked after bids are in",
    ),
    _Term(
        ("Prakualifikasi", "pra kualifikasi"),
        "kemampuan peserta diperiksa lebih dulu; hanya yang lulus boleh menawar",
        "bidders' qualifications are checked first; only those who pass may bid",
    ),
    _Term(
        ("Satu file", "1 file", "satu sampul"),
        "syarat administrasi, teknis, dan harga dikirim dan dibuka sekaligus",
        "administrative, technical and price proposals are sent and opened together",
    ),
    _Term(
        ("Dua file", "2 file", "dua sampul"),
        "harga dikirim dalam file terpisah, yang dibuka setelah penilaian teknis",
        "the price comes in a file of its own, opened after the technical proposal has been assessed",
    ),
    _Term(
        ("Dua tahap",),
        "penawaran teknis dinilai lebih dulu; harga dimasukkan pada tahap berikutnya",
        "technical proposals are assessed first; prices are handed in at a second stage",
    ),
    _Term(
        ("Harga terendah",),
        "di antara penawaran yang memenuhi syarat, yang termurah menang",
        "among bids that meet the requirements the cheapest wins",
    ),
    _Term(
        ("Sistem gugur",),
        "penawaran yang tidak memenuhi satu syarat tidak dinilai lebih lanjut",
        "a bid that fails one requirement is not considered further",
    ),
    _Term(
        ("Ambang batas",),
        "penawaran teknis harus mencapai nilai terendah yang ditetapkan",
        "technical proposals must reach a set minimum score",
    ),
    _Term(
        ("Sistem nilai",),
        "nilai teknis dan harga digabung menurut bobot; jumlah tertinggi menang",
        "technical and price scores are combined by weight; the highest total wins",
    ),
    _Term(
        ("Kualitas dan biaya",),
        "mutu usulan dan biayanya digabung menurut bobot; jumlah tertinggi menang",
        "the scores of quality and cost are combined by weight; the highest total wins",
    ),
    _Term(
        ("Biaya terendah",),
        "di antara usulan yang lulus penilaian mutu, yang termurah menang",
        "among proposals that pass the assessment of quality the cheapest wins",
    ),
    _Term(
        ("Lumsum", "lump sum"),
        "harga kontrak pasti untuk seluruh pekerjaan",
        "a fixed contract price for the whole of the work",
    ),
    _Term(
        ("Harga satuan",),
        "dibayar menurut jumlah yang benar-benar dikerjakan, dengan harga tetap tiap satuan",
        "paid by the quantity actually delivered, at a fixed price for each unit",
    ),
    # stages
    _Term(
        ("Dokumen pemilihan",),
        "berkas berisi syarat paket dan tata cara menawar",
        "the papers with the package's requirements and the rules for bidding",
    ),
    _Term(
        ("Pemberian penjelasan", "penjelasan", "aanwijzing"),
        "peserta bertanya dan dijawab tentang isi dokumen pemilihan",
        "bidders ask about the tender papers and are answered",
    ),
    _Term(
        ("Adendum", "addendum"),
        "perubahan resmi pada dokumen pemilihan atau kontrak",
        "an official change to the tender papers or the contract",
    ),
    _Term(
        ("Upload dokumen penawaran", "unggah dokumen penawaran", "pemasukan dokumen penawaran"),
        "peserta mengirim berkas penawarannya secara elektronik; sesudah waktunya habis tidak bisa lagi",
        "bidders send their bids electronically; once the time is up they no longer can",
    ),
    _Term(
        ("Evaluasi",),
        "penawaran diperiksa dan dinilai",
        "bids are checked and assessed",
    ),
    _Term(
        ("Pembuktian kualifikasi",),
        "calon pemenang menunjukkan bahwa dokumen kualifikasinya benar",
        "the likely winner proves that its qualification papers are true",
    ),
    _Term(
        ("Penetapan pemenang",),
        "hasil penilaian diputuskan; sesudahnya masih ada masa sanggah",
        "the result is decided; objections may still follow",
    ),
    _Term(
        ("Masa sanggah", "sanggah", "sanggahan"),
        "waktu bagi peserta untuk menyatakan keberatan tertulis atas hasil pemilihan",
        "the days in which bidders may object to the result in writing",
    ),
    _Term(
        ("Sanggah banding",),
        "keberatan lanjutan atas jawaban sanggah, pada pekerjaan konstruksi",
        "a further objection to the answer given, for construction works",
    ),
    _Term(
        ("SPPBJ", "surat penunjukan penyedia", "surat penunjukan penyedia barang/jasa"),
        "surat yang menunjuk pemenang sebagai penyedia, sebelum kontrak ditandatangani",
        "the letter that appoints the winner as supplier, before the contract is signed",
    ),
    _Term(
        ("SPK",),
        "surat perintah kerja, bentuk kontrak yang ringkas untuk paket bernilai kecil",
        "a short form of contract for packages of small value",
    ),
    # what is asked of bidders
    _Term(
        ("Jaminan penawaran",),
        "surat jaminan yang dicairkan bila peserta mundur setelah menawar",
        "a bond that is called in if the bidder withdraws",
    ),
    _Term(
        ("Jaminan pelaksanaan",),
        "surat jaminan yang dicairkan bila penyedia tidak menyelesaikan pekerjaan",
        "a bond that is called in if the supplier does not finish the work",
    ),
    _Term(
        ("Jaminan",),
        "surat jaminan dari bank atau perusahaan penjamin, yang dicairkan bila janji dilanggar",
        "a bond of a bank or surety that is called in when a promise is broken",
    ),
    _Term(
        ("SBU",),
        "sertifikat badan usaha, bukti kemampuan perusahaan jasa konstruksi",
        "the certificate that shows what a construction firm is able to do",
    ),
    _Term(
        ("NIB",),
        "nomor induk berusaha, tanda pengenal pelaku usaha",
        "the registration number of a business",
    ),
    _Term(
        ("KBLI",),
        "kode baku lapangan usaha",
        "the standard code for a line of business",
    ),
    _Term(
        ("TKDN",),
        "tingkat komponen dalam negeri, bagian produk yang dibuat di Indonesia",
        "the share of a product that is made in Indonesia",
    ),
    _Term(
        ("Daftar hitam", "daftar hitam nasional", "blacklist"),
        "perusahaan yang sedang dilarang mengikuti pengadaan pemerintah",
        "firms that are barred from government procurement for a time",
    ),
    _Term(
        ("Jasa lainnya", "other services"),
        "jasa selain konsultansi dan konstruksi, misalnya kebersihan, katering, atau sewa",
        "services other than consulting and construction, such as cleaning, catering or hire",
    ),
    _Term(
        ("Jasa konsultansi", "consulting"),
        "jasa yang mengandalkan keahlian, misalnya perencanaan dan pengawasan",
        "services that rest on expertise, such as design and supervision",
    ),
)


def explain(texts: Iterable[str], language: Language) -> list[tuple[str, str]]:
    """Each term of the trade that stands in one of ``texts``, and a sentence that explains it.

    In the order of the texts, each once. Words are compared whole and without regard to case; of terms within one
    another the longest counts: *tender cepat* is not also explained as *tender*.
    """
    found: dict[int, str] = {}
    for text in texts:
        for number, name in _find_terms(text):
            found.setdefault(number, name)
    return [(name, _sentence(_TERMS[number], language)) for number, name in found.items()]


def _sentence(term: _Term, language: Language) -> str:
    told = term.id if language == "id" else term.en
    return f"{told[0].upper()}{told[1:]}."


@lru_cache(maxsize=4096)  # labels, methods and stages come again on every page
def _find_terms(text: str) -> tuple[tuple[int, str], ...]:
    found = []
    words = _split(text)
    place = 0
    while place < len(words):
        for name in _BY_FIRST_WORD.get(words[place], ()):
            if words[place : place + len(name.words)] == name.words:
                found.append((name.term, name.shown))
                place += len(name.words) - 1
                break
        place += 1
    return tuple(found)


class _Name(NamedTuple):
    words: tuple[str, ...]
    term: int
    shown: str


def _split(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold()))


def _index_names() -> Mapping[str, list[_Name]]:
    """By the first word, the longest in front."""
    index: dict[str, list[_Name]] = defaultdict(list)
    for number, term in enumerate(_TERMS):
        for name in term.names:
            words = _split(name)
            index[words[0]].append(_Name(words, number, f"{name[0].upper()}{name[1:]}"))
    return {first: sorted(names, key=lambda each: -len(each.words)) for first, names in index.items()}


_BY_FIRST_WORD = _index_names()
