"""What each field of a tender means, in English: for the description of the API and for those who use the data."""

from __future__ import annotations

from collections.abc import Mapping

TENDER_FIELDS_HELP: Mapping[str, str] = {
    "portal": "Id of the portal that tells it.",
    "kind": "What sort of announcement it is; part of its identity.",
    "key": "The source's own number (Kode paket). Portal, kind and key are its identity and never change.",
    "title": "Name of the package (Nama paket), in the source's words.",
    "description": "What is bought, where the source tells more than a title.",
    "buyer": "Institution whose budget it is (K/L/PD).",
    "procuring_entity": "Work unit that buys (Satuan Kerja).",
    "category": "OCDS mainProcurementCategory, with consulting apart.",
    "category_detail": "The source's words for the category (Jenis pengadaan).",
    "method": "OCDS procurementMethod.",
    "method_detail": "The source's words for the method (Metode).",
    "status": "OCDS tender status, as far as the source tells it; withdrawn: no longer on its portal.",
    "stage": "The source's words for how far it has come (Tahap).",
    "budget": "Pagu.",
    "value": "HPS, the buyer's own estimate.",
    "fiscal_years": "Budget years.",
    "published": "When it was announced (Tanggal Pembuatan).",
    "registration_deadline": "When registration closes (Akhir Pendaftaran).",
    "deadline": "When bids close: the upload stage of the schedule.",
    "locations": "Places of the work, in the source's words.",
    "plans": "RUP codes of its plans.",
    "retender": "Whether it repeats a tender that failed (Tender Ulang).",
    "retender_reason": "Why it is repeated.",
    "cancellation_reason": "Why it was cancelled or failed.",
    "participants": "How many registered.",
    "milestones": "Schedule (Jadwal).",
    "awards": "Winners (Pemenang); the amount is the negotiated price, else the corrected one, else the bid.",
    "contracts": "Signed contracts, or realisations of a recorded, self-managed or emergency purchase.",
    "documents": "Files that the source offers; their addresses may change at any time.",
    "sanctions": "Entries of a blacklist (Daftar Hitam); only in notices that tell some.",
    "incomplete": "Whether a page of the source that should have been read could not be had so far.",
    "url": "Its official page.",
    "first_seen": "When Warta saw it first.",
    "last_seen": "When it last stood on its portal.",
    "changed": "When its content changed last.",
    "sources": "Where several sources tell of one purchase: each of them, the most authoritative first.",
}
