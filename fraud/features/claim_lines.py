"""What a claim is made of: mix by category, breadth, repeats of an item within and across claims."""

import ibis
import ibis.expr.types as ir

from fraud.features import peers
from fraud.features.measures import (
    DAY,
    before,
    count_over,
    entropy,
    exact_sum,
    flag,
    integer,
    left,
    log,
    ratio,
    robust_z,
)
from fraud.features.scope import Scope, within
from fraud.schema import relation

CARE = ("drug", "herb", "exam", "lab", "treatment", "surgery", "consumable")
"""Categories in which the same item twice is worth a look."""
TESTS = ("exam", "lab")
SHARES = {
    "drug": ("drug", "herb"),
    "exam": ("exam",),
    "lab": ("lab",),
    "treatment": ("treatment", "surgery"),
    "consumable": ("consumable",),
    "care": ("bed", "nursing"),
}
COMPARED = {
    "drug_share": 0.05,
    "exam_lab_share": 0.05,
    "consumable_share": 0.05,
    "treatment_share": 0.05,
    "items": 0.2,
    "tests": 0.2,
}
"""Measures compared with peers and the least robust standard deviation of each."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about lines, each with claim_id and features."""
    items = scope["claim_items"]
    scope.keep("claim_totals", _totals(scope.beside(items)))
    values = scope.keep("line_values", _values(scope["claim_totals"]))
    spread = peers.spread(scope, values, {c: c for c in COMPARED}, "lines")
    return [
        scope.keep("claim_mix", _mix(scope, values, spread)),
        scope.keep("claim_breadth", _breadth(scope)),
        scope.keep("claim_duplicates", _duplicates(scope)),
        scope.keep("claim_item_repeats", _item_repeats(scope)),
    ]


def items(scope: Scope) -> ir.Table:
    """Keep ``fx_claim_items``: lines summed by claim, item and day of charge, with the claim's context.

    Refunded lines are net.
    """
    claims, lines = scope["claims"], relation("lines")
    own = claims.filter((claims.is_visit == 1) & (claims.month >= scope.itemised)).select(
        "claim_id", "patient_id", "institution_id", "doctor_id", "visit_type", "month", "settled_second",
        "diagnosis", "is_stay", "is_visit", "day_in",
    )  # fmt: skip
    rows = lines.select(
        "claim_id", "item_code", "category", "amount", "quantity",
        milli=(lines.quantity * 1000).round().cast("int64"),
        cents=(lines.unit_price * 100).round().cast("int64"),
        charged=lines.charged_at.epoch_seconds().cast("int64") // DAY,
        supply=(lines.days_supply * 1000).round().cast("int64"),
        sign=ibis.cases((lines.amount > 0, 1), (lines.amount < 0, -1), else_=0).cast("int64"),
    )  # fmt: skip

    def summed(cut: tuple[str, str]) -> ir.Table:
        some = within(rows, *cut)
        some = some.group_by(["claim_id", "item_code", "category", "charged", "cents"]).agg(
            amount=exact_sum(some.amount),
            milli=exact_sum(some.milli),
            supply=integer(some.supply.sum()),
            times=exact_sum(some.sign),
        )
        return some.inner_join(within(own, *cut), "claim_id")

    return scope.in_parts("claim_items", scope.lined_ranges(), summed)


def _totals(items: ir.Table) -> ir.Table:
    """Amount, breadth and cents by category of each claim."""
    parts = {
        f"{name}_cents": exact_sum(ibis.ifelse(items.category.isin(of), items.amount, 0))
        for name, of in SHARES.items()
    }
    sums = items.group_by(["claim_id", "month", "is_stay"]).agg(line_cents=exact_sum(items.amount), **parts)
    codes = items.filter(items.milli > 0).select(
        "claim_id", "item_code", test=flag(items.category.isin(TESTS))
    )
    codes = codes.distinct()
    breadth = codes.group_by("claim_id").agg(n_items=integer(codes.count()), n_tests=exact_sum(codes.test))
    return left(sums, breadth, "claim_id")


