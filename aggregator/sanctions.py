"""Who is under a sanction of a blacklist (daftar hitam), by name. Pure.

A name is all that an award and a blacklist have in common, and a false match accuses a firm that did nothing: where
there is a doubt, nothing matches.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from aggregator.models import Kind, Record, Sanction, Status
from aggregator.search import fold

# Legal forms and the words for them. PD is left as it is told: Perusahaan Dagang and Perusahaan Daerah are two things.
_FORMS: dict[tuple[str, ...], str] = {
    ("pt",): "pt",
    ("p", "t"): "pt",
    ("perseroan", "terbatas"): "pt",
    ("cv",): "cv",
    ("c", "v"): "cv",
    ("commanditaire", "vennootschap"): "cv",
    ("ud",): "ud",
    ("u", "d"): "ud",
    ("usaha", "dagang"): "ud",
    ("pd",): "pd",
    ("p", "d"): "pd",
    ("fa",): "fa",
    ("firma",): "fa",
    ("koperasi",): "koperasi",
    ("kop",): "koperasi",
    ("yayasan",): "yayasan",
    ("perum",): "perum",
    ("perumda",): "perumda",
    ("bumdes",): "bumdes",
}
_FORM_NAMES = frozenset(_FORMS.values())
_OF_A_PT = frozenset({"tbk", "persero"})  # said after the name of a PT, or left out, of the same firm
_NOT_IN_FORCE = frozenset({None, Status.CANCELLED, Status.WITHDRAWN})

_JOINING = re.compile(r"['’‘`´ʼ]")
_GAPS = re.compile(r"[\W_]+")


def fold_supplier(name: str) -> str:
    """``name`` as suppliers are compared: the legal form, if it tells one, then its words. Empty where it names nobody.

    Case, spaces, punctuation, diacritics and whether the legal form stands first or last do not count: *PT. Maju Jaya*
    and *MAJU JAYA, PT* are one firm. The form itself counts: *CV Maju Jaya* is another, and *Maju Jaya* a third.
    """
    text = _JOINING.sub("", fold(name)).replace("&", " dan ")
    form, words = _split_form(_GAPS.sub(" ", text).split())
    if form is None:
        return " ".join(words)
    said_again = {form} | (_OF_A_PT if form == "pt" else frozenset())
    while words and words[-1] in said_again:
        words = words[:-1]
    while words and words[0] == form:
        words = words[1:]
    return " ".join([form, *words]) if words else ""


class Blacklist:
    """The sanctions that notices tell of, by supplier. Notices that are cancelled, withdrawn or of a status that nobody
    can tell, and sanctions without a beginning or an end, count for nothing.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._sanctions: dict[str, list[Sanction]] = defaultdict(list)
        for tender in (record.tender for record in records):
            if tender.kind is Kind.NOTICE and tender.status not in _NOT_IN_FORCE:
                for sanction in tender.sanctions:
                    if name := _fold_firm(sanction.supplier):
                        self._sanctions[name].append(sanction)

    @property
    def fingerprint(self) -> str:
        """Moves with what ``find`` finds."""
        return hashlib.blake2b(repr(sorted(self._sanctions.items(), key=str)).encode(), digest_size=8).hexdigest()

    def find(self, supplier: str | None, now: datetime) -> Sanction | None:
        """The sanction that ``supplier`` is under at the moment ``now``; of several the one that ends last.

        Of an award with a date, ``now`` is that date. A name without a legal form is nobody's alone (people share
        theirs), so it is never found.
        """
        running = [
            sanction
            for sanction in self._sanctions.get(_fold_firm(supplier or ""), ())
            if sanction.starts and sanction.ends and sanction.starts <= now < sanction.ends
        ]
        return max(running, key=_end, default=None)


def _fold_firm(name: str) -> str:
    """``fold_supplier`` of a name that tells its legal form; empty for another."""
    folded = fold_supplier(name)
    return folded if folded.partition(" ")[0] in _FORM_NAMES else ""


def _split_form(words: list[str]) -> tuple[str | None, list[str]]:
    """The legal form that ``words`` begin with, else the one they end with, and the other words."""
    for length in (2, 1):
        if form := _FORMS.get(tuple(words[:length])):
            return form, words[length:]
    for length in (2, 1):
        if form := _FORMS.get(tuple(words[-length:])):
            return form, words[:-length]
    if words and words[-1] in _OF_A_PT:  # Jasa Contoh, PT (Persero) Tbk
        form, rest = _split_form(words[:-1])
        if form == "pt":
            return form, rest
    return None, words


def _end(sanction: Sanction) -> float:
    return sanction.ends.timestamp() if sanction.ends else 0.0
