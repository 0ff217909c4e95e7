"""Batch rules on how much: frequency in a window, quantity and days of supply, supply still in hand."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import exact_sum, left, without
from fraud.rules.batch_items import CLAIM_FACTS, charged, found, with_conditions
from fraud.rules.bounds import CARRIED_DAYS, DAY, MILLI, SUPPLY_DAYS
from fraud.rules.charges import Facts, earlier


def frequency(facts: Facts) -> tuple[ir.Table, ir.Table]:
    """More of something in a window than allowed, over all claims of the patient."""
    rows, units = _units(facts, "frequency")
    own = with_conditions(facts, units.filter(units.now == 1))
    pairs = _earlier_units(units, own.filter(own.window != "visit"), ["bucket"])
    pairs = pairs.filter((pairs.window_days == 0) | (pairs.day_in - pairs.other_day < pairs.window_days))
    prior = pairs.group_by(_KEY).agg(prior=exact_sum(pairs.other_units))
    own = left(own, prior, list(_KEY))
    total = own.units + own.prior.fill_null(0)
    own = own.mutate(
        total=total, over=ibis.least(total.cast("float64") - own.bound * MILLI, own.units.cast("float64"))
    )
    return _told(facts, "frequency", rows, own, pairs)


def quantity(facts: Facts) -> tuple[ir.Table, ir.Table]:
    """More of an item, or more days of it, than one claim may hold; with what is still in hand, if asked."""
    rows, units = _units(facts, "quantity")
    units = units.filter((units.carry == 0) | (units.is_stay == 0))
    own = with_conditions(facts, units.filter(units.now == 1))
    pairs = _earlier_units(units, own.filter(own.carry == 1), [])
    pairs = pairs.filter(pairs.day_in - pairs.other_day < CARRIED_DAYS)
    prior = pairs.group_by(_KEY).agg(had=exact_sum(pairs.other_units), first=pairs.other_second.min())
    own = left(own, prior, list(_KEY))
    elapsed = ((own.settled_second - own["first"]).cast("float64") * MILLI / float(DAY)).floor()
    stock = ibis.greatest(own.had.cast("float64") - elapsed, 0.0).fill_null(0.0)
    total = stock + own.units.cast("float64")
    own = own.mutate(total=total, over=ibis.least(total - own.bound * MILLI, own.units.cast("float64")))
    return _told(facts, "quantity", rows, own, pairs)


def supply_overlap(facts: Facts) -> tuple[ir.Table, ir.Table]:
    """Drugs dispensed while those of another claim are still in hand."""
    rows, units = _units(facts, "overlap")
    units = units.filter((units.is_stay == 0) & (units.units > 0))
    own = with_conditions(facts, units.filter(units.now == 1))
    pairs = _earlier_units(units, own, [])
    pairs = pairs.filter(pairs.day_in - pairs.other_day < SUPPLY_DAYS)
    pairs = pairs.filter(
        (pairs.across == "any")
        | ((pairs.across == "doctor") & (pairs.doctor_id != pairs.other_doctor))
        | ((pairs.across == "institution") & (pairs.institution_id != pairs.other_institution))
    )
    left_over = pairs.other_units - (pairs.day_in - pairs.other_day) * MILLI
    pairs = pairs.mutate(shared=ibis.least(left_over, pairs.units).cast("float64"))
    pairs = pairs.filter(pairs.shared >= pairs.bound * MILLI)
    best = pairs.group_by([*_KEY, "units"]).agg(over=pairs.shared.max())
    return _told(facts, "overlap", rows, best.mutate(total=best.over), pairs)


_KEY = ("check", "claim_id", "part", "bucket")


def _units(facts: Facts, kind: str) -> tuple[ir.Table, ir.Table]:
    """Charges selected by the checks of a kind, and what each claim has of each part and bucket.

    A part is an item, a drug class or everything selected; a bucket is the day or the calendar
    window that the claim was settled in.
    """
    rows = charged(facts, kind, only_now=False)
    if kind == "overlap":
        rows = rows.filter(rows.what == "supply")
    rows = rows.filter((rows.now == 1) | _needed(facts, rows, kind))
    classes = facts.scope["rule_item_classes"]
    rows = rows.inner_join(classes, "item")
    part = ibis.cases(
        (rows.per == "item", rows.item.cast("string")), (rows.per == "class", rows.drug_class), else_=""
    )
    bucket = ibis.cases(
        (rows.window == "day", rows.day),
        (rows.window == "month", rows.month),
        (rows.window == "quarter", (rows.month.cast("float64") / 3.0).floor().cast("int64")),
        (rows.window == "year", (rows.month.cast("float64") / 12.0).floor().cast("int64")),
        else_=0,
    )
    each = ibis.cases(
        (rows.unit == "claims", 0),
        (rows.unit == "days", 0),
        (rows.unit.isin(["times", "quantity"]), rows.milli),
        else_=rows.supply,
    )
    rows = rows.mutate(part=part, bucket=bucket.cast("int64"), each=each.cast("int64"))
    rows = rows.filter((rows.per != "class") | (rows.drug_class != ""))
    rows = facts.scope.keep(
        f"rule_{kind}_rows",
        rows.select("check", "claim_id", "part", "bucket", "item", "day", "cents", "each", "unit"),
    )
    units = rows.group_by([*_KEY, "unit"]).agg(
        each=exact_sum(rows.each), days=rows.day.nunique().cast("int64")
    )
    counted = ibis.cases(
        (units.unit == "claims", MILLI), (units.unit == "days", units.days * MILLI), else_=units.each
    )
    units = facts.scope.keep(f"rule_{kind}_units", units.select(*_KEY, units=counted.cast("int64")))
    checks = facts.scope[f"rule_checks_{kind}"]
    claims = facts.claims.select(*CLAIM_FACTS)
    return rows, units.inner_join(checks, "check").inner_join(claims, "claim_id")


def _needed(facts: Facts, rows: ir.Table, kind: str) -> ir.BooleanValue:
    """Whether an earlier charge can matter to any claim looked at; the others need not be summed."""
    first_month = min(facts.scope.months)
    if kind == "overlap":
        return rows.day_in > facts.first_day - SUPPLY_DAYS
    if kind == "quantity":
        return (rows.carry == 1) & (rows.day_in > facts.first_day - CARRIED_DAYS)
    calendar = ibis.cases((rows.window == "quarter", 2), (rows.window == "year", 11), else_=0)
    return ibis.cases(
        (rows.window == "visit", False),
        (rows.window == "day", True),
        (rows.window_days > 0, rows.day_in > facts.first_day - rows.window_days),
        else_=rows.month >= first_month - calendar,
    )


def _earlier_units(units: ir.Table, own: ir.Table, same: list[str]) -> ir.Table:
    """Pairs of a claim's units and an earlier claim's of the same patient, check and part."""
    other = units.select(
        "patient_id",
        "check",
        "part",
        "bucket",
        other="claim_id",
        other_units="units",
        other_second="settled_second",
        other_day="day_in",
        other_doctor="doctor_id",
        other_institution="institution_id",
    )
    if not same:
        other = without(other, "bucket")
    pairs = own.inner_join(other, ["patient_id", "check", "part", *same])
    return pairs.filter(earlier(pairs, "other_second", "other"))


def _told(
    facts: Facts, kind: str, rows: ir.Table, own: ir.Table, pairs: ir.Table
) -> tuple[ir.Table, ir.Table]:
    """Charges of the parts that are over, and the earlier claims they rest on."""
    over = own.filter(own.over > 0).select(*_KEY, "units", "total", "over")
    hits = facts.scope.keep(f"rule_{kind}_hits", over)
    return _prorated(rows, hits), _others(pairs, hits)


def _prorated(rows: ir.Table, hits: ir.Table) -> ir.Table:
    """Charges of the hits, each with the share of its money that lies above the limit."""
    checks_bound = rows.inner_join(hits, list(_KEY))
    cents = (
        checks_bound.cents.cast("float64") * checks_bound.over / checks_bound.units.cast("float64") + 0.5
    ).floor()
    out = checks_bound.mutate(
        cents=cents.cast("int64"), value=checks_bound.total.cast("float64") / float(MILLI)
    )
    grouped = out.group_by(["check", "claim_id", "item", "day"]).agg(
        cents=out.cents.max(), value=out.value.max()
    )
    return found(grouped)


def _others(pairs: ir.Table, hits: ir.Table) -> ir.Table:
    """The earlier claims of the hits."""
    known = hits.select(*_KEY)
    return (
        pairs.select(*_KEY, "other")
        .semi_join(known, list(_KEY))
        .select("check", "claim_id", "other")
        .distinct()
    )
