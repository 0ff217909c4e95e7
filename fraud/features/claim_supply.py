"""Days of drugs dispensed against days elapsed, by patient and drug class."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import before, count_over, distinct_before, exact_sum, gap_days, integer, left
from fraud.features.scope import Scope
from fraud.schema import relation

SPAN = 90
"""Days over which supply is summed."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about drug supply, each with claim_id and features."""
    fills = scope.keep("fills", _fills(scope.reach(scope["claim_items"], SPAN)))
    rows = scope.keep("fills_past", _past(fills))
    for name, part in (("doctor_id", "class_doctors"), ("institution_id", "class_institutions")):
        found = distinct_before(_keyed(fills), ("patient_id", "drug_class"), name, SPAN, part)
        rows = left(rows, found.select(fill_id="claim_id", **{part: found[part]}), "fill_id")
    rows = scope.asked(rows)
    return [scope.keep("claim_supply", _claims(rows))]


def _fills(items: ir.Table) -> ir.Table:
    """Days of supply in thousandths by claim and drug class; drugs taken home only, not on a stay."""
    classes = relation("items")
    classes = classes.filter(classes.drug_class.notnull() & (classes.drug_class != ""))
    classes = classes.select("item_code", "drug_class", "days_per_unit")
    rows = items.filter((items.is_stay == 0) & (items.milli > 0)).inner_join(classes, "item_code")
    rows = rows.mutate(
        days=ibis.coalesce(
            rows.supply, (rows.milli.cast("float64") * rows.days_per_unit).round().cast("int64")
        )
    )
    rows = rows.filter(rows.days > 0)
    return rows.group_by(
        ["claim_id", "patient_id", "doctor_id", "institution_id", "settled_second", "month", "drug_class"]
    ).agg(days=exact_sum(rows.days))


def _keyed(fills: ir.Table) -> ir.Table:
    """Fills with one id per claim and class, in the place of the claim's."""
    return fills.mutate(claim_id=fills.claim_id + "|" + fills.drug_class)


def _past(fills: ir.Table) -> ir.Table:
    window = before(["patient_id", "drug_class"], SPAN)
    here = before(["patient_id", "drug_class", "institution_id"], 30)
    month = before(["patient_id", "drug_class"], 30)
    rows = fills.mutate(
        had=count_over(window, fills.days),
        first=fills.settled_second.min().over(window),
        last=fills.settled_second.max().over(window),
        recent=count_over(month, fills.days),
        here=count_over(here, fills.days),
    )
    elapsed = gap_days(rows.settled_second, rows["first"])
    stock = (rows.had.cast("float64") / 1000.0 - elapsed).clip(lower=0.0).fill_null(0.0)
    supply = rows.days.cast("float64") / 1000.0
    return rows.select(
        "claim_id",
        "month",
        "drug_class",
        fill_id=rows.claim_id + "|" + rows.drug_class,
        supply=supply,
        stock=stock,
        overlap=ibis.least(stock, supply),
        rate=(rows.had + rows.days).cast("float64") / 1000.0 / float(SPAN),
        elsewhere=(rows.recent - rows.here).cast("float64") / 1000.0,
        since=gap_days(rows.settled_second, rows["last"]),
    )


def _claims(rows: ir.Table) -> ir.Table:
    milli = (rows.overlap * 1000).round().cast("int64")
    rows = rows.mutate(milli=milli)
    return rows.group_by("claim_id").agg(
        claim_drug_classes=integer(rows.count()),
        claim_supply_days_max=rows.supply.max(),
        claim_stock_days_max=rows.stock.max(),
        claim_overlap_days=exact_sum(rows.milli).cast("float64") / 1000.0,
        claim_supply_rate_max=rows.rate.max(),
        claim_class_elsewhere_days=rows.elsewhere.max(),
        claim_class_doctors_90d=rows.class_doctors.max(),
        claim_class_institutions_90d=rows.class_institutions.max(),
        claim_days_since_fill=rows.since.min(),
    )
