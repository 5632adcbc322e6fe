"""warta.toml → objects. Every mistake is named with its line, its key and the mend."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from aggregator.filters import MAX_LIMIT, Filter, FilterError
from aggregator.models import Kind
from aggregator.quiet import QuietHours, parse_quiet
from aggregator.texts import clean

DATABASE_URL = "WARTA_DATABASE_URL"

AUTHORITY = r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"  # a host name as RFC 4151 has it

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 36_525 * 86400  # seconds of a duration
_SIZES = {"MB": 1_000_000, "GB": 1_000_000_000}
_IN_ENVIRONMENT = "env:"
_WHERE = "where"  # in the context of a mistake: where it is, from the place on that pydantic names


class ConfigError(ValueError):
    """A configuration that cannot be used. The message holds file, line, key, what is wrong and the mend."""


def parse_duration(text: object) -> timedelta:
    """``15m``, ``24h``, ``90s``, ``7d`` → timedelta. ValueError on anything else."""
    match = re.fullmatch(r"([0-9]{1,10})([smhd])", text) if isinstance(text, str) else None
    seconds = int(match[1]) * _UNITS[match[2]] if match else _LONGEST + 1
    if seconds > _LONGEST:  # what is longer leads to days that no calendar has
        wrong = "is not a duration" if match is None else "is more than a hundred years"
        raise ValueError(f"{str(text)[:40]!r} {wrong}; write a whole number and s, m, h or d, as in '15m'")
    return timedelta(seconds=seconds)


def _period(span: timedelta) -> timedelta:
    if span <= timedelta():
        raise ValueError("is no time at all, so that it would always be due; write how often it is read, as in '15m'")
    return span


def parse_size(text: object) -> int:
    """``500MB``, ``5GB`` → bytes, in thousands as disks are sold. ValueError on anything else."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})(MB|GB)", text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"{text!r} is not a size; write a whole number and MB or GB, as in '5GB'")
    return int(match[1]) * _SIZES[match[2]]


def check_web_address(text: str) -> str:
    """``text`` itself. ValueError unless it is an http or https address."""
    if any(c.isspace() for c in text):
        raise ValueError(f"{text!r} has a space in it; a web address has none")
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError(f"the address of {parts.hostname} has a name or password before its @; leave that out")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not (text.isascii() and text.isprintable()):
        raise ValueError(f"{text!r} is not a web address; write it with https:// in front")
    try:
        parts.port  # noqa: B018  # raises ValueError where it is no number
    except ValueError:
        raise ValueError(f"{text!r} has a port that is no number up to 65535") from None
    return text


def check_tree_address(text: str) -> str:
    """``text`` itself. ValueError unless addresses can be made by appending to it, save for the / at its end."""
    check_web_address(text)
    if set(text) & set("?#"):
        raise ValueError(f"{text!r} has a ? or #; feed addresses are made by appending to it, so leave that part out")
    return text


def check_name(text: str) -> str:
    """``text`` itself. ValueError where it holds what would turn or break the text around it on a page."""
    unseen = next((c for c in text if clean(c) != c), "")
    if unseen:
        raise ValueError(f"has a character in it that nobody sees, U+{ord(unseen):04X}; take it out")
    return text


def _zone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError(f"{text!r} is no time zone; Indonesia's are Asia/Jakarta, Asia/Makassar, Asia/Jayapura")
    return text


def _notify_address(secret: SecretStr) -> SecretStr:
    # What is wrong is told without the address: whoever has it can write to the channel.
    if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*|[A-Za-z][A-Za-z0-9+.-]*://\S+", secret.get_secret_value()):
        raise ValueError("is no address for apprise; write one as in 'tgram://…', or 'env:NAME' if NAME holds it")
    return secret


