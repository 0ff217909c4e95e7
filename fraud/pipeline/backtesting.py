"""Back-test: every month scored by a model that knew what was known then, against what was decided later."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from fraud.backtest import told
from fraud.detectors.scorer import Scorer
from fraud.engines import Engine, dataset_tables
from fraud.errors import DataError, UsageError
from fraud.features.build import FeatureTables, build
from fraud.pipeline.chosen import Model, named
from fraud.pipeline.frames import (
    KINDS,
    dataset_name,
    labels,
    months_with_claims,
    opened,
    require_span,
    under,
    who_and_where,
)
from fraud.pipeline.month_features import MonthFeatures
from fraud.pipeline.ring_evidence import with_ring_evidence
from fraud.pipeline.ruling import rule_hits, rule_set
from fraud.pipeline.training import fit_scorers
from fraud.pipeline.work import feature_store
from fraud.report.backtest_page import write_backtest_page
from fraud.rules.rule_set import RuleSet
from fraud.runs import (
    RUN_TABLES,
    RunFolder,
    StageClock,
    code_version,
    fingerprint,
    input_facts,
    write_json,
    write_table,
)
from fraud.schema import month_number, month_text
from fraud.settings import Experiment, Settings

Progress = Any
COLUMNS = tuple(c.name for c in RUN_TABLES["backtest_scores"])
_EVER = 12 * 2200
"""A month after every decision."""


@dataclass(frozen=True)
class Backtest:
    """A published back-test."""

    first: str
    last: str
    folder: Path
    figures: dict[str, Any]

    @property
    def page(self) -> Path:
        """The page a person opens."""
        return self.folder / "backtest.html"


def backtest(
    dataset: Path,
    first: str,
    last: str,
    out: Path,
    experiment: Experiment,
    settings: Settings,
    progress: Progress = None,
    *,
    model: str = "",
) -> Backtest:
    """Train and score month by month on what was known then, and publish the comparison.

    Parameters
    ----------
    dataset : Path
        Dataset folder with audits.
    first, last : str
        Scored months, ``YYYY-MM``, inclusive.
    out : Path
        The back-test goes into ``backtest-NAME-FIRST-LAST`` in it.
    experiment : Experiment
        What is trained; its target's decisions are compared with.
    model : str
        Alias or version of a registered model that scores every month as it is, instead of one trained
        for each month; its own experiment counts. Months up to its last training month are refused.

    Raises
    ------
    UsageError
        `last` is before `first`, or `first` is a month the model was trained on.
    DataError
        A month to score holds no claims, none precedes the first, or nothing was ever decided about
        subjects of the target's kind.
    """
    begin, end = month_number(first), month_number(last)
    if end < begin:
        raise UsageError(f"--to {last} is before --from {first}; write the earlier month first.")
    clock = StageClock(progress)
    frozen = _frozen(dataset, model, first, settings) if model else None
    experiment = experiment if frozen is None else frozen.experiment
    name = f"backtest-{experiment.name}{'' if frozen is None else f'-v{frozen.version}'}-{first}-{last}"
    with opened(dataset, settings, out) as (engine, canonical), RunFolder(out, name) as folder:
        rules = rule_set(settings)
        months = _scored_months(engine, dataset, begin, end)
        decided = labels(engine, experiment.target, _EVER)
        if decided.empty:
            raise DataError(
                f"{dataset.name}: audits: no decision about a {experiment.target} to compare with. "
                "Bring audits, or choose another target in the experiment."
            )
        facts = _facts(canonical, first, last, experiment, settings, rules, frozen)
        facts["fingerprint"] = fingerprint(facts)
        with clock.stage("特征 features"):
            tables = _tables(engine, dataset, months, experiment, settings, progress)
        with clock.stage("逐月 months"):
            judged = _walk(engine, tables, months, experiment, settings, rules, decided, progress, frozen)
        with clock.stage("报告 report"):
            figures = told.figures(judged, settings.list.capacity, _ways(experiment))
            write_table(judged, "backtest_scores", folder.part)
            write_json(told.plain(figures), folder.part / "figures.json")
            about = facts | {"name": dataset_name(dataset), "skipped": tables.skipped}
            write_backtest_page(figures, about, folder.part / "backtest.html")
        folder.write_manifest(facts | {"totals": {"rows": len(judged)}}, clock.measured())
    _track(experiment, settings, dataset, first, last, figures, folder.final)
    return Backtest(first, last, folder.final, figures)


def _frozen(dataset: Path, alias: str, first: str, settings: Settings) -> Model:
    """Registered model that is to score months after its training."""
    from fraud import tracking

    found = Model(**tracking.load_model(dataset_name(dataset), alias, settings))
    if found.until >= first:
        raise UsageError(
            f"--from {first}: {found.name} version {found.version} was trained until {found.until} and knew "
            f"decisions up to then; begin with {month_text(month_number(found.until) + 1)} or later."
        )
    return found


def _ways(experiment: Experiment) -> tuple[str, ...]:
    return ("model", "amount", "rules") if experiment.target == "claim" else ("model", "amount")


def _track(
    experiment: Experiment,
    settings: Settings,
    dataset: Path,
    first: str,
    last: str,
    figures: dict[str, Any],
    folder: Path,
) -> None:
    from fraud import tracking

    title = f"backtest {dataset_name(dataset)} {experiment.name} {first} {last}"
    tracking.log_backtest(title, told.headline(figures), experiment, settings, folder)


def _facts(
    dataset: Path,
    first: str,
    last: str,
    experiment: Experiment,
    settings: Settings,
    rules: RuleSet,
    frozen: Model | None,
) -> dict[str, Any]:
    return {
        "inputs": input_facts(dataset_tables(dataset)),
        "settings": settings.recorded(),
        "experiment": experiment.model_dump(),
        "model": named(frozen),
        "months": [first, last],
        "code": code_version(),
        "rule_set": rules.version,
        "engine": settings.engine.name,
    }


def _scored_months(engine: Engine, dataset: Path, begin: int, end: int) -> list[int]:
    """Months to score; there must be one to train on before the first."""
    require_span(engine, dataset, begin, end)
    present = months_with_claims(engine)
    if not any(m < begin for m in present):
        raise DataError(
            f"{dataset.name}: no claims were settled before {month_text(begin)}, so there is nothing to "
            f"train on. The first month to score is {month_text(present[0] + 1)} or later."
        )
    return [m for m in present if begin <= m <= end]


def _tables(
    engine: Engine,
    dataset: Path,
    months: Sequence[int],
    experiment: Experiment,
    settings: Settings,
    progress: Progress,
) -> FeatureTables:
    """Features of every month trained on or scored, built once: a row knows nothing later than itself."""
    reach = months[0] - max(experiment.maturity_months + experiment.train_months, experiment.context_months)
    every = [m for m in months_with_claims(engine) if reach <= m <= months[-1]]
    step, store = under(progress, "特征 features"), feature_store(dataset, settings)
    tables = build(engine, every, KINDS, experiment.window_months, step, store)
    return with_ring_evidence(engine, tables, every, experiment, settings)


def _walk(
    engine: Engine,
    tables: FeatureTables,
    months: Sequence[int],
    experiment: Experiment,
    settings: Settings,
    rules: RuleSet,
    decided: pd.DataFrame,
    progress: Progress,
    frozen: Model | None = None,
) -> pd.DataFrame:
    """Subjects of every scored month with their score then, and what was ever decided."""
    parts = []
    column = pq.read_table(tables.paths[experiment.target], columns=["month"])["month"]
    known = sorted(column.unique().to_pylist())
    for done, month in enumerate(months):
        if progress:
            progress("逐月 months", done, len(months))
        scorer = (
            _trained(engine, tables, known, month, experiment, settings)
            if frozen is None
            else frozen.scorers[experiment.target]
        )
        scored = _scored(engine, tables, scorer, month, experiment)
        parts.append(_beside(engine, scored, month, experiment, rules))
    if progress:
        progress("逐月 months", len(months), len(months))
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.merge(decided, on="subject_id", how="left")
    begins = pd.to_datetime(rows["month"] + "-01")
    # a subject judged before the month began was known to the model: no test of it
    rows = rows[~(rows["decided_at"] < begins).fillna(False)]
    rows["label"] = rows["label"].astype("float64")
    rows["random"] = rows["random"].fillna(False).astype(bool)
    rows = rows[list(COLUMNS)].sort_values(["month", "subject_id"], ignore_index=True)
    return rows[rows["amount"] > 0].reset_index(drop=True)


def _trained(
    engine: Engine,
    tables: FeatureTables,
    known: Sequence[int],
    month: int,
    experiment: Experiment,
    settings: Settings,
) -> Scorer:
    """Model of the months before one and of the decisions known when it began."""
    kind, last = experiment.target, month - 1 - experiment.maturity_months
    months = [m for m in known if last - experiment.train_months < m <= last]
    if not months:
        raise DataError(f"no {kind} to train on in the months before {month_text(month)}.")
    # labels are those known at the end of the month before, however many months the features lag
    shift = month - 1 - months[-1]
    asked = experiment.model_copy(update={"maturity_months": shift})
    return fit_scorers(engine, tables, months, asked, settings, kinds=(kind,))[kind]


def _scored(
    engine: Engine, tables: FeatureTables, scorer: Scorer, month: int, experiment: Experiment
) -> pd.DataFrame:
    """Scores of a month."""
    kind = experiment.target
    reach = range(month - experiment.context_months + 1, month + 1)
    features = MonthFeatures(engine, tables.paths, month, reach)
    keys, scores = features.keys(kind), features.scores(kind, scorer)
    return scores[["score", "p_supervised", "anomaly"]].assign(
        month=month_text(month),
        subject_id=keys[f"{kind}_id"],
        amount=keys["amount_at_risk"].fillna(0).astype(float).round(2),
    )


def _beside(
    engine: Engine, scored: pd.DataFrame, month: int, experiment: Experiment, rules: RuleSet
) -> pd.DataFrame:
    """Scores with what rules put at issue, and of claims who and where."""
    if experiment.target != "claim":
        nobody = dict.fromkeys(("institution_kind", "department", "region", "age_band", "sex"))
        return scored.assign(rule_amount=0.0, **nobody)
    hits = rule_hits(engine, [month], rules).claims
    at_issue = hits["fund_at_issue"].astype(float) if len(hits) else pd.Series(dtype=float)
    rows = scored.merge(who_and_where(engine, month), on="subject_id", how="left")
    return rows.assign(rule_amount=rows["subject_id"].map(at_issue).fillna(0.0).to_numpy(np.float64))
