"""What a run folder holds, written in one place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fraud.drift import Drift, Finding
from fraud.engines import Engine, sql_text
from fraud.pipeline.challenging import Silent
from fraud.pipeline.collusion import first_month, measured_with, skipped_views, write_rings
from fraud.pipeline.drifting import REPORT
from fraud.pipeline.new_schemes import REPORT as NEW_SCHEMES
from fraud.report import ReportContent, write_html, write_xlsx
from fraud.rings import Rings
from fraud.rules.hits import Hits
from fraud.runs import RunFolder, StageClock, history, write_json, write_suspicions_csv, write_table
from fraud.schema import month_number, month_text, relation
from fraud.settings import Settings


@dataclass(frozen=True)
class Results:
    """Everything scored of a month.

    Attributes
    ----------
    month : str
        ``YYYY-MM``.
    claims, subjects, suspicions : pandas.DataFrame
        The run folder's tables.
    frame : pandas.DataFrame
        Claim features of the month (actors and times of the evidence).
    skipped : mapping
        Features and rules that this data cannot decide, and why.
    rings : Rings
        Rings of the months up to this one.
    hits : Hits
        Rule hits of the month.
    rule_names : mapping
        Names of the rules in Chinese and English, by code.
    silent : Silent, optional
        What the challenger made of the month; the list does not use it.
    notes : list of str
        Remarks for the report.
    drifted : list of Finding
        How features and scores differ from the window the model was trained on.
    groups : list of dict
        Groups of odd claims that no label explains, see `fraud.pipeline.new_schemes`.
    """

    month: str
    claims: pd.DataFrame
    subjects: pd.DataFrame
    suspicions: pd.DataFrame
    frame: pd.DataFrame
    skipped: Mapping[str, str]
    rings: Rings
    hits: Hits
    rule_names: Mapping[str, tuple[str, str]]
    silent: Silent | None = None
    notes: list[str] = field(default_factory=list)
    drifted: list[Finding] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Checked:
    """What was found out about the data before they were scored.

    Attributes
    ----------
    quality : QualityReport
    drift : Drift
        Differences from the months before.
    """

    quality: Any
    drift: Drift


def publish(
    folder: RunFolder,
    results: Results,
    checked: Checked,
    facts: Mapping[str, Any],
    engine: Engine,
    clock: StageClock,
    settings: Settings,
) -> None:
    """Write every file of the run folder, the manifest last."""
    with clock.stage("报告 report"):
        totals = _write_outputs(folder, results, checked, facts, engine, settings)
    manifest = {
        **facts,
        "sql": sql_text(engine.statements),
        "skipped": {**skipped_views(results.rings), **results.skipped},
        "totals": totals,
    }
    folder.write_manifest(manifest, measured_with(clock, results.rings, engine))


def _write_outputs(
    folder: RunFolder,
    results: Results,
    checked: Checked,
    facts: Mapping[str, Any],
    engine: Engine,
    settings: Settings,
) -> dict[str, Any]:
    """Every file but the manifest; returns the month's totals."""
    part = folder.part
    write_table(results.claims.sort_values("claim_id"), "claims_scored", part)
    write_table(results.subjects.sort_values(["subject_kind", "subject_id"]), "subjects_scored", part)
    write_table(results.suspicions, "suspicions", part)
    write_table(results.hits.table, "rule_hits", part)
    first = first_month(engine, month_number(results.month), settings)
    write_rings(results.rings, month_text(first), results.month, part)
    write_suspicions_csv(results.suspicions, part)
    checked.quality.write(part)
    write_json(checked.drift.told(), part / REPORT)
    write_json(results.groups, part / NEW_SCHEMES)
    if results.silent is not None:
        results.silent.write(part)
    content = _content(results, checked, facts, engine, folder, settings)
    write_html(content, part / "report.html")
    write_xlsx(content, part / "suspicions.xlsx")
    return content.totals


def _content(
    results: Results,
    checked: Checked,
    facts: Mapping[str, Any],
    engine: Engine,
    folder: RunFolder,
    settings: Settings,
) -> ReportContent:
    claims = _evidence_columns(results, engine)
    model = facts["model"]
    return ReportContent(
        month=results.month,
        suspicions=results.suspicions,
        claims=claims,
        fund_amount=float(claims["fund_amount"].sum()),
        capacity=settings.list.capacity,
        history=history(folder.out, results.month),
        gate=[{"name": c.name, "passed": c.passed, "message": c.message} for c in checked.quality.gate],
        findings=checked.quality.findings,
        drift=checked.drift.told(),
        groups=results.groups,
        challenger=None if results.silent is None else results.silent.told,
        skipped={**skipped_views(results.rings), **results.skipped},
        rings=list(results.rings.rings["ring_id"]),
        hits=results.hits.table,
        rules=results.rule_names,
        facts={
            "模型 model": f"{model['name']} {('v' + model['version']) if model['version'] else '—'}",
            "训练截至 trained until": model["until"],
            "规则库 rule set": facts["rule_set"],
            "引擎 engine": facts["engine"],
            "程序 code": facts["code"]["package"],
        },
        notes=facts["notes"],
    )


def _evidence_columns(results: Results, engine: Engine) -> pd.DataFrame:
    """The month's claims with what a person wants to see beside a score."""
    claims, institutions, departments = (relation(t) for t in ("claims", "institutions", "departments"))
    wanted = claims.filter(claims.month == int(results.frame["month"].iloc[0]))
    wanted = wanted.left_join(institutions, "institution_id").left_join(departments, "department_id")
    facts = engine.to_arrow(
        wanted.select(
            "claim_id",
            "diagnosis_code",
            "fund_amount",
            "started_at",
            "total_amount",
            institution_kind="kind",
            specialty="specialty",
        ),
        "evidence",
    ).to_pandas()
    facts[["fund_amount", "total_amount"]] = facts[["fund_amount", "total_amount"]] / 100
    scored = results.claims[["claim_id", "score", "amount_at_risk"]]
    names = [
        "claim_id",
        "patient_id",
        "doctor_id",
        "department_id",
        "institution_id",
        "visit_type",
        "settled_at",
    ]
    known = results.frame[[n for n in names if n in results.frame]]
    return (
        scored.merge(known, on="claim_id")
        .merge(facts, on="claim_id")
        .sort_values("claim_id", ignore_index=True)
    )
