"""Measures that patients, doctors, departments and institutions share.

Each is computed once here for any entity; the catalog says which entity has which. Volumes look at
1, 3 and 12 months by rolling up monthly sums, everything else at the last three months (or the
scoring window where that is longer).
"""

from collections.abc import Callable, Mapping, Sequence

import ibis
import ibis.expr.types as ir

from fraud.features import catalog
from fraud.features.aggregates import AGGREGATES
from fraud.features.entity_peers import peer_scores
from fraud.features.measures import (
    entropy,
    exact_sum,
    flag,
    integer,
    join_all,
    left,
    ratio,
    share,
)
from fraud.features.scope import HISTORY, Scope, within

CONCENTRATIONS = {
    "patient": "patient_id",
    "diagnosis": "diagnosis",
    "doctor": "doctor_id",
    "place": "institution_id",
    "region": "patient_region",
}
_KEYS = ("claim_id", "month", "day", "department_id", *CONCENTRATIONS.values())


def details(scope: Scope) -> ir.Table:
    """Keep ``fx_details``: claims of `Scope.summed` with what entities sum of them, visits only."""
    claims, features = scope["claims"], scope["claim"]
    visits = claims.filter((claims.is_visit == 1) & claims.month.isin(scope.summed))
    own = [c for c in features.columns if c not in visits.columns]
    used = {*_KEYS, *_used(visits.inner_join(features.select("claim_id", *own), "claim_id"), set(AGGREGATES))}
    visits = visits.select(*(c for c in visits.columns if c in used))
    features = features.select("claim_id", *(c for c in own if c in used))

    def joined(cut: tuple[str, str]) -> ir.Table:
        return within(visits, *cut).inner_join(within(features, *cut), "claim_id")

    return scope.in_parts("details", scope.claim_ranges(scope.summed), joined)


def active(scope: Scope, key: str) -> ir.Table:
    """Rows of an entity table: entities with a visit in the trailing window of a scored month.

    Returns
    -------
    Table
        `key`, scored_month, claims and amount_at_risk (yuan, fund amounts net of refunds).
    """
    claims = scope["claims"]
    calendar = scope.window_calendar("activity", scope.months, scope.window)
    known = claims.filter(claims[key].notnull())
    rows = known.inner_join(calendar, "month")
    result = rows.group_by([key, "scored_month"]).agg(
        claims=exact_sum(rows.is_visit), cents=exact_sum(rows.net_fund * rows.is_visit)
    )
    result = result.filter(result.claims > 0)
    return result.select(key, "scored_month", "claims", amount_at_risk=ratio(result.cents, ibis.literal(100)))


def volumes(scope: Scope, key: str) -> ir.Table:
    """Claims, amounts and growth over 3 and 12 months by entity and scored month."""
    claims = scope["claims"]
    known = claims.filter(claims[key].notnull())
    monthly = known.group_by([key, "month"]).agg(
        n=exact_sum(known.is_visit),
        cents=exact_sum(known.total),
        stays=exact_sum(known.is_stay),
        days=exact_sum(known.stay_days * known.is_stay),
    )
    calendar = scope.window_calendar("year", scope.months, HISTORY)
    rows = monthly.inner_join(calendar, "month")
    recent = flag(rows.scored_month - rows.month < 3)
    result = rows.group_by([key, "scored_month"]).agg(
        n3=exact_sum(rows.n * recent),
        n12=exact_sum(rows.n),
        cents3=exact_sum(rows.cents * recent),
        cents12=exact_sum(rows.cents),
        stays=exact_sum(rows.stays),
        days=exact_sum(rows.days),
        months=exact_sum(flag(rows.n > 0)),
        seen=rows.month.min(),
    )
    earlier = (result.scored_month - result.seen - 2).nullif(0)
    enough = earlier >= 3
    yuan = ibis.literal(100)

    def growth(now: ir.Value, year: ir.Value) -> ir.Value:
        pace = ratio(year - now, earlier)
        return ibis.ifelse(enough, ratio(now, pace * 3).clip(0.0, 100.0), ibis.null("float64"))

    return result.select(
        key,
        "scored_month",
        claims_3m="n3",
        claims_12m="n12",
        amount_3m=ratio(result.cents3, yuan),
        amount_12m=ratio(result.cents12, yuan),
        stays_12m="stays",
        stay_days_12m="days",
        active_months_12m="months",
        claims_growth=growth(result.n3, result.n12),
        amount_mean_change=ibis.ifelse(
            enough,
            ratio(
                ratio(result.cents3, result.n3), ratio(result.cents12 - result.cents3, result.n12 - result.n3)
            ),
            ibis.null("float64"),
        ),
        amount_growth=growth(result.cents3, result.cents12),
    )


