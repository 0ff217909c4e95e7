"""Score: dataset and registered model → run folder with a ranked list."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.detectors.scorer import Scorer
from fraud.engines import Engine, dataset_tables
from fraud.errors import NotTrainedError
from fraud.features.build import FeatureTables, build
from fraud.ingest import check
from fraud.pipeline.allowing import refusal, refused_folder, split_allowed
from fraud.pipeline.collusion import (
    STAGE,
    first_month,
    previous_hash,
    previous_members,
    rings_between,
)
from fraud.pipeline.drifting import drift_of, refuse_stops
from fraud.pipeline.frames import (
    KINDS,
    audited_before,
    dataset_name,
    decisions,
    opened,
    read_frame,
    require_month,
    under,
)
from fraud.pipeline.publishing import Checked, Results, publish
from fraud.pipeline.rationale import RuleReasons, rationales
from fraud.pipeline.ring_evidence import with_ring_evidence
from fraud.pipeline.ruling import (
    INDEX,
    audited_hits,
    previous_hits_hash,
    promoted,
    publish_index,
    rule_hits,
    rule_set,
)
from fraud.pipeline.ruling import STAGE as RULES
from fraud.pipeline.training import build_training, fit_scorers, read_audits
from fraud.rings import Rings
from fraud.rules.hits import Hits
from fraud.rules.rule_set import RuleSet
from fraud.runs import (
    RunFolder,
    StageClock,
    code_version,
    file_hash,
    fingerprint,
    input_facts,
    previous_list,
)
from fraud.schema import ENTITIES, month_number, month_text
from fraud.settings import Experiment, Settings
from fraud.suspicion import attach_reasons, claim_rings, ring_reasons, roll_up, with_rules

Progress = Any


@dataclass(frozen=True)
class Run:
    """A published run."""

    month: str
    folder: Path

    @property
    def suspicions(self) -> pd.DataFrame:
        """The ranked list, as published."""
        return pd.read_parquet(self.folder / "suspicions.parquet")

    @property
    def listed(self) -> int:
        """Suspicions on the list."""
        return len(self.suspicions)

    def top(self, count: int) -> list[dict[str, Any]]:
        """First `count` suspicions as records."""
        return self.suspicions.head(count).to_dict("records")


@dataclass(frozen=True)
class Model:
    """What scores a month: a scorer per kind of subject, and where it came from."""

    name: str
    version: str
    until: str
    experiment: Experiment
    scorers: Mapping[str, Scorer]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Ruling:
    """Rules, what they hit this month, all decisions, and what these said of earlier hits."""

    rules: RuleSet
    hits: Hits
    decisions: pd.DataFrame
    audited: pd.DataFrame


def score(
    dataset: Path,
    month: str,
    out: Path,
    settings: Settings,
    progress: Progress = None,
    *,
    model: str = "champion",
    allow: tuple[str, ...] = (),
    audits: Path | None = None,
) -> Run:
    """Score one month and publish its run folder, or publish nothing.

    Parameters
    ----------
    dataset : Path
        Dataset folder.
    month : str
        ``YYYY-MM``; claims settled later are not looked at.
    out : Path
        Folder that holds the run folders.
    model : str
        Alias or version of the registered model.
    allow : tuple of str
        Checks of the quality gate, and differences from earlier months, that may fail.
    audits : Path, optional
        Parquet file of decisions beside the dataset's own ``audits``, in the contract's columns: what was
        cleared before shows as such, and rules are judged by them.

    Raises
    ------
    DataError
        The gate failed, or the month holds no claims.
    NotTrainedError
        No such model, or its features do not fit the data.
    """
    number = month_number(month)
    rules = rule_set(settings)
    more = None if audits is None else read_audits(audits)
    clock = StageClock(progress)
    with opened(dataset, settings, out) as (engine, canonical), RunFolder(out, month) as folder:
        require_month(engine, dataset, number)
        with clock.stage("质量 quality"):
            quality = _gate(canonical, engine.work, out, month, settings, allow, progress)
        with clock.stage("漂移 drift"):
            drift = drift_of(engine, number, settings)
            refuse_stops(drift, dataset.name, allow, out)
        with clock.stage("模型 model"):
            chosen = _model(engine, dataset, number, model, settings, progress)
        facts = _facts(canonical, out, month, settings, chosen, allow, rules)
        facts["audits"] = "" if audits is None else file_hash(audits)
        facts["fingerprint"] = fingerprint(facts)
        if folder.matches(facts["fingerprint"]):
            return Run(month, folder.final)
        with clock.stage("特征 features"):
            first = number - chosen.experiment.context_months + 1
            months = list(range(first, number + 1))
            step = under(progress, "特征 features")
            tables = build(engine, months, KINDS, chosen.experiment.window_months, step)
            tables = with_ring_evidence(engine, tables, months, chosen.experiment, settings)
        with clock.stage(STAGE):
            first, members = first_month(engine, number, settings), previous_members(out, month)
            rings = rings_between(engine, first, number, settings, members, progress)
        with clock.stage(RULES):
            index = engine.work / INDEX if settings.rules.history_index else None
            frame = read_frame(tables.paths["claim"], [number])
            hits = rule_hits(engine, [number], rules, frame, under(progress, RULES), index)
        clock.progress("评分与报告 score, report", 0, 2)
        with clock.stage("评分 score"):
            decided = decisions(engine, more)
            ruling = _Ruling(rules, hits, decided, audited_hits(out, month, decided))
            results = _results(tables, number, chosen, settings, previous_list(out, month), rings, ruling)
        clock.progress("评分与报告 score, report", 1, 2)
        publish(folder, results, Checked(quality, drift), facts, engine, clock, settings)
        if index is not None:
            publish_index(index, out / INDEX)
        clock.progress("评分与报告 score, report", 2, 2)
    if chosen.version:
        from fraud import tracking

        tracking.log_scoring(folder.final, chosen.name, chosen.version, settings)
    return Run(month, folder.final)


def _gate(
    dataset: Path,
    work: Path,
    out: Path,
    month: str,
    settings: Settings,
    allow: tuple[str, ...],
    progress: Progress,
) -> Any:
    """Quality report of the dataset; raises where a check fails that was not allowed by name."""
    quality = check(dataset, settings, progress, month=month_number(month), beside=work)
    failed = [c for c in quality.gate if not c.passed]
    accepted = split_allowed(allow, {c.name for c in quality.gate})
    refused = [c for c in failed if c.name not in accepted]
    if refused:
        folder = refused_folder(out, month)
        quality.write(folder)
        problems = [f"{dataset.name}: {c.name}: {c.message}." for c in refused]
        raise refusal(problems, folder / "quality.html", [c.name for c in refused])
    return quality


def _model(
    engine: Engine, dataset: Path, month: int, alias: str, settings: Settings, progress: Progress
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
    return Model(name, "", month_text(month), experiment, scorers, [note])


def _facts(
    dataset: Path,
    out: Path,
    month: str,
    settings: Settings,
    model: Model,
    allow: tuple[str, ...],
    rules: RuleSet,
) -> dict[str, Any]:
    """Everything a run depends on; its hash decides whether a month was already done."""
    previous = previous_list(out, month)
    notes = list(model.notes)
    if model.version and model.until >= month:
        notes.append(
            f"the model knew decisions up to {model.until}: scores of subjects audited by then are in-sample"
        )
    return {
        "inputs": input_facts(dataset_tables(dataset)),
        "settings": settings.model_dump(exclude={"engine": {"threads", "spill"}, "tracking": True}),
        "experiment": model.experiment.model_dump(),
        "code": code_version(),
        "model": {"name": model.name, "version": model.version, "until": model.until},
        "rule_set": rules.version,
        "previous_hits": previous_hits_hash(out, month),
        "engine": settings.engine.name,
        "allowed": sorted(allow),
        "previous_list": [] if previous is None else sorted(previous["rationale_hash"]),
        "previous_rings": previous_hash(out, month),
        "notes": notes,
    }


def _results(
    tables: FeatureTables,
    month: int,
    model: Model,
    settings: Settings,
    previous: pd.DataFrame | None,
    rings: Rings,
    ruling: "_Ruling",
) -> Results:
    """Scores, rule hits, suspicions and their reasons."""
    context = read_frame(tables.paths["claim"])
    now = context["month"] == month
    scorer = model.scorers["claim"]
    scored = scorer.score(context if scorer.needs_context else context[now])
    context = context.assign(first_stage=scored["first_stage"])
    claims = _score_claims(context[now], scored.loc[context.index[now]], month, ruling.hits)
    by_rule = promoted(ruling.rules, ruling.audited, settings.rules.proven_precision)
    claims = with_rules(claims, ruling.hits.claims, by_rule)
    claims["ring_id"] = claim_rings(claims, rings.claims, list(rings.rings["ring_id"]))
    frames = {k: read_frame(tables.paths[k], [month]) for k in ENTITIES if k in model.scorers}
    subjects = pd.concat([_score_subjects(k, f, model.scorers[k], month) for k, f in frames.items()])
    target = model.experiment.target
    chosen = subjects[subjects["subject_kind"] == target]
    from_subjects = bool(chosen["p_supervised"].notna().any())
    actors = _with_actors(claims, context[now])
    listed = roll_up(
        actors,
        settings.list,
        previous,
        ruling.decisions,
        month_text(month),
        subjects=chosen if from_subjects else None,
        target=target,
        impossible=list(by_rule),
        rings=dict(zip(rings.rings["ring_id"], rings.rings["score"], strict=True)),
    )
    told = _ring_reasons(rings, listed, settings.list.reasons)
    told_by_rules = RuleReasons(ruling.rules, ruling.hits.table, by_rule)
    reasons = rationales(
        listed, actors, context, frames, model.scorers, month, from_subjects, told, told_by_rules
    )
    listed = attach_reasons(listed, reasons, settings.list.reasons)
    skipped = tables.skipped | ruling.hits.skipped
    names = {c: (r.name_zh, r.name_en) for c, r in ruling.rules.rules.items()}
    return Results(
        month_text(month), claims, subjects, listed, context[now], skipped, rings, ruling.hits, names
    )


def _ring_reasons(rings: Rings, listed: pd.DataFrame, most: int) -> dict[str, list[dict[str, Any]]]:
    """Reasons of the listed rings by their ids."""
    known = rings.rings[rings.rings["ring_id"].isin(listed["subject_id"])]
    return {r: ring_reasons(e, most) for r, e in zip(known["ring_id"], known["evidence"], strict=True)}


def _score_claims(frame: pd.DataFrame, scored: pd.DataFrame, month: int, hits: Hits) -> pd.DataFrame:
    """``claims_scored`` of the run folder."""
    amount = frame["amount_at_risk"].fillna(0).round(2)
    codes = hits.claims["rule_hits"].to_dict()
    return scored[["score", "p_supervised", "anomaly"]].assign(
        claim_id=frame["claim_id"],
        month=month_text(month),
        rule_hits=pd.Series([codes.get(c, ()) for c in frame["claim_id"]], index=frame.index, dtype=object),
        ring_id="",
        amount_at_risk=amount,
        expected_recovery=(scored["score"] * amount).round(2),
    )


def _score_subjects(kind: str, frame: pd.DataFrame, scorer: Scorer, month: int) -> pd.DataFrame:
    """``subjects_scored`` of one kind."""
    scored = scorer.score(frame)
    amount = frame["amount_at_risk"].fillna(0).round(2)
    return scored[["score", "p_supervised", "anomaly"]].assign(
        subject_kind=kind,
        subject_id=frame[f"{kind}_id"],
        month=month_text(month),
        amount_at_risk=amount,
        expected_recovery=(scored["score"] * amount).round(2),
    )


def _with_actors(claims: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    names = [
        "patient_id",
        "doctor_id",
        "department_id",
        "institution_id",
        "operator_id",
        "visit_type",
        "settled_at",
    ]
    actors = frame[[n for n in names if n in frame]]
    return pd.concat([claims, actors], axis=1)
