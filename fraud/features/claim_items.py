"""Items against what is usual: prices, limits, quantities, items unusual for the diagnosis."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

from fraud.features.measures import exact_sum, fixed_mean, flag, left, log, ratio, without
from fraud.features.scope import PEERS, SMALL, Scope
from fraud.schema import relation

RARE = 0.01
"""An item in fewer than this share of a diagnosis' claims is unusual for it."""
LIFT = 0.5
"""And only if it is at least this much rarer there than among all claims of the kind."""
KNOWN = 100
"""Claims of a diagnosis needed before any item counts as unusual for it."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about items, each with claim_id and features."""
    items = scope["claim_items"]
    items = scope.beside(items)
    calendar = scope.window_calendar("peer_items", scope.detailed, PEERS)
    return [
        scope.keep("claim_prices", _prices(scope, items, calendar)),
        scope.keep("claim_quantities", _quantities(scope, items, calendar)),
        scope.keep("claim_fit", _fit(scope, items, calendar)),
        scope.keep("claim_doctor_fit", _doctor_fit(scope, items, calendar)),
    ]


def usual(
    rows: ir.Table, calendar: ir.Table, key: Sequence[str], value: str, weight: str | None = None
) -> ir.Table:
    """Lower median of an integer column by `key` over the peers' months, from a histogram.

    Parameters
    ----------
    rows : Table
        With month, `key` and `value`.
    calendar : Table
        scored_month and month.
    key : sequence of str
        What the median is of.
    value : str
        Integer column.
    weight : str or None
        Integer column of times a value counts; None for once.

    Returns
    -------
    Table
        scored_month, `key`, ``usual`` (float64) and ``usual_n`` (times).
    """
    times = rows.count() if weight is None else exact_sum(rows[weight])
    monthly = rows.group_by([*key, value, "month"]).agg(n=times.cast("int64"))
    group = ["scored_month", *key]
    counts = monthly.inner_join(calendar, "month").group_by([*group, value]).agg(n=lambda t: exact_sum(t.n))
    counts = counts.filter(counts.n > 0)
    run = exact_sum_over(counts, ibis.cumulative_window(group_by=group, order_by=value))
    whole = exact_sum_over(counts, ibis.window(group_by=group))
    counts = counts.mutate(run=run, whole=whole)
    upper = counts.filter(counts.run * 2 >= counts.whole)
    return upper.group_by(group).agg(usual=upper[value].min().cast("float64"), usual_n=upper.whole.max())


def exact_sum_over(counts: ir.Table, window: object) -> ir.IntegerValue:
    """Sum of ``n`` over a window as int64."""
    return counts.n.sum().over(window).cast("decimal(38,0)").cast("int64")


def _scored(scope: Scope, items: ir.Table) -> ir.Table:
    return scope.asked(items).rename(scored_month="month")


def _prices(scope: Scope, items: ir.Table, calendar: ir.Table) -> ir.Table:
    """Unit prices against the median of the item and its price limit."""
    charged = items.filter((items.amount > 0) & (items.milli > 0) & (items.cents > 0))
    median = scope.keep("usual_prices", usual(charged, calendar, ["item_code"], "cents"))
    limits = relation("items").select("item_code", "price_limit")
    rows = left(_scored(scope, charged), median, ["scored_month", "item_code"])
    rows = left(rows, limits.filter(limits.price_limit.notnull()), "item_code")
    enough = rows.usual_n >= SMALL
    dear = ibis.ifelse(enough, ratio(rows.cents, rows.usual), ibis.null("float64"))
    quantity = rows.milli.cast("float64") / 1000.0
    over = (rows.cents - rows.usual).clip(lower=0.0) * quantity
    beyond = (rows.cents - rows.price_limit).cast("float64").clip(lower=0.0) * quantity
    rows = rows.mutate(
        dear=dear,
        over=ibis.ifelse(enough, over.round().cast("int64"), 0),
        beyond=beyond.round().cast("int64"),
        weighted=ibis.ifelse(dear.notnull(), rows.amount, 0),
        spent=ibis.ifelse(enough, (rows.usual * quantity).round().cast("int64"), 0),
    )
    result = rows.group_by("claim_id").agg(
        dearest=rows.dear.max(),
        over=exact_sum(rows.over),
        beyond=exact_sum(rows.beyond),
        amount=exact_sum(rows.amount),
        weighted=exact_sum(rows.weighted),
        spent=exact_sum(rows.spent),
    )
    return result.select(
        "claim_id",
        claim_price_ratio_max="dearest",
        claim_price_ratio=ratio(result.weighted, result.spent),
        claim_price_excess=ratio(result.over, ibis.literal(100)),
        claim_over_limit_amount=ratio(result.beyond, ibis.literal(100)),
    )


def _quantities(scope: Scope, items: ir.Table, calendar: ir.Table) -> ir.Table:
    """Quantity of an item against its median in the same kind of visit (per day of a stay's lines)."""
    key = ["item_code", "visit_type"]
    per_claim = items.group_by(["claim_id", "month", *key]).agg(
        milli=exact_sum(items.milli), cents=exact_sum(items.amount)
    )
    per_claim = scope.keep("claim_item_quantities", per_claim.filter(per_claim.milli > 0))
    median = scope.keep("usual_quantities", usual(per_claim, calendar, key, "milli"))
    rows = left(_scored(scope, per_claim), median, ["scored_month", *key])
    times = ibis.ifelse(rows.usual_n >= SMALL, ratio(rows.milli, rows.usual), ibis.null("float64"))
    rows = rows.mutate(times=times, excess=_excess(rows, times))
    return rows.group_by("claim_id").agg(
        claim_quantity_ratio_max=rows.times.max(),
        claim_quantity_excess=exact_sum(rows.excess).cast("float64") / 100.0,
    )


