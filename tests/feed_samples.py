"""What the tests of the feeds share: a publisher, one tender with all its fields, and hostile texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from aggregator.config import Config, parse_config
from aggregator.models import (
    Award,
    Category,
    Change,
    Contract,
    Event,
    Kind,
    Method,
    Milestone,
    Money,
    Record,
    Release,
    Sanction,
    Status,
    Tender,
)
from feeds.entries import Entry, release_entry, tender_entry

WIB = ZoneInfo("Asia/Jakarta")
READ = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)  # 24 Nov 2026, 09.40 WIB


def make_config(language: str = "id", hub: str = "", place: str = "Kota Malang", feeds: str = "") -> Config:
    text = f"""
[publisher]
name = "BLP Kota Malang"
url = "https://blp.example.go.id/umpan/"
authority = "blp.example.go.id"
since = "2026-01-01"
language = "{language}"
place = "{place}"
[publish]
{f'hub = "{hub}"' if hub else ""}
[[portal]]
id = "malangkota"
family = "spse"
name = "LPSE Kota Malang"
url = "https://spse.example.go.id/malangkota"
{feeds}
"""
    return parse_config(text, Path("warta.toml"))


CONFIG = make_config()
PUBLISHER, PORTAL = CONFIG.publisher, CONFIG.portal[0]

TENDER = Tender(
    portal="malangkota",
    kind=Kind.TENDER,
    key="10099412000",
    title="Rehabilitasi Saluran Drainase Jalan Soekarno-Hatta",
    url="https://spse.example.go.id/malangkota/lelang/10099412000/pengumumanlelang",
    buyer="Kota Malang",
    procuring_entity="DPUPRPKP",
    category=Category.WORKS,
    category_detail="Pekerjaan Konstruksi",
    method=Method.OPEN,
    method_detail="Tender",
    status=Status.ACTIVE,
    stage="Upload Dokumen Penawaran",
    budget=Money(Decimal("6000000000.00")),
    value=Money(Decimal("5912300000.00")),
    fiscal_years=(2026,),
    published=datetime(2026, 11, 13, tzinfo=WIB),
    deadline=datetime(2026, 12, 3, 14, tzinfo=WIB),
    locations=("Kec. Lowokwaru",),
    plans=("61521911",),
)


def make_record(tender: Tender = TENDER, changed: datetime = READ, first_seen: datetime = READ) -> Record:
    return Record(tender=tender, first_seen=first_seen, last_seen=changed + timedelta(hours=1), changed=changed)


def make_release(*events: Event, seq: int = 7, time: datetime = READ, **moves: Any) -> Release:
    """A release of TENDER; ``moves`` are field=(old, new) as ``Tender.as_dict`` writes them."""
    changes = tuple(Change(field, old, new) for field, (old, new) in moves.items())
    return Release(
        portal=TENDER.portal,
        kind=TENDER.kind,
        key=TENDER.key,
        time=time,
        tags=("tenderUpdate",),
        events=events,
        changes=changes,
        seq=seq,
    )


def make_entries() -> list[Entry]:
    """Three entries, newest first: a change, an open tender, and one without any date."""
    moved = make_release(Event.DEADLINE, deadline=("2026-11-27T14:00:00+07:00", "2026-12-03T14:00:00+07:00"))
    bare = Tender(portal="malangkota", kind=Kind.NON_TENDER, key="1", title=", Belanja ATK", url=TENDER.url)
    return [
        release_entry(moved, make_record(), PORTAL, PUBLISHER),
        tender_entry(make_record(), PORTAL, PUBLISHER),
        tender_entry(make_record(bare, changed=READ - timedelta(days=1)), PORTAL, PUBLISHER),
    ]


FRAGMENTS = [
    "<script>alert(1)</script>",
    "</title>",
    "]]>",
    "<!--",
    "&lt;b&gt;",
    "&amp;amp;lt;",
    "&#x202e;",
    "&#0;",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    '=HYPERLINK("http://x")',
    ", ",
    "\r\nBEGIN:VEVENT\r\n",
    "\\n;,:",
    "😀👨‍👩‍👧",
    "\u202egnp",
    "\ufeff\ufffe\uffff",
    "\ud83d",
    "\u0085\u2028",
    "{supplier}",
    "%s",
]
# Every code point there is, controls and lone surrogates too.
hostile_texts = st.lists(
    st.one_of(st.text(st.characters(exclude_categories=()), max_size=30), st.sampled_from(FRAGMENTS)), max_size=8
).map("".join)
times = st.integers(631_152_000, 4_102_444_800).map(lambda second: datetime.fromtimestamp(second, UTC))  # 1990 to 2100
amounts = st.decimals(0, Decimal("1e17"), allow_nan=False, allow_infinity=False, places=2)
money = st.builds(Money, amounts, st.just("IDR"))
sanctions = st.builds(
    Sanction,
    supplier=hostile_texts,
    decree=st.none() | hostile_texts,
    reason=st.none() | hostile_texts,
    starts=st.none() | times,
    ends=st.none() | times,
)
milestones = st.builds(Milestone, title=hostile_texts, starts=st.none() | times, ends=st.none() | times)


@st.composite
def hostile_tenders(draw: st.DrawFn) -> Tender:
    texts = st.none() | hostile_texts
    return replace(
        TENDER,
        kind=draw(st.sampled_from(Kind)),
        key=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,20}", fullmatch=True)),
        title=draw(hostile_texts.filter(bool)),
        url=draw(st.one_of(st.just(TENDER.url), hostile_texts, hostile_texts.map("https://x.example/".__add__))),
        description=draw(texts),
        buyer=draw(texts),
        procuring_entity=draw(texts),
        category=draw(st.none() | st.sampled_from(Category)),
        category_detail=draw(texts),
        method=draw(st.none() | st.sampled_from(Method)),
        method_detail=draw(texts),
        status=draw(st.none() | st.sampled_from(Status)),
        stage=draw(texts),
        budget=draw(st.none() | money),
        value=draw(st.none() | money),
        published=draw(st.none() | times),
        registration_deadline=draw(st.none() | times),
        deadline=draw(st.none() | times),
        locations=tuple(draw(st.lists(hostile_texts, max_size=3))),
        plans=tuple(draw(st.lists(hostile_texts, max_size=3))),
        retender=draw(st.booleans()),
        retender_reason=draw(texts),
        cancellation_reason=draw(texts),
        milestones=tuple(draw(st.lists(milestones, max_size=2))),
        sanctions=tuple(draw(st.lists(sanctions, max_size=2))),
        awards=tuple(draw(st.lists(st.builds(Award, supplier=texts, amount=st.none() | money), max_size=2))),
        contracts=tuple(draw(st.lists(st.builds(Contract, supplier=texts, date=st.none() | times), max_size=2))),
    )


@st.composite
def hostile_entries(draw: st.DrawFn) -> list[Entry]:
    """A tender and a release that changed everything, of two tenders."""
    before, after = draw(hostile_tenders()), draw(hostile_tenders())
    old, new = before.as_dict(), after.as_dict()
    moves: dict[str, Any] = {
        name: (old.get(name, []), new.get(name, [])) for name in {**old, **new} if old.get(name) != new.get(name)
    }
    for fixed in ("portal", "kind", "key", "url", "documents", "participants", "incomplete"):
        moves.pop(fixed, None)
    release = make_release(*draw(st.lists(st.sampled_from(Event), unique=True)), **moves)
    language = draw(st.sampled_from(["id", "en"]))
    publisher = PUBLISHER.model_copy(update={"language": language})
    return [
        release_entry(release, make_record(after), PORTAL, publisher, missing_since=READ),
        tender_entry(make_record(before), PORTAL, publisher),
    ]
