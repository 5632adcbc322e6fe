"""The spider of the three interfaces: a year's lists are read whole, and what is new or different in them is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

from scrapy.settings import BaseSettings

from aggregator.config import ConfigError, Portal
from aggregator.models import Kind, Listing, Reading, Status
from aggregator.verdicts import Problem
from spiders.portal import PortalSpider, Stop, Unavailable
from spiders.reading import ShapeError
from spiders.satudata.gateway import Cursor, parse_envelope
from spiders.satudata.masters import find_code, fold_name, parse_master
from spiders.satudata.options import (
    KLPD_CODE,
    PATHS,
    GatewayOptions,
    IsbOptions,
    OpenOptions,
    Service,
    check_secrets,
    find_kinds,
    find_secrets,
    load_options,
)
from spiders.satudata.rows import Context, Page, Row, parse_array
from spiders.satudata.sanctions import parse_sanctions
from spiders.satudata.services import PLAN_PAGES, VALUES, merge_values, parse_rows
from spiders.satudata.tenders import parse_tenders

MAX_SIZE = 200 * 1024 * 1024  # bytes: a service answers a year of plans at once, some 1.5 kB each

_GATEWAY_WORDS = {
    400: "the gateway refuses the question; check kode_klpd and the year",
    401: "the gateway does not know the token; it may have expired",
    403: "the token may not read this, or not from this machine",
}


class SatuDataSpider(PortalSpider):
    """What LKPP republishes of an LPSE or a body. Both sweeps read whole lists: there is nothing smaller."""

    name = "satudata"
    kinds = (Kind.TENDER, Kind.PLAN, Kind.NOTICE)
    secrets: tuple[str, ...] = ()  # names of environment variables; see secrecy.py

    @classmethod
    def check_options(cls, portal: Portal) -> None:
        load_options(portal)

    @classmethod
    def update_settings(cls, settings: BaseSettings) -> None:
        super().update_settings(settings)
        settings.set("DOWNLOAD_MAXSIZE", MAX_SIZE, priority="spider")

    async def visit(self) -> AsyncIterator[Reading | Listing]:
        options = load_options(self.portal)
        secrets = find_secrets(options)
        if self.crawler.settings.get("WARTA_SNAPSHOTS") is None:  # a replay needs no keys
            check_secrets(self.portal, secrets)
        self.secrets = secrets
        able = find_kinds(options)
        if wrong := [kind for kind in self.task.kinds if kind not in able]:
            raise ConfigError(f"portal {self.portal.id}: these options tell of {', '.join(able)}, not of {wrong[0]}")
        self._wanted = self.task.kinds or able
        match options:
            case OpenOptions():
                read = self._read_open(options)
            case IsbOptions():
                read = self._read_keyed(options)
            case GatewayOptions():
                read = self._read_gateway(options)
        async for item in read:
            yield item

    # The three interfaces ----------------------------------------------------------------------------

    async def _read_open(self, options: OpenOptions) -> AsyncIterator[Reading | Listing]:
        if Kind.TENDER in self._wanted:
            code = str(options.kd_lpse or await self._find_code("lpse", options.lpse or ""))
            of = {"kd_lpse": code, **({"lpse": options.lpse} if options.lpse else {})}
            for year in self.task.years:
                url = self._url(f"TenderUmumPublik/{year}/{code}")
                rows = _Rows(Kind.TENDER, year, of, f"TenderUmumPublik {year}")
                context = self._context(year, options.page or url)
                async for item in self._tell(rows, [partial(self._read_list, rows, url, parse_tenders, context)]):
                    yield item
        if Kind.NOTICE in self._wanted and options.klpd:
            code = options.klpd
            if not KLPD_CODE.fullmatch(code):
                code = await self._find_code("klpd", code)
            for year in self.task.years:
                url = self._url(f"SanksiDaftarHitam/{year}/{code}")
                rows = _Rows(Kind.NOTICE, year, {"kd_klpd": code}, f"SanksiDaftarHitam {year}")
                context = self._context(year, url)
                async for item in self._tell(rows, [partial(self._read_list, rows, url, parse_sanctions, context)]):
                    yield item

    async def _read_keyed(self, options: IsbOptions) -> AsyncIterator[Reading | Listing]:
        for kind in self._wanted:
            services = [each for each in options.services if _kind_of(each.service) is kind]
            for year in self.task.years:
                rows = _Rows(kind, year, {}, f"{services[0].service} {year}")
                steps = [partial(self._read_service, rows, each, options.page) for each in _in_order(services)]
                async for item in self._tell(rows, steps):
                    yield item

    async def _read_gateway(self, options: GatewayOptions) -> AsyncIterator[Reading | Listing]:
        for kind in self._wanted:
            paths = [path for path in options.paths if _kind_of(PATHS[path]) is kind]
            paths.sort(key=lambda path: PATHS[path] == VALUES)
            for year in self.task.years:
                rows = _Rows(kind, year, {"kd_klpd": options.kode_klpd}, f"{paths[0]} {year}")
                steps = [partial(self._read_path, rows, path, options) for path in paths]
                async for item in self._tell(rows, steps):
                    yield item

    async def _find_code(self, what: str, name: str) -> str:
        """The code that a name has in MasterLPSE or MasterKLPD. ConfigError when there is not just one."""
        response = await self.fetch(self._url(f"Master{what.upper()}"))
        try:
            return find_code(parse_master(response.body, what), name, "kd_lpse" if what == "lpse" else "klpd")
        except ConfigError as mistake:
            raise ConfigError(f"portal {self.portal.id}: options.{what}: {mistake}") from None

    # One year ----------------------------------------------------------------------------------------

    async def _tell(self, rows: _Rows, steps: list[Any]) -> AsyncIterator[Reading | Listing]:
        """Takes the steps, each of which adds to ``rows``; then what is new or different, and the listing."""
        whole = self.task.limit is None
        for step in steps:
            try:
                await step()
            except (Unavailable, ShapeError) as error:
                self.give_up("listing", rows.what, error)
                whole = False
                break
            except Stop:
                for item in self._items(rows):
                    yield item
                raise
        for item in self._items(rows):
            yield item
        if whole and not rows.problems:
            yield Listing(kind=rows.kind, year=rows.year, complete=True)

    def _items(self, rows: _Rows) -> Iterator[Reading | Listing]:
        for problem in rows.problems:
            self.tally.report(problem)
        kept = list(rows.kept.values())[: self.task.limit]
        for row in kept:
            if self._is_news(row):
                for text in row.unknown:
                    self.tally.report(Problem("unknown_label", text, row.key))
                yield Reading(tender=row.tender, row=row.fingerprint, republished=True)
        yield Listing(kind=rows.kind, year=rows.year, keys=tuple(row.key for row in kept))

    def _is_news(self, row: Row) -> bool:
        """New, different, or open as it is stored while its time has passed."""
        known = self.task.known.get((row.tender.kind, row.key))
        if known is None or known.row != row.fingerprint:
            return True
        return known.active and row.tender.status is not Status.ACTIVE

    async def _read_list(self, rows: _Rows, url: str, parse: Any, context: Context) -> None:
        """An open service: one answer is the whole list."""
        rows.add(parse((await self.fetch(url)).body, context))

    async def _read_service(self, rows: _Rows, service: Service, page: str | None) -> None:
        tail = f"{service.number}/{service.service}/tipe/{service.parameter_type}"
        url = self._url(f"{service.uuid_env}/json/{tail}/parameter/{rows.year}:{service.code}")
        found = parse_array((await self.fetch(url)).body)
        name = "kd_lpse" if service.code.isdigit() else "kd_klpd"
        context = self._context(rows.year, self._page(service.service, page))
        rows.add_service(service.service, parse_rows(found, service.service, context), {name: service.code})

    async def _read_path(self, rows: _Rows, path: str, options: GatewayOptions) -> None:
        """All pages of a path. Where they break off, what came is told, but for values: half of them would look as if
        the other half had been taken back."""
        cursor, service = Cursor(), PATHS[path]
        try:
            await self._read_pages(cursor, rows.year, path, options)
        except (Unavailable, ShapeError, Stop):
            if service != VALUES and cursor.rows:
                with suppress(ShapeError):  # what broke the pages off is what is told
                    self._add_rows(rows, cursor, path, options)
            raise
        if cursor.ended or (service != VALUES and cursor.rows):
            self._add_rows(rows, cursor, path, options)

    def _add_rows(self, rows: _Rows, cursor: Cursor, path: str, options: GatewayOptions) -> None:
        rows.problems += cursor.problems(path)
        context = self._context(rows.year, self._page(PATHS[path], options.page))
        rows.add_service(PATHS[path], parse_rows(cursor.rows, PATHS[path], context), {})

    async def _read_pages(self, cursor: Cursor, year: int, path: str, options: GatewayOptions) -> None:
        """Page after page, until the gateway says that there is no more, or as many rows have come as are wanted."""
        headers = {"Authorization": f"Bearer {options.token_env}", "Accept": "application/json"}
        most = self.task.limit
        while most is None or len(cursor.rows) < most:
            query = {"kode_klpd": options.kode_klpd, "tahun": year, "limit": min(options.limit, most or options.limit)}
            if cursor.at:
                query["cursor"] = cursor.at
            try:
                response = await self.fetch(self._url(f"{path}?{urlencode(query)}"), headers=headers)
            except Unavailable as error:
                words = _GATEWAY_WORDS.get(error.status)
                raise Unavailable(f"{error}: {words}", status=error.status) if words else error from None
            if cursor.take(parse_envelope(response.body)):
                break

    def _context(self, year: int, page: str) -> Context:
        return Context(portal=self.portal.id, zone=self.portal.zone, now=self.task.now, year=year, page=page)

    def _page(self, service: str, page: str | None) -> str:
        """Where readers find a package: SiRUP's page of a plan; of a tender what is configured, else the source."""
        return PLAN_PAGES.get(service) or page or self.portal.url

    def _url(self, path: str) -> str:
        return f"{self.portal.url.rstrip('/')}/{path}"


