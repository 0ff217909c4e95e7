"""What lies in the run folders of past months, and what decisions known at a moment say of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from fraud.drift import LEVELS
from fraud.engines import Engine
from fraud.monitor.lists import share_of
from fraud.pipeline.allowing import refused_folder
from fraud.pipeline.challenging import REPORT as CHALLENGER
from fraud.pipeline.drifting import REPORT as DRIFT
from fraud.pipeline.frames import latest, who_and_where
from fraud.pipeline.new_schemes import REPORT as NEW_SCHEMES
from fraud.runs import read_manifest
from fraud.schema import month_number, month_text, relation
from fraud.suspicion.learning import MARK

_CASE = (
    "suspicion_id", "month", "subject_kind", "subject_id", "score", "expected_recovery", "reasons",
    "evidence_claim_ids",
)  # fmt: skip
_SCORED = ("score", "p_supervised", "amount_at_risk")
_BY_PLACE = ("institution_missing", "institution_volume", "amount_scale", "feature_shift")
_AT_LARGE = ("features_shifted", "score_shift")
TOP = 8
"""Features told that moved most."""


@dataclass(frozen=True)
class PastRun:
    """A published month."""

    month: str
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def version(self) -> str:
        """Version of the model that made the list; empty where none was registered."""
        return str(self.manifest["model"]["version"])

    @property
    def in_sample(self) -> bool:
        """Whether the model had seen decisions of the month or later: its scores prove nothing."""
        return bool(self.version) and self.manifest["model"]["until"] >= self.month

    def told(self, name: str) -> Any:
        """One of its JSON files; None where it has none."""
        path = self.folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def past_runs(out: Path, name: str, last: str = "", months: int = 12) -> list[PastRun]:
    """Runs of a dataset's name, ascending: of the `months` up to `last`, or all."""
    found = []
    for path in sorted(out.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]/manifest.json")):
        manifest = read_manifest(path.parent) or {}
        if manifest.get("model", {}).get("name") == name:
            found.append(PastRun(path.parent.name, path.parent, manifest))
    if not last:
        return found
    first = month_text(month_number(last) - months + 1)
    return [run for run in found if first <= run.month <= last]


def decisions_until(engine: Engine, end: pd.Timestamp, more: pd.DataFrame | None) -> pd.DataFrame:
    """Latest decision about each subject known at a moment.

    Returns
    -------
    DataFrame
        subject_kind, subject_id, confirmed (bool), cents (recovered, NaN where not told), decided_at.
    """
    audits = relation("audits")
    columns = ["subject_kind", "subject_id", "outcome", "recovered_amount", "decided_at"]
    frame = engine.to_arrow(audits.select(*columns), "decisions_until").to_pandas()
    if more is not None and len(more):
        cents = more["recovered_amount"].astype(float) * 100
        frame = pd.concat([frame, more[columns].assign(recovered_amount=cents)], ignore_index=True)
    known = latest(frame[frame["decided_at"] < end], ["subject_kind", "subject_id"]).reset_index(drop=True)
    return pd.DataFrame(
        {
            "subject_kind": known["subject_kind"],
            "subject_id": known["subject_id"],
            "confirmed": (known["outcome"] == "confirmed").to_numpy(bool),
            "cents": np.rint(known["recovered_amount"].astype(float).to_numpy(float)),
            "decided_at": known["decided_at"].astype("datetime64[us]"),
        }
    )


def cases_of(runs: Sequence[PastRun]) -> pd.DataFrame:
    """Suspicions of the runs' lists, with the version that listed them and whether it was to learn."""
    parts = [_cases(run) for run in runs]
    if parts:
        return pd.concat(parts, ignore_index=True)
    columns = [c for c in _CASE if c != "reasons"]
    return pd.DataFrame({c: pd.Series(dtype=object) for c in (*columns, "version", "learning")})


def _cases(run: PastRun) -> pd.DataFrame:
    frame = pq.read_table(run.folder / "suspicions.parquet", columns=list(_CASE)).to_pandas()
    learning = [bool(len(r)) and r[0]["code"] == MARK for r in frame["reasons"]]
    return frame.drop(columns="reasons").assign(
        version=run.version,
        learning=learning,
        expected_recovery=frame["expected_recovery"].astype(float),
    )


