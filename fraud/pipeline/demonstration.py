"""The demo: a synthetic city from nothing to a ranked list."""

from pathlib import Path
from typing import Any

from fraud.pipeline.scoring import Run, score
from fraud.pipeline.training import Trained, train
from fraud.schema import month_number, month_text
from fraud.settings import Experiment, Settings

START = "2025-04"


def demo(
    folder: Path, out: Path, patients: int, months: int, seed: int, settings: Settings, progress: Any = None
) -> tuple[Trained, Run]:
    """Generate a city, train on all but its last month, score the last.

    Parameters
    ----------
    folder, out : Path
        Where the city and the run folders go.
    patients, months, seed : int
        Size of the city and its seed.
    """
    from fraud.synthetic import generate

    generate(folder, patients=patients, months=months, seed=seed, start=START, progress=progress)
    last = month_number(START) + months - 1
    trained = train(
        folder,
        month_text(last - 1),
        Experiment(),
        settings,
        progress,
        promote=True,
        by="fraud demo",
        reason="demo",
    )
    return trained, score(folder, month_text(last), out, settings, progress)