def _kind_of(service: str) -> Kind:
    return Kind.PLAN if service.startswith("RUP-") else Kind.TENDER


def _in_order(services: list[Service]) -> list[Service]:
    """The values last: they are added to tenders that are read before them."""
    return sorted(services, key=lambda each: each.service == VALUES)


@dataclass(slots=True)
class _Rows:
    """The rows of one kind and year, as far as they keep the contract: of whom they were asked for, each once."""

    kind: Kind
    year: int
    of: Mapping[str, str]
    what: str
    kept: dict[str, Row] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    announced: bool = False

    def add_service(self, service: str, page: Page, of: Mapping[str, str]) -> None:
        """Rows of a keyed service. Values go into the tenders announced before, where there are such."""
        self.of = {**self.of, **of}
        if service != VALUES or not self.announced:
            self.announced = service != VALUES
            self.add(page)
            return
        values = _Rows(self.kind, self.year, self.of, f"{service} {self.year}")
        values.add(page)
        self.problems += values.problems
        for key, row in self.kept.items():
            self.kept[key] = merge_values(row, values.kept.get(key))
        for key in values.kept.keys() - self.kept.keys():
            self._report("short", f"{values.what} tells of tenders that are not announced", key)

    def add(self, page: Page) -> None:
        for error in page.wrong:
            self._report("shape", f"{self.what}: {error}", error.sample)
        for key in page.twice:
            self._report("duplicate_key", f"{self.what}: a row stands twice", key)
        for row in page.rows:
            if row.key in self.kept:
                self._report("duplicate_key", f"{self.what}: a key stands twice", row.key)
            elif other := next((f"{n} {row.of[n]}" for n in self.of if not self._is_of(row, n)), None):
                self._report("filter", f"{self.what}: rows of another owner left out", f"{row.key} of {other}")
            elif row.years and self.year not in row.years:
                years = ", ".join(map(str, row.years))
                self._report("filter", f"{self.what}: rows of other years left out", f"{row.key} of {years}")
            else:
                self.kept[row.key] = row

    def _is_of(self, row: Row, name: str) -> bool:
        """A row that does not say whose it is, is believed."""
        return name not in row.of or fold_name(row.of[name]) == fold_name(self.of[name])

    def _report(self, code: str, text: str, sample: str) -> None:
        if all((code, text) != (told.code, told.text) for told in self.problems):
            self.problems.append(Problem(code, text, sample))
