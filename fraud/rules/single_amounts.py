"""Frequency, quantity and supply of one encounter; see `fraud.rules.batch_amounts`."""

import math
from collections.abc import Mapping, Sequence

from fraud.features.measures import DAY
from fraud.rules.batch_amounts import CARRIED_DAYS, MILLI, SUPPLY_DAYS
from fraud.rules.checks_table import NEVER
from fraud.rules.compiled import Compiled, CompiledRules, Facts, ItemEntry
from fraud.rules.encounter import Charge, Encounter, Fill, Findings, History

Key = tuple[int, str, int]


class _Units:
    """What one claim has of a check's part and bucket."""

    __slots__ = ("claim", "days", "each", "rows")

    def __init__(self, claim: Encounter | Fill) -> None:
        self.claim = claim
        self.each = 0
        self.days: set[int] = set()
        self.rows: list[Charge] = []

    def count(self, unit: str) -> int:
        if unit == "claims":
            return MILLI
        return len(self.days) * MILLI if unit == "days" else self.each


def find(
    rules: CompiledRules,
    encounter: Encounter,
    history: History,
    charges: Sequence[tuple[ItemEntry, Charge]],
    facts: Facts,
    found: Findings,
) -> None:
    """Add what checks of amounts find."""
    own: dict[Key, _Units] = {}
    asked: dict[int, bool] = {}
    for entry, charge in charges:
        for one in entry.amounts:
            applies = asked.get(one.number)
            if applies is None:
                applies = asked[one.number] = one.applies(facts)
            part = _part(one, entry) if applies else None
            if part is not None:
                key = (one.number, part, _bucket(one, charge.day, encounter.month))
                units = own.get(key)
                if units is None:
                    units = own[key] = _Units(encounter)
                _add(units, one, charge.day, charge.milli, charge.supply)
                units.rows.append(charge)
    if not own:
        return
    past = _past(rules, encounter, history.fills, own) if history.fills else {}
    for (number, part, bucket), units in own.items():
        one = rules.compiled[number]
        earlier = past.get((number, part), ())
        test = _TESTS[one.check.rule.kind]
        test(one, bucket, units, encounter, earlier, found)


def _part(one: Compiled, entry: ItemEntry) -> str | None:
    if one.per == "item":
        return str(entry.number)
    if one.per == "class":
        return entry.item.drug_class or None
    return ""


def _bucket(one: Compiled, day: int, month: int) -> int:
    if one.window == "day":
        return day
    if one.window == "month":
        return month
    if one.window == "quarter":
        return month // 3
    return month // 12 if one.window == "year" else 0


def _add(units: _Units, one: Compiled, day: int, milli: int, supply: int) -> None:
    unit = one.unit
    if unit == "days":
        units.days.add(day)
    elif unit in ("times", "quantity"):
        units.each += milli
    elif unit != "claims":
        units.each += supply


def _reach(one: Compiled) -> int:
    """Days before the encounter from which earlier claims are too far to matter; 0 where none matters."""
    if one.check.rule.kind == "overlap":
        return SUPPLY_DAYS
    if one.check.rule.kind == "quantity":
        return CARRIED_DAYS if one.check.parameters.carry else 0
    return 0 if one.window == "visit" else one.window_days or NEVER


def _asking(entry: ItemEntry, wanted: set[tuple[int, str]]) -> list[tuple[Compiled, str, int]]:
    """Checks that count an item, as what part, and how far back."""
    parts = [(one, _part(one, entry)) for one in entry.amounts]
    return [(one, p, _reach(one)) for one, p in parts if p is not None and (one.number, p) in wanted]


