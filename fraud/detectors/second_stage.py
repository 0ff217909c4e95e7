"""Second stage: what the first stage says of the other claims of the same patient, doctor, institution.

Each actor's mean and highest first-stage probability over its other rows of the trailing months,
the row itself left out. Sums are of fixed-point integers, so the order of rows does not matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fraud.detectors.calibration import logit, sigmoid

ACTORS = ("patient", "doctor", "department", "institution", "operator")
_UNIT = 1_000_000
# rows of average suspicion each actor is given, so that one claim does not make an actor
_PRIOR_ROWS = 2.0


def actors_in(frame: pd.DataFrame) -> tuple[str, ...]:
    """Actors whose id column the frame has."""
    return tuple(a for a in ACTORS if f"{a}_id" in frame.columns)


def names(actors: Sequence[str]) -> tuple[str, ...]:
    """Columns of `other_rows`: ``<actor>_other_claims_mean`` and ``_highest``."""
    return tuple(f"{a}_other_claims_{what}" for a in actors for what in ("mean", "highest"))


def other_rows(
    frame: pd.DataFrame, p: np.ndarray, actors: Sequence[str], months: int, average: float
) -> np.ndarray:
    """Log-odds of the mean and of the highest `p` over the other rows of each actor.

    Parameters
    ----------
    frame : DataFrame
        Columns ``<actor>_id`` and ``month``; the scored month and the months before it.
    p : ndarray, shape (rows,)
        First-stage probabilities (out of fold where a row was trained on).
    actors : sequence of str
    months : int
        Trailing months looked at, the row's own included.
    average : float
        Probability an actor without other rows is given.

    Returns
    -------
    ndarray, shape (rows, 2 · len(actors))
        Columns as in `names`.
    """
    points = np.round(np.clip(p, 0, 1) * _UNIT).astype(np.int64)
    month = frame["month"].to_numpy()
    out = np.empty((len(frame), 2 * len(actors)))
    for i, actor in enumerate(actors):
        ids = frame[f"{actor}_id"]
        total, count, highest = _trailing(ids, month, points, months)
        mean = (total / _UNIT + _PRIOR_ROWS * average) / (count + _PRIOR_ROWS)
        top = np.where(count > 0, highest / _UNIT, average)
        out[:, 2 * i] = logit(np.clip(mean, 1e-4, 1 - 1e-4))
        out[:, 2 * i + 1] = logit(np.clip(top, 1e-4, 1 - 1e-4))
    return out


def _trailing(
    ids: pd.Series, month: np.ndarray, points: np.ndarray, months: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum, count and highest of an actor's other rows in the trailing months; 0 where it has no id."""
    code, _ = pd.factorize(ids)
    known = (code >= 0) & (ids != "").to_numpy(dtype=bool)
    first = int(month.min()) if len(month) else 0
    span = (int(month.max()) - first + 1) if len(month) else 1
    key = np.where(known, code, 0).astype(np.int64) * span + (month - first)
    cells, cell = np.unique(key[known], return_inverse=True)
    total = np.zeros(len(cells), dtype=np.int64)
    np.add.at(total, cell, points[known])
    count = np.bincount(cell, minlength=len(cells))
    top, second = _two_highest(cell, points[known], len(cells))
    sums, counts = np.zeros(len(key), np.int64), np.zeros(len(key), np.int64)
    highs, seconds = np.full(len(key), -1, np.int64), np.full(len(key), -1, np.int64)
    for back in range(months):
        at = np.searchsorted(cells, key - back)
        at = np.minimum(at, max(len(cells) - 1, 0))
        valid = known & (month - first - back >= 0)
        if len(cells):
            valid &= cells[at] == key - back
        else:
            continue
        sums += np.where(valid, total[at], 0)
        counts += np.where(valid, count[at], 0)
        t, s = np.where(valid, top[at], -1), np.where(valid, second[at], -1)
        seconds = np.maximum(np.maximum(seconds, s), np.minimum(highs, t))
        highs = np.maximum(highs, t)
    own = points == highs
    highest = np.where(own, seconds, highs)
    sums, counts = np.where(known, sums - points, 0), np.where(known, counts - 1, 0)
    return sums, counts, np.where(counts > 0, highest, 0)