def scored_of(
    engine: Engine, runs: Sequence[PastRun], cases: pd.DataFrame, kind: str, known: pd.DataFrame
) -> pd.DataFrame:
    """Every subject of a kind that the runs scored, for `fraud.monitor.live`.

    Parameters
    ----------
    engine : Engine
        Its dataset says who the patients are and where.
    runs : sequence of PastRun
    cases : DataFrame
        Their lists, see `cases_of`.
    kind : str
        What the model is about.
    known : DataFrame
        Labels known, see `fraud.pipeline.frames.labels`; one from before a month leaves its subject
        out of that month.
    """
    parts = [_scored(engine, run, cases[cases["month"] == run.month], kind) for run in runs]
    if not parts:
        columns = ("month", "subject_id", "score", "p_supervised", "amount", "rule_amount", "label", "random")
        return pd.DataFrame({c: pd.Series(dtype=object) for c in (*columns, "on_list")})
    rows = pd.concat(parts, ignore_index=True)
    return relabelled(rows[rows["amount"] > 0], known)


def relabelled(rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Scored subjects with what is known of them, without those decided before their month began."""
    columns = ["label", "random", "scheme", "decided_at"]
    rows = rows.drop(columns=[c for c in columns if c in rows]).merge(known, on="subject_id", how="left")
    early = (rows["decided_at"] < pd.to_datetime(rows["month"] + "-01")).fillna(False)
    rows = rows[~early].sort_values(["month", "subject_id"], ignore_index=True)
    drawn = rows["random"].astype(object).where(rows["random"].notna(), False).astype(bool)
    return rows.assign(label=rows["label"].astype("float64"), random=drawn)


def _scored(engine: Engine, run: PastRun, cases: pd.DataFrame, kind: str) -> pd.DataFrame:
    of_claims = kind == "claim"
    table, key = ("claims_scored", "claim_id") if of_claims else ("subjects_scored", "subject_id")
    filters = None if of_claims else [("subject_kind", "=", kind)]
    path = run.folder / f"{table}.parquet"
    frame = pq.read_table(path, columns=[key, *_SCORED], filters=filters).to_pandas()
    frame = frame.rename(columns={key: "subject_id", "amount_at_risk": "amount"})
    frame = frame.assign(month=run.month, amount=frame["amount"].astype(float))
    if not of_claims:
        own = set(cases.loc[cases["subject_kind"] == kind, "subject_id"])
        return frame.assign(rule_amount=0.0, on_list=frame["subject_id"].isin(own))
    on = {claim for ids in cases["evidence_claim_ids"] for claim in ids}
    frame = frame.assign(
        rule_amount=frame["subject_id"].map(_at_issue(run)).fillna(0.0).to_numpy(float),
        on_list=frame["subject_id"].isin(on),
    )
    return frame.merge(who_and_where(engine, month_number(run.month)), on="subject_id", how="left")


def _at_issue(run: PastRun) -> pd.Series:
    """Amount of the largest live hit of each claim."""
    path = run.folder / "rule_hits.parquet"
    hits = pq.read_table(path, columns=["claim_id", "amount_at_issue", "snoozed"]).to_pandas()
    live = hits[~hits["snoozed"].astype(bool)]
    return live.assign(amount=live["amount_at_issue"].astype(float)).groupby("claim_id")["amount"].max()


def drift_by_month(runs: Sequence[PastRun]) -> list[dict[str, Any]]:
    """What differed in each month: findings by level, the gravest at large, the features that moved most."""
    return [_drift(run, run.told(DRIFT)) for run in runs if (run.folder / DRIFT).exists()]


def _drift(run: PastRun, told: Mapping[str, Any]) -> dict[str, Any]:
    found = told["findings"]
    large = [f["level"] for f in found if f["code"] in _AT_LARGE]
    scores = [f["value"] for f in found if f["code"] == "score_shift"]
    moved = [f for f in found if f["code"] == "feature_shift"]
    keep = ("code", "level", "table", "column", "place", "value", "zh", "en")
    others = [f for f in found if f["code"] != "feature_shift" and f["level"] != "note"]
    return {
        "month": run.month,
        "compared": len(told["compared"]),
        "levels": {level: sum(f["level"] == level for f in found) for level in LEVELS},
        "whole": max(large, key=LEVELS.index, default=""),
        "score_psi": max(scores, default=None),
        "features": [{k: f[k] for k in keep} for f in moved[:TOP]],
        "moved": len(moved),
        "others": [{k: f[k] for k in keep} for f in others],
        "allowed": [a for a in run.manifest.get("allowed", []) if a.startswith("drift_")],
    }


def places_of(drift: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Institutions with findings above a note in some months, those with most first."""
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for month in drift:
        for f in (*month["features"], *month["others"]):
            if f["place"] and f["code"] in _BY_PLACE and f["level"] != "note":
                found.setdefault(f["place"], []).append((month["month"], f))
    out = []
    for place, own in found.items():
        when, gravest = max(own, key=lambda o: (LEVELS.index(o[1]["level"]), o[0]))
        said = {k: gravest[k] for k in ("level", "zh", "en")}
        out.append({"place": place, "findings": len(own), "month": when, **said})
    return sorted(out, key=lambda p: (-LEVELS.index(p["level"]), -p["findings"], p["place"]))


def refused_of(out: Path, first: str, last: str, scored: Sequence[str]) -> list[dict[str, Any]]:
    """Months the gate refused, by what, and whether they were scored after all."""
    told = []
    for folder in sorted(p for p in refused_folder(out, "").glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]")):
        if not first <= folder.name <= last:
            continue
        codes = set()
        for name in (DRIFT, "quality.json"):
            if (folder / name).exists():
                codes |= _stops(json.loads((folder / name).read_text(encoding="utf-8")))
        told.append({"month": folder.name, "codes": sorted(codes), "scored": folder.name in scored})
    return told


def _stops(told: Mapping[str, Any]) -> set[str]:
    drifted = {f["code"] for f in told.get("findings", ()) if f.get("level") == "stop"}
    return drifted | {c["check"] for c in told.get("gate", ()) if not c["passed"]}


def groups_of(runs: Sequence[PastRun], cases: pd.DataFrame, decisions: pd.DataFrame) -> list[dict[str, Any]]:
    """Groups of odd claims that the runs told, and what became of their claims.

    Returns
    -------
    list of dict
        group_id, months (ascending), claims, amount (yuan), decided, confirmed, listed (claims on a
        later list), sentence_zh and sentence_en of its latest month; those of most months first.
    """
    parts: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for run in runs:
        for group in run.told(NEW_SCHEMES) or ():
            parts.setdefault(group["group_id"], []).append((run.month, group))
    of_claims = decisions[decisions["subject_kind"] == "claim"].set_index("subject_id")
    lists = {
        month: {c for ids in own["evidence_claim_ids"] for c in ids} for month, own in cases.groupby("month")
    }
    told = [_group(name, own, of_claims, lists) for name, own in parts.items()]
    return sorted(told, key=lambda g: (-len(g["months"]), -g["amount"], g["group_id"]))


def _group(
    name: str,
    own: Sequence[tuple[str, Mapping[str, Any]]],
    decided: pd.DataFrame,
    lists: Mapping[str, set[str]],
) -> dict[str, Any]:
    since = {c: month for month, group in own for c in group["claim_ids"]}
    found = decided[decided.index.isin(list(since))]
    begins = pd.to_datetime([since[c] + "-01" for c in found.index])
    found = found[found["decided_at"].to_numpy() >= begins.to_numpy()]
    later = {c for c, begin in since.items() for month, ids in lists.items() if month > begin and c in ids}
    return {
        "group_id": name,
        "months": [month for month, _ in own],
        "claims": len(since),
        "amount": sum(round(100 * group["amount"]) for _, group in own) / 100,
        "decided": len(found),
        "confirmed": int(found["confirmed"].sum()),
        "listed": len(later),
        "sentence_zh": own[-1][1]["sentence_zh"],
        "sentence_en": own[-1][1]["sentence_en"],
    }


def rules_of(audited: pd.DataFrame, names: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """What auditors said of the rules' hits, those most often decided first."""
    out = []
    for row in audited.reset_index().to_dict("records"):
        decided = int(row["confirmed"] + row["cleared"])
        if decided:
            zh, en = names.get(row["rule"], (row["rule"], ""))
            told = {"decided": decided, "confirmed": int(row["confirmed"]), "hits": int(row["hits"])}
            rate = share_of(int(row["confirmed"]), decided)
            out.append({"rule": row["rule"], "zh": zh, "en": en, **told, "rate": rate})
    return sorted(out, key=lambda r: (-r["decided"], r["rule"]))


def challenged(run: PastRun) -> dict[str, Any]:
    """How the challenger would have ranked a month; nothing without one."""
    told = run.told(CHALLENGER)
    if not told:
        return {}
    keep = ("version", "until", "experiment", "claims", "capacity", "rank_correlation", "top")
    sides = {
        s: {k: told[s][k] for k in ("listed", "money", "expected")} | {"only": told[s]["only"]["cases"]}
        for s in ("champion", "challenger")
    }
    return {k: told[k] for k in keep} | sides
