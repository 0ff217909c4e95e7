"""The few claims of a month that groups and picks are made of, with a sample that says what is usual."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

SAMPLE = 20_000
"""Claims that say what is usual, evenly spread over the month."""
ODDEST, UNSURE = 8_000, 3_000
"""Claims with the highest anomaly, and with probabilities nearest to one half."""


@dataclass(frozen=True)
class SomeClaims:
    """Claims of a month with their features and scores.

    Attributes
    ----------
    frame, scores : DataFrame
        Features and scores, row by row.
    among : DataFrame
        Rows of `frame` that stand for the whole month.
    size : int
        Claims of the month.
    """

    frame: pd.DataFrame
    scores: pd.DataFrame
    among: pd.DataFrame
    size: int


def some_claims(month: Any, scored: pd.DataFrame) -> SomeClaims:
    """Read the features of the claims worth a second look.

    Parameters
    ----------
    month : ParquetColumns
        Claim features of the month.
    scored : DataFrame
        ``claims_scored`` of the run: claim_id, p_supervised, anomaly.
    """
    ordered = scored.sort_values("claim_id", ignore_index=True)
    spread = np.arange(0, len(ordered), max(1, -(-len(ordered) // SAMPLE)))
    anomaly = np.nan_to_num(ordered["anomaly"].to_numpy(float))
    p = ordered["p_supervised"].to_numpy(float)
    odd = np.argsort(-anomaly, kind="stable")[:ODDEST]
    unsure = np.argsort(np.abs(np.nan_to_num(p, nan=0.0) - 0.5), kind="stable")[:UNSURE]
    wanted = np.unique(np.concatenate([spread, odd, unsure]))
    ids = ordered["claim_id"].to_numpy(dtype=object)
    frame = month.rows("claim_id", list(ids[wanted])).sort_values("claim_id", ignore_index=True)
    own = ordered.set_index("claim_id").loc[frame["claim_id"]].reset_index()
    among = frame[frame["claim_id"].isin(ids[spread])].reset_index(drop=True)
    return SomeClaims(frame, own, among, len(ordered))
