"""What must hold of comparisons and choices whatever the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.backtest.burden import burden
from fraud.backtest.contest import contest
from fraud.backtest.overlap import overlap
from fraud.detectors.learning import learning_picks
from fraud.drift.judge import stability
from fraud.drift.window import binned

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(1, 400))
@settings(max_examples=25, deadline=None)
def test_a_burden_lies_in_its_interval_and_never_exceeds_what_was_listed(seed, rows):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "sex": random.choice(["M", "F", ""], rows * 5),
            "listed": random.random(rows * 5) < random.random(),
            "label": random.choice([0.0, 1.0, np.nan], rows * 5),
        }
    )
    for group in burden(frame, "sex"):
        rate = group["per_thousand"]
        if np.isfinite(rate["value"]):
            ceiling = 1000 * group["listed"] / group["claims"]
            assert -1e-9 <= rate["low"] <= rate["value"] + 1e-9
            assert rate["value"] <= rate["high"] + 1e-9 <= ceiling + 1e-6


def _claims(random: np.random.Generator, rows: int) -> pd.DataFrame:
    amount = random.integers(1, 50, rows) * 10.0
    score = random.integers(0, 20, rows) / 20
    return pd.DataFrame(
        {
            "claim_id": [f"C{i}" for i in range(rows)], "score": score, "amount_at_risk": amount,
            "expected_recovery": score * amount,
        }
    )  # fmt: skip


@given(SEEDS, st.integers(2, 80))
@settings(max_examples=25, deadline=None)
def test_an_overlap_is_the_same_from_either_side(seed, rows):
    random = np.random.default_rng(seed)
    a, b = _claims(random, rows), _claims(random, rows)
    b = b.assign(amount_at_risk=a["amount_at_risk"], expected_recovery=b["score"] * a["amount_at_risk"])
    lists = []
    for own in (a, b):
        top = own.sort_values(["expected_recovery", "claim_id"], ascending=[False, True]).head(rows // 2)
        kinds = {"subject_kind": "claim", "subject_id": top["claim_id"]}
        lists.append(top.assign(**kinds, evidence_claim_ids=[[c] for c in top["claim_id"]]))
    there, back = overlap(a, b, (lists[0], lists[1]), rows), overlap(b, a, (lists[1], lists[0]), rows)
    assert there["top"] == back["top"]
    assert there["rank_correlation"] == back["rank_correlation"]
    assert there["champion"] == back["challenger"]
    assert there["champion"]["only"]["cases"] <= there["champion"]["listed"]


@given(SEEDS)
@settings(max_examples=10, deadline=None)
def test_a_contest_turns_around_with_its_sides(seed):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "month": np.repeat(["2025-01", "2025-02"], 60), "subject_id": [f"S{i:03d}" for i in range(120)],
            "amount": random.integers(1, 90, 120).astype(float), "rule_amount": 0.0,
            "label": random.choice([0.0, 1.0, np.nan], 120), "random": random.random(120) < 0.5,
        }
    )  # fmt: skip
    a, b = (frame.assign(score=random.random(120)) for _ in range(2))
    there, back = contest(a, b, 10), contest(b, a, 10)
    for part in ("all", "random"):
        for lead in ("lead", "money_lead"):
            one, other = there[part][lead]["value"], back[part][lead]["value"]
            assert (np.isnan(one) and np.isnan(other)) or np.isclose(one, -other, atol=1e-12)


@given(SEEDS, st.integers(0, 200))
@settings(max_examples=25, deadline=None)
def test_every_value_lies_in_a_bin_and_equal_distributions_do_not_drift(seed, rows):
    random = np.random.default_rng(seed)
    values = np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows))
    counts = np.array(binned(values, sorted(set(random.normal(size=4).round(1)))), dtype=float)
    assert counts.sum() == rows
    assert stability(counts, counts) == 0
    assert stability(counts, counts[::-1].copy()) >= 0


@given(SEEDS, st.integers(1, 60), st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_picks_are_distinct_open_claims(seed, rows, count):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        random.normal(size=(rows, 3)), columns=["claim_amount", "claim_items", "claim_stay_days"]
    )
    frame = frame.assign(
        claim_id=[f"C{i}" for i in range(rows)], amount_at_risk=random.integers(0, 3, rows) * 10.0,
        institution_id=random.choice(["H1", "H2"], rows),
    )  # fmt: skip
    scores = pd.DataFrame({"p_supervised": random.random(rows), "anomaly": random.random(rows)})
    without = frame["claim_id"].head(rows // 3).tolist()
    found = learning_picks(frame, scores, count, {}, without=without)
    assert found["claim_id"].is_unique
    assert not set(found["claim_id"]) & set(without)
    money = frame.set_index("claim_id").loc[found["claim_id"], "amount_at_risk"]
    assert (money > 0).all()
    fits = (frame["amount_at_risk"] > 0) & ~frame["claim_id"].isin(without)
    assert len(found) == min(count, int(fits.sum()))
