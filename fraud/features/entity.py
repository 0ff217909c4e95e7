"""Measures that patients, doctors, departments and institutions share.

Each is computed once here for any entity; the catalog says which entity has which. Volumes look at
1, 3 and 12 months by rolling up monthly sums, everything else at the last three months (or the
scoring window where that is longer).
"""

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

from fraud.features import catalog
from fraud.features.measures import (
    entropy,
    exact_sum,
    fixed_mean,
    flag,
    integer,
    left,
    log,
    ratio,
    robust_z,
    share,
)
from fraud.features.scope import HISTORY, SMALL, Scope

Aggregate = Callable[[ir.Table], ir.Value]


def details(scope: Scope) -> ir.Table:
    """Keep ``fx_details``: claims of `Scope.detailed` with their features, visits only."""
    claims, features = scope["claims"], scope["claim"]
    own = [c for c in features.columns if c.startswith("claim_")]
    visits = claims.filter(claims.is_visit == 1)
    expected = scope["claim_expected"].select(
        "claim_id", charge_expected="charge_median", days_expected="days_median"
    )
    table = visits.inner_join(features.select(*own), "claim_id")
    return scope.keep("details", left(table, expected, "claim_id"))


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
        amount_growth=growth(result.cents3, result.cents12),
    )


def window_rows(scope: Scope, key: str) -> ir.Table:
    """Claims with details, once per scored month whose window holds them."""
    rows = scope["details"]
    calendar = scope.window_calendar("mix", scope.months, scope.mix)
    return rows.filter(rows[key].notnull()).inner_join(calendar, "month")


def _at_least(column: str, least: float = 1) -> Aggregate:
    def aggregate(rows: ir.Table) -> ir.Value:
        value = rows[column]
        return share(ibis.ifelse(value.isnull(), ibis.null("int64"), flag(value >= least)))

    return aggregate


def _mean(column: str) -> Aggregate:
    return lambda rows: fixed_mean(rows[column])


def _is(column: str, value: str) -> Aggregate:
    return lambda rows: share(flag(rows[column] == value))


AGGREGATES: dict[str, Aggregate] = {
    "fund_share": lambda r: ratio(exact_sum(r.fund), exact_sum(r.total)),
    "ineligible_share": lambda r: 1.0 - ratio(exact_sum(r.eligible), exact_sum(r.total)),
    "amount_mean": lambda r: ratio(exact_sum(r.total), r.count() * 100),
    "amount_median": lambda r: r.total.quantile(0.5) / 100.0,
    "amount_p90": lambda r: r.total.quantile(0.9) / 100.0,
    "amount_max": lambda r: r.total.max().cast("float64") / 100.0,
    "amount_to_expected": lambda r: ratio(
        exact_sum(ibis.ifelse(r.charge_expected.notnull(), r.total, 0)), _sum_rounded(r.charge_expected)
    ),
    "case_mix": lambda r: ratio(_sum_rounded(r.charge_expected), r.charge_expected.count() * 100),
    "amount_z_mean": _mean("claim_amount_peer_z"),
    "amount_high_share": _at_least("claim_amount_peer_z", 2),
    "fund_share_z_mean": _mean("claim_fund_share_peer_z"),
    "amount_per_day": lambda r: ratio(
        exact_sum(ibis.ifelse(r.is_stay == 1, r.total, 0)), exact_sum(r.stay_days * r.is_stay) * 100
    ),
    "amount_per_day_mean": _mean("claim_amount_per_day"),
    "inpatient_share": lambda r: share(r.is_stay),
    "pharmacy_share": _is("visit_type", "pharmacy"),
    "chronic_share": _is("visit_type", "chronic"),
    "emergency_share": _is("visit_type", "emergency"),
    "stay_mean": lambda r: ratio(exact_sum(r.stay_days), r.stay_days.count()),
    "stay_max": lambda r: r.stay_days.max().cast("float64"),
    "stay_to_expected": lambda r: ratio(
        exact_sum(ibis.ifelse(r.days_expected.notnull(), r.stay_days, 0)), _sum_rounded(r.days_expected)
    ),
    "one_day_stay_share": _at_least("claim_one_day_stay"),
    "new_institution_share": _at_least("claim_institution_new"),
    "new_doctor_share": _at_least("claim_doctor_new"),
    "first_claim_share": _at_least("claim_first_in_year"),
    "out_of_region_share": _at_least("claim_out_of_region"),
    "out_of_region_new_share": _at_least("claim_out_of_region_new"),
    "round_amount_share": _at_least("claim_round_amount"),
    "same_amount_share": _at_least("claim_same_amount_same_place_365d"),
    "same_amount_claims": lambda r: exact_sum(flag(r.claim_same_amount_same_place_365d >= 1)),
    "refund_share": lambda r: ratio(exact_sum(r.total - r.net_total), exact_sum(r.total)),
    "no_doctor_share": lambda r: share(flag(r.doctor_id.isnull())),
    "age_mean": _mean("age"),
    "male_share": lambda r: share(ibis.ifelse(r.sex.isnull(), ibis.null("int64"), flag(r.sex == "M"))),
    "certificates_mean": _mean("certificates"),
    "deceased_share": lambda r: share(flag(r.death_day.notnull() & (r.death_day <= r.month_end))),
    "settle_hours_spread": lambda r: (r.hour.quantile(0.9) - r.hour.quantile(0.1)).cast("float64"),
}


