"""What put a case on the list, told apart for the figures: rules, detectors and reasons."""

from collections.abc import Iterable, Mapping
from typing import Any

from fraud.workbench.books import Mark, Word
from fraud.workbench.loading import load
from fraud.workbench.models import Case

DETECTORS: dict[str, tuple[str, str]] = {
    "rules": ("规则", "rules"),
    "rings": ("团伙", "rings"),
    "supervised": ("监督模型", "supervised model"),
    "anomaly": ("异常检测", "anomaly detection"),
    "random": ("随机抽查", "random slice"),
    "learning": ("为学习而选", "chosen for learning"),
    "novelty": ("新手法", "new schemes"),
}
_STRONGEST = 3
"""Reasons of a case that count, the strongest."""
_BATCH = 1000


def for_learning(row: Mapping[str, Any]) -> bool:
    """Whether a suspicion is on the list for its outcome to teach: its first reason says so."""
    return bool(row["reasons"]) and row["reasons"][0]["code"] == "learning"


def marks_of(
    row: Mapping[str, Any], claims: Iterable[Mapping[str, Any]], hits: Iterable[Mapping[str, Any]]
) -> set[tuple[str, str]]:
    """Marks of a suspicion.

    Parameters
    ----------
    row : mapping
        The suspicion, with ``subject_kind`` and ``reasons``; ``random`` where it was drawn, ``scheme``
        where somebody took it out of a new scheme.
    claims, hits : iterable of mapping
        Scores and rule hits of its evidence claims.

    Returns
    -------
    set of (kind, code)
        ``rule``: rules that hit and were not snoozed. ``reason``: the strongest reasons that raised the
        score. ``detector``: `DETECTORS`; the models where a reason of theirs raised the score.
    """
    if row.get("random") and not row["rank"]:
        return {("detector", "random")}
    if row.get("scheme") or for_learning(row):
        return {("detector", "novelty" if row.get("scheme") else "learning")}
    told = list(claims)
    found = {("rule", str(h["rule"])) for h in hits if not h["snoozed"]}
    if found:
        found.add(("detector", "rules"))
    if row["subject_kind"] == "ring" or any(c.get("ring_id") for c in told):
        found.add(("detector", "rings"))
    raising = [r["code"] for r in row["reasons"] if (r.get("contribution") or 0) > 0]
    if raising:
        trained = any(c.get("p_supervised") is not None for c in told)
        found.add(("detector", "supervised" if trained else "anomaly"))
    return found | {("reason", code[:64]) for code in raising[:_STRONGEST]}


def replace_marks(marks: Mapping[Case, set[tuple[str, str]]], opened: set[str]) -> None:
    """Put marks on cases, in place of the ones before; cases that were just opened had none."""
    ids = [case.pk for case in marks if case.suspicion_id not in opened]
    for start in range(0, len(ids), _BATCH):
        Mark.objects.filter(case__in=ids[start : start + _BATCH]).delete()
    rows = ((case.pk, k, c) for case, own in marks.items() for k, c in sorted(own))
    load(Mark, ("case_id", "kind", "code"), rows)


def remember_words(words: Mapping[str, tuple[str, str]]) -> None:
    """Keep the Chinese and English of codes."""
    rows = [Word(code=code[:64], zh=zh[:200], en=en[:200]) for code, (zh, en) in sorted(words.items())]
    Word.objects.bulk_create(
        rows, batch_size=_BATCH, update_conflicts=True, unique_fields=["code"], update_fields=["zh", "en"]
    )
