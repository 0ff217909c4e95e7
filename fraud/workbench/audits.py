"""Decisions in the contract's ``audits`` form: the labels that training reads."""

import csv
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.db.models import F, QuerySet
from django.utils import timezone

from fraud.errors import UsageError
from fraud.runs import neutral
from fraud.schema import AUDITS
from fraud.workbench import trail
from fraud.workbench.desk import Verdict
from fraud.workbench.models import Account, Case, Evidence
from fraud.workbench.scope import limits
from fraud.workbench.sight import shows

OUTCOMES = {"fraud": "confirmed", "innocent": "cleared"}
"""What a word on a claim makes of it, once its case is decided."""
_BATCH = 500
_Weight = tuple[int, datetime | None, int]


def decisions(
    cases: "QuerySet[Case] | None" = None, account: Account | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of ``audits``, by time of decision: cases a person confirmed or cleared, no others.

    A case gives a row of its subject and one of each evidence claim: what somebody said of the claim,
    else the case's own outcome. A claim that several cases rest on has one row: its own case counts
    first, then what was said of it, then the latest case.

    Parameters
    ----------
    cases : QuerySet of Case, optional
        Cases that may be told; all, where left out.
    account : Account, optional
        Whom they are told to: claims outside of its limits are left out.
    """
    chosen = (Case.objects.all() if cases is None else cases).exclude(outcome="").order_by("decided_at", "id")
    rows: dict[tuple[str, str], list[tuple[_Weight, dict[str, Any]]]] = {}
    decided = list(chosen.iterator(chunk_size=_BATCH))
    claims: dict[tuple[str, str], tuple[_Weight, dict[str, Any]]] = {}
    for start in range(0, len(decided), _BATCH):
        part = decided[start : start + _BATCH]
        said, evidence = newest_words(c.pk for c in part), _evidence(part, account)
        for case in part:
            key = (case.subject_kind, case.subject_id)
            rows.setdefault(key, []).append(((2, case.decided_at, case.pk), _row(case, *key)))
            for claim in evidence.get(case.pk, ()):
                word = said.get((case.pk, claim))
                outcome = OUTCOMES[word] if word else case.outcome
                weight = (1 if word else 0, case.decided_at, case.pk)
                known = claims.get(("claim", claim))
                if known is None or known[0] < weight:
                    claims["claim", claim] = (weight, _row(case, "claim", claim, outcome))
    told = [made for own in rows.values() for made in own]
    told += [made for key, made in claims.items() if key not in rows]
    told.sort(key=lambda made: (made[0][1:], made[1]["subject_kind"] == "claim", made[1]["subject_id"]))
    return (row for _, row in told)


def _row(case: Case, kind: str, subject: str, outcome: str = "") -> dict[str, Any]:
    """A row of ``audits``; what was recovered is told of the case's own subject only."""
    assert case.decided_at is not None
    outcome, own = outcome or case.outcome, kind == case.subject_kind and subject == case.subject_id
    recovered = case.recovered_cents if own else None
    return {
        "subject_kind": kind,
        "subject_id": subject,
        "outcome": outcome,
        "scheme": case.scheme if outcome == "confirmed" and case.scheme else None,
        "recovered_amount": None if recovered is None else Decimal(recovered) / 100,
        "reason": case.source,
        "decided_at": timezone.make_naive(case.decided_at),
    }


def newest_words(cases: Iterable[int]) -> dict[tuple[int, str], str]:
    """What was said last of claims of some cases, by case and claim."""
    own = Verdict.objects.filter(case__in=sorted(cases)).order_by("id")
    found = own.values_list("case", "claim_id", "verdict")
    return {(case, claim): verdict for case, claim, verdict in found}


def _evidence(cases: list[Case], account: Account | None) -> dict[int, list[str]]:
    """Evidence claims by case, of the runs that were published before it was decided."""
    known = Evidence.objects.filter(
        suspicion__case__in=cases, suspicion__run__published_at__lte=F("suspicion__case__decided_at")
    )
    found: dict[int, list[str]] = {}
    if account is not None and limits(account):
        own = {c.pk: c for c in cases}
        for claim in known.select_related("suspicion").order_by("claim_id"):
            case = own[claim.suspicion.case_id]
            told = found.setdefault(case.pk, [])
            if shows(account, case, claim.facts) and claim.claim_id not in told:
                told.append(claim.claim_id)
        return found
    pairs = (
        known.values_list("suspicion__case", "claim_id").distinct().order_by("suspicion__case", "claim_id")
    )
    for case, claim in pairs:
        found.setdefault(case, []).append(claim)
    return found


def export(path: Path, by: str) -> int:
    """Write decisions as Parquet or CSV, beside and then into place.

    Parameters
    ----------
    path : Path
        Ends in ``.parquet`` or ``.csv``.
    by : str
        Who exports.

    Returns
    -------
    int
        Decisions written.

    Raises
    ------
    UsageError
        The file's name has another ending.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise UsageError(f"{path}: write a file that ends in .parquet or .csv.")
    rows = list(decisions())
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows, AUDITS.arrow()), beside)
    else:
        beside.write_text(as_csv(rows), encoding="utf-8-sig", newline="")
    trail.record(by, "exported", "audits", rows=len(rows))
    os.replace(beside, path)
    return len(rows)


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV text that a spreadsheet runs no formula of."""
    from io import StringIO

    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([c.name for c in AUDITS])
    for row in rows:
        writer.writerow(["" if (v := row[c.name]) is None else neutral(str(v)) for c in AUDITS])
    return out.getvalue()
