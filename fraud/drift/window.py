"""What a model's training window looked like: per feature and month how many rows lay in which bin.

Kept with the model, so that a month can be held against it where no training data are. Bins are cut at
the deciles of the whole window; what is missing has a bin of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

DECILES = 10
MOST_ROWS = 20_000
"""Rows looked at per month, evenly spread; as many again for the deciles."""
SCORE_EDGES = tuple(float(e) for e in (0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9))
"""Upper ends of the score's bins, fixed: deciles of mostly tiny probabilities would tell nothing."""


def window(
    months: np.ndarray,
    features: Sequence[str],
    values: Callable[[np.ndarray], np.ndarray],
    scores: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, Any]:
    """Profile of a training window.

    Parameters
    ----------
    months : ndarray of int, shape (rows,)
        Month of every row.
    features : sequence of str
        Columns of the values.
    values : callable
        Row numbers → matrix of shape (rows asked for, features), NaN where unknown.
    scores : callable, optional
        Row numbers → the model's score of them.

    Returns
    -------
    dict
        JSON-able: ``months``; ``features`` and ``score``, each with ``edges`` and per month the
        ``counts`` of the bins, the last one of missing values.
    """
    present = sorted({int(m) for m in months})
    chosen = {m: _spread(np.flatnonzero(months == m), MOST_ROWS) for m in present}
    everyone = np.concatenate([_spread(r, MOST_ROWS // len(present) + 1) for r in chosen.values()])
    edges = _deciles(values(everyone))
    counts: list[list[list[int]]] = [[] for _ in features]
    scored = []
    for month in present:
        matrix = values(chosen[month])
        for j, own in enumerate(edges):
            counts[j].append(binned(matrix[:, j], own))
        if scores is not None:
            scored.append(binned(scores(chosen[month]), SCORE_EDGES))
    return {
        "months": present,
        "features": {name: {"edges": list(edges[j]), "counts": counts[j]} for j, name in enumerate(features)},
        "score": {"edges": list(SCORE_EDGES), "counts": scored},
    }


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, evenly spread."""
    return rows[:: max(1, -(-len(rows) // most))]


def _deciles(matrix: np.ndarray) -> list[tuple[float, ...]]:
    """Inner deciles of every column, equal ones once."""
    out = []
    for j in range(matrix.shape[1]):
        known = matrix[:, j].astype(float)
        known = known[np.isfinite(known)]
        cuts = np.quantile(known, np.arange(1, DECILES) / DECILES) if len(known) else np.zeros(0)
        out.append(tuple(float(e) for e in np.unique(cuts)))
    return out


def binned(values: np.ndarray, edges: Sequence[float]) -> list[int]:
    """Rows per bin: up to each edge, above the last, and missing.

    >>> binned(np.array([0.0, 1.0, 2.0, 3.0, np.nan]), [1.0, 2.0])
    [2, 1, 1, 1]
    """
    known = np.asarray(values, dtype=float)
    lost = ~np.isfinite(known)
    bins = np.searchsorted(np.asarray(edges, dtype=float), known[~lost], side="left")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    return [*(int(c) for c in counts), int(lost.sum())]


def references(
    profile: Mapping[str, Any], months: Sequence[int], month: int, recent: int
) -> dict[str, np.ndarray]:
    """Counts a month may be held against: the whole window, its last months, the same month a year before.

    Parameters
    ----------
    profile : mapping
        One entry of ``features``, or ``score``.
    months : sequence of int
        Of the window.
    month : int
        The month that is judged.
    recent : int
        How many last months.
    """
    counts = np.array(profile["counts"], dtype=float)
    if not len(counts):
        return {}
    out = {"window": counts.sum(axis=0), "latest": counts[-recent:].sum(axis=0)}
    season = [i for i, m in enumerate(months) if (month - m) % 12 == 0 and m < month]
    if season:
        out["season"] = counts[season[-1]]
    return out
