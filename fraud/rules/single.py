"""Rules on one encounter: the same findings as the batch reports for the same claim."""

import math

from fraud.rules import single_amounts, single_claims
from fraud.rules.checks_table import NEVER
from fraud.rules.compiled import CompiledRules, Facts, ItemEntry
from fraud.rules.encounter import NOTHING, Charge, Encounter, Findings, History


def find(rules: CompiledRules, encounter: Encounter, history: History = NOTHING) -> Findings:
    """Apply compiled rules to one encounter.

    Parameters
    ----------
    rules : CompiledRules
    encounter : Encounter
    history : History
        Earlier claims of the patient; what was settled later is left out.

    Returns
    -------
    Findings
        Rows and earlier claims as `fraud.rules.batch.find` reports them; items are numbers of
        ``rules.items``.
    """
    if history is not NOTHING:
        history = history.before(encounter.settled_second, encounter.claim_id)
    rules.trim()
    charges = netted(rules, encounter)
    sets = frozenset().union(*(entry.sets for entry, _ in charges)) if charges else frozenset()
    facts = rules.facts(encounter, sets, _diagnoses(rules, encounter, history))
    found = Findings()
    by_kind = rules.by_kind
    for entry, charge in charges:
        for one in entry.of_kind.get("limit", ()):
            if one.violated(facts) and one.applies(facts):
                found.add(one.number, charge.item, charge.day, charge.cents)
    if "companion" in by_kind:
        _companions(charges, facts, found)
    if "pair" in by_kind:
        _pairs(charges, facts, found)
    single_amounts.find(rules, encounter, history, charges, facts, found)
    single_claims.find(rules, encounter, history, charges, facts, found)
    return found


def netted(rules: CompiledRules, encounter: Encounter) -> list[tuple[ItemEntry, Charge]]:
    """Charges by item and day with positive amounts, as the batch nets them."""
    charges: dict[tuple[int, int], tuple[ItemEntry, Charge]] = {}
    for order in encounter.orders:
        entry = rules.entry(order.item_code, order.item_name, order.category)
        day = encounter.day_in if order.day is None else order.day
        pair = charges.get((entry.number, day))
        if pair is None:
            pair = charges[entry.number, day] = (entry, Charge(entry.number, day))
        charge = pair[1]
        milli = half_up(order.quantity * 1000)
        charge.milli += milli
        charge.cents += order.amount
        if order.supply_days is not None:
            charge.supply += half_up(abs(order.supply_days) * (-1.0 if order.amount < 0 else 1.0) * 1000)
        elif entry.per_unit:
            charge.supply += half_up(milli / 1000.0 * entry.per_unit * 1000)
    return [pair for pair in charges.values() if pair[1].cents > 0]


def half_up(value: float) -> int:
    """Nearest integer, halves away from zero as engines round."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def _diagnoses(rules: CompiledRules, encounter: Encounter, history: History) -> dict[int, int]:
    """Days since the patient last had a diagnosis of each selector."""
    latest: dict[str, int] = {}  # a patient is seen for the same again and again
    for visit in history.visits:
        for code in visit.diagnoses:
            if visit.day_in > latest.get(code, -NEVER):
                latest[code] = visit.day_in
    ago: dict[int, int] = {}
    for code, day in latest.items():
        days = max(encounter.day_in - day, 0)
        for number in rules.remembered(code):
            if days < ago.get(number, days + 1):
                ago[number] = days
    of_diagnosis = rules.table.selectors.of_diagnosis
    for code in encounter.diagnoses:
        if code:
            for number in of_diagnosis(code):
                ago[number] = 0
    return ago


def _companions(charges: list[tuple[ItemEntry, Charge]], facts: Facts, found: Findings) -> None:
    for entry, charge in charges:
        for one in entry.of_kind.get("companion", ()):
            if one.applies(facts):
                day = charge.day if one.window == "day" else None
                if not any(one.partner_set in e.sets and day in (None, c.day) for e, c in charges):
                    found.add(one.number, charge.item, charge.day, charge.cents)


def _pairs(charges: list[tuple[ItemEntry, Charge]], facts: Facts, found: Findings) -> None:
    best: dict[tuple[int, int, int], tuple[int, ItemEntry]] = {}
    for entry, charge in charges:
        for one in entry.of_kind.get("pair", ()):
            if one.excluded_set not in facts.charged or not one.applies(facts):
                continue
            for other, second in charges:
                if other.number == entry.number or one.excluded_set not in other.sets:
                    continue
                if one.window == "day" and second.day != charge.day:
                    continue
                key = (one.number, second.item, second.day)
                had = best.get(key)
                if had is None or entry.item < had[1].item:
                    best[key] = (second.cents, entry)
    for (number, item, day), (cents, partner) in best.items():
        found.add(number, item, day, cents, None, partner.number)
