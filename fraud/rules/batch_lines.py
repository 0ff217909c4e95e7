"""Batch rules on the data themselves: sums that do not add up, codes that are none, prices above limits."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import exact_sum, left
from fraud.rules.batch_items import checks_of, claims_checked, found, with_conditions
from fraud.rules.bounds import ICD, LINE_TOLERANCE, TOLERANCE
from fraud.rules.charges import Facts, numbered_lines
from fraud.schema import relation


def anomalies(facts: Facts) -> list[ir.Table]:
    """What every anomaly that a check asks for finds."""
    asked = sorted({c.parameters.what for _, c in facts.table.of_kind("anomaly")})
    checks = checks_of(facts, "anomaly")
    return [_ANOMALIES[what](facts, checks.filter(checks.what == what)) for what in asked]


def _claims(facts: Facts, checks: ir.Table) -> ir.Table:
    return with_conditions(facts, claims_checked(facts, checks))


def _lines(facts: Facts, checks: ir.Table) -> ir.Table:
    """Lines of the months' claims, by item number, with what the check looks at."""
    lines = numbered_lines(facts.claims, facts.scope["rule_items"])
    rows = lines.inner_join(_claims(facts, checks), "claim_id")
    if "item_set" in rows.columns:
        chosen = facts.item_sets.select("item", item_set="set", selected=ibis.literal(1, "int64"))
        rows = left(rows, chosen, ["item", "item_set"])
        rows = rows.filter(rows.item_set.isnull() | (rows.selected == 1))
    return rows


def _merged(rows: ir.Table) -> ir.Table:
    rows = rows.group_by(["check", "claim_id", "item", "day"]).agg(
        cents=exact_sum(rows.cents), value=rows.value.max()
    )
    return found(rows)


def _sign(rows: ir.Table) -> ir.IntegerValue:
    """−1 for a line that takes another back, else 1: what was taken back is held against nobody."""
    return ibis.ifelse((rows.amount < 0) | (rows.quantity < 0), -1, 1).cast("int64")


def _line_amount(facts: Facts, checks: ir.Table) -> ir.Table:
    rows = _lines(facts, checks)
    rows = rows.mutate(expected=rows.quantity * rows.unit_price)
    rows = rows.mutate(value=(rows.amount.cast("float64") / 100.0 - rows.expected).abs())
    rows = rows.filter((rows.value > rows.expected.abs() * LINE_TOLERANCE + 0.01).fill_null(False))
    return _merged(rows.mutate(cents=ibis.literal(0, "int64")))


def _quantity(facts: Facts, checks: ir.Table) -> ir.Table:
    rows = _lines(facts, checks)
    rows = rows.filter((rows.amount > 0) & (rows.quantity <= 0))
    return _merged(rows.mutate(cents="amount", value=rows.quantity))


def _price_limit(facts: Facts, checks: ir.Table) -> ir.Table:
    rows = _lines(facts, checks)
    limits = facts.master.price_limit
    table = facts.scope.small_table(
        "rule_price_limits",
        {"item_code": sorted(limits) or [""], "most": [limits[c] for c in sorted(limits)] or [0]},
    )
    rows = rows.inner_join(table, "item_code")
    price = (rows.unit_price.abs() * 100.0).round()
    rows = rows.mutate(above=price - rows.most.cast("float64"), value=rows.unit_price.abs())
    rows = rows.filter((rows.above >= 1.0) & (rows.quantity != 0))
    cents = (rows.above * rows.quantity.abs() + 0.5).floor().cast("int64")
    merged = _merged(rows.mutate(cents=cents * _sign(rows)))
    return merged.filter(merged.cents > 0)


def _repeated_line(facts: Facts, checks: ir.Table) -> ir.Table:
    rows = _lines(facts, checks)
    rows = rows.filter(rows.amount != 0)
    rows = rows.mutate(sign=_sign(rows), amount=rows.amount.abs(), quantity=rows.quantity.abs())
    same = rows.group_by(["check", "claim_id", "item", "day", "amount", "quantity"]).agg(
        times=exact_sum(rows.sign)
    )
    same = same.filter(same.times > 1)
    return _merged(same.mutate(cents=(same.times - 1) * same.amount, value=same.times.cast("float64")))


def _claim_total(facts: Facts, checks: ir.Table) -> ir.Table:
    rows = _claims(facts, checks)
    lines = relation("lines")
    sums = lines.group_by("claim_id").agg(lines_sum=exact_sum(lines.amount))
    raw = relation("claims").select("claim_id", stated="total_amount")
    rows = rows.inner_join(sums, "claim_id").inner_join(raw, "claim_id")
    off = (rows.stated - rows.lines_sum).abs()
    rows = rows.filter(off > TOLERANCE)
    value = (rows.stated - rows.lines_sum).abs().cast("float64") / 100.0
    return found(rows.select("check", "claim_id", value=value, cents=ibis.literal(0, "int64")))


def _dates(facts: Facts, checks: ir.Table) -> ir.Table:
    rows = _claims(facts, checks)
    rows = rows.filter(rows.day_out < rows.day_in)
    return found(rows.select("check", "claim_id", value=rows.day_in - rows.day_out, cents="total"))


def _diagnosis_code(facts: Facts, checks: ir.Table) -> ir.Table:
    rows = _claims(facts, checks)
    codes = facts.scope["rule_codes"]
    wrong = codes.filter(~codes.code.upper().re_search(ICD))
    wrong = wrong.group_by("claim_id").agg(wrong=wrong.count().cast("int64"))
    rows = rows.inner_join(wrong, "claim_id")
    return found(rows.select("check", "claim_id", value="wrong", cents="total"))


def _doctor_code(facts: Facts, checks: ir.Table) -> ir.Table:
    rows = _claims(facts, checks)
    shop = (rows.visit_type == "pharmacy") | (rows.institution_kind == "pharmacy").fill_null(False)
    rows = rows.filter(rows.doctor_id.isnull() & ~shop)
    return found(rows.select("check", "claim_id", cents="total"))


def _no_diagnosis(facts: Facts, checks: ir.Table) -> ir.Table:
    rows = _claims(facts, checks)
    rows = rows.filter((rows.is_stay == 1) & rows.diagnosed.isnull())
    return found(rows.select("check", "claim_id", cents="total"))


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
