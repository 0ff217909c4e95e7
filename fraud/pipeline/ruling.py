"""Rules over months of a dataset: hits, what audits say of each rule, and the index of history."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fraud.engines import Engine
from fraud.errors import DataError
from fraud.features.measures import DAY
from fraud.pipeline.frames import latest
from fraud.rules import batch, history, indexing
from fraud.rules.charges import numbered_lines
from fraud.rules.hits import Hits, hits_of, no_hits
from fraud.rules.rule_set import RuleSet, load_rule_set
from fraud.runs import file_hash
from fraud.schema import month_text
from fraud.settings import Settings

STAGE = "规则 rules"
INDEX = "history.sqlite"
_IDS = ("patient_id", "doctor_id", "department_id", "institution_id")
NORMAL = 1.959964
"""95 % quantile of the standard normal law, two-sided."""


def rule_set(settings: Settings) -> RuleSet:
    """The rule set that settings name."""
    return load_rule_set(settings.rules.folder)


def rule_hits(
    engine: Engine,
    months: Sequence[int],
    rules: RuleSet,
    features: pd.DataFrame | None = None,
    progress: Any = None,
    index: Path | None = None,
) -> Hits:
    """Hits of a rule set on the claims of some months.

    Parameters
    ----------
    engine : Engine
    months : sequence of int
    rules : RuleSet
    features : DataFrame, optional
        Claim features of the months; without them rules of kind ``measure`` are skipped by name.
    progress : callable, optional
    index : Path, optional
        Where to write the index of recent history.
    """
    found = batch.find(engine, months, rules, features, progress)
    if found.facts is not None and index is not None:
        indexing.write(found.facts, index)
    if found.facts is None or found.rows.empty:
        return no_hits(found.skipped)
    return hits_of(found, _claims(engine, found), _lines(engine, found), rules.snoozes)


def _claims(engine: Engine, found: batch.Found) -> pd.DataFrame:
    """The claims found, with whom snoozes may name and what money is at stake."""
    assert found.facts is not None
    ids = pd.DataFrame({"claim_id": sorted(set(found.rows["claim_id"]))})
    hit = found.facts.scope.small_table("rule_hit_claims", pa.Table.from_pandas(ids, preserve_index=False))
    claims = found.facts.claims.semi_join(hit, "claim_id")
    chosen = claims.select("claim_id", "day_in", "total", "fund", *_IDS, number="month").order_by("claim_id")
    frame = engine.to_arrow(chosen, "rule_hit_facts").to_pandas()
    day = pd.to_datetime(frame["day_in"] * DAY, unit="s").dt.strftime("%Y-%m-%d")
    return frame.assign(month=[month_text(int(n)) for n in frame["number"]], day=day)


def _lines(engine: Engine, found: batch.Found) -> pd.DataFrame:
    """Line ids of the charges found: claim_id, item, day, line_id."""
    assert found.facts is not None
    rows = found.rows[found.rows["item"] >= 0]
    keys = rows[["claim_id", "item", "day"]].drop_duplicates()
    if keys.empty:
        return pd.DataFrame({"claim_id": [], "item": [], "day": [], "line_id": []})
    table = pa.table(
        {
            "claim_id": pa.array(keys["claim_id"], pa.string()),
            "item": pa.array(keys["item"].to_numpy("int64")),
            "day": pa.array(keys["day"].to_numpy("int64")),
        }
    )
    scope = found.facts.scope
    hit = scope.small_table("rule_hit_charges", table)
    lines = numbered_lines(found.facts.claims, scope["rule_items"])
    told = lines.semi_join(hit, ["claim_id", "item", "day"]).select("claim_id", "item", "day", "line_id")
    return engine.to_arrow(told.order_by(["claim_id", "line_id"]), "rule_hit_lines").to_pandas()


def publish_index(made: Path, place: Path) -> None:
    """Move an index into place, unless the one there knows a later month."""
    if not made.exists():
        return
    try:
        known = history.HistoryIndex(place)
        until = known.until
        known.close()
    except DataError:
        until = ""
    new = history.HistoryIndex(made)
    later = new.until >= until
    new.close()
    if later:
        os.replace(made, place)


def audited_hits(out: Path, month: str, audits: pd.DataFrame) -> pd.DataFrame:
    """What auditors concluded about claims that rules hit in earlier runs.

    Parameters
    ----------
    out : Path
        Folder of the run folders.
    month : str
        ``YYYY-MM``; only runs of earlier months and decisions before it count.
    audits : DataFrame
        subject_kind, subject_id, outcome, decided_at.

    Returns
    -------
    DataFrame
        Indexed by rule: hits (claims), amount_at_issue (each line once, whichever rows of the rule's
        knowledge it was found by), snoozed, confirmed, cleared, last_month and ``at_least``, the lower
        bound of the share confirmed.
    """
    columns = ["rule", "claim_id", "month", "amount_at_issue", "line_ids", "snoozed"]
    tables = [pd.read_parquet(path, columns=columns) for path in _earlier_runs(out, month)]
    hits = pd.concat(tables) if tables else pd.DataFrame(columns=columns, dtype=str)
    hits = hits.assign(
        snoozed=hits["snoozed"].astype(bool), amount_at_issue=hits["amount_at_issue"].astype(float)
    )
    claims = hits.groupby(["rule", "claim_id"]).agg(snoozed=("snoozed", "all"), month=("month", "max"))
    claims = claims.assign(amount_at_issue=_each_line_once(hits)).reset_index()
    known = latest_decisions(audits, month)
    told = claims.merge(known, left_on="claim_id", right_on="subject_id", how="left")
    told["outcome"] = told["outcome"].astype(object).where(~told["snoozed"])
    counts = told.groupby("rule").agg(
        hits=("claim_id", "size"),
        amount_at_issue=("amount_at_issue", "sum"),
        snoozed=("snoozed", "sum"),
        confirmed=("outcome", lambda o: int((o == "confirmed").sum())),
        cleared=("outcome", lambda o: int((o == "cleared").sum())),
        last_month=("month", "max"),
    )
    right = counts["confirmed"].to_numpy(float)
    bound = wilson_bound(right, right + counts["cleared"].to_numpy(float))
    return counts.assign(amount_at_issue=counts["amount_at_issue"].round(2), at_least=bound.round(6))


def _each_line_once(hits: pd.DataFrame) -> pd.Series:
    """Amount at issue by rule and claim: of each line the most any hit asks; its lines share alike."""
    shared = hits["amount_at_issue"] / np.array([max(len(own), 1) for own in hits["line_ids"]], dtype=float)
    lines = hits.assign(share=shared).explode("line_ids")
    whole = lines["line_ids"].isna()
    by_line = lines[~whole].groupby(["rule", "claim_id", "line_ids"])["share"].max()
    by_claim = lines[whole].groupby(["rule", "claim_id"])["share"].max()
    return pd.concat([by_line.groupby(["rule", "claim_id"]).sum(), by_claim], axis=1).max(axis=1)


def latest_decisions(audits: pd.DataFrame, month: str = "") -> pd.DataFrame:
    """Latest decision about each claim (subject_id, outcome), of those before `month` where one is given."""
    known = audits[audits["subject_kind"] == "claim"]
    if month:
        known = known[pd.to_datetime(known["decided_at"]) < pd.Timestamp(f"{month}-01")]
    return latest(known)[["subject_id", "outcome"]]


def _earlier_runs(out: Path, month: str) -> list[Path]:
    found = out.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]/rule_hits.parquet")
    return sorted(p for p in found if p.parent.name < month)


def previous_hits_hash(out: Path, month: str) -> list[str]:
    """SHA-256 of the hits of every earlier run, which decide what rules are proven."""
    return [file_hash(path) for path in _earlier_runs(out, month)]


def wilson_bound(right: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Lower bound of the 95 % Wilson interval of a share (Wilson 1927); 0 where nothing was seen."""
    seen = np.maximum(n, 1)
    share, z2 = right / seen, NORMAL**2
    spread = NORMAL * np.sqrt(share * (1 - share) / seen + z2 / (4 * seen**2))
    bound = (share + z2 / (2 * seen) - spread) / (1 + z2 / seen)
    return np.where(n > 0, np.clip(bound, 0, 1), 0.0)


PRIOR = (8.0, 2.0)
"""Confirmed and cleared hits that a rule listed ``always`` is believed to have had before any audit."""


def promoted(rules: RuleSet, audited: pd.DataFrame, least: float) -> dict[str, float]:
    """Rules that put a claim on the list by themselves, and how probable a hit of theirs is right."""
    chosen: dict[str, float] = {}
    for code, rule in sorted(rules.rules.items()):
        right = float(audited["confirmed"].get(code, 0))
        wrong = float(audited["cleared"].get(code, 0))
        bound = float(audited["at_least"].get(code, 0.0))
        if rule.listing == "always":
            chosen[code] = (PRIOR[0] + right) / (sum(PRIOR) + right + wrong)
        elif rule.listing == "proven" and bound >= least:
            chosen[code] = bound
    return {c: round(p, 6) for c, p in chosen.items()}
