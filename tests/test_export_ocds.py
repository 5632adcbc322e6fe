"""OCDS: a release of every recorded change with an id that stays, records that compile to what is so now, and packages
that the standard's own schema and validator find nothing wrong with."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.changes import compare
from aggregator.config import Publisher
from aggregator.dossiers import Member
from aggregator.exports.codes import CURRENCIES, as_address, as_time, as_value
from aggregator.exports.ocds import describe, make_ocid
from aggregator.exports.packages import (
    Package,
    list_releases,
    render_json,
    write_records,
    write_releases,
)
from aggregator.filters import Filter
from aggregator.histories import Past, Purchase, find_processes
from aggregator.models import (
    Award,
    Category,
    Contract,
    Document,
    Kind,
    Milestone,
    Money,
    Reading,
    Record,
    Release,
    Sanction,
    Status,
    Sweep,
    Tender,
)
from aggregator.repository import Repository
from demo.registry import make_stand_ins, render_config
from demo.server import serve
from tests.feed_samples import PUBLISHER, READ, TENDER, WIB, hostile_tenders, hostile_texts, make_record
from tests.road import ALL, NOW

SHARED = Path(__file__).parents[2] / "shared"
PREFIX = "ocds-a1b2c3"
PACKAGE = Package(PUBLISHER, "tag:blp.example.go.id,2026-01-01:export/ocds", READ)
Body = dict[str, Any]


def past(*states: Tender, number: int = 1, seq: int = 1, start: datetime = READ) -> Past:
    """A tender that went through ``states``, an hour apart; the last one is how it is now."""
    releases: list[Release] = []
    for before, after in zip((None, *states), states, strict=False):
        release = compare(before, after, start + timedelta(hours=len(releases)))
        if release is not None:
            releases.append(replace(release, seq=seq + len(releases)))
    record = replace(make_record(states[-1]), first_seen=start)
    return Past(Member(number=number, record=record), tuple(releases))


def purchase(*states: Tender) -> Purchase:
    return Purchase(states[-1].identity, (past(*states),))


def releases_of(*states: Tender) -> list[Body]:
    told: list[Body] = plain(list_releases(purchase(*states), PREFIX))
    return told


def plain(value: Any) -> Any:
    return json.loads(render_json(value))


def packed(purchases: Iterable[Purchase], *, records: bool = False) -> bytes:
    stream = io.BytesIO()
    (write_records if records else write_releases)(purchases, stream, PACKAGE)
    return stream.getvalue()


def find_nulls(value: Any) -> Iterator[Any]:
    """What is null, empty or blank in a release."""
    if value is None or value in ([], {}) or (isinstance(value, str) and not value.strip()):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from find_nulls(part)


# Mapping ------------------------------------------------------------------------------------------------


def test_a_tender_is_told_in_the_words_of_ocds() -> None:
    (release,) = releases_of(replace(TENDER, participants=4))
    assert release["ocid"] == "ocds-a1b2c3-malangkota-tender-10099412000"
    assert release["date"] == "2026-11-24T02:40:00.000000Z"
    assert release["tag"] == ["tender"]
    assert release["planning"]["budget"] == {
        "description": "Tahun Anggaran 2026",
        "amount": {"amount": 6000000000, "currency": "IDR"},
    }
    tender = release["tender"]
    assert tender["id"] == "10099412000"
    assert tender["status"] == "active"
    assert tender["value"] == {"amount": 5912300000, "currency": "IDR"}
    assert (tender["procurementMethod"], tender["procurementMethodDetails"]) == ("open", "Tender")
    assert tender["mainProcurementCategory"] == "works"
    assert tender["additionalProcurementCategories"] == ["Pekerjaan Konstruksi"]
    assert tender["tenderPeriod"] == {"startDate": "2026-11-13T00:00:00+07:00", "endDate": "2026-12-03T14:00:00+07:00"}
    assert tender["numberOfTenderers"] == 4
    assert tender["documents"][0]["url"] == TENDER.url
    parties = {party["name"]: party for party in release["parties"]}
    assert parties["Kota Malang"]["roles"] == ["buyer"]
    assert parties["DPUPRPKP"]["roles"] == ["procuringEntity"]
    assert release["buyer"] == {"id": parties["Kota Malang"]["id"], "name": "Kota Malang"}
    assert release["relatedProcesses"] == [
        {"id": "61521911", "relationship": ["planning"], "scheme": "ID-RUP", "identifier": "61521911"}
    ]


@pytest.mark.parametrize(
    ("changes", "path", "expected"),
    [
        ({"category": Category.CONSULTING}, "mainProcurementCategory", "services"),
        (
            {"category": Category.CONSULTING, "category_detail": "Jasa Konsultansi"},
            "additionalProcurementCategories",
            ["consultingServices", "Jasa Konsultansi"],
        ),
        ({"kind": Kind.RECORDED, "method_detail": None}, "procurementMethodDetails", "Pencatatan"),
        ({"kind": Kind.SELF_MANAGED, "method_detail": None}, "procurementMethodDetails", "Swakelola"),
        ({"kind": Kind.PLAN, "status": Status.PLANNED}, "status", "planning"),
        ({"kind": Kind.PLAN, "status": Status.WITHDRAWN}, "status", "withdrawn"),
        ({"status": Status.WITHDRAWN}, "status", "withdrawn"),
        ({"value": Money(Decimal(5), "RUPIAH")}, "value", None),
        ({"deadline": None}, "tenderPeriod", None),
        ({"title": " \t "}, "title", None),
        (
            {"cancellation_reason": "Anggaran"},
            "amendments",
            [{"id": "cancellation", "description": "Pembatalan", "rationale": "Anggaran"}],
        ),
        ({"retender": True}, "amendments", [{"id": "retender", "description": "Tender ulang"}]),
    ],
)
def test_fields_of_the_tender_section(changes: Body, path: str, expected: object) -> None:
    (release,) = releases_of(replace(TENDER, **changes))
    assert release["tender"].get(path) == expected


def test_a_plan_is_the_planning_of_its_process() -> None:
    plan = replace(TENDER, kind=Kind.PLAN, status=Status.PLANNED, deadline=None)
    (release,) = releases_of(plan)
    assert release["tag"] == ["planning"]
    assert release["planning"]["documents"][0]["documentType"] == "procurementPlan"
    assert "documents" not in release["tender"]
    assert "relatedProcesses" not in release


def test_bids_are_taken_from_when_their_stage_begins() -> None:
    starts = datetime(2026, 11, 20, 8, tzinfo=WIB)
    upload = Milestone(title="Upload Dokumen Penawaran", starts=starts, ends=TENDER.deadline)
    (release,) = releases_of(replace(TENDER, milestones=(upload, upload)))
    assert release["tender"]["tenderPeriod"]["startDate"] == "2026-11-20T08:00:00+07:00"
    first, second = release["tender"]["milestones"]
    assert first["dueDate"] == "2026-12-03T14:00:00+07:00"
    assert second["id"] == first["id"] + "-2"


def test_each_contract_follows_an_award() -> None:
    won = replace(
        TENDER,
        awards=(Award(supplier="PT Maju", amount=Money(Decimal("10.50"))),),
        contracts=(
            Contract(supplier="PT MAJU", amount=Money(Decimal(10)), date=READ),
            Contract(supplier="CV Lain", amount=Money(Decimal(3))),
            Contract(supplier="CV Lain", amount=Money(Decimal(4))),
        ),
    )
    (release,) = releases_of(won)
    assert release["tag"] == ["tender", "award", "contract"]
    awards = {award["id"]: award for award in release["awards"]}
    assert len(awards) == 2
    names = [awards[contract["awardID"]]["suppliers"][0]["name"] for contract in release["contracts"]]
    assert names == ["PT Maju", "CV Lain", "CV Lain"]
    assert len({contract["id"] for contract in release["contracts"]}) == 3
    assert release["awards"][0]["value"] == {"amount": 10.5, "currency": "IDR"}
    parties = {party["id"]: party["roles"] for party in release["parties"]}
    assert all(parties[award["suppliers"][0]["id"]] == ["supplier"] for award in release["awards"])


def test_news_and_blacklists_are_no_contracting_processes() -> None:
    assert releases_of(replace(TENDER, kind=Kind.NEWS)) == []
    assert releases_of(replace(TENDER, kind=Kind.NOTICE, sanctions=(Sanction(supplier="PT X"),))) == []
    assert len(releases_of(replace(TENDER, kind=Kind.NOTICE))) == 1


def test_an_unregistered_prefix_is_made_of_the_authority() -> None:
    assert PACKAGE.prefix == Package(PUBLISHER, "x:y", READ).prefix
    assert len(PACKAGE.prefix) == len("ocds-213czf")
    other: Publisher = PUBLISHER.model_copy(update={"authority": "lain.example.go.id"})
    assert replace(PACKAGE, publisher=other).prefix != PACKAGE.prefix
    registered = PUBLISHER.model_copy(update={"ocid_prefix": "ocds-213czf"})
    assert replace(PACKAGE, publisher=registered).prefix == "ocds-213czf"


def test_a_package_says_who_publishes_it_and_under_which_licence() -> None:
    licence = "https://creativecommons.org/licenses/by/4.0/"
    publisher = PUBLISHER.model_copy(update={"license": licence, "publication_policy": "https://x.example/policy"})
    stream = io.BytesIO()
    assert write_releases([purchase(TENDER)], stream, replace(PACKAGE, publisher=publisher)) == 1
    told = json.loads(stream.getvalue())
    assert told["publisher"] == {"name": "BLP Kota Malang", "uri": "https://blp.example.go.id/umpan/"}
    assert (told["license"], told["publicationPolicy"]) == (licence, "https://x.example/policy")
    assert told["publishedDate"] == "2026-11-24T02:40:00.000000Z"
    assert "license" not in json.loads(packed([]))


@pytest.mark.parametrize(
    ("amount", "told"), [("5.00", b"5"), ("0.1", b"0.1"), ("12345678901234567890.12", b"12345678901234567890.12")]
)
def test_amounts_are_exact_numbers(amount: str, told: bytes) -> None:
    assert render_json({"amount": Decimal(amount)}) == b'{"amount":' + told + b"}"


def test_times_and_currencies_that_the_schema_does_not_know_are_put_right() -> None:
    assert as_time(datetime(1900, 1, 1, tzinfo=WIB)) == "1899-12-31T16:52:48+00:00"  # +07:07:12 then
    assert as_value(Money(Decimal(1), "idr")) is None
    assert "IDR" in CURRENCIES


@given(hostile_texts.map("https://x.example/".__add__) | hostile_texts)
def test_addresses_are_those_of_rfc_3986(text: str) -> None:
    rfc3987 = pytest.importorskip("rfc3987")
    address = as_address(text)
    assert address is None or rfc3987.match(address, rule="URI")


# History ------------------------------------------------------------------------------------------------

STAGE = Milestone(title="Upload", starts=None, ends=TENDER.deadline)
WON = replace(TENDER, awards=(Award(supplier="PT Maju", amount=Money(Decimal(9))),), status=Status.COMPLETE)


def test_each_change_is_a_release_that_tells_the_whole() -> None:
    moved = replace(TENDER, deadline=datetime(2026, 12, 9, tzinfo=WIB))
    signed = replace(WON, contracts=(Contract(supplier="PT Maju", amount=Money(Decimal(9))),))
    told = releases_of(TENDER, moved, WON, signed)
    assert [release["tag"] for release in told] == [
        ["tender"],
        ["tenderAmendment"],
        ["tenderUpdate", "award"],
        ["contract"],
    ]
    assert [release["tender"]["tenderPeriod"]["endDate"][:10] for release in told][:2] == ["2026-12-03", "2026-12-09"]
    assert [len(release.get("awards", ())) for release in told] == [0, 0, 1, 1]
    assert sorted(release["date"] for release in told) == [release["date"] for release in told]
    assert len({release["id"] for release in told}) == 4


@pytest.mark.parametrize(
    ("status", "tags"),
    [
        (Status.CANCELLED, ["tenderCancellation"]),
        (Status.UNSUCCESSFUL, ["tenderCancellation"]),
        (Status.WITHDRAWN, ["tenderUpdate"]),
    ],
)
def test_an_end_is_tagged(status: Status, tags: list[str]) -> None:
    assert releases_of(TENDER, replace(TENDER, status=status))[-1]["tag"] == tags


def test_ids_are_made_of_the_content_and_of_nothing_else() -> None:
    assert releases_of(TENDER, WON) == releases_of(TENDER, WON)
    ids = {release["id"] for release in releases_of(TENDER, WON)}
    assert ids.isdisjoint(
        release["id"] for release in releases_of(replace(TENDER, title="Lain"), replace(WON, title="Lain"))
    )
    loose: Body = {"documents": (Document(title="KAK", url="https://x.example/dl/7"),), "participants": 9}
    assert ids == {release["id"] for release in releases_of(replace(TENDER, **loose), replace(WON, **loose))}


def test_what_is_no_longer_told_is_taken_back() -> None:
    rich = replace(WON, milestones=(STAGE,), description="Lanjutan", status=Status.ACTIVE)
    poor = replace(TENDER, buyer="Kota Batu", value=None, plans=())
    release = releases_of(rich, poor)[-1]
    assert release["tag"] == ["tenderAmendment", "awardCancellation"]
    assert release["awards"] == [{"id": releases_of(rich)[0]["awards"][0]["id"], "status": "cancelled"}]
    assert release["tender"]["description"] is None
    assert release["tender"]["value"] == {"amount": None, "currency": None}
    assert release["tender"]["milestones"][0]["status"] == "notMet"
    assert {party["name"] for party in release["parties"] if "name" in party} == {"Kota Batu", "DPUPRPKP"}
    assert [party["roles"] for party in release["parties"] if "name" not in party] == [None, None, None]
    record = json.loads(packed([purchase(rich, poor)], records=True))["records"][0]
    compiled = record["compiledRelease"]
    assert not {"description", "value"} & compiled["tender"].keys()
    assert [party["name"] for party in compiled["parties"] if "buyer" in party.get("roles", ())] == ["Kota Batu"]
    assert [len(record["releases"]), compiled["tag"]] == [2, ["compiled"]]


def assert_says(compiled: Any, last: Any, path: str = "") -> None:
    """``compiled`` says all that ``last`` says; beside it stand only parts with an id that were taken back."""
    if isinstance(last, dict):
        assert last.keys() <= compiled.keys(), path
        for name, value in compiled.items():
            if name in last:
                assert_says(value, last[name], f"{path}/{name}")
            else:
                whole = isinstance(value, list) and all("id" in part for part in value)
                assert whole or (isinstance(value, dict) and "id" in value), f"{path}/{name}"
    elif isinstance(last, list) and isinstance(last[0], dict):
        parts = {part["id"]: part for part in compiled}
        for part in last:
            assert_says(parts[part["id"]], part, f"{path}/{part['id']}")
    else:
        assert compiled == last, path


@settings(max_examples=25)
@given(st.lists(hostile_tenders(), min_size=1, max_size=3))
def test_a_record_compiles_to_the_last_state(states: list[Tender]) -> None:
    states = [replace(state, kind=Kind.TENDER, key="1", sanctions=()) for state in states]
    (record,) = json.loads(packed([purchase(*states)], records=True))["records"]
    ocid = make_ocid(PACKAGE.prefix, states[-1].identity)
    compiled = {k: v for k, v in record["compiledRelease"].items() if k not in ("id", "date", "tag")}
    assert_says(compiled, plain(describe(make_record(states[-1]), ocid, PACKAGE.prefix)))
    assert not list(find_nulls(compiled))
    assert not list(find_nulls(record["releases"][0]))
    assert not [
        part for part in find_nulls(record["releases"]) if part is not None
    ]  # a null takes back, {} says nothing
    check_own_rules(record["releases"])


def check_own_rules(releases: Sequence[Body]) -> None:
    """What no schema can say: ids are unique, and whoever is named is a party with that role."""
    assert len({(release["ocid"], release["id"]) for release in releases}) == len(releases)
    for release in releases:
        parties = {party["id"]: party.get("roles") or [] for party in release.get("parties", ())}
        assert len(parties) == len(release.get("parties", ()))
        named = [("buyer", release.get("buyer")), ("procuringEntity", release["tender"].get("procuringEntity"))]
        awards = release.get("awards", ())
        named += [("supplier", each) for award in awards for each in award.get("suppliers", ())]
        assert all(role in parties[each["id"]] for role, each in named if each)
        assert {contract["awardID"] for contract in release.get("contracts", ())} <= {award["id"] for award in awards}
        for parts in (awards, release.get("contracts", ()), release["tender"].get("milestones", ())):
            assert len({part["id"] for part in parts}) == len(parts)


# Several sources ----------------------------------------------------------------------------------------

NATIONAL = replace(TENDER, portal="nasional", stage=None, value=None, url="https://nasional.example.go.id/1")
PLAN = replace(
    TENDER, portal="rup", kind=Kind.PLAN, key="61521911", status=Status.PLANNED, plans=(), url="https://rup.example/1"
)


def test_sources_of_one_purchase_make_one_process() -> None:
    told = (
        past(PLAN, number=1, seq=1),
        past(TENDER, number=2, seq=2, start=READ + timedelta(hours=1)),
        past(NATIONAL, number=3, seq=3, start=READ + timedelta(hours=2)),
    )
    releases = plain(list_releases(Purchase(TENDER.identity, told), PREFIX))
    assert [release["tag"] for release in releases] == [["planning"], ["tender"], ["tenderUpdate"]]
    assert {release["ocid"] for release in releases} == {make_ocid(PREFIX, TENDER.identity)}
    last = releases[-1]
    assert {document["url"] for document in last["tender"]["documents"]} == {TENDER.url, NATIONAL.url}
    assert last["planning"]["documents"][0]["url"] == PLAN.url
    assert last["relatedProcesses"] == [
        {
            "id": "61521911",
            "relationship": ["planning"],
            "scheme": "ocid",
            "identifier": make_ocid(PREFIX, PLAN.identity),
        }
    ]


def test_dates_go_up_even_where_clocks_did_not() -> None:
    told = (past(TENDER, number=1, seq=1), past(NATIONAL, number=2, seq=2, start=READ - timedelta(hours=5)))
    dates = [release["date"] for release in list_releases(Purchase(TENDER.identity, told), PREFIX)]
    assert dates == ["2026-11-24T02:40:00.000000Z", "2026-11-24T02:40:00.000001Z"]


def test_the_database_tells_all_of_it(repository: Repository) -> None:
    moved = replace(TENDER, deadline=datetime(2026, 12, 9, tzinfo=WIB))
    repository.save([Reading(tender=PLAN)], READ)
    repository.save([Reading(tender=TENDER), Reading(tender=replace(TENDER, kind=Kind.NEWS, key="7"))], NOW)
    repository.save([Reading(tender=NATIONAL, republished=True)], NOW + timedelta(hours=1))
    repository.save([Reading(tender=moved)], NOW + timedelta(hours=2))

    def find(wanted: Filter = ALL, *, apart: bool = False) -> list[Purchase]:
        return list(find_processes(repository.engine, wanted, NOW, WIB, apart=apart))

    (one,) = find()
    assert one.identity == TENDER.identity
    releases = list_releases(one, PREFIX)
    assert [release["tag"] for release in releases] == [["planning"], ["tender"], ["tenderUpdate"], ["tenderAmendment"]]
    (alone,) = find(Filter(portal=("nasional",)), apart=True)
    assert alone.identity == TENDER.identity  # the same process, whoever tells of it
    assert [past.member.tender.portal for past in alone.told] == ["nasional"]
    (plan,) = find(Filter(portal=("rup",)), apart=True)
    assert plan.identity == PLAN.identity
    assert len(find(Filter(limit=1))) == 1
    assert find(Filter(kind=(Kind.NEWS,))) == []


# The validator ------------------------------------------------------------------------------------------


def validate(*files: Path) -> str:
    validator, schema = SHARED / "ocds_validate.py", SHARED / "ocds-schema-1__1__5.zip"
    if not (validator.exists() and schema.exists()):
        pytest.skip("no OCDS schema: ../shared/ocds-schema-1__1__5.zip and ../shared/ocds_validate.py are not there")
    command = [sys.executable, str(validator), str(schema.resolve()), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_both(purchases: list[Purchase], folder: Path) -> tuple[Path, Path]:
    paths = folder / "releases.json", folder / "records.json"
    for path, records in zip(paths, (False, True), strict=True):
        path.write_bytes(packed(purchases, records=records))
    return paths


def test_hostile_tenders_validate(tmp_path: Path) -> None:
    found: list[Purchase] = []

    @settings(max_examples=25)
    @given(st.lists(hostile_tenders(), min_size=1, max_size=2))
    def collect(states: list[Tender]) -> None:
        key = str(len(found))
        found.append(purchase(*[replace(state, kind=states[0].kind, key=key, sanctions=()) for state in states]))

    collect()
    told = validate(*write_both(found, tmp_path))
    assert told.count("errors=0 closed_codelist=[] additional_fields=0") == 2, told
    assert told.count("checks={}") == 2, told


@pytest.fixture(scope="module")
def every_family(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """What the demo's sources of all families told in four days."""
    from aggregator.config import parse_config
    from aggregator.database import open_database
    from spiders.crawl import Order, crawl

    folder = tmp_path_factory.mktemp("families")
    stand_ins = make_stand_ins(NOW)
    with serve([*stand_ins.values()]) as server:
        config = parse_config(render_config(server.url, stand_ins), folder / "warta.toml")
        repository = Repository(open_database(f"sqlite:///{folder}/warta.db"))
        for day in range(4):
            crawl(config, config.portal, repository, Order(sweep=Sweep.FULL), now=NOW + timedelta(days=day))
            server.advance(1)
    return repository


