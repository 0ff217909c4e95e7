"""Rules on one encounter: the same findings as the batch reports for the same claim."""

import math
from operator import itemgetter

from fraud.rules import single_amounts, single_claims
from fraud.rules.checks_table import NEVER
from fraud.rules.compiled import Charged, CompiledRules, Facts, ItemEntry
from fraud.rules.encounter import Charge, Encounter, Findings, Order
from fraud.rules.past import NOTHING, History


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
    if history.count:
        history = history.before(encounter.settled_second, encounter.claim_id)
    rules.trim()
    charged = netted(rules, encounter)
    sets = frozenset().union(*[entry.sets for entry, _ in charged])
    facts = rules.facts(encounter, sets, _diagnoses(rules, encounter, history))
    found = Findings()
    low = -NEVER if facts.age_low is None else facts.age_low
    high = NEVER if facts.age_high is None else facts.age_high
    for entry, charges in charged:
        aged = low >= entry.oldest or high < entry.youngest
        for one in entry.limits + entry.by_age if aged else entry.limits:
            if one.violated(facts) and one.applies(facts):
                for charge in charges:
                    found.add(one.number, charge.item, charge.day, charge.cents)
        if entry.companions:
            _companions(entry, charges, charged, facts, found)
    _pairs(charged, facts, found)
    single_amounts.find(rules, encounter, history, charged, facts, found)
    single_claims.find(rules, encounter, history, charged, facts, found)
    return found


def netted(rules: CompiledRules, encounter: Encounter) -> Charged:
    """Items with their charges by day, those with positive amounts, as the batch nets them."""
    by_item: dict[int, tuple[ItemEntry, dict[int, Charge]]] = {}
    day_in, known, floor = encounter.day_in, rules.entries, math.floor
    for order in encounter.orders:
        text = (order.item_code, order.item_name, order.category)
        entry = known.get(text) or rules.entry(*text)
        own = by_item.get(entry.number)
        if own is None:
            own = by_item[entry.number] = (entry, {})
        day = day_in if order.day is None else order.day
        charge = own[1].get(day)
        if charge is None:
            charge = own[1][day] = Charge(entry.number, day)
        thousand = order.quantity * 1000
        milli = floor(thousand + 0.5) if thousand >= 0 else -floor(0.5 - thousand)
        charge.milli += milli
        charge.cents += order.amount
        if entry.supplied:
            charge.supply += _supply(order, milli, entry.per_unit)
    charged = []
    for entry, days in by_item.values():
        charges = [c for c in days.values() if c.cents > 0]
        if charges:
            charged.append((entry, charges))
    return charged


def _supply(order: Order, milli: int, per_unit: float) -> int:
    """Thousandths of days that an order lasts; what is taken back lasts so much less."""
    if order.supply_days is not None:
        return half_up(abs(order.supply_days) * (-1.0 if order.amount < 0 else 1.0) * 1000)
    return half_up(milli / 1000.0 * per_unit * 1000) if per_unit else 0


def half_up(value: float) -> int:
    """Nearest integer, halves away from zero as engines round."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def _diagnoses(rules: CompiledRules, encounter: Encounter, history: History) -> dict[int, int]:
    """Days since the patient last had a diagnosis of each selector."""
    ago: dict[int, int] = {}
    if history.count:
        for code, day in sorted(history.diagnosed(), key=itemgetter(1)):  # the latest is told last, and stays
            ago.update(dict.fromkeys(rules.remembered(code), max(encounter.day_in - day, 0)))
    of_diagnosis = rules.table.selectors.of_diagnosis
    for code in encounter.diagnoses:
        if code:
            ago.update(dict.fromkeys(of_diagnosis(code), 0))
    return ago


def _companions(
    entry: ItemEntry, charges: list[Charge], charged: Charged, facts: Facts, found: Findings
) -> None:
    for one in entry.companions:
        if one.applies(facts):
            partners = [own for e, own in charged if one.partner_set in e.sets]
            days = {c.day for own in partners for c in own}
            for charge in charges:
                if charge.day not in days if one.window == "day" else not partners:
                    found.add(one.number, charge.item, charge.day, charge.cents)


def _pairs(charged: Charged, facts: Facts, found: Findings) -> None:
    best: dict[tuple[int, int, int], tuple[int, ItemEntry]] = {}
    for entry, charges in charged:
        for one in entry.pairs:
            if one.excluded_set not in facts.charged or not one.applies(facts):
                continue
            days = {c.day for c in charges}
            for other, seconds in charged:
                if other is entry or one.excluded_set not in other.sets:
                    continue
                for second in seconds:
                    if one.window == "day" and second.day not in days:
                        continue
                    key = (one.number, second.item, second.day)
                    had = best.get(key)
                    if had is None or entry.item < had[1].item:
                        best[key] = (second.cents, entry)
    for (number, item, day), (cents, partner) in best.items():
        found.add(number, item, day, cents, None, partner.number)