def _excess(rows: ir.Table, times: ir.Value) -> ir.IntegerValue:
    """Cents of a claim's item beyond three times its usual quantity."""
    beyond = (1.0 - 3.0 / ibis.greatest(times, 3.0)) * rows.cents.cast("float64")
    return ibis.ifelse(times.notnull(), beyond.clip(lower=0.0).round().cast("int64"), 0)


def _presence(items: ir.Table) -> ir.Table:
    """Distinct items of each claim with their cents."""
    rows = items.filter(items.milli > 0)
    return rows.group_by(["claim_id", "month", "item_code", "diagnosis", "doctor_id", "is_stay"]).agg(
        cents=exact_sum(rows.amount)
    )


def _fit(scope: Scope, items: ir.Table, calendar: ir.Table) -> ir.Table:
    """How usual each item is for the diagnosis: its share of claims there, over the peers' months.

    The claim itself is among them: with `KNOWN` claims of a diagnosis it moves a share by at most
    one point.
    """
    present = scope.keep("claim_presence", _presence(items))
    known = present.filter(present.diagnosis.notnull())
    here = _frequency(scope, known, calendar, ["diagnosis", "is_stay"], "diagnosis")
    anywhere = _frequency(scope, known, calendar, ["is_stay"], "anywhere")
    rows = left(_scored(scope, known), here, ["scored_month", "diagnosis", "is_stay", "item_code"])
    rows = left(rows, anywhere, ["scored_month", "is_stay", "item_code"])
    enough = rows.diagnosis_claims >= KNOWN
    unusual = enough & (rows.diagnosis_p < RARE) & (rows.diagnosis_p < LIFT * rows.anywhere_p)
    rows = rows.mutate(
        p=ibis.ifelse(enough, rows.diagnosis_p, ibis.null("float64")),
        nats=ibis.ifelse(enough, -log(rows.diagnosis_p), ibis.null("float64")),
        unusual=ibis.ifelse(enough, flag(unusual), ibis.null("int64")),
        known_cents=ibis.ifelse(enough, rows.cents, 0),
    )
    result = rows.group_by("claim_id").agg(
        claim_basket_typicality=fixed_mean(rows.p),
        claim_item_surprise=fixed_mean(rows.nats),
        claim_unusual_items=rows.unusual.sum().cast("float64"),
        strange=exact_sum(rows.unusual * rows.cents),
        known_cents=exact_sum(rows.known_cents),
    )
    result = result.mutate(claim_unusual_amount_share=ratio(result.strange, result.known_cents))
    return without(result, "strange", "known_cents")


def _frequency(scope: Scope, present: ir.Table, calendar: ir.Table, group: list[str], name: str) -> ir.Table:
    """Share of the claims of a group that have each item, over the peers' months."""
    claims = present.select("claim_id", "month", *group).distinct()
    claims = claims.group_by([*group, "month"]).agg(n=claims.count())
    totals = claims.inner_join(calendar, "month").group_by(["scored_month", *group])
    totals = scope.keep(f"{name}_claims", totals.agg(total=lambda t: exact_sum(t.n)))
    found = present.group_by([*group, "item_code", "month"]).agg(n=present.count())
    found = found.inner_join(calendar, "month").group_by(["scored_month", *group, "item_code"])
    found = left(found.agg(n=lambda t: exact_sum(t.n)), totals, ["scored_month", *group])
    return scope.keep(
        f"{name}_frequency",
        found.select(
            "scored_month", *group, "item_code",
            **{f"{name}_p": ratio(found.n, found.total), f"{name}_claims": found.total},
        ),
    )  # fmt: skip


def _doctor_fit(scope: Scope, items: ir.Table, calendar: ir.Table) -> ir.Table:
    """How much the doctor's claims have the same items as this one, itself left out, against peers.

    Mean over the claim's items of the share of the doctor's other claims of the diagnosis that have
    it, less the item's share among all claims of the diagnosis.
    """
    present = scope["claim_presence"]
    known = present.filter(present.diagnosis.notnull() & present.doctor_id.notnull())
    group = ["doctor_id", "diagnosis", "is_stay"]
    own = _frequency(scope, known, calendar, group, "doctor")
    rows = left(_scored(scope, known), own, ["scored_month", *group, "item_code"])
    here = scope["diagnosis_frequency"]
    rows = left(rows, here, ["scored_month", "diagnosis", "is_stay", "item_code"])
    others = ibis.ifelse(rows.doctor_claims >= 6, rows.doctor_claims - 1, ibis.null("int64"))
    similar = ratio((rows.doctor_p * rows.doctor_claims).round().cast("int64") - 1, others)
    rows = rows.mutate(similar=similar, more=similar - rows.diagnosis_p)
    return rows.group_by("claim_id").agg(
        claim_doctor_basket_similarity=fixed_mean(rows.similar),
        claim_doctor_basket_excess=fixed_mean(rows.more),
    )
