"""Where things stand in the published tree: paths of pages, told from its top. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Literal

from aggregator.models import Kind

ENGLISH = "en/"  # the folder of the English edition
DATA = "data/"  # the folder of files for researchers

_UNFIT = re.compile(r"[^A-Za-z0-9._~-]+")
_MOST_NAME = 80
_DIGESTED = re.compile(r"-[0-9a-f]{8}$")


def tender_path(portal: str, kind: Kind, key: str) -> str:
    """The page of one tender: ``tenders/{portal}/{kind}/{key}.html``.

    A key that is no plain file name (a slash in it, a dot in front, very long) is made one, and a digest of the key
    keeps it apart from others. So it does where a key looks like such a name already, and where it has capitals, for
    there are disks to which ``A`` and ``a`` are one file.
    """
    name = _UNFIT.sub("-", key).lstrip(".-~_")[:_MOST_NAME]
    if name != key.lower() or _DIGESTED.search(name):
        name = f"{name or 'x'}-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return f"tenders/{portal}/{kind}/{name}.html"


def embed_path(feed_id: str, form: Literal["html", "json"] = "html") -> str:
    """A feed's page for frames on other sites, or the oEmbed answer that names it."""
    return f"embed/{feed_id}.{form}"
