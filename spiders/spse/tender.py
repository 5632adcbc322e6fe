"""What SPSE's pages tell of one package, put together into a Tender. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from aggregator.config import Portal
from aggregator.models import GONE, TENDER_FIELDS, Award, Contract, Kind, Known, Method, Milestone, Status, Tender
from spiders.spse.lists import HomeRow, Row
from spiders.spse.pages import Announcement, find_deadline
from spiders.spse.words import find_category, find_method, find_status, is_retender


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a package was seen: its list row, its home-page row. ``home_read``: the home page was looked at."""

    kind: Kind
    key: str
    row: Row | None = None
    home: HomeRow | None = None
    home_read: bool = False

    @property
    def home_fingerprint(self) -> bytes | None:
        if self.home:
            return self.home.fingerprint
        return GONE if self.home_read else None

    def differs_from(self, known: Known) -> bool:
        """A row says something that the stored fingerprint does not know, or an open package left the home page."""
        if self.row:
            return self.row.fingerprint != known.row or bool(self.home and self.home.fingerprint != known.home)
        return (self.home.fingerprint if self.home else GONE) != known.home


@dataclass(slots=True)
class Details:
    """The detail pages that were read; None where a page was not, or could not be. Empty: it says there is none."""

    announcement: Announcement | None = None
    milestones: tuple[Milestone, ...] | None = None
    awards: tuple[Award, ...] | None = None
    contracts: tuple[Contract, ...] | None = None
    failed: bool = False
    missing: bool = False


_ALWAYS = frozenset({"portal", "kind", "key", "url", "unread"})
_ROW = frozenset({"buyer", "fiscal_years", "retender"})
_ANNOUNCEMENT = frozenset(
    {
        "description",
        "buyer",
        "procuring_entity",
        "category",
        "category_detail",
        "method",
        "method_detail",
        "budget",
        "value",
        "fiscal_years",
        "published",
        "locations",
        "plans",
        "retender_reason",
        "cancellation_reason",
        "participants",
        "documents",
    }
)
# Recorded, self-managed and emergency purchases have no bidding, so these are known to be empty.
_BIDDING = frozenset({"value", "registration_deadline", "deadline", "milestones", "awards", "participants"})


def assemble(portal: Portal, spot: Spot, details: Details, url: str) -> Tender:
    """The tender as far as the pages tell it; fields that none of them tells are named in ``unread``.

    The announcement leads, then the list row, then the home page. Without row and announcement nothing but
    the home page's own words, or the schedule, is read.
    """
    page, row, home = details.announcement or Announcement(), spot.row, spot.home
    stage = page.stage if page.stage is not None else row.stage if row else None
    badges = (*(row.badges if row else ()), *page.badges, *(home.badges if home else ()))
    category = page.category_detail or (row and row.category_detail) or (home and home.category_detail) or None
    method = page.method_detail or (row and row.method_detail) or (home and home.method_detail) or None
    status = find_status(stage, badges) if stage is not None else Status.ACTIVE if home else None
    milestones = details.milestones or ()
    return Tender(
        portal=portal.id,
        kind=spot.kind,
        key=spot.key,
        title=page.title or (row.title if row else "") or (home.title if home else "") or spot.key,
        url=url,
        description=page.description,
        buyer=page.buyer or (row.buyer if row else None),
        procuring_entity=page.procuring_entity,
        category=find_category(category),
        category_detail=category,
        method=Method.DIRECT if spot.kind is Kind.EMERGENCY else find_method(method),
        method_detail=method,
        status=status,
        stage=stage,
        budget=page.budget,
        value=page.value or (home.value if home else None),
        fiscal_years=page.fiscal_years or (row.fiscal_years if row else ()),
        published=page.published,
        registration_deadline=home.registration_deadline if home else None,
        deadline=find_deadline(milestones),
        locations=page.locations,
        plans=page.plans,
        retender=is_retender(badges) or bool(page.retender_reason),
        retender_reason=page.retender_reason,
        cancellation_reason=page.cancellation_reason,
        participants=page.participants,
        milestones=milestones,
        awards=details.awards or (),
        contracts=details.contracts or (),
        documents=page.documents,
        incomplete=details.failed,
        unread=frozenset(TENDER_FIELDS) - _ALWAYS - _read_fields(spot, details, stage, badges),
    )


def _read_fields(spot: Spot, details: Details, stage: str | None, badges: tuple[str, ...]) -> frozenset[str]:
    read: set[str] = set()
    if spot.row or spot.home or details.announcement:
        read.add("title")
    if spot.row:
        read |= _ROW
        read |= {"category", "category_detail"} if spot.row.category_detail else set()
        read |= {"method", "method_detail"} if spot.row.method_detail else set()
    if details.announcement or details.failed:
        read.add("incomplete")
    if details.announcement:
        read |= _ANNOUNCEMENT
        if is_retender(badges) or details.announcement.retender_reason:
            read.add("retender")  # its absence is told by the list's badges only
    if stage is not None:
        read |= {"stage", "status"}
    if spot.home:
        read |= {"status", "category", "category_detail", "value", "registration_deadline"}
        read |= {"method", "method_detail"} if spot.home.method_detail else set()
    if details.milestones is not None:
        read |= {"milestones", "deadline"}
    if details.awards is not None:
        read.add("awards")
    if details.contracts is not None:
        read.add("contracts")
    if spot.kind in (Kind.RECORDED, Kind.SELF_MANAGED, Kind.EMERGENCY):
        read |= _BIDDING
    return frozenset(read)


def unknown_words(tender: Tender) -> tuple[str, ...]:
    """The source's words for category and method that have no code here."""
    words = []
    if tender.category_detail and tender.category is None:
        words.append(f"category {tender.category_detail}")
    if tender.method_detail and tender.method is None and tender.kind is not Kind.SELF_MANAGED:
        words.append(f"method {tender.method_detail}")  # of self-managed it is Tipe Pelaksana, no method
    return tuple(words)
