"""A store of past months changes what is computed, never what comes out."""

import copy
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from fraud.engines import open_engine
from fraud.features import facts, store
from fraud.features.build import build
from fraud.features.scope import Scope
from fraud.features.store import FeatureStore
from fraud.schema import month_number
from fraud.settings import EngineSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "spec"))
from feature_cases import crowd, write_dataset  # noqa: E402

FEBRUARY = month_number("2026-02")
MARCH = FEBRUARY + 1


def built(folder, rows, months, kept=None):
    """Claim features of some months, and the names of the queries run for them."""
    with open_engine(EngineSettings(), folder / "work") as engine:
        engine.open_dataset(write_dataset(folder / "data", rows))
        made = build(engine, months, ("claim",), store=kept)
        frame = pd.read_parquet(made.paths["claim"]).sort_values("claim_id").reset_index(drop=True)
        return frame, [q["name"] for q in engine.queries]


def names(folder, rows):
    """File name of March's claim features, made from these rows; the folder itself stays empty."""
    with open_engine(EngineSettings(), folder / "work") as engine:
        engine.open_dataset(write_dataset(folder / "data", rows))
        scope = Scope(engine, (MARCH,))
        facts.build(scope)
        return FeatureStore(folder / "store", scope).path("claim", MARCH).name


@pytest.fixture(scope="module")
def rows():
    return crowd(5, claims=160)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, rows):
    return built(tmp_path_factory.mktemp("alone"), rows, [MARCH])[0]


@pytest.fixture(scope="module")
def february_kept(tmp_path_factory, rows):
    """A store that knows the months up to February, built when March had not come."""
    folder = tmp_path_factory.mktemp("february")
    early = [c for c in rows["claims"] if c["settled_at"] < "2026-03-01"]
    built(folder, rows | {"claims": early}, [FEBRUARY], folder / "store")
    return folder / "store"


def files(folder):
    """Every file with its rows, to the last bit; whether a column may be NULL is left to DuckDB."""
    found = sorted(folder.rglob("*.parquet"))
    return {p.relative_to(folder).as_posix(): repr(pq.read_table(p).to_pydict()) for p in found}


def test_a_month_added_is_the_month_built_with_the_others(tmp_path, rows, alone, february_kept):
    before = files(february_kept)
    added, ran = built(tmp_path / "added", rows, [MARCH], february_kept)
    pd.testing.assert_frame_equal(added, alone, check_exact=True)
    assert "store claim 2026-03" in ran
    assert "store claim 2026-02" not in ran
    built(tmp_path / "both", rows, [FEBRUARY, MARCH], tmp_path / "store")
    whole, after = files(tmp_path / "store"), files(february_kept)
    assert before.items() <= after.items()
    assert after == {name: whole[name] for name in after}


def test_what_is_stored_is_not_computed_again(tmp_path, rows, alone, february_kept):
    built(tmp_path / "first", rows, [MARCH], february_kept)
    again, ran = built(tmp_path / "again", rows, [MARCH], february_kept)
    pd.testing.assert_frame_equal(again, alone, check_exact=True)
    assert not [name for name in ran if name.startswith(("store", "fx_peer", "fx_bundles"))]


def test_a_line_changed_afterwards_is_seen(tmp_path, rows, alone, february_kept):
    built(tmp_path / "first", rows, [MARCH], february_kept)
    changed = copy.deepcopy(rows)
    early = {c["claim_id"] for c in rows["claims"] if c["settled_at"] < "2026-02-01"}
    line = next(r for r in changed["lines"] if r["claim_id"] in early)
    line["item_code"] = "X3" if line["item_code"] != "X3" else "X5"
    kept, ran = built(tmp_path / "kept", changed, [MARCH], february_kept)
    fresh, _ = built(tmp_path / "fresh", changed, [MARCH])
    pd.testing.assert_frame_equal(kept, fresh, check_exact=True)
    assert "store claim 2026-03" in ran
    assert len(list((february_kept / "claim").glob("2026-03-*"))) == 1


@pytest.mark.parametrize(
    ("table", "key", "column", "value"),
    [
        ("patients", "patient_id", "phone", "T999"),
        ("patients", "patient_id", "death_date", "2026-01-05"),
        ("doctors", "doctor_id", "specialty", "S9"),
        ("items", "item_code", "price_limit", "31"),
        ("claims", "claim_id", "invoice_no", "77"),
        ("diagnoses", "claim_id", "code", "Z99"),
    ],
)
def test_whatever_features_see_is_in_the_name(tmp_path, rows, table, key, column, value):
    was = names(tmp_path / "was", rows)
    changed = copy.deepcopy(rows)
    # of a claim settled before March, whose patient, doctor and items are looked at
    claim = next(
        c for c in changed["claims"] if c["settled_at"] > "2026-01-10" and c["settled_at"] < "2026-02-01"
    )
    of = claim | {
        "item_code": next(r["item_code"] for r in rows["lines"] if r["claim_id"] == claim["claim_id"])
    }
    row = next(r for r in changed[table] if r[key] == of[key])
    row[column] = value
    assert names(tmp_path / "is", changed) != was


def test_what_is_news_only_later_is_not(tmp_path, rows):
    was = names(tmp_path / "was", rows)
    changed = copy.deepcopy(rows)
    changed["patients"][0]["death_date"] = "2026-12-24"
    changed["patients"].append(changed["patients"][1] | {"patient_id": "newcomer"})
    changed["claims"].append(rows["claims"][0] | {"claim_id": "later", "settled_at": "2026-04-02T10:00:00"})
    assert names(tmp_path / "is", changed) == was


def test_other_code_keeps_its_own(tmp_path, rows, monkeypatch):
    was = names(tmp_path / "was", rows)
    monkeypatch.setattr(store, "_code", lambda: "another")
    assert names(tmp_path / "is", rows) != was
