"""When a claim was settled: night, weekend, bursts at a desk, two places at once."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import DAY, around, count_over, flag, gap_days, integer, left, ratio
from fraud.features.scope import Scope

NEAR = 600
"""Seconds either side that count as together."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about time, each with claim_id and features."""
    claims = scope["claims"]
    timed = claims.filter((claims.is_visit == 1) & (claims.settled_second % DAY != 0))
    return [
        scope.keep("claim_clock", _clock(scope.asked(claims))),
        scope.keep("claim_bursts", _bursts(scope.asked(timed))),
        scope.keep("claim_places", _places(scope.reach(timed, 1))),
    ]


def _clock(claims: ir.Table) -> ir.Table:
    """Hour and weekday of settlement; the hour is unknown where it is exactly midnight."""
    timed = claims.settled_second % DAY != 0
    hours = ibis.window(group_by=["institution_id", "visit_type", "month", "hour"])
    month = ibis.window(group_by=["institution_id", "visit_type", "month"])
    night = flag((claims.hour < 6) | (claims.hour >= 22))
    usual = ratio(claims.claim_id.count().over(hours), claims.claim_id.count().over(month))
    return claims.select(
        "claim_id",
        claim_night=ibis.ifelse(timed, night, ibis.null("int64")),
        claim_weekend=flag(claims.weekday >= 5),
        claim_hour_share=ibis.ifelse(timed, usual, ibis.null("float64")),
        claim_settle_delay_days=gap_days(claims.settled_second, claims.ended_second).clip(lower=0.0),
    )


def _others(rows: ir.Table, key: list[str], seconds: int) -> ir.IntegerValue:
    """Settlements of other patients in a group within `seconds` either side, same month only."""
    everyone = count_over(around([*key, "month"], seconds), rows.is_visit)
    own = count_over(around([*key, "patient_id", "month"], seconds), rows.is_visit)
    return everyone - own


def _bursts(timed: ir.Table) -> ir.Table:
    minute = timed.mutate(minute=timed.settled_second // 60)
    together = ibis.window(group_by=["institution_id", "month", "minute"])
    own = ibis.window(group_by=["institution_id", "month", "minute", "patient_id"])
    same = integer(minute.claim_id.count().over(together)) - integer(minute.claim_id.count().over(own))
    result = minute.select("claim_id", claim_same_minute=same)
    for column, name in (("operator_id", "operator"), ("department_id", "department")):
        known = timed.filter(timed[column].notnull())
        burst = known.select(
            "claim_id", column, "month", burst=_others(known, ["institution_id", column], NEAR)
        )
        usual = burst.group_by([column, "month"]).agg(usual=burst.burst.quantile(0.5))
        burst = left(burst, usual, [column, "month"])
        part = burst.select(
            "claim_id",
            **{
                f"claim_{name}_burst": burst.burst,
                f"claim_{name}_burst_ratio": ratio(burst.burst + 1, burst.usual + 1.0),
            },
        )
        result = left(result, part, "claim_id")
    return result


def _places(timed: ir.Table) -> ir.Table:
    """Time since the patient's settlement just before, when that was at another place.

    Settlements of the same second count, in the order of their ids. Pharmacies are left out: someone
    else may collect.
    """
    seen = timed.filter(timed.visit_type != "pharmacy")
    order = ibis.window(group_by="patient_id", order_by=["settled_second", "claim_id"])
    rows = seen.mutate(
        last_place=seen.institution_id.lag().over(order),
        last_region=seen.institution_region.lag().over(order),
        last_second=seen.settled_second.lag().over(order),
    )
    elapsed = (rows.settled_second - rows.last_second).cast("float64")
    moved = rows.last_place.notnull() & (rows.last_place != rows.institution_id)
    travelled = rows.last_region.notnull() & (rows.last_region != rows.institution_region)
    near = moved & (elapsed <= float(DAY))
    far = travelled.fill_null(False) & (elapsed <= float(DAY))
    return rows.select(
        "claim_id",
        claim_two_places_hours=ibis.ifelse(near, elapsed / 3600.0, ibis.null("float64")),
        claim_two_places=flag(near & (elapsed <= float(NEAR))),
        claim_two_regions_hours=ibis.ifelse(far, elapsed / 3600.0, ibis.null("float64")),
    )
