"""Batch rules on whole claims: overlapping stays, impossible sequences, shares, idle days."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import exact_sum
from fraud.rules.batch_items import charged, checks_of, claims_checked, found, with_conditions
from fraud.rules.charges import Facts, earlier


def _claims_checked(facts: Facts, kind: str, what: str) -> ir.Table:
    """Claims of the months that the checks of a kind which state `what` look at."""
    checks = checks_of(facts, kind)
    return with_conditions(facts, claims_checked(facts, checks.filter(checks.what == what)))


def _other_claims(facts: Facts) -> ir.Table:
    c = facts.claims
    return c.select(
        "patient_id",
        other="claim_id",
        other_second="settled_second",
        other_in="day_in",
        other_out="day_out",
        other_stay="is_stay",
        other_visit="visit_id",
        other_institution="institution_id",
        other_group="group",
    )


def _pairs(facts: Facts, rows: ir.Table) -> ir.Table:
    """Pairs with earlier claims of the patient that belong to another visit."""
    pairs = rows.inner_join(_other_claims(facts), "patient_id")
    other_visit = (pairs.visit_id != pairs.other_visit).fill_null(True)
    return pairs.filter(earlier(pairs, "other_second", "other") & other_visit)


def _told(pairs: ir.Table, value: ir.Value) -> tuple[ir.Table, ir.Table]:
    """Found rows, one per claim with the largest value, and the other claims."""
    rows = pairs.mutate(value=value.cast("float64"))
    best = rows.group_by(["check", "claim_id"]).agg(value=rows.value.max(), cents=rows.total.max())
    return found(best), pairs.select("check", "claim_id", "other").distinct()


def stays(facts: Facts) -> tuple[ir.Table, ir.Table]:
    """Two stays of one patient at the same time."""
    rows = _claims_checked(facts, "overlap", "stay")
    pairs = _pairs(facts, rows.filter(rows.is_stay == 1))
    shared = ibis.least(pairs.day_out, pairs.other_out) - ibis.greatest(pairs.day_in, pairs.other_in)
    return _told(pairs.filter((pairs.other_stay == 1) & (shared >= pairs.bound)), shared)


def inside_stays(facts: Facts) -> tuple[ir.Table, ir.Table]:
    """A visit within a stay of the patient; the one that was settled later is told of."""
    rows = _claims_checked(facts, "overlap", "inside_stay")
    pairs = _pairs(facts, rows)
    within = (
        (pairs.other_stay == 1)
        & (pairs.is_stay == 0)
        & (pairs.day_in > pairs.other_in)
        & (pairs.day_in < pairs.other_out)
    ) | (
        (pairs.other_stay == 0)
        & (pairs.is_stay == 1)
        & (pairs.other_in > pairs.day_in)
        & (pairs.other_in < pairs.day_out)
    )
    elsewhere = (pairs.across != "institution") | (pairs.institution_id != pairs.other_institution)
    pairs = pairs.filter(within & elsewhere)
    count = pairs.group_by(["check", "claim_id"]).agg(
        count=pairs.count().cast("int64"), bound=pairs.bound.max(), cents=pairs.total.max()
    )
    count = facts.scope.keep("rule_inside_hits", count.filter(count["count"] >= count.bound))
    others = pairs.select("check", "claim_id", "other").semi_join(count, ["check", "claim_id"]).distinct()
    return found(count.mutate(value=count["count"]).select("check", "claim_id", "cents", "value")), others


def readmissions(facts: Facts) -> tuple[ir.Table, ir.Table]:
    """A stay soon after another one for the same diagnosis; transfers within a day are none."""
    rows = _claims_checked(facts, "sequence", "readmission")
    pairs = _pairs(facts, rows.filter(rows.is_stay == 1))
    gap = pairs.day_in - pairs.other_out
    transfer = (gap <= 1) & (pairs.institution_id != pairs.other_institution)
    same = (pairs.other_stay == 1) & (pairs.group == pairs.other_group)
    return _told(pairs.filter(same & (gap >= 0) & (gap <= pairs.bound) & ~transfer), gap)


def lifetimes(facts: Facts) -> ir.Table:
    """Claims after death or before birth."""
    late = _claims_checked(facts, "sequence", "after_death")
    late = late.filter(late.day_in - late.death_day >= late.bound)
    early = _claims_checked(facts, "sequence", "before_birth")
    early = early.filter(early.birth_day - early.day_in >= early.bound)
    return found(late.select("check", "claim_id", value=late.day_in - late.death_day, cents="total")).union(
        found(early.select("check", "claim_id", value=early.birth_day - early.day_in, cents="total"))
    )


def outside_stays(facts: Facts) -> ir.Table:
    """Lines of a stay charged before admission or after discharge."""
    rows = with_conditions(facts, charged(facts, "sequence"))
    rows = rows.mutate(away=ibis.greatest(rows.day_in - rows.day, rows.day - rows.day_out))
    rows = rows.filter((rows.what == "outside_stay") & (rows.is_stay == 1) & (rows.away >= rows.bound))
    return found(rows.select("check", "claim_id", "item", "day", "cents", value="away"))


def shares(facts: Facts) -> ir.Table:
    """Claims of which one kind of item makes up too much."""
    rows = with_conditions(facts, charged(facts, "share"))
    part = rows.group_by(["check", "claim_id"]).agg(
        part=exact_sum(rows.cents), bound=rows.bound.max(), least=rows.least.max()
    )
    whole = facts.charges.group_by("claim_id").agg(whole=exact_sum(facts.charges.cents))
    part = part.inner_join(whole, "claim_id")
    part = part.mutate(value=part.part.cast("float64") / part.whole.cast("float64"))
    part = part.filter((part.value > part.bound) & (part.whole >= part.least))
    over = (part.part.cast("float64") - part.bound * part.whole.cast("float64") + 0.5).floor().cast("int64")
    return found(part.select("check", "claim_id", "value", cents=over))


def idle_days(facts: Facts) -> ir.Table:
    """Days within a stay on which only the selected items (bed, nursing) were charged."""
    rows = with_conditions(facts, charged(facts, "idle"))
    rows = rows.filter((rows.is_stay == 1) & (rows.day > rows.day_in) & (rows.day < rows.day_out))
    whole = facts.charges.group_by(["claim_id", "day"]).agg(
        items_that_day=facts.charges.count().cast("int64")
    )
    chosen = rows.group_by(["check", "claim_id", "day", "bound"]).agg(chosen=rows.count().cast("int64"))
    chosen = chosen.inner_join(whole, ["claim_id", "day"])
    idle = chosen.filter(chosen.chosen == chosen.items_that_day)
    days = idle.group_by(["check", "claim_id", "bound"]).agg(days=idle.count().cast("int64"))
    days = days.filter(days.days >= days.bound)
    idle = facts.scope.keep(
        "rule_idle_days",
        idle.select("check", "claim_id", "day").inner_join(
            days.select("check", "claim_id", "days"), ["check", "claim_id"]
        ),
    )
    rows = rows.select("check", "claim_id", "item", "day", "cents").inner_join(
        idle, ["check", "claim_id", "day"]
    )
    return found(rows.select("check", "claim_id", "item", "day", "cents", value=rows.days))
