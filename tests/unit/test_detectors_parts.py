"""Forest, boosting, calibration, folds and second stage, each against an independent calculation."""

import numpy as np
import pandas as pd
import pytest

from fraud.detectors import folds, second_stage, trees
from fraud.detectors.boosting import Boosting
from fraud.detectors.calibration import Platt, Reference, logit, share_out, sigmoid
from fraud.detectors.forest import Forest
from fraud.detectors.frames import Audited, join_audits
from fraud.detectors.probability import calibrate
from fraud.settings import BoostingSettings, ForestSettings


def test_forest_text_scores_as_scikit_learn_does():
    from sklearn.ensemble import IsolationForest

    x = np.random.default_rng(0).normal(size=(1500, 6)).astype(np.float32)
    settings = ForestSettings(trees=30, sample=256, directional=False)
    forest = Forest.fit(x, np.zeros(6, int), settings, seed=3)
    model = IsolationForest(n_estimators=30, max_samples=256, random_state=3).fit(forest.scaling.transform(x))
    expected = np.log2(-model.score_samples(forest.scaling.transform(x)))
    np.testing.assert_allclose(forest.raw(x), expected, atol=1e-9)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_forest_shapley_matches_shap():
    import shap
    from sklearn.ensemble import IsolationForest

    x = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    forest = Forest.fit(x, np.zeros(4, int), ForestSettings(trees=20, sample=256, directional=False), seed=3)
    scaled = forest.scaling.transform(x)
    model = IsolationForest(n_estimators=20, max_samples=256, random_state=3).fit(scaled)
    values, base = forest.shapley(x[:50])
    np.testing.assert_allclose(base + values.sum(1), forest.raw(x[:50]), atol=1e-9)
    theirs = shap.TreeExplainer(model).shap_values(scaled[:50])
    assert np.corrcoef(values.ravel(), theirs.ravel())[0, 1] < -0.999  # shap explains the path length


def test_direction_keeps_one_side_only():
    random = np.random.default_rng(1)
    x = random.normal(size=(2000, 3)).astype(np.float32)
    forest = Forest.fit(x, np.array([1, 1, 1]), ForestSettings(trees=50), seed=3)
    probe = np.array([[6, 6, 6], [-6, -6, -6]], dtype=np.float32)
    high, low = forest.reference.percentile(forest.raw(probe))
    assert high > 0.99
    assert low < 0.6


def test_forest_bears_constant_and_empty_columns():
    x = np.full((100, 3), np.nan, dtype=np.float32)
    x[:, 1] = 4.0
    forest = Forest.fit(x, np.zeros(3, int), ForestSettings(trees=10), seed=1)
    raw = forest.raw(x)
    assert np.isfinite(raw).all()
    assert len(np.unique(raw)) == 1


def test_merged_bags_predict_their_mean():
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 5)).astype(np.float32)
    x[random.random(x.shape) < 0.1] = np.nan
    y = (np.nan_to_num(x[:, 0]) + random.normal(size=400) > 0).astype(int)
    parts = [Boosting.fit(x, y, BoostingSettings(), 20, seed, bags=1) for seed in (1, 2, 3)]
    merged = trees.load(trees.mean_of([p.text for p in parts]))
    mean = np.mean([p.margin(x) for p in parts], axis=0)
    np.testing.assert_allclose(trees.predict(merged, x), mean, atol=1e-9)
    values, base = trees.shapley(merged, x)
    np.testing.assert_allclose(base + values.sum(1), mean, atol=1e-9)
    np.testing.assert_allclose(
        values, np.mean([trees.shapley(p.booster, x)[0] for p in parts], axis=0), atol=1e-9
    )


def test_percentile_is_monotone_inside_zero_and_one():
    raw = np.random.default_rng(0).normal(size=5000)
    reference = Reference.fit(raw)
    p = reference.percentile(np.linspace(-9, 9, 500))
    assert np.diff(p).min() >= 0
    assert p.min() > 0
    assert p.max() < 1
    ranks = (np.argsort(np.argsort(raw)) + 0.5) / len(raw)
    np.testing.assert_allclose(reference.percentile(raw), ranks, atol=0.006)


def test_platt_finds_slope_and_level_and_never_turns_the_order():
    random = np.random.default_rng(0)
    z = random.normal(size=20000) * 2
    y = (random.random(20000) < sigmoid(0.7 * z - 1.5)).astype(int)
    fitted = Platt.fit(z, y)
    assert fitted.slope == pytest.approx(0.7, abs=0.05)
    assert fitted.intercept == pytest.approx(-1.5, abs=0.1)
    assert Platt.fit(z, 1 - y).slope == 0.05
    assert np.isfinite(Platt.fit(np.array([-1.0, 1.0]), np.array([0, 1])).slope)


