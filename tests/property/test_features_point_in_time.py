"""Nothing later than a claim's month changes a feature; nor do row order, threads or other months asked."""

import sys
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest

from fraud.engines import open_engine
from fraud.features.build import build
from fraud.schema import month_number
from fraud.settings import EngineSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "spec"))
from feature_cases import crowd, write_dataset  # noqa: E402

FEBRUARY = month_number("2026-02")


def built(folder, rows, months, threads=2):
    # every entity is compared with its narrowest group, so that what the group is made of shows
    narrow = mock.patch("fraud.features.entity_peers.SMALL", 1)
    with narrow, open_engine(EngineSettings(threads=threads), folder / "work") as engine:
        engine.open_dataset(write_dataset(folder / "data", rows))
        made = build(engine, months)
        return {k: pd.read_parquet(p) for k, p in made.paths.items()}


def moving():
    """A crowd whose doctors and departments are all of one institution, of another kind, from March on."""
    rows = crowd(5, claims=200)
    late = [c for c in rows["claims"] if c["settled_at"] >= "2026-03-01"]
    for claim in late:
        claim["institution_id"], claim["department_id"] = "H1", "K0"
    return rows


def claims_of(rows, keep):
    """Rows of the claims that `keep` accepts, with their lines and diagnoses."""
    claims = [c for c in rows["claims"] if keep(c)]
    ids = {c["claim_id"] for c in claims}
    parts = {t: [r for r in rows[t] if r["claim_id"] in ids] for t in ("lines", "diagnoses")}
    return rows | parts | {"claims": claims}


def of_february(table, entity):
    return table[table["month"] == FEBRUARY].sort_values(f"{entity}_id").reset_index(drop=True)


@pytest.fixture(scope="module")
def past_only(tmp_path_factory):
    """February built from what February knew."""
    rows = claims_of(moving(), lambda c: c["settled_at"] < "2026-03-01")
    return built(tmp_path_factory.mktemp("past"), rows, [FEBRUARY])


@pytest.fixture(scope="module")
def with_future(tmp_path_factory):
    """February and March built together, with later claims, in another order, on one thread."""
    rows = moving()
    shuffled = {k: v[::-1] for k, v in rows.items()}
    return built(tmp_path_factory.mktemp("future"), shuffled, [FEBRUARY, FEBRUARY + 1], threads=1)


@pytest.mark.parametrize("entity", ["claim", "patient", "doctor", "department", "institution"])
def test_the_future_changes_nothing(past_only, with_future, entity):
    before, after = (of_february(t[entity], entity) for t in (past_only, with_future))
    assert len(before) > 3
    changed = [c for c in before if not before[c].equals(after[c])]
    assert not changed