def _sum_rounded(cents: ir.Value) -> ir.IntegerValue:
    return integer(cents.round().cast("int64").sum())


def mixes(scope: Scope, key: str, wanted: set[str]) -> ir.Table:
    """Aggregates over the claims of the window, of the measures in `wanted`."""
    rows = window_rows(scope, key)
    rows = rows.mutate(month_end=_month_end(rows.scored_month))
    chosen = {k: f(rows) for k, f in AGGREGATES.items() if k in wanted}
    return rows.group_by([key, "scored_month"]).agg(**chosen)


def _month_end(month: ir.IntegerValue) -> ir.IntegerValue:
    """Day number (since 1970) of the last day of a month number."""
    following = month + 1
    year, part = following // 12, following % 12 + 1
    first = (year.cast("string") + "-" + part.cast("string").lpad(2, "0") + "-01").cast("date")
    return first.epoch_days().cast("int64") - 1


CONCENTRATIONS = {"patient": "patient_id", "diagnosis": "diagnosis", "doctor": "doctor_id", "place": "institution_id"}


def concentrations(scope: Scope, key: str) -> list[ir.Table]:
    """How an entity's claims spread over patients, diagnoses, doctors, institutions and days."""
    parts = []
    rows = window_rows(scope, key)
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


def peer_scores(
    scope: Scope, table: ir.Table, levels: tuple[tuple[str, ...], ...], names: dict[str, bool]
) -> ir.Table:
    """Robust deviation of measures from the entity's peers of the same scored month.

    Parameters
    ----------
    scope : Scope
        Where intermediate tables are kept.
    table : Table
        Entity rows with the measures and the columns of `levels`.
    levels : tuple of tuples of str
        Peer groups from narrow to wide; the narrowest with at least `SMALL` rows is used, and all
        rows of the month where none is.
    names : dict of str to bool
        Measure → whether its logarithm is compared.

    Returns
    -------
    Table
        `table` with ``<measure>_z`` columns, ``peer_group`` and ``peer_n``.
    """
    month = ["scored_month"]
    levels = (*levels, ())
    for i, columns in enumerate(levels):
        text = ibis.literal("all")
        for j, column in enumerate(columns):
            value = table[column].cast("string").fill_null("-")
            text = value if j == 0 else text + "|" + value
        table = table.mutate(**{f"group{i}": text})
        table = table.mutate(**{f"size{i}": table.count().over(ibis.window(group_by=[*month, f"group{i}"]))})
    last = len(levels) - 1
    cases = [(table[f"size{i}"] >= SMALL, i) for i in range(last)]
    level = ibis.cases(*cases, else_=last) if cases else ibis.literal(last)
    table = table.mutate(level=level.cast("int64"), **{f"of_{n}": log(table[n]) if g else table[n].cast("float64") for n, g in names.items()})
    which = [(table.level == i, i) for i in range(len(levels))]
    table = table.mutate(
        peer_group=ibis.cases(*[(c, table[f"group{i}"]) for c, i in which]),
        peer_n=integer(ibis.cases(*[(c, table[f"size{i}"]) for c, i in which])),
    )
    stats = [_level_stats(table, i, names) for i in range(len(levels))]
    table = left(table, ibis.union(*stats) if len(stats) > 1 else stats[0], [*month, "level", "peer_group"])
    floor = {True: 0.1, False: 0.01}
    result = table.mutate(
        **{
            f"{n}_z": robust_z(table[f"of_{n}"], table[f"mid_{n}"], table[f"mad_{n}"], floor[g])
            for n, g in names.items()
        }
    )
    extra = [c for c in result.columns if c.startswith(("group", "size", "of_", "mid_", "mad_"))]
    return result.drop("level", *extra)


