"""What must hold of the monitor's figures whatever was listed and decided."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.monitor import judged, together
from fraud.monitor.lists import difference, share_of

SEEDS = st.integers(0, 2**32 - 1)
MONTHS = ("2026-01", "2026-02", "2026-03")


def world(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lists of three months about a few patients and claims, and decisions about some of them."""
    random = np.random.default_rng(seed)
    names = [f"x{i}" for i in range(12)]
    cases = []
    for month in MONTHS:
        for name in sorted(random.choice(names, int(random.integers(1, 9)), replace=False)):
            evidence = [str(c) for c in random.choice(names, int(random.integers(0, 6)), replace=False)]
            cases.append((month, f"s-{name}", str(random.choice(["claim", "patient"])), str(name), evidence))
    frame = pd.DataFrame(
        cases, columns=["month", "suspicion_id", "subject_kind", "subject_id", "evidence_claim_ids"]
    )
    frame = frame.assign(
        score=random.random(len(frame)), expected_recovery=random.integers(0, 99, len(frame)) * 1.0
    )
    told = [(kind, name) for kind in ("claim", "patient") for name in names if random.random() < 0.6]
    decisions = pd.DataFrame(told, columns=["subject_kind", "subject_id"]).assign(
        confirmed=random.random(len(told)) < 0.4,
        cents=np.where(random.random(len(told)) < 0.5, random.integers(0, 9999, len(told)), np.nan),
        decided_at=pd.Timestamp("2025-12-01") + pd.to_timedelta(random.integers(0, 150, len(told)), unit="D"),
    )
    return frame, decisions


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_figures_do_not_depend_on_the_order_of_rows(seed):
    cases, decisions = world(seed)
    shuffled = (
        cases.sample(frac=1, random_state=seed % 1000),
        decisions.sample(frac=1, random_state=seed % 997),
    )
    plain, other = (together(judged(c, d)) for c, d in ((cases, decisions), shuffled))
    np.testing.assert_equal(plain, other)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_confirmed_cases_are_decided_and_decided_ones_listed(seed):
    found = judged(*world(seed))
    assert not (found["confirmed"] & ~found["decided"]).any()
    assert (found.loc[found["decided"] & ~found["confirmed"], "recovered"] == 0).all()
    assert found.loc[~found["decided"], "recovered"].isna().all()
    told = together(found)
    assert told["confirmed"] <= told["decided"] <= told["listed"] == found["suspicion_id"].nunique()


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_one_more_confirmation_never_lowers_what_was_confirmed(seed):
    """A cleared decision turned into a confirmed one, the rest as it was."""
    cases, decisions = world(seed)
    better = decisions.assign(confirmed=decisions["confirmed"] | (decisions.index == 0))
    before, after = judged(cases, decisions), judged(cases, better)
    assert (after["decided"] == before["decided"]).all(), (
        "whether a case is decided does not look at outcomes"
    )
    assert (after["confirmed"] >= before["confirmed"]).all()


@given(st.integers(1, 300), st.integers(1, 300), st.data())
@settings(max_examples=50, deadline=None)
def test_a_difference_lies_in_its_interval_and_turns_its_sign_with_the_sides(n, m, data):
    a = share_of(data.draw(st.integers(0, n)), n)
    b = share_of(data.draw(st.integers(0, m)), m)
    there, back = difference(a, b), difference(b, a)
    assert -1 - 1e-9 <= there["low"] <= there["value"] <= there["high"] <= 1 + 1e-9
    assert there["low"] == -back["high"]
    assert there["value"] == -back["value"]
