"""What counts as belonging, what is written, and data that lacks what a context needs."""

from __future__ import annotations

import csv
import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.errors import UsageError
from fraud.rules.association import (
    BOTH,
    Counts,
    belonging,
    false_discovery,
    observed_expected,
    ratio_upper,
    share_lower,
)
from fraud.rules.mining import propose
from fraud.rules.proposals import COLUMNS, Proposals, limit_cells, write
from fraud.schema import TABLES
from fraud.settings import EngineSettings


def judged(**values: list[float]) -> pd.DataFrame:
    """One item's values: observed, expected, others, others_expected."""
    names = ["observed", "expected", "others", "others_expected"]
    rows = [{"item": "x", "value": k, **dict(zip(names, v, strict=True))} for k, v in values.items()]
    return pd.DataFrame(rows)


def test_a_value_that_one_source_alone_makes_up_does_not_belong():
    table = judged(
        E11=[90, 10, 80, 9],  # everybody's
        J06=[40, 20, 0, 18],  # forty charges of one shop with a cold that others treat without it
        Z94=[5, 0.1, 0, 0.0],  # one doctor is the only one who sees it at all
        A09=[1, 20, 1, 19],  # seen, far too seldom
    )
    assert belonging(table, "diagnosis")["value"].tolist() == ["E11", "Z94"]


def test_the_sex_is_the_one_over_represented():
    table = judged(F=[399, 208, 300, 150], M=[1, 192, 0, 190])
    assert belonging(table, "sex")["value"].tolist() == ["F"]


def test_an_age_limit_leaves_the_thin_end_of_an_ordinary_spread_inside():
    years = np.arange(121)
    spread = np.round(400 * np.exp(-0.5 * ((years - 70) / 8) ** 2))
    spread[5] = 1
    table = pd.DataFrame(
        {"item": "x", "value": [f"{y:03d}" for y in years], "observed": spread, "expected": spread.mean()}
    )
    kept = belonging(table, "age")["value"].astype(int)
    assert 5 not in set(kept)
    outside = spread.sum() - spread[kept.min() : kept.max() + 1].sum()
    assert outside <= 1 + 0.001 * spread.sum()


def test_expected_follows_the_stratum():
    """An item of stays is compared with stays: 40 of 50 stays have K80, so 40 of its 50 uses are no news."""
    fold = {"fold": 0}
    counts = Counts(
        uses=pd.DataFrame([{"item": "x", "stratum": "inpatient", "value": "K80", **fold, "n": 40}]),
        totals=pd.DataFrame([{"item": "x", "stratum": "inpatient", **fold, "n": 50}]),
        base=pd.DataFrame(
            [
                {"stratum": "inpatient", "value": "K80", **fold, "n": 400},
                {"stratum": "outpatient", "value": "K80", **fold, "n": 10},
            ]
        ),
        base_totals=pd.DataFrame(
            [{"stratum": "inpatient", **fold, "n": 500}, {"stratum": "outpatient", **fold, "n": 9000}]
        ),
        largest=pd.DataFrame(
            [
                {
                    "item": "x",
                    "value": "K80",
                    "n0": 4,
                    "n1": 0,
                    "n2": 4,
                    "away0": 0.9,
                    "away1": 1.0,
                    "away2": 0.9,
                }
            ]
        ),
    )
    (row,) = observed_expected(counts, BOTH).to_dict("records")
    assert row["expected"] == pytest.approx(40.0)
    assert row["others"] == 36
    assert row["others_expected"] == pytest.approx(40.0 * 0.9 * 46 / 50)


def test_bounds_tighten_with_evidence():
    assert ratio_upper(np.array([0, 0]), np.array([1.0, 100.0])).round(3).tolist() == [1.28, 0.019]
    assert share_lower(np.array([9, 900]), np.array([10, 1000])).round(3).tolist() == [0.606, 0.883]


def test_false_discovery_is_over_everything_tested():
    q = false_discovery(np.array([0.001, *[1.0] * 99]))
    assert q[0] == pytest.approx(0.1)
    assert len(false_discovery(np.zeros(0))) == 0


@pytest.mark.parametrize(
    ("context", "values", "expected"),
    [
        ("sex", ("F",), {"sex": "F"}),
        ("age", tuple(f"{y:03d}" for y in range(60, 121)), {"min_age": "60"}),
        ("age", tuple(f"{y:03d}" for y in range(14)), {"max_age": "13"}),
        ("diagnosis", ("E10", "E11"), {"diagnoses": "E10|E11"}),
        ("visit_type", ("inpatient",), {"visit_types": "inpatient"}),
    ],
)
def test_limits_are_cells_of_a_knowledge_row(context, values, expected):
    assert {k: v for k, v in limit_cells(context, values).items() if v} == expected