def _year(value: int | str) -> int | str:
    if isinstance(value, int) and 2000 <= value <= 2100:
        return value
    if value in {"current", "previous"}:
        return value
    raise ValueError(f"{value!r} is no year; write a year as in 2026, or 'current' or 'previous'")


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Period = Annotated[Duration, AfterValidator(_period)]
Size = Annotated[int, BeforeValidator(parse_size)]
WebAddress = Annotated[str, AfterValidator(check_web_address)]
TreeAddress = Annotated[str, AfterValidator(check_tree_address)]
Name = Annotated[str, AfterValidator(check_name)]
Zone = Annotated[str, AfterValidator(_zone)]
NotifyAddress = Annotated[SecretStr, AfterValidator(_notify_address)]
Year = Annotated[int | str, AfterValidator(_year)]
Quiet = Annotated[InstanceOf[QuietHours], BeforeValidator(parse_quiet)]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Publisher(_Table):
    """Who publishes the feeds. ``authority`` and ``since`` make the tag: ids (RFC 4151) and must never change.

    ``license``, ``publication_policy`` and a registered ``ocid_prefix`` are for exports in OCDS.
    """

    name: Name = Field(min_length=1)
    url: TreeAddress
    authority: str = Field(pattern=AUTHORITY)
    since: date
    language: Literal["id", "en"] = "id"
    contact: WebAddress | None = None
    timezone: Zone = "Asia/Jakarta"
    place: Name = ""
    license: WebAddress | None = None
    publication_policy: WebAddress | None = None
    ocid_prefix: str | None = Field(default=None, pattern=r"^ocds-[a-z0-9]{6}$")

    @model_validator(mode="after")
    def _url_ends_with_slash(self) -> Self:
        if not self.url.endswith("/"):
            raise ValueError("url must end with '/', since feed addresses are made by appending to it")
        return self


class Crawl(_Table):
    """How politely to crawl. ``delay`` in seconds between two requests to one host, never less. In the hours of
    ``quiet``, in the publisher's zone, no run is begun that is not asked for by hand.

    Of the raw archive go whole segments older than ``archive_keep``, and the oldest while it is over ``archive_size``.
    """

    user_agent: str | None = Field(default=None, pattern=r"^Mozilla/[\x20-\x7e]+$")
    delay: float = Field(default=1.0, ge=0, le=600)
    quiet: Quiet = QuietHours()
    archive: Path = Path("var/archive")
    archive_keep: Duration | None = None
    archive_size: Size = 10 * _SIZES["GB"]


class Database(_Table):
    url: str = "sqlite:///var/warta.db"


class Publish(_Table):
    """``english`` publishes the pages a second time, in English, below ``en/``; feeds have the publisher's language."""

    directory: Path = Path("var/public")
    hub: Annotated[WebAddress | None, BeforeValidator(lambda text: text or None)] = None  # "" is as if absent
    english: bool = False


class Portal(_Table):
    """One official web source. ``options`` are the family's own settings, checked by the family.

    In a ``Config``, ``quiet`` is that of [crawl] where the portal has none of its own. ``ca`` is a PEM file of
    authorities that this portal alone is believed by; ``private``: its host may lead into a private network.
    """

    id: Id
    family: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: Name = Field(min_length=1)
    url: WebAddress
    timezone: Zone = "Asia/Jakarta"
    kinds: tuple[Kind, ...] = ()
    every: Period = timedelta(minutes=15)
    full_every: Period = timedelta(hours=24)
    refresh: Duration = timedelta(hours=6)
    years: tuple[Year, ...] = ("current",)
    delay: float | None = Field(default=None, ge=0, le=600)
    quiet: Quiet = QuietHours()
    enabled: bool = True
    ca: Path | None = None
    private: bool = False
    options: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def host(self) -> str:
        """Host and port: what politeness and leases are counted by, so one host has one spelling."""
        parts = urlsplit(self.url)
        usual = ":443" if parts.scheme == "https" else ":80"
        return parts.netloc.rpartition("@")[2].lower().removesuffix(usual)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def fiscal_years(self, now: datetime) -> tuple[int, ...]:
        """``years`` with *current* and *previous* told in the portal's own zone at ``now``."""
        this = now.astimezone(self.zone).year
        words = {"current": this, "previous": this - 1}
        return tuple(dict.fromkeys(words[y] if isinstance(y, str) else y for y in self.years))


