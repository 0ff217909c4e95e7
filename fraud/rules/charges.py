"""What batch rules look at: claims that stand, their charges by item and day, and their diagnoses.

A claim that was refunded in full is none. Charges are netted by claim, item and day, so that a line
taken back is not held against anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from fraud.features import facts
from fraud.features.measures import exact_sum, flag, left, without
from fraud.features.scope import LINED_AT_ONCE, Scope, claim_ranges, within
from fraud.rules.bounds import DAY, LEEWAY, YEAR
from fraud.rules.checks_table import CheckTable, item_sets
from fraud.rules.knowledge import DrugClasses
from fraud.rules.master import MASTER_COLUMNS, Master, master_of, resolved
from fraud.rules.vocabulary import Item
from fraud.schema import relation


def read_master(scope: Scope) -> Master:
    """Read the item master; empty where the dataset has none."""
    table = relation("items").select(*MASTER_COLUMNS).order_by("item_code")
    rows = scope.engine.to_arrow(table, "rules_master").to_pylist()
    return master_of(tuple(row[n] for n in MASTER_COLUMNS) for row in rows)


@dataclass(frozen=True)
class Facts:
    """Tables batch rules join, all in one scope.

    Attributes
    ----------
    claims : Table
        Claims that stand, history included; ``now`` is 1 in the months looked at.
    charges : Table
        claim_id, item, day, milli (thousandths of quantity), cents, supply (thousandths of days).
    item_sets, diagnoses : Table
        (item, set) and (claim_id, set, ago): which selector an item or a claim belongs to, ``ago``
        being the fewest days since such a diagnosis of the patient, 0 for the claim's own.
    items : tuple of Item
        By number.
    master : Master
    first_day : int
        Earliest first day of the claims looked at.
    """

    scope: Scope
    table: CheckTable
    claims: ir.Table
    charges: ir.Table
    item_sets: ir.Table
    diagnoses: ir.Table
    items: tuple[Item, ...]
    master: Master
    first_day: int


def build(scope: Scope, table: CheckTable, classes: DrugClasses, master: Master) -> Facts:
    """Keep the tables of `Facts` for the months of a scope."""
    facts.build(scope)
    claims = scope.keep("rule_claims_all", _claims(scope, table))
    items, numbered = _items(scope, classes, master)
    cuts = claim_ranges(scope.engine, claims, LINED_AT_ONCE)
    charges = scope.in_parts("rule_charges", cuts, lambda cut: _charges(within(claims, *cut), numbered))
    places, sets = item_sets(table.selectors, items)
    item_table = scope.small_table("rule_item_sets", {"item": places or [-1], "set": sets or [-1]})
    diagnoses = scope.keep("rule_diagnoses", _diagnoses(scope, claims, table))
    begin = claims.filter(claims.now == 1).agg(day=claims.day_in.min())
    first_day = scope.engine.to_arrow(begin, "rules_first_day").column("day")[0].as_py() or 0
    diagnosed = scope["rule_codes"].select("claim_id", diagnosed=ibis.literal(1, "int64")).distinct()
    claims = scope.keep("rule_claims", left(claims, diagnosed, "claim_id"))
    return Facts(scope, table, claims, charges, item_table, diagnoses, items, master, first_day)


def _claims(scope: Scope, table: CheckTable) -> ir.Table:
    claims = scope["claims"]
    raw = relation("claims")
    ages = _ages(claims)
    claims = claims.select(
        "claim_id",
        "visit_id",
        "patient_id",
        "institution_id",
        "department_id",
        "doctor_id",
        "visit_type",
        "settled_second",
        "day_in",
        "day_out",
        "sex",
        "insurance_type",
        "death_day",
        "birth_day",
        "birth_year",
        "month",
        "is_stay",
        "is_visit",
        group="diagnosis",
        institution_kind="kind",
        total="net_total",
        fund="net_fund",
        specialty=ibis.ifelse(
            claims.specialty.isin(sorted(table.specialties)), claims.specialty, ibis.null("string")
        ),
        settled_year=claims.settled_at.year().cast("int64"),
        now=flag(claims.month.isin(scope.months)),
        **ages,
    )
    code = raw.diagnosis_code.strip().nullif("")
    claims = left(claims, raw.select("claim_id", diagnosis_code=code), "claim_id")
    return claims.filter((claims.is_visit == 1) & (claims.total > 0))


def _ages(claims: ir.Table) -> dict[str, ir.Value]:
    """Ages in years: the least and the most the patient can have been on the first day.

    Of a birth date the two differ by a day's leeway, of a birth year by a year.
    """
    lived = (claims.day_in - claims.birth_day).cast("float64")
    years = (claims.settled_at.year() - claims.birth_year).cast("float64")
    return {
        "age_low": ibis.coalesce((lived - LEEWAY) / YEAR, years - 1.0),
        "age_high": ibis.coalesce((lived + LEEWAY) / YEAR, years + 1.0),
    }


def _items(scope: Scope, classes: DrugClasses, master: Master) -> tuple[tuple[Item, ...], ir.Table]:
    """Items charged, and the table that numbers what lines say of them."""
    lines = relation("lines")
    said = lines.select(**_said(lines)).distinct().order_by(list(_SAID))
    rows = scope.engine.to_arrow(said, "rules_items").to_pylist()
    found = [
        resolved(Item(r["item_code"], r["item_name"], r["category"]), classes, master.items) for r in rows
    ]
    items = tuple(sorted(set(found)))
    number = {item: n for n, item in enumerate(items)}
    codes = [r["item_code"] for r in rows] or [""]
    numbered = scope.small_table(
        "rule_items",
        {
            "item_code": codes,
            "item_name": [r["item_name"] for r in rows] or [""],
            "category": [r["category"] for r in rows] or [""],
            "item": [number[i] for i in found] or [-1],
            "per_unit": [master.days_per_unit.get(c, 0.0) for c in codes],
        },
    )
    scope.small_table(
        "rule_item_classes",
        {"item": list(range(len(items))) or [-1], "drug_class": [i.drug_class for i in items] or [""]},
    )
    return items, numbered


_SAID = ("item_code", "item_name", "category")


def _said(lines: ir.Table) -> dict[str, ir.StringValue]:
    """What lines say of an item; what is absent is the empty text."""
    return {name: lines[name].fill_null("") for name in _SAID}


def numbered_lines(claims: ir.Table, numbered: ir.Table) -> ir.Table:
    """Lines of some claims, by item number and day; a line without a time is of the claim's first day.

    Parameters
    ----------
    claims : Table
        claim_id and day_in.
    numbered : Table
        The numbers of items, kept as ``rule_items``.

    Returns
    -------
    Table
        claim_id, line_id, item_code, item, per_unit, day, quantity, unit_price, amount (cents), given (days).
    """
    lines = relation("lines")
    rows = lines.select(
        "claim_id",
        "line_id",
        "unit_price",
        "amount",
        quantity=lines.quantity.cast("float64"),
        given=lines.days_supply.cast("float64"),
        charged=lines.charged_at.epoch_seconds().cast("float64"),
        **_said(lines),
    )
    rows = rows.inner_join(numbered, list(_SAID))
    rows = rows.inner_join(claims.select("claim_id", "day_in"), "claim_id")
    day = ibis.coalesce((rows.charged / float(DAY)).floor().cast("int64"), rows.day_in)
    return without(rows.mutate(day=day), "charged", "day_in", "item_name", "category")


def _charges(claims: ir.Table, numbered: ir.Table) -> ir.Table:
    rows = numbered_lines(claims, numbered)
    rows = rows.mutate(
        milli=(rows.quantity * 1000).round().cast("int64").fill_null(0), cents=rows.amount.fill_null(0)
    )
    # A line that takes another back has negative amounts; its days of supply are taken back as well.
    sign = ibis.ifelse(rows.cents < 0, -1.0, 1.0)
    supply = ibis.coalesce(rows.given.abs() * sign, rows.milli.cast("float64") / 1000.0 * rows.per_unit)
    rows = rows.mutate(supply=(supply * 1000).round().cast("int64").fill_null(0))
    charges = rows.group_by(["claim_id", "item", "day"]).agg(
        milli=exact_sum(rows.milli), cents=exact_sum(rows.cents), supply=exact_sum(rows.supply)
    )
    return charges.filter(charges.cents > 0)


def _diagnoses(scope: Scope, claims: ir.Table, table: CheckTable) -> ir.Table:
    """Selectors a claim's patient belongs to by diagnosis, and how many days ago."""
    codes = scope.keep("rule_codes", _codes(claims))
    seen = scope.engine.to_arrow(codes.select("code").distinct().order_by("code"), "rules_codes")
    pairs = [(c, s) for c in seen.column("code").to_pylist() for s in sorted(table.selectors.of_diagnosis(c))]
    sets = scope.small_table(
        "rule_code_sets", {"code": [p[0] for p in pairs] or [""], "set": [p[1] for p in pairs] or [-1]}
    )
    now = claims.filter(claims.now == 1)
    current = codes.semi_join(now, "claim_id").inner_join(sets, "code").select("claim_id", "set").distinct()
    current = current.mutate(ago=ibis.literal(0, "int64"))
    remembered = _remembered(table)
    if not remembered:
        return current
    wanted = sets.filter(sets.set.isin(remembered))
    # by code first: a code belongs to dozens of selectors
    past = scope.keep("rule_past_codes", _past_codes(now, claims, codes.semi_join(wanted, "code")))
    past = past.inner_join(wanted, "code").select("claim_id", "set", "ago")
    both = current.union(past)
    return both.group_by(["claim_id", "set"]).agg(ago=both.ago.min())


