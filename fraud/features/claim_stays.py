"""Stays: readmission, overlap with claims elsewhere, idle days."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import DAY, before, exact_sum, flag, gap_days, left, ratio
from fraud.features.scope import Scope
from fraud.schema import relation

YEAR = 365
READMISSION = 15
"""Days within which a stay counts as a readmission (core cases are within 7)."""
RESTING = ("bed", "nursing", "consultation")
"""Categories charged on a day on which nothing is done: bed, nursing and the daily round fee."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about stays, each with claim_id and features."""
    claims = scope["claims"]
    return [
        scope.keep("claim_readmission", _readmission(claims)),
        scope.keep("claim_overlap", _overlap(claims)),
        scope.keep("claim_idle", _idle(scope.asked(claims))),
    ]


def _readmission(claims: ir.Table) -> ir.Table:
    """Days since the end of the patient's last stay, settled earlier: any, related, same place."""
    stays = claims.filter(claims.is_stay == 1)

    def last_end(rows: ir.Table, *also: str) -> ir.IntegerValue:
        return rows.ended_second.max().over(before(["patient_id", *also], YEAR))

    rows = stays.mutate(
        last_end=last_end(stays),
        place_end=last_end(stays, "institution_id"),
        related_end=last_end(stays, "institution_id", "chapter"),
        same_end=last_end(stays, "diagnosis"),
    )

    def days(end: ir.IntegerValue) -> ir.FloatingValue:
        return gap_days(rows.started_second, end).clip(lower=0.0)

    known = rows.diagnosis.notnull()
    rows = rows.mutate(gap=days(rows.last_end), related=days(rows.related_end))
    by_patient = ibis.window(group_by="patient_id", order_by=["settled_second", "claim_id"])
    # both gaps must lie in the year before: what is further back is not always at hand
    seen = rows.last_end.lag().over(by_patient) >= rows.settled_second - YEAR * DAY
    gap_before = ibis.ifelse(seen, rows.gap.lag().over(by_patient), ibis.null("float64"))
    return rows.select(
        "claim_id",
        claim_readmission_days=rows.gap,
        claim_readmission_same_place_days=days(rows.place_end),
        claim_readmission_same_diagnosis_days=ibis.ifelse(known, days(rows.same_end), ibis.null("float64")),
        claim_readmission_15d=flag(rows.gap <= READMISSION),
        claim_double_stay=flag(rows.place_end >= rows.started_second + DAY),
        claim_split_stay=ibis.ifelse(known, flag(rows.related <= READMISSION), ibis.null("int64")),
        claim_readmission_gap_change=(rows.gap - gap_before).abs(),
    )


def _overlap(claims: ir.Table) -> ir.Table:
    """Claims at one institution while the patient lies in another, whole days inside the stay only.

    The days of admission and discharge are left out, so that transfers do not count. Both claims
    must be settled by the end of the month of the one described.
    """
    stays = claims.filter(claims.is_overnight == 1).select(
        "patient_id", "institution_id", "day_in", "day_out", "month", "claim_id"
    )
    visits = claims.filter(claims.is_visit == 1)
    visits = visits.select(
        "patient_id", "visit_type", "is_stay",
        other="claim_id", place="institution_id", other_in="day_in", other_out="day_out", other_month="month",
    )  # fmt: skip
    pairs = stays.inner_join(
        visits,
        [
            stays.patient_id == visits.patient_id,
            stays.institution_id != visits.place,
            visits.other_in < stays.day_out,
            visits.other_out > stays.day_in,
        ],
    )
    inside = flag((pairs.other_in > pairs.day_in) & (pairs.other_out < pairs.day_out))
    shop = flag(pairs.visit_type == "pharmacy")
    shared = ibis.least(pairs.day_out, pairs.other_out) - ibis.greatest(pairs.day_in, pairs.other_in) - 1
    pairs = pairs.mutate(
        elsewhere=inside * (1 - shop),
        shopping=inside * shop,
        shared=ibis.greatest(shared, 0) * pairs.is_stay,
    )
    of_stay = pairs.filter(pairs.other_month <= pairs.month).group_by("claim_id")
    of_visit = pairs.filter(pairs.month <= pairs.other_month).group_by(claim_id=pairs.other)
    stay_side = of_stay.agg(during=lambda t: exact_sum(t.elsewhere), shared=lambda t: t.shared.max())
    visit_side = of_visit.agg(
        inside=lambda t: t.elsewhere.max(), shop=lambda t: t.shopping.max(), met=lambda t: t.shared.max()
    )
    rows = left(
        left(claims.select("claim_id", "is_visit", "is_overnight"), stay_side, "claim_id"),
        visit_side,
        "claim_id",
    )
    return rows.select(
        "claim_id",
        claim_visits_during_stay=ibis.ifelse(
            rows.is_overnight == 1, rows.during.fill_null(0), ibis.null("int64")
        ),
        claim_inside_stay=rows.inside.fill_null(0),
        claim_pharmacy_inside_stay=rows.shop.fill_null(0),
        claim_stay_overlap_days=ibis.greatest(rows.shared.fill_null(0), rows.met.fill_null(0)),
    )


def _idle(claims: ir.Table) -> ir.Table:
    """Days of an overnight stay on which only bed, nursing or the round fee was charged.

    The day of discharge is left out. Unknown where all lines carry one day (charged in one go).
    """
    stays = claims.filter(claims.is_overnight == 1).select("claim_id", "day_in", "day_out", "stay_days")
    lines = relation("lines")
    lines = lines.filter(lines.charged_at.notnull()).select(
        "claim_id",
        day=lines.charged_at.epoch_seconds().cast("int64") // DAY,
        active=1 - flag(lines.category.isin(RESTING)),
    )
    days = lines.inner_join(stays, "claim_id").group_by(["claim_id", "day", "day_in", "day_out", "stay_days"])
    days = days.agg(active=lambda t: t.active.max())
    within = flag((days.day >= days.day_in) & (days.day < days.day_out))
    result = days.group_by(["claim_id", "stay_days"]).agg(
        charged=days.count(),
        idle=exact_sum(within * (1 - days.active)),
        busy=exact_sum(within * days.active),
    )
    result = result.mutate(spread=result.charged >= 2)
    return result.select(
        "claim_id",
        claim_idle_days=ibis.ifelse(result.spread, result.idle, ibis.null("int64")),
        claim_idle_share=ibis.ifelse(
            result.spread, ratio(result.idle, result.stay_days), ibis.null("float64")
        ),
        claim_active_day_share=ibis.ifelse(
            result.spread, ratio(result.busy, result.stay_days), ibis.null("float64")
        ),
    )
