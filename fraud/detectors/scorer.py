"""One detector to train, score, explain and keep: isolation forest, boosted trees and their blend.

The blend is additive in log-odds, z = (1 - w) · supervised margin + w · logit(anomaly percentile),
then calibrated; the percentile is against the training months, so a new month is comparable and one
claim can be scored alone. Being additive, it can be explained exactly.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fraud.detectors import supervised, words
from fraud.detectors.calibration import Platt, Reference, logit, share_out, sigmoid
from fraud.detectors.forest import Forest, Scaling
from fraud.detectors.frames import Audited, feature_columns, join_audits, matrix_of
from fraud.detectors.probability import calibrate, held_out_curves, held_out_metrics
from fraud.detectors.rows import Rows
from fraud.detectors.supervised import Supervised
from fraud.errors import NotTrainedError

if TYPE_CHECKING:
    from fraud.settings import Experiment

FORMAT = 2
FILES = ("model.json", "forest.txt", "boosting.txt")
_IMPORTANCE_ROWS = 50_000
# months whose highest-scored rows the Shapley summary is taken over
_LATEST = 3


@dataclass
class Scorer:
    """A fitted detector of one target.

    Attributes
    ----------
    target : str
        claim, patient, doctor, department or institution.
    features : tuple of str
        Columns needed to score, in the matrix's order.
    forest : Forest
    supervised : Supervised or None
        None where labels were too few.
    anomaly_weight : float
        Weight of the label-free percentile in the blend.
    platt, platt_supervised : Platt
        Calibration of the blend, and of the supervised margin alone.
    summary : dict
        What training saw and did, JSON-able; ``fallbacks`` in words.
    threads : int
        Threads used to score; the result does not depend on it.
    window : dict
        Profile of the rows it was trained on, where the pipeline adds one (`fraud.drift.window`).
    decided : DataFrame, optional
        Own features, label and scheme of the claims whose audits it knows, where the pipeline adds them.
    held_out : DataFrame, optional
        After training, not kept: row of the training table, label and out-of-fold score of every audit.
    """

    target: str
    features: tuple[str, ...]
    forest: Forest
    supervised: Supervised | None = None
    anomaly_weight: float = 1.0
    platt: Platt = field(default_factory=Platt)
    platt_supervised: Platt = field(default_factory=Platt)
    summary: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    window: dict[str, Any] = field(default_factory=dict)
    decided: pd.DataFrame | None = None
    held_out: pd.DataFrame | None = None

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame | Rows,
        labels: pd.DataFrame,
        experiment: "Experiment",
        progress: Callable[[str, int, int], None] | None = None,
        directions: Mapping[str, int] | None = None,
        features: Sequence[str] | None = None,
        threads: int = 1,
    ) -> "Scorer":
        """Train on a feature table and the audits known so far.

        Parameters
        ----------
        frame : DataFrame or Rows
            Feature table of the target, rows of the training months; `Rows` keep theirs on disk, and
            their features are chosen already.
        labels : DataFrame
            Columns subject_id, label (0/1), random, scheme, decided_at; may be empty.
        experiment : Experiment
        progress : callable, optional
            ``(stage, done, total)``.
        directions : mapping, optional
            Suspicious direction per feature (+1, -1, 0); the catalog's by default, 0 where absent.
        features : sequence of str, optional
            Columns that are features; by default every numeric column that is no key.
        threads : int
            Threads to score with while training; trees are grown on one, for reproducibility.

        Returns
        -------
        Scorer

        Raises
        ------
        UsageError
            The experiment names features the frame does not have, or none is left.
        NotTrainedError
            The frame has no rows.
        """
        if not len(frame):
            raise NotTrainedError("There is no row to train on: the training months hold no claims.")
        rows = frame
        if not isinstance(rows, Rows):
            rows = Rows.of(frame, feature_columns(frame, experiment.include, experiment.exclude, features))
        chosen, matrix = rows.features, rows.matrix
        if progress:
            progress("isolation forest", 0, 1)
        signs = catalog_directions() if directions is None else directions
        direction = np.array([int(signs.get(f, 0)) for f in chosen])
        columns = _own_columns(chosen, experiment)
        forest = Forest.fit(matrix, direction, experiment.forest, experiment.seed, columns)
        scorer = cls(experiment.target, chosen, forest, threads=threads)
        audited = join_audits(rows.keys, labels, experiment.target)
        scorer.summary = _opening(rows.keys, audited, experiment, chosen)
        too_few = words.too_few(audited, experiment.boosting.min_positives)
        if too_few is not None:
            scorer.summary["fallbacks"].append(too_few)
        else:
            scorer._fit_supervised(rows.keys, matrix, audited, experiment, progress)
        scorer.summary["importance"] = scorer._importance(rows)
        scorer.summary["messages"] = words.messages(scorer.summary)
        return scorer

    def _fit_supervised(
        self,
        frame: pd.DataFrame,
        matrix: np.ndarray,
        audited: Audited,
        experiment: "Experiment",
        progress: Callable[[str, int, int], None] | None,
    ) -> None:
        """Fit, blend and calibrate the supervised half."""
        training = supervised.train(frame, matrix, audited, experiment, progress, self.threads)
        self.supervised = training.model
        margin = self.supervised.margin(frame, self.supervised.first(matrix, self.threads))
        self.anomaly_weight = experiment.anomaly_weight
        anomaly = self.forest.reference.percentile(self.forest.raw(matrix, self.threads))
        everyone = self._blend(margin, anomaly)
        held_out = self._blend(training.held_out, anomaly[audited.row])
        self.platt, notes = calibrate(held_out, audited, everyone)
        score = sigmoid(self.platt.logit(held_out))
        self.held_out = pd.DataFrame({"row": audited.row, "label": audited.label, "score": score})
        self.platt_supervised, _ = calibrate(training.held_out, audited, margin)
        self.summary["fallbacks"] += notes
        if training.stopping == "folds":
            self.summary["fallbacks"].append(words.no_later_slice())
        self.summary |= {
            "supervised": True,
            "rounds": self.supervised.boosting.rounds,
            "stopping": training.stopping,
            "curve": [round(float(v), 6) for v in training.curve],
            "second_stage": None if self.supervised.second is None else self.supervised.second.as_dict(),
            "calibration": {"slope": self.platt.slope, "intercept": self.platt.intercept},
            "curves": held_out_curves(audited, sigmoid(self.platt.logit(held_out))),
            "metrics": held_out_metrics(
                audited,
                {
                    "score": sigmoid(self.platt.logit(held_out)),
                    "supervised": training.held_out,
                    "anomaly": anomaly[audited.row],
                },
            ),
        }

    def score(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Score every row.

        Parameters
        ----------
        frame : DataFrame
            Feature table; for a claim model with a second stage it holds the months before the
            scored one too (``context_months``), because other claims of the same actors count.

        Returns
        -------
        DataFrame
            Index of `frame`; score (calibrated probability, or the anomaly percentile where there is
            no supervised model), p_supervised (NaN where none), anomaly (0–1 percentile), first_stage
            (margin; give it back in a column of that name to `contributions` to save time).

        Raises
        ------
        NotTrainedError
            The columns are not those of training; names the differing ones.
        """
        return self.scored(frame, *self.raw(matrix_of(frame, self.features)))

    def raw(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Raw scores of rows by themselves: all that takes time, and sums of leaf values only.

        Parameters
        ----------
        matrix : ndarray, shape (rows, features)
            See `fraud.detectors.frames.matrix_of`.

        Returns
        -------
        raw : ndarray, shape (rows,)
            The forest's.
        first : ndarray, shape (rows,)
            First-stage margin, NaN where there is no supervised model.
        """
        raw = self.forest.raw(matrix, self.threads)
        if self.supervised is None:
            return raw, np.full(len(matrix), np.nan)
        return raw, self.supervised.first(matrix, self.threads)

    def scored(self, frame: pd.DataFrame, raw: np.ndarray, first: np.ndarray) -> pd.DataFrame:
        """Scores from raw ones, as `score` gives them.

        Parameters
        ----------
        frame : DataFrame
            Its index; with a second stage also the actors and months of the rows.
        raw, first : ndarray, shape (rows,)
            From `raw`.
        """
        anomaly = self.forest.reference.percentile(raw)
        nothing = np.full(len(frame), np.nan)
        out = {"score": anomaly, "p_supervised": nothing, "anomaly": anomaly, "first_stage": nothing}
        if self.supervised is not None:
            margin = self.supervised.margin(frame, first)
            out["score"] = sigmoid(self.platt.logit(self._blend(margin, anomaly)))
            out["p_supervised"] = sigmoid(self.platt_supervised.logit(margin))
            out["first_stage"] = first
        return pd.DataFrame(out, index=frame.index)

    @property
    def needs_context(self) -> bool:
        """Whether scoring a row looks at other rows: only a second stage does."""
        return self.supervised is not None and self.supervised.second is not None

    def _blend(self, margin: np.ndarray, anomaly: np.ndarray) -> np.ndarray:
        weight = self.anomaly_weight
        return (1 - weight) * margin + weight * logit(anomaly)

    def contributions(self, frame: pd.DataFrame, context: pd.DataFrame | None = None) -> pd.DataFrame:
        """Explain the score's log-odds exactly.

        Parameters
        ----------
        frame : DataFrame
            The rows to explain: the listed suspicions, not everything.
        context : DataFrame, optional
            All rows that stood in the frame given to `score` (these rows among them, same index
            labels); needed by a second stage. A column ``first_stage`` saves scoring them again.

        Returns
        -------
        DataFrame
            Index of `frame`, a column per feature and per input of the second stage; attribute
            ``attrs["base"]``: base plus a row's sum is the log-odds of its score.
        """
        return self.explained(frame, context)[0]

    def explained(
        self, frame: pd.DataFrame, context: pd.DataFrame | None = None
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """`contributions`, and the second stage's inputs as probabilities (no columns without one)."""
        matrix = matrix_of(frame, self.features)
        extra = () if self.supervised is None else self.supervised.extra
        columns = [*self.features, *extra]
        values, base = self.forest.shapley(matrix, self.threads)
        rarity, start = share_out(values, base, lambda raw: logit(self.forest.reference.percentile(raw)))
        total = np.zeros((len(frame), len(columns)))
        total[:, : len(self.features)] = rarity * self.anomaly_weight
        offset = start * self.anomaly_weight
        others = np.zeros((len(frame), 0))
        if self.supervised is not None:
            inputs = self._second_inputs(frame, context)
            others = others if inputs is None else sigmoid(inputs[:, 1:])
            values, base = self.supervised.shapley(matrix, inputs, self.threads)
            total += values * (1 - self.anomaly_weight)
            offset += base * (1 - self.anomaly_weight)
        out = pd.DataFrame(total * self.platt.slope, index=frame.index, columns=columns)
        out.attrs["base"] = float(self.platt.logit(np.array(offset)))
        return out, pd.DataFrame(others, index=frame.index, columns=list(extra))

    def _second_inputs(self, frame: pd.DataFrame, context: pd.DataFrame | None) -> np.ndarray | None:
        """Second-stage inputs of `frame`'s rows, computed among the rows of `context`."""
        if self.supervised is None or self.supervised.second is None:
            return None
        whole = frame if context is None else context
        second = self.supervised.second
        if context is not None:
            linked = np.zeros(len(whole), dtype=bool)
            for actor in second.actors:
                linked |= whole[f"{actor}_id"].isin(frame[f"{actor}_id"].unique()).to_numpy()
            whole = whole[linked | whole.index.isin(frame.index)]
        if "first_stage" in whole.columns:
            margin = whole["first_stage"].to_numpy(dtype=float)
        else:
            margin = self.supervised.first(matrix_of(whole, self.features), self.threads)
        return self.supervised.inputs(whole, margin)[whole.index.get_indexer(frame.index)]

    def _importance(self, rows: Rows, highest: int = 200) -> dict[str, float]:
        """Mean absolute contribution over the highest-scored rows of the latest months, largest first."""
        month = rows.keys["month"].to_numpy()
        late = np.flatnonzero(month > month.max() - _LATEST)
        if not self.needs_context:  # a sample tells as much as scoring every row again
            late = late[:: max(1, len(late) // _IMPORTANCE_ROWS)]
        frame = rows.frame(late)
        scored = self.score(frame)
        top = np.argsort(-scored["score"].to_numpy(), kind="stable")[:highest]
        context = frame.assign(first_stage=scored["first_stage"]).reset_index(drop=True)
        share = self.contributions(context.iloc[np.sort(top)], context).abs().mean()
        share = share.sort_values(ascending=False, kind="stable")
        return {str(k): round(float(v), 6) for k, v in share.items()}

    def texts(self) -> dict[str, str]:
        """The model as JSON and tree text, by file name; no pickle."""
        texts = {"forest.txt": self.forest.text}
        if self.supervised is not None:
            texts["boosting.txt"] = self.supervised.boosting.text
        document = {
            "format": FORMAT,
            "target": self.target,
            "features": list(self.features),
            "forest": {
                "columns": self.forest.columns.tolist(),
                "scaling": self.forest.scaling.as_dict(),
                "reference": self.forest.reference.as_dict(),
            },
            "supervised": None if self.supervised is None else self.supervised.as_dict(),
            "anomaly_weight": self.anomaly_weight,
            "platt": [self.platt.slope, self.platt.intercept],
            "platt_supervised": [self.platt_supervised.slope, self.platt_supervised.intercept],
            "summary": self.summary,
        }
        text = json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)
        return {**texts, "model.json": text + "\n"}

    def save(self, folder: Path) -> None:
        """Write `texts` into `folder` (made if absent)."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.texts().items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> "Scorer":
        """Read what `save` wrote.

        Raises
        ------
        NotTrainedError
            The folder holds no model, or one of another format.
        """
        try:
            paths = [folder / name for name in FILES]
            texts = {p.name: p.read_text(encoding="utf-8") for p in paths if p.exists()}
            return cls.from_texts(texts, threads)
        except (KeyError, ValueError) as error:
            raise NotTrainedError(
                f"{folder.name}: no readable model here ({type(error).__name__}). "
                "Train one with `fraud train`."
            ) from None
        except NotTrainedError as error:
            raise NotTrainedError(f"{folder.name}: {error}") from None

    @classmethod
    def from_texts(cls, texts: Mapping[str, str], threads: int = 1) -> "Scorer":
        """Rebuild from `texts`.

        Raises
        ------
        NotTrainedError
            The model is of another format.
        """
        data = json.loads(texts["model.json"])
        if data.get("format") != FORMAT:
            raise NotTrainedError(
                f"model format {data.get('format')}, this version reads {FORMAT}; train again."
            )
        forest = Forest(
            np.asarray(data["forest"]["columns"], dtype=int),
            Scaling.from_dict(data["forest"]["scaling"]),
            texts["forest.txt"],
            Reference.from_dict(data["forest"]["reference"]),
        )
        part = data["supervised"]
        return cls(
            target=data["target"],
            features=tuple(data["features"]),
            forest=forest,
            supervised=None if part is None else Supervised.from_dict(texts["boosting.txt"], part),
            anomaly_weight=float(data["anomaly_weight"]),
            platt=Platt(*data["platt"]),
            platt_supervised=Platt(*data["platt_supervised"]),
            summary=data["summary"],
            threads=threads,
        )


def _own_columns(features: tuple[str, ...], experiment: "Experiment") -> np.ndarray:
    """Columns the forest looks at: the target's own features, or all where it has none."""
    own = [i for i, name in enumerate(features) if name.startswith(f"{experiment.target}_")]
    if not own or not experiment.forest.own_features:
        return np.arange(len(features))
    return np.array(own)


def catalog_directions() -> dict[str, int]:
    """Suspicious direction of each feature of the catalog."""
    from fraud.features.catalog import CATALOG

    return {name: feature.direction for name, feature in CATALOG.items()}


def _opening(
    frame: pd.DataFrame, audited: Audited, experiment: "Experiment", features: tuple[str, ...]
) -> dict[str, Any]:
    """Start the summary: what training was given."""
    notes = []
    if audited.missing:
        notes.append(words.subjects_missing(audited.missing))
    return {
        "target": experiment.target,
        "rows": len(frame),
        "months": [int(frame["month"].min()), int(frame["month"].max())],
        "features": len(features),
        "labels": len(audited.label),
        "positives": audited.positives,
        "negatives": audited.negatives,
        "random_labels": int(audited.random.sum()),
        "random_positives": int(audited.label[audited.random].sum()),
        "labels_without_row": audited.missing,
        "labels_superseded": audited.repeated,
        "supervised": False,
        "fallbacks": notes,
        "metrics": {},
    }
