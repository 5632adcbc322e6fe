"""A first warta.toml from four answers. Pure; config.py reads what this writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from string import Template
from urllib.parse import urlsplit

from aggregator.config import AUTHORITY, ConfigError, check_tree_address, check_web_address

STARTER = Template("""\
# Written by `warta init`. Every key is explained in docs/configuration.md; unknown keys are errors.
# Relative paths are told from the folder of this file.

[publisher]
# Who publishes, as readers see it.
name = $name
# Where the published tree is served; ends with /.
url = $url
# A name you own and a day you owned it: they make the ids of all entries. Never change either.
authority = $authority
since = "$since"
# Language of pages and feeds: id or en.
language = "id"
# A page where readers can ask.
$contact

[crawl]
# Seconds between two requests to one host; never less than its robots.txt asks.
delay = 1.0

[publish]
# The pages once more in English, below en/.
english = true

[[portal]]
# Your short name for it; part of ids and addresses, so never change it.
id = $portal
# The software it runs.
family = "spse"
# As readers see it.
name = $portal_name
url = $portal_url
# Or Asia/Makassar, Asia/Jayapura.
timezone = "Asia/Jakarta"
kinds = ["tender", "non_tender", "recorded", "self_managed", "emergency"]
# How often what is open now is read (one small page), and how often all lists are.
every = "15m"
full_every = "24h"
# Budget years: current, previous, or numbers as in 2025.
years = ["current"]

# A feed of your own, beside the shipped ones, is a filter with a title.
# [[feed]]
# id = "konstruksi-jalan"
# title = "Konstruksi jalan dan jembatan"
# filter = { status = "active", category = "works", min_value = 200_000_000, q = "jalan OR jembatan" }

# Whom to tell: of failing portals, or of a feed's new entries. The address, a secret, stands in the environment:
# WARTA_TELEGRAM=tgram://BOT_TOKEN/@channel
# [[notify]]
# id = "telegram"
# url = "env:WARTA_TELEGRAM"
# on = "failures"
""")


def render_starter(name: str, url: str, portal: str, contact: str, since: date) -> str:
    """The text of a first warta.toml. ``portal`` is a slug on spse.inaproc.id or an address.

    ConfigError naming the answer that cannot be used.
    """
    url, contact, address = url.strip(), contact.strip(), _find_address(portal.strip())
    _check("url", url, check_tree_address)
    _check("portal", address, check_web_address)
    if contact:
        _check("contact", contact, check_web_address)
    authority = (urlsplit(url).hostname or "").lower()
    if not re.fullmatch(AUTHORITY, authority):
        raise ConfigError(
            f"url: {authority!r} is no host name that you own; feeds are known by it for ever, so write the one where "
            "they will be served, as in https://blp.example.go.id/umpan/"
        )
    slug = re.sub(r"[^a-z0-9]+", "-", (urlsplit(address).path or urlsplit(address).netloc).lower()).strip("-")[:64]
    return STARTER.substitute(
        name=_quote(name),
        url=_quote(url.rstrip("/") + "/"),
        authority=_quote(authority),
        since=since.isoformat(),
        contact=f"contact = {_quote(contact)}" if contact else '# contact = "https://…"',
        portal=_quote(slug),
        portal_name=_quote(_name_portal(slug)),
        portal_url=_quote(address),
    )


def _check(answer: str, text: str, check: Callable[[str], str]) -> None:
    try:
        check(text)
    except ValueError as error:
        raise ConfigError(f"{answer}: {error}") from error


def _find_address(portal: str) -> str:
    if "://" in portal:
        return portal.rstrip("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", portal):
        raise ConfigError(
            f"portal: {portal!r} is no slug of spse.inaproc.id, as in batukota; give an address with https://"
        )
    return f"https://spse.inaproc.id/{portal}"


def _quote(text: str) -> str:
    """A TOML string; control characters are dropped."""
    return json.dumps("".join(c for c in text.strip() if c.isprintable()), ensure_ascii=False)


def _name_portal(slug: str) -> str:
    """malangkota → LPSE Kota Malang, as the portals are named; anything else keeps its slug."""
    for ending, word in (("kota", "Kota"), ("kab", "Kabupaten"), ("prov", "Provinsi")):
        if slug.endswith(ending) and slug != ending:
            return f"LPSE {word} {slug.removesuffix(ending).capitalize()}"
    return f"LPSE {slug}"
