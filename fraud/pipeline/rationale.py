"""Why a suspicion is on the list: model reasons of its strongest claims, its story, its rule hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from fraud.detectors.scorer import Scorer
from fraud.explain import Reason, explain
from fraud.features.catalog import CATALOG
from fraud.pipeline.month_features import MonthFeatures
from fraud.rules.records import Rule
from fraud.rules.rule_set import RuleSet

EXPLAINED_CLAIMS = 5
"""Strongest evidence claims whose reasons are merged into a suspicion's."""
_MODEL_REASONS = 5
_STORY_GROUPS = 3
_WHO = {
    "patient": ("该参保人", "This patient"),
    "doctor": ("该医师", "This doctor"),
    "department": ("该科室", "This department"),
    "institution": ("该机构", "This institution"),
}


@dataclass(frozen=True)
class RuleReasons:
    """What rules say of claims.

    Attributes
    ----------
    rules : RuleSet
    hits : DataFrame
        Table of hits (`fraud.rules.hits.COLUMNS`).
    promoted : mapping of str to float
        Rules that list a claim by themselves.
    """

    rules: RuleSet
    hits: pd.DataFrame
    promoted: Mapping[str, float]

    def of(self, claims: Sequence[str]) -> tuple[list[Reason], list[Reason]]:
        """Reasons of some claims: of rules that list by themselves, and of the others."""
        own = self._live.get_indexer_for(list(claims)) if len(self._live) else np.array([], dtype=int)
        rows = self.hits.iloc[self._rows[own[own >= 0]]] if len(own) else self.hits.iloc[:0]
        certain: list[Reason] = []
        broad: list[Reason] = []
        money = rows.groupby("rule")["amount_at_issue"].sum()
        for code in sorted(set(rows["rule"]), key=lambda c: (-money[c], c)):
            reason = _rule_reason(self.rules.rules[code], rows[rows["rule"] == code])
            (certain if code in self.promoted else broad).append(reason)
        return certain, broad

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.flatnonzero(~self.hits["snoozed"].astype(bool).to_numpy())

    @cached_property
    def _live(self) -> pd.Index:
        return pd.Index(self.hits["claim_id"].to_numpy(dtype=object)[self._rows])


def rationales(
    listed: pd.DataFrame,
    claims: pd.DataFrame,
    features: MonthFeatures,
    scorers: Mapping[str, Scorer],
    from_subjects: bool,
    rings: Mapping[str, list[Reason]] | None = None,
    rules: RuleReasons | None = None,
) -> list[list[Reason]]:
    """Reasons of every listed suspicion, strongest first.

    Parameters
    ----------
    listed : pandas.DataFrame
        The list, with ``evidence_claim_ids`` and ``claims``.
    claims : pandas.DataFrame
        Scored claims of the month with their actors and rule hits.
    features : MonthFeatures
        Of claims and the other subjects.
    scorers : mapping
        Scorer by kind.
    from_subjects : bool
        Whether suspicions are subjects scored by their own model, not rolled-up claims.
    rings : mapping, optional
        Reasons of each ring by its id; they take the place of the model's reasons of its claims.
    rules : RuleReasons, optional
        What rules say of the claims.
    """
    if from_subjects:
        model = _of_subjects(listed, features, scorers)
    else:
        model = _of_claims(listed, features, scorers["claim"])
    by_claim = claims.set_index("claim_id")
    kinds = [] if from_subjects else [k for k in _WHO if f"{k}_id" in claims]
    totals = {kind: claims.groupby(f"{kind}_id").size() for kind in kinds}
    told = rings or {}
    return [
        [*told[row["subject_id"]], *_rule_reasons(row, rules)[0]]
        if row["subject_kind"] == "ring" and row["subject_id"] in told
        else _assemble(row, own, by_claim, totals, rules)
        for row, own in zip(listed.to_dict("records"), model, strict=True)
    ]


def _of_subjects(
    listed: pd.DataFrame, features: MonthFeatures, scorers: Mapping[str, Scorer]
) -> list[list[Reason]]:
    found: dict[tuple[str, str], list[Reason]] = {}
    for name, rows in listed.groupby("subject_kind"):
        kind = str(name)
        table = features.now(kind)
        chosen = table.rows(f"{kind}_id", set(rows["subject_id"]))
        reasons = explain(scorers[kind], chosen, table, None, CATALOG)
        ids = chosen[f"{kind}_id"].tolist()
        found |= {(kind, i): r for i, r in zip(ids, reasons, strict=True)}
    keys = zip(listed["subject_kind"], listed["subject_id"], strict=True)
    return [found[k] for k in keys]


def _of_claims(listed: pd.DataFrame, features: MonthFeatures, scorer: Scorer) -> list[list[Reason]]:
    strongest = [list(ids[:EXPLAINED_CLAIMS]) for ids in listed["evidence_claim_ids"]]
    rows = features.now("claim").rows("claim_id", {i for ids in strongest for i in ids})
    reasons = explain(scorer, rows, *features.whole("claim", scorer), CATALOG)
    by_claim = dict(zip(rows["claim_id"].tolist(), reasons, strict=True))
    return [_merge([by_claim[i] for i in ids]) for ids in strongest]


