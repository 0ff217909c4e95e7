"""Findings of months as hits: one per check and claim, with money and words; no yuan counted twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fraud.rules.batch import Found
from fraud.rules.rule_set import Check
from fraud.rules.single_hits import amount_of, names, numbered
from fraud.rules.snoozes import Snooze
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
        Those of the claims found that were paid: claim_id, month (``YYYY-MM``), day (``YYYY-MM-DD``),
        total and fund in cents, and the ids of its patient, doctor, department and institution.
    lines : DataFrame
        claim_id, item, day, line_id of what was found.
    snoozes : sequence of Snooze
        Hits they cover are kept, marked, and count neither money nor code.
    """
    rows = _kept(found)
    facts = claims.set_index("claim_id")
    # a claim that was refunded in full has features, but nothing was paid that could be asked back
    rows = rows[rows["claim_id"].isin(facts.index)].reset_index(drop=True)
    if rows.empty:
        return no_hits(found.skipped)
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


def no_hits(skipped: dict[str, str]) -> Hits:
    """Nothing found."""
    names = ("rule_hits", "amount_at_issue", "fund_at_issue")
    table, claims = ({n: pd.Series(dtype=object) for n in columns} for columns in (COLUMNS, names))
    return Hits(pd.DataFrame(table), pd.DataFrame(claims), skipped)


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
        items, partners = (numbered(found.items, own[column]) for column in ("item", "partner"))
        value = None if own["value"].isna().all() else float(own["value"].max())
        zh, en = sentences(check, names(items), names(partners), value)
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
