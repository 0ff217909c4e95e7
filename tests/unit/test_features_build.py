# ruff: noqa: E501 (tables read better whole)
"""Datasets that lack columns, and entities asked for alone."""

import datetime as dt
import io
import json
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.features.build import build
from fraud.features.catalog import CATALOG, of_entity
from fraud.schema import TABLES, month_number
from fraud.settings import EngineSettings


@pytest.fixture
def inpatient_only(tmp_path):
    """Stays with diagnoses and patients but no lines, like the public Medicare extract."""
    folder = tmp_path / "data"
    folder.mkdir()
    n = 60
    start = [dt.datetime(2009, 1 + i % 6, 1 + i % 20) for i in range(n)]
    columns = {
        "claims": {
            "claim_id": [f"c{i}" for i in range(n)],
            "patient_id": [f"p{i % 17}" for i in range(n)],
            "institution_id": [f"h{i % 5}" for i in range(n)],
            "doctor_id": [f"d{i % 7}" if i % 11 else None for i in range(n)],
            "visit_type": ["inpatient"] * n,
            "started_at": start,
            "ended_at": [s + dt.timedelta(days=1 + i % 9) for i, s in enumerate(start)],
            "diagnosis_code": [["4019", "25000", "V5789"][i % 3] for i in range(n)],
            "total_amount": [Decimal(1000 * (1 + i % 13)) for i in range(n)],
            "fund_amount": [Decimal(900 * (1 + i % 13)) for i in range(n)],
        },
        "diagnoses": {
            "claim_id": [f"c{i // 2}" for i in range(2 * n)],
            "position": [1 + i % 2 for i in range(2 * n)],
            "code": [["4019", "2724"][i % 2] for i in range(2 * n)],
        },
        "patients": {"patient_id": [f"p{i}" for i in range(17)], "sex": ["M"] * 17, "birth_year": [1930 + i for i in range(17)]},
    }  # fmt: skip
    for name, cells in columns.items():
        arrays = [pa.array(v).cast(TABLES[name][k].arrow) for k, v in cells.items()]
        pq.write_table(pa.table(arrays, names=list(cells)), folder / f"{name}.parquet")
    return folder


def test_inpatient_only(inpatient_only, tmp_path):
    month = month_number("2009-06")
    said = io.StringIO()
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(inpatient_only)
        made = build(
            engine, [month], ("institution",), window_months=6,
            progress=lambda stage, done, total: said.write(json.dumps([stage, done <= total])),
        )  # fmt: skip
    table = pd.read_parquet(made.paths["institution"])
    assert list(made.paths) == ["institution"]
    assert len(table) == 5
    assert table["claims"].sum() == 60
    assert len(made.columns["institution"]) >= 50
    assert "the dataset has no lines.charged_at" in made.skipped["institution_idle_stay_share"]
    assert "institution_stay_mean" in made.columns["institution"]
    assert table["institution_stay_mean"].notna().all()
    assert table["institution_diagnosis_count_mean"].eq(2).all()
    assert table["institution_male_share"].eq(1).all()
    assert "false" not in said.getvalue()
    wrong = [n for n in made.skipped if not CATALOG[n].needs]
    assert not wrong
    assert set(made.columns["institution"]) == set(of_entity("institution")) - set(made.skipped)
