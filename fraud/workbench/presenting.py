"""What the pages show of what was frozen: widths of bars, columns of evidence."""

from collections.abc import Iterable, Mapping
from typing import Any

from fraud.report.content import INSTITUTION_WORDS, VISIT_WORDS, reason_bars
from fraud.workbench.books import Word
from fraud.workbench.desk import Lines
from fraud.workbench.models import Case, Evidence, RuleHit
from fraud.workbench.sight import Sight
from fraud.workbench.speech import english, listed, moment, spoken, yuan

SHOWN_LINES = 15
"""Lines of a claim on the case's page; the claim's own page has all that were kept."""
SHOWN_CLAIMS, OPENED_CLAIMS = 200, 30
"""Evidence claims on the case's page unless all are asked for; the first ones' lines come with them."""
_GROUPS = {code: words for own in (INSTITUTION_WORDS, VISIT_WORDS) for code, words in own.items()}


def reason_rows(reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reasons with the widths of their bars in percent, strongest first as they were frozen.

    Returns
    -------
    list of dict
        The reason's own fields, its ``sentence``, ``pull_width``, ``group`` (words of the peer group),
        ``percent`` (0–100), ``mark`` (its place on a strip of the peers) and ``bars``: style, words, value
        and width of this time, own past and peers.
    """
    most = max((abs(r.get("contribution") or 0.0) for r in reasons), default=0.0) or 1.0
    return [_reason_row(r, most) for r in reasons]


def _reason_row(reason: dict[str, Any], most: float) -> dict[str, Any]:
    group, share = reason.get("peer_group") or "", reason.get("percentile")
    percent = None if share is None else 100 * share if share <= 1 else share
    return {
        **reason,
        "sentence": spoken((reason.get("sentence_zh") or "", reason.get("sentence_en") or "")),
        "pull_width": round(100 * abs(reason.get("contribution") or 0.0) / most),
        "group": listed([spoken(_GROUPS.get(part, (part, ""))) for part in group.split("|") if part]),
        "percent": percent,
        "mark": None if percent is None else round(min(percent, 98.0), 1),
        "bars": [
            (style, spoken((zh, en)), value, width) for style, zh, en, value, width in reason_bars(reason)
        ],
    }


def name_rules(cases: Iterable[Case]) -> None:
    """Give the rules on some cases their names in the reader's language."""
    known = _english_names({code for case in cases for code, _ in case.rule_marks})
    for case in cases:
        case.rule_marks = [(code, known.get(code) or name) for code, name in case.rule_marks]


def shown_hits(hits: Iterable[RuleHit], seen: Sight) -> list[RuleHit]:
    """Rule hits on the claims that are shown, with names and exemptions in the reader's language."""
    found = [h for h in hits if seen.whole or h.claim_id in seen.claims]
    known = _english_names({h.rule for h in found})
    for hit in found:
        told = (hit.exemptions_en if english() else None) or hit.exemptions
        hit.shown_name, hit.shown_exemptions = known.get(hit.rule) or hit.name or hit.rule, listed(told)
        hit.sentence, hit.sentence_en = seen.starred(hit.sentence), seen.starred(hit.sentence_en)
    return found


def _english_names(rules: set[str]) -> dict[str, str]:
    """English names of rules as the newest publication knew them; none for a reader of Chinese."""
    if not english() or not rules:
        return {}
    return dict(Word.objects.filter(code__in=rules).exclude(en="").values_list("code", "en"))


def evidence_columns(evidence: list[Evidence], kind: str) -> list[tuple[str, str]]:
    """Facts that at least one evidence claim has, but for the subject's own id: name and words."""
    columns = [
        ("settled_at", "结算时间", "settled"),
        ("visit_type", "类型", "visit"),
        ("patient_id", "参保人", "patient"),
        ("doctor_id", "医师", "doctor"),
        ("department_id", "科室", "dept."),
        ("institution_id", "机构", "institution"),
        ("diagnosis_code", "诊断", "diagnosis"),
        ("fund_amount", "基金支付", "fund"),
    ]
    shown = [c for c in columns if c[0] != f"{kind}_id"]
    return [
        (name, spoken(words))
        for name, *words in shown
        if any(e.facts.get(name) not in (None, "") for e in evidence)
    ]


def evidence_rows(
    evidence: list[Evidence],
    columns: list[tuple[str, str]],
    marked: Mapping[str, str],
    hits: Iterable[RuleHit],
) -> list[dict[str, Any]]:
    """Evidence claims with the cells of `columns`, what people said of them, and the first ones' lines.

    Rules are named as the hits name them to the reader (`shown_hits`).
    """
    names = {code: h.shown_name for h in hits for code in (h.rule, h.name)}
    lines = {k.evidence_id: k for k in Lines.objects.filter(evidence__in=evidence[:OPENED_CLAIMS])}
    lines |= {
        k.evidence_id: k for k in Lines.objects.filter(evidence__in=evidence[OPENED_CLAIMS:]).defer("rows")
    }
    made = []
    for place, claim in enumerate(evidence):
        own, opened = lines.get(claim.pk), place < OPENED_CLAIMS
        made.append({
            "claim": claim,
            "cells": evidence_cells(claim.facts, columns),
            "rules": [names.get(code) or code for code in claim.rules],
            "verdict": marked.get(claim.claim_id, ""),
            "lines": own and {
                "rows": shown_lines(own.rows[:SHOWN_LINES], names) if opened else [], "total": own.total,
                "odd": own.odd, "more": own.total > SHOWN_LINES or not opened,
            },
        })  # fmt: skip
    return made


def evidence_cells(facts: Mapping[str, Any], columns: list[tuple[str, str]]) -> list[str]:
    """Facts of a claim as the cells of `columns`."""
    return [_cell(name, facts.get(name)) for name, *_ in columns]


def shown_lines(rows: list[dict[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Lines with the rules on them named as the reader knows them."""
    return [{**row, "rules": [names.get(rule) or rule for rule in row["rules"]]} for row in rows]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.endswith("_amount"):
        return yuan(value)
    if name.endswith("_at"):
        return moment(str(value))
    return spoken(VISIT_WORDS.get(value, (value, ""))) if name == "visit_type" else str(value)
