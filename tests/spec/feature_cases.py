# ruff: noqa: E501 (tables read better whole)
"""Readable tables in, features out, on both engines.

Each case is a few text tables. All cases of the session become one dataset (ids carry the case's
name, so cases do not meet), which is built once per engine; a case then looks at its own rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.schema import TABLES, month_number
from fraud.settings import EngineSettings

MONTH = month_number("2026-03")
OWN = {
    "claim_id", "visit_id", "patient_id", "institution_id", "department_id", "doctor_id", "operator_id",
    "item_code", "trace_code", "household_id", "employer_id", "phone", "address", "line_id",
}  # fmt: skip
DEFAULTS: dict[str, dict[str, str]] = {
    "claims": {
        "visit_type": "outpatient",
        "total_amount": "100.37",
        "fund_amount": "70.00",
        "institution_id": "h1",
    },
    "lines": {"category": "drug", "quantity": "1", "unit_price": "10", "amount": "10"},
    "diagnoses": {"position": "1"},
    "items": {"category": "drug", "name": "n"},
    "institutions": {"kind": "secondary"},
}


@dataclass(frozen=True)
class Case:
    """Text tables, and the features expected of some rows."""

    name: str
    tables: dict[str, str]
    expect: str
    entity: str = "claim"


def rows_of(text: str) -> list[dict[str, str | None]]:
    """Rows of a text table: a header line, then one line per row; ``-`` is NULL."""
    lines = [line.split() for line in text.strip().splitlines()]
    for line in lines:
        assert len(line) == len(lines[0]), f"row and header differ: {line}"
    return [{k: None if v == "-" else v for k, v in zip(lines[0], line, strict=True)} for line in lines[1:]]


def dataset_rows(case: Case) -> dict[str, list[dict[str, str | None]]]:
    """Rows of a case with defaults filled and ids made its own; masters are made where absent."""
    found: dict[str, list[dict[str, str | None]]] = {}
    for table, text in case.tables.items():
        rows = rows_of(text)
        for i, row in enumerate(rows):
            row |= {k: v for k, v in DEFAULTS.get(table, {}).items() if k not in row}
            if table == "lines":
                row.setdefault("line_id", str(i))
            for column in OWN & set(row):
                if row[column] not in (None, "0000"):
                    row[column] = f"{case.name}.{row[column]}"
        found[table] = rows
    for table, key in (("patients", "patient_id"), ("institutions", "institution_id")):
        seen = {r[key] for r in found.get(table, [])}
        for one in sorted({r[key] for r in found["claims"]} - seen):
            found.setdefault(table, []).append({key: one, **DEFAULTS.get(table, {})})
    return found


def cast(value: str | None, kind: str) -> object:
    """Value of a text cell."""
    if value is None:
        return None
    casts = {
        "timestamp": datetime.fromisoformat, "date": date.fromisoformat, "amount": Decimal, "float": float,
        "int": int, "bool": lambda v: v == "yes", "list": lambda v: [] if v == "none" else v.split(","),
    }  # fmt: skip
    return casts.get(kind, str)(value)


def write_dataset(folder: Path, rows: dict[str, list[dict[str, str | None]]]) -> Path:
    """Write rows as a dataset folder with every column of the contract."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in TABLES.items():
        if name == "audits":
            continue
        cells = {c.name: [cast(r.get(c.name), c.kind) for r in rows.get(name, [])] for c in table}
        arrays = [pa.array(cells[c.name], c.arrow) for c in table]
        pq.write_table(pa.table(arrays, schema=table.arrow()), folder / f"{name}.parquet")
    return folder


