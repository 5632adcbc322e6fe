"""A bureau's feeds as they answer: /rss.xml, /rss1.xml and /atom.xml with the latest items, and faults of their own."""

from __future__ import annotations

from datetime import UTC, timedelta
from email.utils import format_datetime
from html import escape

from demo.messages import Request, Response
from demo.newsroom import Article, Newsroom

# What may go wrong with these feeds, by the names that server.faults.add takes.
FAULTS = {
    "html": "an HTML page where XML is due",
    "drifted": "the elements of a feed have other names",
    "external_entity": "a DOCTYPE whose entity is a file of the reader's machine",
    "bomb": "a DOCTYPE whose entities double twenty times",
    "duplicates": "the first item comes again at the end",
    "anonymous": "the first item has neither guid nor link",
    "odd_date": "dates are words",
    "empty": "no items",
}
_XML = "application/xml; charset=utf-8"
_ENTITIES = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};">' for n in range(1, 21))


class Feeds:
    """A stand-in (messages.StandIn) of one site's feeds, which show the ``size`` latest articles."""

    def __init__(self, newsroom: Newsroom, prefix: str = "/umpan", size: int = 10) -> None:
        self.newsroom = newsroom
        self.prefix = prefix
        self.size = size

    def advance(self, by: timedelta) -> None:
        self.newsroom.advance(by)

    def answer(self, request: Request) -> Response:
        render = {"/rss.xml": _render_rss, "/rss1.xml": _render_rss1, "/atom.xml": _render_atom}.get(
            request.path.removeprefix(self.prefix)
        )
        if render is None:
            return Response(b"<html><title>404</title>", "missing", 404)
        if "html" in request.faults:
            return Response(b"<!DOCTYPE html><html><title>Berita<br></html>", "feed")
        articles = [] if "empty" in request.faults else self.newsroom.newest_first()[: self.size]
        if "duplicates" in request.faults:
            articles = articles + articles[:1]
        base = f"http://{request.headers.get('host', 'localhost')}{self.prefix}"
        return Response(_spoil(render(articles, base), request.faults).encode(), "feed", type=_XML)


def _render_rss(articles: list[Article], base: str) -> str:
    items = "".join(
        f"<item><title>{escape(a.title)}</title><link>{base}/{a.slug}/</link>"
        f'<guid isPermaLink="false">{base}/?p={a.id}</guid>'
        f"<pubDate>{format_datetime(a.published)}</pubDate>"
        f"<description>Ringkas.</description><content:encoded><![CDATA[{a.body}]]></content:encoded></item>"
        for a in articles
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>BLP</title>'
        f"<link>{base}/</link><description>Berita</description>{items}</channel></rss>"
    )


def _render_rss1(articles: list[Article], base: str) -> str:
    items = "".join(
        f'<item rdf:about="{base}/?p={a.id}"><title>{escape(a.title)}</title><link>{base}/{a.slug}/</link>'
        f"<description>{escape(a.body)}</description><dc:date>{a.published.isoformat()}</dc:date></item>"
        for a in articles
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"'
        f' xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="{base}/"><title>BLP</title>'
        f"<link>{base}/</link><description>Berita</description></channel>{items}</rdf:RDF>"
    )


def _render_atom(articles: list[Article], base: str) -> str:
    entries = "".join(
        f'<entry><id>tag:blp.example.go.id,2026:{a.id}</id><title type="html">{escape(a.title)}</title>'
        f'<link href="{base}/{a.slug}/"/><updated>{a.published.astimezone(UTC).isoformat()}</updated>'
        f'<content type="html">{escape(a.body)}</content></entry>'
        for a in articles
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"><id>tag:blp</id>'
        f"<title>BLP</title><updated>2026-11-24T00:00:00Z</updated>{entries}</feed>"
    )


def _spoil(document: str, faults: frozenset[str]) -> str:
    head, _, rest = document.partition("\n")
    if "external_entity" in faults:
        rest = rest.replace("Pengumuman", "&x;").replace("<title>", "<title>&x;", 2)
        return f'{head}\n<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>{rest}'
    if "bomb" in faults:
        return f"{head}\n<!DOCTYPE rss [{_ENTITIES}]>{rest.replace('<title>', '<title>&a20;')}"
    if "drifted" in faults:
        for name, other in (("item", "berita"), ("entry", "berita")):
            rest = rest.replace(f"<{name}", f"<{other}").replace(f"</{name}>", f"</{other}>")
    if "anonymous" in faults:
        start = rest.find("<link", max(rest.find("<item"), rest.find("<entry")))
        rest = rest[:start] + rest[rest.find("<pubDate", start) :]
    if "odd_date" in faults:
        rest = rest.replace("<pubDate>", "<pubDate>kemarin ").replace("<dc:date>", "<dc:date>kemarin ")
    return f"{head}\n{rest}"
