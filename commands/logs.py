"""How the program logs, on standard error: lines for people, or one JSON object a line. No secret and no control
character reaches either, whatever a source or a service has said."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import IO, Any, cast

from rich.console import Console
from rich.logging import RichHandler

from aggregator.lines import FIELDS, mask_secrets, one_line

MISTAKE = "warta: "  # how a line begins that tells a mistake
VARIABLE = "WARTA_LOG"  # what --log sets: the processes that a worker begins log as it does

_CHATTY = ("scrapy", "twisted", "alembic", "asyncio", "procrastinate", "protego", "filelock")
_BARE = re.compile(r'[^\s"=\\]+')  # a value of logfmt that needs no quotes


class LogForm(StrEnum):
    """What a log line is."""

    TEXT = "text"
    JSON = "json"


def set_up_log(form: LogForm, console: Console) -> None:
    """Has everything that is logged, and with JSON all else that goes to ``console`` (standard error), told in
    ``form``. On a terminal only warnings show: there a progress bar stands for the rest."""
    os.environ[VARIABLE] = form
    is_terminal = console.is_terminal and form is LogForm.TEXT
    handler = RichHandler(console=console, show_path=False) if is_terminal else logging.StreamHandler(sys.stderr)
    if form is LogForm.JSON:
        handler.setFormatter(JsonLines())
        console.file = cast("IO[str]", _Recorded())
        sys.excepthook = _log_crash
        logging.captureWarnings(True)
    else:
        handler.setFormatter(TextLines("%(message)s" if is_terminal else "%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING if is_terminal else logging.INFO, handlers=[handler])
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)


def find_log_form(arguments: Sequence[str]) -> LogForm:
    """What --log or else the environment asks for, on a command line that cannot be understood as a whole."""
    said = re.search(r"(?:^|\s)--log[= ](\w+)", " ".join(arguments))
    form = said[1] if said else os.environ.get(VARIABLE)
    return LogForm.JSON if form == LogForm.JSON else LogForm.TEXT


class TextLines(logging.Formatter):
    """A line a record, its fields as logfmt behind the message; the lines of a traceback are indented, so that none
    of them looks like a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = " ".join([record.message, *render_fields(getattr(record, FIELDS, {}))])
        record.message = one_line(mask_secrets(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        told = mask_secrets(super().formatException(ei))
        return "\n".join(f"    {one_line(line)}" for line in told.split("\n"))


class JsonLines(logging.Formatter):
    """A JSON object a record: time (UTC), level, logger, message, what it tells as keys, and the exception."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": mask_secrets(record.getMessage()),
            **{key: _mask(value) for key, value in getattr(record, FIELDS, {}).items()},
        }
        if record.exc_info:
            told["exception"] = mask_secrets(super().formatException(record.exc_info))
        # Only ASCII: what is escaped can neither end a line nor move a terminal's cursor.
        return json.dumps(told, default=str)


def render_fields(fields: Mapping[str, Any]) -> list[str]:
    """``key=value`` as logfmt has it, quoted where a value would not end otherwise; several texts become one."""
    return [f"{key}={_quote(value)}" for key, value in fields.items()]


def _quote(value: Any) -> str:
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _mask(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_mask(each) for each in value]
    return mask_secrets(value) if isinstance(value, str) else value


class _Recorded:
    """In the place of standard error: whatever is printed there becomes records, mistakes (`warta: …`) errors."""

    def __init__(self) -> None:
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                level = logging.ERROR if line.startswith(MISTAKE) else logging.INFO
                logging.getLogger("warta").log(level, "%s", line.removeprefix(MISTAKE))
        return len(text)

    def flush(self) -> None:
        """Nothing waits but the rest of a line."""


def _log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("warta").critical("ended by an error that is no mistake of yours", exc_info=(kind, error, trace))
