"""One prescription before it is issued: checked, and answered with what a doctor needs to know."""

import hashlib
from collections.abc import Mapping
from typing import Any

from fraud.errors import UsageError
from fraud.privacy import pseudonym
from fraud.rules.answer import Answer, HitOut
from fraud.rules.encounter import Encounter, Order
from fraud.rules.history import HistoryIndex
from fraud.rules.past import NOTHING
from fraud.rules.request import OrderIn, Prescription, parse
from fraud.rules.screen import Screen
from fraud.rules.single_hits import Hit


def check_prescription(
    request: Prescription | Mapping[str, Any],
    screen: Screen,
    index: HistoryIndex | None = None,
    key: bytes | None = None,
) -> Answer:
    """Check one prescription against the rules of a screen.

    Parameters
    ----------
    request : Prescription or mapping
        A mapping may have the toolkit's or the national names, and holds one encounter.
    screen : Screen
    index : HistoryIndex, optional
        Where the patient's earlier claims are looked up.
    key : bytes, optional
        Key of the pseudonyms of the dataset that the index was made from; None where ids are as given.

    Returns
    -------
    Answer

    Raises
    ------
    UsageError
        The request has mistakes (all of them named), or several encounters.
    """
    if not isinstance(request, Prescription):
        found = parse(request)
        if len(found) != 1:
            raise UsageError("the request holds several encounters; check them one by one with parse().")
        request = found[0]
    encounter = encounter_of(request, key)
    history = NOTHING if index is None else index.of(encounter.patient_id)
    unpriced = sum(_is_unpriced(o) for o in request.orders)
    earlier = frozenset(o.code for o in request.orders) - frozenset(
        o.code for o in request.orders if o.current
    )
    hits, cents = [], {}
    for hit in screen.check(encounter, history):
        if hit.items and earlier.issuperset(hit.items):
            continue
        amount = hit.amount if hit.amount > unpriced else 0
        own = [o for o in request.orders if o.code in hit.items]
        out = _out(hit, encounter.claim_id, amount, [o.order_id for o in own])
        hits.append(out)
        cents[out.result_id] = _shares(own, amount)
    answer = Answer(
        encounter_id=request.encounter.encounter_id,
        severity=hits[0].severity if hits else "",
        hits=hits,
        rules_version=screen.version,
        checks=len(screen.checks),
        history="" if index is None else index.version,
        history_claims=history.count,
    )
    answer._patient_id, answer._cents = request.patient.patient_id, cents
    return answer


def keyed(value: str, kind: str, key: bytes | None) -> str | None:
    """An id as the dataset has it: a pseudonym where there is a key; None for an empty one."""
    if not value:
        return None
    return value if key is None else pseudonym(value, kind, key)


def encounter_of(request: Prescription, key: bytes | None = None) -> Encounter:
    """The request as rules see it. Nothing is read from a clock.

    The claim does not exist yet, so the encounter's id stands for it. An order without a price is given
    one cent, because rules leave out what nobody is charged for.
    """
    p, e = request.patient, request.encounter
    moments = [m for m in (e.started_at, e.at, *(o.ordered_at for o in request.orders)) if m is not None]
    now = e.ended_at if e.ended_at is not None and e.at is None else max(moments, key=lambda m: m.latest)
    second = max(now.latest, e.started_at.second)
    at = now.date
    visit = keyed(e.encounter_id, "visit", key) or ""
    return Encounter(
        claim_id=visit,
        patient_id=keyed(p.patient_id, "patient", key) or "",
        settled_second=second,
        day_in=e.started_at.day,
        day_out=e.ended_at.day if e.ended_at is not None else max(now.day, e.started_at.day),
        visit_type=e.visit_type or "other",
        month=at.year * 12 + at.month - 1,
        orders=tuple(_order(o) for o in request.orders),
        diagnoses=e.codes,
        visit_id=visit or None,
        institution_id=keyed(e.institution_id, "institution", key),
        institution_kind=e.institution_kind or None,
        doctor_id=keyed(e.doctor_id, "doctor", key),
        specialty=e.specialty or None,
        insurance_type=p.insurance_type or None,
        sex=p.sex or None,
        birth_day=p.birth_date.day if p.birth_date is not None else None,
        birth_year=p.birth_year,
        settled_year=at.year,
    )


def _is_unpriced(order: OrderIn) -> bool:
    return order.cents == 0 and order.quantity > 0


def _order(o: OrderIn) -> Order:
    day = None if o.ordered_at is None else o.ordered_at.day
    return Order(
        o.code, o.item_name, o.category, o.quantity, 1 if _is_unpriced(o) else o.cents, o.unit_price, day,
        o.days_supply, o.order_id,
    )  # fmt: skip


def _out(hit: Hit, encounter_id: str, amount: int, orders: list[str]) -> HitOut:
    return HitOut(
        result_id=result_id(encounter_id, hit),
        rule=hit.code,
        name_zh=hit.name_zh,
        name_en=hit.name_en,
        result=hit.result,
        severity=hit.severity,
        amount=amount / 100,
        items=list(hit.items),
        orders=[o for o in dict.fromkeys(orders) if o],
        explanation_zh=hit.explanation_zh,
        explanation_en=hit.explanation_en,
        clause=hit.clause,
        knowledge=dict(hit.knowledge),
        value=hit.value,
        limit=hit.limit,
        earlier_claims=list(hit.earlier_claims),
        exemptions=list(hit.exemptions),
    )


def result_id(encounter_id: str, hit: Hit) -> str:
    """Stable name of a hit, at most 46 characters: its rule, a dot, and a hash.

    The hash is of the encounter, the rule, its knowledge and the items.
    """
    text = "\x1f".join((encounter_id, hit.code, hit.knowledge.get("id", ""), *sorted(hit.items)))
    return f"{hit.code}.{hashlib.sha256(text.encode()).hexdigest()[: min(16, 45 - len(hit.code))]}"


def _shares(orders: list[OrderIn], cents: int) -> list[tuple[str, int]]:
    """Orders with their parts of an amount, in proportion; whole cents that add up."""
    total = sum(max(o.cents, 0) for o in orders)
    shares, done, seen = [], 0, 0
    for order in orders:
        seen += max(order.cents, 0)
        upto = cents * seen // total if total else 0
        shares.append((order.order_id, upto - done))
        done = upto
    return shares or [("", cents)]
