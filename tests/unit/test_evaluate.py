"""Figures of a ranking, on cases small enough to check by hand."""

import math

import numpy as np
import pytest

from fraud import evaluate


def test_ties_stand_against_the_model():
    assert evaluate.precision_at(np.array([1, 0]), np.array([1.0, 1.0]), 1) == 0.0
    assert evaluate.amount_at(np.array([1, 0]), np.array([1, 1]), np.array([9.0, 1]), 0.5) == 0.0


def test_nothing_confirmed_is_not_a_number():
    label, score = np.zeros(3), np.arange(3.0)
    for value in (
        evaluate.average_precision(label, score),
        evaluate.roc_auc(label, score),
        evaluate.recall_at(label, score, 2),
        evaluate.lift_at(label, score, 0.5),
        evaluate.auc_within(label, score, score),
    ):
        assert math.isnan(value)


def test_auc_within_takes_size_away():
    random = np.random.default_rng(0)
    size = random.gamma(2, 1, 4000)
    label = (random.random(4000) < size / 8).astype(int)
    assert evaluate.roc_auc(label, size) > 0.65
    assert evaluate.auc_within(label, size, size, bins=50) == pytest.approx(0.5, abs=0.05)


def test_reliability_bins_hold_what_they_state():
    p = np.linspace(0.01, 0.99, 1000)
    label = (np.random.default_rng(0).random(1000) < p).astype(int)
    for part in evaluate.reliability(label, p):
        assert part["low"] - 0.05 <= part["stated"] <= part["high"] + 0.05
        assert part["rows"] == 100


def test_report_holds_intervals_and_money():
    random = np.random.default_rng(0)
    label = (random.random(500) < 0.2).astype(int)
    report = evaluate.report(label, label + random.normal(size=500), random.gamma(2, 100, 500))
    assert report["average_precision"]["low"] < report["average_precision"]["value"]
    assert report["average_precision"]["value"] < report["average_precision"]["high"]
    assert 0 <= report["amount_at_5pct"] <= 1
    assert report["positives"] == label.sum()
