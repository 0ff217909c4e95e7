"""The figures that drift is judged by are the same on both engines."""

from __future__ import annotations

import pandas as pd
import pytest

from fraud.drift import Profile, profile
from fraud.engines import open_engine
from fraud.schema import month_number
from fraud.settings import EngineSettings

MONTHS = range(month_number("2025-04"), month_number("2025-07"))


@pytest.mark.spark
@pytest.mark.xdist_group("spark")
def test_profiles_agree(sample, tmp_path):
    found: list[Profile] = []
    for name in ("duckdb", "spark"):
        with open_engine(EngineSettings(name=name, threads=1), tmp_path / name) as engine:
            engine.open_dataset(sample)
            found.append(profile(engine, MONTHS))
    one, other = found
    assert len(one.institutions) > 20
    assert one.institutions["claims"].sum() == one.days["claims"].sum()
    for a, b in (
        (one.institutions, other.institutions),
        (one.days, other.days),
        *((one.codes[c], other.codes[c]) for c in one.codes),
        *((one.groups[g], other.groups[g]) for g in one.groups),
    ):
        pd.testing.assert_frame_equal(a, b, rtol=1e-9, check_dtype=False)
