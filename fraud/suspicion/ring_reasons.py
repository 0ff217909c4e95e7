"""What the list says about a ring: whose evidence a claim is, and its evidence as reasons."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

Reason = dict[str, Any]
NOTHING = 0.05
"""Share below which an innocent explanation explains nothing."""


def claim_rings(claims: pd.DataFrame, evidence: pd.DataFrame, ranked: Sequence[str]) -> pd.Series:
    """Ring that each claim is evidence of.

    A claim that several rings name belongs to the best of them, so that its money counts once.

    Parameters
    ----------
    claims : DataFrame
        ``claim_id``.
    evidence : DataFrame
        Evidence claims of all rings: ``ring_id``, ``claim_id``.
    ranked : sequence of str
        Ring ids, best first; claims of others are left out.

    Returns
    -------
    Series of str
        ``ring_id`` or an empty text, with the index of `claims`.
    """
    rank = {ring: i for i, ring in enumerate(ranked)}
    known = evidence.assign(rank=evidence["ring_id"].map(rank)).dropna(subset=["rank"])
    first = known.sort_values(["rank", "claim_id"], kind="stable").drop_duplicates("claim_id")
    ring = dict(zip(first["claim_id"], first["ring_id"], strict=True))
    return pd.Series([ring.get(c, "") for c in claims["claim_id"]], index=claims.index, dtype=object)


def ring_reasons(evidence: str, most: int) -> list[Reason]:
    """Reasons of a ring: what its organiser did, what was measured, what innocent explanation was tried.

    Where not everything fits, measures and explanations share the room: an auditor should see that
    the innocent explanations were tried. The page of rings has all of them.

    Parameters
    ----------
    evidence : str
        Evidence of the ring as `fraud.rings` writes it (JSON).
    most : int
        Reasons that the list keeps.
    """
    told = json.loads(evidence)
    head = _reason("ring_summary", str(told["summary_zh"]), str(told["summary_en"]), value=None)
    measures = [_measured(m) for m in told.get("measures", ())]
    tried = _tried(told.get("explanations", ()))
    room = max(most - 1, 0)
    measures = measures[: max(room - len(tried), room - room // 2)]
    return [head, *measures, *tried[: room - len(measures)]][:most]


def _measured(measure: Mapping[str, Any]) -> Reason:
    """One measure; the figures are added where its words do not hold them."""
    value, baseline = measure.get("value"), measure.get("baseline")
    zh, en = str(measure["zh"]), str(measure["en"])
    if value is not None and not any(c.isdigit() for c in zh):
        zh, en = (f"{text}{colon}{measured_text(measure, value)}" for text, colon in ((zh, "："), (en, ": ")))
        if baseline is not None:
            known = measured_text(measure, baseline)
            zh, en = f"{zh}，对照{known}", f"{en}, against {known}"
    return _reason(f"ring_{measure['code']}", f"{zh}。", f"{en}.", value, baseline)


def measured_text(measure: Mapping[str, Any], value: float) -> str:
    """Value of a measure as text: a percentage where its words or its code say share.

    >>> measured_text({"code": "meetings", "zh": "会面次数"}, 212.0)
    '212'
    >>> measured_text({"code": "drug_share", "zh": "药费占比"}, 0.5)
    '50%'
    """
    if str(measure["code"]).endswith("_share") or "%" in str(measure["zh"]):
        return f"{value:.0%}"
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.2g}"


def _tried(explanations: Sequence[Mapping[str, Any]]) -> list[Reason]:
    """Innocent explanations, the one that covers most first; those that cover nothing are one reason."""
    known = sorted(explanations, key=lambda e: (-float(e["share"]), str(e["code"])))
    some = [_explained(e) for e in known if float(e["share"]) >= NOTHING or e.get("explains")]
    none = [e for e in known if float(e["share"]) < NOTHING and not e.get("explains")]
    if none:
        zh, en = ("、".join(_bare(e["zh"]) for e in none), ", ".join(_bare(e["en"]) for e in none))
        told = f"已核查：{zh}，均不能解释。", f"checked: {en}: none explains it."
        some.append(_reason("ring_explanation_others", *told, value=0.0))
    return some


def _bare(text: str) -> str:
    """Name of an explanation without its figure, which some carry after a colon."""
    return text.split("：")[0].split(":")[0]


def _explained(explanation: Mapping[str, Any]) -> Reason:
    share = float(explanation["share"])
    zh, en = ("足以解释", "enough") if explanation.get("explains") else ("不足以解释", "not enough")
    return _reason(
        f"ring_explanation_{explanation['code']}",
        f"已核查：{_bare(explanation['zh'])}，可解释其中{share:.0%}，{zh}。",
        f"checked: {_bare(explanation['en'])}: explains {share:.0%}, {en}.",
        share,
    )


def _reason(code: str, zh: str, en: str, value: float | None, baseline: float | None = None) -> Reason:
    """Make a reason that is not a model's: it adds nothing to the score's log-odds."""
    return {
        "code": code,
        "group": "ring",
        "sentence_zh": zh,
        "sentence_en": en,
        "value": None if value is None else float(value),
        "baseline": None if baseline is None else float(baseline),
        "peer_group": None,
        "peer_n": None,
        "percentile": None,
        "contribution": 0.0,
    }
