"""What a run folder and its dataset say of the suspicions, a part of the list at a time.

Tables are kept in columns; only the rows of the part at hand are Python objects, so that a list of a
hundred thousand does not take gigabytes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fraud.errors import DataError
from fraud.runs import RUN_TABLES, read_manifest
from fraud.schema import TABLES
from fraud.workbench.detailing import ring_claims, subjects_of
from fraud.workbench.details import Details, DetailTables, cents, read_tables
from fraud.workbench.keyed import Keyed, Rows
from fraud.workbench.models import Run
from fraud.workbench.random_slice import drawn_beside, mark_drawn

PART = 2000
"""Suspicions of a part."""
_FACTS = (
    "visit_type", "settled_at", "started_at", "ended_at", "patient_id", "doctor_id", "department_id",
    "institution_id", "diagnosis_code", "total_amount", "fund_amount",
)  # fmt: skip
_SCORES = ("claim_id", "score", "p_supervised", "rule_hits", "ring_id", "amount_at_risk", "expected_recovery")
_HITS = (
    "claim_id", "rule", "result", "amount_at_issue", "sentence_zh", "sentence_en", "exemptions_zh",
    "exemptions_en", "line_ids", "snoozed",
)  # fmt: skip


@dataclass
class Content:
    """Rows of a run folder, as far as some suspicions rest on them."""

    run: Run
    suspicions: Rows
    claims: dict[str, dict[str, Any]]
    facts: dict[str, dict[str, Any]]
    hits: dict[str, Rows]
    names: Mapping[str, tuple[str, str]]
    regions: dict[str, str]
    details: Details
    rings: dict[str, Rows]

    def placed(self, claim_id: str) -> dict[str, Any]:
        """Facts of a claim with the regions of its institution and its insured person, where known."""
        facts = self.facts.get(claim_id, {})
        told = {"region": f"institution:{facts.get('institution_id')}",
                "insured_region": f"patient:{facts.get('patient_id')}"}  # fmt: skip
        return facts | {name: self.regions[key] for name, key in told.items() if key in self.regions}


@dataclass
class RunContents:
    """A run folder, read in columns.

    Attributes
    ----------
    folder : Path
    run : Run
    names : mapping
        Rule code → name and clause.
    claims, hits, facts : Keyed or None
        Scores, rule hits and facts of evidence claims, by claim.
    regions : mapping
        ``institution:ID`` or ``patient:ID`` → region.
    tables : DetailTables
    rings : Keyed or None
        Claims of listed rings.
    drawn : set of str
        Claims drawn at random.
    beside : list of dict
        Those of them that the list does not rank, as suspicions.
    groups : list of dict
        Groups of odd claims that no label explains.
    contest : dict
        What the challenger made of the month; empty without one.
    """

    folder: Path
    run: Run
    names: Mapping[str, tuple[str, str]]
    claims: Keyed
    hits: Keyed
    facts: Keyed | None = None
    regions: dict[str, str] = field(default_factory=dict)
    tables: DetailTables = field(default_factory=DetailTables)
    rings: Keyed | None = None
    drawn: set[str] = field(default_factory=set)
    beside: Rows = field(default_factory=list)
    groups: Rows = field(default_factory=list)
    contest: dict[str, Any] = field(default_factory=dict)

    def of_claims(self, claim_ids: Iterable[str]) -> Content:
        """What there is of some claims that no suspicion may rest on."""
        rows = [{"subject_kind": "claim", "subject_id": c, "evidence_claim_ids": [c]} for c in claim_ids]
        return self._part(rows)

    def parts(self) -> Iterator[Content]:
        """The list in its order, part by part, and what was drawn beside it."""
        columns = [c.name for c in RUN_TABLES["suspicions"]]
        with pq.ParquetFile(self.folder / "suspicions.parquet") as file:
            for batch in file.iter_batches(PART, columns=columns):
                rows = batch.to_pylist()
                if self.drawn:
                    mark_drawn(rows, self.drawn)
                yield self._part(rows)
        for start in range(0, len(self.beside), PART):
            yield self._part(self.beside[start : start + PART])

    def _part(self, suspicions: Rows) -> Content:
        wanted = [claim for s in suspicions for claim in s["evidence_claim_ids"]]
        claims = {claim: rows[-1] for claim, rows in self.claims.rows(wanted).items()}
        told = self.facts.rows(wanted) if self.facts is not None else {}
        facts = {
            claim: {k: _plain(v) for k, v in rows[-1].items() if k != "claim_id"}
            for claim, rows in told.items()
        }
        subjects = subjects_of(suspicions, facts)
        rings = self.rings.rows(subjects.get("ring", ())) if self.rings is not None else {}
        details = self.tables.part(wanted, subjects)
        hits = self.hits.rows(wanted)
        return Content(self.run, suspicions, claims, facts, hits, self.names, self.regions, details, rings)


def read_contents(
    folder: Path, run: Run, names: Mapping[str, tuple[str, str]], dataset: Path | None
) -> RunContents:
    """Read a run folder and, if it is given, the dataset that it was made from.

    Raises
    ------
    DataError
        The dataset has no claims.
    """
    list_ = pq.read_table(
        folder / "suspicions.parquet", columns=["subject_kind", "subject_id", "evidence_claim_ids"]
    )
    listed = {kind: _subjects(list_, kind) for kind in ("claim", "ring")}
    drawn, beside = drawn_beside(
        set(listed["claim"].to_pylist()), len(list_), folder, run.fingerprint, run.month
    )
    evidence = pc.list_flatten(list_["evidence_claim_ids"]).cast(pa.string())
    groups, contest = _learnt(folder, "new_schemes.json", []), _learnt(folder, "challenger.json", {})
    learnt = [*(c for g in groups for c in g["claim_ids"]), *strongest(contest)]
    more = pa.array([*(r["subject_id"] for r in beside), *learnt], pa.string())
    wanted = pc.unique(pa.chunked_array([*evidence.chunks, more]))
    found = RunContents(
        folder, run, names,
        Keyed(_chosen(folder / "claims_scored.parquet", _SCORES, wanted), "claim_id"),
        Keyed(_chosen(folder / "rule_hits.parquet", _HITS, wanted), "claim_id"),
        rings=ring_claims(folder, listed["ring"]), drawn=drawn, beside=beside, groups=groups, contest=contest,
    )  # fmt: skip
    if dataset is not None:
        facts = _facts(dataset, wanted)
        subjects = {
            kind: _subjects(list_, kind).to_pylist() for kind in ("doctor", "department", "institution")
        }
        subjects["patient"] = [
            *_subjects(list_, "patient").to_pylist(),
            *_insured(facts, [*listed["claim"].to_pylist(), *more.to_pylist()]),
        ]
        found.facts, found.regions = Keyed(facts, "claim_id"), _regions(dataset)
        found.tables = read_tables(dataset, run.month, wanted, subjects)
    return found


def _learnt(folder: Path, name: str, absent: Any) -> Any:
    """A JSON file of the run, where its manifest names one."""
    named = {o["name"] for o in (read_manifest(folder) or {}).get("outputs", ())}
    return json.loads((folder / name).read_text(encoding="utf-8")) if name in named else absent


def strongest(contest: Mapping[str, Any]) -> list[str]:
    """Strongest claims of the examples that only one of two models lists."""
    sides = (contest.get(side, {}) for side in ("champion", "challenger"))
    return [e["strongest_claim"] for side in sides for e in side.get("only", {}).get("examples", ())]


def _subjects(list_: pa.Table, kind: str) -> pa.Array:
    own = list_.filter(pc.equal(list_["subject_kind"], kind))["subject_id"].cast(pa.string())
    return pc.unique(own)


def _insured(facts: pa.Table, claims: list[str]) -> list[str]:
    """Insured persons of some claims."""
    if "patient_id" not in facts.column_names:
        return []
    own = facts.filter(pc.is_in(facts["claim_id"].cast(pa.string()), value_set=pa.array(claims, pa.string())))
    return [str(p) for p in pc.unique(own["patient_id"]).to_pylist() if p]


def _chosen(path: Path, columns: tuple[str, ...], claim_ids: pa.Array) -> pa.Table:
    """Rows of a table of claims, of these claims only."""
    have = pq.ParquetDataset(path).schema.names
    filters = pc.field("claim_id").isin(claim_ids)
    return pq.read_table(path, columns=[c for c in columns if c in have], filters=filters)


def _facts(dataset: Path, claim_ids: pa.Array) -> pa.Table:
    path = dataset / "claims.parquet"
    if not path.exists():
        raise DataError(f"{dataset}: no claims.parquet. Give the dataset folder that the run was made from.")
    known = [c.name for c in TABLES["claims"]]
    return _chosen(path, ("claim_id", *(c for c in _FACTS if c in known)), claim_ids)


def _regions(dataset: Path) -> dict[str, str]:
    """Region of each institution and insured person, keyed ``institution:ID`` and ``patient:ID``."""
    found: dict[str, str] = {}
    for kind in ("institution", "patient"):
        path, key = dataset / f"{kind}s.parquet", f"{kind}_id"
        if not path.exists() or "region" not in pq.ParquetDataset(path).schema.names:
            continue
        table = pq.read_table(path, columns=[key, "region"])
        pairs = zip(table[key].to_pylist(), table["region"].to_pylist(), strict=True)
        found |= {f"{kind}:{code}": region for code, region in pairs if region}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes")
    return cents(value) if isinstance(value, Decimal) else value
