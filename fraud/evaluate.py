"""How good a ranking or a probability is, in auditors' terms. NumPy only.

Every function takes labels (1 = confirmed) and scores (higher = more suspicious). Ties are broken
against the model where the order matters: a tied negative stands before a tied positive.
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def _order(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    return np.lexsort((label, -np.asarray(score, dtype=float)))


def precision_at(label: np.ndarray, score: np.ndarray, k: int) -> float:
    """Share of confirmed among the k highest scores.

    >>> precision_at(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]), 2)
    0.5
    """
    label = np.asarray(label)
    if k < 1 or not len(label):
        return float("nan")
    return float(label[_order(label, score)[:k]].mean())


def recall_at(label: np.ndarray, score: np.ndarray, k: int) -> float:
    """Share of all confirmed found among the k highest scores.

    >>> recall_at(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]), 2)
    0.5
    """
    label = np.asarray(label)
    total = label.sum()
    return float(label[_order(label, score)[:k]].sum() / total) if total else float("nan")


def amount_at(label: np.ndarray, score: np.ndarray, amount: np.ndarray, share: float) -> float:
    """Share of the confirmed money found by reviewing the top `share` of subjects.

    Parameters
    ----------
    label : ndarray of 0/1, shape (rows,)
    score : ndarray, shape (rows,)
        What the list is ordered by; score × amount for the default list.
    amount : ndarray, shape (rows,)
        Money at risk, yuan.
    share : float
        Share of rows reviewed, rounded up to whole rows.

    Examples
    --------
    >>> amount_at(np.array([1, 0, 1, 0]), np.array([4, 3, 2, 1]), np.array([90.0, 5, 10, 5]), 0.25)
    0.9
    """
    label, amount = np.asarray(label), np.asarray(amount, dtype=float)
    found = label * amount
    total = found.sum()
    rows = int(np.ceil(share * len(label)))
    return float(found[_order(label, score)[:rows]].sum() / total) if total > 0 else float("nan")


def lift_at(label: np.ndarray, score: np.ndarray, share: float) -> float:
    """Compute the lift: confirmed share in the top `share` over the confirmed share of all.

    >>> lift_at(np.array([1, 0, 0, 0]), np.array([4, 3, 2, 1]), 0.25)
    4.0
    """
    label = np.asarray(label)
    rows = int(np.ceil(share * len(label)))
    return precision_at(label, score, rows) / float(label.mean()) if label.sum() else float("nan")


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Mean of precision over the confirmed, each at its own score; tied scores share one precision.

    >>> round(average_precision(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])), 4)
    0.8333
    """
    label, score = np.asarray(label, dtype=float), np.asarray(score, dtype=float)
    if not label.sum():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    found = np.cumsum(label[order])[last]
    precision = found / (last + 1.0)
    return float((np.diff(np.concatenate([[0.0], found])) * precision).sum() / label.sum())


