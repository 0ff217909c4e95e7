"""Isolation forest: how easily a subject is told apart from all others, without any label."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fraud.detectors import trees
from fraud.detectors.calibration import Reference
from fraud.detectors.rows import pieces, taken

if TYPE_CHECKING:
    import lightgbm

    from fraud.settings import ForestSettings


@dataclass(frozen=True)
class Scaling:
    """Robust scaling: missing → median, (x - median) / spread, clipped, deviations signed by direction.

    Attributes
    ----------
    median, spread : ndarray, shape (columns,)
    direction : ndarray of int, shape (columns,)
        +1 keeps deviations above the median only, -1 below it only, 0 both.
    clip : float
        Largest deviation kept, in spreads.
    """

    median: np.ndarray
    spread: np.ndarray
    direction: np.ndarray
    clip: float

    @classmethod
    def fit(cls, matrix: np.ndarray, direction: np.ndarray, clip: float) -> "Scaling":
        """Learn medians and spreads (interquartile range, else 1st–99th percentile, else 1)."""
        # every so many rows: 50,000 are plenty for quartiles
        some = matrix[:: max(1, len(matrix) // 50_000)]
        low, first, median, third, high = _quantiles(some, (0.01, 0.25, 0.5, 0.75, 0.99))
        spread = np.where(third > first, third - first, high - low)
        return cls(median, np.where(spread > 0, spread, 1.0), direction, clip)

    def transform(self, matrix: np.ndarray) -> np.ndarray:
        """Scale a matrix of shape (rows, columns) to float32."""
        low = np.where(self.direction > 0, 0.0, -self.clip).astype(np.float32)
        high = np.where(self.direction < 0, 0.0, self.clip).astype(np.float32)
        z = np.subtract(matrix, self.median, dtype=np.float64)
        z /= self.spread
        np.nan_to_num(z, copy=False, nan=0.0, posinf=self.clip, neginf=-self.clip)
        out = z.astype(np.float32)
        return np.clip(out, low, high, out=out)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form; `from_dict` is the inverse."""
        return {
            "median": self.median.tolist(),
            "spread": self.spread.tolist(),
            "direction": self.direction.tolist(),
            "clip": self.clip,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Scaling":
        """Rebuild from `as_dict`."""
        return cls(
            np.asarray(data["median"], dtype=float),
            np.asarray(data["spread"], dtype=float),
            np.asarray(data["direction"], dtype=int),
            float(data["clip"]),
        )


def _quantiles(matrix: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Per-column quantiles that skip NaN; 0 for a column without any value."""
    out = np.zeros((len(levels), matrix.shape[1]))
    for j in range(matrix.shape[1]):
        column = matrix[:, j]
        known = column[~np.isnan(column)]
        if len(known):
            out[:, j] = np.quantile(known.astype(float), levels)
    return out


@dataclass(frozen=True)
class Forest:
    """A fitted isolation forest.

    Attributes
    ----------
    columns : ndarray of int
        Columns of the matrix the forest looks at; the other features of the model are not its concern.
    scaling : Scaling
        Of those columns.
    text : str
        The trees as LightGBM text; the raw score is minus the mean path length over its expectation.
    reference : Reference
        Distribution of raw scores in training; turns a raw score into the anomaly percentile.
    """

    columns: np.ndarray
    scaling: Scaling
    text: str
    reference: Reference

    @classmethod
    def fit(
        cls,
        matrix: np.ndarray,
        direction: np.ndarray,
        settings: "ForestSettings",
        seed: int,
        columns: np.ndarray | None = None,
    ) -> "Forest":
        """Grow the forest.

        Parameters
        ----------
        matrix : ndarray, shape (rows, columns)
            Features, NaN where unknown. No labels: every row is used.
        direction : ndarray of int, shape (columns,)
            The suspicious direction of each feature (+1, -1, 0), used if ``settings.directional``.
        settings : ForestSettings
        seed : int
        columns : ndarray of int, optional
            Columns to look at; all by default.
        """
        from sklearn.ensemble import IsolationForest

        random = np.random.default_rng(seed)
        if len(matrix) > settings.fit_rows:
            matrix = taken(matrix, np.sort(random.choice(len(matrix), settings.fit_rows, replace=False)))
        columns = np.arange(matrix.shape[1]) if columns is None else columns
        matrix, direction = matrix[:, columns], direction[columns]
        signs = direction if settings.directional else np.zeros_like(direction)
        scaling = Scaling.fit(matrix, signs, settings.clip)
        scaled = scaling.transform(matrix)
        model = IsolationForest(
            n_estimators=settings.trees,
            max_samples=min(settings.sample, len(scaled)),
            random_state=seed,
        ).fit(scaled)
        text = trees.as_text(_isolation_trees(model), scaled.shape[1])
        raw = trees.predict(trees.load(text), scaled)
        return cls(columns, scaling, text, Reference.fit(raw))

    @cached_property
    def booster(self) -> "lightgbm.Booster":
        """The trees, ready to score."""
        return trees.load(self.text)

    def raw(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Minus the normalised mean path length, shape (rows,): near 0 is odd, near -1 ordinary."""
        parts = [trees.predict(self.booster, self._scaled(piece), threads) for piece in pieces(matrix)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def shapley(self, matrix: np.ndarray, threads: int = 1) -> tuple[np.ndarray, float]:
        """Shapley values of `raw`; see `fraud.detectors.trees.shapley`."""
        values, base = trees.shapley(self.booster, self._scaled(matrix), threads)
        out = np.zeros(matrix.shape)
        out[:, self.columns] = values
        return out, base

    def _scaled(self, matrix: np.ndarray) -> np.ndarray:
        return self.scaling.transform(matrix[:, self.columns])


def _average_path(n: np.ndarray) -> np.ndarray:
    """Mean path length of an unsuccessful search among n points (Liu, Ting & Zhou 2008, eq. 1)."""
    n = np.asarray(n, dtype=float)
    large = np.maximum(n, 3)
    value = 2.0 * (np.log(large - 1.0) + np.euler_gamma) - 2.0 * (large - 1.0) / large
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, value))


def _isolation_trees(model: Any) -> list[trees.TreeArrays]:
    """Leaf value = minus (depth + expected remaining depth), over trees and the expected depth."""
    norm = len(model.estimators_) * max(float(_average_path(np.array(model.max_samples_))), 1.0)
    out = []
    for estimator, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        tree = estimator.tree_
        depth = np.zeros(tree.node_count)
        for node in range(tree.node_count):
            if tree.children_left[node] >= 0:
                depth[tree.children_left[node]] = depth[tree.children_right[node]] = depth[node] + 1
        count = tree.n_node_samples.astype(float)
        feature = np.where(tree.feature >= 0, np.asarray(columns)[np.maximum(tree.feature, 0)], 0)
        value = -(depth + _average_path(count)) / norm
        out.append(
            trees.TreeArrays(tree.children_left, tree.children_right, feature, tree.threshold, value, count)
        )
    return out
