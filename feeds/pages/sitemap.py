"""sitemap.xml (sitemaps.org) and robots.txt: which pages there are, and when what they tell changed last. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlsplit

from feeds.addresses import ENGLISH
from feeds.tree import Part

MOST_PAGES = 50_000  # in one file, by the protocol; more are listed in parts

_SCHEMA = "http://www.sitemaps.org/schemas/sitemap/0.9"
_UNLISTED = ("embed/", "kunjungan.html")  # pieces of other sites' pages, and a page for the bureau itself
# Pages about everything change with the newest of what they tell. The file's own time would not do: it moves with
# every reading of a portal, which is shown on them too.
_ABOUT_ALL = ("index.html", "paket/", "pekan-ini.html", "statistik", "feeds/index.html")

Times = Mapping[str, int | None]  # of pages by their paths, in ns since 1970; None: not known


def find_pages(parts: Mapping[str, Part]) -> dict[str, int | None]:
    """The pages to list of the files of ``parts``, by their names; each page with the time of what it tells."""
    written = {
        path: stamp[1] for name, part in parts.items() for path, stamp in part.files.items() if _is_page(name, path)
    }
    pages = {path: path.removeprefix(ENGLISH) for path in sorted(written)}
    newest = max((written[path] for path, page in pages.items() if _is_feed(page)), default=None)
    return {path: _find_time(page, written[path], newest) for path, page in pages.items()}


def _is_page(name: str, path: str) -> bool:
    """Whether it is listed: of the addresses of one purchase only its own, which names its part, in all editions."""
    page = path.removeprefix(ENGLISH)
    if not page.endswith(".html") or page.startswith(_UNLISTED):
        return False
    return not page.startswith("tenders/") or page == f"{name}.html"


def _is_feed(page: str) -> bool:
    return page.startswith("feeds/") and not page.startswith(_ABOUT_ALL)


def _find_time(page: str, own: int, newest: int | None) -> int | None:
    if page.startswith(_ABOUT_ALL):
        return newest
    return own if _is_feed(page) or page.startswith("tenders/") else None


def render_sitemap(base: str, pages: Times) -> dict[str, bytes]:
    """The files by their paths: one sitemap, or where one cannot hold all ``pages`` an index of parts.

    ``base`` is where the tree is served.
    """
    paths = list(pages)
    if len(paths) <= MOST_PAGES:
        return {"sitemap.xml": _render_urls(base, pages)}
    chunks = [paths[start : start + MOST_PAGES] for start in range(0, len(paths), MOST_PAGES)]
    parts = {f"sitemap-{number}.xml": {path: pages[path] for path in chunk} for number, chunk in enumerate(chunks, 1)}
    times = {name: max((time for time in part.values() if time), default=None) for name, part in parts.items()}
    index = _render("sitemapindex", "sitemap", base, times)
    return {"sitemap.xml": index, **{name: _render_urls(base, part) for name, part in parts.items()}}


def render_robots(base: str, editions: Iterable[str]) -> bytes:
    """Which addresses robots need not ask for: searches, of which there is no end. ``editions`` are their folders."""
    folder = urlsplit(base).path
    searches = [f"{folder}{edition}cari.html?" for edition in editions]
    lines = [
        "# Robots look for this file at the top of a host only: where the site lies in a folder, copy its lines there.",
        "User-agent: *",
        *(f"Disallow: {search}" for search in [*searches, f"{folder}feeds/search."]),
        "",
        f"Sitemap: {base}sitemap.xml",
    ]
    return ("\n".join(lines) + "\n").encode("ascii", "replace")


def _render_urls(base: str, pages: Times) -> bytes:
    return _render("urlset", "url", base, pages)


def _render(root: str, element: str, base: str, times: Times) -> bytes:
    lines = [f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_SCHEMA}">']
    for path, time in times.items():
        changed = f"<lastmod>{_tell_time(time)}</lastmod>" if time else ""
        lines.append(f"<{element}><loc>{escape(base + path)}</loc>{changed}</{element}>")
    lines.append(f"</{root}>\n")
    return "\n".join(lines).encode()


def _tell_time(time: int) -> str:
    return datetime.fromtimestamp(time // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