def proposals() -> Proposals:
    rows = []
    for i, (context, cells) in enumerate((("sex", {"sex": "F"}), ("diagnosis", {"diagnoses": "E11"}))):
        row = {
            **dict.fromkeys(COLUMNS, ""),
            **cells,
            "id": f"MINED-{i}",
            "items": "code:a,b",
            "context": context,
        }
        rows.append(row | {"claim_ids": ["c1", "c2"], "note_zh": "“药”, 例外", "note_en": "note"})
    return Proposals(pd.DataFrame(rows), pd.DataFrame(), 9, {}, "city")


def test_rows_are_written_as_knowledge_tables(tmp_path):
    paths = write(proposals(), tmp_path / "mined")
    assert [p.name for p in paths] == ["item_limits.csv", "indications.csv", "evidence.csv"]
    with paths[1].open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["items"], row["diagnoses"], row["note_zh"]) == ("code:a,b", "E11", "“药”, 例外")
    assert row["source"] == "mined from city, not official"
    assert not list((tmp_path / "mined").glob("*.part"))


def test_written_rows_load_as_knowledge(tmp_path):
    knowledge = pytest.importorskip("fraud.rules.knowledge")
    for path in write(proposals(), tmp_path / "mined")[:2]:
        rows, problems = knowledge.parse_table(path)
        assert problems == []
        assert len(rows) == 1


def test_rows_an_expert_may_have_edited_are_not_replaced(tmp_path):
    write(proposals(), tmp_path)
    with pytest.raises(UsageError, match="evidence.csv, indications.csv, item_limits.csv is there already"):
        write(proposals(), tmp_path)


def dataset(folder: Path, lines: bool) -> Path:
    """Claims of a hospital that says little: no patients, doctors, departments, institutions, diagnoses."""
    n = 80
    tables = {
        "claims": {
            "claim_id": [f"c{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in range(n)],
            "institution_id": [f"h{i % 4}" for i in range(n)],
            "visit_type": ["inpatient" if i % 2 else "outpatient" for i in range(n)],
            "started_at": [dt.datetime(2025, 1 + i % 6, 3) for i in range(n)],
            "total_amount": [Decimal(100)] * n,
            "fund_amount": [Decimal(50)] * n,
        }
    }
    if lines:
        tables["lines"] = {
            "line_id": [f"l{i}" for i in range(n)],
            "claim_id": [f"c{i}" for i in range(n)],
            "item_code": ["bed" if i % 2 else "visit" for i in range(n)],
            "category": ["other"] * n,
            "quantity": [1.0] * n,
            "unit_price": [100.0] * n,
            "amount": [Decimal(100)] * n,
        }
    folder.mkdir()
    for name, cells in tables.items():
        arrays = [pa.array(v, TABLES[name][k].arrow) for k, v in cells.items()]
        pq.write_table(pa.table(arrays, names=list(cells)), folder / f"{name}.parquet")
    return folder


def test_contexts_the_data_lacks_are_named(tmp_path):
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(dataset(tmp_path / "data", lines=True))
        mined = propose(engine, "2025-01", "2025-06")
    assert sorted(mined.skipped) == ["age", "diagnosis", "institution_kind", "sex", "specialty"]
    assert mined.skipped["diagnosis"] == "the dataset has no claims.diagnosis_code or diagnoses.code"
    assert mined.tested == 2
    assert list(mined.frame.columns) == list(COLUMNS)
    assert len(mined.frame) == 0  # beds only in stays: a limit, but nothing breaks it
    assert write(mined, tmp_path / "mined") == []


def test_without_lines_and_with_months_the_wrong_way_round(tmp_path):
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(dataset(tmp_path / "data", lines=False))
        with pytest.raises(UsageError) as error:
            propose(engine, "2025-06", "2025-01")
    assert len(error.value.problems) == 2
    assert "no lines table" in error.value.problems[0]


def test_months_without_charges_propose_nothing(tmp_path):
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(dataset(tmp_path / "data", lines=True))
        mined = propose(engine, "2031-01", "2031-02")
    assert mined.skipped["visit_type"] == "no charge of these months has a usable claims.visit_type"
    assert (mined.tested, len(mined.frame), len(mined.exceptions)) == (0, 0, 0)
