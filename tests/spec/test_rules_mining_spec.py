# ruff: noqa: E501 (tables read better whole)
"""A small town whose items keep to a sex, an age or a diagnosis, but for one source; on both engines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.rules.mining import propose
from fraud.rules.proposals import Proposals
from fraud.schema import TABLES
from fraud.settings import EngineSettings

ENGINES = ["duckdb", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])]


def town() -> dict[str, list[dict[str, object]]]:
    """400 patients, 8 doctors, one pharmacy, six months.

    gynae: women only, but for one man. child: up to ten years of age, but for one adult. pills: for E11,
    but the pharmacy charges it to twelve people with a cold; three more with a cold have had E11 for
    months, which is no exception.
    """
    rows: dict[str, list[dict[str, object]]] = {
        "claims": [], "lines": [], "diagnoses": [],
        "patients": [
            {"patient_id": f"p{i:03d}", "sex": "FM"[i % 2], "birth_date": dt.date(2025 - (i % 80) - 1, 1, 1)}
            for i in range(400)
        ],
        "institutions": [{"institution_id": "h0", "kind": "secondary"}, {"institution_id": "shop", "kind": "pharmacy"}],
        "doctors": [{"doctor_id": f"d{i}", "institution_id": "h0", "specialty": "general"} for i in range(8)],
        "items": [
            {"item_code": c, "name": n, "category": "drug"}
            for c, n in (("gynae", "逍遥丸"), ("child", "小儿药"), ("pills", "降糖药"), ("basic", "诊察费"))
        ],
    }  # fmt: skip

    def claim(
        number: int, patient: int, month: int, group: str, items: list[str], doctor: int | None
    ) -> None:
        name = f"c{number:05d}"
        at = dt.datetime(2025, month, 1 + number % 27, 9)
        rows["claims"].append(
            {
                "claim_id": name, "patient_id": f"p{patient:03d}", "institution_id": "shop" if doctor is None else "h0",
                "doctor_id": None if doctor is None else f"d{doctor}", "visit_type": "outpatient", "started_at": at,
                "diagnosis_code": group, "total_amount": Decimal(100 * len(items)), "fund_amount": Decimal(50),
            }
        )  # fmt: skip
        for i, item in enumerate(items):
            rows["lines"].append(
                {
                    "line_id": f"{name}.{i}", "claim_id": name, "item_code": item, "category": "drug", "quantity": 1.0,
                    "unit_price": 100.0, "amount": Decimal(100),
                }
            )  # fmt: skip

    number = 0
    for patient in range(400):
        diabetic = patient % 4 == 1
        for visit in range(2):
            doctor = (patient + visit) % 8
            items = ["basic"]
            if diabetic:
                items.append("pills")
            if patient % 2 == 0 and patient % 3 == 0:
                items.append("gynae")
            if patient % 80 < 10:
                items.append("child")
            claim(number, patient, 1 + visit, "E11.900" if diabetic else "J06.900", items, doctor)
            number += 1
    claim(number, 3, 4, "J06.900", ["basic", "gynae"], 3)
    claim(number + 1, 50, 4, "J06.900", ["basic", "child"], 4)
    for i in range(12):  # a cold, none of them diabetic
        claim(number + 10 + i, 4 * i, 5, "J06.900", ["pills"], None)
    for i in range(3):  # a cold, diabetics: known from their earlier claims
        claim(number + 30 + i, 4 * i + 1, 5, "J06.900", ["pills"], None)
    return rows


def written(folder: Path, rows: dict[str, list[dict[str, object]]]) -> Path:
    folder.mkdir(parents=True)
    for name, cells in rows.items():
        if cells:
            columns = {k: pa.array([r[k] for r in cells], TABLES[name][k].arrow) for k in cells[0]}
            pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="session")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Proposals]:
    made: dict[str, Proposals] = {}

    def of(engine: str) -> Proposals:
        if engine not in made:
            folder = tmp_path_factory.mktemp(f"mined-{engine}")
            data = written(folder / "data", town())
            with open_engine(EngineSettings(name=engine), folder / "work") as opened:
                opened.open_dataset(data)
                made[engine] = propose(opened, "2025-01", "2025-06", dataset="a town")
        return made[engine]

    return of


@pytest.mark.parametrize("engine", ENGINES)
def test_limits_are_proposed_with_their_exceptions(engine, mined):
    proposals = mined(engine)
    frame = proposals.frame.set_index("id")
    diagnosis = frame.loc["MINED-DIAGNOSIS-pills"]
    assert diagnosis["items"] == "code:pills"
    assert diagnosis["diagnoses"] == "E11"
    assert diagnosis["exceptions"] == 12
    assert diagnosis["exception_amount"] == 120_000
    assert diagnosis["largest_source_share"] == 1.0
    assert diagnosis["rank"] == 1
    sex = frame.loc["MINED-SEX-gynae"]
    assert (sex["sex"], sex["exceptions"]) == ("F", 1)
    assert sex["claim_ids"] == ["c00800"]
    age = frame.loc["MINED-AGE-child"]
    assert (age["min_age"], age["max_age"], age["claim_ids"]) == ("", "13", ["c00801"])
    assert set(frame["q_value"] <= 0.05) == {True}
    assert not frame["items"].eq("code:basic").any()
    assert list(proposals.skipped) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_known_disease_is_no_exception(engine, mined):
    exceptions = mined(engine).exceptions
    own = exceptions[exceptions["id"] == "MINED-DIAGNOSIS-pills"]
    assert own["claim_id"].tolist() == [f"c{810 + i:05d}" for i in range(12)]


@pytest.mark.spark
@pytest.mark.xdist_group("spark")
def test_both_engines_answer_alike(mined):
    one, other = mined("duckdb"), mined("spark")
    assert one.frame.to_csv() == other.frame.to_csv()
    assert one.exceptions.to_csv() == other.exceptions.to_csv()
