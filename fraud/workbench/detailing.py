"""A run's details into the workbench's tables: lines, what falls on whom, the subjects over time."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.db import connection

from fraud.workbench.desk import Portion, PortionSum
from fraud.workbench.details import MOST_LINES, cents, marked_lines, portions, ring_days
from fraud.workbench.keyed import Keyed, Rows
from fraud.workbench.loading import load
from fraud.workbench.models import Case

if TYPE_CHECKING:
    from fraud.workbench.run_contents import Content

_BATCH = 1000


def subjects_of(suspicions: Rows, facts: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    """Whose past is shown: the subjects themselves, and the insured person of a claim."""
    found: dict[str, set[str]] = {}
    for row in suspicions:
        found.setdefault(row["subject_kind"], set()).add(row["subject_id"])
    patients = {str(facts.get(c, {}).get("patient_id") or "") for c in found.get("claim", ())} - {""}
    return {**found, "patient": found.get("patient", set()) | patients}


def ring_claims(folder: Path, listed: pa.Array) -> Keyed | None:
    """Claims of the listed rings, of all months looked at; None where an older run has no such file."""
    path = folder / "ring_claims.parquet"
    if not path.is_file() or not len(listed):
        return None
    return Keyed(pq.read_table(path, filters=pc.field("ring_id").isin(listed)), "ring_id")


def lines_of(content: "Content", evidence: Iterable[tuple[int, str]]) -> Iterator[tuple[Any, ...]]:
    """Lines of evidence claims, given by key and claim, as far as the dataset has them."""
    for key, claim_id in evidence:
        rows = marked_lines(content.details, claim_id, content.hits.get(claim_id, []), content.names)
        if rows:
            odd = sum(bool(r["rules"] or r["dear"]) for r in rows)
            yield key, len(rows), odd, rows[:MOST_LINES]


def timelines_of(content: "Content", keys: Iterable[int]) -> Iterator[tuple[Any, ...]]:
    """The suspicions' subjects over time: a person's claims, everybody else's days."""
    for key, row in zip(keys, content.suspicions, strict=True):
        kind, subject = row["subject_kind"], row["subject_id"]
        rows: list[list[Any]]
        if kind == "ring":
            rows = ring_days(content.rings.get(subject, ()))
        elif kind in ("patient", "claim"):
            patient = subject if kind == "patient" else content.facts.get(subject, {}).get("patient_id")
            rows = content.details.claims.get(str(patient or ""), [])
        else:
            rows = content.details.days.get((kind, subject), [])
        if rows:
            yield key, rows


def replace_portions(content: "Content", cases: Mapping[str, Case], opened: set[str]) -> None:
    """What of each case's newest evidence falls on whom."""
    at_risk = {c: cents(r["amount_at_risk"]) or 0 for c, r in content.claims.items()}
    current = {
        row["suspicion_id"]: row for row in content.suspicions
        if (case := cases[row["suspicion_id"]]).month == row["month"] and case.open
    }  # fmt: skip
    ids = [cases[s].pk for s in current if s not in opened]
    for start in range(0, len(ids), _BATCH):
        Portion.objects.filter(case__in=ids[start : start + _BATCH]).delete()
    made = (
        (cases[s].pk, kind, code, name, claims, sum_)
        for s, row in current.items()
        for kind, code, name, claims, sum_ in portions(
            row["evidence_claim_ids"], content.facts, at_risk, content.details
        )
    )
    load(Portion, ("case_id", "kind", "code", "name", "claims", "cents"), made)


def add_portions(cases: list[int]) -> None:
    """Add what cases that were just opened fall on to the sums over all cases."""
    sums, portions = PortionSum._meta.db_table, Portion._meta.db_table
    marks = ", ".join(["%s"] * len(cases))
    added = ", ".join(f"{n} = {sums}.{n} + excluded.{n}" for n in ("cases", "claims", "cents"))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {sums} (kind, code, name, cases, claims, cents) "  # noqa: S608
            f"SELECT kind, code, MAX(name), COUNT(*), SUM(claims), SUM(cents) FROM {portions} "
            f"WHERE case_id IN ({marks}) GROUP BY kind, code ON CONFLICT (kind, code) DO UPDATE SET {added}",
            cases,
        )


def sum_portions() -> None:
    """Write the sums over all cases anew; whoever calls holds the trail's head: nobody comes between."""
    sums, portions = PortionSum._meta.db_table, Portion._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {sums}")  # noqa: S608
        cursor.execute(
            f"INSERT INTO {sums} (kind, code, name, cases, claims, cents) "  # noqa: S608
            f"SELECT kind, code, MAX(name), COUNT(*), SUM(claims), SUM(cents) FROM {portions} "
            "GROUP BY kind, code"
        )