def test_what_all_families_tell_validates(every_family: Repository, tmp_path: Path) -> None:
    purchases = list(find_processes(every_family.engine, ALL, NOW, WIB))
    paths = write_both(purchases, tmp_path)
    releases = json.loads(paths[0].read_bytes())["releases"]
    check_own_rules(releases)
    assert {purchase.identity[0] for purchase in purchases} >= {
        "malangkota",
        "rup-malang",
        "worldbank",
        "ted",
        "prozorro",
    }
    assert {tag for release in releases for tag in release["tag"]} >= {"planning", "tender", "award", "contract"}
    told = validate(*paths)
    assert told.count("errors=0 closed_codelist=[] additional_fields=0") == 2, told
    assert told.count("checks={}") == 2, told


def test_each_purchase_of_the_database_is_one_process(every_family: Repository) -> None:
    shown = [r for r in every_family.find(ALL, NOW, WIB) if r.tender.kind is not Kind.NEWS and not r.tender.sanctions]
    processes = list(find_processes(every_family.engine, ALL, NOW, WIB))
    assert [each.identity for each in processes] == [record.tender.identity for record in shown]
    for each, record in zip(processes, shown, strict=True):
        compiled = json.loads(packed([each], records=True))["records"][0]["compiledRelease"]
        assert_now(compiled, record)


def assert_now(compiled: Body, record: Record) -> None:
    told = plain(describe(record, compiled["ocid"], PACKAGE.prefix))
    assert_says({k: v for k, v in compiled.items() if k not in ("id", "date", "tag")}, told)
