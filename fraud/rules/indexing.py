"""Writes the local index of recent history that prescriptions are checked with."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import ibis.expr.types as ir
import pyarrow.dataset as pads

from fraud.features.scope import Engine
from fraud.rules.charges import Facts
from fraud.rules.history import SCHEMA, TABLES
from fraud.rules.master import MASTER_COLUMNS
from fraud.rules.past import ItemText, Packed, Visit, pack
from fraud.schema import month_text, relation

KEPT_DAYS = 400
"""Days of history kept, back from the latest settlement; no window of a rule is longer than a year."""
_ROWS = 50_000
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
    """Patients in order, each with visits and what was charged in them.

    The engine sorts what is told of the patients into files, which are read side by side: of millions of
    patients one is in memory at a time.
    """
    claims, engine = facts.claims, facts.scope.engine
    latest = engine.to_arrow(claims.agg(day=claims.day_in.max()), "history_latest").column("day")[0].as_py()
    recent = claims.filter(claims.day_in >= (latest or 0) - KEPT_DAYS)
    order = ["patient_id", "settled_second", "claim_id"]
    visits = recent.select("patient_id", *_VISIT)
    fills = facts.charges.inner_join(recent.select(*order), "claim_id")
    fills = fills.select(*order, "item", "day", "milli", "supply")
    codes = facts.scope["rule_codes"].inner_join(recent.select(*order), "claim_id").select(*order, "code")
    bought = _Beside(_sorted(engine, "history_fills", fills, [*order, "day", "item"]))
    coded = _Beside(_sorted(engine, "history_codes", codes, [*order, "code"]))
    of_patient = itemgetter(0)
    for patient, seen in groupby(_sorted(engine, "history_visits", visits, order), key=of_patient):
        of_claim: dict[str, list[str]] = {}
        for _, _, claim_id, code in coded.of(patient):
            of_claim.setdefault(claim_id, []).append(code)
        told = [Visit._make((*row[1:], tuple(of_claim.get(row[1], ())))) for row in seen]
        items: dict[ItemText, list[tuple[str, int, int, int]]] = {}
        for _, _, claim_id, number, day, milli, supply in bought.of(patient):
            item = facts.items[number]
            items.setdefault((item.code, item.name, item.category), []).append((claim_id, day, milli, supply))
        yield patient, pack(told, items)


def _sorted(engine: Engine, name: str, table: ir.Table, order: list[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of a table in an order, through a file of the work folder."""
    rows = pads.dataset(engine.materialize(name, table.order_by(order)), format="parquet")
    for batch in rows.to_batches(batch_size=_ROWS, batch_readahead=1, fragment_readahead=1):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


class _Beside:
    """Rows sorted by patient, taken patient by patient."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._groups = groupby(rows, key=itemgetter(0))
        self._next = next(self._groups, None)

    def of(self, patient: str) -> Iterator[tuple[Any, ...]]:
        """Rows of a patient; patients are asked for in order, and none is left out that has rows."""
        if self._next is not None and self._next[0] == patient:
            yield from self._next[1]
            self._next = next(self._groups, None)
