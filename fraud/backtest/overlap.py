"""Two models on the same month: how far their lists agree, and what only one of them lists."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

CUTS = (20, 50, 100, 200)
EXAMPLES = 10
HELD = 0.5
"""Share of a case's money on the other list from which the other list holds the case."""


def overlap(
    champion: pd.DataFrame,
    challenger: pd.DataFrame,
    lists: tuple[pd.DataFrame, pd.DataFrame],
    capacity: int,
) -> dict[str, Any]:
    """Compare two rankings of a month.

    Parameters
    ----------
    champion, challenger : DataFrame
        Claims as each scored them: ``claim_id``, ``score``, ``amount_at_risk`` and ``expected_recovery``
        (yuan). The same claims in both.
    lists : (DataFrame, DataFrame)
        Their suspicion lists: ``subject_kind``, ``subject_id``, ``score``, ``amount_at_risk``,
        ``expected_recovery`` and ``evidence_claim_ids``.
    capacity : int
        Suspicions the auditors can take.

    Returns
    -------
    dict
        JSON-able: ``rank_correlation`` (Spearman, of expected recovery and of the score), ``top`` (of
        the first so many claims, the share that both have), and per side ``listed``, ``money`` and
        ``expected`` (at capacity, each by its own scores), ``only`` (cases that the other list does not
        hold: less than half of their evidence's money is on it) with examples.
    """
    a, b = (_by_claim(side) for side in (champion, challenger))
    b = b.reindex(a.index)
    sides = {"champion": (a, lists[0], b, lists[1]), "challenger": (b, lists[1], a, lists[0])}
    return {
        "claims": len(a),
        "capacity": capacity,
        "rank_correlation": {
            "expected_recovery": _spearman(a["expected_recovery"], b["expected_recovery"]),
            "score": _spearman(a["score"], b["score"]),
        },
        "top": [_top(a, b, k) for k in _cuts(capacity, len(a))],
        **{name: _side(*parts) for name, parts in sides.items()},
    }


def _by_claim(scored: pd.DataFrame) -> pd.DataFrame:
    numbers = scored[["score", "amount_at_risk", "expected_recovery"]].astype(float)
    return numbers.set_index(scored["claim_id"].to_numpy()).sort_index()


def _cuts(capacity: int, rows: int) -> Sequence[int]:
    return [k for k in sorted({*CUTS, capacity}) if k <= rows]


def _order(scored: pd.DataFrame) -> pd.Index:
    """Claims by expected recovery, ties by id."""
    return scored.index[np.argsort(-scored["expected_recovery"].to_numpy(), kind="stable")]


def _top(a: pd.DataFrame, b: pd.DataFrame, k: int) -> dict[str, Any]:
    both = len(set(_order(a)[:k]) & set(_order(b)[:k]))
    return {"first": k, "both": both, "share": both / k}


def _spearman(a: pd.Series, b: pd.Series) -> float | None:
    """Rank correlation (Spearman 1904); None where either is constant."""
    left, right = (s.rank().to_numpy() for s in (a, b))
    if len(left) < 2 or left.std() == 0 or right.std() == 0:
        return None
    return round(float(np.corrcoef(left, right)[0, 1]), 6)


def _side(
    own: pd.DataFrame, cases: pd.DataFrame, other: pd.DataFrame, others: pd.DataFrame
) -> dict[str, Any]:
    elsewhere = {claim for ids in others["evidence_claim_ids"] for claim in ids}
    place = pd.Series(np.arange(1, len(other) + 1), index=_order(other))
    alone = []
    for case in cases.to_dict("records"):
        ids = [c for c in case["evidence_claim_ids"] if c in own.index]
        money = own.loc[ids, "amount_at_risk"]
        held = float(money[[c in elsewhere for c in ids]].sum())
        if money.sum() > 0 and held < HELD * float(money.sum()):
            alone.append(_case(case, own.loc[ids], other.loc[ids], place))
    return {
        "listed": len(cases),
        "money": _yuan(cases["amount_at_risk"]),
        "expected": _yuan(cases["expected_recovery"]),
        "only": {
            "cases": len(alone),
            "money": round(sum(c["amount_at_risk"] for c in alone), 2),
            "examples": alone[:EXAMPLES],
        },
    }


def _case(case: dict[str, Any], own: pd.DataFrame, other: pd.DataFrame, place: pd.Series) -> dict[str, Any]:
    """One case only this list has, and what the other model thinks of its claims."""
    best = own["expected_recovery"].to_numpy().argmax()
    return {
        "subject_kind": case["subject_kind"],
        "subject_id": case["subject_id"],
        "claims": len(own),
        "amount_at_risk": round(float(case["amount_at_risk"]), 2),
        "score": round(float(case["score"]), 6),
        "strongest_claim": str(own.index[best]),
        "own_score": round(float(own["score"].iloc[best]), 6),
        "other_score": round(float(other["score"].iloc[best]), 6),
        "other_place": int(place[own.index[best]]),
    }


def _yuan(values: pd.Series) -> float:
    return int(np.rint(values.to_numpy(float) * 100).sum()) / 100
