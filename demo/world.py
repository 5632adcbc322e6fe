"""A made-up portal's world: its packages, its clock, and the events that befall them. Deterministic for a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from demo.making import add_history, make_package, spread_starts
from demo.names import (
    CANCEL_REASONS,
    HOSTILE_TITLES,
    MALANG_KOTA,
    RESCHEDULE_REASONS,
    RETENDER_REASONS,
    Place,
    make_dice,
)
from demo.packages import (
    BIDDING_KINDS,
    EMERGENCY,
    KINDS,
    NON_TENDER,
    RECORDED,
    SELF_MANAGED,
    TENDER,
    Package,
    award_time,
    clock,
    is_open,
    milestones,
    move,
    sign_time,
    stage,
)
from demo.truth import expected_record

_FIRST_KEYS = {
    TENDER: 10_020_000,
    NON_TENDER: 11_002_000,
    RECORDED: 12_942_000,
    SELF_MANAGED: 13_336_000,
    EMERGENCY: 104,
}
_RECENT = {TENDER: 0.65, NON_TENDER: 0.45, RECORDED: 0.3, SELF_MANAGED: 0.3, EMERGENCY: 0.3}
_NEW_A_DAY = {TENDER: (1, 3), NON_TENDER: (1, 4), RECORDED: (0, 3), SELF_MANAGED: (0, 2)}  # least, most


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the world: ``what`` is the name of the method of World that made it."""

    time: datetime
    what: str
    kind: str
    key: str