def _past_codes(now: ir.Table, claims: ir.Table, codes: ir.Table) -> ir.Table:
    """Days since the patient's earlier claims last had each code: claim_id, code, ago."""
    past = codes.inner_join(claims.select("claim_id", "patient_id", "day_in", "settled_second"), "claim_id")
    past = past.select(
        "patient_id", "code", other="claim_id", other_day="day_in", other_second="settled_second"
    )
    pairs = now.select("claim_id", "patient_id", "day_in", "settled_second").inner_join(past, "patient_id")
    pairs = pairs.filter(earlier(pairs, "other_second", "other"))
    ago = ibis.greatest(pairs.day_in - pairs.other_day, 0)
    return (
        pairs.select("claim_id", "code", ago=ago)
        .group_by(["claim_id", "code"])
        .agg(ago=lambda t: t.ago.min())
    )


def _remembered(table: CheckTable) -> Sequence[int]:
    """Diagnosis selectors some check looks for in earlier claims."""
    found = set()
    for check in table.checks:
        p = check.parameters
        if p.diagnosis_days:
            for text in (p.diagnoses, p.excluded_diagnoses, p.when_diagnoses, p.unless_diagnoses):
                if text:
                    found.add(table.selectors.number("diagnoses", text))
    return sorted(found)


def _codes(claims: ir.Table) -> ir.Table:
    """Every diagnosis of every claim, once."""
    more = relation("diagnoses")
    more = more.select("claim_id", code=more.code.strip().nullif(""))
    own = claims.select("claim_id", code="diagnosis_code")
    both = own.union(more.semi_join(claims, "claim_id")).distinct()
    return both.filter(both.code.notnull())


def earlier(rows: ir.Table, second: str, claim: str) -> ir.BooleanValue:
    """Whether another claim was settled before: by time, then by id."""
    before = rows[second] < rows.settled_second
    return before | ((rows[second] == rows.settled_second) & (rows[claim] < rows.claim_id))
