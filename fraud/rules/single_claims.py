"""Rules on the whole of one encounter; see `fraud.rules.batch_claims` and `fraud.rules.batch_lines`."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from fraud.rules.bounds import ICD, LINE_TOLERANCE, TOLERANCE
from fraud.rules.compiled import Charged, Compiled, CompiledRules, Facts
from fraud.rules.encounter import Encounter, Findings
from fraud.rules.past import History, Visit

_CODE = re.compile(ICD)


def find(
    rules: CompiledRules, e: Encounter, history: History, charged: Charged, facts: Facts, found: Findings
) -> None:
    """Add what checks of whole claims find."""
    total = _total(e, charged)
    if total <= 0:
        return
    for kind in ("overlap", "sequence"):
        for one in rules.by_kind.get(kind, ()):
            test = _WHATS.get(one.check.parameters.what)
            if test is not None and one.applies(facts):
                test(one, e, history, charged, total, found)
    for one in rules.by_kind.get("share", ()):
        if one.applies(facts):
            _share(one, charged, found)
    if e.is_stay:
        for one in rules.by_kind.get("idle", ()):
            if one.applies(facts):
                _idle(one, e, charged, found)
    for one in rules.by_kind.get("anomaly", ()):
        if one.applies(facts):
            _ANOMALIES[one.check.parameters.what](rules, one, e, total, found)


def _total(e: Encounter, charged: Charged) -> int:
    return sum(c.cents for _, charges in charged for c in charges) if e.total is None else e.total


def _stays(e: Encounter, history: History) -> Iterator[Visit]:
    """Earlier stays of other visits."""
    stays = history.stays
    return _other_visits(e, history, (n for n, stay in enumerate(stays) if stay)) if 1 in stays else iter(())


def _other_visits(e: Encounter, history: History, numbers: Iterable[int]) -> Iterator[Visit]:
    for v in map(history.visit, numbers):
        if v.visit_id is None or e.visit_id is None or v.visit_id != e.visit_id:
            yield v


def _stay(one: Compiled, e: Encounter, history: History, _: Charged, total: int, found: Findings) -> None:
    if e.is_stay:
        pairs = [
            (min(e.day_out, v.day_out) - max(e.day_in, v.day_in), v.claim_id) for v in _stays(e, history)
        ]
        _tell(one, [p for p in pairs if p[0] >= one.bound], total, found)


def _inside_stay(
    one: Compiled, e: Encounter, history: History, _: Charged, total: int, found: Findings
) -> None:
    if e.is_stay:
        days = zip(history.stays, history.days_in, strict=True)
        within = (n for n, (stay, day) in enumerate(days) if not stay and e.day_in < day < e.day_out)
        others = list(_other_visits(e, history, within))
    else:
        others = [v for v in _stays(e, history) if v.day_in < e.day_in < v.day_out]
    across = one.check.parameters.across == "institution"
    inside = [v.claim_id for v in others if not across or _elsewhere(e, v)]
    if inside and len(inside) >= one.bound:
        found.add(one.number, cents=total, value=float(len(inside)))
        found.others.update((one.number, o) for o in inside)


def _elsewhere(e: Encounter, v: Visit) -> bool:
    return (
        e.institution_id is not None and v.institution_id is not None and e.institution_id != v.institution_id
    )


def _readmission(
    one: Compiled, e: Encounter, history: History, _: Charged, total: int, found: Findings
) -> None:
    own = group_of(e.diagnoses[0]) if e.diagnoses else None
    if not e.is_stay or own is None:
        return
    pairs = []
    for v in _stays(e, history):
        gap = e.day_in - v.day_out
        if v.group == own and 0 <= gap <= one.bound and not (gap <= 1 and _elsewhere(e, v)):
            pairs.append((gap, v.claim_id))
    _tell(one, pairs, total, found)


def group_of(code: str) -> str | None:
    """Three-character category of a diagnosis code, as `fraud.features.facts.diagnosis_group`."""
    return code.strip().upper()[:3] or None


def _after_death(one: Compiled, e: Encounter, _: History, __: Charged, total: int, found: Findings) -> None:
    if e.death_day is not None and e.day_in - e.death_day >= one.bound:
        found.add(one.number, cents=total, value=float(e.day_in - e.death_day))


def _before_birth(one: Compiled, e: Encounter, _: History, __: Charged, total: int, found: Findings) -> None:
    if e.birth_day is not None and e.birth_day - e.day_in >= one.bound:
        found.add(one.number, cents=total, value=float(e.birth_day - e.day_in))


def _outside_stay(
    one: Compiled, e: Encounter, _: History, charged: Charged, __: int, found: Findings
) -> None:
    if not e.is_stay:
        return
    days = [c.day for _, charges in charged for c in charges]
    if max(e.day_in - min(days, default=e.day_in), max(days, default=e.day_in) - e.day_out) < one.bound:
        return
    for charge in (c for entry, charges in charged if one.item_set in entry.sets for c in charges):
        away = max(e.day_in - charge.day, charge.day - e.day_out)
        if away >= one.bound:
            found.add(one.number, charge.item, charge.day, charge.cents, float(away))


def _tell(one: Compiled, pairs: list[tuple[int, str]], total: int, found: Findings) -> None:
    if pairs:
        found.add(one.number, cents=total, value=float(max(p[0] for p in pairs)))
        found.others.update((one.number, p[1]) for p in pairs)


_WHATS = {
    "stay": _stay,
    "inside_stay": _inside_stay,
    "readmission": _readmission,
    "after_death": _after_death,
    "before_birth": _before_birth,
    "outside_stay": _outside_stay,
}


def _share(one: Compiled, charged: Charged, found: Findings) -> None:
    whole = sum(c.cents for _, charges in charged for c in charges)
    part = sum(c.cents for entry, charges in charged if one.item_set in entry.sets for c in charges)
    if part and part / whole > one.bound and whole >= round(one.check.parameters.least * 100):
        found.add(one.number, cents=math.floor(part - one.bound * whole + 0.5), value=part / whole)


def _idle(one: Compiled, e: Encounter, charged: Charged, found: Findings) -> None:
    chosen = [charges for entry, charges in charged if one.item_set in entry.sets]
    if not chosen:
        return
    busy = {c.day for entry, charges in charged if one.item_set not in entry.sets for c in charges}
    idle = [c for charges in chosen for c in charges if e.day_in < c.day < e.day_out and c.day not in busy]
    days = len({c.day for c in idle})
    if idle and days >= one.bound:
        for charge in idle:
            found.add(one.number, charge.item, charge.day, charge.cents, float(days))


def _lines(
    rules: CompiledRules, one: Compiled, e: Encounter
) -> list[tuple[int, int, int, float, float | None]]:
    """Item, day, amount, quantity and price of the orders a check selects."""
    lines = []
    for o in e.orders:
        entry = rules.entry(o.item_code, o.item_name, o.category)
        if one.item_set < 0 or one.item_set in entry.sets:
            day = e.day_in if o.day is None else o.day
            lines.append((entry.number, day, o.amount, o.quantity, o.unit_price))
    return lines


def _merged(
    one: Compiled, parts: list[tuple[int, int, int, float]], found: Findings, least: int | None = None
) -> None:
    """One row per item and day: money summed, the largest value; of at least so many cents, if asked."""
    merged: dict[tuple[int, int], tuple[int, float]] = {}
    for item, day, cents, value in parts:
        had = merged.get((item, day), (0, value))
        merged[item, day] = (had[0] + cents, max(had[1], value))
    for (item, day), (cents, value) in merged.items():
        if least is None or cents >= least:
            found.add(one.number, item, day, cents, value)


def _line_amount(rules: CompiledRules, one: Compiled, e: Encounter, _: int, found: Findings) -> None:
    parts = []
    for item, day, amount, quantity, price in _lines(rules, one, e):
        if price is not None:
            expected = quantity * price
            off = abs(amount / 100.0 - expected)
            if off > abs(expected) * LINE_TOLERANCE + 0.01:
                parts.append((item, day, 0, off))
    _merged(one, parts, found)


def _quantity(rules: CompiledRules, one: Compiled, e: Encounter, _: int, found: Findings) -> None:
    lines = _lines(rules, one, e)
    _merged(one, [(i, d, a, q) for i, d, a, q, _ in lines if a > 0 and q <= 0], found)


def _price_limit(rules: CompiledRules, one: Compiled, e: Encounter, _: int, found: Findings) -> None:
    parts, limits = [], rules.master.price_limit
    for o in e.orders:
        most = limits.get(o.item_code)
        if most is None or o.unit_price is None:
            continue
        price = abs(o.unit_price)
        above = float(math.floor(price * 100.0 + 0.5)) - most
        if above >= 1.0 and o.quantity != 0:
            entry = rules.entry(o.item_code, o.item_name, o.category)
            if one.item_set < 0 or one.item_set in entry.sets:
                day = e.day_in if o.day is None else o.day
                cents = math.floor(above * abs(o.quantity) + 0.5) * _sign(o.amount, o.quantity)
                parts.append((entry.number, day, cents, price))
    _merged(one, parts, found, least=1)


def _sign(amount: int, quantity: float) -> int:
    """−1 for a line that takes another back, else 1."""
    return -1 if amount < 0 or quantity < 0 else 1


def _repeated_line(rules: CompiledRules, one: Compiled, e: Encounter, _: int, found: Findings) -> None:
    same: Counter[tuple[int, int, int, float]] = Counter()
    for item, day, amount, quantity, _price in _lines(rules, one, e):
        if amount:
            same[item, day, abs(amount), abs(quantity)] += _sign(amount, quantity)
    parts = [(i, d, (n - 1) * a, float(n)) for (i, d, a, _), n in same.items() if n > 1]
    _merged(one, parts, found)


def _claim_total(rules: CompiledRules, one: Compiled, e: Encounter, total: int, found: Findings) -> None:
    if e.total is not None and e.orders:
        off = abs(total - sum(o.amount for o in e.orders))
        if off > TOLERANCE:
            found.add(one.number, value=off / 100.0)


def _dates(rules: CompiledRules, one: Compiled, e: Encounter, total: int, found: Findings) -> None:
    if e.day_out < e.day_in:
        found.add(one.number, cents=total, value=float(e.day_in - e.day_out))


def _diagnosis_code(rules: CompiledRules, one: Compiled, e: Encounter, total: int, found: Findings) -> None:
    wrong = {d for d in (c.strip() for c in e.diagnoses) if d and not _CODE.search(d.upper())}
    if wrong:
        found.add(one.number, cents=total, value=float(len(wrong)))


def _doctor_code(rules: CompiledRules, one: Compiled, e: Encounter, total: int, found: Findings) -> None:
    if e.doctor_id is None and e.visit_type != "pharmacy" and e.institution_kind != "pharmacy":
        found.add(one.number, cents=total)


def _no_diagnosis(rules: CompiledRules, one: Compiled, e: Encounter, total: int, found: Findings) -> None:
    if e.is_stay and not any(d.strip() for d in e.diagnoses):
        found.add(one.number, cents=total)


_ANOMALIES = {
    "line_amount": _line_amount,
    "quantity": _quantity,
    "price_limit": _price_limit,
    "repeated_line": _repeated_line,
    "claim_total": _claim_total,
    "dates": _dates,
    "diagnosis_code": _diagnosis_code,
    "doctor_code": _doctor_code,
    "no_diagnosis": _no_diagnosis,
}