class World:
    """The packages of one portal at ``now``, which only ``advance`` moves.

    The same arguments give the same world, and advancing it in one step or in many gives the same one too.
    ``version`` changes with every event and move of the clock. Change a world between requests, not during one.
    """

    def __init__(
        self,
        now: datetime,
        *,
        place: Place = MALANG_KOTA,
        seed: int = 1,
        tenders: int = 60,
        non_tenders: int = 90,
        recorded: int = 40,
        self_managed: int = 25,
        emergencies: int = 3,
        hostile: bool = True,
    ) -> None:
        if now.tzinfo is None:
            raise ValueError("now must have a time zone")
        self.place = place
        self.zone = ZoneInfo(place.zone)
        self.now = now.astimezone(self.zone)
        self.seed = seed
        self.version = 0
        self.happenings: list[Happening] = []
        self.packages: dict[str, Package] = {}
        counts = (tenders, non_tenders, recorded, self_managed, emergencies)
        self._kinds = tuple(kind for kind, count in zip(KINDS, counts, strict=True) if count)
        self._next = dict(_FIRST_KEYS)
        for kind, count in zip(KINDS, counts, strict=True):
            self._fill(kind, count)
        if hostile:
            self._make_hostile()

    # Looking -----------------------------------------------------------------------------------------

    def find(self, kind: str, key: str) -> Package | None:
        """The package, unless there is none of that kind or it vanished."""
        package = self.packages.get(key)
        return package if package and package.kind == kind and not package.gone else None

    def listed(self, kind: str) -> list[Package]:
        """What the list of ``kind`` holds, oldest first."""
        return [p for p in self.packages.values() if p.kind == kind and not p.gone]

    def open(self, kind: str) -> list[Package]:
        """What the home page holds: registration is open."""
        return [p for p in self.listed(kind) if is_open(p, self.now)]

    def truth(self, base_url: str = "") -> list[dict[str, Any]]:
        """What `warta export --format jsonl` must say of each package, read for the first time now.

        ``base_url`` is the portal's address with its slug, without a slash at the end. Left out, since it is
        not the source's to tell: first_seen, last_seen, changed. Documents have their titles only: their
        addresses are new in every session.
        """
        return [expected_record(self.place, p, self.now, base_url) for p in self.packages.values() if not p.gone]

    # Time --------------------------------------------------------------------------------------------

    def advance(self, *, to: datetime | None = None, days: float = 0) -> list[Happening]:
        """Moves the clock on; each morning at nine (portal time) something happens. Returns the new happenings."""
        end = to.astimezone(self.zone) if to else self.now + timedelta(days=days)
        if end < self.now:
            raise ValueError(f"the world is at {self.now.isoformat()} already; it does not go back")
        known = len(self.happenings)
        day = self.now.date()
        while (morning := datetime.combine(day, time(9), self.zone)) <= end:
            if morning > self.now:
                self.now = morning
                self._live(day)
            day += timedelta(days=1)
        self.now = end
        self.version += 1
        return self.happenings[known:]

    def _live(self, day: date) -> None:
        """One day's events."""
        dice = make_dice(self.seed, self.place.slug, day)
        for kind, (least, most) in _NEW_A_DAY.items():
            for _ in range(dice.randint(least, most) if kind in self._kinds else 0):
                self.add(kind)
        running = [p.key for kind in BIDDING_KINDS for p in self.open(kind)]
        dice.shuffle(running)
        if len(running) < 5:
            return
        self.reprice(running.pop())
        self.reschedule(running.pop(), dice.randrange(1, 6), dice.choice(RESCHEDULE_REASONS))
        if dice.random() < 0.5:
            self.cancel(running.pop(), dice.choice(CANCEL_REASONS))
        if dice.random() < 0.3:
            self.retender(running.pop(), dice.choice(RETENDER_REASONS))
        if dice.random() < 0.15:
            self.vanish(running.pop())

    # Events ------------------------------------------------------------------------------------------

    def add(self, kind: str, **fields: Any) -> str:
        """A new package, announced now; ``fields`` replace what was made up. Returns its key."""
        dice = make_dice(self.seed, self.place.slug, kind, self._next[kind])
        package = make_package(dice, self.place, kind, self._take_key(kind), self._minute(), self.now.year)
        package = replace(package, **fields)
        self.packages[package.key] = package
        self._tell("add", package)
        return package.key

    def reprice(self, key: str, value: Decimal | None = None) -> Decimal:
        """A new HPS (or budget, where there is no HPS): ``value``, else three per cent less. Returns it."""
        package = self.packages[key]
        old = package.budget if package.value is None else package.value
        new = value if value is not None else (old * 97 / 100).quantize(Decimal("0.01"))
        if package.value is None:
            package.budget = new
        else:
            package.value = new
        self._tell("reprice", package)
        return new

    def reschedule(self, key: str, days: int, reason: str = RESCHEDULE_REASONS[0]) -> None:
        """Moves what is left of the schedule; the rows then say "1 kali perubahan". ValueError without a schedule."""
        package = self._bid_for(key)
        move(package, self.now, days, reason)
        self._tell("reschedule", package)

    def cancel(self, key: str, reason: str = CANCEL_REASONS[0], *, failed: bool = False) -> None:
        """Batal; ``failed``: Tender Gagal, which only tenders know."""
        package = self.packages[key]
        if package.kind not in BIDDING_KINDS or (failed and package.kind != TENDER):
            raise ValueError(f"a package of kind {package.kind} cannot be cancelled so")
        package.ended, package.ended_reason = "Gagal" if failed else "Batal", reason
        self._tell("cancel", package)

    def retender(self, key: str, reason: str = RETENDER_REASONS[0]) -> None:
        """Tender Ulang, with a new schedule from now on."""
        package = self._bid_for(key)
        package.again, package.again_reason = True, reason
        package.ended, package.ended_reason = "", None
        package.start, package.edited, package.ahead = self._minute(), (), timedelta()
        self._tell("retender", package)

    def move_stage(self, key: str) -> str:
        """Carries the package on to its next stage, ahead of the world's clock. Returns that stage."""
        package = self._bid_for(key)
        before, now = stage(package, self.now), clock(package, self.now)
        turns = sorted({turn for row in milestones(package) for turn in (row.starts, row.ends) if turn > now})
        for turn in turns:
            package.ahead = turn - self.now
            if stage(package, self.now).split(" [")[0] != before.split(" [")[0]:
                self._tell("move_stage", package)
                return stage(package, self.now)
        raise ValueError(f"{key} has no stage after {before!r}")

    def award(self, key: str) -> None:
        """Names the winner: carries the package on to the stage that shows it."""
        self.packages[key].names_winner = True
        self._carry("award", key, award_time)

    def sign(self, key: str) -> None:
        """Signs the contract: carries the package on to where it is known."""
        self.packages[key].names_winner = self.packages[key].signs = True
        self._carry("sign", key, sign_time)

    def vanish(self, key: str) -> None:
        """Takes the package off the portal: from lists, home page and its own pages."""
        self.packages[key].gone = True
        self._tell("vanish", self.packages[key])

    def restore(self, key: str) -> None:
        """Puts a vanished package back."""
        self.packages[key].gone = False
        self._tell("restore", self.packages[key])

    # Making ------------------------------------------------------------------------------------------

    def _fill(self, kind: str, count: int) -> None:
        dice = make_dice(self.seed, self.place.slug, kind)
        recent = min(_RECENT[kind], 0.03 + 60 / max(count, 1))  # a big portal has a long past, not a busy today
        for start in spread_starts(dice, count, self.now, recent=recent):
            # what is announced about New Year is paid for by the new year's budget
            year = self.now.year if self.now - start < timedelta(days=45) else start.year
            package = make_package(dice, self.place, kind, self._take_key(kind), start, year)
            add_history(dice, package)
            self.packages[package.key] = package

    def _make_hostile(self) -> None:
        """Gives some of the newest packages of each kind names that are hostile on purpose."""
        for kind in self._kinds:
            newest = self.listed(kind)[-2 * len(HOSTILE_TITLES) :: 2]
            for package, title in zip(newest, HOSTILE_TITLES, strict=False):
                package.title = title

    def _take_key(self, kind: str) -> str:
        """Keys grow, with gaps; emergencies end in the portal's number, the others in 000."""
        number = self._next[kind]
        self._next[kind] = number + 1 + number * self.seed % 9
        return f"{number}{'802' if kind == EMERGENCY else '000'}"

    def _minute(self) -> datetime:
        return self.now.replace(second=0, microsecond=0)

    def _bid_for(self, key: str) -> Package:
        package = self.packages[key]
        if not package.route:
            raise ValueError(f"{key} ({package.kind}) has no schedule")
        return package

    def _carry(self, what: str, key: str, turn: Callable[[Package], datetime | None]) -> None:
        package = self._bid_for(key)
        time = turn(package)
        if time is None or package.ended:
            raise ValueError(f"{key} will never come to that")
        package.ahead = max(package.ahead, time - self.now)
        self._tell(what, package)

    def _tell(self, what: str, package: Package) -> None:
        self.version += 1
        self.happenings.append(Happening(self.now, what, package.kind, package.key))
