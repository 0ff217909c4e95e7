"""The supervised half of a scorer: learners, early stopping, out-of-fold margins, second stage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fraud.detectors import folds, second_stage, self_training
from fraud.detectors.boosting import Boosting, best_rounds, regularised
from fraud.detectors.calibration import sigmoid
from fraud.detectors.frames import Audited
from fraud.detectors.rows import taken
from fraud.detectors.second_stage import SecondStage

if TYPE_CHECKING:
    from fraud.settings import Experiment

# share of audited rows, and rows of each class, in the later slice that stops training
_SLICE, _FEWEST = 0.2, 10
# confirmed labels from which trees may be large; unaudited claims steady a claim model sooner
_ENOUGH, _ENOUGH_CLAIMS = 500, 250


@dataclass(frozen=True)
class Supervised:
    """Boosted trees and, for claims, the second stage on top of them.

    Attributes
    ----------
    boosting : Boosting
    second : SecondStage or None
    """

    boosting: Boosting
    second: SecondStage | None

    def first(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """First-stage margin, shape (rows,)."""
        return self.boosting.margin(matrix, threads)

    def inputs(self, frame: pd.DataFrame, margin: np.ndarray) -> np.ndarray:
        """Compute the second stage's inputs for every row of a frame that holds its own context."""
        assert self.second is not None
        others = second_stage.other_rows(
            frame, sigmoid(margin), self.second.actors, self.second.months, self.second.average
        )
        return np.column_stack([margin, others])

    def margin(self, frame: pd.DataFrame, first: np.ndarray) -> np.ndarray:
        """Log-odds of the whole, shape (rows,), from the first-stage margin."""
        return first if self.second is None else self.second.margin(self.inputs(frame, first))

    @property
    def extra(self) -> tuple[str, ...]:
        """Names of the second stage's inputs about other rows."""
        return () if self.second is None else second_stage.names(self.second.actors)

    def shapley(
        self, matrix: np.ndarray, inputs: np.ndarray | None, threads: int = 1
    ) -> tuple[np.ndarray, float]:
        """Contributions to `margin`, shape (rows, features + extra), and their base."""
        values, base = self.boosting.shapley(matrix, threads)
        if self.second is None:
            return values, base
        assert inputs is not None
        terms = self.second.terms(inputs)
        slope = self.second.weights[0] / self.second.scale[0]
        start = self.second.intercept + (base - self.second.center[0]) * slope
        return np.column_stack([values * slope, terms[:, 1:]]), float(start)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form of all but the trees; `from_dict` is the inverse."""
        return {
            "rounds": self.boosting.rounds,
            "second_stage": None if self.second is None else self.second.as_dict(),
        }

    @classmethod
    def from_dict(cls, text: str, data: Mapping[str, Any]) -> "Supervised":
        """Rebuild from the trees' text and `as_dict`."""
        second = data["second_stage"]
        return cls(
            Boosting(text, int(data["rounds"])), None if second is None else SecondStage.from_dict(second)
        )


@dataclass(frozen=True)
class Training:
    """A fitted `Supervised` and what fitting it showed.

    Attributes
    ----------
    model : Supervised
    held_out : ndarray, shape (audited rows,)
        Out-of-fold margin of the whole model.
    stopping : str
        "time" (latest slice) or "folds".
    curve : ndarray
        Held-out log-loss by round.
    """

    model: Supervised
    held_out: np.ndarray
    stopping: str
    curve: np.ndarray


