"""What entities share: patients with others, flows from one to the next, concentration on items."""

import ibis
import ibis.expr.types as ir

from fraud.features.entity import window_rows
from fraud.features.measures import DAY, entropy, exact_sum, fixed_mean, integer, left, ratio
from fraud.features.scope import Scope

FOLLOWS = 21
"""Days within which a claim elsewhere counts as following another (detection notes)."""
MANY = 20
"""Patients seen by more than this many others tell nothing about a pair."""


def shared_patients(scope: Scope, key: str) -> ir.Table:
    """Share of an entity's patients also seen by others, and by the one that shares most.

    Uses ``fx_<key>_patient_counts`` kept by `fraud.features.entity.concentrations`.

    Returns
    -------
    Table
        key, scored_month, shared_patient_share, partner_top_share, partner_n.
    """
    counts = scope[f"{key}_patient_counts"].drop("weight")
    spread = counts.group_by(["scored_month", "patient_id"]).agg(places=counts.count())
    rows = left(counts, spread, ["scored_month", "patient_id"])
    sizes = rows.group_by([key, "scored_month"]).agg(
        n=rows.count(), shared=exact_sum((rows.places > 1).cast("int64"))
    )
    few = rows.filter((rows.places > 1) & (rows.places <= MANY)).select(key, "scored_month", "patient_id")
    others = few.rename(other=key)
    pairs = few.inner_join(others, ["scored_month", "patient_id"]).filter(lambda t: t[key] != t.other)
    pairs = pairs.group_by([key, "scored_month", "other"]).agg(common=lambda t: t.count())
    tops = pairs.group_by([key, "scored_month"]).agg(most=pairs.common.max(), partner_n=pairs.count())
    rows = left(sizes, tops, [key, "scored_month"])
    return rows.select(
        key,
        "scored_month",
        shared_patient_share=ratio(rows.shared, rows.n),
        partner_top_share=ratio(rows.most.fill_null(0), rows.n),
        partner_n=integer(rows.partner_n.fill_null(0)),
    )


def patient_means(scope: Scope, key: str) -> ir.Table:
    """What an entity's stays cost a day, as a mean over its patients.

    A mean over claims lets one patient who comes often hide the others; each patient counts once here.

    Returns
    -------
    Table
        key, scored_month, amount_per_day_patient_mean (yuan).
    """
    rows = window_rows(scope, key, "patient_id", "total", "stay_days", "is_stay")
    stays = rows.filter(rows.is_stay == 1)
    keys = [key, "scored_month"]
    own = stays.group_by([*keys, "patient_id"]).agg(
        per_day=ratio(exact_sum(stays.total), exact_sum(stays.stay_days) * 100)
    )
    return own.group_by(keys).agg(amount_per_day_patient_mean=fixed_mean(own.per_day))


def flows(scope: Scope, key: str) -> ir.Table:
    """How much of an entity's work follows within `FOLLOWS` days on one other entity.

    The lift compares the largest inflow with a gravity null: what passes from a to b if those who
    leave a spread over all others as inflows do.

    Returns
    -------
    Table
        key, scored_month, inflow_share, inflow_top_share, inflow_lift.
    """
    claims = scope["claims"]
    known = claims.filter((claims.is_visit == 1) & claims[key].notnull())
    order = ibis.window(group_by="patient_id", order_by=["settled_second", "claim_id"])
    rows = known.select(
        key, "month",
        source=known[key].lag().over(order),
        elapsed=known.settled_second - known.settled_second.lag().over(order),
    )  # fmt: skip
    moved = (rows.source != rows[key]).fill_null(False) & (rows.elapsed <= FOLLOWS * DAY).fill_null(False)
    monthly = rows.mutate(source=ibis.ifelse(moved, rows.source, ibis.null("string")))
    monthly = monthly.group_by([key, "month", "source"]).agg(n=monthly.count())
    calendar = scope.window_calendar("flow", scope.months, scope.mix)
    edges = monthly.inner_join(calendar, "month").group_by([key, "scored_month", "source"])
    edges = scope.keep(f"{key}_flows", edges.agg(n=lambda t: exact_sum(t.n)))
    moves = edges.filter(edges.source.notnull())
    moves = moves.mutate(
        into=integer(moves.n.sum().over(ibis.window(group_by=["scored_month", key]))),
        out=integer(moves.n.sum().over(ibis.window(group_by=["scored_month", "source"]))),
        all=integer(moves.n.sum().over(ibis.window(group_by="scored_month"))),
    )
    expected = ratio(moves.into * moves.out, moves["all"])
    moves = moves.mutate(lift=ratio(moves.n + 1, expected + 1.0))
    tops = moves.group_by([key, "scored_month"]).agg(
        into=moves.into.max(), most=moves.n.max(), inflow_lift=moves.lift.max()
    )
    sizes = edges.group_by([key, "scored_month"]).agg(n=exact_sum(edges.n))
    rows = left(sizes, tops, [key, "scored_month"])
    return rows.select(
        key,
        "scored_month",
        "inflow_lift",
        inflow_share=ratio(rows.into.fill_null(0), rows.n),
        inflow_top_share=ratio(rows.most.fill_null(0), rows.n),
    )


def item_spread(scope: Scope, key: str) -> ir.Table:
    """Concentration of an entity's charges on items, over the window of shares."""
    items = scope["claim_items"]
    known = items.filter(items[key].notnull())
    monthly = known.group_by([key, "month", "item_code"]).agg(cents=exact_sum(known.amount))
    calendar = scope.window_calendar("item_months", scope.months, scope.mix)
    rows = monthly.inner_join(calendar, "month")
    counts = rows.group_by([key, "scored_month", "item_code"]).agg(weight=exact_sum(rows.cents))
    return entropy(counts, [key, "scored_month"], "weight", "item")


def share_of_house(scope: Scope) -> ir.Table:
    """Share of the institution's claims each doctor makes (the largest, over institutions)."""
    rows = scope["claims"]
    rows = rows.filter((rows.is_visit == 1) & rows.doctor_id.notnull())
    calendar = scope.window_calendar("house", scope.months, scope.mix)
    counts = rows.inner_join(calendar, "month").group_by(["doctor_id", "institution_id", "scored_month"])
    counts = counts.agg(n=lambda t: t.count())
    whole = counts.n.sum().over(ibis.window(group_by=["institution_id", "scored_month"]))
    counts = counts.mutate(part=ratio(counts.n, whole))
    return counts.group_by(["doctor_id", "scored_month"]).agg(house_share=counts.part.max())
