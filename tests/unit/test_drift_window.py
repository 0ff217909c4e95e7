"""Features and scores against the training window: seasons and growth are none, real shifts are told."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from fraud.drift import shifted, window
from fraud.drift.window import binned
from fraud.report.drift_pictures import drift_pictures
from fraud.settings import DriftSettings

FIRST, ROWS = 24_300, 1500
NAMES = ("claim_amount", "claim_flag", "claim_season", "claim_gone")
WEIGHTS = {"claim_amount": 0.6, "claim_flag": 0.2, "claim_season": 0.2}


def month(number: int, scale: float = 1.0) -> np.ndarray:
    """Amounts, a rare flag, something that peaks every January, and a column that is never there."""
    random = np.random.default_rng(number)
    winter = 3.0 if number % 12 == 0 else 0.0
    return np.column_stack(
        [
            random.lognormal(5, 1, ROWS) * scale,
            random.random(ROWS) < 0.05,
            random.normal(winter, 1, ROWS),
            np.full(ROWS, np.nan),
        ]
    )


@pytest.fixture(scope="module")
def profile() -> dict[str, object]:
    every = np.vstack([month(m) for m in range(FIRST, FIRST + 12)])
    months = np.repeat(np.arange(FIRST, FIRST + 12), ROWS)
    made = window(months, NAMES, lambda r: every[r], lambda r: (every[r, 0] > 400) * 0.3)
    return json.loads(json.dumps(made))


def judged(profile, values: np.ndarray, number: int, scores: np.ndarray | None = None, places=None):
    frame = pd.DataFrame(values, columns=list(NAMES))
    if places is not None:
        frame = frame.assign(institution_id=places)
    return shifted(profile, frame, scores, number, WEIGHTS, DriftSettings())


def test_clean_months_of_the_next_year_say_nothing(profile):
    for number in range(FIRST + 12, FIRST + 26):
        values = month(number)
        assert judged(profile, values, number, (values[:, 0] > 400) * 0.3) == [], number


def test_the_season_is_an_alarm_only_out_of_season(profile):
    january = FIRST + 12
    assert january % 12 == 0
    values = month(january)
    assert judged(profile, values, january) == []
    assert "claim_season" in [f.column for f in judged(profile, values, january + 1)]


def test_a_shift_of_what_moves_the_model_stops(profile):
    found = judged(profile, month(FIRST + 13, scale=20.0), FIRST + 13)
    assert {f.code for f in found if f.level == "stop"} == {"feature_shift", "features_shifted"}
    finding = next(f for f in found if f.code == "feature_shift")
    assert (finding.table, finding.column, finding.period) == ("features", "claim_amount", "2026-02")
    assert sum(finding.shape) == pytest.approx(1, abs=1e-4)
    assert "PSI" in finding.zh and "KS" in finding.en
    assert len(drift_pictures([vars(finding)])) == 1


def test_a_feature_without_weight_only_warns(profile):
    values = month(FIRST + 13)
    values[:, 3] = 1.0
    found = judged(profile, values, FIRST + 13)
    assert [(f.column, f.level) for f in found] == [("claim_gone", "warn")]


def test_the_place_of_a_shift_is_named(profile):
    values = month(FIRST + 13)
    places = np.array(["H1"] * ROWS, dtype=object)
    places[: ROWS // 3] = "H2"
    values[: ROWS // 3, 0] *= 40
    found = judged(profile, values, FIRST + 13, places=places)
    assert "H2" in {f.place for f in found}


def test_scores_have_bins_of_their_own(profile):
    values = month(FIRST + 13)
    found = judged(profile, values, FIRST + 13, np.full(ROWS, 0.6))
    assert [(f.code, f.level, f.table) for f in found] == [("score_shift", "stop", "claims_scored")]


def test_few_rows_are_not_judged(profile):
    few = month(FIRST + 13, scale=20.0)[:100]
    assert judged(profile, few, FIRST + 13) == []
    assert shifted({}, pd.DataFrame(month(FIRST)), None, FIRST, {}, DriftSettings()) == []


def test_bins_close_above():
    assert binned(np.array([1.0, 1.0, 1.5, np.inf]), [1.0]) == [2, 1, 1]
