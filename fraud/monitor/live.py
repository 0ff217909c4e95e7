"""The months' scores, frozen when they were published, against what was decided since."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fraud import evaluate
from fraud.backtest.burden import GROUPS, burden
from fraud.backtest.estimates import estimate
from fraud.backtest.figures import FEWEST, FEWEST_CONFIRMED, calibration, compared, listed
from fraud.monitor.lists import UNKNOWN


def live(scored: pd.DataFrame, ways: Sequence[str]) -> dict[str, Any]:
    """Ranking, calibration, burden and estimates for what nobody audited, of the months as published.

    Parameters
    ----------
    scored : DataFrame
        Every scored subject of the months: month, subject_id, score, p_supervised, amount and
        rule_amount (yuan), label (1, 0, NaN), random, on_list (bool) and those of
        `fraud.backtest.burden.GROUPS` that are known.
    ways : sequence of str
        Orders to compare, the model's first; each may list as many subjects a month as the list held.

    Returns
    -------
    dict
        scored, decided, confirmed, random (audits), ``all`` (see `fraud.backtest.figures.compared`;
        empty where too few are decided), ``roc_auc`` (by score), calibration, burden and estimates.
    """
    placed = _placed(scored, ways)
    decided = placed[placed["label"].notna()].reset_index(drop=True)
    confirmed = int(decided["label"].sum())
    enough = len(decided) >= FEWEST and FEWEST_CONFIRMED <= confirmed < len(decided)
    told = placed.rename(columns={"listed_model": "listed"})
    return {
        "scored": len(scored),
        "decided": len(decided),
        "confirmed": confirmed,
        "random": int(decided["random"].sum()),
        "all": compared(decided, ways) if enough else {},
        "roc_auc": auc(decided) if enough else dict(UNKNOWN),
        "calibration": calibration(decided) if enough else {},
        "burden": {g: burden(told, g) for g in GROUPS if g in told} if len(told) else {},
        "estimates": estimate(told).told() if len(told) else {},
    }


def auc(decided: pd.DataFrame) -> dict[str, float]:
    """ROC AUC of the score among decided subjects; how many are confirmed does not move it."""
    label, score = decided["label"].to_numpy(float), decided["score"].to_numpy(float)
    value, low, high = evaluate.bootstrap(evaluate.roc_auc, label, score)
    return {"value": value, "low": low, "high": high}


def _placed(scored: pd.DataFrame, ways: Sequence[str]) -> pd.DataFrame:
    """Whether each way would have listed a subject, given as many places as the list had."""
    marks = {way: np.zeros(len(scored), dtype=bool) for way in ways[1:]}
    for _, rows in sorted(scored.groupby("month").indices.items()):
        part = scored.iloc[rows]
        for way, mark in marks.items():
            mark[rows] = listed(part, way, int(part["on_list"].sum()))
    listings = {f"listed_{way}": mark for way, mark in marks.items()}
    return scored.assign(listed_model=scored["on_list"].astype(bool), **listings)
