"""Everything a back-test says, as one JSON-able dictionary."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from fraud.backtest.burden import GROUPS as BURDENS
from fraud.backtest.burden import burden
from fraud.backtest.estimates import estimate
from fraud.backtest.figures import GROUPS, by_group, calibration, compared, marked, monthly


def figures(judged: pd.DataFrame, capacity: int, ways: Sequence[str]) -> dict[str, Any]:
    """Figures of all months together and of each, and estimates for what nobody audited.

    Parameters
    ----------
    judged : DataFrame
        One row per scored subject and month: month, subject_id, score, p_supervised, amount (yuan),
        rule_amount (yuan), label (1, 0, NaN), random, scheme, institution_kind, department, and as far as
        known region, age_band and sex of the patient.
    capacity : int
        Subjects reviewed a month.
    ways : sequence of str
        Orders to compare, see `fraud.backtest.figures.WAYS`; the model's first.
    """
    population = marked(judged, ways, capacity)
    decided = population[population["label"].notna()].reset_index(drop=True)
    as_listed = population.rename(columns={f"listed_{ways[0]}": "listed"})
    return {
        "capacity": capacity,
        "ways": list(ways),
        "months": sorted(judged["month"].unique()),
        "scored": len(judged),
        "all": compared(decided, ways),
        "monthly": monthly(decided, ways),
        "calibration": calibration(decided),
        "groups": {g: by_group(decided, g) for g in GROUPS},
        "burden": {g: burden(as_listed, g) for g in BURDENS},
        "estimates": estimate(as_listed).told(),
    }


def headline(figures: dict[str, Any]) -> dict[str, float]:
    """The few numbers that runs are compared by."""
    told = {}
    for way, ranking in figures["all"]["ways"].items():
        told[f"{way}.average_precision"] = ranking["average_precision"]["value"]
        told[f"{way}.precision_listed"] = ranking["precision"]["value"]
        told[f"{way}.money"] = ranking["money"]
        for name in ("precision_at_20", "precision_at_50", "precision_at_100", "amount_at_100"):
            if name in ranking:
                told[f"{way}.{name}"] = ranking[name]
    told |= {f"estimate.{name}": figure["value"] for name, figure in figures["estimates"]["joined"].items()}
    if figures["calibration"]:
        told["brier"] = figures["calibration"]["brier"]
    return told


def plain(value: Any) -> Any:
    """Figures as JSON can hold them: what is not known is null."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return None if not math.isfinite(value) else round(value, 10)
    return value
