"""Who meets whom: small tables, both engines."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.rings import meetings, visits
from fraud.rings.meetings import VIEWS
from fraud.rings.stages import observe
from fraud.schema import TABLES, month_number
from fraud.settings import EngineSettings

FIRST = month_number("2025-01")
VIEW = {v.name: v for v in VIEWS}

# patient, place, department, start, visit type, amount, invoice (bills from elsewhere only)
CLAIMS = """
p1 shop   -    2025-01-06T10:00:01 pharmacy   300 -
p2 shop   -    2025-01-06T10:04:01 pharmacy   300 -
p1 shop   -    2025-01-20T15:00:01 pharmacy   300 -
p2 shop   -    2025-01-20T15:03:01 pharmacy   300 -
p1 shop   -    2025-02-03T09:30:01 pharmacy   300 -
p2 shop   -    2025-02-03T09:31:01 pharmacy   300 -
p3 shop   -    2025-01-06T18:00:01 pharmacy   300 -
p4 shop   -    2025-01-07T10:00:01 pharmacy   300 -
p5 clinic gp   2025-01-08T10:00:01 outpatient 100 -
p6 clinic gp   2025-01-08T10:50:01 outpatient 100 -
p7 ward   card 2025-01-10T09:00:01 inpatient 9000 -
p8 ward   card 2025-01-11T09:00:01 inpatient 9000 -
p9 ward   card 2025-01-20T09:00:01 inpatient 9000 -
pa far    card 2025-01-09T09:00:01 outpatient 2000 0900001
pb far    card 2025-01-19T09:00:01 outpatient 2100 0900003
pc far    card 2025-02-09T09:00:01 outpatient 2200 0100000
"""


def _write(folder: Path, text: str) -> Path:
    rows = [line.split() for line in text.split("\n") if line.strip()]
    claims = []
    for number, (patient, place, ward, start, kind, amount, invoice) in enumerate(rows):
        begin = dt.datetime.fromisoformat(start)
        stay = kind == "inpatient"
        claims.append(
            {
                "claim_id": f"c{number:02d}",
                "patient_id": patient,
                "institution_id": place,
                "department_id": None if ward == "-" else ward,
                "visit_type": kind,
                "started_at": begin,
                "ended_at": begin + dt.timedelta(days=6 if stay else 0),
                "total_amount": Decimal(amount),
                "fund_amount": Decimal(amount) / 2,
                "invoice_no": None if invoice == "-" else invoice,
                "out_of_region": invoice != "-",
            }
        )
    schema = pa.schema([f for f in TABLES["claims"].arrow() if f.name in claims[0]])
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(claims, schema=schema), folder / "claims.parquet")
    return folder


@pytest.fixture(
    scope="module",
    params=["duckdb", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])],
)
def scope(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    with open_engine(EngineSettings(name=request.param), folder / "work") as engine:
        engine.open_dataset(_write(folder / "town", CLAIMS))
        period = visits.Period(engine, (FIRST, FIRST + 1))
        visits.build(period)
        yield period


def _pairs(scope: visits.Period, view: str) -> dict[tuple[str, str], dict[str, float]]:
    found = meetings.pairs(scope, VIEW[view])
    frame = scope.engine.to_arrow(found).to_pandas()
    ids = scope.engine.to_arrow(scope["ring_persons"]).to_pandas().set_index("person")["patient_id"]
    return {(ids[r["a"]], ids[r["b"]]): r for r in frame.to_dict("records")}


def test_people_at_one_counter_within_half_an_hour_meet(scope):
    pairs = _pairs(scope, "minutes")
    assert set(pairs) == {("p1", "p2")}
    assert pairs["p1", "p2"]["meetings"] == 3
    # Eight entries, three neighbouring pairs: 2 · 3 · 3 · 3 / 8².
    assert pairs["p1", "p2"]["expected"] == pytest.approx(54 / 64)


def test_patients_admitted_and_discharged_together_meet(scope):
    assert set(_pairs(scope, "stay")) == {("p7", "p8")}


def test_invoices_of_one_book_meet(scope):
    pairs = _pairs(scope, "invoice")
    assert set(pairs) == {("pa", "pb")}
    # Three numbers over 800,004: a gap of two is rarer than the smallest chance that is told apart.
    assert pairs["pa", "pb"]["expected"] == pytest.approx(0.0001)


def test_ties_know_who_came_and_left_with_them(tmp_path):
    text = """
p1 ward  card 2025-01-10T09:00:01 inpatient 9000 -
p2 ward  card 2025-01-10T09:30:01 inpatient 9000 -
p3 ward  card 2025-01-11T09:30:01 inpatient 9000 -
p1 shop  -    2025-01-12T10:00:01 pharmacy   300 -
p2 shop  -    2025-01-20T10:00:01 pharmacy   300 -
"""
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(_write(tmp_path / "town", text))
        period = observe(engine, FIRST, FIRST)
        ties = engine.to_arrow(period["ring_ties"]).to_pandas().set_index(["person", "place"]).sort_index()
    shop, ward = 0, 1
    assert ties.loc[[(0, ward), (1, ward), (2, ward)], "out_day"].tolist() == [1, 1, 0]
    assert ties["out_day"].isna().loc[(0, shop)]  # nobody stays at a shop
    assert ties.loc[(0, ward), "meanwhile"] == 1  # p1 lay in bed and was seen at the shop
    assert ties["meanwhile"].sum() == 1
    assert ties["doctor_day"].isna().all()


def test_a_dataset_of_claims_alone_is_enough(tmp_path):
    text = "\n".join(
        f"p{i % 7} shop - 2025-01-{1 + i // 7:02d}T10:00:{i % 60:02d} pharmacy 90 -" for i in range(1, 90)
    )
    with open_engine(EngineSettings(), tmp_path / "work") as engine:
        engine.open_dataset(_write(tmp_path / "town", text))
        period = observe(engine, FIRST, FIRST)
        ties = engine.to_arrow(period["ring_ties"]).to_pandas()
    assert len(ties) == 7
    assert ties["operators"].isna().all()


def test_claims_after_the_last_month_change_nothing(tmp_path):
    later = (
        CLAIMS
        + "p1 shop - 2025-03-03T10:00:01 pharmacy 9999 -\np3 shop - 2025-03-03T10:01:01 pharmacy 9999 -\n"
    )
    ties = []
    for name, text in (("now", CLAIMS), ("later", later)):
        with open_engine(EngineSettings(), tmp_path / name / "work") as engine:
            engine.open_dataset(_write(tmp_path / name / "town", text))
            period = observe(engine, FIRST, FIRST + 1)
            ties.append(engine.to_arrow(period["ring_ties"]).to_pandas().sort_values(["person", "place"]))
    pd.testing.assert_frame_equal(ties[0].reset_index(drop=True), ties[1].reset_index(drop=True))
