"""Names of suppliers as they are compared, and who is under a sanction when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.models import Kind, Record, Sanction, Status, Tender
from aggregator.sanctions import Blacklist, fold_supplier

NOW = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
WIB = ZoneInfo("Asia/Jakarta")
STARTS = datetime(2026, 3, 1, tzinfo=WIB)
ENDS = datetime(2027, 3, 1, tzinfo=WIB)
SANCTION = Sanction(supplier="PT. Maju Jaya", decree="1/SK", reason="Dokumen palsu", starts=STARTS, ends=ENDS)


def make_record(
    *sanctions: Sanction, status: Status | None = Status.ACTIVE, kind: Kind = Kind.NOTICE, key: str = "1"
) -> Record:
    tender = Tender(
        portal="daftar-hitam",
        kind=kind,
        key=key,
        title="Daftar hitam",
        url="https://daftar-hitam.example.org/1",
        status=status,
        sanctions=sanctions or (SANCTION,),
    )
    return Record(tender=tender, first_seen=NOW, last_seen=NOW, changed=NOW)


# Names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folded", "names"),
    [
        (
            "pt maju jaya",
            [
                "PT MAJU JAYA",
                "PT. Maju Jaya",
                "P.T. Maju Jaya",
                "P. T. MAJU  JAYA",
                "pt.maju jaya",
                "MAJU JAYA, PT",
                "MAJU JAYA, PT.",
                "Maju Jaya P.T.",
                "Maju-Jaya (PT)",
                "Perseroan Terbatas Maju Jaya",
                "PT Maju Jaya Tbk.",
                "PT Maju Jaya (Persero) Tbk",
                "Maju Jaya, PT (Persero)",
                "PT. MAJU JAYA, PT",
                " PT\tMajú_Jaya ",
            ],
        ),
        ("cv maju jaya", ["CV Maju Jaya", "CV. MAJU JAYA", "C.V. Maju Jaya", "MAJU JAYA, CV", "MAJU JAYA CV."]),
        ("ud maju jaya", ["UD Maju Jaya", "U.D. MAJU JAYA", "Usaha Dagang Maju Jaya", "Maju Jaya, UD"]),
        ("koperasi maju jaya", ["Koperasi Maju Jaya", "KOP. MAJU JAYA", "MAJU JAYA, KOPERASI"]),
        ("fa maju jaya", ["Firma Maju Jaya", "Fa. Maju Jaya"]),
        ("maju jaya", ["Maju Jaya", "MAJU  JAYA."]),
        ("maju jaya tbk", ["Maju Jaya Tbk"]),
        ("pt persero contoh", ["PT Persero Contoh", "Persero Contoh, PT"]),
        ("cv maju dan jaya", ["CV Maju & Jaya", "CV MAJU DAN JAYA"]),
        ("cv mamur", ["CV. Ma'mur", "CV MA’MUR"]),
        ("cv maju pt", ["CV Maju PT"]),
        ("koperasi karyawan pt contoh", ["Koperasi Karyawan PT Contoh", "KARYAWAN PT CONTOH, KOPERASI"]),
        ("pt a b kso", ["PT A-B KSO"]),
        ("", ["", " . ", "PT", "PT. Tbk", "C.V."]),
    ],
)
def test_one_firm_has_one_folded_name(folded: str, names: list[str]) -> None:
    assert {name: fold_supplier(name) for name in names} == dict.fromkeys(names, folded)


@pytest.mark.parametrize(
    "names",
    [
        ["PT Maju Jaya", "CV Maju Jaya", "UD Maju Jaya", "Koperasi Maju Jaya", "Maju Jaya"],
        ["PT Maju Jaya", "PT Maju Jaya Abadi", "PT Jaya Maju", "PT Majujaya", "PT Maju & Jaya"],
        ["PT Contoh", "PT Persero Contoh", "Koperasi Karyawan PT Contoh", "PT Contoh - PT Maju KSO"],
        ["CV Karya 1", "CV Karya 2", "CV Karya"],
    ],
)
def test_other_firms_have_other_names(names: list[str]) -> None:
    assert len({fold_supplier(name) for name in names}) == len(names)


# Of letters that no legal form can be written with.
WORDS = st.lists(st.text("abcdeghijklmno0123456789", min_size=3, max_size=9), min_size=1, max_size=4)
FORMS = st.sampled_from(["PT", "CV", "UD", "Koperasi", "Fa"])


@given(WORDS, FORMS, st.sampled_from([" ", ". ", ".", ", ", "  ", "\t"]))
def test_where_the_form_stands_does_not_count(words: list[str], form: str, gap: str) -> None:
    first = fold_supplier(f"{form}{gap}{' '.join(words)}")
    assert first == f"{form.lower()} {' '.join(words)}"
    assert fold_supplier(f"{gap.join(words).upper()}, {form}.") == first
    assert fold_supplier(" ".join(words)) != first


@given(WORDS, FORMS, FORMS)
def test_another_form_is_another_firm(words: list[str], one: str, other: str) -> None:
    name = " ".join(words)
    same = fold_supplier(f"{one} {name}") == fold_supplier(f"{name}, {other}")
    assert same == (one == other)


@given(st.text(max_size=40))
def test_a_folded_name_stays_as_it_is(name: str) -> None:
    folded = fold_supplier(name)
    assert fold_supplier(folded) == folded
    assert folded == " ".join(folded.split())


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_names_can_be_looked_for(listed: str, asked: str) -> None:
    found = Blacklist([make_record(replace(SANCTION, supplier=listed))]).find(asked, NOW)
    assert found is None or fold_supplier(listed) == fold_supplier(asked)


# Sanctions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("supplier", ["PT MAJU JAYA", "Maju Jaya, PT.", "PT. Maju Jaya Tbk"])
def test_a_supplier_under_a_sanction_is_found(supplier: str) -> None:
    assert Blacklist([make_record()]).find(supplier, NOW) == SANCTION


@pytest.mark.parametrize("supplier", [None, "", "PT", "Maju Jaya", "CV Maju Jaya", "PT Maju Jaya Abadi"])
def test_another_supplier_is_not_found(supplier: str | None) -> None:
    assert Blacklist([make_record()]).find(supplier, NOW) is None


@pytest.mark.parametrize("name", ["Sekar Wulandari", "MAJU JAYA", ""])
def test_a_name_without_a_form_is_nobodys_alone(name: str) -> None:
    assert Blacklist([make_record(replace(SANCTION, supplier=name))]).find(name, NOW) is None


@pytest.mark.parametrize(
    ("moment", "found"),
    [
        (STARTS - timedelta(seconds=1), False),
        (STARTS, True),
        (STARTS.astimezone(UTC), True),
        (datetime(2026, 3, 1, tzinfo=UTC), True),
        (ENDS - timedelta(seconds=1), True),
        (ENDS, False),
        (ENDS.astimezone(UTC), False),
        (datetime(2030, 1, 1, tzinfo=UTC), False),
    ],
)
def test_a_sanction_runs_from_its_start_until_its_end(moment: datetime, found: bool) -> None:
    assert (Blacklist([make_record()]).find("PT Maju Jaya", moment) is not None) is found


def test_a_sanction_that_is_over_counts_for_an_award_of_its_time() -> None:
    over = Blacklist([make_record(status=Status.COMPLETE)])
    assert over.find("PT Maju Jaya", datetime(2026, 5, 4, tzinfo=WIB)) == SANCTION


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.WITHDRAWN, None])
def test_a_notice_that_is_not_in_force_accuses_nobody(status: Status | None) -> None:
    assert Blacklist([make_record(status=status)]).find("PT Maju Jaya", NOW) is None


def test_only_notices_are_believed() -> None:
    assert Blacklist([make_record(kind=Kind.TENDER)]).find("PT Maju Jaya", NOW) is None
    assert Blacklist([]).find("PT Maju Jaya", NOW) is None


@pytest.mark.parametrize("sanction", [replace(SANCTION, starts=None), replace(SANCTION, ends=None)])
def test_a_sanction_without_a_beginning_or_an_end_accuses_nobody(sanction: Sanction) -> None:
    assert Blacklist([make_record(sanction)]).find("PT Maju Jaya", NOW) is None


def test_of_several_sanctions_the_one_that_ends_last_is_told() -> None:
    later = replace(SANCTION, supplier="MAJU JAYA, PT", decree="2/SK", ends=ENDS + timedelta(days=365))
    over = replace(SANCTION, decree="0/SK", starts=datetime(2023, 1, 1, tzinfo=WIB), ends=STARTS)
    lists = [make_record(SANCTION, over), make_record(later, key="2")]
    assert Blacklist(lists).find("PT Maju Jaya", NOW) == later
    assert Blacklist(reversed(lists)).find("PT Maju Jaya", NOW) == later
    assert Blacklist(lists).find("PT Maju Jaya", datetime(2023, 5, 1, tzinfo=WIB)) == over
