"""From feature tables and a model to scored claims, scored subjects and the ranked list."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from fraud.detectors.learning import learning_picks
from fraud.features.catalog import CATALOG
from fraud.pipeline.chosen import Model
from fraud.pipeline.month_features import MonthFeatures
from fraud.pipeline.ruling import promoted
from fraud.pipeline.some_claims import SomeClaims, some_claims
from fraud.rings import Rings
from fraud.rules.hits import Hits
from fraud.rules.rule_set import RuleSet
from fraud.schema import ENTITIES, month_text
from fraud.settings import Settings
from fraud.suspicion import claim_rings, places, roll_up, with_picks, with_rules

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
    own : ndarray of float
        The model's scores of claims, before any rule spoke for itself; rows as in `claims`.
    actors : DataFrame
        `claims` with the people and places of each.
    features : MonthFeatures
        Of claims and the other subjects.
    listed : DataFrame
        The list without reasons, see `fraud.suspicion.roll_up`.
    by_rule : dict of str to float
        Rules that list a claim by themselves.
    from_subjects : bool
        Whether suspicions are subjects of the target's kind.
    some : SomeClaims
        The claims that groups and picks are made of.
    picks : DataFrame
        Claims on the list to be learnt from, see `fraud.detectors.learning.learning_picks`.
    """

    claims: pd.DataFrame
    own: np.ndarray
    subjects: pd.DataFrame
    actors: pd.DataFrame
    features: MonthFeatures
    listed: pd.DataFrame
    by_rule: Mapping[str, float]
    from_subjects: bool
    some: SomeClaims
    picks: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"claim_id": []}, dtype=object))

    def listed_claims(self) -> list[str]:
        """Evidence claims of the list."""
        return [str(claim) for ids in self.listed["evidence_claim_ids"] for claim in ids]


def ranked_by(
    model: Model,
    features: MonthFeatures,
    settings: Settings,
    previous: pd.DataFrame | None,
    rings: Rings,
    ruling: Ruling,
) -> Ranked:
    """Score a month with a model and rank it.

    Parameters
    ----------
    model : Model
    features : MonthFeatures
        Of the month, and of the months before it where the model looks at them.
    settings : Settings
        ``list`` and ``rules`` count.
    previous : DataFrame or None
        Last month's list.
    rings : Rings
        Of the months up to this one.
    ruling : Ruling
    """
    month = features.month
    keys = features.keys("claim")
    scored = features.scores("claim", model.scorers["claim"])
    claims = _score_claims(keys, scored, month, ruling.hits)
    by_rule = promoted(ruling.rules, ruling.audited, settings.rules.proven_precision)
    claims = with_rules(claims, ruling.hits.claims, by_rule)
    claims["ring_id"] = claim_rings(claims, rings.claims, list(rings.rings["ring_id"]))
    subjects = pd.concat(
        [
            _score_subjects(k, features.keys(k), features.scores(k, model.scorers[k]), month)
            for k in ENTITIES
            if k in model.scorers
        ]
    )
    target = model.experiment.target
    chosen = subjects[subjects["subject_kind"] == target]
    from_subjects = bool(chosen["p_supervised"].notna().any())
    actors = pd.concat([claims, keys[[n for n in _ACTORS if n in keys]]], axis=1)
    learning = places(settings.list) if target == "claim" else 0
    listed = roll_up(
        actors,
        settings.list.model_copy(update={"capacity": settings.list.capacity - learning}),
        previous,
        ruling.decisions,
        month_text(month),
        subjects=chosen if from_subjects else None,
        target=target,
        impossible=list(by_rule),
        rings=dict(zip(rings.rings["ring_id"], rings.rings["score"], strict=True)),
    )
    some = some_claims(features.now("claim"), claims)
    own = scored["score"].to_numpy(float)
    ranked = Ranked(claims, own, subjects, actors, features, listed, by_rule, from_subjects, some)
    decided = model.scorers["claim"].decided
    return ranked if not learning else _with_learning(ranked, learning, decided, month, previous, ruling)


def _with_learning(
    ranked: Ranked,
    count: int,
    known: pd.DataFrame | None,
    month: int,
    previous: pd.DataFrame | None,
    ruling: Ruling,
) -> Ranked:
    """The same with claims to learn from in the places kept for them."""
    directions = {n: f.direction for n, f in CATALOG.items()}
    before = ruling.decisions[ruling.decisions["decided_at"] < pd.Timestamp(f"{month_text(month)}-01")]
    decided = before.loc[before["subject_kind"] == "claim", "subject_id"]
    some, without = ranked.some, [*ranked.listed_claims(), *decided]
    picks = learning_picks(some.frame, some.scores, count, directions, known, without, some.among)
    listed = with_picks(ranked.listed, picks, ranked.claims, previous, ruling.decisions, month_text(month))
    return replace(ranked, listed=listed, picks=picks)


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


def _score_subjects(kind: str, frame: pd.DataFrame, scored: pd.DataFrame, month: int) -> pd.DataFrame:
    """``subjects_scored`` of one kind."""
    amount = frame["amount_at_risk"].fillna(0).round(2)
    return scored[["score", "p_supervised", "anomaly"]].assign(
        subject_kind=kind,
        subject_id=frame[f"{kind}_id"],
        month=month_text(month),
        amount_at_risk=amount,
        expected_recovery=(scored["score"] * amount).round(2),
    )
