"""A purchase as OCDS 1.1.5 tells it: one state of it → the body of a release. Pure; docs/exports.md has the mapping."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aggregator.bookkeeping import Identity
from aggregator.exports.codes import (
    CONSULTING,
    KIND_METHODS,
    MAIN_CATEGORIES,
    PLAN_STATUS,
    as_address,
    as_text,
    as_time,
    as_value,
    make_id,
)
from aggregator.models import Award, Category, Kind, Milestone, Record, Source, Status, Tender

Body = dict[str, Any]

_AWARD_STATUS: Mapping[Status | None, str] = {
    Status.CANCELLED: "cancelled",
    Status.UNSUCCESSFUL: "unsuccessful",
}


def make_ocid(prefix: str, identity: Identity) -> str:
    """An open contracting id: made of what never changes about a purchase, and readable."""
    return "-".join((prefix, *identity))


def describe(record: Record, ocid: str, prefix: str) -> Body:
    """All that ``record`` tells of its process, as an OCDS release without id, date and tag.

    Nothing in it is null, an empty text or an empty list. Amounts are Decimals.
    """
    tender = record.tender
    parties = _Parties()
    buyer = parties.refer(tender.buyer, "buyer")
    unit = parties.refer(tender.procuring_entity, "procuringEntity", within=tender.buyer)
    awards, contracts = _describe_results(tender, parties)
    return _told(
        ocid=ocid,
        initiationType="tender",
        language="id",
        parties=parties.list_all(),
        buyer=buyer,
        planning=_describe_planning(record),
        tender=_describe_tender(record, unit),
        awards=awards,
        contracts=contracts,
        relatedProcesses=_describe_plans(record, prefix),
    )


class _Parties:
    """The organisations of a release by their ids, which are made of their names: no source tells any other."""

    def __init__(self) -> None:
        self._known: dict[str, Body] = {}

    def refer(self, name: str | None, role: str, within: str | None = None) -> Body | None:
        """A reference to the one called ``name``, which has ``role``; a work unit is one only ``within`` its buyer."""
        text = as_text(name)
        if text is None:
            return None
        number = make_id(within or "", text)
        party = self._known.setdefault(number, {"id": number, "name": text, "roles": []})
        if role not in party["roles"]:
            party["roles"].append(role)
        return {"id": number, "name": party["name"]}

    def list_all(self) -> list[Body]:
        return list(self._known.values())


class _Numbers:
    """Ids that occur once: the second of the same is the first with -2 behind it."""

    def __init__(self) -> None:
        self._seen = Counter[str]()

    def give(self, *parts: str) -> str:
        number = make_id(*parts)
        self._seen[number] += 1
        return number if self._seen[number] == 1 else f"{number}-{self._seen[number]}"


def _told(**fields: Any) -> Body:
    """``fields`` without those that tell nothing."""
    return {name: value for name, value in fields.items() if value is not None and value != [] and value != {}}


def _describe_planning(record: Record) -> Body:
    tender = record.tender
    years = ", ".join(str(year) for year in tender.fiscal_years)
    budget = _told(description=f"Tahun Anggaran {years}" if years else None, amount=as_value(tender.budget))
    return _told(budget=budget, documents=list(_describe_pages(record, Kind.PLAN)))


def _describe_tender(record: Record, unit: Body | None) -> Body:
    tender = record.tender
    return _told(
        id=tender.key,
        title=as_text(tender.title),
        description=as_text(tender.description),
        status=_find_status(tender),
        procuringEntity=unit,
        value=as_value(tender.value),
        procurementMethod=tender.method and tender.method.value,
        procurementMethodDetails=as_text(tender.method_detail) or KIND_METHODS.get(tender.kind),
        mainProcurementCategory=MAIN_CATEGORIES[tender.category] if tender.category else None,
        additionalProcurementCategories=list(_list_categories(tender)),
        tenderPeriod=_describe_period(tender),
        numberOfTenderers=tender.participants,
        documents=[*_describe_pages(record), *_describe_files(tender)],
        milestones=list(_describe_milestones(tender)),
        amendments=list(_describe_reasons(tender)),
    )


def _find_status(tender: Tender) -> str | None:
    if tender.kind is Kind.PLAN:
        return PLAN_STATUS.get(tender.status, "planning")
    return tender.status and tender.status.value


def _list_categories(tender: Tender) -> Iterator[str]:
    if tender.category is Category.CONSULTING:
        yield CONSULTING
    if words := as_text(tender.category_detail):
        yield words


def _describe_period(tender: Tender) -> Body:
    """From when until when bids are taken: from where the stage that ends then begins, else from publication."""
    end = tender.deadline
    if end is None:
        return {}
    stages = [stage.starts for stage in tender.milestones if stage.ends == end and stage.starts]
    start = min(stages, default=tender.published)
    return _told(startDate=as_time(start) if start and start <= end else None, endDate=as_time(end))


def _describe_pages(record: Record, *kinds: Kind) -> Iterator[Body]:
    """The official page of each source: of the plans, or of all others."""
    sources: Iterable[Source | Tender] = record.sources or (record.tender,)
    for source in sources:
        plan = source.kind is Kind.PLAN
        if (url := as_address(source.url)) and plan == (Kind.PLAN in kinds):
            yield _told(
                id=f"{source.portal}-{source.kind}-{source.key}",
                documentType="procurementPlan" if plan else "tenderNotice",
                url=url,
                datePublished=as_time(record.tender.published) if source.kind == record.tender.kind else None,
                format="text/html",
            )


def _describe_files(tender: Tender) -> Iterator[Body]:
    """Files have no type: no source tells one. Their addresses move, so that their titles make their ids."""
    numbers = _Numbers()
    for document in tender.documents:
        number = numbers.give("document", document.title)
        yield _told(id=number, title=as_text(document.title), url=as_address(document.url))


def _describe_milestones(tender: Tender) -> Iterator[Body]:
    numbers = _Numbers()
    stages = list(tender.milestones)
    if tender.registration_deadline:
        stages.insert(0, Milestone(title="Akhir Pendaftaran", starts=None, ends=tender.registration_deadline))
    for stage in stages:
        yield _told(
            id=numbers.give("milestone", stage.title),
            title=as_text(stage.title),
            description=f"Mulai {as_time(stage.starts)}" if stage.starts else None,
            dueDate=as_time(stage.ends),
            status="scheduled",
        )


def _describe_reasons(tender: Tender) -> Iterator[Body]:
    """Why it was cancelled, or announced once more: OCDS has no other field for it."""
    if tender.retender:
        yield _told(id="retender", description="Tender ulang", rationale=as_text(tender.retender_reason))
    if reason := as_text(tender.cancellation_reason):
        yield _told(id="cancellation", description="Pembatalan", rationale=reason)


def _describe_results(tender: Tender, parties: _Parties) -> tuple[list[Body], list[Body]]:
    """Awards and contracts. OCDS wants each contract to follow an award: one that no award tells of has an award with
    nothing but its supplier."""
    numbers = _Numbers()
    awards = [_describe_award(each, tender, parties, numbers) for each in tender.awards]
    contracts: list[Body] = []
    free: dict[str, list[Body]] = defaultdict(list)
    for award, told in zip(awards, tender.awards, strict=True):
        free[make_id(told.supplier or "")].append(award)
    for each in tender.contracts:
        own = free[make_id(each.supplier or "")] or (awards if len(awards) == 1 and not each.supplier else [])
        if not own:
            implied = Award(supplier=each.supplier)
            own = [_describe_award(implied, tender, parties, numbers)]
            awards = [*awards, *own]
            free[make_id(each.supplier or "")] = own
        award = own.pop(0) if len(own) > 1 else own[0]
        contracts.append(
            _told(
                id=numbers.give("contract", each.supplier or ""),
                awardID=award["id"],
                status="active",
                value=as_value(each.amount),
                dateSigned=as_time(each.date),
            )
        )
    return awards, contracts


def _describe_award(award: Award, tender: Tender, parties: _Parties, numbers: _Numbers) -> Body:
    supplier = parties.refer(award.supplier, "supplier")
    return _told(
        id=numbers.give("award", award.supplier or ""),
        status=_AWARD_STATUS.get(tender.status, "active"),
        date=as_time(award.date),
        value=as_value(award.amount),
        suppliers=[supplier] if supplier else [],
    )


def _describe_plans(record: Record, prefix: str) -> list[Body]:
    """The plans that a process follows on from: by their own ocid where their source is read, else by the RUP code."""
    if record.tender.kind is Kind.PLAN:
        return []
    read = {
        each.key: make_ocid(prefix, (each.portal, each.kind, each.key)) for each in record.sources if _is_plan(each)
    }
    codes = dict.fromkeys(map(as_text, (*record.tender.plans, *read)))
    return [
        {
            "id": code,
            "relationship": ["planning"],
            "scheme": "ocid" if code in read else "ID-RUP",
            "identifier": read.get(code, code),
        }
        for code in codes
        if code
    ]


def _is_plan(source: Source) -> bool:
    return source.kind is Kind.PLAN


# What a later release no longer tells ------------------------------------------------------------------


def withdraw(known: Body, before: Body, now: Body) -> Body:
    """``now``, a whole state, with what it does not tell any more taken back, as OCDS merges releases: a null for a
    value, another status for an award, a contract or a stage. ``before`` is the last state, ``known`` what all
    releases until then compile to: what comes back may come back with less.

    So that the compiled release says what the last state says. References and files stay: they cannot be taken back.
    """
    taken = dict(now)
    for name, old in known.items():
        new = now.get(name)
        match old:
            case {"id": _} if new is None:
                continue
            case dict():
                taken[name] = withdraw(old, before.get(name) or {}, new or {})
            case [{"id": _}, *_]:
                taken[name] = _withdraw_parts(name, old, before.get(name) or [], new or [])
            case _ if new is None:
                taken[name] = None
    return {name: value for name, value in taken.items() if value not in ([], {})}


def _withdraw_parts(name: str, known: list[Body], before: list[Body], now: list[Body]) -> list[Body]:
    told, old, new = ({part["id"]: part for part in parts} for parts in (known, before, now))
    kept = [
        withdraw(told[number], old.get(number, {}), part) if number in told else part for number, part in new.items()
    ]
    return [*kept, *(_GONE[name](old[number]) for number in old if number not in new and name in _GONE)]


_GONE = {
    "awards": lambda part: {"id": part["id"], "status": "cancelled"},
    "contracts": lambda part: {"id": part["id"], "awardID": part["awardID"], "status": "cancelled"},
    "milestones": lambda part: {"id": part["id"], "dueDate": None, "status": "notMet"},
    "parties": lambda part: {"id": part["id"], "roles": None},
    "relatedProcesses": lambda part: {"id": part["id"], "relationship": None},
}