def smallest(scope: Scope, claims: ir.Table, key: str, *columns: str) -> ir.Table:
    """Smallest value of columns among an entity's claims of the year that ends in the scored month."""
    known = claims.filter(claims[key].notnull())
    monthly = known.group_by([key, "month"]).agg(**{c: known[c].min() for c in columns})
    rows = monthly.inner_join(scope.window_calendar("attributes", scope.months, HISTORY), "month")
    return rows.group_by([key, "scored_month"]).agg(**{c: rows[c].min() for c in columns})


def window_rows(scope: Scope, key: str, *columns: str) -> ir.Table:
    """Claims with details (of `columns`, or all), once per scored month whose window holds them."""
    rows = scope["details"]
    if columns:
        rows = rows.select(*dict.fromkeys((key, "month", *columns)))
    calendar = scope.window_calendar("mix", scope.months, scope.mix)
    return rows.filter(rows[key].notnull()).inner_join(calendar, "month")


def mixes(scope: Scope, key: str, wanted: set[str]) -> ir.Table:
    """Aggregates over the claims of the window, of the measures in `wanted`."""
    every = window_rows(scope, key, *_used(scope["details"], wanted))

    def some(months: Sequence[int]) -> ir.Table:
        rows = every.filter(every.scored_month.isin(months))
        rows = rows.mutate(month_end=_month_end(rows.scored_month))
        chosen = {k: f(rows) for k, f in AGGREGATES.items() if k in wanted}
        chosen |= {
            "mix_claims": rows.count(),
            "mix_amount": ratio(exact_sum(rows.total), ibis.literal(100)),
            "mix_stays": exact_sum(rows.is_stay),
        }
        return rows.group_by([key, "scored_month"]).agg(**chosen)

    return scope.in_parts(f"{key}_mixes", scope.month_parts(scope.months), some)


class _Recorder:
    """Stands for a table and notes which columns an aggregate asks for."""

    def __init__(self, table: ir.Table) -> None:
        self.table = table.mutate(month_end=ibis.null("int64"))
        self.asked: dict[str, None] = {}

    def __getattr__(self, name: str) -> ir.Value:
        return self[name]

    def __getitem__(self, name: str) -> ir.Value:
        self.asked[name] = None
        return self.table[name]

    def count(self) -> ir.Value:
        return self.table.count()


def _used(table: ir.Table, wanted: set[str]) -> list[str]:
    """Columns that the aggregates in `wanted` read: narrow expressions compile quickly."""
    recorder = _Recorder(table)
    for name, aggregate in AGGREGATES.items():
        if name in wanted:
            aggregate(recorder)
    asked = [*recorder.asked, "total", "is_stay"]
    return [c for c in dict.fromkeys(asked) if c in table.columns]


def _month_end(month: ir.IntegerValue) -> ir.IntegerValue:
    """Day number (since 1970) of the last day of a month number."""
    following = month + 1
    year, part = following // 12, following % 12 + 1
    first = (year.cast("string") + "-" + part.cast("string").lpad(2, "0") + "-01").cast("date")
    return first.epoch_days().cast("int64") - 1


