"""What a tender's page says to search engines: schema.org as JSON-LD, in a block of data that no policy runs. Pure.

A call for bids is a Demand: what somebody announces that they seek. Its seller is the one who won.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from aggregator.models import Category, Kind, Money, Tender
from feeds.pages.site import Site
from feeds.words.text import clip, plain

_MOST_TEXT = 200
_MOST_ITEMS = 5
_UNSAFE = "<>&\u2028\u2029"  # would end the block or a line of it


def describe_page(
    site: Site, tender: Tender, title: str, about: str, official: str, path: str, crumbs: Sequence[tuple[str, str]]
) -> Markup:
    """The page at ``path`` as JSON-LD, escaped for a script element; ``crumbs`` are labels and queries."""
    publisher = site.config.publisher
    base = f"{publisher.url}{site.prefix}"
    named = [(site.config.publisher.name, f"{base}index.html"), *((name, f"{base}cari.html?{q}") for name, q in crumbs)]
    page = {
        "@context": "https://schema.org",
        "@type": "WebPage",
        "url": f"{base}{path}",
        "name": title,
        "description": about,
        "inLanguage": publisher.language,
        "isBasedOn": official,
        "publisher": {"@type": "GovernmentOrganization", "name": plain(publisher.name), "url": publisher.url},
        "breadcrumb": {
            "@type": "BreadcrumbList",
            "itemListElement": [
                {"@type": "ListItem", "position": place, "name": name, "item": url}
                for place, (name, url) in enumerate(named, 1)
            ],
        },
        "mainEntity": _describe(tender, title, official),
    }
    told = json.dumps(_without_empty(page), ensure_ascii=False, separators=(",", ":"))
    for mark in _UNSAFE:  # JSON reads them back from their escapes
        told = told.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(told)  # noqa: S704 # nosec B704 # no mark of HTML is left in it


def _describe(tender: Tender, title: str, official: str) -> Mapping[str, Any]:
    if tender.kind in {Kind.NEWS, Kind.NOTICE}:
        return {
            "@type": "NewsArticle",
            "headline": clip(title, 110),
            "url": official,
            "datePublished": _time(tender.published),
        }
    body = plain(tender.procuring_entity or tender.buyer or "")
    return {
        "@type": "Demand",
        "identifier": tender.key,
        "name": title,
        "url": official,
        "availabilityStarts": _time(tender.published),
        "availabilityEnds": _time(tender.deadline or tender.registration_deadline),
        "priceSpecification": _price(tender.value or tender.budget),
        "areaServed": [clip(plain(place), _MOST_TEXT) for place in tender.locations[:_MOST_ITEMS]],
        "itemOffered": {
            "@type": "Product" if tender.category is Category.GOODS else "Service",
            "name": title,
            "category": clip(plain(tender.category_detail or ""), _MOST_TEXT) or tender.category,
            # Who the goods or services are for.
            "audience": {"@type": "Audience", "name": clip(body, _MOST_TEXT)} if body else None,
        },
        "seller": [
            {"@type": "Organization", "name": clip(plain(award.supplier), _MOST_TEXT)}
            for award in tender.awards[:_MOST_ITEMS]
            if award.supplier
        ],
    }


def _price(money: Money | None) -> Mapping[str, Any] | None:
    if money is None:
        return None
    return {"@type": "PriceSpecification", "price": str(money.amount), "priceCurrency": plain(money.currency)}


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty(part) for key, part in value.items() if part not in (None, "", [])}
    return [_without_empty(part) for part in value] if isinstance(value, list) else value
