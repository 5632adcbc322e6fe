"""The words the made-up portals are made of: places, work units, packages, firms, reasons, hostile titles."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

CATEGORIES = {
    # the portal's kategoriId: its words
    "0": "Pengadaan Barang",
    "1": "Jasa Konsultansi Badan Usaha Non Konstruksi",
    "2": "Pekerjaan Konstruksi",
    "3": "Jasa Lainnya",
    "4": "Jasa Konsultansi Perorangan",
    "5": "Jasa Konsultansi Badan Usaha Konstruksi",
}
GOODS, STUDY, WORKS, SERVICES, PERSON, DESIGN = CATEGORIES.values()
CONSULTING = frozenset({STUDY, PERSON, DESIGN})
INTEGRATED = "Pekerjaan Konstruksi Terintegrasi"  # occurs without a kategoriId


@dataclass(frozen=True, slots=True)
class Place:
    """A government whose portal is imitated. ``town`` closes every address; ``zone`` is what its times are in."""

    slug: str
    lpse: str
    buyer: str
    town: str
    zone: str = "Asia/Jakarta"
    districts: tuple[str, ...] = ("Klojen", "Blimbing", "Lowokwaru", "Sukun", "Kedungkandang")
    streets: tuple[str, ...] = (
        "Soekarno Hatta", "Veteran", "Kawi", "Letjen Sutoyo", "S. Supriadi", "Mayjen Panjaitan", "Gajayana",
        "Danau Toba", "Ki Ageng Gribig", "Simpang Borobudur", "Laksda Adi Sucipto", "Muharto", "Raya Tlogomas",
        "Terusan Dieng", "Bandung", "Tumenggung Suryo", "Mayjen Sungkono", "Raya Sawojajar", "Sigura-Gura",
    )  # fmt: skip


MALANG_KOTA = Place("malangkota", "LPSE Kota Malang", "Kota Malang", "Malang (Kota)")
MALANG_KAB = Place(
    "malangkab",
    "LPSE Kabupaten Malang",
    "Kab. Malang",
    "Malang (Kab.)",
    districts=("Kepanjen", "Singosari", "Lawang", "Turen", "Dampit", "Pakis", "Tumpang", "Karangploso", "Pujon"),
    streets=("Panji", "Raya Kebonagung", "Raya Pakisaji", "Trunojoyo", "Raya Tumpang", "Raya Dampit", "Ahmad Yani"),
)
DENPASAR = Place(
    "denpasarkota",
    "LPSE Kota Denpasar",
    "Kota Denpasar",
    "Denpasar (Kota)",
    zone="Asia/Makassar",
    districts=("Denpasar Barat", "Denpasar Selatan", "Denpasar Timur", "Denpasar Utara"),
    streets=("Gajah Mada", "Hayam Wuruk", "Teuku Umar", "Raya Puputan", "Gatot Subroto", "Imam Bonjol"),
)
PLACES = {place.slug: place for place in (MALANG_KOTA, MALANG_KAB, DENPASAR)}


def find_place(slug: str) -> Place:
    """A known place, or Kota Malang under another slug."""
    return PLACES.get(slug) or replace(MALANG_KOTA, slug=slug, lpse=f"LPSE {slug}")


GUEST_BUYERS = ("Provinsi Jawa Timur", "Kementerian Agama")  # bodies that use another government's portal

_PU = "DINAS PEKERJAAN UMUM, PENATAAN RUANG, PERUMAHAN DAN KAWASAN PERMUKIMAN"
_SEHAT = "DINAS KESEHATAN"
_RSUD = "RUMAH SAKIT UMUM DAERAH"
_DIDIK = "DINAS PENDIDIKAN DAN KEBUDAYAAN"
_DLH = "DINAS LINGKUNGAN HIDUP"
_UMUM = "BAGIAN UMUM SEKRETARIAT DAERAH"
_HUB = "DINAS PERHUBUNGAN"
_KOMINFO = "DINAS KOMUNIKASI DAN INFORMATIKA"
_DAGANG = "DINAS KOPERASI, PERINDUSTRIAN DAN PERDAGANGAN"
_TANI = "DINAS KETAHANAN PANGAN DAN PERTANIAN"
_BPBD = "BADAN PENANGGULANGAN BENCANA DAERAH"
_SATPOL = "SATUAN POLISI PAMONG PRAJA"
_ARSIP = "DINAS PERPUSTAKAAN UMUM DAN ARSIP DAERAH"
_WISATA = "DINAS KEPEMUDAAN, OLAHRAGA DAN PARIWISATA"

# (work unit, category, name of the package)
PROGRAMMES: tuple[tuple[str, str, str], ...] = (
    (_PU, WORKS, "Rehabilitasi Jalan {street} Kec. {district}"),
    (_PU, WORKS, "Pemeliharaan Berkala Jalan {street}"),
    (_PU, WORKS, "Pembangunan Drainase Jalan {street} Kec. {district}"),
    (_PU, WORKS, "Rehabilitasi Jembatan Jalan {street}"),
    (_PU, WORKS, "Peningkatan Trotoar dan Jalur Pemandu Jalan {street}"),
    (_PU, WORKS, "Pembangunan Plengsengan Sungai Brantas RW {number} Kec. {district}"),
    (_PU, WORKS, "Pemasangan Penerangan Jalan Umum Kec. {district}"),
    (_PU, INTEGRATED, "Rancang Bangun Gedung Parkir Vertikal Jalan {street}"),
    (_PU, DESIGN, "Perencanaan Teknis Rehabilitasi Jalan {street}"),
    (_PU, DESIGN, "Supervisi Pembangunan Drainase Jalan {street}"),
    (_PU, DESIGN, "Penyusunan DED Instalasi Pengolahan Air Limbah Komunal Kec. {district}"),
    (_PU, STUDY, "Penyusunan Rencana Detail Tata Ruang Kec. {district}"),
    (_SEHAT, GOODS, "Belanja Obat-obatan Puskesmas Kec. {district}"),
    (_SEHAT, GOODS, "Pengadaan Alat Kesehatan Puskesmas {district}"),
    (_SEHAT, GOODS, "Pengadaan Reagen dan Bahan Medis Habis Pakai Laboratorium Kesehatan"),
    (_SEHAT, WORKS, "Rehabilitasi Gedung Puskesmas Pembantu Kec. {district}"),
    (_SEHAT, SERVICES, "Jasa Pengolahan Limbah B3 Medis Puskesmas se-Kec. {district}"),
    (_RSUD, GOODS, "Pengadaan Alat Kedokteran Ruang Operasi"),
    (_RSUD, GOODS, "Pengadaan Linen dan Tempat Tidur Pasien"),
    (_RSUD, GOODS, "Pengadaan Gas Medis dan Oksigen Cair"),
    (_RSUD, SERVICES, "Jasa Kebersihan dan Pengelolaan Taman Rumah Sakit"),
    (_RSUD, SERVICES, "Pemeliharaan Alat Radiologi dan Kalibrasi"),
    (_RSUD, WORKS, "Pembangunan Gedung Rawat Inap Lantai {number}"),
    (_DIDIK, WORKS, "Rehabilitasi Ruang Kelas SDN {district} {number}"),
    (_DIDIK, WORKS, "Pembangunan Laboratorium Komputer SMPN {number}"),
    (_DIDIK, GOODS, "Pengadaan Mebel Sekolah Dasar Kec. {district}"),
    (_DIDIK, GOODS, "Pengadaan Perangkat TIK SMPN {number}"),
    (_DIDIK, SERVICES, "Sewa Tenda dan Tata Suara Festival Budaya Kec. {district}"),
    (_DLH, GOODS, "Pengadaan Kontainer Sampah Kec. {district}"),
    (_DLH, GOODS, "Pengadaan Bibit Pohon Peneduh Jalan {street}"),
    (_DLH, SERVICES, "Jasa Angkutan Sampah TPS Kec. {district}"),
    (_DLH, WORKS, "Pembangunan TPS 3R Kec. {district}"),
    (_DLH, STUDY, "Kajian Daya Tampung Beban Pencemaran Sungai Metro"),
    (_UMUM, SERVICES, "Makanan dan Minuman Rapat Balai Kota"),
    (_UMUM, GOODS, "Pengadaan Alat Tulis Kantor Triwulan {number}"),
    (_UMUM, GOODS, "Pengadaan Pakaian Dinas Harian"),
    (_UMUM, SERVICES, "Jasa Pengamanan Gedung Perkantoran Jalan {street}"),
    (_HUB, WORKS, "Pemasangan Marka dan Rambu Jalan {street}"),
    (_HUB, GOODS, "Pengadaan Lampu Lalu Lintas Simpang Jalan {street}"),
    (_KOMINFO, SERVICES, "Langganan Internet Dedicated Perangkat Daerah"),
    (_KOMINFO, GOODS, "Pengadaan Server dan Perangkat Jaringan Pusat Data"),
    (_KOMINFO, STUDY, "Penyusunan Peta Rencana SPBE"),
    (_KOMINFO, PERSON, "Tenaga Ahli Keamanan Informasi"),
    (_DAGANG, WORKS, "Revitalisasi Pasar Rakyat Kec. {district}"),
    (_TANI, GOODS, "Pengadaan Benih Hortikultura Kelompok Tani Kec. {district}"),
    (_TANI, GOODS, "Pengadaan Vaksin Hewan Ternak"),
    (_SATPOL, GOODS, "Pengadaan Perlengkapan Pemadam Kebakaran"),
    (_ARSIP, GOODS, "Pengadaan Bahan Perpustakaan Tercetak dan Digital"),
    (_WISATA, SERVICES, "Penyelenggaraan Malang Flower Carnival"),
    (_WISATA, WORKS, "Rehabilitasi Lapangan Olahraga Kec. {district}"),
)

# (work unit, name): self-managed activities
ACTIVITIES: tuple[tuple[str, str], ...] = (
    (_DIDIK, "Pembinaan Minat, Bakat dan Kreativitas Siswa Kec. {district}"),
    (_SEHAT, "Pelatihan Kader Posyandu Kec. {district}"),
    (_DLH, "Pengelolaan Bank Sampah Kelurahan Kec. {district}"),
    (_KOMINFO, "Peliputan dan Publikasi Kegiatan Pemerintah Daerah"),
    (_UMUM, "Perjalanan Dinas Dalam Daerah Bagian Umum"),
    (_TANI, "Pendampingan Kelompok Tani Perkotaan Kec. {district}"),
    (_SATPOL, "Operasi Ketertiban Umum Triwulan {number}"),
    (_WISATA, "Pembinaan Kelompok Sadar Wisata Kec. {district}"),
)
SELF_MANAGED_TYPES = (
    "K/L/PD Penanggung Jawab Anggaran",
    "K/L/PD Lain Pelaksana Swakelola",
    "Organisasi Kemasyarakatan",
    "Kelompok Masyarakat",
)
EMERGENCIES: tuple[tuple[str, str], ...] = (
    (_BPBD, "Penanganan Darurat Tanah Longsor Kec. {district}"),
    (_BPBD, "Penyediaan Air Bersih Daerah Terdampak Kekeringan Kec. {district}"),
    (_PU, "Penanganan Darurat Ambrolnya Plengsengan Jalan {street}"),
)
TITLE_ENDS = ("", "", "", " Tahap II", " (Lanjutan)", " TA {year}", " Paket {number}")

FIRM_FORMS = ("CV", "CV", "CV", "PT", "PT", "UD")
FIRM_FIRST = ("ARJUNO", "BROMO", "KAWI", "WELIRANG", "KANJURUHAN", "SINGHASARI", "BRANTAS", "METRO", "TIDAR", "BURING")
FIRM_LAST = ("KARYA MANDIRI", "CIPTA UTAMA", "ABADI JAYA", "TEKNIK", "SEJAHTERA", "MEDIKA", "NIAGA", "BANGUN")
PEOPLE = ("Sekar Wulandari", "Bagus Prasetyo", "Ningsih Rahayu", "Dimas Aryanto", "Laras Kusuma")

CANCEL_REASONS = (
    "Terdapat kesalahan dalam dokumen pemilihan",
    "Tidak ada peserta yang menyampaikan dokumen penawaran",
    "Seluruh peserta tidak memenuhi persyaratan kualifikasi",
    "Perubahan spesifikasi teknis oleh Pejabat Pembuat Komitmen",
)
RETENDER_REASONS = (
    "Tender sebelumnya gagal karena tidak ada penawaran yang lulus evaluasi",
    "Seluruh penawaran harga terkoreksi di atas HPS",
    "Peserta yang memasukkan penawaran kurang dari 3 (tiga)",
)
RESCHEDULE_REASONS = ("Memberi kesempatan kepada calon peserta", "Adendum dokumen pemilihan", "Gangguan aplikasi")

# Hostile on purpose; a control character stands beside a space, so that dropping it and reading it as space agree.
HOSTILE_TITLES = (
    "<script>alert('warta')</script> Pengadaan Laptop",
    '=HYPERLINK("http://contoh.invalid";"Klik") Belanja Alat Tulis',
    ", Belanja Modal Peralatan dan Mesin",
    "Pengadaan \"Kursi Roda\" & Alat Bantu 'Jalan' <ringan>",
    "Jasa Konser 🎉 Hari Jadi Kota 🏙️ Malang",
    "Belanja Bahan \x07Bangunan \x1bPasar \x0b Rakyat",
    "Pemasangan Lampu &amp; Kabel &lt;b&gt; Balai Kota",
    "+62 -1 @SUM(A1:A9) Pengadaan Meja]]> --> %s {title} ${x}",
    "Pengadaan   Air    Minum\tKemasan  ",
    "Perbaikan Atap – “Gedung Serbaguna” … Ñandú é 漢字 عربى",
)


def make_dice(*seed: object) -> random.Random:
    """A generator that gives the same numbers for the same seed on every machine."""
    return random.Random("/".join(map(str, seed)))  # noqa: S311 # nosec B311 # made-up data, no secrets
