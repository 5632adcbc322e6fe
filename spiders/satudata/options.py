"""``options`` of a portal of this family: which of LKPP's three interfaces is asked, and for whose data. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from aggregator.config import ConfigError, Portal
from aggregator.models import Kind

ServiceName = Literal[
    "SPSE-TenderPengumuman",
    "SPSE-TenderSelesaiNilai",
    "RUP-PaketPenyedia-Terumumkan",
    "RUP-PaketSwakelola-Terumumkan",
]
GatewayPath = Literal[
    "tender/pengumuman",
    "tender/tender-selesai-nilai",
    "rup/paket-penyedia-terumumkan",
    "rup/paket-swakelola-terumumkan",
]
# The gateway's paths answer the rows of the keyed services that came before them.
PATHS: Mapping[str, ServiceName] = {
    "tender/pengumuman": "SPSE-TenderPengumuman",
    "tender/tender-selesai-nilai": "SPSE-TenderSelesaiNilai",
    "rup/paket-penyedia-terumumkan": "RUP-PaketPenyedia-Terumumkan",
    "rup/paket-swakelola-terumumkan": "RUP-PaketSwakelola-Terumumkan",
}
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{2,63}$")]
KLPD_CODE = re.compile(r"[A-Z]{1,4}\d{1,6}")
KlpdCode = Annotated[str, Field(pattern=r"^[A-Z]{1,4}\d{1,6}$")]

_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{8,4096}")  # RFC 6750's b68token; a uuid is one, too


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OpenOptions(_Table):
    """The services without a key. ``lpse`` (a name) or ``kd_lpse`` (its number): whose tenders; ``klpd`` (a code as
    D170, or a name): whose blacklist. ``page``: where readers find a tender, with ``{key}`` in it."""

    api: Literal["open"]
    lpse: str | None = Field(default=None, min_length=1)
    kd_lpse: int | None = Field(default=None, ge=1)
    klpd: str | None = Field(default=None, min_length=1)
    page: str | None = Field(default=None, pattern=r"^https?://[^\s{}]+\{key\}[^\s{}]*$")

    @model_validator(mode="after")
    def _names_someone(self) -> Self:
        if self.lpse and self.kd_lpse:
            raise ValueError("name the LPSE by lpse or by kd_lpse, not by both")
        if not (self.lpse or self.kd_lpse or self.klpd):
            raise ValueError("name whose data to read: lpse or kd_lpse for tenders, klpd for the blacklist")
        return self


class Service(_Table):
    """One keyed service. ``uuid_env`` names the environment variable that holds its uuid, ``number`` stands behind
    that in the address; ``code`` is a kd_lpse or, for plans, a kd_klpd. ``type`` where LKPP issued another than
    usual."""

    service: ServiceName
    uuid_env: EnvironmentName
    number: int = Field(ge=1)
    code: str = Field(pattern=r"^[A-Z]{0,4}\d{1,6}$")
    type: str | None = Field(default=None, pattern=r"^\d{1,2}(:\d{1,2})?$")

    @property
    def parameter_type(self) -> str:
        """4:4, a year and a kd_lpse, or 4:12, a year and a kd_klpd (SOURCES: tipe)."""
        return self.type or ("4:12" if self.service.startswith("RUP-") else "4:4")


class IsbOptions(Service):
    """The first service with its ``api``; ``also`` are more that tell of the same packages."""

    api: Literal["isb"]
    also: tuple[Service, ...] = ()
    page: str | None = Field(default=None, pattern=r"^https?://[^\s{}]+\{key\}[^\s{}]*$")

    @property
    def services(self) -> tuple[Service, ...]:
        return (self, *self.also)


class GatewayOptions(_Table):
    """The gateway. ``path`` and those of ``also`` are read; ``token_env`` names the variable with the token.

    ``limit`` is the number of rows asked for at a time.
    """

    api: Literal["gateway"]
    path: GatewayPath
    also: tuple[GatewayPath, ...] = ()
    kode_klpd: KlpdCode
    token_env: EnvironmentName = "WARTA_INAPROC_TOKEN"  # noqa: S105 # a variable's name, no token
    limit: int = Field(default=1000, ge=1, le=1000)
    page: str | None = Field(default=None, pattern=r"^https?://[^\s{}]+\{key\}[^\s{}]*$")

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path, *self.also)


Options = OpenOptions | IsbOptions | GatewayOptions
_ADAPTER: TypeAdapter[Options] = TypeAdapter(Annotated[Options, Field(discriminator="api")])


def load_options(portal: Portal) -> Options:
    """The portal's ``options``, checked. ConfigError names the key and what is wrong with it."""
    try:
        return _ADAPTER.validate_python(dict(portal.options))
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"].startswith("union_tag"):
            raise ConfigError(f"portal {portal.id}: options.api: choose from open, isb, gateway") from None
        key = ".".join(("options", *map(str, first["loc"][1:])))  # the first part is the api
        words = "unknown key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"portal {portal.id}: {key}: {words}") from None


def find_secrets(options: Options) -> tuple[str, ...]:
    """Names of the environment variables that hold keys of these options."""
    match options:
        case OpenOptions():
            return ()
        case IsbOptions():
            return tuple(dict.fromkeys(service.uuid_env for service in options.services))
        case GatewayOptions():
            return (options.token_env,)


def check_secrets(portal: Portal, names: tuple[str, ...]) -> None:
    """ConfigError naming the variable that is missing or holds what cannot be a key; never what it holds."""
    for name in names:
        value = os.environ.get(name, "")
        if not value:
            raise ConfigError(f"portal {portal.id}: the environment has no {name}; set it to the key that LKPP issued")
        if not _SECRET.fullmatch(value):
            raise ConfigError(f"portal {portal.id}: what the environment has as {name} cannot be a key")


def find_kinds(options: Options) -> tuple[Kind, ...]:
    """What these options can tell of."""
    match options:
        case OpenOptions():
            tenders = (Kind.TENDER,) if options.lpse or options.kd_lpse else ()
            return (*tenders, *((Kind.NOTICE,) if options.klpd else ()))
        case IsbOptions():
            names: tuple[str, ...] = tuple(service.service for service in options.services)
        case GatewayOptions():
            names = tuple(PATHS[path] for path in options.paths)
    return tuple(dict.fromkeys(Kind.PLAN if name.startswith("RUP-") else Kind.TENDER for name in names))
