"""Tables made of some months, or some claims, at a time are those made at once."""

import sys
from pathlib import Path

import pandas as pd

from fraud.engines import open_engine
from fraud.features import scope
from fraud.features.build import build
from fraud.schema import month_number
from fraud.settings import EngineSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "spec"))
from feature_cases import crowd, write_dataset  # noqa: E402

MONTHS = [month_number("2026-01") + i for i in range(3)]


def built(folder):
    with open_engine(EngineSettings(), folder / "work") as engine:
        engine.open_dataset(write_dataset(folder / "data", crowd(5, claims=160)))
        made = build(engine, MONTHS, ("claim", "doctor"))
        names = [q["name"] for q in engine.queries]
        return {k: pd.read_parquet(p).sort_values([f"{k}_id", "month"], ignore_index=True)
                for k, p in made.paths.items()}, names  # fmt: skip


def test_one_month_at_a_time(tmp_path, monkeypatch):
    whole, queries = built(tmp_path / "whole")
    assert "fx_amounts_medians" in queries
    monkeypatch.setattr(scope, "AT_ONCE", 1)
    parts, queries = built(tmp_path / "parts")
    assert {"fx_amounts_medians_0", "fx_amounts_medians_2", "fx_doctor_id_mixes_2"} <= set(queries)
    assert {"fx_doctor_joined_2", "fx_doctor_2", "features_claim_2"} <= set(queries)
    for kind, table in whole.items():
        pd.testing.assert_frame_equal(parts[kind], table, check_exact=True)


def test_some_claims_at_a_time(tmp_path, monkeypatch):
    whole, _ = built(tmp_path / "whole")
    monkeypatch.setattr(scope, "ROWS_AT_ONCE", 30)
    monkeypatch.setattr(scope, "LINED_AT_ONCE", 40)
    parts, queries = built(tmp_path / "parts")
    assert {"fx_claim_0", "fx_claim_5", "fx_details_5", "fx_claim_items_3", "fx_bundles_3"} <= set(queries)
    for kind, table in whole.items():
        pd.testing.assert_frame_equal(parts[kind], table, check_exact=True)
