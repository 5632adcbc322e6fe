"""Forms and phrases in Indonesian and English: money, dates, labels. Absolute dates only, for feeds are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.units import format_unit

from aggregator.models import Category, Kind, Method, Money, Status
from feeds.words.text import plain

Language = Literal["id", "en"]

NBSP = "\u00a0"  # between a number and its unit (EYD), so that a line never ends between the two

_EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
_TENTH, _CENT, _WHOLE = Decimal("0.1"), Decimal("0.01"), Decimal(1)
_INDONESIAN_MARKS = str.maketrans(",.", ".,")
_MAGNITUDES = ((6, "million"), (9, "billion"), (12, "trillion"))
_CLOCKS = {"Asia/Jakarta": "WIB", "Asia/Pontianak": "WIB", "Asia/Makassar": "WITA", "Asia/Jayapura": "WIT"}
_LOCALES = {language: Locale.parse(language) for language in ("id", "en")}
# Read once: Babel opens its tables again at every look.
_MONTHS = {
    language: {width: dict(locale.months["format"][width]) for width in ("wide", "abbreviated")}
    for language, locale in _LOCALES.items()
}
_WEEKDAYS = {language: dict(locale.days["format"]["wide"]) for language, locale in _LOCALES.items()}

_PHRASES: Mapping[str, tuple[str, str]] = {
    "million": ("juta", "million"),
    "billion": ("miliar", "billion"),
    "trillion": ("triliun", "trillion"),
    # what a tender says in one sentence
    "value": ("HPS {money}", "HPS {money}"),
    "budget": ("Pagu {money}", "Budget {money}"),
    "amount": ("Nilai {money}", "Value {money}"),
    "no_value": ("Nilai belum diumumkan", "Value not announced"),
    "bids_close": ("penawaran ditutup {time}", "bids close {time}"),
    "registration_closes": ("pendaftaran ditutup {time}", "registration closes {time}"),
    "no_dates": ("jadwal belum diumumkan", "dates not announced"),
    "recorded_on": ("dicatat {date}", "recorded {date}"),
    "plan": ("Rencana {year}", "Plan {year}"),
    "plan_budget": ("pagu {money}", "budget {money}"),
    "plan_no_value": ("nilai belum diumumkan", "value not announced"),
    "plan_from": ("pemilihan mulai {month}", "selection from {month}"),
    "plan_work": ("pelaksanaan mulai {month}", "work from {month}"),
    "and_more": ("dan {count} lainnya", "and {count} more"),
    "and_sources": ("{portal} dan {count} sumber lain", "{portal} and {count} more sources"),
    "and_source": ("{portal} dan 1 sumber lain", "{portal} and 1 more source"),
    "decree": ("SK {number}", "decree {number}"),
    "in_force": ("berlaku {starts} s.d. {ends}", "in force {starts} to {ends}"),
    "in_force_from": ("berlaku mulai {date}", "in force from {date}"),
    "in_force_to": ("berlaku s.d. {date}", "in force until {date}"),
    "source": ("Sumber: {portal}, dibaca {time}.", "Source: {portal}, read {time}."),
    "other_source": (
        "Juga diumumkan oleh {portal} ({kind} {key}), dibaca {time}.",
        "Also announced by {portal} ({kind} {key}), read {time}.",
    ),
    "sanctioned": (
        "Perhatian: nama “{supplier}” sama dengan nama di Daftar Hitam Nasional ({about}). "
        "Nama yang sama belum tentu perusahaan yang sama; periksa di sumber resmi.",
        "Note: the name “{supplier}” is the same as a name on the national blacklist ({about}). "
        "The same name need not be the same firm; check the official source.",
    ),
    # what a release says
    "short_value": ("HPS", "HPS"),
    "short_budget": ("Pagu", "Budget"),
    "short_stage": ("Tahap", "Stage"),
    "new": ("Paket baru", "New package"),
    "new_plan": ("Rencana baru", "New plan"),
    "new_notice": ("Pengumuman baru", "New notice"),
    "new_news": ("Berita baru", "New article"),
    "many": ("{count} perubahan", "{count} changes"),
    "moved": ("{label}: {old} → {new}.", "{label}: {old} → {new}."),
    "told": ("{label}: {new}.", "{label}: {new}."),
    "yes": ("ya", "yes"),
    "no": ("tidak", "no"),
    "none": ("belum diumumkan", "not announced"),
    "deadline_later": ("Batas akhir diperpanjang {span}", "Deadline extended by {span}"),
    "deadline_sooner": ("Batas akhir dimajukan {span}", "Deadline brought forward by {span}"),
    "deadline_set": ("Batas akhir diumumkan", "Deadline announced"),
    "deadline_gone": ("Batas akhir dihapus", "Deadline removed"),
    "registration_later": ("Pendaftaran diperpanjang {span}", "Registration extended by {span}"),
    "registration_sooner": ("Pendaftaran dimajukan {span}", "Registration brought forward by {span}"),
    "registration_set": ("Akhir pendaftaran diumumkan", "Registration deadline announced"),
    "registration_gone": ("Akhir pendaftaran dihapus", "Registration deadline removed"),
    "price_up": ("{label} naik {difference}", "{label} up {difference}"),
    "price_down": ("{label} turun {difference}", "{label} down {difference}"),
    "price_set": ("{label} diumumkan", "{label} announced"),
    "price_gone": ("{label} dihapus", "{label} removed"),
    "price_changed": ("{label} berubah", "{label} changed"),
    "stage_now": ("Masuk tahap {stage}", "Now at stage {stage}"),
    "status_now": ("Status kini {status}", "Status now {status}"),
    "retendered": ("Ditender ulang", "Retendered"),
    "cancelled": ("Dibatalkan", "Cancelled"),
    "unsuccessful": ("Gagal", "Unsuccessful"),
    "reason": ("Alasan di portal: “{reason}”.", "Reason on the portal: “{reason}”."),
    "no_reason": ("Portal tidak menyebut alasan.", "The portal gives no reason."),
    "new_deadline": ("Batas akhir baru: {time}.", "New deadline: {time}."),
    "awarded": ("Pemenang ditetapkan", "Winner named"),
    "award_below": ("{award}: {difference} di bawah HPS.", "{award}: {difference} below HPS."),
    "award_above": ("{award}: {difference} di atas HPS.", "{award}: {difference} above HPS."),
    "award_equal": ("{award}: sama dengan HPS.", "{award}: equal to HPS."),
    "award_before": ("Semula: {awards}.", "Was: {awards}."),
    "contracted": ("Kontrak ditandatangani", "Contract signed"),
    "realised": ("Realisasi dicatat", "Realisation recorded"),
    "withdrawn": ("Tidak tampil lagi di portal", "No longer on the portal"),
    "withdrawn_body": (
        "Dua pembacaan lengkap tidak menemukannya; isi terakhir tersimpan.",
        "Two full readings missed it; the last version is kept.",
    ),
    "returned": ("Tampil lagi di portal", "Back on the portal"),
    "returned_body": ("Hilang sejak {date}.", "Missing since {date}."),
    # the page of a tender
    "closes_on": ("Ditutup {time}.", "Closes {time}."),
    "found_on": ("Diketahui {date}", "Found {date}"),
    "unread": ("Belum terbaca", "Not read yet"),
    "some": ("beberapa bagian", "some parts"),
    "winner": ("Pemenang", "Winner"),
    "contract": ("Kontrak", "Contract"),
    "price": ("Harga pemenang", "Winning price"),
    "result": ("Pemenang dan kontrak", "Winner and contract"),
    "worth": ("Nilai", "Value"),
    "realisation": ("Realisasi", "Realisation"),
    "price_below": ("{difference} di bawah HPS.", "{difference} below HPS."),
    "price_above": ("{difference} di atas HPS.", "{difference} above HPS."),
    "price_equal": ("Sama dengan HPS.", "Equal to HPS."),
    "took": ("Dari pengumuman sampai kontrak: {span}.", "From announcement to contract: {span}."),
    "took_to_realisation": ("Dari pengumuman sampai realisasi: {span}.", "From announcement to realisation: {span}."),
    "ask_bidding": ("Tentang syarat paket: ajukan di", "About requirements: ask on"),
    "ask_purchase": (
        "Tentang paket ini: tanyakan kepada satuan kerjanya, atau lihat",
        "About this package: ask the work unit, or see",
    ),
    "ask_plan": (
        "Tentang rencana ini: tanyakan kepada satuan kerjanya, atau lihat",
        "About this plan: ask the work unit, or see",
    ),
    "ask_notice": ("Tentang pengumuman ini: lihat", "About this notice: see"),
    "ask_news": ("Tentang berita ini: baca di", "About this article: read it on"),
    "clock": ("Waktu dalam {clock}.", "Times in {clock}."),
    "clock_year": ("Waktu dalam {clock}, tahun {year}.", "Times in {clock}, year {year}."),
    "schedule": ("Jadwal berubah", "Schedule changed"),
    "location": ("Lokasi berubah", "Location changed"),
    "details": ("Rincian berubah", "Details changed"),
    # what a run says
    "run_recovered": ("Pulih", "Recovered"),
    "run_failed": ("Gagal", "Failed"),
    "run_blocked": ("Terblokir", "Blocked"),
    "run_doubtful": ("Perlu diperiksa", "Needs a look"),
    "run_doubtful_body": (
        "Sebagian jawaban portal tidak seperti biasanya dan tidak dipakai; data yang sudah ada tetap disimpan.",
        "Some of the portal's answers were not as they should be and were not used; what is known already is kept.",
    ),
    "run_ok": ("Lancar: dibaca {time}.", "Fine: read {time}."),
    "run_partial": (
        "Sebagian: {errors} dari {requests} halaman tidak terbaca.",
        "Partial: {errors} of {requests} pages unread.",
    ),
    "run_partly": ("Sebagian terbaca {time}.", "Partly read {time}."),
    "run_because": ("Gagal: {why}.", "Failed: {why}."),
    "run_blocked_body": (
        "Terblokir: portal meminta pemeriksaan peramban; pembacaan dihentikan.",
        "Blocked: the portal wants a browser check; reading stopped.",
    ),
    "run_last_success": ("Terakhir berhasil {time}.", "Last success {time}."),
    "why_no_answer": ("portal tidak menjawab", "no answer"),
    "why_listing": ("daftar paket tidak terbaca sampai akhir", "a list could not be read to its end"),
    "why_rate_limited": ("portal minta jeda yang terlalu lama", "the portal asked for too long a pause"),
    "why_refused": ("portal menolak permintaan", "the portal refused the request"),
    "why_busy": ("pembacaan lain sedang berjalan", "another reading is under way"),
    "why_errors": ("terlalu banyak halaman tidak terbaca", "too many pages could not be read"),
    # what the figures of a year say
    "stat_packages": ("Paket diumumkan", "Packages announced"),
    "stat_value": ("Jumlah nilai", "Total value"),
    "stat_days": ("Pengumuman sampai kontrak", "Announcement to contract"),
    "stat_margin": ("Kontrak terhadap HPS", "Contract against HPS"),
    "stat_median_of": ("median {count} kontrak", "median of {count} contracts"),
    "stat_margin_below": ("{share} di bawah", "{share} below"),
    "stat_margin_above": ("{share} di atas", "{share} above"),
    "stat_margin_equal": ("sama dengan HPS", "equal to HPS"),
    "stat_count": (f"{{count}}{NBSP}paket", f"{{count}}{NBSP}packages"),
    "stat_one": (f"1{NBSP}paket", f"1{NBSP}package"),
    "stat_contracts": (f"{{count}}{NBSP}kontrak", f"{{count}}{NBSP}contracts"),
    "stat_contract": (f"1{NBSP}kontrak", f"1{NBSP}contract"),
    "stat_untold": ("Tidak disebut", "Not told"),
    "stat_packages_head": ("Paket", "Packages"),
    "stat_value_head": ("Nilai", "Value"),
    "stat_contracts_head": ("Kontrak", "Contracts"),
    "stat_no_values": ("Nilai belum diumumkan", "Values are not announced yet"),
    "stat_months": ("Paling banyak paket diumumkan pada {month}", "Most packages were announced in {month}"),
    "stat_months_about": ("Paket dan nilainya menurut bulan tayang.", "Packages and their value by month."),
    "stat_running": ("*{month} baru sampai tanggal {day}.", "*{month} only up to day {day}."),
    "stat_months_summary": (
        "Jumlah paket dan nilainya per bulan. Terbanyak {month}: {count}, {money}.",
        "Packages and their value by month. Most in {month}: {count}, {money}.",
    ),
    "stat_month": ("Bulan", "Month"),
    "stat_count_title": ("Jumlah paket", "Number of packages"),
    "stat_value_title": ("Nilai ({unit})", "Value ({unit})"),
    "stat_category": ("Jenis pengadaan", "Category"),
    "stat_categories": ("{share} dari nilai untuk {name}", "{share} of the value is for {name}"),
    "stat_categories_about": ("Jumlah nilai menurut jenis pengadaan.", "Total value by category."),
    "stat_entities": ("{share} dari nilai melalui {name}", "{share} of the value goes through {name}"),
    "stat_entities_about": ("Jumlah nilai menurut satuan kerja.", "Total value by work unit."),
    "stat_others": ("{count} satuan kerja lain", "{count} other work units"),
    "stat_shares_summary": (
        "Bagian terbesar {name}: {money}, {share} dari jumlah nilai, {count}.",
        "The greatest part is {name}: {money}, {share} of the total value, {count}.",
    ),
    "stat_days_finding": (
        "Metode {name} paling lama: {span} sampai kontrak",
        "{name} method takes longest: {span} to the contract",
    ),
    "stat_days_even": ("Sekitar {span} sampai kontrak", "About {span} to the contract"),
    "stat_no_days": ("Belum ada kontrak yang bertanggal", "No contract with a date yet"),
    "stat_days_about": (
        "Hari dari pengumuman sampai kontrak menurut metode: separuh kontrak lebih cepat (median).",
        "Days from announcement to contract by method: half of the contracts were faster (median).",
    ),
    "stat_median_head": ("Median (hari)", "Median (days)"),
    "stat_half_head": ("Separuh di tengah (hari)", "Middle half (days)"),
    "stat_margins": ("Kontrak paling sering {range}", "Contracts are most often {range}"),
    "stat_no_margins": ("Belum ada kontrak yang dapat dibandingkan dengan HPS", "No contract to compare with HPS yet"),
    "stat_margins_about": (
        "Jumlah kontrak menurut selisihnya dari HPS. Selisih bukan ukuran mutu.",
        "Contracts by their difference from HPS. The difference does not measure quality.",
    ),
    "stat_margin_head": ("Kontrak terhadap HPS", "Contract against HPS"),
    "stat_above": ("Di atas HPS", "Above HPS"),
    "stat_equal": ("Sama dengan HPS", "Equal to HPS"),
    "stat_below": ("{start}–{end}% di bawah HPS", "{start}–{end}% below HPS"),
    "stat_far_below": ("Lebih dari {start}% di bawah HPS", "More than {start}% below HPS"),
    # a search in words
    "facet_deadline": ("Batas akhir", "Deadline"),
    "facet_value": ("Nilai (HPS)", "Value (HPS)"),
    "sort_deadline": ("Segera ditutup", "Closing soon"),
    "sort_published": ("Terbaru", "Newest"),
    "sort_value": ("Nilai terbesar", "Highest value"),
    "sort_changed": ("Baru berubah", "Changed last"),
    "at_least": ("{money} ke atas", "{money} and more"),
    "up_to": ("sampai {money}", "up to {money}"),
    "at_most": ("paling banyak {count} paket", "at most {count} packages"),
    "one_day": ("24\u00a0jam", "24\u00a0hours"),
    "days": ("{count}\u00a0hari", "{count}\u00a0days"),
    "within": ("{span} ke depan", "Next {span}"),
    "closes_within": ("ditutup dalam {span}", "closing within {span}"),
    "moment": ("sekarang", "now"),
    "days_ahead": ("{count}\u00a0hari lagi", "{count}\u00a0days from now"),
    "days_ago": ("{count}\u00a0hari lalu", "{count}\u00a0days ago"),
    "deadline_from": ("ditutup mulai {time}", "closing from {time}"),
    "not_closed": ("belum ditutup", "not closed yet"),
    "deadline_to": ("ditutup sampai {time}", "closing until {time}"),
    "published_from": ("tayang mulai {time}", "published from {time}"),
    "published_to": ("tayang sampai {time}", "published until {time}"),
    "changed_since": ("berubah sejak {time}", "changed since {time}"),
    "located": ("lokasi “{place}”", "location “{place}”"),
    "keyed": ("kode {key}", "code {key}"),
    "of_year": ("tahun anggaran {year}", "fiscal year {year}"),
    "only_retenders": ("tender ulang", "retenders"),
    "no_retenders": ("bukan tender ulang", "no retenders"),
    "any_status": ("semua status", "any status"),
    "active": ("terbuka atau dalam proses", "open or under way"),
    "all_active": ("Semua paket terbuka atau dalam proses", "All packages open or under way"),
    "search_changes": ("Perubahan: {search}", "Changes: {search}"),
    "search_changes_about": (
        "Kabar tiap kali paket yang cocok dengan pencarian ini berubah: {search}.",
        "News of every change of the packages that match the search: {search}.",
    ),
    "search_about": ("Paket yang cocok dengan pencarian: {search}.", "Packages that match the search: {search}."),
    "searched": ("dicari di {count} yang terbuka dan terbaru", "searched among {count} that are open or newest"),
    "way_complete": ("mencari di paket yang sudah selesai", "search completed packages"),
    "way_open": ("mencari di semua paket terbuka", "search all open packages"),
    "way_any": ("mencari di semua paket, apa pun statusnya", "search all packages, whatever their status"),
    "way_word": ("memakai kata yang lebih umum: {word}", "use a more general word: {word}"),
    "way_all": ("melihat semua paket terbuka", "see all open packages"),
    "announced_on": ("tayang {date}", "published {date}"),
    # what is wrong with a search
    "bad_value": ("{key} tidak dapat dibaca: {what} {hint}", "{key} cannot be read: {what} {hint}"),
    "UNKNOWN_KEY": ("saringan ini tidak ada.", "there is no such filter."),
    "SEVERAL": ("hanya boleh satu nilai.", "it takes one value."),
    "TOO_MANY": ("paling banyak {right} nilai.", "at most {right} values."),
    "NO_TEXT": ("{value} bukan teks.", "{value} is not a text."),
    "LENGTH": ("panjangnya harus 1 sampai {right} huruf.", "it must have 1 to {right} characters."),
    "UNKNOWN_CODE": ("{value} tidak dikenal.", "{value} is not known."),
    "NO_WHOLE_NUMBER": ("{value} bukan bilangan bulat.", "{value} is not a whole number."),
    "OUT_OF_RANGE": ("{value} tidak di antara {least} dan {most}.", "{value} is not from {least} to {most}."),
    "NO_AMOUNT": ("{value} bukan bilangan.", "{value} is not a number."),
    "NO_MOMENT": ("{value} bukan tanggal.", "{value} is not a date."),
    "NO_FLAG": ("{value} bukan true atau false.", "{value} is neither true nor false."),
    "example": ("Contoh: {right}.", "As in {right}."),
    "choices": ("Pilihan: {right}.", "Choose from {right}."),
    # what is wrong with the address of a feed
    "feed_404": ("Umpan ini tidak ada.", "There is no such feed."),
    "feed_405": ("Umpan hanya untuk dibaca.", "Feeds are for reading only."),
    "feed_trouble": ("Layanan terganggu; coba lagi sebentar lagi.", "Service interrupted; try again in a moment."),
    # what visits say
    "visit_pages": ("Halaman dibuka", "Pages opened"),
    "visit_embeds": ("Sematan dimuat", "Embeds loaded"),
    "visit_feeds": ("Umpan diambil", "Feeds fetched"),
    "visit_subscribers": ("Pelanggan umpan", "Feed subscribers"),
    "visit_span": ("30 hari terakhir", "last 30 days"),
    "visit_stated": ("menurut pembaca umpan", "as feed readers state"),
    "visit_peak": ("{label}: terbanyak {number} pada {date}", "{label}: most, {number}, on {date}"),
    "visit_none": ("{label}: belum ada", "{label}: none yet"),
    "visit_about": ("Per hari, 30 hari terakhir. *Hari ini belum usai.", "By day, last 30 days. *Today is not over."),
    "visit_summary": (
        "{label} per hari selama 30 hari: jumlah {total}, terbanyak {number} pada {date}.",
        "{label} by day for 30 days: {total} in all, most on {date}: {number}.",
    ),
    "visit_day": ("Hari", "Day"),
    "visit_number": ("Jumlah", "Number"),
    "visit_other": ("Lain", "Other"),
    "visit_search": ("Umpan pencarian", "Feeds of searches"),
    # feeds
    "of_place": ("{name} di {place}", "{name} in {place}"),
    "method_name": ("Metode {name}", "{name} method"),
    "slice_about": ("Paket {name} yang masih terbuka atau dalam proses.", "{name} packages, open or under way."),
    "method_about": (
        "Paket bermetode {name} yang belum ditutup atau dalam proses.",
        "{name} method packages, open or under way.",
    ),
    "semua": ("Semua paket terbuka", "All open packages"),
    "semua_about": ("Setiap paket yang masih terbuka atau dalam proses.", "Every package, open or under way."),
    "perubahan": ("Perubahan paket", "Changes"),
    "perubahan_about": (
        "Kabar tiap kali batas akhir, nilai, tahap, atau status berubah.",
        "News of every change.",
    ),
    "tenggat": ("Segera ditutup", "Closing soon"),
    "tenggat_about": ("Ditutup dalam 7 hari.", "Closing within 7 days."),
    "pemenang": ("Pemenang dan kontrak", "Winners and contracts"),
    "pemenang_about": ("Pemenang, nilai kontrak, selisih dari HPS.", "Winner, value, difference from HPS."),
    "batal-ulang": ("Dibatalkan dan diulang", "Cancelled and retendered"),
    "batal-ulang_about": (
        "Paket yang dibatalkan atau diulang, beserta alasannya.",
        "Packages cancelled or retendered, and why.",
    ),
    "rup": ("Rencana pengadaan (RUP)", "Procurement plans"),
    "rup_about": ("Rencana yang sudah diumumkan.", "Plans as announced."),
    "berita": ("Berita", "News"),
    "berita_about": ("Berita dari situs resmi.", "News from official sites."),
    "status": ("Gangguan portal", "Portal failures"),
    "status_about": ("Portal yang gagal dibaca, lalu pulih.", "Failed, then recovered."),
}

_LABELS: Mapping[str, tuple[str, str]] = {
    "title": ("Nama paket", "Package"),
    "key": ("Kode paket", "Code"),
    "plan_key": ("Kode RUP", "Plan code (RUP)"),
    "notice_key": ("Nomor pengumuman", "Notice number"),
    "kind": ("Jenis pengumuman", "Notice type"),
    "description": ("Uraian", "Description"),
    "buyer": ("Instansi", "Buyer"),
    "procuring_entity": ("Satuan kerja", "Work unit"),
    "category": ("Jenis pengadaan", "Category"),
    "category_detail": ("Jenis pengadaan", "Category"),
    "method": ("Metode", "Method"),
    "method_detail": ("Metode", "Method"),
    "status": ("Status", "Status"),
    "stage": ("Tahap saat ini", "Current stage"),
    "recorded_published": ("Dicatat", "Recorded"),
    "notice_stage": ("Menurut sumber", "In the source's words"),
    "budget": ("Pagu (anggaran)", "Budget"),
    "value": ("HPS (harga perkiraan sendiri)", "HPS (owner's estimate)"),
    "fiscal_years": ("Tahun anggaran", "Fiscal year"),
    "published": ("Tayang", "Published"),
    "plan_published": ("Diumumkan", "Announced"),
    "registration_deadline": ("Akhir pendaftaran", "Registration closes"),
    "deadline": ("Batas akhir penawaran", "Bids close"),
    "milestones": ("Jadwal", "Schedule"),
    "locations": ("Lokasi", "Location"),
    "plans": ("Rencana (RUP)", "Plan (RUP)"),
    "participants": ("Peserta", "Participants"),
    "awards": ("Pemenang", "Winner"),
    "contracts": ("Kontrak", "Contract"),
    "sanctions": ("Sanksi", "Sanction"),
    "retender": ("Tender ulang", "Retender"),
    "retender_reason": ("Alasan diulang", "Reason for retender"),
    "cancellation_reason": ("Alasan dibatalkan", "Reason for cancellation"),
}

_NAMES: Mapping[Kind | Category | Method | Status, tuple[str, str]] = {
    Kind.TENDER: ("Tender", "Tender"),
    Kind.NON_TENDER: ("Non Tender", "Non-tender"),
    Kind.RECORDED: ("Pencatatan", "Recorded"),
    Kind.SELF_MANAGED: ("Swakelola", "Self-managed"),
    Kind.EMERGENCY: ("Darurat", "Emergency"),
    Kind.PLAN: ("RUP", "Plan"),
    Kind.NOTICE: ("Pengumuman", "Notice"),
    Kind.NEWS: ("Berita", "News"),
    Category.GOODS: ("Pengadaan Barang", "Goods"),
    Category.WORKS: ("Pekerjaan Konstruksi", "Works"),
    Category.SERVICES: ("Jasa Lainnya", "Other services"),
    Category.CONSULTING: ("Jasa Konsultansi", "Consulting"),
    Method.OPEN: ("Terbuka", "Open"),
    Method.SELECTIVE: ("Terseleksi", "Selective"),
    Method.LIMITED: ("Terbatas", "Limited"),
    Method.DIRECT: ("Langsung", "Direct"),
    Status.PLANNED: ("Direncanakan", "Planned"),
    Status.ACTIVE: ("Terbuka", "Open"),
    Status.COMPLETE: ("Selesai", "Complete"),
    Status.CANCELLED: ("Dibatalkan", "Cancelled"),
    Status.UNSUCCESSFUL: ("Gagal", "Unsuccessful"),
    Status.WITHDRAWN: ("Tidak tampil di portal", "No longer on the portal"),
}
# What is recorded after it was bought, and has neither bids nor an HPS.
RECORDS = frozenset({Kind.RECORDED, Kind.SELF_MANAGED, Kind.EMERGENCY})

_UNDER_WAY = ("Dalam proses", "Under way")
_GOING_ON = ("Sedang berjalan", "Going on")
_IN_FORCE = ("Berlaku", "In force")


@dataclass(frozen=True, slots=True)
class Wording:
    """One language, and the zone that times are told in (the portal's)."""

    language: Language
    zone: ZoneInfo

    def say(self, phrase: str, **values: object) -> str:
        """A phrase of the house with its values put in; KeyError for a phrase or a value that is not there."""
        return self._choose(_PHRASES[phrase]).format_map(values)

    def label(self, field: str) -> str:
        """How a field of Tender is called."""
        return self._choose(_LABELS[field])

    def name(self, code: Kind | Category | Method | Status) -> str:
        """How a code is called; an active tender is *open* here, see ``status``."""
        return self._choose(_NAMES[code])

    def status(self, status: Status, kind: Kind, deadline: datetime | None = None, at: datetime | None = None) -> str:
        """The status as it stands ``at`` that time, in a word that fits the kind: only what can be bid for is *open*.

        An active tender past its deadline is under way; what is recorded or planned goes on; a notice without a
        deadline is in force.
        """
        if status is not Status.ACTIVE:
            return self.name(status)
        if kind in RECORDS or kind is Kind.PLAN:
            return self._choose(_GOING_ON)
        if kind is Kind.NOTICE and deadline is None:
            return self._choose(_IN_FORCE)
        is_late = deadline is not None and at is not None and deadline <= at
        return self._choose(_UNDER_WAY) if is_late else self.name(status)

    def money(self, money: Money) -> str:
        """Exact, with cents: Rp5.912.300.000,00."""
        return self._amount(money, self._number(money.amount, _CENT))

    def short_money(self, money: Money) -> str:
        """One decimal of the greatest unit: Rp5,9 miliar; below a million in whole rupiah."""
        power, unit = 0, ""
        for next_power, phrase in _MAGNITUDES:
            shown = money.amount.scaleb(-power, _EXACT).quantize(_TENTH if power else _WHOLE, context=_EXACT)
            if abs(shown) >= 10 ** (next_power - power):  # as rounded: 999.960.000 is a miliar
                power, unit = next_power, NBSP + self.say(phrase)
        amount = money.amount.scaleb(-power, _EXACT)
        number = self._number(amount, _TENTH if power else _WHOLE).removesuffix(".0" if self.language == "en" else ",0")
        return self._amount(money, number + unit)

    def percent(self, part: Decimal, whole: Decimal) -> str:
        """``part`` of ``whole`` with one decimal: 9,1%."""
        return self._number(_EXACT.divide(part * 100, whole), _TENTH) + "%"

    def count(self, number: int) -> str:
        """1.234 | 1,234."""
        return self._number(Decimal(number), _WHOLE)

    def tenths(self, number: Decimal) -> str:
        """With one decimal below a hundred, without from there on: 31,6; 318."""
        return self._number(number, _TENTH if abs(number) < 100 else _WHOLE)

    def unit(self, rupiah: int) -> tuple[int, str]:
        """The greatest unit that ``rupiah`` fill, as a power of ten and a word; 0 and none below a million."""
        fitting = [(power, self.say(phrase)) for power, phrase in _MAGNITUDES if rupiah >= 10**power]
        return fitting[-1] if fitting else (0, "")

    def days(self, number: int) -> str:
        """27 hari | 27 days."""
        return format_unit(number, "duration-day", locale=self.language).replace(" ", NBSP)

    def whole_percent(self, part: Decimal, whole: Decimal) -> str:
        """``part`` of ``whole``: 42%; below one with one decimal."""
        share = _EXACT.divide(part * 100, whole)
        return self._number(share, _WHOLE if share >= 1 else _TENTH) + "%"

    def month_name(self, month: int, *, short: bool = False) -> str:
        """Desember, Des | December, Dec."""
        return str(_LOCALES[self.language].months["format"]["abbreviated" if short else "wide"][month])

    def long_time(self, time: datetime) -> str:
        """Kamis, 3 Desember 2026, 14.00 WIB | Thursday 3 December 2026, 14:00 WIB (UTC+7)."""
        local = time.astimezone(self.zone)
        weekday = _WEEKDAYS[self.language][local.weekday()]
        date = f"{local.day} {_MONTHS[self.language]['wide'][local.month]} {local.year}"
        if self.language == "id":
            return f"{weekday}, {date}, {self._clock(local)}"
        offset = f" ({_offset(local)})" if self.zone.key in _CLOCKS else ""
        return f"{weekday} {date}, {self._clock(local)}{offset}"

    def short_time(self, time: datetime) -> str:
        """3 Des 2026, 14.00 WIB | 3 Dec 2026, 14:00 WIB."""
        return f"{self.date(time)}, {self._clock(time.astimezone(self.zone))}"

    def date(self, time: datetime) -> str:
        """3 Des 2026 | 3 Dec 2026."""
        return self._day(time.astimezone(self.zone), dated=True)

    def period(self, starts: datetime | None, ends: datetime | None, *, dated: bool = True) -> tuple[str, str]:
        """When something starts and ends, each in words: 18 Nov 2026, 09.00 and 11.00, the day told once.

        The clock's name is left out, and without ``dated`` the year: a note beside the list tells them.
        """
        first, last = (time and time.astimezone(self.zone) for time in (starts, ends))
        told = "" if first is None else f"{self._day(first, dated)}, {self._hour(first)}"
        if last is None:
            return told, ""
        hour = self._hour(last)
        same_day = first is not None and first.date() == last.date()
        return told, hour if same_day else f"{self._day(last, dated)}, {hour}"

    def clock_name(self, time: datetime) -> str:
        """WIB, WITA, WIT, or the distance from UTC."""
        return _CLOCKS.get(self.zone.key) or _offset(time.astimezone(self.zone))

    def month(self, time: datetime) -> str:
        """Januari 2027 | January 2027."""
        local = time.astimezone(self.zone)
        return f"{_MONTHS[self.language]['wide'][local.month]} {local.year}"

    def months(self, starts: datetime | None, ends: datetime | None) -> tuple[str, str]:
        """The months of a plan: Desember 2026 and Januari 2027, each once."""
        first, last = (self.month(time) if time else "" for time in (starts, ends))
        return first, "" if last == first else last

    def span(self, old: datetime, new: datetime) -> str:
        """How far two times lie apart: calendar days in the zone from a day on, else hours, else minutes."""
        first, last = sorted((old.astimezone(self.zone), new.astimezone(self.zone)))
        apart = last - first
        if apart >= timedelta(days=1):
            count, unit = (last.date() - first.date()).days, "duration-day"
        elif apart >= timedelta(hours=1):
            count, unit = apart // timedelta(hours=1), "duration-hour"
        else:
            count, unit = max(apart // timedelta(minutes=1), 1), "duration-minute"
        return format_unit(count, unit, locale=self.language).replace(" ", NBSP)

    def _choose(self, pair: tuple[str, str]) -> str:
        return pair[0] if self.language == "id" else pair[1]

    def _number(self, number: Decimal, step: Decimal) -> str:
        text = f"{number.quantize(step, context=_EXACT):,f}"
        return text.translate(_INDONESIAN_MARKS) if self.language == "id" else text

    def _amount(self, money: Money, number: str) -> str:
        if money.currency == "IDR":
            return f"-Rp{number[1:]}" if number.startswith("-") else f"Rp{number}"
        return f"{plain(money.currency)}{NBSP}{number}"

    def _day(self, local: datetime, dated: bool) -> str:
        day = f"{local.day} {_MONTHS[self.language]['abbreviated'][local.month]}"
        return f"{day} {local.year}" if dated else day

    def _hour(self, local: datetime) -> str:
        return f"{local.hour:02}.{local.minute:02}" if self.language == "id" else f"{local.hour:02}:{local.minute:02}"

    def _clock(self, local: datetime) -> str:
        return f"{self._hour(local)}{NBSP}{_CLOCKS.get(self.zone.key) or _offset(local)}"


def _offset(local: datetime) -> str:
    """UTC+7, UTC-3:30, UTC."""
    minutes = round((local.utcoffset() or timedelta()).total_seconds() / 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")
