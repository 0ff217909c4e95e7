"""Bagged LightGBM on audited rows, kept as one merged model."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fraud.detectors import trees
from fraud.detectors.bitvectors import Bitvectors
from fraud.detectors.rows import pieces

if TYPE_CHECKING:
    import lightgbm

    from fraud.settings import BoostingSettings

# rounds without improvement before training stops
_PATIENCE = 30
# rows times trees from which making machine code of the trees' sum takes less time than it saves
_WORTH = 20_000_000


@dataclass(frozen=True)
class Boosting:
    """A fitted bag of boosted trees; the margin is the mean log-odds over the bag.

    Attributes
    ----------
    text : str
        All bags' trees as one LightGBM text model.
    rounds : int
        Trees per bag.
    """

    text: str
    rounds: int

    @classmethod
    def fit(
        cls,
        matrix: np.ndarray,
        label: np.ndarray,
        settings: "BoostingSettings",
        rounds: int,
        seed: int,
        weight: np.ndarray | None = None,
        bags: int | None = None,
        threads: int = 1,
    ) -> "Boosting":
        """Train.

        Parameters
        ----------
        matrix : ndarray, shape (rows, columns)
            Audited rows only; NaN where unknown.
        label : ndarray of 0/1, shape (rows,)
            1 = confirmed.
        settings : BoostingSettings
        rounds : int
            Trees per bag, see `best_rounds`.
        seed : int
        weight : ndarray, optional
            Row weights.
        bags : int, optional
            Resampled models instead of ``settings.bags``; 1 trains on all rows.
        threads : int
            Bags trained at the same time, each on one thread: the trees do not depend on it.
        """
        bags = settings.bags if bags is None else bags
        random = np.random.default_rng(seed)
        drawn = [
            np.arange(len(label)) if bags == 1 else _resample(label, settings.resample, random)
            for _ in range(bags)
        ]

        def grown(bag: int) -> str:
            take = drawn[bag]
            chosen = None if weight is None else weight[take]
            booster = _train(matrix[take], label[take], settings, rounds, seed + bag, chosen)
            return str(booster.model_to_string())

        with ThreadPoolExecutor(threads) as pool:
            return cls(trees.mean_of(list(pool.map(grown, range(bags)))), rounds)

    @cached_property
    def booster(self) -> "lightgbm.Booster":
        """The trees, ready to score."""
        return trees.load(self.text)

    @cached_property
    def bitvectors(self) -> Bitvectors | None:
        """The trees, ready to score many rows."""
        return Bitvectors.of(self.text)

    @cached_property
    def _count(self) -> int:
        return len(trees.blocks(self.text))

    def margin(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Mean log-odds, shape (rows,); the same bytes however it is computed."""
        many = matrix.dtype == np.float32 and len(matrix) * self._count >= _WORTH
        if not many or self.bitvectors is None:
            return trees.predict(self.booster, matrix, threads)
        return np.concatenate([self.bitvectors.predict(piece, threads) for piece in pieces(matrix)])

    def shapley(self, matrix: np.ndarray, threads: int = 1) -> tuple[np.ndarray, float]:
        """Shapley values of the margin; see `fraud.detectors.trees.shapley`."""
        return trees.shapley(self.booster, matrix, threads)


def _resample(label: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Row numbers drawn without replacement within each class, sorted."""
    parts = [
        random.choice(rows, max(1, round(share * len(rows))), replace=False)
        for rows in (np.flatnonzero(label > 0), np.flatnonzero(label <= 0))
        if len(rows)
    ]
    return np.sort(np.concatenate(parts))


def regularised(settings: "BoostingSettings", positives: int, enough: int = 500) -> "BoostingSettings":
    """Shrink the model where labels are few: below `enough` fewer leaves, below 100 fewer still.

    Measured: with some 200 positives, 7 leaves at depth 3 beat 15 at depth 5 (average precision 0.44
    against 0.42); with 300 labelled institutions 4 to 7 leaves beat 15.
    """
    if positives >= enough:
        return settings
    few = positives < 100
    return settings.model_copy(
        update={
            "leaves": min(settings.leaves, 4 if few else 7),
            "depth": min(settings.depth, 3),
            "min_leaf": max(5, min(settings.min_leaf, positives // 4)),
            "l2": settings.l2 * (2.0 if few else 1.0),
        }
    )


def _parameters(settings: "BoostingSettings", rows: int, seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "num_leaves": settings.leaves,
        "max_depth": settings.depth,
        "learning_rate": settings.rate,
        "min_data_in_leaf": max(2, min(settings.min_leaf, rows // 10)),
        "feature_fraction": settings.columns,
        "bagging_fraction": settings.rows,
        "bagging_freq": 1,
        "lambda_l2": settings.l2,
        "seed": seed % (2**31 - 1),
        # one thread and row-wise histograms: the same trees on any machine
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _train(
    matrix: np.ndarray,
    label: np.ndarray,
    settings: "BoostingSettings",
    rounds: int,
    seed: int,
    weight: np.ndarray | None,
) -> "lightgbm.Booster":
    import lightgbm

    data = lightgbm.Dataset(matrix, label.astype(float), weight=weight, free_raw_data=True)
    return lightgbm.train(_parameters(settings, len(label), seed), data, num_boost_round=rounds)


def _curve(
    matrix: np.ndarray,
    label: np.ndarray,
    late: np.ndarray,
    settings: "BoostingSettings",
    seed: int,
    weight: np.ndarray | None,
) -> np.ndarray:
    """Log-loss on the held-out rows after each round."""
    import lightgbm

    fit = ~late
    data = lightgbm.Dataset(
        matrix[fit], label[fit].astype(float), weight=None if weight is None else weight[fit]
    )
    held = data.create_valid(
        matrix[late], label[late].astype(float), weight=None if weight is None else weight[late]
    )
    history: dict[str, dict[str, list[float]]] = {}
    parameters = _parameters(settings, int(fit.sum()), seed) | {"metric": "binary_logloss"}
    lightgbm.train(
        parameters,
        data,
        num_boost_round=settings.trees,
        valid_sets=[held],
        valid_names=["held"],
        callbacks=[lightgbm.record_evaluation(history)],
    )
    return np.asarray(history["held"]["binary_logloss"])


def stop_at(curve: np.ndarray, patience: int = _PATIENCE) -> int:
    """Count the rounds early stopping keeps: the best before `patience` rounds pass without a better one.

    >>> stop_at(np.array([0.5, 0.4, 0.45, 0.46, 0.1]), patience=2)
    2
    """
    best = 0
    for i, value in enumerate(curve):
        if value < curve[best]:
            best = i
        if i - best >= patience:
            break
    return best + 1


def best_rounds(
    matrix: np.ndarray,
    label: np.ndarray,
    held: list[np.ndarray],
    settings: "BoostingSettings",
    seed: int,
    weight: np.ndarray | None = None,
) -> tuple[int, np.ndarray]:
    """Early stopping: the number of trees that is best on rows not trained on.

    Parameters
    ----------
    matrix, label, settings, seed, weight
        As in `Boosting.fit`.
    held : list of ndarray of bool
        Held-out rows; one mask (the latest time slice), or one per fold, whose curves are averaged.

    Returns
    -------
    rounds : int
        At least ``settings.fewest_trees``.
    curve : ndarray
        Mean held-out log-loss after each round.
    """
    curves = [_curve(matrix, label, mask, settings, seed, weight) for mask in held]
    curve = np.mean(curves, axis=0)
    return max(min(settings.fewest_trees, settings.trees), stop_at(curve)), curve
