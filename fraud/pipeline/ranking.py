"""From feature tables and a model to scored claims, scored subjects and the ranked list."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from fraud.detectors.scorer import Scorer
from fraud.features.build import FeatureTables
from fraud.pipeline.chosen import Model
from fraud.pipeline.frames import read_frame
from fraud.pipeline.ruling import promoted
from fraud.rings import Rings
from fraud.rules.hits import Hits
from fraud.rules.rule_set import RuleSet
from fraud.schema import ENTITIES, month_text
from fraud.settings import Settings
from fraud.suspicion import claim_rings, roll_up, with_rules

_ACTORS = (
    "patient_id", "doctor_id", "department_id", "institution_id", "operator_id", "visit_type", "settled_at",
)  # fmt: skip


@dataclass(frozen=True)
class Ruling:
    """Rules, what they hit this month, all decisions, and what these said of earlier hits."""

    rules: RuleSet
    hits: Hits
    decisions: pd.DataFrame
    audited: pd.DataFrame


@dataclass(frozen=True)
class Ranked:
    """A month as one model ranks it.

    Attributes
    ----------
    claims, subjects : DataFrame
        ``claims_scored`` and ``subjects_scored`` of the run folder.
    actors : DataFrame
        `claims` with the people and places of each.
    context : DataFrame
        Claim features of the month and of those before it that scoring looks at.
    frames : dict of str to DataFrame
        Features of the other subjects of the month.
    listed : DataFrame
        The list without reasons, see `fraud.suspicion.roll_up`.
    by_rule : dict of str to float
        Rules that list a claim by themselves.
    from_subjects : bool
        Whether suspicions are subjects of the target's kind.
    """

    claims: pd.DataFrame
    subjects: pd.DataFrame
    actors: pd.DataFrame
    context: pd.DataFrame
    frames: dict[str, pd.DataFrame]
    listed: pd.DataFrame
    by_rule: Mapping[str, float]
    from_subjects: bool


def ranked_by(
    model: Model,
    tables: FeatureTables,
    month: int,
    settings: Settings,
    previous: pd.DataFrame | None,
    rings: Rings,
    ruling: Ruling,
) -> Ranked:
    """Score a month with a model and rank it.

    Parameters
    ----------
    model : Model
    tables : FeatureTables
        Of the month, and of the months before it where the model looks at them.
    month : int
    settings : Settings
        ``list`` and ``rules`` count.
    previous : DataFrame or None
        Last month's list.
    rings : Rings
        Of the months up to this one.
    ruling : Ruling
    """
    reach = range(month - model.experiment.context_months + 1, month + 1)
    context = read_frame(tables.paths["claim"], reach)
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
    actors = pd.concat([claims, context.loc[now, [n for n in _ACTORS if n in context]]], axis=1)
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
    return Ranked(claims, subjects, actors, context, frames, listed, by_rule, from_subjects)


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
