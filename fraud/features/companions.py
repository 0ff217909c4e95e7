"""Companions: other patients met again and again at the same desk within minutes.

A meeting is two patients of different households settled within ten minutes at the same desk
(operator, else department) of one institution. Crowded desks say little about who knows whom, so
a slot with more than `CROWD` settlements counts for nobody.
"""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import DAY, count_over, distinct_before, integer, left, ratio
from fraud.features.scope import Scope

NEAR = 600
"""Seconds within which two settlements are a meeting."""
CROWD = 30
"""Most settlements of a desk in ten minutes for these to be meetings."""
SPAN = 180
"""Days of earlier meetings that count."""
AGAIN = 3
"""Earlier days met from which on someone is a companion."""


def build(scope: Scope) -> list[ir.Table]:
    """Part of the claim table about companions, with claim_id and features."""
    # a day more: the days counted are whole ones
    visits = scope.keep("desk_visits", _visits(scope.reach(scope["claims"], SPAN + 1)))
    pairs = scope.keep("meetings", _meetings(visits))
    met = scope.keep("meetings_past", _past(pairs))
    return [scope.keep("claim_companions", _claims(scope, met))]


def _visits(claims: ir.Table) -> ir.Table:
    timed = claims.filter((claims.is_visit == 1) & (claims.settled_second % DAY != 0))
    rows = timed.select(
        "claim_id", "patient_id", "institution_id", "settled_second", "month", "day",
        desk=ibis.coalesce(timed.operator_id, timed.department_id, "-"),
        home=timed.household_id.fill_null(timed.patient_id),
        slot=timed.settled_second // NEAR,
    )  # fmt: skip
    crowd = rows.count().over(ibis.window(group_by=["institution_id", "desk", "slot"]))
    return rows.mutate(crowd=crowd).filter(lambda t: t.crowd <= CROWD).drop("crowd")


def _meetings(visits: ir.Table) -> ir.Table:
    """Both directions of each meeting: claim, patient, companion and day."""
    others = visits.select(
        "institution_id", "desk", other="patient_id", other_second="settled_second", other_home="home",
        other_month="month", slot="slot",
    )  # fmt: skip
    parts = []
    for step in (-1, 0, 1):
        shifted = others.mutate(slot=others.slot + step)
        pairs = visits.inner_join(shifted, ["institution_id", "desk", "slot"])
        near = (pairs.settled_second - pairs.other_second).abs() <= NEAR
        different = (pairs.patient_id != pairs.other) & (pairs.home != pairs.other_home)
        parts.append(
            pairs.filter(near & different & (pairs.month == pairs.other_month)).select(
                "claim_id", "patient_id", "other", "day", "month"
            )
        )
    return ibis.union(*parts, distinct=True)


def _past(pairs: ir.Table) -> ir.Table:
    """Earlier days each pair met; pairs that never met often enough are left out first."""
    days = pairs.select("patient_id", "other", "day").distinct()
    often = days.group_by(["patient_id", "other"]).agg(n=days.count())
    often = often.filter(often.n > AGAIN)
    days = days.semi_join(often, ["patient_id", "other"])
    window = ibis.range_window(group_by=["patient_id", "other"], order_by="day", preceding=(SPAN, 1))
    days = days.mutate(met=count_over(window, days.day.notnull().cast("int64")))
    return pairs.inner_join(days.filter(days.met >= AGAIN), ["patient_id", "other", "day"])


def _claims(scope: Scope, met: ir.Table) -> ir.Table:
    visits = scope["desk_visits"]
    found = met.group_by("claim_id").agg(
        companions=integer(met.count()), most=met.met.max(), companion_days=integer(met.met.sum())
    )
    days = visits.mutate(at=visits.day * DAY)
    days = days.group_by(["patient_id", "day", "at"]).agg(claim_id=days.claim_id.min())
    seen = distinct_before(
        days.select("patient_id", "day", "claim_id", settled_second="at"),
        ("patient_id",),
        "day",
        SPAN,
        "days",
    )
    per_day = days.inner_join(seen.select("claim_id", "days"), "claim_id").select("patient_id", "day", "days")
    rows = scope.asked(visits)
    rows = left(left(rows, found, "claim_id"), per_day, ["patient_id", "day"])
    return rows.select(
        "claim_id",
        claim_companions=rows.companions.fill_null(0),
        claim_companion_days=rows.most.fill_null(0),
        claim_companion_share=ratio(rows.most.fill_null(0), rows.days),
    )