class FeedTable(_Table):
    """A feed of the bureau's own, beside the shipped ones."""

    id: Id
    title: Name = Field(min_length=1, max_length=200)
    description: Name = ""
    kind: Literal["tenders", "changes"] = "tenders"
    filter: Filter = Filter()

    @model_validator(mode="before")
    @classmethod
    def _read_filter(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("filter"), dict):
            try:
                return {**value, "filter": Filter.parse(value["filter"], most=MAX_LIMIT)}
            except FilterError as error:
                raise ValueError(f"filter: {error}") from error
        return value

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Notify(_Table):
    """A channel that is told of failing portals (``on``) or of a feed's new entries (``feed``), in full of ``most``.

    ``url`` is an address that apprise knows, or ``env:NAME`` where the environment holds it.
    """

    id: Id
    url: NotifyAddress
    on: Literal["failures"] | None = None
    feed: Id | None = None
    language: Literal["id", "en"] | None = None
    most: int = Field(default=10, ge=1, le=50)

    @model_validator(mode="after")
    def _tells_one_thing(self) -> Self:
        if (self.on is None) == (self.feed is None):
            raise ValueError('tells of one thing: write either on = "failures" or feed = and the id of a feed')
        return self

    @property
    def shown_url(self) -> str:
        """``env:NAME``, or no more of the address than its scheme: which part of it is secret only apprise knows."""
        url = self.url.get_secret_value()
        return url if url.startswith(_IN_ENVIRONMENT) else f"{url.partition('://')[0]}://…"

    def load_url(self) -> str:
        """The address itself, a secret. ConfigError where the environment should hold it and does not."""
        url = self.url.get_secret_value()
        if not url.startswith(_IN_ENVIRONMENT):
            return url
        name = url.removeprefix(_IN_ENVIRONMENT)
        if not (found := os.environ.get(name, "").strip()):
            raise ConfigError(f"url: the environment has no {name}; set it to the channel's address")
        return found


_Named = Portal | FeedTable | Notify


class Config(_Table):
    """The whole of warta.toml. ``folder`` is where the file lies; paths are made absolute against it."""

    publisher: Publisher
    crawl: Crawl = Crawl()
    database: Database = Database()
    publish: Publish = Publish()
    portal: tuple[Portal, ...] = ()
    feed: tuple[FeedTable, ...] = ()
    notify: tuple[Notify, ...] = ()
    folder: Path = Path()

    @field_validator("portal", mode="after")
    @classmethod
    def _resolve_quiet(cls, portals: tuple[Portal, ...], info: ValidationInfo) -> tuple[Portal, ...]:
        if not {"publisher", "crawl"} <= info.data.keys():
            return portals  # they are wrong, and told as such
        common, zone = info.data["crawl"].quiet, ZoneInfo(info.data["publisher"].timezone)
        quiets = (portal.quiet if "quiet" in portal.model_fields_set else common for portal in portals)
        return tuple(
            portal.model_copy(update={"quiet": replace(quiet, zone=zone)})
            for portal, quiet in zip(portals, quiets, strict=True)
        )

    @field_validator("portal", "feed", "notify", mode="after")
    @classmethod
    def _ids_once(cls, rows: tuple[_Named, ...]) -> tuple[_Named, ...]:
        seen: set[str] = set()
        for number, row in enumerate(rows):
            if row.id in seen:
                told = {"id": row.id, _WHERE: (number, "id")}
                raise PydanticCustomError("twice", "'{id}' stands twice; give each its own", told)
            seen.add(row.id)
        return rows

    def find_portal(self, portal_id: str) -> Portal:
        """ConfigError naming the known ids when there is no such portal."""
        for portal in self.portal:
            if portal.id == portal_id:
                return portal
        known = ", ".join(p.id for p in self.portal) or "none"
        raise ConfigError(f"no portal {portal_id!r} in the configuration; it has: {known}")

    @property
    def user_agent(self) -> str:
        """Honest, with an address to complain to; SPSE answers 403 to agents not beginning with Mozilla/."""
        return self.crawl.user_agent or f"Mozilla/5.0 (compatible; WartaPengadaan/1.0; +{self.publisher.url})"

    @property
    def archive_folder(self) -> Path:
        return self.folder / self.crawl.archive

    @property
    def public_folder(self) -> Path:
        return self.folder / self.publish.directory

    def find_authority(self, portal: Portal) -> Path | None:
        """The file of certificates that ``portal`` names as its ``ca``."""
        return self.folder / portal.ca if portal.ca else None

    @property
    def lock_folder(self) -> Path:
        """Where host locks lie: beside the archive, so that all runs of one configuration share them."""
        return self.archive_folder.parent / "locks"

    @property
    def database_url(self) -> str:
        """WARTA_DATABASE_URL, else ``database.url``, as ``locate_database`` has it."""
        return self.locate_database(os.environ.get(DATABASE_URL) or self.database.url)

    def locate_database(self, url: str) -> str:
        """``url``; a relative SQLite path is told from ``folder``."""
        prefix = "sqlite:///"
        if url.startswith(prefix) and not url.startswith(prefix + "/") and url not in {prefix, prefix + ":memory:"}:
            return prefix + str(self.folder / url.removeprefix(prefix))
        return url


