"""What became of listed suspicions: decided, confirmed and recovered, month by month and together."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fraud.evaluate import wilson
from fraud.schema import month_number

HELD = 0.5
"""Share of a case's evidence claims that must be decided where the case itself was not."""
DRAWS = 1_000
_SUBJECT, _KEYS = ["subject_kind", "subject_id"], ["month", "suspicion_id"]
UNKNOWN = {"value": math.nan, "low": math.nan, "high": math.nan}


def judged(cases: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """What was decided of each listed case since its month began.

    A case is decided by the decision about its own subject; without one, once half of its evidence
    claims are decided, and then it is confirmed if any of them is. The rule does not look at outcomes,
    so it favours neither.

    Parameters
    ----------
    cases : DataFrame
        Suspicions of several months: month, suspicion_id, subject_kind, subject_id and
        evidence_claim_ids (lists).
    decisions : DataFrame
        Latest decision about each subject: subject_kind, subject_id, confirmed (bool), cents
        (recovered, NaN where not told) and decided_at.

    Returns
    -------
    DataFrame
        `cases` with decided, confirmed (bool) and recovered (cents; 0 where cleared, NaN where
        confirmed and no amount is told).
    """
    own = _since(cases[[*_KEYS, *_SUBJECT]].merge(decisions, on=_SUBJECT))
    parts = cases[[*_KEYS, "evidence_claim_ids"]].explode("evidence_claim_ids")
    parts = parts.rename(columns={"evidence_claim_ids": "subject_id"}).assign(subject_kind="claim")
    told = _since(parts.dropna(subset=["subject_id"]).merge(decisions, on=_SUBJECT))
    keys = pd.MultiIndex.from_frame(cases[_KEYS])
    of_own, of_parts = (_by_case(side).reindex(keys) for side in (own, told))
    size = np.array([len(ids) for ids in cases["evidence_claim_ids"]], dtype=float)
    by_own = of_own["rows"].fillna(0).to_numpy() > 0
    by_parts = ~by_own & (size > 0) & (of_parts["rows"].fillna(0).to_numpy() >= HELD * size)
    confirmed = np.where(by_own, of_own["confirmed"], of_parts["confirmed"])
    confirmed = (by_own | by_parts) & (confirmed.astype(float) > 0)
    cents = of_own["cents"].where(of_own["cents"].notna(), of_parts["cents"]).to_numpy(float)
    decided = by_own | by_parts
    recovered = np.where(confirmed, cents, np.where(decided, 0.0, math.nan))
    return cases.assign(decided=decided, confirmed=confirmed, recovered=recovered)


def _since(told: pd.DataFrame) -> pd.DataFrame:
    """Decisions made since the month of the list began: an earlier one was known to it."""
    return told[told["decided_at"] >= pd.to_datetime(told["month"] + "-01")]


def _by_case(told: pd.DataFrame) -> pd.DataFrame:
    confirmed = told.assign(confirmed=told["confirmed"].astype(float), cents=told["cents"].astype(float))
    grouped = confirmed.groupby(_KEYS)
    found = grouped.agg(rows=("confirmed", "size"), confirmed=("confirmed", "max"))
    return found.assign(cents=grouped["cents"].sum(min_count=1))


def by_month(cases: pd.DataFrame, months: Sequence[str], last: str, maturity: int) -> list[dict[str, Any]]:
    """Figures of every month's list.

    Parameters
    ----------
    cases : DataFrame
        See `judged`; with version, score and expected_recovery (yuan).
    months : sequence of str
        Months that were run.
    last : str
        Month at whose end everything is looked at.
    maturity : int
        Months after which a list's decisions count as in.
    """
    out = []
    for month in months:
        own = cases[cases["month"] == month]
        versions = sorted(set(own["version"]))
        ripe = month_number(last) - month_number(month) >= maturity
        out.append({"month": month, "version": ", ".join(versions), "ripe": ripe, **together(own)})
    return out


def together(cases: pd.DataFrame) -> dict[str, Any]:
    """Figures of some months' lists together; a suspicion listed again counts once, as first listed.

    Returns
    -------
    dict
        listed, decided, confirmed; ``rate``: share of the decided that were confirmed (Wilson);
        ``stated``: the mean probability that the list gave them; ``expected``, ``recovered`` (yuan, of
        decided cases with a known amount), ``money_cases`` and ``ratio``: recovered over expected
        (bootstrap over cases).
    """
    once = cases.sort_values(_KEYS).drop_duplicates("suspicion_id")
    decided = once[once["decided"].astype(bool)]
    rows, hits = len(decided), int(decided["confirmed"].sum())
    known = decided[decided["recovered"].notna()]
    expected = np.rint(known["expected_recovery"].to_numpy(float) * 100).astype(np.int64)
    recovered = known["recovered"].to_numpy(float).astype(np.int64)
    return {
        "listed": len(once),
        "decided": rows,
        "confirmed": hits,
        "rate": share_of(hits, rows),
        "stated": float(decided["score"].mean()) if rows else math.nan,
        "expected": int(expected.sum()) / 100,
        "recovered": int(recovered.sum()) / 100,
        "money_cases": len(known),
        "ratio": _ratio(recovered, expected),
    }


def share_of(hits: int, rows: int) -> dict[str, float]:
    """Share with Wilson's 95 % interval; NaN of nothing.

    >>> {k: round(v, 2) for k, v in share_of(5, 10).items()}
    {'value': 0.5, 'low': 0.24, 'high': 0.76}
    """
    if not rows:
        return dict(UNKNOWN)
    low, high = wilson(hits, rows)
    return {"value": hits / rows, "low": low, "high": high}


def difference(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    """Difference of two independent shares with its interval (Newcombe 1998, method 10).

    Parameters
    ----------
    a, b : mapping
        See `share_of`.

    Examples
    --------
    >>> fell = difference(share_of(10, 50), share_of(40, 50))
    >>> round(fell["value"], 2), round(fell["low"], 2), round(fell["high"], 2)
    (-0.6, -0.72, -0.42)
    """
    value = a["value"] - b["value"]
    down = math.hypot(a["value"] - a["low"], b["high"] - b["value"])
    up = math.hypot(a["high"] - a["value"], b["value"] - b["low"])
    return {"value": value, "low": value - down, "high": value + up}


def _ratio(recovered: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Ratio of two sums of cents with a bootstrap interval over cases."""
    if not expected.sum() > 0:
        return dict(UNKNOWN)
    random = np.random.default_rng(7)
    draws = [random.integers(0, len(expected), len(expected)) for _ in range(DRAWS)]
    sums = [(recovered[rows].sum(), expected[rows].sum()) for rows in draws]
    low, high = np.quantile([a / b for a, b in sums if b > 0], [0.025, 0.975])
    return {"value": float(recovered.sum() / expected.sum()), "low": float(low), "high": float(high)}