def crowd(seed: int, claims: int = 240, months: int = 3) -> dict[str, list[dict[str, str | None]]]:
    """An ordinary population, so that medians and peer groups are those of many."""
    random = np.random.default_rng(seed)
    kinds = ["secondary", "primary"]
    found: dict[str, list[dict[str, str | None]]] = {
        "institutions": [{"institution_id": f"H{i}", "kind": kinds[i % 2], "beds": "20", "region": f"R{i % 2}"} for i in range(4)],
        "doctors": [{"doctor_id": f"D{i}", "institution_id": f"H{i // 3}", "specialty": f"S{i % 2}"} for i in range(12)],
        "patients": [
            {"patient_id": f"P{i}", "sex": "MF"[i % 2], "birth_date": f"{1940 + i % 60}-05-17", "household_id": f"HH{i // 2}",
             "phone": f"T{i // 3}", "address": f"A{i // 4}", "insurance_type": "resident", "chronic_certificates": "none"}
            for i in range(50)
        ],
        "items": [
            {"item_code": f"X{i}", "name": "n", "category": "drug" if i % 2 else "exam", "drug_class": f"c{i // 4}" if i % 2 else None,
             "days_per_unit": "7" if i % 2 else None, "price_limit": "30"}
            for i in range(16)
        ],
        "claims": [], "lines": [], "diagnoses": [],
    }  # fmt: skip
    for i in range(claims):
        stay = random.random() < 0.3
        doctor = int(random.integers(12))
        start = pd.Timestamp("2026-01-01") + pd.Timedelta(minutes=int(random.integers(months * 29 * 1440)))
        end = start + pd.Timedelta(days=int(random.integers(1, 12))) * int(stay)
        settle = end + pd.Timedelta(seconds=int(random.integers(600)))
        lines = int(random.integers(1, 6))
        cents = [int(c) for c in random.integers(500, 9000, lines)]
        sign = -1 if random.random() < 0.03 else 1
        found["claims"].append(
            {"claim_id": f"C{i}", "patient_id": f"P{random.integers(50)}", "institution_id": f"H{doctor // 3}",
             "department_id": f"K{doctor // 3}", "doctor_id": f"D{doctor}", "operator_id": f"O{doctor // 6}",
             "visit_type": "inpatient" if stay else "outpatient", "started_at": start.isoformat(), "ended_at": end.isoformat(),
             "settled_at": settle.isoformat(), "diagnosis_code": ["I10.x", "J18.9", "E11.9"][i % 3],
             "total_amount": f"{sign * sum(cents) / 100:.2f}", "fund_amount": f"{sign * sum(cents) // 2 / 100:.2f}",
             "eligible_amount": f"{sign * sum(cents) / 100:.2f}", "invoice_no": f"{random.integers(9000):06d}", "out_of_region": "yes" if i % 9 == 0 else "no"}
        )  # fmt: skip
        found["diagnoses"] += [
            {"claim_id": f"C{i}", "position": str(j), "code": str(random.choice(["I25", "N18", "M54"]))}
            for j in (1, 2, 3)
        ]
        for j, cent in enumerate(cents):
            code = int(random.integers(16))
            found["lines"].append(
                {"claim_id": f"C{i}", "line_id": f"L{i}.{j}", "item_code": f"X{code}", "category": "drug" if code % 2 else "exam",
                 "quantity": str(sign), "unit_price": str(cent / 100), "amount": f"{sign * cent / 100:.2f}",
                 "charged_at": start.isoformat(), "trace_code": f"t{random.integers(400)}" if code % 2 else None}
            )  # fmt: skip
    return found


CASES: list[Case] = []


def case(name: str, expect: str, entity: str = "claim", **tables: str) -> Case:
    """Make a case and add it to the session's dataset."""
    CASES.append(Case(name, tables, expect, entity))
    return CASES[-1]


@dataclass
class Built:
    """Feature tables of one engine."""

    tables: dict[str, pd.DataFrame]
    columns: dict[str, tuple[str, ...]]

    def check(self, one: Case) -> None:
        """Compare the features a case expects with those built."""
        table = self.tables[one.entity]
        key = f"{one.entity}_id"
        for row in rows_of(one.expect):
            subject = f"{one.name}.{row.pop(key)}"
            found = table[(table[key] == subject) & (table["month"] == MONTH)]
            assert len(found) == 1, f"{subject}: {len(found)} rows"
            got = {k: found[k].iloc[0] for k in row}
            want = {k: np.nan if v is None else float(v) for k, v in row.items()}
            assert got == pytest.approx(want, rel=1e-9, nan_ok=True), subject


def build_all(engine: str, folder: Path) -> Built:
    """Build every case (and a crowd) on an engine."""
    from fraud.features.build import build

    rows = crowd(1)
    for one in CASES:
        for table, more in dataset_rows(one).items():
            rows.setdefault(table, []).extend(more)
    data = write_dataset(folder / "data", rows)
    with open_engine(EngineSettings(name=engine), folder / "work") as opened:
        opened.open_dataset(data)
        made = build(opened, [MONTH], store=folder / "store")
        tables = {k: pd.read_parquet(p) for k, p in made.paths.items()}
    assert not made.skipped
    return Built(tables, made.columns)
