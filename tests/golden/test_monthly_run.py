"""A month of the committed sample, from files to list. Set UPDATE_GOLDEN=1 to accept a change on purpose."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq

from tests.conftest import MONTH, NEXT

KEPT = Path(__file__).parent / "monthly_run.json"
SHOWN = 15


def told(folder: Path) -> dict[str, object]:
    """What a person would notice if it changed: totals, and the head of the list."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    listed = pq.read_table(folder / "suspicions.parquet").to_pylist()
    totals = {name: round(value, 2) for name, value in manifest["totals"].items()}
    head = [
        {
            "subject": f"{row['subject_kind']} {row['subject_id']}",
            "score": round(row["score"], 3),
            "amount_at_risk": str(row["amount_at_risk"]),
            "status": row["status_vs_last_month"],
            "reason": row["reasons"][0]["sentence_zh"],
            "codes": [reason["code"] for reason in row["reasons"]],
        }
        for row in listed[:SHOWN]
    ]
    return {"totals": totals, "skipped": manifest["skipped"], "list": head}


def test_month_is_as_it_was(scored):
    made = {month: told(scored / month) for month in (MONTH, NEXT)}
    text = json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        KEPT.write_text(text, encoding="utf-8")
    assert text.splitlines() == KEPT.read_text(encoding="utf-8").splitlines()
