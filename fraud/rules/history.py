"""The local index of recent history: what window rules must know of a patient, by patient.

SQLite, one file, read-only where prescriptions are checked. The monthly run writes it beside and moves it
into place, so that a reader sees the old one or the new one.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from fraud.errors import DataError
from fraud.rules.charges import MASTER_COLUMNS, Facts, Master, limit_rows
from fraud.rules.encounter import NOTHING, Fill, History, Visit
from fraud.rules.vocabulary import Item
from fraud.schema import month_text

SCHEMA = "4"
_TABLES = """
CREATE TABLE patient (patient_id TEXT PRIMARY KEY, history TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE item (item_code TEXT PRIMARY KEY, name TEXT, category TEXT, drug_class TEXT, days_per_unit REAL,
                   price_limit INTEGER, sex_limit TEXT, min_age REAL, max_age REAL) WITHOUT ROWID;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
_VISIT = (
    "claim_id", "settled_second", "day_in", "day_out", "is_stay", "visit_id", "institution_id", "group",
    "month", "doctor_id",
)  # fmt: skip
KEPT_DAYS = 400
"""Days of history kept, back from the latest settlement; no window of a rule is longer than a year."""


class HistoryIndex:
    """Histories of patients from an index that `write` made.

    Parameters
    ----------
    path : Path

    Raises
    ------
    DataError
        There is no such file, or it was written by another version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise DataError(f"{self.path.name}: no such history index. Run fraud score, which writes it.")
        self._connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, check_same_thread=False)
        try:
            facts = dict(self._connection.execute("SELECT name, value FROM fact"))
        except sqlite3.DatabaseError:
            facts = {}
        if facts.get("schema") != SCHEMA:
            self._connection.close()
            raise DataError(f"{self.path.name}: no history index of this version. Run fraud score again.")
        self.version, self.until = str(facts["version"]), str(facts["until"])

    def of(self, patient_id: str) -> History:
        """History of a patient; empty where none is known."""
        row = self._connection.execute(
            "SELECT history FROM patient WHERE patient_id = ?", (patient_id,)
        ).fetchone()
        if row is None:
            return NOTHING
        visits, items, fills = from_json(row[0])
        told = []
        for number, day, item, milli, supply in fills:
            v = visits[number]
            code, name, category = items[item]
            told.append(
                Fill(v[0], v[1], v[8], v[2], day, code, name, category, milli, supply, v[6], v[9], bool(v[4]))
            )
        return History(
            tuple(told),
            tuple(
                [Visit(v[0], v[1], v[2], v[3], bool(v[4]), v[5], v[6], v[7], tuple(v[10])) for v in visits]
            ),
        )

    def master(self) -> Master:
        """The item master of the dataset the index was made from."""
        items, days, prices = {}, {}, {}
        limits: dict[tuple[Any, Any, Any], list[str]] = {}
        rows = self._connection.execute("SELECT * FROM item ORDER BY item_code")
        for code, name, category, drug_class, per_unit, price, sex, low, high in rows:
            items[code] = Item(code, name or "", category or "", drug_class or "")
            if per_unit:
                days[code] = per_unit
            if price:
                prices[code] = price
            if any(v not in (None, "") for v in (sex, low, high)):
                limits.setdefault((sex, low, high), []).append(code)
        return Master(items, days, prices, tuple(limit_rows(limits)))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


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
        connection.executescript(_TABLES)
        for patient, text in _histories(facts):
            digest.update(f"{patient}\x1f{text}\n".encode())
            connection.execute("INSERT INTO patient VALUES (?, ?)", (patient, text))
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
    from fraud.schema import relation

    table = relation("items").select(*MASTER_COLUMNS).order_by("item_code")
    for row in facts.scope.engine.to_arrow(table, "history_items").to_pylist():
        yield tuple(row[n] for n in MASTER_COLUMNS)


def _histories(facts: Facts) -> Iterator[tuple[str, str]]:
    """Patients in order, each with visits, items and fills (by place of visit and item) as JSON."""
    claims, charges, engine = facts.claims, facts.charges, facts.scope.engine
    latest = engine.to_arrow(claims.agg(day=claims.day_in.max()), "history_latest").column("day")[0].as_py()
    recent = claims.filter(claims.day_in >= (latest or 0) - KEPT_DAYS)
    visits = recent.select(
        "patient_id",
        "claim_id",
        "settled_second",
        "day_in",
        "day_out",
        "is_stay",
        "visit_id",
        "institution_id",
        "group",
        "month",
        "doctor_id",
    ).order_by(["patient_id", "settled_second", "claim_id"])
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
        told = [[*(v[n] for n in _VISIT), of_claim.get(v["claim_id"], [])] for v in seen]
        place = {v[0]: n for n, v in enumerate(told)}
        items: dict[Item, int] = {}
        bought: list[list[int]] = []
        if patient == who:
            for f in own:
                item = items.setdefault(facts.items[f["item"]], len(items))
                bought.append([place[f["claim_id"]], f["day"], item, f["milli"], f["supply"]])
            patient, own = next(charged, (None, iter(())))
        names = [(i.code, i.name, i.category) for i in items]
        yield who, json.dumps([told, names, bought], ensure_ascii=False, separators=(",", ":"))


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=50_000):
        yield from batch.to_pylist()
