"""The description of the API in OpenAPI 3.1, made of Filter and the models, so that it cannot drift from them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from importlib.metadata import version
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from aggregator.config import Config
from aggregator.dictionary import TENDER_FIELDS_HELP
from aggregator.filters import FILTER_HELP, MAX_CHOICES, MAX_LIMIT, MAX_TEXT, Filter, Moment
from aggregator.models import KEY, TENDER_FIELDS, Change, Kind, Record, Release

Schema = dict[str, Any]

PAGED = tuple(FILTER_HELP)  # keys of Filter that /api/tenders takes
FOLLOWED = ("portal", "kind", "limit")  # and /api/releases

_REF = "#/components/schemas/"
_ONLY_WHERE_TOLD = {"sanctions", "sources"}
_OWN = {
    "cursor": "Where the page begins: the cursor of `next`, with the same filter and order.",
    "after": "The `last` of the answer before; 0 or nothing begins with the first release.",
    "at": "The time of the release `after`, as `next` has it: tells when another database was put in place.",
}
_ABOUT = (
    "Tenders of official Indonesian procurement portals, and every change of them. Read only, no key, no account.\n\n"
    "Amounts are decimals in strings, so that they stay exact. Follow `next` as it is: it is a query string for the "
    "same address. Send the ETag back as If-None-Match: 304 costs next to nothing. One request at a time, "
    "please, and none sooner than a minute after an answer without `more`. Titles and other texts are the sources' "
    "own words: escape them. The official source is the portal that each tender's `url` leads to."
)


def make_description(config: Config) -> Schema:
    """The OpenAPI document."""
    schemas = make_schemas()
    tender = "/tenders/{portal}/{kind}/{key}"
    identity = [_in_path("portal"), _in_path("kind"), _in_path("key")]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Warta Pengadaan, {config.publisher.name}",
            "version": version("warta-pengadaan"),
            "description": _ABOUT,
        },
        "servers": [{"url": f"{config.publisher.url}api"}],
        "paths": {
            "/tenders": _get(
                "Tenders page by page, each purchase once with what all its sources tell; of one portal alone, as "
                "that portal tells it. While others come and go, none that stays as it is is missed or told twice.",
                [*map(_in_query, PAGED), _in_query("cursor")],
                "Tenders",
                400,
            ),
            tender: _get("One tender, as its own source tells it.", identity, "Tender", 400, 404),
            f"{tender}/releases": _get(
                "All recorded changes of one tender, oldest first.", identity, "History", 400, 404
            ),
            "/releases": _get(
                "Every recorded change in the order it was kept, each with its tender as it left it, as its own "
                "source tells it. Who goes on from `last` never misses one.",
                [*map(_in_query, FOLLOWED), _in_query("after"), _in_query("at")],
                "Releases",
                400,
                410,
            ),
        },
        "components": {"schemas": schemas},
    }


def make_schemas() -> dict[str, Schema]:
    """JSON Schemas of all that the API answers, by name."""
    schemas = _read_models()
    tender = schemas.pop("Record")["properties"]
    del tender["tender"], tender["republished"]
    told = {**schemas.pop("Tender")["properties"], **tender}
    told = {name: {**told[name], "description": TENDER_FIELDS_HELP[name]} for name in TENDER_FIELDS_HELP}
    followed = {name: schema for name, schema in told.items() if name != "last_seen"}
    change = schemas["Change"]
    change["properties"] = {"field": {"type": "string", "enum": _list_fields()}, "old": {}, "new": {}}
    release = schemas["Release"]
    release["properties"]["seq"] = {"type": "integer", "description": "Its number, in the order of keeping."}
    history, states = dict(release["properties"]), {"tender": {"$ref": f"{_REF}State"}}
    return {
        **{name: _close(schema) for name, schema in schemas.items()},
        "Tender": _object(told, "One contracting process as its source announces it."),
        "State": _object(followed, "A tender as a release left it. When it was last seen moves without a release."),
        "Release": _object(history, _RELEASE_HELP),
        "Step": _object({**history, **states}, _RELEASE_HELP),
        "Tenders": _object(
            {"next": _optional("The page behind this one; null where there is none."), **_list("Tender")}
        ),
        "History": _object(_list("Release", "releases")),
        "Releases": _object(
            {
                "last": {"type": "integer", "description": "Go on with this as `after`."},
                "more": {"type": "boolean", "description": "Whether there are more already."},
                "next": {"type": "string", "format": "uri-reference", "description": "What to ask next, now or later."},
                **_list("Step", "releases"),
            }
        ),
        "Mistake": _object(
            {"error": {"type": "string"}, "parameter": {"type": ["string", "null"]}}, "What is wrong, and with which."
        ),
    }


_RELEASE_HELP = (
    "One recorded change. `tags` are OCDS releaseTags, `events` what it tells a reader. Without events it is no news: "
    "a correction, or what another source told before; without tags, too, nothing changed, but more became known. "
    "`changes` hold only what moved; the first release of a tender has none."
)


def describe_key(key: str) -> Schema:
    """The JSON Schema of one key of Filter; those that take several values are arrays."""
    hint = get_type_hints(Filter)[key]
    inner = next((each for each in get_args(hint) if each not in (type(None), ...)), hint)
    schema = _describe(key, inner)
    is_list = isinstance(Filter.__dataclass_fields__[key].default, tuple)
    return {"type": "array", "maxItems": MAX_CHOICES, "items": schema} if is_list else schema


def _describe(key: str, kind: Any) -> Schema:
    if key == "limit":
        return {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
    if key == "year":
        return {"type": "integer", "minimum": 2000, "maximum": 2100}
    if kind is bool:
        return {"type": "boolean"}
    if kind is Decimal:
        return {"type": "string", "pattern": r"^\d{1,18}(\.\d{1,2})?$", "examples": ["500000000"]}
    if kind is Moment:
        return {"type": "string", "examples": ["2026-12-03", "2026-12-03T14:00", "+7d"]}
    if issubclass(kind, StrEnum):
        return {"type": "string", "enum": list(kind)}
    return {"type": "string", "maxLength": MAX_TEXT}


def _read_models() -> dict[str, Schema]:
    """What pydantic says of the models as they are written: amounts as strings, times as RFC 3339."""
    found: dict[str, Schema] = {}
    for model in (Record, Release, Change):
        schema = TypeAdapter(model).json_schema(mode="serialization", ref_template=_REF + "{model}")
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    return found


def _list_fields() -> list[str]:
    return [name for name in TENDER_FIELDS if name != "unread"]


def _close(schema: Schema) -> Schema:
    """Every key of a written object stands in it."""
    schema = {name: value for name, value in schema.items() if name not in {"description", "title"}}
    return _object(schema["properties"]) if "properties" in schema else schema


def _object(properties: Mapping[str, Schema], description: str = "") -> Schema:
    kept = {
        name: {key: value for key, value in schema.items() if key not in {"title", "default"}}
        for name, schema in properties.items()
    }
    return {
        "type": "object",
        **({"description": description} if description else {}),
        "properties": kept,
        "required": [name for name in kept if name not in _ONLY_WHERE_TOLD],
        "additionalProperties": False,
    }


def _list(schema: str, name: str = "tenders") -> dict[str, Schema]:
    return {name: {"type": "array", "items": {"$ref": _REF + schema}}}


def _optional(description: str) -> Schema:
    return {"type": ["string", "null"], "format": "uri-reference", "description": description}


def _in_query(key: str) -> Schema:
    schema: Schema = {"type": "integer", "minimum": 0} if key == "after" else {"type": "string"}
    if key in FILTER_HELP:
        schema = describe_key(key)
    if key == "limit":
        schema["default"] = 100
    return {"name": key, "in": "query", "description": FILTER_HELP.get(key) or _OWN[key], "schema": schema}


def _in_path(name: str) -> Schema:
    schema: Schema = {"type": "string", "enum": list(Kind)} if name == "kind" else {"type": "string"}
    if name == "key":
        schema["pattern"] = f"^{KEY.pattern}$"
    return {"name": name, "in": "path", "required": True, "description": TENDER_FIELDS_HELP[name], "schema": schema}


_FAULTS = {
    400: "A parameter that cannot be used; `parameter` names it.",
    404: "There is no such tender.",
    410: "Another database was put in place of the one that told `after`: drop what you hold and begin again with 0.",
    429: "Too many requests from one address; come again after the seconds of Retry-After.",
    503: "Busy; come again after the seconds of Retry-After.",
}


def _get(told: str, parameters: Iterable[Schema], schema: str, *faults: int) -> Schema:
    def answer(description: str, name: str) -> Schema:
        return {
            "description": description,
            "content": {"application/json": {"schema": {"$ref": _REF + name}}},
        }

    answers = {str(status): answer(_FAULTS[status], "Mistake") for status in (*faults, 429, 503)}
    unchanged = {"304": {"description": "As the ETag of If-None-Match says, nothing has changed."}}
    summary, _, rest = told.partition(". ")
    operation = {
        "summary": summary.removesuffix("."),
        "description": rest,
        "operationId": f"get{schema}",
        "parameters": list(parameters),
        "responses": {"200": answer("Found.", schema), **unchanged, **answers},
    }
    return {"get": {key: value for key, value in operation.items() if value != ""}}
