"""What Scrapy logs of an item: which tender it is of, never what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy.http import Response
from scrapy.logformatter import LogFormatter
from twisted.python.failure import Failure

from aggregator.models import Listing, Reading

if TYPE_CHECKING:
    from scrapy import Spider
    from scrapy.logformatter import LogFormatterResult


class NamesOnly(LogFormatter):
    """Scrapy's own lines, with the name of an item in its place."""

    def scraped(self, item: Any, response: Response | Failure | None, spider: Spider) -> LogFormatterResult:
        return super().scraped(name_item(item), response, spider)

    def dropped(
        self, item: Any, exception: BaseException, response: Response | Failure | None, spider: Spider
    ) -> LogFormatterResult:
        return super().dropped(name_item(item), exception, response, spider)

    def item_error(
        self, item: Any, exception: BaseException, response: Response | Failure | None, spider: Spider
    ) -> LogFormatterResult:
        return super().item_error(name_item(item), exception, response, spider)


def name_item(item: object) -> str:
    """Which tender or list ``item`` is of; of anything else, what kind of thing it is."""
    match item:
        case Reading(tender=tender):
            return f"{tender.portal}/{tender.kind}/{tender.key}"
        case Listing(kind=kind, year=year):
            return f"list of {kind} {year}"
        case _:
            return type(item).__name__
