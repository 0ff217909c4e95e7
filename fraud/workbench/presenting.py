"""What the pages show of what was frozen: widths of bars, columns of evidence."""

from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

from fraud.report.content import INSTITUTION_WORDS, KIND_WORDS, STATUS_WORDS, VISIT_WORDS, reason_bars
from fraud.workbench.models import Account, Case, Evidence
from fraud.workbench.scope import visible
from fraud.workbench.workflow import STATES

MINE, NOBODY = "me", "none"
_GROUPS = {code: zh for words in (INSTITUTION_WORDS, VISIT_WORDS) for code, (zh, _) in words.items()}


def reason_rows(reasons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reasons with the widths of their bars in percent, strongest first as they were frozen.

    Returns
    -------
    list of dict
        The reason's own fields, ``pull_width``, ``group`` (words of the peer group), ``percent``
        (0–100) and ``bars``: style, words, value and width of this time, own past and peers.
    """
    most = max((abs(r.get("contribution") or 0.0) for r in reasons), default=0.0) or 1.0
    return [_reason_row(r, most) for r in reasons]


def _reason_row(reason: dict[str, Any], most: float) -> dict[str, Any]:
    group, share = reason.get("peer_group") or "", reason.get("percentile")
    return {
        **reason,
        "pull_width": round(100 * abs(reason.get("contribution") or 0.0) / most),
        "group": "，".join(_GROUPS.get(part, part) for part in group.split("|") if part),
        "percent": None if share is None else 100 * share if share <= 1 else share,
        "bars": reason_bars(reason),
    }


def evidence_columns(evidence: list[Evidence], kind: str) -> list[tuple[str, str, str]]:
    """Facts that at least one evidence claim has, but for the subject's own id: name, Chinese, English."""
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
    return [c for c in shown if any(e.facts.get(c[0]) not in (None, "") for e in evidence)]


def evidence_rows(evidence: list[Evidence], columns: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """Evidence claims with the cells of `columns`."""
    return [{"claim": e, "cells": [_cell(name, e.facts.get(name)) for name, *_ in columns]} for e in evidence]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name.endswith("_amount"):
        return f"{value / 100:,.2f}"
    return VISIT_WORDS.get(value, (value, ""))[0] if name == "visit_type" else str(value)


def filtered(asked: QueryDict, account: Account) -> "QuerySet[Case]":
    """Cases that the list's filters ask for, the dearest first; what is not a filter is ignored."""
    cases = visible(account).order_by("-expected_cents", "id")
    for field, known in (("subject_kind", KIND_WORDS), ("status", STATUS_WORDS), ("state", STATES)):
        if asked.get(field) in known:
            cases = cases.filter(**{field: asked[field]})
    if asked.get("month"):
        cases = cases.filter(month=asked["month"][:7])
    if asked.get("assignee") == MINE:
        cases = cases.filter(assignee=account)
    elif asked.get("assignee") == NOBODY:
        cases = cases.filter(assignee=None)
    elif asked.get("assignee"):
        cases = cases.filter(assignee__username=asked["assignee"][:150])
    if text := asked.get("q", "").strip()[:128]:
        cases = cases.filter(subject_id__startswith=text)
    return cases
