# ruff: noqa: E501 (sentences of tests)
"""Figures and estimates of a back-test, against what is counted by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from fraud.backtest import estimates, figures, told
from fraud.report.backtest_page import render_backtest, verdict
from fraud.runs import write_json

ABOUT = {
    "name": "city", "months": ["2026-01", "2026-02"], "rule_set": "r", "code": {"package": "fraud"}, "skipped": {},
    "experiment": {"name": "small", "train_months": 6, "maturity_months": 1},
}  # fmt: skip


def claims(rows: int = 400, seed: int = 3, decided: float = 0.5) -> pd.DataFrame:
    """Two months of claims whose score says something about the label."""
    random = np.random.default_rng(seed)
    label = (random.random(rows) < 0.2).astype(float)
    score = np.clip(0.1 + 0.5 * label + random.normal(0, 0.15, rows), 0.01, 0.99)
    return pd.DataFrame(
        {
            "month": np.where(np.arange(rows) % 2, "2026-01", "2026-02"),
            "subject_id": [f"c{i:04d}" for i in range(rows)],
            "score": score, "p_supervised": score,
            "amount": random.integers(10, 1000, rows).astype(float),
            "rule_amount": np.where(random.random(rows) < 0.1, 50.0, 0.0),
            "label": np.where(random.random(rows) < decided, label, np.nan),
            "random": random.random(rows) < 0.3,
            "scheme": np.where(label > 0, "ghost_stay", None),
            "institution_kind": random.choice(["tertiary", "primary"], rows), "department": "general",
        }
    )  # fmt: skip


TINY = pd.DataFrame(
    {
        "month": ["2026-01"] * 4 + ["2026-02"] * 2,
        "subject_id": list("abcdef"),
        "score": [0.9, 0.5, 0.5, 0.1, 0.2, 0.8],
        "amount": [10.0, 20, 20, 1000, 5, 50],
        "rule_amount": [0.0, 0, 7, 3, 0, 0],
        "label": [1.0, 0, 1, 0, 0, 1],
    }
)


@pytest.mark.parametrize(
    ("way", "listed"),
    [("model", "bdef"), ("amount", "bdef"), ("rules", "cd")],
    ids=["model", "amount", "rules"],
)
def test_each_month_lists_its_first_by_the_way_and_nothing_without_an_order(way, listed):
    """Expected recovery of January: d 100, b 10, c 10 (ties by id), a 9; nothing by rules in February."""
    assert "".join(TINY["subject_id"][figures.listed(TINY, way, 2)]) == listed


def test_the_ranking_counts_what_was_listed_and_its_money():
    told_ = figures.ranking(figures.marked(TINY, ("rules",), 2), "rules")
    assert (told_["listed"], told_["confirmed"], told_["money"]) == (2, 1, 20.0)
    assert told_["money_share"] == pytest.approx(20 / 80)
    assert told_["precision"]["low"] < 0.5 < told_["precision"]["high"]


def test_who_is_listed_does_not_depend_on_who_was_audited():
    """One place a month: d has it in January, f in February; a, b and c were audited but not listed."""
    audited = TINY.assign(label=TINY["label"].where(TINY["subject_id"] != "d"))
    whole = told.figures(
        audited.assign(
            p_supervised=np.nan, random=False, scheme=None, institution_kind=None, department=None
        ),
        1,
        ("model",),
    )["all"]
    assert (whole["decided"], whole["ways"]["model"]["listed"], whole["ways"]["model"]["confirmed"]) == (
        5,
        1,
        1,
    )


def test_the_lead_is_the_difference_of_the_average_precisions():
    compared = figures.compared(figures.marked(claims(decided=1.0), figures.WAYS, 20), figures.WAYS)["ways"]
    lead = compared["amount"]["lead"]
    difference = (
        compared["model"]["average_precision"]["value"] - compared["amount"]["average_precision"]["value"]
    )
    assert lead["value"] == pytest.approx(difference)
    assert 0 < lead["low"] < lead["value"] < lead["high"]


def test_schemes_are_judged_against_every_cleared_claim_and_few_are_not_judged():
    rows = figures.marked(claims(decided=1.0), figures.WAYS, 20)
    [scheme] = figures.by_group(rows, "scheme")
    assert scheme["confirmed"] == int(rows["label"].sum())
    assert scheme["average_precision"]["value"] == pytest.approx(
        figures.compared(rows, ("model",))["ways"]["model"]["average_precision"]["value"]
    )
    kinds = figures.by_group(rows, "institution_kind")
    assert sum(k["decided"] for k in kinds) == len(rows)
    tiny = figures.marked(TINY.assign(institution_kind="tertiary"), figures.WAYS, 2)
    few = figures.by_group(tiny, "institution_kind")
    assert math.isnan(few[0]["average_precision"]["value"]), "six claims are too few to judge"


def test_calibration_needs_probabilities():
    assert figures.calibration(claims().assign(p_supervised=np.nan)) == {}
    decided = claims(decided=1.0)
    said = figures.calibration(decided)
    assert said["rows"] == len(decided)
    assert said["brier"] < said["brier_of_the_mean"]


def population() -> pd.DataFrame:
    """Ten claims listed and all audited, 90 others of which 30 were drawn at random, 3 of them fraud."""
    return pd.DataFrame(
        {
            "listed": [True] * 10 + [False] * 90,
            "amount": [100.0] * 100,
            "label": [1.0] * 6 + [0.0] * 4 + [1.0] * 3 + [0.0] * 27 + [np.nan] * 60,
            "random": [False] * 10 + [True] * 30 + [False] * 60,
        }
    )


def test_a_random_claim_stands_for_those_nobody_looked_at():
    found = estimates.estimate(population())
    joined = found.joined
    assert joined["precision"] == estimates.Interval(0.6, 0.6, 0.6), (
        "all listed were audited: nothing to guess"
    )
    assert joined["prevalence"].value == pytest.approx((6 + 9) / 100)
    assert joined["recall"].value == pytest.approx(6 / 15)
    assert joined["money_found"].value == pytest.approx(6 / 15)
    assert joined["prevalence"].low < 0.15 < joined["prevalence"].high
    assert found.ranked["recall"].value == 1.0, "audits by rank alone believe they saw all fraud"
    assert found.ranked["recall"].apart(joined["recall"])
    assert (found.audited_ranked, found.audited_random, found.trust) == (10, 30, "joined")


def test_without_random_audits_the_unseen_stay_unknown():
    rows = population().assign(random=False)
    rows.loc[10:, "label"] = np.nan
    found = estimates.estimate(rows)
    assert math.isnan(found.joined["prevalence"].value)
    assert found.joined["prevalence"].high > 0.8
    assert found.trust == "ranked"


def test_without_any_audit_nothing_is_trusted():
    found = estimates.estimate(population().assign(label=np.nan))
    assert found.trust == "none"
    assert math.isnan(found.ranked["precision"].value)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """100 audit programmes over 3,000 claims; 95 % are promised, fewer than 88 would be chance in a thousand."""
    random = np.random.default_rng(11)
    truth = (random.random(3000) < 0.05).astype(float)
    score = truth + random.normal(0, 0.6, 3000)
    amount = random.integers(50, 2000, 3000).astype(float)
    listed = np.argsort(np.argsort(-score)) < 200
    real = {
        "prevalence": truth.mean(), "precision": truth[listed].mean(), "recall": truth[listed].sum() / truth.sum(),
    }  # fmt: skip
    covered = dict.fromkeys(real, 0)
    for programme in range(100):
        draw = np.random.default_rng(programme)
        looked = np.argsort(np.argsort(-score)) < 100
        drawn = np.zeros(3000, dtype=bool)
        drawn[draw.choice(3000, 200, replace=False)] = True
        drawn &= ~looked
        rows = pd.DataFrame(
            {
                "listed": listed,
                "amount": amount,
                "random": drawn,
                "label": np.where(looked | drawn, truth, np.nan),
            }
        )
        said = estimates.estimate(rows, seed=programme).joined
        for name, value in real.items():
            covered[name] += said[name].low <= value <= said[name].high
    assert min(covered.values()) >= 88, covered


def test_figures_are_json_and_the_page_answers_in_both_languages(tmp_path):
    said = told.figures(claims(decided=1.0), 20, figures.WAYS)
    write_json(told.plain(said), tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["capacity"] == 20
    page = render_backtest(said, ABOUT)
    assert page == render_backtest(said, ABOUT)
    assert "模型排序优于“只按金额”" in page
    assert "the model ranks better than by amount alone" in page
    assert all(math.isfinite(v) for v in told.headline(said).values())


def test_a_worse_model_and_a_bad_last_month_are_said():
    rows = claims(decided=1.0)
    worse = rows.assign(score=1 - rows["score"], amount=rows["score"] * 1000 * rows["amount"])
    assert any(mark == "bad" for mark, *_ in verdict(told.figures(worse, 20, figures.WAYS)))
    late = rows["month"] == "2026-02"
    turned = rows.assign(score=np.where(late, 1 - rows["score"], rows["score"]))
    assert any("2026-02" in zh for _, zh, _ in verdict(told.figures(turned, 20, figures.WAYS)))


def test_a_back_test_without_confirmed_claims_says_so():
    said = told.figures(claims(40).assign(label=0.0), 5, figures.WAYS)
    page = render_backtest(said, ABOUT)
    assert "结论太少" in page