def roc_auc(label: np.ndarray, score: np.ndarray) -> float:
    """Probability that a confirmed scores above a cleared one, ties counting half.

    >>> roc_auc(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]))
    0.75
    """
    label, score = np.asarray(label), np.asarray(score, dtype=float)
    positives = int(label.sum())
    negatives = len(label) - positives
    if not positives or not negatives:
        return float("nan")
    _, group, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2.0)[group]
    return float((rank[label > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def auc_within(label: np.ndarray, score: np.ndarray, size: np.ndarray, bins: int = 10) -> float:
    """ROC AUC within quantile bins of a size, weighted by pairs: what is left once size is held equal.

    Parameters
    ----------
    label, score : ndarray, shape (rows,)
    size : ndarray, shape (rows,)
        For example an institution's reimbursed amount.
    bins : int
        Quantile bins; 10 for deciles.

    Examples
    --------
    >>> auc_within(np.array([0, 1, 0, 1]), np.array([1, 2, 3, 4]), np.array([1, 1, 9, 9]), bins=2)
    1.0
    """
    label, score = np.asarray(label), np.asarray(score, dtype=float)
    rank = np.argsort(np.argsort(np.asarray(size, dtype=float), kind="stable"), kind="stable")
    bin_of = rank * bins // max(len(label), 1)
    won, pairs = 0.0, 0.0
    for b in range(bins):
        inside = bin_of == b
        weight = float(label[inside].sum()) * float((label[inside] == 0).sum())
        if weight:
            won += weight * roc_auc(label[inside], score[inside])
            pairs += weight
    return won / pairs if pairs else float("nan")


def log_loss(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean negative log-likelihood, natural logarithm.

    >>> round(log_loss(np.array([1, 0]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    p = np.clip(np.asarray(probability, dtype=float), 1e-15, 1 - 1e-15)
    label = np.asarray(label, dtype=float)
    return float(-(label * np.log(p) + (1 - label) * np.log1p(-p)).mean())


def brier(label: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared error of a probability.

    >>> brier(np.array([1, 0]), np.array([0.5, 0.5]))
    0.25
    """
    return float(((np.asarray(probability, dtype=float) - np.asarray(label, dtype=float)) ** 2).mean())


def reliability(label: np.ndarray, probability: np.ndarray, bins: int = 10) -> list[dict[str, float]]:
    """Stated against observed share confirmed, in bins of equal size.

    Returns
    -------
    list of dict
        Per bin: rows, stated (mean probability), observed (share confirmed), low and high (Wilson 95 %).

    Examples
    --------
    >>> [b["observed"] for b in reliability(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]), 2)]
    [0.0, 1.0]
    """
    label, p = np.asarray(label, dtype=float), np.asarray(probability, dtype=float)
    out = []
    for part in np.array_split(np.argsort(p, kind="stable"), bins):
        if len(part):
            low, high = wilson(int(label[part].sum()), len(part))
            out.append(
                {
                    "rows": float(len(part)), "stated": float(p[part].mean()),
                    "observed": float(label[part].mean()), "low": low, "high": high,
                }
            )  # fmt: skip
    return out


def wilson(found: int, rows: int, z: float = 1.959964) -> tuple[float, float]:
    """Confidence interval of a share (Wilson 1927).

    >>> tuple(round(v, 3) for v in wilson(5, 10))
    (0.237, 0.763)
    """
    if not rows:
        return 0.0, 1.0
    share = found / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


def bootstrap(
    metric: Callable[..., float], label: np.ndarray, *arrays: np.ndarray, draws: int = 200, seed: int = 7
) -> tuple[float, float, float]:
    """Figure and 95 % interval by resampling rows with replacement, the classes' counts kept.

    Parameters
    ----------
    metric : callable
        ``metric(label, *arrays)``.
    label : ndarray of 0/1, shape (rows,)
    arrays : ndarray, shape (rows,)
        Scores, amounts and so on, resampled together with the labels.
    draws, seed : int

    Returns
    -------
    value, low, high : float
        NaN bounds where a class is absent.

    Examples
    --------
    >>> bootstrap(roc_auc, np.array([0, 0, 1, 1]), np.array([1.0, 2, 3, 4]))
    (1.0, 1.0, 1.0)
    """
    label = np.asarray(label)
    value = metric(label, *arrays)
    classes = [np.flatnonzero(label > 0), np.flatnonzero(label <= 0)]
    if min(len(c) for c in classes) == 0:
        return value, float("nan"), float("nan")
    random = np.random.default_rng(seed)
    figures = []
    for _ in range(draws):
        rows = np.concatenate([random.choice(c, len(c), replace=True) for c in classes])
        figures.append(metric(label[rows], *(np.asarray(a)[rows] for a in arrays)))
    low, high = np.quantile(figures, [0.025, 0.975])
    return value, float(low), float(high)


def precision_recall(label: np.ndarray, score: np.ndarray, points: int = 200) -> list[tuple[float, float]]:
    """Recall and precision at up to `points` cut-offs, best scores first.

    >>> precision_recall(np.array([1, 0]), np.array([2.0, 1.0]))
    [(1.0, 1.0), (1.0, 0.5)]
    """
    label = np.asarray(label)
    found = np.cumsum(label[_order(label, score)])
    rows = np.unique(np.linspace(1, len(label), min(points, len(label))).round().astype(int))
    total = max(int(label.sum()), 1)
    return [(float(found[r - 1] / total), float(found[r - 1] / r)) for r in rows]


def report(label: np.ndarray, score: np.ndarray, amount: np.ndarray | None = None) -> dict[str, Any]:
    """All figures of a ranking at once, with intervals; JSON-able.

    Parameters
    ----------
    label : ndarray of 0/1, shape (rows,)
    score : ndarray, shape (rows,)
    amount : ndarray, optional
        Money at risk, yuan; adds the money found by score and by score × amount.
    """
    out: dict[str, Any] = {"rows": len(label), "positives": int(np.sum(label))}
    for name, metric in (("average_precision", average_precision), ("roc_auc", roc_auc)):
        out[name] = dict(zip(("value", "low", "high"), bootstrap(metric, label, score), strict=True))
    for k in (20, 50, 100, 200):
        if k <= len(label):
            out[f"precision_at_{k}"] = precision_at(label, score, k)
    for share in (0.005, 0.01, 0.05):
        key = f"{share * 100:g}pct"
        out[f"lift_at_{key}"] = lift_at(label, score, share)
        if amount is not None:
            out[f"amount_at_{key}"] = amount_at(label, score, amount, share)
            out[f"amount_at_{key}_by_value"] = amount_at(label, np.asarray(score) * amount, amount, share)
    return out