def _level_stats(table: ir.Table, level: int, names: dict[str, bool]) -> ir.Table:
    key = ["scored_month", f"group{level}"]
    mids = {f"mid_{n}": table[f"of_{n}"].quantile(0.5).over(ibis.window(group_by=key)) for n in names}
    rows = table.mutate(**mids)
    stats = rows.group_by(key).agg(
        **{f"mid_{n}": rows[f"mid_{n}"].max() for n in names},
        **{f"mad_{n}": (rows[f"of_{n}"] - rows[f"mid_{n}"]).abs().quantile(0.5) for n in names},
    )
    columns = [f"{p}_{n}" for p in ("mid", "mad") for n in names]
    return stats.select("scored_month", *columns, level=ibis.literal(level, "int64"), peer_group=f"group{level}")


def assemble(
    scope: Scope,
    entity: str,
    extra: list[ir.Table],
    attributes: ir.Table | None,
    levels: tuple[tuple[str, ...], ...],
    scores: dict[str, bool],
) -> ir.Table:
    """Keep ``fx_<entity>``: active rows with every measure of the entity, prefixed by its name.

    Parameters
    ----------
    scope : Scope
        After claims have their features.
    entity : str
        Entity name.
    extra : list of Table
        Further parts by key and scored_month.
    attributes : Table or None
        Master data by key, for peer groups.
    levels, scores
        See `peer_scores`.
    """
    key = f"{entity}_id"
    wanted = {name.removeprefix(f"{entity}_") for name in catalog.of_entity(entity)}
    keys = [key, "scored_month"]
    table = active(scope, key)
    parts = [volumes(scope, key), mixes(scope, key, wanted | set(scores)), *concentrations(scope, key), *extra]
    for i, part in enumerate(parts):
        table = left(table, scope.keep(f"{entity}_part{i}", part), keys)
    table = scope.keep(f"{entity}_joined", table)
    if attributes is not None:
        table = left(table, attributes, key)
    table = table.mutate(
        claims_per_patient=ratio(table.claims_3m, table.patient_n) if "patient_n" in table.columns else ibis.null("float64")
    )
    table = peer_scores(scope, table, levels, {n: g for n, g in scores.items() if n in table.columns})
    measures = [m for m in table.columns if m in wanted]
    return scope.keep(
        entity,
        table.select(
            key, "claims", "amount_at_risk", "peer_group", "peer_n",
            month="scored_month", **{f"{entity}_{m}": table[m] for m in measures},
        ),
    )  # fmt: skip