def _two_highest(cell: np.ndarray, points: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Highest and second highest value per cell (-1 where there is none)."""
    order = np.lexsort((points, cell))
    last = np.searchsorted(cell[order], np.arange(cells), side="right") - 1
    top = np.full(cells, -1, dtype=np.int64)
    second = np.full(cells, -1, dtype=np.int64)
    if len(order):
        top = points[order][last]
        before = last - 1
        same = (before >= 0) & (cell[order][np.maximum(before, 0)] == np.arange(cells))
        second = np.where(same, points[order][np.maximum(before, 0)], -1)
    return top, second


@dataclass(frozen=True)
class SecondStage:
    """Logistic regression on the own first-stage margin and the columns of `other_rows`.

    Attributes
    ----------
    actors : tuple of str
    months : int
    average : float
        Mean first-stage probability in training.
    center, scale, weights : ndarray, shape (1 + 2 · actors,)
        Standardisation and weights; the first entry is the own margin.
    intercept : float
    """

    actors: tuple[str, ...]
    months: int
    average: float
    center: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: float

    @classmethod
    def fit(
        cls,
        inputs: np.ndarray,
        label: np.ndarray,
        actors: tuple[str, ...],
        months: int,
        average: float,
        weight: np.ndarray | None = None,
        ridge: float = 3.0,
    ) -> "SecondStage":
        """Fit by ridge-penalised maximum likelihood; weights below zero are not allowed.

        Parameters
        ----------
        inputs : ndarray, shape (rows, 1 + 2 · actors)
            Out-of-fold margin, then `other_rows` computed from out-of-fold probabilities.
        label : ndarray of 0/1, shape (rows,)
        """
        center, scale = inputs.mean(axis=0), inputs.std(axis=0)
        scale = np.where(scale > 1e-9, scale, 1.0)
        x = (inputs - center) / scale
        coefficients, intercept = _nonnegative_logistic(x, label, weight, ridge)
        return cls(actors, months, average, center, scale, coefficients, intercept)

    def margin(self, inputs: np.ndarray) -> np.ndarray:
        """Log-odds, shape (rows,)."""
        return self.terms(inputs).sum(axis=1) + self.intercept

    def terms(self, inputs: np.ndarray) -> np.ndarray:
        """Contribution of each input, shape of `inputs`; they and the intercept sum to `margin`."""
        return (inputs - self.center) / self.scale * self.weights

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form; `from_dict` is the inverse."""
        return {
            "actors": list(self.actors),
            "months": self.months,
            "average": self.average,
            "center": self.center.tolist(),
            "scale": self.scale.tolist(),
            "weights": self.weights.tolist(),
            "intercept": self.intercept,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "SecondStage":
        """Rebuild from `as_dict`."""
        return cls(
            tuple(data["actors"]),
            int(data["months"]),
            float(data["average"]),
            np.asarray(data["center"], dtype=float),
            np.asarray(data["scale"], dtype=float),
            np.asarray(data["weights"], dtype=float),
            float(data["intercept"]),
        )


def _nonnegative_logistic(
    x: np.ndarray, label: np.ndarray, weight: np.ndarray | None, ridge: float
) -> tuple[np.ndarray, float]:
    """Ridge logistic regression by Newton steps, dropping columns whose weight would be negative.

    A claim whose actors' other claims look worse must not score lower for it.
    """
    keep = np.ones(x.shape[1], dtype=bool)
    weight = np.ones(len(label)) if weight is None else weight
    while True:
        columns = np.column_stack([x[:, keep], np.ones(len(label))])
        penalty = np.append(np.full(int(keep.sum()), ridge), 1e-6)
        beta = np.zeros(columns.shape[1])
        for _ in range(60):
            p = sigmoid(columns @ beta)
            gradient = columns.T @ (weight * (p - label)) + penalty * beta
            curvature = weight * np.maximum(p * (1 - p), 1e-9)
            hessian = (columns * curvature[:, None]).T @ columns + np.diag(penalty)
            step = np.clip(np.linalg.solve(hessian, gradient), -3, 3)
            beta -= step
            if np.abs(step).max() < 1e-9:
                break
        negative = beta[:-1] < 0
        if not negative.any():
            out = np.zeros(x.shape[1])
            out[keep] = beta[:-1]
            return out, float(beta[-1])
        worst = np.flatnonzero(keep)[np.argmin(beta[:-1])]
        keep[worst] = False
