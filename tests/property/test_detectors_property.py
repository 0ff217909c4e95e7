"""Laws that hold for any input: orders kept, sums kept, folds whole, figures within bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fraud import evaluate
from fraud.detectors import folds
from fraud.detectors.calibration import Platt, Reference, logit, share_out, sigmoid

FLOATS = st.floats(-50, 50, allow_nan=False, width=32)
MANY = settings(max_examples=60, deadline=None)


@MANY
@given(arrays(float, st.integers(1, 80), elements=FLOATS), arrays(float, 20, elements=FLOATS))
def test_percentiles_keep_the_order_inside_zero_and_one(train, new):
    p = Reference.fit(train).percentile(np.sort(new))
    assert np.diff(p).min() >= 0
    assert p.min() > 0
    assert p.max() < 1


@MANY
@given(arrays(float, (5, 4), elements=st.floats(-5, 5)), st.floats(-3, 3))
def test_shares_through_any_monotone_link_add_up(values, base):
    def link(raw):
        return np.cbrt(raw) + raw

    shared, start = share_out(values, base, link)
    np.testing.assert_allclose(start + shared.sum(1), link(base + values.sum(1)), atol=1e-6)


@MANY
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_platt_never_turns_the_order(rows, seed):
    random = np.random.default_rng(seed)
    fitted = Platt.fit(random.normal(size=rows) * 5, random.integers(0, 2, rows))
    assert fitted.slope > 0
    assert np.isfinite([fitted.slope, fitted.intercept]).all()


@MANY
@given(st.integers(1, 100), st.integers(2, 6), st.integers(0, 10**6))
def test_folds_keep_groups_whole_whatever_the_order(rows, count, seed):
    random = np.random.default_rng(seed)
    groups = random.integers(0, 12, rows).astype(str)
    label = random.integers(0, 2, rows)
    fold = folds.grouped(groups, label, count)
    assert all(len(set(fold[groups == g])) == 1 for g in set(groups))
    order = random.permutation(rows)
    assert (folds.grouped(groups[order], label[order], count) == fold[order]).all()


@MANY
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_ranking_figures_agree_with_scikit_learn(rows, seed):
    from sklearn.metrics import average_precision_score, roc_auc_score

    random = np.random.default_rng(seed)
    label, score = random.integers(0, 2, rows), random.integers(0, 9, rows).astype(float)
    if 0 < label.sum() < rows:
        assert evaluate.average_precision(label, score) == pytest.approx(
            average_precision_score(label, score)
        )
        assert evaluate.roc_auc(label, score) == pytest.approx(roc_auc_score(label, score))
        assert evaluate.auc_within(label, score, np.zeros(rows), bins=1) == pytest.approx(
            roc_auc_score(label, score)
        )
    assert 0 <= evaluate.precision_at(label, score, 3) <= 1


@given(arrays(float, 10, elements=st.floats(-600, 600)))
def test_sigmoid_undoes_logit(z):
    p = sigmoid(z)
    inside = np.abs(z) < 30
    np.testing.assert_allclose(logit(p[inside]), z[inside], atol=1e-3)
