"""The made-up notices of a procurement bureau, as its website or feed tells them: one every third day."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

EVERY = timedelta(days=3)
_SUBJECTS = (
    ("Pengumuman Penyedia Terpilih", "Pokja Pemilihan menetapkan penyedia untuk paket yang <b>telah</b> dievaluasi."),
    ("Jadwal Layanan Helpdesk LPSE", "Layanan verifikasi penyedia dibuka <em>Senin</em> sampai <em>Kamis</em>."),
    (
        "Bimbingan Teknis SPSE 4.5",
        "Peserta membawa laptop &amp; surat tugas.<ul><li>Hari ke-1</li><li>Hari ke-2</li></ul>",
    ),
    ("Pemeliharaan Server LPSE", "Aplikasi tidak dapat diakses pada malam hari."),
    ("Sosialisasi Katalog Elektronik &#8220;Lokal&#8221;", "Pelaku UMK diundang mendaftarkan produk."),
)
# What sites put around their text, and what nobody should ever see.
_TRIMMINGS = '<style>.x{color:red}</style><nav>Beranda Berita</nav><script>alert("pengadaan")</script>'


@dataclass(frozen=True, slots=True)
class Article:
    """One notice. ``title`` and ``body`` are HTML, ``published`` is aware."""

    id: int
    title: str
    body: str
    published: datetime
    category: int = 1

    @property
    def slug(self) -> str:
        words = re.sub(r"&#?\w+;", " ", self.title).lower()
        return re.sub(r"[^a-z0-9]+", "-", words).strip("-") + f"-{self.id}"


class Newsroom:
    """Articles, oldest first; ``now`` is the newsroom's own time, which ``advance`` moves on."""

    def __init__(self, now: datetime, articles: int = 12) -> None:
        self.now = now
        self.articles: list[Article] = []
        self._next_id = 101
        for number in range(articles):
            self.publish(at=now - EVERY * (articles - number - 1) - timedelta(hours=1))

    def advance(self, by: timedelta) -> None:
        """Moves the time on and publishes what falls due. ValueError when it would go back."""
        if by < timedelta(0):
            raise ValueError("a newsroom's time never goes back")
        self.now += by
        last = self.articles[-1].published if self.articles else self.now - EVERY
        while last + EVERY <= self.now:
            last += EVERY
            self.publish(at=last)

    def publish(self, at: datetime | None = None) -> Article:
        title, text = _SUBJECTS[self._next_id % len(_SUBJECTS)]
        article = Article(
            id=self._next_id,
            title=f"{title} {self._next_id}",
            body=f"{_TRIMMINGS}<p>{text}</p><p>Nomor {self._next_id}.</p>",
            published=(at or self.now).replace(microsecond=0),
            category=1 + self._next_id % 2,
        )
        self._next_id += 1
        self.articles.append(article)
        return article

    def edit(self, article_id: int, text: str) -> None:
        """Replaces an article's text."""
        self.articles = [replace(a, body=f"<p>{text}</p>") if a.id == article_id else a for a in self.articles]

    def delete(self, article_id: int) -> None:
        self.articles = [a for a in self.articles if a.id != article_id]

    def newest_first(self) -> list[Article]:
        return sorted(self.articles, key=lambda a: (a.published, a.id), reverse=True)
