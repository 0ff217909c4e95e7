"""Frequency, quantity and supply of one encounter; see `fraud.rules.batch_amounts`."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from fraud.rules.bounds import CARRIED_DAYS, DAY, MILLI, SUPPLY_DAYS
from fraud.rules.compiled import Charged, Compiled, CompiledRules, Facts
from fraud.rules.encounter import Charge, Encounter, Findings
from fraud.rules.past import History

Part = tuple[int, str]
"""A check, and the item or class that it counts."""


class _Units:
    """What one claim has of a check's part and bucket."""

    __slots__ = ("days", "each", "rows")

    def __init__(self) -> None:
        self.each = 0
        self.days: set[int] | None = None
        self.rows: list[Charge] = []

    def add(self, unit: str, day: int, milli: int, supply: int) -> None:
        if unit in ("times", "quantity"):
            self.each += milli
        elif unit == "days":
            if self.days is None:
                self.days = set()
            self.days.add(day)
            self.each = len(self.days) * MILLI
        elif unit == "claims":
            self.each = MILLI
        else:
            self.each += supply


Own = dict[tuple[int, str, int], _Units]
Earlier = Mapping[tuple[int, int], int]
"""Units of earlier claims by bucket and claim, in thousandths."""
NONE: Earlier = {}


def find(
    rules: CompiledRules, encounter: Encounter, history: History, charged: Charged, facts: Facts,
    found: Findings,
) -> None:  # fmt: skip
    """Add what checks of amounts find."""
    own = _own(charged, facts, encounter.month, alone=not history.count)
    past = _past(rules, encounter, history, own) if history.count and own else {}
    for (number, part, bucket), units in own.items():
        one, earlier = rules.compiled[number], past.get((number, part), NONE)
        # Without earlier claims nothing overlaps, and what is within bounds stays so.
        if earlier or (one.kind != "overlap" and units.each > one.most):
            _TESTS[one.kind](one, bucket, units, encounter, history, earlier, found)


def _own(charged: Charged, facts: Facts, month: int, *, alone: bool) -> Own:
    """Units of the encounter; `alone` leaves out what comes to nothing without earlier claims."""
    own: Own = {}
    asked: dict[int, bool] = {}
    for entry, charges in charged:
        for one, part in entry.counted:
            number = one.number
            if alone and (one.kind == "overlap" or _is_little(one, charges)):
                continue
            applies = asked.get(number)
            if applies is None:
                applies = asked[number] = one.applies(facts)
            if applies:
                window, unit = one.window, one.unit
                for charge in charges:
                    key = (number, part, 0 if window == "visit" else _bucket(window, charge.day, month))
                    units = own.get(key)
                    if units is None:
                        units = own[key] = _Units()
                    units.add(unit, charge.day, charge.milli, charge.supply)
                    units.rows.append(charge)
    return own


def _is_little(one: Compiled, charges: list[Charge]) -> bool:
    """Whether an item that is counted by itself, over the visit, stays within the bound."""
    if one.per != "item" or one.window != "visit" or one.unit not in ("quantity", "times"):
        return False
    return sum([c.milli for c in charges]) <= one.most


def _bucket(window: str, day: int, month: int) -> int:
    if window == "visit":
        return 0
    if window == "day":
        return day
    if window == "month":
        return month
    if window == "quarter":
        return month // 3
    return month // 12 if window == "year" else 0


def _past(
    rules: CompiledRules, encounter: Encounter, history: History, own: Own
) -> dict[Part, dict[tuple[int, int], int]]:
    """Units of earlier claims by check and part."""
    compiled = rules.compiled
    wanted = {(number, part) for number, part, _ in own if compiled[number].reach}
    past: dict[Part, dict[tuple[int, int], int]] = {}
    if not wanted:
        return past
    day_in, days_in, months = encounter.day_in, history.days_in, history.months
    seen: set[tuple[int, ...]] = set()
    begins: dict[int, int] = {}
    for code, name, category, begin, end in history.items():
        entry = rules.entry(code, name, category)
        if wanted.isdisjoint(entry.parts):
            continue
        fills = history.fills(begin, end)
        for one, part in entry.counted:
            if (one.number, part) not in wanted:
                continue
            told = past.setdefault((one.number, part), {})
            since = day_in - one.reach
            first = begins.get(since)
            if first is None:  # claims before it are all too far back
                near = (n for n, day in enumerate(days_in) if day > since)
                first = begins[since] = next(near, history.count)
            for row in fills[bisect_left(fills, (first,)) :]:
                if days_in[row[0]] > since:
                    _tally(told, one, row, months, seen)
    return past


