"""Writes the local index of recent history that prescriptions are checked with."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from fraud.rules.charges import Facts
from fraud.rules.history import SCHEMA, TABLES
from fraud.rules.master import MASTER_COLUMNS
from fraud.rules.past import ItemText, Packed, Visit, pack
from fraud.schema import month_text, relation

KEPT_DAYS = 400
"""Days of history kept, back from the latest settlement; no window of a rule is longer than a year."""
_VISIT = (
    "claim_id", "settled_second", "month", "day_in", "day_out", "is_stay", "visit_id", "institution_id",
    "doctor_id", "group",
)  # fmt: skip


def write(facts: Facts, path: Path) -> None:
    """Write the index of the patients of a build, beside and then into place.

    Parameters
    ----------
    facts : Facts
        What `fraud.rules.charges.build` made for the latest month.
    path : Path
    """
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    connection = sqlite3.connect(part)
    try:
        connection.executescript(TABLES)
        for patient, packed in _histories(facts):
            digest.update(repr((patient, *packed)).encode())
            connection.execute("INSERT INTO patient VALUES (?, ?, ?, ?, ?, ?, ?)", (patient, *packed))
        for row in _items(facts):
            digest.update(repr(row).encode())
            connection.execute("INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        until = month_text(max(facts.scope.months))
        told = [("schema", SCHEMA), ("until", until), ("version", digest.hexdigest()[:12])]
        connection.executemany("INSERT INTO fact VALUES (?, ?)", told)
        connection.commit()
    finally:
        connection.close()
    os.replace(part, path)


def _items(facts: Facts) -> Iterator[tuple[Any, ...]]:
    table = relation("items").select(*MASTER_COLUMNS).order_by("item_code")
    for row in facts.scope.engine.to_arrow(table, "history_items").to_pylist():
        yield tuple(row[n] for n in MASTER_COLUMNS)


def _histories(facts: Facts) -> Iterator[tuple[str, Packed]]:
    """Patients in order, each with visits and what was charged in them."""
    claims, charges, engine = facts.claims, facts.charges, facts.scope.engine
    latest = engine.to_arrow(claims.agg(day=claims.day_in.max()), "history_latest").column("day")[0].as_py()
    recent = claims.filter(claims.day_in >= (latest or 0) - KEPT_DAYS)
    visits = recent.select("patient_id", *_VISIT).order_by(["patient_id", "settled_second", "claim_id"])
    fills = charges.inner_join(recent.select("claim_id", "patient_id", "settled_second"), "claim_id")
    fills = fills.select("patient_id", "claim_id", "settled_second", "day", "item", "milli", "supply")
    fills = fills.order_by(["patient_id", "settled_second", "claim_id", "day", "item"])
    codes = facts.scope["rule_codes"]
    codes = codes.semi_join(recent, "claim_id").order_by(["claim_id", "code"])
    of_claim: dict[str, list[str]] = {}
    for row in _rows(engine.to_arrow(codes, "history_codes")):
        of_claim.setdefault(row["claim_id"], []).append(row["code"])
    charged = groupby(_rows(engine.to_arrow(fills, "history_fills")), key=lambda r: r["patient_id"])
    patient, own = next(charged, (None, iter(())))
    for who, seen in groupby(_rows(engine.to_arrow(visits, "history_visits")), key=lambda r: r["patient_id"]):
        told = [
            Visit(**{n: v[n] for n in _VISIT}, diagnoses=tuple(of_claim.get(v["claim_id"], ()))) for v in seen
        ]
        bought: dict[ItemText, list[tuple[str, int, int, int]]] = {}
        if patient == who:
            for f in own:
                item = facts.items[f["item"]]
                rows = bought.setdefault((item.code, item.name, item.category), [])
                rows.append((f["claim_id"], f["day"], f["milli"], f["supply"]))
            patient, own = next(charged, (None, iter(())))
        yield who, pack(told, bought)


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=50_000):
        yield from batch.to_pylist()
