"""From raw scores to percentiles and probabilities, and from Shapley values to log-odds shares."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# percentiles kept: dense in the upper tail, where suspicions live
_LEVELS = np.unique(
    np.concatenate(
        [np.linspace(0, 0.98, 99), np.linspace(0.98, 0.998, 37), 1 - np.geomspace(2e-3, 1e-6, 40), [1.0]]
    )
)


def logit(p: np.ndarray | float) -> np.ndarray:
    """Log-odds of a probability.

    >>> float(logit(0.5))
    0.0
    """
    p = np.asarray(p, dtype=float)
    return np.log(p) - np.log1p(-p)


def sigmoid(z: np.ndarray | float) -> np.ndarray:
    """Inverse of `logit`, without overflow.

    >>> sigmoid(np.array([-800.0, 0.0, 800.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    z = np.asarray(z, dtype=float)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


@dataclass(frozen=True)
class Reference:
    """The distribution of a raw score in training, as a grid of quantiles.

    Attributes
    ----------
    values, levels : ndarray, shape (grid,)
        Strictly increasing scores and the share of training rows at or below them, inside (0, 1).
    """

    values: np.ndarray
    levels: np.ndarray

    @classmethod
    def fit(cls, raw: np.ndarray) -> "Reference":
        """Keep the quantiles of `raw`; levels stay half a row away from 0 and 1."""
        if not len(raw):
            return cls(np.array([0.0]), np.array([0.5]))
        edge = 0.5 / len(raw)
        grid = np.quantile(np.asarray(raw, dtype=float), _LEVELS)
        values, first, counts = np.unique(grid, return_index=True, return_counts=True)
        # a tied score sits in the middle of the levels it covers
        levels = (_LEVELS[first] + _LEVELS[first + counts - 1]) / 2
        return cls(values, np.clip(levels, edge, 1 - edge))

    def percentile(self, raw: np.ndarray) -> np.ndarray:
        """Share of training rows that score lower, inside (0, 1), shape of `raw`.

        >>> Reference.fit(np.arange(100.0)).percentile(np.array([-5.0, 49.5, 500.0])).round(3).tolist()
        [0.005, 0.5, 0.995]
        """
        return np.interp(raw, self.values, self.levels)

    def as_dict(self) -> dict[str, list[float]]:
        """JSON-able form; `from_dict` is the inverse."""
        return {"values": self.values.tolist(), "levels": self.levels.tolist()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Reference":
        """Rebuild from `as_dict`."""
        return cls(np.asarray(data["values"], dtype=float), np.asarray(data["levels"], dtype=float))


@dataclass(frozen=True)
class Platt:
    """Logistic calibration: probability = sigmoid(slope · z + intercept), slope > 0."""

    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def fit(cls, z: np.ndarray, label: np.ndarray, slope: float | None = None) -> "Platt":
        """Fit by penalised maximum likelihood on Platt's smoothed targets.

        Parameters
        ----------
        z : ndarray, shape (rows,)
            Out-of-fold log-odds.
        label : ndarray of 0/1, shape (rows,)
        slope : float, optional
            Keep this slope and fit the intercept alone.

        Notes
        -----
        Targets (N₊+1)/(N₊+2) and 1/(N₋+2): Platt (1999). A weak pull of the slope towards 1 keeps
        few or separable labels finite.
        """
        z = np.asarray(z, dtype=float)
        label = np.asarray(label, dtype=float)
        positives, negatives = label.sum(), len(label) - label.sum()
        target = np.where(label > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
        free = slope is None
        a, b = (1.0 if slope is None else slope), 0.0
        for _ in range(100):
            p = sigmoid(a * z + b)
            weight = np.maximum(p * (1 - p), 1e-9)
            gradient = np.array([((p - target) * z).sum() + (a - 1.0), (p - target).sum()])
            hessian = np.array(
                [[(weight * z * z).sum() + 1.0, (weight * z).sum()], [(weight * z).sum(), weight.sum()]]
            )
            if free:
                step = np.linalg.solve(hessian, gradient)
            else:
                step = np.array([0.0, gradient[1] / hessian[1, 1]])
            step = np.clip(step, -2.0, 2.0)
            a, b = a - step[0], b - step[1]
            if np.abs(step).max() < 1e-10:
                break
        if free and a < 0.05:  # an order the labels contradict is not turned round
            return cls.fit(z, label, slope=0.05)
        return cls(float(a), float(b))

    def logit(self, z: np.ndarray) -> np.ndarray:
        """Calibrated log-odds."""
        return self.slope * z + self.intercept


def intercept_for(z: np.ndarray, slope: float, mean: float) -> float:
    """Intercept at which the mean probability over `z` equals `mean`, by bisection."""
    low, high = -60.0, 60.0
    for _ in range(80):
        middle = (low + high) / 2
        if sigmoid(slope * z + middle).mean() < mean:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def share_out(
    values: np.ndarray, base: float, link: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, float]:
    """Carry additive contributions through a monotone link.

    The change ``link(raw) - link(base)`` is shared in proportion to the contributions to
    ``raw - base``, so that they stay additive.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        Contributions; ``raw = base + values.sum(1)``.
    base : float
    link : callable
        Monotone function of the raw score.

    Returns
    -------
    values : ndarray, shape (rows, columns)
    base : float
        ``link(base)``.
    """
    total = values.sum(axis=1)
    start = float(link(np.array([base]))[0])
    change = link(base + total) - start
    flat = np.abs(total) < 1e-9
    shared = values * np.where(flat, 0.0, change / np.where(flat, 1.0, total))[:, None]
    if values.shape[1]:  # what is left where contributions cancel goes to the largest of them
        rest = change - shared.sum(axis=1)
        rows = np.arange(len(values))
        shared[rows, np.abs(values).argmax(axis=1)] += rest
    return shared, start
