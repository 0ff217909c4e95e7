"""Findings as hits: one per check and claim, with money, evidence and words; no yuan counted twice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fraud.rules.batch import Found
from fraud.rules.compiled import CompiledRules
from fraud.rules.encounter import Findings
from fraud.rules.rule_set import Check
from fraud.rules.snoozes import Snooze
from fraud.rules.vocabulary import Item
from fraud.rules.wording import exemptions, sentences

COLUMNS = (
    "rule",
    "knowledge",
    "claim_id",
    "month",
    "result",
    "severity",
    "amount_at_issue",
    "value",
    "bound",
    "items",
    "partners",
    "line_ids",
    "earlier_claims",
    "exemptions_zh",
    "exemptions_en",
    "sentence_zh",
    "sentence_en",
    "snoozed",
)
"""Columns of the table of hits; amounts in currency units."""
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
        items = _numbered(rules.items, (r[1] for r in rows))
        partners = _numbered(rules.items, (r[5] for r in rows))
        value = max((r[4] for r in rows if r[4] is not None), default=None)
        zh, en = sentences(check, _names(items), _names(partners), value)
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


def _numbered(items: Sequence[Item], numbers: Iterable[int]) -> list[Item]:
    """Items by their numbers, each once and in order; −1 is none."""
    return sorted({items[n] for n in numbers if n >= 0})


def _names(items: Iterable[Item]) -> list[str]:
    return [i.name or i.code for i in items]


def amount_of(check: Check, cents: int, total: int) -> int:
    """Cents at issue by the rule's formula, never more than the claim."""
    if check.rule.amount == "none":
        return 0
    return total if check.rule.amount == "claim" else min(cents, total)


@dataclass(frozen=True)
class Hits:
    """Hits of some months.

    Attributes
    ----------
    table : DataFrame
        `COLUMNS`, sorted by claim, rule and knowledge row.
    claims : DataFrame
        Indexed by claim_id: ``rule_hits`` (sorted tuple of codes), ``amount_at_issue`` (currency units,
        each charge counted once), ``fund_at_issue`` (its share paid by the fund).
    skipped : dict of str to str
        Rule → why it was not decided.
    """

    table: pd.DataFrame
    claims: pd.DataFrame
    skipped: dict[str, str]


def hits_of(found: Found, claims: pd.DataFrame, lines: pd.DataFrame, snoozes: Sequence[Snooze]) -> Hits:
    """Gather findings into hits.

    Parameters
    ----------
    found : Found
    claims : DataFrame
        The claims found: claim_id, month (``YYYY-MM``), day (``YYYY-MM-DD``), total and fund in cents, and
        the ids of its patient, doctor, department and institution.
    lines : DataFrame
        claim_id, item, day, line_id of what was found.
    snoozes : sequence of Snooze
        Hits they cover are kept, marked, and count neither money nor code.
    """
    rows = _kept(found)
    facts = claims.set_index("claim_id")
    rows = rows.assign(total=facts["total"].reindex(rows["claim_id"]).to_numpy(dtype="int64", na_value=0))
    rows["cents"] = _by_formula(rows, found.checks)
    table = _table(found, rows, facts, lines)
    table["snoozed"] = _snoozed(table, facts, snoozes)
    live = table.loc[~table["snoozed"], ["claim_id", "rule"]]
    codes = live.groupby("claim_id")["rule"].agg(lambda c: tuple(sorted(set(c))))
    quiet = table.loc[table["snoozed"], ["check", "claim_id"]]
    loud = rows.merge(quiet, on=["check", "claim_id"], how="left", indicator=True)
    loud = loud[loud["_merge"] == "left_only"]
    at_issue = _once(loud)
    summary = pd.DataFrame({"rule_hits": codes})
    summary["amount_at_issue"] = at_issue.reindex(summary.index).fillna(0) / 100
    paid = facts["fund"] / facts["total"].replace(0, np.nan)
    share = paid.reindex(summary.index).fillna(0).clip(0, 1)
    summary["fund_at_issue"] = (summary["amount_at_issue"] * share).round(2)
    return Hits(table[list(COLUMNS)], summary, found.skipped)


