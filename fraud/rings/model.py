"""The models that rank: two of ties, two of rings, and what innocent crowds scored.

They were fitted on synthetic cities by ``experiments/rings/train.py`` and are part of the package as
text (no pickle): LightGBM's own format, compressed, and one JSON file.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fraud.errors import UsageError

PACKAGED = Path(__file__).parent / "models"
NAMES = ("tie", "company", "quality", "truth")


@dataclass(frozen=True)
class RingModels:
    """Boosters by name, their columns, and the reference of innocent crowds.

    Attributes
    ----------
    boosters : mapping of str to lightgbm.Booster
        ``tie`` and ``company`` give the probability that a tie belongs to a ring, without and with its
        company; ``quality`` the Jaccard index with a ring that a candidate may expect; ``truth`` the
        probability that most of its members belong to rings.
    columns : mapping of str to list of str
        What each looks at.
    innocent : ndarray of float
        Scores of innocent crowds in reference cities, ascending.
    people : int
        People of the reference cities.
    usual : mapping of str to tuple of float
        Median and deviation of each measure over innocent candidates.
    """

    boosters: Mapping[str, Any]
    columns: Mapping[str, list[str]]
    innocent: np.ndarray
    people: int
    usual: Mapping[str, tuple[float, float]]

    def predict(self, name: str, frame: pd.DataFrame) -> np.ndarray:
        """Predictions of one booster; columns a dataset lacks are unknown to it."""
        if frame.empty:
            return np.zeros(0)
        rows = frame.reindex(columns=self.columns[name]).to_numpy(float)
        return np.asarray(self.boosters[name].predict(rows, num_threads=0))

    def save(self, folder: Path) -> None:
        """Write the models to `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            text = self.boosters[name].model_to_string()
            # The parameters at the end say how it was fitted, threads included; not what it predicts.
            text = text.split("\nparameters:")[0] + "\n"
            (folder / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        facts = {
            "columns": {k: list(v) for k, v in self.columns.items()},
            "innocent": [round(float(v), 6) for v in self.innocent],
            "people": self.people,
            "usual": {k: [round(float(x), 6) for x in v] for k, v in sorted(self.usual.items())},
        }
        (folder / "reference.json").write_text(json.dumps(facts, indent=0) + "\n", encoding="utf-8")


def load_models(folder: Path | str = "") -> RingModels:
    """Read models; those of the package where no folder is given.

    Raises
    ------
    UsageError
        A file is absent.
    """
    import lightgbm

    folder = Path(folder) if folder else PACKAGED
    missing = [n for n in (*(f"{n}.txt.gz" for n in NAMES), "reference.json") if not (folder / n).exists()]
    if missing:
        raise UsageError(
            f"{folder}: ring models are missing: {', '.join(missing)}. Leave [rings] models empty."
        )
    facts = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
    boosters = {
        n: lightgbm.Booster(model_str=gzip.decompress((folder / f"{n}.txt.gz").read_bytes()).decode())
        for n in NAMES
    }
    usual = {k: (v[0], v[1]) for k, v in facts["usual"].items()}
    return RingModels(
        boosters, facts["columns"], np.array(facts["innocent"], dtype=float), facts["people"], usual
    )


def q_values(scores: np.ndarray, models: RingModels, people: int) -> tuple[np.ndarray, np.ndarray]:
    """P and q values of rings by what innocent crowds reach in cities without those rings.

    A city of N people is expected to hold ``N (1 + innocents at or above s) / N_reference`` innocent
    crowds that score s or more; the false-discovery rate at s is that number by the rings that do. It
    does not assume how frequent fraud is: in a city without any, the first alarm has a q near 1.

    Parameters
    ----------
    scores : ndarray of float
        Scores of the rings, no two of which share many members.
    models : RingModels
    people : int
        People with claims.

    Returns
    -------
    p_value : ndarray of float
        Chance that a city of this size holds an innocent crowd with such a score.
    q_value : ndarray of float
        False-discovery rate of a list that ends at the ring (monotone, at most 1).
    """
    above = len(models.innocent) - np.searchsorted(models.innocent, scores, side="left")
    expected = (above + 1.0) * people / models.people
    order = np.argsort(-scores, kind="stable")
    rank = np.empty(len(scores))
    rank[order] = np.arange(1, len(scores) + 1)
    q = np.minimum(expected / np.maximum(rank, 1), 1.0)
    q[order] = np.minimum.accumulate(q[order][::-1])[::-1]
    return -np.expm1(-expected), q


def standardised(name: str, value: float, models: RingModels) -> float:
    """Deviation of a measure from innocent candidates, in their deviations."""
    middle, spread = models.usual.get(name, (0.0, 1.0))
    return float((value - middle) / max(spread, 1e-6))


def robust(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Median and robust deviation of columns."""
    out = {}
    for name in columns:
        values = frame[name].to_numpy(float)
        values = values[np.isfinite(values)]
        middle = float(np.median(values)) if len(values) else 0.0
        low, high = np.percentile(values, [10, 90]) if len(values) else (0.0, 1.0)
        out[name] = (middle, max(float(high - low) / 2.56, 1e-3))
    return out
