"""The models of a month: the one whose scores make the list, and the challenger that scores silently."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fraud.detectors.scorer import Scorer
from fraud.engines import Engine
from fraud.errors import FraudError, NotTrainedError
from fraud.pipeline.frames import audited_before, dataset_name
from fraud.pipeline.training import build_training, fit_scorers
from fraud.schema import month_text
from fraud.settings import Experiment, Settings


@dataclass(frozen=True)
class Model:
    """What scores a month: a scorer per kind of subject, and where it came from.

    Attributes
    ----------
    name, version, until : str
        Registered model (no version where it was fitted just now), last training month.
    experiment : Experiment
    scorers : mapping of str to Scorer
        Kind of subject → its scorer.
    notes : list of str
        Remarks for the report.
    """

    name: str
    version: str
    until: str
    experiment: Experiment
    scorers: Mapping[str, Scorer]
    notes: list[str] = field(default_factory=list)


def named(model: Model | None) -> dict[str, str]:
    """Name, version and last training month, for manifests; nothing of no model."""
    if model is None:
        return {}
    return {"name": model.name, "version": model.version, "until": model.until}


def chosen_model(
    engine: Engine, dataset: Path, month: int, alias: str, settings: Settings, progress: Any = None
) -> Model:
    """Load the registered model; without any labels and any model, fit a label-free one."""
    from fraud import tracking

    name = dataset_name(dataset)
    try:
        return Model(**tracking.load_model(name, alias, settings))
    except NotTrainedError:
        if alias != "champion" or tracking.registered(name, settings) or audited_before(engine, month):
            raise
    experiment = Experiment()
    tables, months = build_training(engine, dataset, month_text(month), experiment, settings, progress)
    scorers = fit_scorers(engine, tables, months, experiment, settings, progress)
    note = "no model and no audits: label-free scorers were fitted on this dataset"
    return Model(name, "", month_text(month), experiment, scorers, notes=[note])


def challenger_of(champion: Model, settings: Settings) -> tuple[Model | None, list[str]]:
    """The registered challenger beside a champion, and why there is none that could score.

    A challenger that cannot be loaded never stops the champion: it is a note.
    """
    from fraud import tracking

    known = tracking.aliases(champion.name, settings) if champion.version else {}
    version = known.get("challenger")
    if version in (None, champion.version) or known.get("champion") != champion.version:
        return None, []
    try:
        return Model(**tracking.load_model(champion.name, str(version), settings)), []
    except FraudError as error:
        return None, [f"challenger v{version} did not score: {error.problems[0]}"]