def _past(
    rules: CompiledRules, encounter: Encounter, fills: Sequence[Fill], own: Mapping[Key, _Units]
) -> dict[tuple[int, str], list[tuple[int, _Units]]]:
    """Units of earlier claims by check and part, each with its bucket."""
    wanted = {(number, part) for number, part, _ in own if _reach(rules.compiled[number])}
    if not wanted:
        return {}
    found: dict[tuple[int, str, int, str], _Units] = {}
    asked: dict[tuple[str, str, str], list[tuple[Compiled, str, int]]] = {}
    for fill in fills:
        item = (fill.item_code, fill.item_name, fill.category)
        asking = asked.get(item)
        if asking is None:
            asking = asked[item] = _asking(rules.entry(*item), wanted)
        for one, part, reach in asking:
            if encounter.day_in - fill.day_in >= reach:
                continue
            bucket = _bucket(one, fill.day, fill.month)
            if one.check.rule.kind == "frequency" and (one.number, part, bucket) not in own:
                continue
            key = (one.number, part, bucket, fill.claim_id)
            units = found.get(key)
            if units is None:
                units = found[key] = _Units(fill)
            _add(units, one, fill.day, fill.milli, fill.supply)
    past: dict[tuple[int, str], list[tuple[int, _Units]]] = {}
    for (number, part, bucket, _), units in found.items():
        past.setdefault((number, part), []).append((bucket, units))
    return past


Earlier = Sequence[tuple[int, _Units]]


def _frequency(
    one: Compiled, bucket: int, units: _Units, encounter: Encounter, earlier: Earlier, found: Findings
) -> None:
    own, prior, others = units.count(one.unit), 0, []
    if one.window != "visit":
        for other_bucket, other in earlier:
            near = not one.window_days or encounter.day_in - other.claim.day_in < one.window_days
            if other_bucket == bucket and near:
                prior += other.count(one.unit)
                others.append(other.claim.claim_id)
    _tell(one, units, own, own + prior, min(own + prior - one.bound * MILLI, float(own)), others, found)


def _quantity(
    one: Compiled, bucket: int, units: _Units, encounter: Encounter, earlier: Earlier, found: Findings
) -> None:
    own, stock, others = units.count(one.unit), 0.0, []
    if one.check.parameters.carry:
        if encounter.is_stay:
            return
        near = [
            o for _, o in earlier
            if not _of_stay(o.claim) and encounter.day_in - o.claim.day_in < CARRIED_DAYS
        ]  # fmt: skip
        if near:
            had = sum(o.count(one.unit) for o in near)
            first = min(o.claim.settled_second for o in near)
            stock = max(had - math.floor((encounter.settled_second - first) * MILLI / DAY), 0.0)
            others = [o.claim.claim_id for o in near]
    total = stock + own
    _tell(one, units, own, total, min(total - one.bound * MILLI, float(own)), others, found)


def _overlap(
    one: Compiled, bucket: int, units: _Units, encounter: Encounter, earlier: Earlier, found: Findings
) -> None:
    own, across, best, others = units.count(one.unit), one.check.parameters.across, 0.0, []
    if encounter.is_stay or own <= 0:
        return
    for _, other in earlier:
        claim, elapsed = other.claim, encounter.day_in - other.claim.day_in
        had = other.count(one.unit)
        if _of_stay(claim) or had <= 0 or elapsed >= SUPPLY_DAYS or not _differs(across, encounter, claim):
            continue
        shared = min(had - elapsed * MILLI, own)
        if shared >= one.bound * MILLI:
            best = max(best, float(shared))
            others.append(claim.claim_id)
    _tell(one, units, own, best, best, others, found)


def _of_stay(claim: Encounter | Fill) -> bool:
    return claim.is_stay


def _differs(across: str, encounter: Encounter, claim: Encounter | Fill) -> bool:
    if across == "any":
        return True
    name = "doctor_id" if across == "doctor" else "institution_id"
    mine, other = getattr(encounter, name), getattr(claim, name)
    return mine is not None and other is not None and mine != other


def _tell(
    one: Compiled, units: _Units, own: int, total: float, over: float, others: list[str], found: Findings
) -> None:
    if over <= 0:
        return
    for charge in units.rows:
        cents = math.floor(float(charge.cents) * over / float(own) + 0.5)
        found.add(one.number, charge.item, charge.day, cents, float(total) / MILLI)
    found.others.update((one.number, other) for other in others)


_TESTS = {"frequency": _frequency, "quantity": _quantity, "overlap": _overlap}