def concentrations(scope: Scope, key: str) -> list[ir.Table]:
    """How an entity's claims spread over patients, diagnoses, doctors, institutions and days."""
    parts = []
    rows = window_rows(scope, key, *CONCENTRATIONS.values(), "day")
    for name, column in CONCENTRATIONS.items():
        if column == key:
            continue
        known = rows.filter(rows[column].notnull())
        counts = known.group_by([key, "scored_month", column]).agg(weight=integer(known.count()))
        counts = scope.keep(f"{key}_{name}_counts", counts)
        spread = entropy(counts, [key, "scored_month"], "weight", name)
        again = counts.group_by([key, "scored_month"]).agg(
            **{f"{name}_repeat": share(flag(counts.weight > 1)), f"{name}_most": counts.weight.max()}
        )
        parts.append(left(spread, again, [key, "scored_month"]))
    days = rows.group_by([key, "scored_month", "day"]).agg(weight=integer(rows.count()))
    loads = days.group_by([key, "scored_month"]).agg(
        active_days=days.count(),
        busiest_day=days.weight.max(),
        busiest_day_share=ratio(days.weight.max(), exact_sum(days.weight)),
        day_median=days.weight.quantile(0.5),
    )
    loads = loads.mutate(busiest_day_ratio=ratio(loads.busiest_day, loads.day_median)).drop("day_median")
    parts.append(loads)
    return parts


def assemble(
    scope: Scope,
    entity: str,
    extra: Sequence[Callable[[Scope], ir.Table]],
    attributes: ir.Table,
    levels: tuple[tuple[str, ...], ...],
    scores: Mapping[str, bool],
) -> ir.Table:
    """Keep ``fx_<entity>``: active rows with every measure of the entity, prefixed by its name.

    Parameters
    ----------
    scope : Scope
        After claims have their features.
    entity : str
        Entity name.
    extra : sequence of callables
        Make further parts by key and scored_month, after the shared ones are kept.
    attributes : Table
        Master data by key, or by key and scored_month, for peer groups.
    levels, scores
        See `fraud.features.entity_peers.peer_scores`.
    """
    key = f"{entity}_id"
    wanted = {name.removeprefix(f"{entity}_") for name in catalog.of_entity(entity)}
    parts = [volumes(scope, key), mixes(scope, key, wanted | set(scores)), *concentrations(scope, key)]
    parts += [make(scope) for make in extra]
    keys = [c for c in (key, "scored_month") if c in attributes.columns]
    kept = [scope.keep(f"{entity}_part{i}", part) for i, part in enumerate(parts)]
    rows = active(scope, key)

    def joined(months: Sequence[int]) -> ir.Table:
        some, *theirs = (t.filter(t.scored_month.isin(months)) for t in (rows, *kept))
        table = join_all(some, theirs, [key, "scored_month"])
        return left(table, attributes, keys)

    whole = scope.in_parts(f"{entity}_joined", scope.month_parts(scope.months), joined)

    def measured(months: Sequence[int]) -> ir.Table:
        table = whole.filter(whole.scored_month.isin(months))
        table = table.mutate(**{n: f(table) for n, f in DERIVED.items() if n in wanted})
        table = join_all(table, [peer_scores(table, key, levels, dict(scores))], [key, "scored_month"])
        measures = [m for m in table.columns if m in wanted]
        return table.select(
            key, "claims", "amount_at_risk", "peer_group", "peer_n",
            month="scored_month", **{f"{entity}_{m}": table[m] for m in measures},
        )  # fmt: skip

    return scope.in_parts(entity, scope.month_parts(scope.months), measured)


DERIVED: dict[str, Callable[[ir.Table], ir.Value]] = {
    "claims_per_patient": lambda t: ratio(t.mix_claims, t.patient_n),
    "amount_per_patient": lambda t: ratio(t.mix_amount, t.patient_n),
    "patients_per_day": lambda t: ratio(t.mix_claims, t.active_days),
    "claims_per_doctor": lambda t: ratio(t.mix_claims, t.doctor_n),
    "stays_per_bed": lambda t: ratio(t.mix_stays, t.beds),
    "diagnoses_per_claim": lambda t: ratio(t.diagnosis_n, t.mix_claims),
}
"""Measures made of other measures of the window."""
