"""Train: dataset and decisions known at the end of a month → registered model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.detectors.rows import Rows, taken
from fraud.detectors.scorer import Scorer
from fraud.drift import window
from fraud.engines import Engine, part_files
from fraud.errors import DataError, UsageError
from fraud.features.build import FeatureTables, build
from fraud.features.catalog import CATALOG
from fraud.pipeline.burdening import burden_of
from fraud.pipeline.frames import KINDS, dataset_name, labels, months_with_claims, opened, under
from fraud.pipeline.ring_evidence import with_ring_evidence
from fraud.pipeline.work import feature_store
from fraud.schema import AUDITS, month_number, month_text
from fraud.settings import Experiment, Settings

Progress = Any
_DECIDED = 5_000
"""Decided claims kept with a model, the latest: what is near to them is not new."""


@dataclass(frozen=True)
class Trained:
    """What a training run made."""

    name: str
    version: str
    run_id: str
    until: str
    champion: bool
    scorers: dict[str, Scorer] = field(repr=False)
    skipped: dict[str, str] = field(default_factory=dict)

    def summary_lines(self) -> list[str]:
        """What a person reads after training."""
        role = "champion" if self.champion else "challenger"
        lines = [f"model {self.name} version {self.version} ({role})"]
        for kind, scorer in self.scorers.items():
            lines += [f"{kind}: {said['zh']} {said['en']}" for said in scorer.summary["fallbacks"]]
        if self.skipped:
            lines.append(
                f"{len(self.skipped)} features skipped for want of columns (listed in the model card)"
            )
        return lines


def train(
    dataset: Path,
    until: str,
    experiment: Experiment,
    settings: Settings,
    progress: Progress = None,
    *,
    promote: bool = False,
    by: str = "",
    reason: str = "",
    audits: Path | None = None,
) -> Trained:
    """Train every scorer of a model on what was known at the end of `until`, and register it.

    Parameters
    ----------
    dataset : Path
        Dataset folder.
    until : str
        Last month, ``YYYY-MM``; later claims and decisions are not looked at.
    experiment : Experiment
        Target, windows, detectors.
    promote : bool
        Whether the new model becomes champion at once, as `by` decided for `reason`; otherwise it is
        challenger. The first model of a name is champion in any case.
    by, reason : str
        For the record of switches; both are needed to promote a model that has a champion before it.
    audits : Path, optional
        Parquet file of decisions beside the dataset's own ``audits``, in the contract's columns.

    Raises
    ------
    DataError
        The dataset is unusable or has no claims up to `until`.
    UsageError
        `promote` without `by` and `reason`.
    """
    from fraud import tracking

    if promote and not (by.strip() and reason.strip()):
        raise UsageError(
            "to promote a model while training, say who decides and why: --by NAME --reason TEXT. "
            "Without --promote it becomes challenger, and `fraud promote` looks at the evidence."
        )

    models = Path(settings.tracking.models)
    with opened(dataset, settings, models) as (engine, _):
        tables, months = build_training(engine, dataset, until, experiment, settings, progress)
        more = None if audits is None else read_audits(audits)
        scorers = fit_scorers(engine, tables, months, experiment, settings, progress, more=more, windows=True)
        name = dataset_name(dataset)
        run_id, version = tracking.log_training(
            scorers,
            name=name,
            until=until,
            experiment=experiment,
            settings=settings,
            skipped=tables.skipped,
            promote=promote,
            by=by,
            reason=reason,
        )
    champion = promote or version == "1"  # the first model of a name always is
    return Trained(name, version, run_id, until, champion, scorers, tables.skipped)


def read_audits(path: Path) -> pd.DataFrame:
    """Decisions of a Parquet file in the contract's columns.

    Raises
    ------
    DataError
        It cannot be read, or a required column is missing.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid):
        raise DataError(f"{path}: not a Parquet file that can be read.") from None
    missing = [c for c in AUDITS.required if c not in table.schema.names]
    if missing:
        raise DataError(f"{path}: required columns are missing: {', '.join(missing)}.")
    own = {c.name: table[c.name].cast(c.arrow) if c.name in table.schema.names
           else pa.nulls(len(table), c.arrow) for c in AUDITS}  # fmt: skip
    frame = pa.table(own).to_pandas()
    return frame.assign(decided_at=frame["decided_at"].astype("datetime64[us]"))