def load_config(path: Path) -> Config:
    """Reads a warta.toml. ConfigError when it is missing, no TOML, or says something that cannot be."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; make one with 'warta init', or name it with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {why}") from error
    return parse_config(text, path)


def parse_config(text: str, path: Path) -> Config:
    """Pure part of ``load_config``: ``path`` names the file in messages and gives ``folder``."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    if "folder" in tables:
        raise ConfigError(f"{path}:{_line_of(text, ('folder',))}: folder: unknown key; remove it")
    try:
        return Config.model_validate({**tables, "folder": path.absolute().parent})
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(text, path, e) for e in error.errors())) from None


def _explain(text: str, path: Path, error: Any) -> str:
    where = (*error["loc"], *error.get("ctx", {}).get(_WHERE, ()))
    key = ".".join(str(part + 1) if isinstance(part, int) else str(part) for part in where) or "the file"
    return f"{path}:{_line_of(text, where)}: {key}: {_MENDS.get(error['type'], _own_words)(error)}"


def _own_words(error: Any) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


_MENDS: dict[str, Callable[[Any], str]] = {
    "extra_forbidden": lambda e: "unknown key; check its spelling or remove it",
    "missing": lambda e: "is missing; add it",
    "enum": lambda e: f"{e['input']!r} is not one of {e['ctx']['expected']}",
    "literal_error": lambda e: f"{e['input']!r} is not one of {e['ctx']['expected']}",
    "string_pattern_mismatch": lambda e: f"{e['input']!r} must match {e['ctx']['pattern']}",
}


def _line_of(text: str, where: Sequence[str | int]) -> int:
    """The line that ``where`` (a pydantic location) stands on, or the line of the nearest thing around it."""
    lines = text.splitlines()
    names = [part for part in where if isinstance(part, str)]
    index = next((part for part in where if isinstance(part, int)), 0)
    if not names:
        return 1
    head = re.compile(rf"\s*(\[\[\s*{re.escape(names[0])}\s*\]\]|\[\s*{re.escape(names[0])}\s*\])")
    heads = [n for n, line in enumerate(lines) if head.match(line)]
    start = heads[index] if index < len(heads) else 0
    if len(names) > 1:
        for n in range(start + 1 if heads else 0, len(lines)):
            if re.match(r"\s*\[", lines[n]):
                break
            if re.match(rf"\s*\"?{re.escape(names[1])}\"?\s*=", lines[n]):
                return n + 1
    elif not heads:
        for n, line in enumerate(lines):
            if re.match(rf"\s*\"?{re.escape(names[0])}\"?\s*=", line):
                return n + 1
    return start + 1
