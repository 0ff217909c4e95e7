"""Who came at the same time: admission cohorts, occupancy of beds, shared phones and addresses."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from fraud.features.measures import count_over, distinct_before, exact_sum, integer, left, ratio
from fraud.features.scope import Scope

CONTACTS = (("phone", 30), ("address", 30), ("employer_id", 7))
"""Attribute patients may share and days in which their admissions count as together."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about crowds, each with claim_id and features."""
    claims = scope["claims"]
    stays = claims.filter(claims.is_stay == 1)
    return [
        scope.keep("claim_cohorts", _cohorts(scope.asked(stays))),
        scope.keep("claim_occupancy", _occupancy(scope, stays)),
        scope.keep("claim_contacts", _contacts(scope.reach(stays, max(days for _, days in CONTACTS)))),
    ]


def _cohorts(stays: ir.Table) -> ir.Table:
    """Other stays settled the same month that began (and ended) the same day."""
    rows = stays.mutate(ward=stays.department_id.fill_null("-"))
    one = rows.is_stay

    def others(*key: str) -> ir.IntegerValue:
        return count_over(ibis.window(group_by=["institution_id", "month", *key]), one) - 1

    rows = rows.mutate(
        cohort=others("ward", "day_in", "day_out"),
        alike=others("ward", "day_in", "day_out", "diagnosis"),
        arrivals=others("day_in") + 1,
        leavers=others("day_out") + 1,
    )
    per_day = rows.select("institution_id", "month", "day_in", "arrivals").distinct()
    usual = per_day.group_by(["institution_id", "month"]).agg(usual=per_day.arrivals.quantile(0.5))
    rows = left(rows, usual, ["institution_id", "month"])
    return rows.select(
        "claim_id",
        claim_cohort="cohort",
        claim_cohort_same_diagnosis=ibis.ifelse(rows.diagnosis.notnull(), rows.alike, ibis.null("int64")),
        claim_cohort_per_bed=ratio(rows.cohort + 1, rows.beds),
        claim_admissions_ratio=ratio(rows.arrivals, rows.usual),
    )


def _occupancy(scope: Scope, stays: ir.Table) -> ir.Table:
    """Stays in the house on the day of admission per approved bed.

    Counts stays settled by the end of the claim's month (from the month before on), so it is a lower
    bound near the end of a month.
    """
    calendar = scope.window_calendar("beds", scope.detailed, 2)
    rows = stays.inner_join(calendar, "month").select("institution_id", "scored_month", "day_in", "day_out")
    moves = rows.select("institution_id", "scored_month", day="day_in", step=ibis.literal(1, "int64")).union(
        rows.select("institution_id", "scored_month", day="day_out", step=ibis.literal(-1, "int64"))
    )
    daily = moves.group_by(["institution_id", "scored_month", "day"]).agg(step=exact_sum(moves.step))
    order = ibis.cumulative_window(group_by=["institution_id", "scored_month"], order_by="day")
    daily = daily.mutate(inside=integer(daily.step.sum().over(order)))
    daily = daily.select("institution_id", "inside", month="scored_month", day_in="day")
    joined = left(stays, daily, ["institution_id", "month", "day_in"])
    return joined.select("claim_id", claim_occupancy=ratio(joined.inside, joined.beds))


def _contacts(stays: ir.Table) -> ir.Table:
    """Patients of other households admitted here just before who share a phone, address or employer."""
    result = stays.select("claim_id")
    rows = stays.mutate(home=stays.household_id.fill_null(stays.patient_id))
    for column, days in CONTACTS:
        name = f"claim_shared_{column.removesuffix('_id')}"
        result = left(result, _sharing(rows, column, days, name), "claim_id")
    return result


def _sharing(rows: ir.Table, column: str, days: int, name: str) -> ir.Table:
    def other_patients(key: Sequence[str], as_name: str) -> ir.Table:
        part = distinct_before(rows, key, "patient_id", days, as_name)
        return part.select("claim_id", **{as_name: part[as_name] - part[f"{as_name}_own"]})

    everyone = other_patients(("institution_id", column), "everyone")
    family = other_patients(("institution_id", column, "home"), "family")
    both = left(everyone, family, "claim_id")
    return both.select("claim_id", **{name: ibis.greatest(both.everyone - both.family.fill_null(0), 0)})