def test_calibration_uses_random_audits_then_their_level_then_says_so():
    random = np.random.default_rng(0)
    z = random.normal(size=4000) * 2 - 2
    y = (random.random(4000) < sigmoid(z)).astype(int)
    picked = random.random(4000) < sigmoid(z)  # audits prefer the suspicious
    drawn = random.random(4000) < 0.3
    rows = np.flatnonzero(picked | drawn)
    audited = Audited(rows, y[rows], drawn[rows])
    biased = Platt.fit(z[rows], y[rows])
    platt, notes = calibrate(z[rows], audited, z)
    assert notes == []
    few = drawn & (np.cumsum(drawn & (y == 1)) <= 12)
    some = np.flatnonzero(picked | few)
    levelled, notes = calibrate(z[some], Audited(some, y[some], few[some]), z)
    assert [n["code"] for n in notes] == ["calibrated_level_on_random"]
    none, notes = calibrate(z[rows], Audited(rows, y[rows], np.zeros(len(rows), bool)), z)
    assert [n["code"] for n in notes] == ["calibrated_on_biased_audits"]
    assert none == biased
    assert sigmoid(platt.logit(z)).mean() < sigmoid(biased.logit(z)).mean() + 0.02
    assert sigmoid(levelled.logit(z)).mean() < y.mean() + 0.1


def test_share_out_stays_additive_even_where_parts_cancel():
    values = np.array([[1.0, -1.0], [2.0, 1.0], [0.0, 0.0], [1e-12, 0.0]])
    shared, start = share_out(values, 0.3, lambda raw: logit(sigmoid(raw) ** 2))
    want = logit(sigmoid(0.3 + values.sum(1)) ** 2)
    np.testing.assert_allclose(start + shared.sum(1), want, atol=1e-9)


def test_groups_never_part_and_folds_share_positives():
    random = np.random.default_rng(0)
    groups = np.array([f"g{i}" for i in random.integers(0, 60, 600)])
    label = (random.random(600) < 0.2).astype(int)
    fold = folds.grouped(groups, label, 5)
    assert all(len(set(fold[groups == g])) == 1 for g in set(groups))
    counts = [label[fold == k].sum() for k in range(5)]
    assert max(counts) - min(counts) <= 8
    order = random.permutation(600)
    assert (folds.grouped(groups[order], label[order], 5) == fold[order]).all()


def test_latest_slice_or_none():
    month = np.repeat([1, 2, 3, 4], 50)
    label = np.tile([0, 1], 100)
    assert (folds.latest(month, label, 0.2, 10) == (month == 4)).all()
    assert folds.latest(np.ones(100, int), np.tile([0, 1], 50), 0.2, 10) is None
    assert folds.latest(month, np.zeros(200, int), 0.2, 10) is None


def _slow_other_rows(frame, p, actor, months):
    mean, top = [], []
    for i, row in frame.iterrows():
        same = frame[
            (frame[f"{actor}_id"] == row[f"{actor}_id"])
            & (frame["month"] <= row["month"])
            & (frame["month"] > row["month"] - months)
            & (frame.index != i)
        ]
        known = bool(row[f"{actor}_id"])
        values = p[same.index] if known else np.zeros(0)
        mean.append((values.sum() + 2 * 0.1) / (len(values) + 2))
        top.append(values.max() if len(values) else 0.1)
    return np.array(mean), np.array(top)


def test_other_rows_against_a_plain_loop():
    random = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in random.integers(0, 30, 200)],
            "doctor_id": [f"d{i}" if i else "" for i in random.integers(0, 9, 200)],
            "month": random.integers(10, 16, 200),
        }
    )
    p = random.random(200).round(3)
    p[:20] = 0.5  # ties for the highest
    out = second_stage.other_rows(frame, p, ("patient", "doctor"), 3, 0.1)
    for i, actor in enumerate(("patient", "doctor")):
        mean, top = _slow_other_rows(frame, p, actor, 3)
        np.testing.assert_allclose(sigmoid(out[:, 2 * i]), mean, atol=1e-5)
        np.testing.assert_allclose(sigmoid(out[:, 2 * i + 1]), np.clip(top, 1e-4, 1 - 1e-4), atol=1e-5)


def test_later_months_do_not_change_other_rows():
    frame = pd.DataFrame({"patient_id": ["a", "a", "a"], "month": [1, 2, 3]})
    p = np.array([0.1, 0.2, 0.9])
    all_rows = second_stage.other_rows(frame, p, ("patient",), 3, 0.1)
    first_two = second_stage.other_rows(frame.iloc[:2], p[:2], ("patient",), 3, 0.1)
    np.testing.assert_array_equal(all_rows[:2], first_two)


def test_join_of_entity_audits_takes_the_latest_row_before_the_decision():
    frame = pd.DataFrame({"doctor_id": ["d", "d", "d", "e"], "month": [24310, 24311, 24313, 24312]})
    labels = pd.DataFrame(
        {
            "subject_id": ["d", "d", "e", "f"],
            "label": [1, 0, 1, 1],
            "random": [False, True, False, False],
            "decided_at": pd.to_datetime(["2025-12-05", "2026-01-05", "2025-01-01", "2026-01-01"]),
        }
    )
    audited = join_audits(frame, labels, "doctor")
    # 2026-01 is 24312: both of d's decisions are about its row of 24311, the later one counts
    assert audited.row.tolist() == [1]
    assert audited.label.tolist() == [0]
    assert audited.random.tolist() == [True]
    assert audited.missing == 2
    assert audited.repeated == 1


def test_join_of_claim_audits_prefers_confirmed_at_the_same_time():
    frame = pd.DataFrame({"claim_id": ["a", "b"], "month": [1, 1]})
    labels = pd.DataFrame({"subject_id": ["b", "b"], "label": [1, 0], "decided_at": ["2026-01-05"] * 2})
    audited = join_audits(frame, labels, "claim")
    assert audited.row.tolist() == [1]
    assert audited.label.tolist() == [1]