def build_training(
    engine: Engine,
    dataset: Path,
    until: str,
    experiment: Experiment,
    settings: Settings,
    progress: Progress = None,
) -> tuple[FeatureTables, list[int]]:
    """Feature tables of the training months."""
    last = month_number(until) - experiment.maturity_months
    months = [m for m in months_with_claims(engine) if last - experiment.train_months < m <= last]
    if not months:
        raise DataError(
            f"{dataset}: no claims were settled in the {experiment.train_months} months "
            f"up to {month_text(last)}."
        )
    step, store = under(progress, "特征 features"), feature_store(dataset, settings)
    tables = build(engine, months, KINDS, experiment.window_months, step, store)
    return with_ring_evidence(engine, tables, months, experiment, settings), months


def fit_scorers(
    engine: Engine,
    tables: FeatureTables,
    months: list[int],
    experiment: Experiment,
    settings: Settings,
    progress: Progress = None,
    kinds: Sequence[str] = KINDS,
    more: pd.DataFrame | None = None,
    windows: bool = False,
) -> dict[str, Scorer]:
    """One scorer per kind of subject: the experiment's target first, the others beside it.

    With `windows` those of claims and of the target carry a profile of what they were trained on, and
    that of claims what was decided.
    """
    known_until = months[-1] + experiment.maturity_months
    kinds = sorted(kinds, key=lambda kind: (kind != experiment.target, KINDS.index(kind)))
    scorers = {}
    for done, kind in enumerate(kinds):
        if progress:
            progress("训练 train", done, len(kinds))
        matrix = engine.work / f"training_{kind}.matrix"
        files = part_files(tables.paths[kind])
        rows = Rows.read(files, months, matrix, experiment.include, experiment.exclude)
        if not len(rows):
            continue
        known = labels(engine, kind, known_until, more)
        scorers[kind] = Scorer.fit(
            rows,
            known,
            experiment.model_copy(update={"target": kind}),
            directions={n: CATALOG[n].direction for n in tables.columns[kind]},
            threads=settings.engine.threads,
        )
        if windows and kind in ("claim", experiment.target):
            scorers[kind].window = _window(rows, scorers[kind])
        if windows and kind == "claim":
            scorers[kind].decided = _decided(rows, known)
            scorers[kind].summary["burden"] = burden_of(engine, rows, scorers[kind], settings.list.capacity)
        matrix.unlink()
    if progress:
        progress("训练 train", len(kinds), len(kinds))
    return scorers


def _window(rows: Rows, scorer: Scorer) -> dict[str, Any]:
    """Profile of the rows a scorer was trained on, and of its scores where each row scores by itself."""
    scores = None if scorer.needs_context else lambda r: scorer.score(rows.frame(r))["score"].to_numpy()
    return window(rows.keys["month"].to_numpy(), rows.features, lambda r: taken(rows.matrix, r), scores)


def _decided(rows: Rows, known: pd.DataFrame) -> pd.DataFrame:
    """Own features of the latest decided claims, with what was decided."""
    told = known.sort_values(["decided_at", "subject_id"]).tail(_DECIDED)
    place = pd.Series(np.arange(len(rows)), index=rows.keys["claim_id"].to_numpy())
    told = told[told["subject_id"].isin(place.index)]
    frame = rows.frame(place[told["subject_id"]].to_numpy())
    own = ["claim_id", "institution_id", *(f for f in rows.features if f.startswith("claim_"))]
    kept = frame[[c for c in own if c in frame]]
    return kept.assign(label=told["label"].to_numpy("int8"), scheme=told["scheme"].to_numpy(object))
