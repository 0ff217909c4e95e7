"""Findings of one encounter as hits: one per check, with money, evidence and words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fraud.rules.compiled import CompiledRules
from fraud.rules.encounter import Findings
from fraud.rules.rule_set import Check
from fraud.rules.vocabulary import Item
from fraud.rules.wording import exemptions, sentences

_TELLS = (
    "id",
    "scope_zh",
    "scope_en",
    "contraindications_zh",
    "contraindications_en",
    "note_zh",
    "note_en",
    "source",
)


@dataclass(frozen=True)
class Hit:
    """One hit on a screen; `amount` is what is at issue, in cents."""

    code: str
    name_zh: str
    name_en: str
    result: str
    severity: str
    amount: int
    items: tuple[str, ...]
    explanation_zh: str
    explanation_en: str
    clause: str
    knowledge: Mapping[str, str]
    value: float | None
    limit: float | None
    earlier_claims: tuple[str, ...]
    exemptions: tuple[str, ...]


def knowledge_of(check: Check) -> dict[str, str]:
    """What the knowledge row behind a check says; empty where the rule stands by itself."""
    return {n: getattr(check.row, n) for n in _TELLS} if check.row is not None else {}


def single_hits(rules: CompiledRules, found: Findings, total: int) -> list[Hit]:
    """Findings of one encounter as hits, the gravest and dearest first."""
    by_check: dict[int, list[tuple[int, int, int | None, int, float | None, int]]] = {}
    for row in found.rows:
        by_check.setdefault(row[0], []).append(row)
    hits = []
    dropped = {c for n in by_check for c in rules.compiled[n].check.rule.supersedes}
    for number, rows in by_check.items():
        check = rules.compiled[number].check
        if check.rule.code in dropped:
            continue
        items = numbered(rules.items, (r[1] for r in rows))
        partners = numbered(rules.items, (r[5] for r in rows))
        value = max((r[4] for r in rows if r[4] is not None), default=None)
        zh, en = sentences(check, names(items), names(partners), value)
        hits.append(
            Hit(
                check.rule.code,
                check.rule.name_zh,
                check.rule.name_en,
                check.rule.result,
                check.severity,
                amount_of(check, sum(r[3] for r in rows), total),
                tuple(i.code for i in items),
                zh,
                en,
                check.rule.clause,
                knowledge_of(check),
                value,
                check.parameters.limit,
                tuple(sorted(o for n, o in found.others if n == number)),
                tuple(e[0] for e in exemptions(check)),
            )
        )
    rank = {"stop": 0, "warn": 1, "note": 2}
    return sorted(hits, key=lambda h: (rank[h.severity], -h.amount, h.code, h.knowledge.get("id", "")))


def numbered(items: Sequence[Item], numbers: Iterable[int]) -> list[Item]:
    """Items by their numbers, each once and in order; −1 is none."""
    return sorted({items[n] for n in numbers if n >= 0})


def names(items: Iterable[Item]) -> list[str]:
    """Names of items, or codes where they have none."""
    return [i.name or i.code for i in items]


def amount_of(check: Check, cents: int, total: int) -> int:
    """Cents at issue by the rule's formula, never more than the claim."""
    if check.rule.amount == "none":
        return 0
    return total if check.rule.amount == "claim" else min(cents, total)
