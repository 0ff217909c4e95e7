"""Places of the list spent on learning: claims whose audit would teach the model, under their own mark."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fraud.settings import ListSettings
from fraud.suspicion.listing import COLUMNS, statuses, suspicion_id

MARK = "learning"
"""Code of the first reason of a suspicion that is on the list to be learnt from."""


def places(settings: ListSettings) -> int:
    """Places of the list spent on learning.

    >>> places(ListSettings(capacity=200, learning_share=0.1)), places(ListSettings())
    (20, 0)
    """
    return min(round(settings.learning_share * settings.capacity), settings.capacity - 1)


def with_picks(
    listed: pd.DataFrame,
    picks: pd.DataFrame,
    claims: pd.DataFrame,
    previous: pd.DataFrame | None,
    cleared: pd.DataFrame | None,
    month: str,
) -> pd.DataFrame:
    """Put claims chosen for learning into the list, where their expected recovery ranks them.

    Parameters
    ----------
    listed : DataFrame
        What `fraud.suspicion.roll_up` returned, cut so that the picks have room.
    picks : DataFrame
        ``claim_id`` of the chosen claims; none of them is evidence of the list.
    claims : DataFrame
        The month's scored claims: ``claim_id``, ``score`` and ``amount_at_risk`` (yuan).
    previous, cleared : DataFrame or None
        As `roll_up` takes them.
    month : str
    """
    own = claims.set_index("claim_id").loc[picks["claim_id"]]
    cents = np.rint(own["amount_at_risk"].to_numpy(float) * 100)
    score = own["score"].fillna(0.0).round(6).to_numpy(float)
    rows = pd.DataFrame(
        {
            "suspicion_id": [suspicion_id("claim", str(c)) for c in own.index],
            "month": month,
            "subject_kind": "claim",
            "subject_id": own.index.astype(object),
            "score": score,
            "amount_at_risk": cents / 100,
            "expected_recovery": np.rint(score * cents) / 100,
            "evidence_claim_ids": [[c] for c in own.index],
            "reasons": [[] for _ in own.index],
            "rationale_hash": "",
            "claims": 1,
        }
    )
    rows["status_vs_last_month"] = statuses(rows, previous, cleared, month)
    both = pd.concat([listed, rows], ignore_index=True)
    both = both.sort_values(
        ["expected_recovery", "score", "suspicion_id"], ascending=[False, False, True], kind="stable"
    ).reset_index(drop=True)
    both["rank"] = np.arange(1, len(both) + 1, dtype=np.int64)
    return both[[*COLUMNS, "claims"]]


def mark(pick: Mapping[str, Any]) -> dict[str, Any]:
    """First reason of a claim chosen for learning.

    Parameters
    ----------
    pick : mapping
        ``uncertainty``, ``distance``, ``audits`` and ``value`` of `fraud.detectors.learning`.
    """
    audits = int(pick["audits"])
    return {
        "code": MARK,
        "group": MARK,
        "sentence_zh": f"为学习而选：模型把握不大（不确定度{pick['uncertainty']:.0%}），与已有结论的结算相差"
        f"{pick['distance']:.0%}，该机构已有{audits}笔结论。它的结论对模型最有用，不表示更可疑。",
        "sentence_en": f"Chosen for learning: the model is unsure ({pick['uncertainty']:.0%} uncertain), the "
        f"claim is {pick['distance']:.0%} unlike any decided one, {audits} of its institution were decided. "
        "Its outcome teaches the model most; it is not more suspicious for that.",
        "value": round(float(pick["value"]), 6),
        "baseline": None,
        "peer_group": None,
        "peer_n": None,
        "percentile": None,
        "contribution": 0.0,
    }