def _values(totals: ir.Table) -> ir.Table:
    def part(*names: str) -> ir.FloatingValue:
        cents = totals[f"{names[0]}_cents"]
        for name in names[1:]:
            cents = cents + totals[f"{name}_cents"]
        return ratio(ibis.greatest(cents, 0), ibis.greatest(totals.line_cents, 0))

    return totals.select(
        "claim_id",
        "is_stay",
        "n_items",
        "n_tests",
        drug_share=part("drug"),
        exam_share=part("exam"),
        lab_share=part("lab"),
        exam_lab_share=part("exam", "lab"),
        treatment_share=part("treatment"),
        consumable_share=part("consumable"),
        care_share=part("care"),
        items=log(totals.n_items + 1),
        tests=log(totals.n_tests + 1),
    )


def _mix(scope: Scope, values: ir.Table, spread: ir.Table) -> ir.Table:
    rows = spread.inner_join(values, "claim_id")
    rows = left(rows, scope["claims"].select("claim_id", "stay_days"), "claim_id")
    z = {
        f"claim_{name}_peer_z": robust_z(rows[name], rows[f"{name}_median"], rows[f"{name}_mad"], floor)
        for name, floor in COMPARED.items()
    }
    only_stays = ibis.ifelse(rows.is_stay == 1, rows.exam_lab_share, ibis.null("float64"))
    return rows.select(
        "claim_id",
        claim_drug_share=rows.drug_share,
        claim_exam_share=rows.exam_share,
        claim_lab_share=rows.lab_share,
        claim_treatment_share=rows.treatment_share,
        claim_consumable_share=rows.consumable_share,
        claim_care_share=rows.care_share,
        claim_stay_exam_lab_share=only_stays,
        claim_items=rows.n_items,
        claim_tests=rows.n_tests,
        claim_tests_per_day=ratio(rows.n_tests, rows.stay_days),
        **z,
    )


def _breadth(scope: Scope) -> ir.Table:
    items = scope["claim_items"]
    items = scope.asked(items)
    counts = items.group_by(["claim_id", "item_code"]).agg(weight=exact_sum(items.amount))
    spread = entropy(counts, ["claim_id"], "weight", "item")
    return spread.select("claim_id", claim_top_item_share="item_top", claim_item_entropy="item_entropy")


def _duplicates(scope: Scope) -> ir.Table:
    """Charges of one item beyond the first on one day of a claim, refunds taken off."""
    items = scope["claim_items"]
    items = scope.asked(items).filter(lambda t: t.category.isin(CARE))
    known = items.filter(items.charged.notnull())
    days = known.group_by(["claim_id", "item_code", "charged"]).agg(
        times=exact_sum(known.times), amount=exact_sum(known.amount)
    )
    extra = ibis.greatest(days.times - 1, 0)
    days = days.mutate(
        extra=extra, again=ratio(ibis.greatest(days.amount, 0) * extra, ibis.greatest(days.times, 1))
    )
    found = days.group_by("claim_id").agg(
        extra=exact_sum(days.extra), again=integer(days.again.round().cast("int64").sum())
    )
    rows = left(found, scope["claim_totals"].select("claim_id", "line_cents"), "claim_id")
    return rows.select(
        "claim_id",
        claim_duplicate_lines="extra",
        claim_duplicate_amount_share=ratio(rows.again, ibis.greatest(rows.line_cents, 0)),
    )


def _item_repeats(scope: Scope) -> ir.Table:
    """Items the patient was already charged for: on the same day in another claim, tests within a week."""
    items = scope.reach(scope["claim_items"], 30)
    items = items.filter(items.category.isin(CARE) & (items.milli > 0))
    rows = items.select(
        "claim_id", "patient_id", "item_code", "settled_second", "is_visit",
        day=items.charged.fill_null(items.day_in), test=flag(items.category.isin(TESTS)),
        place=items.institution_id,
    ).distinct()  # fmt: skip
    week = before(["patient_id", "item_code"], 7)
    here = before(["patient_id", "item_code", "place"], 7)
    rows = rows.mutate(
        same_day=flag(count_over(before(["patient_id", "item_code", "day"], 30), rows.is_visit) > 0),
        week=rows.test * flag(count_over(week, rows.is_visit) > 0),
        elsewhere=rows.test * flag(count_over(week, rows.is_visit) > count_over(here, rows.is_visit)),
    )
    return rows.group_by("claim_id").agg(
        claim_items_again_same_day=exact_sum(rows.same_day),
        claim_tests_again_7d=exact_sum(rows.week),
        claim_tests_again_elsewhere_7d=exact_sum(rows.elsewhere),
    )