def _tally(
    told: dict[tuple[int, int], int], one: Compiled, row: tuple[int, int, int, int], months: Sequence[int],
    seen: set[tuple[int, ...]],
) -> None:  # fmt: skip
    visit, day, milli, supply = row
    key = (_bucket(one.window, day, months[visit]), visit)
    unit = one.unit
    if unit == "times" or unit == "quantity":
        told[key] = told.get(key, 0) + milli
    elif unit == "claims":
        told[key] = MILLI
    elif unit != "days":
        told[key] = told.get(key, 0) + supply
    elif (id(told), *key, day) not in seen:
        seen.add((id(told), *key, day))
        told[key] = told.get(key, 0) + MILLI


def _frequency(
    one: Compiled, bucket: int, units: _Units, e: Encounter, history: History, earlier: Earlier,
    found: Findings,
) -> None:  # fmt: skip
    own, prior, others = units.each, 0, []
    if one.window != "visit":
        days_in = history.days_in
        for (other_bucket, visit), other in earlier.items():
            near = not one.window_days or e.day_in - days_in[visit] < one.window_days
            if other_bucket == bucket and near:
                prior += other
                others.append(visit)
    _tell(one, units, own + prior, min(own + prior - one.most, float(own)), history, others, found)


def _quantity(
    one: Compiled, bucket: int, units: _Units, e: Encounter, history: History, earlier: Earlier,
    found: Findings,
) -> None:  # fmt: skip
    own, stock = units.each, 0.0
    others: list[int] = []
    if one.check.parameters.carry:
        if e.is_stay:
            return
        days_in, stays, seconds = history.days_in, history.stays, history.settled_seconds
        near = [
            (visit, other) for (_, visit), other in earlier.items()
            if not stays[visit] and e.day_in - days_in[visit] < CARRIED_DAYS
        ]  # fmt: skip
        if near:
            had = sum(other for _, other in near)
            first = min(seconds[visit] for visit, _ in near)
            stock = max(had - math.floor((e.settled_second - first) * MILLI / DAY), 0.0)
            others = [visit for visit, _ in near]
    total = stock + own
    _tell(one, units, total, min(total - one.most, float(own)), history, others, found)


def _overlap(
    one: Compiled, bucket: int, units: _Units, e: Encounter, history: History, earlier: Earlier,
    found: Findings,
) -> None:  # fmt: skip
    own, across, best = units.each, one.check.parameters.across, 0.0
    others: list[int] = []
    if e.is_stay or own <= 0:
        return
    days_in, stays = history.days_in, history.stays
    for (_, visit), other in earlier.items():
        elapsed = e.day_in - days_in[visit]
        shared = min(other - elapsed * MILLI, own)
        if shared < one.most or stays[visit] or other <= 0 or elapsed >= SUPPLY_DAYS:
            continue
        if _differs(across, e, history, visit):
            best = max(best, float(shared))
            others.append(visit)
    _tell(one, units, best, best, history, others, found)


def _differs(across: str, e: Encounter, history: History, visit: int) -> bool:
    if across == "any":
        return True
    doctor = across == "doctor"
    mine = e.doctor_id if doctor else e.institution_id
    other = history.doctor_id(visit) if doctor else history.institution_id(visit)
    return mine is not None and other is not None and mine != other


def _tell(
    one: Compiled, units: _Units, total: float, over: float, history: History, others: Iterable[int],
    found: Findings,
) -> None:  # fmt: skip
    if over <= 0:
        return
    for charge in units.rows:
        cents = math.floor(float(charge.cents) * over / float(units.each) + 0.5)
        found.add(one.number, charge.item, charge.day, cents, float(total) / MILLI)
    found.others.update((one.number, history.claim_id(visit)) for visit in others)


_TESTS = {"frequency": _frequency, "quantity": _quantity, "overlap": _overlap}