def _merge(reasons: list[list[Reason]]) -> list[Reason]:
    """One list of the reasons of several claims.

    A group's contribution is its mean over the claims; it is told by the claim it moved most.
    """
    groups: dict[str, list[Reason]] = {}
    for own in reasons:
        for reason in own:
            groups.setdefault(reason["group"], []).append(reason)
    merged = []
    for told in groups.values():
        best = max(told, key=lambda r: r["contribution"])
        mean = sum(r["contribution"] for r in told) / len(reasons)
        merged.append({**best, "contribution": round(mean, 6)})
    return sorted(merged, key=lambda r: (-r["contribution"], r["code"]))


def _assemble(
    row: Mapping[str, Any],
    model: list[Reason],
    by_claim: pd.DataFrame,
    totals: Mapping[str, pd.Series],
    rules: RuleReasons | None,
) -> list[Reason]:
    """Impossibilities first, then the story of a roll-up, the model's reasons and other rule hits."""
    certain, broad = _rule_reasons(row, rules)
    story = _story(row, totals, model)
    told = [*certain, *story, *model[:_MODEL_REASONS], *broad]
    return told or [_overall(row, by_claim)]


def _overall(row: Mapping[str, Any], by_claim: pd.DataFrame) -> Reason:
    """For a score that no single group of features raised: nobody gets a suspicion without a reason."""
    below = float((by_claim["score"] < row["score"]).mean())
    reason = _plain_reason(
        "overall",
        f"没有单项特征突出；各项合计的风险高于本月{below:.0%}的结算。",
        f"No single feature stands out; taken together the risk is above {below:.0%} of the month's claims.",
        value=round(float(row["score"]), 6),
        baseline=None,
    )
    return {**reason, "percentile": round(below, 6)}


def _story(row: Mapping[str, Any], totals: Mapping[str, pd.Series], model: list[Reason]) -> list[Reason]:
    kind = row["subject_kind"]
    if kind not in _WHO or kind not in totals or row["claims"] < 2:
        return []
    zh, en = _WHO[kind]
    suspicious, every = int(row["claims"]), int(totals[kind].get(row["subject_id"], row["claims"]))
    money = f"{row['amount_at_risk']:,.2f}"
    about_zh = "、".join(r["group_zh"] for r in model[:_STORY_GROUPS])
    about_en = ", ".join(r["group_en"].lower() for r in model[:_STORY_GROUPS])
    return [
        _plain_reason(
            "story",
            f"{zh}本月{every}笔中{suspicious}笔可疑：{about_zh or '—'}；涉及基金{money}元。",
            f"{en} has {suspicious} suspicious claims of {every} this month: {about_en or '—'}; "
            f"{money} of fund money.",
            value=suspicious,
            baseline=every,
        )
    ]


def _rule_reasons(row: Mapping[str, Any], rules: RuleReasons | None) -> tuple[list[Reason], list[Reason]]:
    return ([], []) if rules is None else rules.of(list(row["evidence_claim_ids"]))


_RESULTS = {"violation": ("明确违规", "violation"), "suspicious": ("可疑", "suspicious")}


def _rule_reason(rule: Rule, hits: pd.DataFrame) -> Reason:
    """One reason of all hits of a rule, told by the dearest."""
    claims, money = hits["claim_id"].nunique(), float(hits["amount_at_issue"].sum())
    dearest = hits.sort_values(
        ["amount_at_issue", "claim_id", "knowledge"], ascending=[False, True, True]
    ).iloc[0]
    zh, en = _RESULTS[rule.result]
    more_zh = "，".join([f"{claims}笔"] * (claims > 1) + [f"涉及{money:,.2f}元"] * (money > 0))
    more_en = ", ".join([f"{claims} claims"] * (claims > 1) + [f"{money:,.2f} at issue"] * (money > 0))
    about_zh, about_en = f"（{more_zh}）" if more_zh else "", f" ({more_en})" if more_en else ""
    return _plain_reason(
        rule.code,
        f"规则命中（{zh}）：{rule.name_zh}{about_zh}。{dearest['sentence_zh']}（{rule.clause}）",
        f"Rule hit ({en}): {rule.name_en}{about_en}. {dearest['sentence_en']}",
        value=claims,
        baseline=None,
    )


def _plain_reason(code: str, zh: str, en: str, value: float, baseline: float | None) -> Reason:
    """Make a reason that is not a model's: it adds nothing to the score's log-odds."""
    return {
        "code": code,
        "group": "rule" if code != "story" else "story",
        "sentence_zh": zh,
        "sentence_en": en,
        "value": float(value),
        "baseline": None if baseline is None else float(baseline),
        "peer_group": None,
        "peer_n": None,
        "percentile": None,
        "contribution": 0.0,
    }