def _kept(found: Found) -> pd.DataFrame:
    """Rows of hits that no other rule supersedes."""
    rows = found.rows.assign(rule=[found.checks[c].rule.code for c in found.rows["check"]])
    pairs = {(o, c.rule.code) for c in found.checks for o in c.rule.supersedes}
    drop = np.zeros(len(rows), dtype=bool)
    for weaker, stronger in sorted(pairs):
        with_stronger = set(rows.loc[rows["rule"] == stronger, "claim_id"])
        drop |= ((rows["rule"] == weaker) & rows["claim_id"].isin(with_stronger)).to_numpy()
    return rows[~drop].reset_index(drop=True)


def _by_formula(rows: pd.DataFrame, checks: Sequence[Check]) -> np.ndarray:
    formula = np.array([checks[c].rule.amount for c in rows["check"]], dtype=object)
    cents = np.where(formula == "claim", rows["total"], np.minimum(rows["cents"], rows["total"]))
    return np.where(formula == "none", 0, cents).astype(np.int64)


def _once(rows: pd.DataFrame) -> pd.Series:
    """Cents at issue by claim: each charge at the most any rule asks for it, and never above the claim."""
    whole = rows["item"] < 0
    by_charge = rows[~whole].groupby(["claim_id", "item", "day"], dropna=False)["cents"].max()
    charges = by_charge.groupby("claim_id").sum()
    claims = rows[whole].groupby("claim_id")["cents"].max()
    both = pd.concat([charges, claims], axis=1).max(axis=1)
    total = rows.groupby("claim_id")["total"].max()
    return both.clip(upper=total.reindex(both.index)).astype("int64")


def _table(found: Found, rows: pd.DataFrame, facts: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    told = rows.merge(lines, on=["claim_id", "item", "day"], how="left")
    line_ids = (
        told.dropna(subset=["line_id"])
        .groupby(["check", "claim_id"])["line_id"]
        .agg(lambda v: sorted(set(v)))
    )
    others = found.others.groupby(["check", "claim_id"])["other"].agg(lambda v: sorted(set(v)))
    grouped = rows.groupby(["check", "claim_id"], sort=True)
    records: list[dict[str, Any]] = []
    for (number, claim), own in grouped:
        check = found.checks[number]
        items, partners = (_numbered(found.items, own[column]) for column in ("item", "partner"))
        value = None if own["value"].isna().all() else float(own["value"].max())
        zh, en = sentences(check, _names(items), _names(partners), value)
        tried = exemptions(check)
        cents = amount_of(check, int(own["cents"].sum()), int(own["total"].max()))
        records.append(
            {
                "check": number,
                "rule": check.rule.code,
                "knowledge": check.row.id if check.row else "",
                "claim_id": claim,
                "month": facts.at[claim, "month"],
                "result": check.rule.result,
                "severity": check.severity,
                "amount_at_issue": cents / 100,
                "value": value,
                "bound": check.parameters.limit,
                "items": [i.code for i in items],
                "partners": [i.code for i in partners],
                "line_ids": line_ids.get((number, claim), []),
                "earlier_claims": others.get((number, claim), []),
                "exemptions_zh": [t[0] for t in tried],
                "exemptions_en": [t[1] for t in tried],
                "sentence_zh": zh,
                "sentence_en": en,
            }
        )
    table = pd.DataFrame(records, columns=["check", *(c for c in COLUMNS if c != "snoozed")])
    return table.sort_values(["claim_id", "rule", "knowledge"], ignore_index=True)


def _snoozed(table: pd.DataFrame, facts: pd.DataFrame, snoozes: Sequence[Snooze]) -> np.ndarray:
    quiet = np.zeros(len(table), dtype=bool)
    day = facts["day"].reindex(table["claim_id"]).to_numpy()
    for snooze in snoozes:
        key = "claim_id" if snooze.subject_kind == "claim" else f"{snooze.subject_kind}_id"
        ids = table["claim_id"] if key == "claim_id" else facts[key].reindex(table["claim_id"])
        mine = (ids.to_numpy() == snooze.subject_id) & (table["rule"] == snooze.rule).to_numpy()
        quiet |= mine & (day <= snooze.until)
    return quiet
