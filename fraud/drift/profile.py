"""What a month looks like: counts and sums per month, institution, code and kind of person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from fraud.features.measures import DAY, exact_sum, fixed_mean, flag, left, log
from fraud.features.scope import Engine
from fraud.schema import relation

GROUPS = ("insurance_type", "region", "visit_type", "person")
"""Kinds of claims whose shares are compared: by insurance, region, visit, and sex with ten years of age."""
CODES = {"item_code": "lines", "diagnosis_code": "claims"}


@dataclass(frozen=True)
class Profile:
    """Months of a dataset in figures.

    Attributes
    ----------
    institutions : DataFrame
        month, institution_id, claims, refunds (negative claims), fund (cents), log_amount (mean natural
        logarithm of positive totals in cents), repeats (claims that equal an earlier one in person, place,
        moment, diagnosis and amount).
    days : DataFrame
        month, day (of the month's calendar, days since 1970), claims, repeats.
    codes : dict of str to DataFrame
        Column → month, code, rows, cents (charged; of diagnoses the claims' totals).
    groups : dict of str to DataFrame
        Name of `GROUPS` → month, value, rows.
    """

    institutions: pd.DataFrame
    days: pd.DataFrame
    codes: dict[str, pd.DataFrame]
    groups: dict[str, pd.DataFrame]


def profile(engine: Engine, months: Sequence[int]) -> Profile:
    """Count the months of a dataset.

    Parameters
    ----------
    engine : Engine
        With a dataset opened.
    months : sequence of int
        As `fraud.schema.month_number` counts them.
    """
    claims = relation("claims")
    claims = claims.filter(claims.month.isin(list(months)))
    marked = _with_repeats(claims)
    run = lambda table, name: _sorted(engine.to_arrow(table, f"drift_{name}").to_pandas())  # noqa: E731
    return Profile(
        run(_institutions(marked), "institutions"),
        run(_days(marked), "days"),
        {name: run(_codes(claims, name), name) for name in CODES},
        {name: run(table, name) for name, table in _groups(claims, engine).items()},
    )


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    keys = [c for c in frame.columns if c not in ("rows", "cents")]
    return frame.sort_values(keys, ignore_index=True)


def _with_repeats(claims: ir.Table) -> ir.Table:
    """Claims with whether an equal one precedes them; equal in everything a second copy would repeat."""
    same = ibis.window(
        group_by=[
            claims.patient_id,
            claims.institution_id.fill_null(""),
            claims.started_second,
            claims.settled_second,
            claims.diagnosis_code.fill_null(""),
            claims.total_amount,
        ],
        order_by=[claims.claim_id],
    )
    return claims.mutate(repeat=flag(ibis.row_number().over(same) > 0))


def _institutions(claims: ir.Table) -> ir.Table:
    positive = claims.total_amount > 0
    of = claims.mutate(amount=ibis.ifelse(positive, log(claims.total_amount), ibis.null("float64")))
    return of.group_by("month", institution_id=of.institution_id.fill_null("")).agg(
        claims=of.count(),
        refunds=exact_sum(flag(of.total_amount < 0)),
        fund=exact_sum(of.fund_amount.fill_null(0)),
        log_amount=fixed_mean(of.amount),
        repeats=exact_sum(of.repeat),
    )


def _days(claims: ir.Table) -> ir.Table:
    day = (claims.settled_second // DAY).cast("int64")
    of = claims.mutate(day=day)
    return of.group_by(["month", "day"]).agg(claims=of.count(), repeats=exact_sum(of.repeat))


def _codes(claims: ir.Table, name: str) -> ir.Table:
    if name == "item_code":
        lines = relation("lines")
        rows = lines.inner_join(claims.select("claim_id", "month"), "claim_id")
        rows = rows.select("month", code=rows.item_code, cents=rows.amount)
    else:
        rows = claims.select("month", code=claims[name], cents=claims.total_amount)
    rows = rows.filter(rows.code.notnull() & (rows.code != "") & (rows.cents > 0))
    return rows.group_by(["month", "code"]).agg(rows=rows.count(), cents=exact_sum(rows.cents))


def _groups(claims: ir.Table, engine: Engine) -> dict[str, ir.Table]:
    patients = relation("patients")
    about = patients.select("patient_id", "sex", "birth_date", "birth_year", "insurance_type", "region")
    rows = left(claims, about, "patient_id")
    born = ibis.coalesce(rows.birth_date.year().cast("int64"), rows.birth_year)
    decade = ((rows.settled_at.year().cast("int64") - born) // 10).clip(0, 9).cast("int64").cast("string")
    values: dict[str, Any] = {
        "insurance_type": rows.insurance_type,
        "region": rows.region,
        "visit_type": rows.visit_type,
        "person": rows.sex.fill_null("") + ibis.literal(" ") + decade,
    }
    present = engine.present.get("patients", set())
    needs = {
        "insurance_type": "insurance_type" in present,
        "region": "region" in present,
        "visit_type": True,
        "person": "sex" in present and bool(present & {"birth_date", "birth_year"}),
    }
    return {name: _counted(rows, values[name]) for name in GROUPS if needs[name]}


def _counted(rows: ir.Table, value: Any) -> ir.Table:
    of = rows.select("month", value=value.fill_null(""))
    return of.group_by(["month", "value"]).agg(rows=of.count())
