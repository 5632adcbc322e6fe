"""Whether what a source told of a tender can be kept: one poisoned row must not end the run of all others. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from aggregator.models import Money, Tender

LARGEST = 1_000_000  # bytes of a tender as it is kept; the longest schedules and lists of awards have some 100,000
MOST_COUNTED = 10**9
_MOST_POWER = 20  # of ten, of an amount


def find_unkeepable(tender: Tender) -> str | None:
    """What of ``tender`` no database, feed or export could take, in words; None where all can be kept."""
    if any(not _is_amount(money) for money in _amounts(tender)):
        return "an amount that cannot be"
    if any(not 1 < time.year < 9999 for time in _times(tender)):  # in another zone these may be of no year at all
        return "a time that cannot be"
    if not 0 <= (tender.participants or 0) <= MOST_COUNTED:
        return "a number of participants that cannot be"
    text = json.dumps(tender.as_dict(), ensure_ascii=False)
    if "\\u0000" in text.replace("\\\\", ""):  # a NUL, not a source that spells it out
        return "text with a NUL"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "text that is no Unicode"
    return f"{size} bytes, more than a tender may have" if size > LARGEST else None


def _is_amount(money: Money) -> bool:
    amount = money.amount
    return amount.is_finite() and abs(amount.adjusted()) <= _MOST_POWER and len(amount.as_tuple().digits) <= 40


def _amounts(tender: Tender) -> Iterator[Money]:
    results = (result.amount for result in (*tender.awards, *tender.contracts))
    yield from (money for money in (tender.budget, tender.value, *results) if money)


def _times(tender: Tender) -> Iterator[datetime]:
    told = [tender.published, tender.registration_deadline, tender.deadline]
    told += [time for stage in tender.milestones for time in (stage.starts, stage.ends)]
    told += [result.date for result in (*tender.awards, *tender.contracts)]
    told += [time for sanction in tender.sanctions for time in (sanction.starts, sanction.ends)]
    yield from (time for time in told if time)
