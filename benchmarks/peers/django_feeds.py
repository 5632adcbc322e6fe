"""Entries → RSS and Atom by Django's feedgenerator, in the peers' environment: prints seconds of processors a feed.

django_feeds.py FORM TIMES, with the channel and its entries as JSON on standard input; the feed itself goes to OUTPUT
where that is given.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from typing import Any

from django.conf import settings  # type: ignore[import-not-found,unused-ignore]  # not in our own environment
from django.utils import feedgenerator  # type: ignore[import-not-found,unused-ignore]

FORMS = {"rss": feedgenerator.Rss201rev2Feed, "atom": feedgenerator.Atom1Feed}


def render(form: str, channel: dict[str, Any]) -> bytes:
    """A feed of all that feedgenerator has a place for; the content in place of the summary, of which it knows one."""
    feed = FORMS[form](
        title=channel["title"],
        link=channel["page"],
        description=channel["about"],
        language=channel["language"],
        author_name=channel["author"],
        feed_url=channel["url"],
        ttl="15",
    )
    for entry in channel["entries"]:
        feed.add_item(
            title=entry["title"],
            link=entry["url"],
            description=entry["content"],
            author_name=entry["author"],
            unique_id=entry["id"],
            unique_id_is_permalink=False,
            categories=[label for _, label in entry["topics"]],
            pubdate=entry["published"],
            updateddate=entry["updated"],
        )
    written: str = feed.writeString("utf-8")
    return written.encode()


def main() -> None:
    settings.configure(USE_TZ=True)
    channel = json.load(sys.stdin)
    for entry in channel["entries"]:
        entry |= {name: datetime.fromisoformat(entry[name]) for name in ("published", "updated")}
    form, times = sys.argv[1], int(sys.argv[2])
    size = len(render(form, channel))  # once for what is read only once
    began = time.process_time()
    for _ in range(times):
        render(form, channel)
    print(json.dumps({"seconds": (time.process_time() - began) / times, "bytes": size}))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