def train(
    frame: pd.DataFrame,
    matrix: np.ndarray,
    audited: Audited,
    experiment: "Experiment",
    progress: Callable[[str, int, int], None] | None = None,
    threads: int = 1,
) -> Training:
    """Fit on audited rows, weakly on unaudited ones, and the second stage where it is asked for.

    Parameters
    ----------
    frame : DataFrame
        Feature table of the training window; for claims its unaudited rows weigh in as
        `fraud.detectors.self_training` says, otherwise they are context only.
    matrix : ndarray, shape (rows, features)
    audited : Audited
    experiment : Experiment
    """
    enough = _ENOUGH_CLAIMS if experiment.target == "claim" else _ENOUGH
    settings = regularised(experiment.boosting, audited.positives, enough)
    rows, label = audited.row, audited.label
    x = taken(matrix, rows)
    fold = folds.grouped(_groups(frame, audited, experiment), label, experiment.folds)
    late = folds.latest(frame["month"].to_numpy()[rows], label, _SLICE, _FEWEST)
    held = [late] if late is not None else [fold == k for k in range(experiment.folds)]
    held = [mask for mask in held if 0 < label[~mask].sum() < (~mask).sum() and mask.any()]
    rounds, curve = best_rounds(x, label, held, settings, experiment.seed)
    staged = experiment.second_stage and experiment.target == "claim"
    pool = _pool(len(matrix), rows, experiment)
    first, everywhere = _out_of_fold(
        matrix, audited, pool, fold, settings, rounds, experiment, progress, threads, keep=staged
    )
    weak = experiment.self_training
    boosting = self_training.fit(
        matrix, rows, label, pool, settings, weak, rounds, experiment.seed, threads=threads
    )
    second, margin = None, first
    if staged:
        second, margin = _second(frame, audited, fold, first, everywhere, experiment)
    return Training(Supervised(boosting, second), margin, "time" if late is not None else "folds", curve)


def _pool(count: int, audited: np.ndarray, experiment: "Experiment") -> np.ndarray:
    """Unaudited rows that training may use: those of claims, of which few are audited."""
    if experiment.target != "claim":
        return np.zeros(0, dtype=np.int64)
    return np.setdiff1d(np.arange(count), audited)


def _groups(frame: pd.DataFrame, audited: Audited, experiment: "Experiment") -> np.ndarray:
    """Rows that must not be on both sides of a fold: those of one actor, or of one subject."""
    actor = experiment.fold_group if experiment.target == "claim" else experiment.target
    column = f"{actor}_id"
    own = np.array([f"\x00{i}" for i in audited.row])
    if column not in frame.columns:
        return own
    ids = frame[column].iloc[audited.row].fillna("").astype(str).to_numpy(dtype=object)
    return np.where(ids == "", own, ids).astype(str)


def _out_of_fold(
    matrix: np.ndarray,
    audited: Audited,
    pool: np.ndarray,
    fold: np.ndarray,
    settings: Any,
    rounds: int,
    experiment: "Experiment",
    progress: Callable[[str, int, int], None] | None,
    threads: int,
    keep: bool,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """First-stage margins of audited rows under models that did not see their group."""
    # without the second, self-trained model: it would double the cost of figures that only calibrate
    weak = experiment.self_training.model_copy(update={"share": 0.0})
    margin = np.zeros(len(fold))
    everywhere = []
    for k in range(experiment.folds):
        held = fold == k
        if progress:
            progress("out-of-fold models", k, experiment.folds)
        model = self_training.fit(
            matrix,
            audited.row[~held],
            audited.label[~held],
            pool,
            settings,
            weak,
            rounds,
            experiment.seed + 1000 * (k + 1),
            bags=1,  # one model a fold scores every row; a bag would cost as many times more
            threads=threads,
        )
        margin[held] = model.margin(taken(matrix, audited.row[held]), threads)
        if keep:
            everywhere.append(model.margin(matrix, threads))
    return margin, everywhere


def _second(
    frame: pd.DataFrame,
    audited: Audited,
    fold: np.ndarray,
    first: np.ndarray,
    everywhere: list[np.ndarray],
    experiment: "Experiment",
) -> tuple[SecondStage, np.ndarray]:
    """Fit the second stage and its own out-of-fold margins on the same folds."""
    actors = second_stage.actors_in(frame)
    average = float(np.mean([sigmoid(m).mean() for m in everywhere]))
    inputs: list[np.ndarray] = []
    for margins in everywhere:
        own = margins.copy()
        own[audited.row] = first  # audited rows never stand with a score that saw their label
        others = second_stage.other_rows(frame, sigmoid(own), actors, experiment.context_months, average)
        inputs.append(np.column_stack([margins, others]))
    x = np.array([inputs[k][r] for k, r in zip(fold, audited.row, strict=True)])
    x[:, 0] = first

    def fit(rows: np.ndarray) -> SecondStage:
        return SecondStage.fit(x[rows], audited.label[rows], actors, experiment.context_months, average)

    margin = np.zeros(len(fold))
    for k in range(experiment.folds):
        held = fold == k
        if not held.any():
            continue
        model = fit(np.flatnonzero(~held))
        margin[held] = model.margin(x[held])
    return fit(np.arange(len(fold))), margin
