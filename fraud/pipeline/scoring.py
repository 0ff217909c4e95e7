"""Score: dataset and registered model → run folder with a ranked list."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.engines import dataset_tables
from fraud.features.build import FeatureTables, build
from fraud.ingest import check
from fraud.pipeline.allowing import refusal, refused_folder, split_allowed
from fraud.pipeline.challenging import silent, tables_for
from fraud.pipeline.chosen import Model, challenger_of, chosen_model, named
from fraud.pipeline.collusion import (
    STAGE,
    first_month,
    previous_hash,
    previous_members,
    rings_between,
)
from fraud.pipeline.drifting import against_window, drift_of, refuse_stops
from fraud.pipeline.frames import KINDS, decisions, opened, require_month, under
from fraud.pipeline.month_features import MonthFeatures
from fraud.pipeline.new_schemes import new_schemes
from fraud.pipeline.publishing import Checked, Results, publish
from fraud.pipeline.ranking import Ranked, Ruling, ranked_by
from fraud.pipeline.rationale import RuleReasons, rationales
from fraud.pipeline.ring_evidence import with_ring_evidence
from fraud.pipeline.ruling import (
    INDEX,
    audited_hits,
    previous_hits_hash,
    publish_index,
    rule_hits,
    rule_set,
)
from fraud.pipeline.ruling import STAGE as RULES
from fraud.pipeline.training import read_audits
from fraud.pipeline.work import feature_store
from fraud.rings import Rings
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
from fraud.schema import month_number, month_text
from fraud.settings import Settings
from fraud.suspicion import attach_reasons, mark, ring_reasons

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
            chosen = chosen_model(engine, dataset, number, model, settings, progress)
            challenger, why_not = challenger_of(chosen, settings)
        facts = _facts(canonical, out, month, settings, chosen, allow, rules)
        facts["notes"] += why_not
        facts["challenger"] = named(challenger)
        facts["audits"] = "" if audits is None else file_hash(audits)
        facts["fingerprint"] = fingerprint(facts)
        if folder.matches(facts["fingerprint"]):
            return Run(month, folder.final)
        with clock.stage("特征 features"):
            models = [m for m in (chosen, challenger) if m is not None]
            reach = max(m.experiment.context_months for m in models)
            months = list(range(number - reach + 1, number + 1))
            step = under(progress, "特征 features")
            store = feature_store(dataset, settings)
            tables = build(engine, months, KINDS, chosen.experiment.window_months, step, store)
            tables = with_ring_evidence(engine, tables, months, chosen.experiment, settings)
        with clock.stage(STAGE):
            first, members = first_month(engine, number, settings), previous_members(out, month)
            rings = rings_between(engine, first, number, settings, members, progress)
        with clock.stage(RULES):
            index = engine.work / INDEX if settings.rules.history_index else None
            features = MonthFeatures(engine, tables.paths, number, range(number, number + 1))
            rows = features.now("claim")
            hits = rule_hits(engine, [number], rules, rows, under(progress, RULES), index)
        clock.progress("评分与报告 score, report", 0, 2)
        with clock.stage("评分 score"):
            decided = decisions(engine, more)
            ruling = Ruling(rules, hits, decided, audited_hits(out, month, decided))
            seen = _Seen(features, tables, previous_list(out, month), rings, ruling)
            tables_of = lambda m: tables_for(m, chosen, tables, engine, months, settings)  # noqa: E731
            results = _results(seen, chosen, settings, challenger, tables_of)
            facts["notes"] += results.notes
            drift = drift.with_more(results.drifted)
            refuse_stops(drift, dataset.name, allow, out)
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
        "settings": settings.recorded(),
        "experiment": model.experiment.model_dump(),
        "code": code_version(),
        "model": named(model),
        "rule_set": rules.version,
        "previous_hits": previous_hits_hash(out, month),
        "engine": settings.engine.name,
        "allowed": sorted(allow),
        "previous_list": [] if previous is None else sorted(previous["rationale_hash"]),
        "previous_rings": previous_hash(out, month),
        "notes": notes,
    }


@dataclass(frozen=True)
class _Seen:
    """A month before any model: features, last month's list, rings and rule hits."""

    features: MonthFeatures
    tables: FeatureTables
    previous: pd.DataFrame | None
    rings: Rings
    ruling: Ruling

    @property
    def month(self) -> int:
        """Number of the month."""
        return self.features.month

    def ranked(self, model: Model, tables: FeatureTables, settings: Settings) -> Ranked:
        """The month as a model ranks it."""
        first = self.month - model.experiment.context_months + 1
        months = range(first, self.month + 1)
        # others were built over these files: nothing that is open fits them
        features = (
            self.features.reaching(months)
            if tables is self.tables
            else MonthFeatures(self.features.engine, tables.paths, self.month, months)
        )
        return ranked_by(model, features, settings, self.previous, self.rings, self.ruling)


def _results(
    seen: _Seen,
    model: Model,
    settings: Settings,
    challenger: Model | None,
    tables_of: Callable[[Model], FeatureTables],
) -> Results:
    """Scores, rule hits, suspicions and their reasons; what the challenger thinks beside them."""
    ranked = seen.ranked(model, seen.tables, settings)
    listed = _with_reasons(ranked, seen, model, settings)
    some, decided = ranked.some, model.scorers["claim"].decided
    groups = new_schemes(
        some.frame, some.scores, settings, ranked.listed_claims(), decided, some.among, some.size
    )
    drifted = against_window(model, ranked, seen.month, settings)
    month = ranked.features.keys("claim")
    # last of all: a challenger that looks at another window builds its features over the champion's
    beside, notes = (
        (None, [])
        if challenger is None
        else silent(challenger, ranked, lambda m: seen.ranked(m, tables_of(m), settings), settings)
    )
    names = {c: (r.name_zh, r.name_en) for c, r in seen.ruling.rules.rules.items()}
    return Results(
        month_text(seen.month),
        ranked.claims,
        ranked.subjects,
        listed,
        month,
        seen.tables.skipped | seen.ruling.hits.skipped,
        seen.rings,
        seen.ruling.hits,
        names,
        beside,
        notes,
        drifted,
        groups,
    )


def _with_reasons(ranked: Ranked, seen: _Seen, model: Model, settings: Settings) -> pd.DataFrame:
    """The list with its reasons; a claim chosen for learning says so first."""
    reasons = rationales(
        ranked.listed,
        ranked.actors,
        ranked.features,
        model.scorers,
        ranked.from_subjects,
        _ring_reasons(seen.rings, ranked.listed, settings.list.reasons),
        RuleReasons(seen.ruling.rules, seen.ruling.hits.table, ranked.by_rule),
    )
    learnt = {pick["claim_id"]: mark(pick) for pick in ranked.picks.to_dict("records")}
    told = [
        [learnt[subject], *reason] if subject in learnt else reason
        for subject, reason in zip(ranked.listed["subject_id"], reasons, strict=True)
    ]
    return attach_reasons(ranked.listed, told, settings.list.reasons)


def _ring_reasons(rings: Rings, listed: pd.DataFrame, most: int) -> dict[str, list[dict[str, Any]]]:
    """Reasons of the listed rings by their ids."""
    known = rings.rings[rings.rings["ring_id"].isin(listed["subject_id"])]
    return {r: ring_reasons(e, most) for r, e in zip(known["ring_id"], known["evidence"], strict=True)}
