"""Text of others as it may stand in a log or on a terminal: on one line, without commands to it, without secrets."""

from __future__ import annotations

import re

FIELDS = "fields"  # of a log record: what it tells as keys, as in logger.info("run", extra={FIELDS: {…}})

# C0 and C1 controls, marks that turn the direction of writing or cannot be seen, separators of lines, lone surrogates.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_PASSWORD = re.compile(r"(://[^\s/:@]*:)\S{1,300}(?=@)")  # of an address, as of a database: up to its last @
# Names are bounded, and end at the next ? or &, since lines of others' text come through here, too.
_TOKEN = re.compile(r"([?&][^\s=&?]{0,60}(?:key|token|secret|password)[^\s=&?]{0,60}=)[^\s&]+", re.I)


def one_line(text: str) -> str:
    r"""``text`` with every control character written out, as in ``\x1b`` or ``\n``."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def mask_secrets(text: str) -> str:
    """``text`` without the passwords and tokens of the addresses in it."""
    return _TOKEN.sub(r"\1***", _PASSWORD.sub(r"\1***", text))


def count(number: int, one: str, many: str = "") -> str:
    """``1 job``, ``2 jobs``, ``1,204 tenders``; ``many`` where it is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def tell_size(size: float) -> str:
    """Bytes in the largest unit that leaves a number before the point, in thousands as disks are sold."""
    units = iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while size >= 1000 and (larger := next(units, "")):
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
