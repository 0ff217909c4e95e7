"""Decisions in the contract's ``audits`` form: the labels that training reads."""

import csv
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.db.models import QuerySet
from django.utils import timezone

from fraud.errors import UsageError
from fraud.runs import neutral
from fraud.schema import AUDITS
from fraud.workbench import trail
from fraud.workbench.models import Case


def decisions(cases: "QuerySet[Case] | None" = None) -> Iterator[dict[str, Any]]:
    """Rows of ``audits``, by time of decision: cases a person confirmed or cleared, no others.

    Parameters
    ----------
    cases : QuerySet of Case, optional
        Cases that may be told; all, where left out.
    """
    chosen = (Case.objects.all() if cases is None else cases).exclude(outcome="").order_by("decided_at", "id")
    for case in chosen.iterator(chunk_size=2000):
        assert case.decided_at is not None
        yield {
            "subject_kind": case.subject_kind,
            "subject_id": case.subject_id,
            "outcome": case.outcome,
            "scheme": case.scheme if case.outcome == "confirmed" and case.scheme else None,
            "recovered_amount": None if case.recovered_cents is None else Decimal(case.recovered_cents) / 100,
            "reason": case.source,
            "decided_at": timezone.make_naive(case.decided_at),
        }


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
