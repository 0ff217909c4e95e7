"""Batch rules on what is charged: limits, companions and excluded pairs."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import left
from fraud.rules.charges import Facts
from fraud.rules.conditions import exempt, looks, violated

FOUND = {
    "check": "int64",
    "claim_id": "string",
    "item": "int64",
    "day": "int64",
    "cents": "int64",
    "value": "float64",
    "partner": "int64",
}
"""Columns of what a rule finds; item −1 where the whole claim is meant, partner −1 where there is none."""
CLAIM_FACTS = (
    "claim_id",
    "patient_id",
    "institution_id",
    "doctor_id",
    "visit_type",
    "settled_second",
    "day_in",
    "day_out",
    "sex",
    "insurance_type",
    "specialty",
    "institution_kind",
    "age_low",
    "age_high",
    "is_stay",
    "month",
    "diagnosed",
    "group",
    "visit_id",
    "total",
    "death_day",
    "birth_day",
    "now",
)


def found(rows: ir.Table, **values: ir.Value) -> ir.Table:
    """Rows as `FOUND`; what is not given is NULL, or −1 for items."""
    absent = {"item": ibis.literal(-1, "int64"), "partner": ibis.literal(-1, "int64")}
    told: dict[str, ir.Value] = {}
    for name, kind in FOUND.items():
        if name in values:
            told[name] = values[name].cast(kind)
        elif name in rows.columns:
            told[name] = rows[name].cast(kind)
        else:
            told[name] = absent.get(name, ibis.null(kind))
    return rows.select(**told)


def checks_of(facts: Facts, kind: str) -> ir.Table:
    """The checks of a kind as a table, made once."""
    name = f"rule_checks_{kind}"
    if name in facts.scope.kept:
        return facts.scope[name]
    return facts.scope.small_table(name, facts.table.rows(kind))


def claims_checked(facts: Facts, checks: ir.Table) -> ir.Table:
    """Claims of the months, each with every one of some checks."""
    claims = facts.claims.select(*CLAIM_FACTS)
    return claims.filter(claims.now == 1).cross_join(checks)


def with_conditions(facts: Facts, rows: ir.Table) -> ir.Table:
    """Rows of (claim, check) that the check looks at and does not exempt."""
    for name in ("require_dx", "excluded_dx", "when_dx", "unless_dx"):
        if name in rows.columns:
            sets = facts.diagnoses.select("claim_id", **{name: "set", f"{name}_ago": "ago"})
            rows = left(rows, sets, ["claim_id", name])
    if "unless_set" in rows.columns:
        charged = sets_charged(facts).select(
            "claim_id", unless_set="set", unless_charged=ibis.literal(1, "int64")
        )
        rows = left(rows, charged.distinct(), ["claim_id", "unless_set"])
    return rows.filter(looks(rows) & ~exempt(rows))


def sets_charged(facts: Facts) -> ir.Table:
    """Which selectors a claim's charges belong to: claim_id, set, item, day, cents."""
    rows = facts.charges.inner_join(facts.item_sets, "item")
    return rows.select("claim_id", "set", "item", "day", "cents")


def charged(facts: Facts, kind: str, only_now: bool = True) -> ir.Table:
    """Charges with the checks of a kind that select them and the facts of their claims."""
    claims = facts.claims.select(*CLAIM_FACTS)
    if only_now:
        claims = claims.filter(claims.now == 1)
    checks = checks_of(facts, kind)
    rows = facts.charges.inner_join(facts.item_sets, "item")
    rows = rows.inner_join(checks, rows.set == checks.item_set)
    return rows.inner_join(claims, "claim_id")


def limits(facts: Facts) -> ir.Table:
    """Items charged to whom, where or for what they are not meant."""
    rows = with_conditions(facts, charged(facts, "limit"))
    return found(rows.filter(violated(rows)))


def companions(facts: Facts) -> ir.Table:
    """Items charged without any of those they serve."""
    rows = with_conditions(facts, charged(facts, "companion"))
    others = sets_charged(facts).select("claim_id", partner_set="set", other_day="day").distinct()
    with_partner = rows.inner_join(others, ["claim_id", "partner_set"])
    with_partner = with_partner.filter(
        (with_partner.window != "day") | (with_partner.other_day == with_partner.day)
    )
    with_partner = with_partner.select("check", "claim_id", "item", "day").distinct()
    return found(rows.anti_join(with_partner, ["check", "claim_id", "item", "day"]))


def pairs(facts: Facts) -> ir.Table:
    """Items charged though another one that excludes them is charged too; what is found is the excluded."""
    rows = with_conditions(facts, charged(facts, "pair"))
    rows = rows.select("check", "claim_id", "window", "excluded_set", first="item", first_day="day")
    others = sets_charged(facts).select("claim_id", "item", "day", "cents", excluded_set="set")
    rows = rows.inner_join(others, ["claim_id", "excluded_set"])
    rows = rows.filter(
        (rows["first"] != rows["item"]) & ((rows.window != "day") | (rows.first_day == rows.day))
    )
    rows = rows.group_by(["check", "claim_id", "item", "day"]).agg(
        cents=rows.cents.max(), partner=rows["first"].min()
    )
    return found(rows)
