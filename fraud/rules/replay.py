"""Claims of a dataset as encounters, each as it would have come to the screen."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from fraud.features.measures import DAY
from fraud.rules.charges import Facts
from fraud.rules.encounter import Encounter, Order
from fraud.schema import relation


def encounters(facts: Facts) -> Iterator[Encounter]:
    """Claims of the months of a build with their lines as orders, by claim id.

    Parameters
    ----------
    facts : Facts
        What `fraud.rules.charges.build` made.
    """
    engine, claims = facts.scope.engine, facts.claims
    now = claims.filter(claims.now == 1)
    lines = relation("lines").semi_join(now, "claim_id")
    lines = lines.mutate(charged=lines.charged_at.epoch_seconds().cast("int64"))
    wanted = lines.select(
        "claim_id",
        "line_id",
        "item_code",
        "item_name",
        "category",
        "quantity",
        "amount",
        "unit_price",
        "charged",
        "days_supply",
    ).order_by(["claim_id", "line_id"])
    orders = {
        claim: tuple(_order(r) for r in own)
        for claim, own in groupby(
            engine.to_arrow(wanted, "replay_lines").to_pylist(), lambda r: r["claim_id"]
        )
    }
    codes: dict[str, list[str]] = {}
    known = facts.scope["rule_codes"].semi_join(now, "claim_id").order_by(["claim_id", "code"])
    for row in engine.to_arrow(known, "replay_codes").to_pylist():
        codes.setdefault(row["claim_id"], []).append(row["code"])
    for row in engine.to_arrow(now.order_by("claim_id"), "replay_claims").to_pylist():
        claim = row["claim_id"]
        yield _encounter(row, orders.get(claim, ()), codes.get(claim, []))


def _order(row: dict[str, Any]) -> Order:
    return Order(
        row["item_code"] or "",
        row["item_name"] or "",
        row["category"] or "",
        0.0 if row["quantity"] is None else float(row["quantity"]),
        row["amount"] or 0,
        row["unit_price"],
        None if row["charged"] is None else row["charged"] // DAY,
        row["days_supply"],
        row["line_id"],
    )


def _encounter(row: dict[str, Any], orders: tuple[Order, ...], codes: list[str]) -> Encounter:
    own = row["diagnosis_code"]
    same = (
        "claim_id", "patient_id", "settled_second", "day_in", "day_out", "visit_type", "month", "visit_id",
        "institution_id", "institution_kind", "doctor_id", "specialty", "insurance_type", "sex", "birth_day",
        "birth_year", "settled_year", "death_day", "total",
    )  # fmt: skip
    return Encounter(
        orders=orders,
        diagnoses=(own or "", *(c for c in codes if c != own)),
        **{name: row[name] for name in same},
    )
