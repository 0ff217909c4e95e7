"""Who would bear the false alarms of a model just trained: audits it did not see, by group."""

import numpy as np
import pandas as pd

from fraud.backtest.burden import GROUPS, burden
from fraud.backtest.told import plain
from fraud.detectors.rows import Rows
from fraud.detectors.scorer import Scorer
from fraud.engines import Engine
from fraud.pipeline.frames import who_and_where

SAMPLE = 2_000
"""Claims of each month that say how often each group would be listed."""


def burden_of(
    engine: Engine, rows: Rows, scorer: Scorer, capacity: int
) -> dict[str, list[dict[str, object]]]:
    """False alarms per thousand claims by group, had the model listed its training months.

    A month's list are its `capacity` claims of highest expected recovery; the cut is taken from an evenly
    spread sample. Audits count with their out-of-fold score.

    Parameters
    ----------
    rows : Rows
        Claims it was trained on.
    scorer : Scorer
        Freshly fitted on them; nothing is told of one without a supervised model or with a second stage.
    capacity : int
        Suspicions the auditors can take in a month.

    Returns
    -------
    dict
        See `fraud.backtest.burden.burden`, by group.
    """
    if scorer.held_out is None or scorer.needs_context:
        return {}
    months = rows.keys["month"].to_numpy()
    audits = scorer.held_out.assign(month=months[scorer.held_out["row"].to_numpy()])
    sides: tuple[list[pd.DataFrame], list[pd.DataFrame]] = ([], [])
    for month in sorted({int(m) for m in months}):
        own = np.flatnonzero(months == month)
        some = own[:: max(1, -(-len(own) // SAMPLE))]
        drawn = pd.DataFrame({"row": some, "score": scorer.score(rows.frame(some))["score"].to_numpy()})
        told = audits[audits["month"] == month]
        cut = _cut(rows, drawn, capacity / len(own))
        ids = rows.keys["claim_id"].to_numpy()
        wanted = sorted({str(c) for c in ids[[*drawn["row"], *told["row"]]]})
        about = who_and_where(engine, month, wanted).set_index("subject_id")
        for side, part in zip(sides, (drawn.assign(label=np.nan), told), strict=True):
            listed = _expected(rows, part) >= cut
            known = about.reindex(ids[part["row"]].astype(str)).reset_index(drop=True)
            side.append(known.assign(listed=listed, label=part["label"].to_numpy(float)))
    whole, audited = (pd.concat(side, ignore_index=True) for side in sides)
    by_group: dict[str, list[dict[str, object]]] = plain({g: burden(whole, g, audited) for g in GROUPS})
    return by_group


def _expected(rows: Rows, part: pd.DataFrame) -> np.ndarray:
    amount = rows.keys["amount_at_risk"].fillna(0).to_numpy(float)[part["row"].to_numpy()]
    return part["score"].to_numpy(float) * amount


def _cut(rows: Rows, drawn: pd.DataFrame, share: float) -> float:
    """Expected recovery from which a claim is among so large a share of its month."""
    expected = np.sort(_expected(rows, drawn))[::-1]
    return float(expected[min(max(round(share * len(expected)), 1), len(expected)) - 1])
