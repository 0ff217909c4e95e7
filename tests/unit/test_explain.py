"""Reasons: grouped, additive, against peers and the own past, JSON-able."""

import json

import numpy as np
import pytest

from fraud.detectors.calibration import logit
from fraud.detectors.scorer import Scorer
from fraud.explain import explain, show
from fraud.features.catalog import Feature
from fraud.settings import BoostingSettings, Experiment, ForestSettings
from tests.unit.detector_frames import FEATURES, audits, claims

GROUPS = {"amount": ("费用金额", "amounts"), "rest": ("其余", "rest")}
CATALOG = {
    name: Feature(
        name=name,
        entity=name.split("_")[0],
        group="amount" if name in ("claim_amount", "claim_share") else "rest",
        unit={"claim_amount": "yuan", "claim_share": "share", "claim_gap": "days"}.get(name, "count"),
        direction=1,
        title_zh=name,
        title_en=name,
        sentence_zh="为{value}，同类一般为{baseline}，高于{percentile}的同类。",
        sentence_en="It is {value}; peers are at {baseline}, above {percentile} of them.",
        point_in_time="",
    )
    for name in FEATURES
}


@pytest.fixture(scope="module")
def told():
    frame, bad = claims()
    experiment = Experiment(
        boosting=BoostingSettings(trees=30, bags=2),
        forest=ForestSettings(trees=30),
        folds=3,
        second_stage=True,
    )
    scorer = Scorer.fit(frame, audits(frame, bad), experiment, directions={})
    last = frame["month"].max()
    month, history = (
        frame[frame["month"] == last],
        frame[(frame["month"] < last) & (frame["month"] >= last - 2)],
    )
    whole = frame[frame["month"] >= last - 2]
    scored = scorer.score(whole)
    listed = month.loc[scored.loc[month.index, "score"].sort_values(ascending=False).index[:20]]
    return scorer, listed, month, history, scored, explain(scorer, listed, month, history, CATALOG, GROUPS)


def test_each_listed_row_has_reasons_strongest_first(told):
    _, listed, *_, reasons = told
    assert len(reasons) == len(listed)
    for own in reasons:
        weights = [r["contribution"] for r in own]
        assert weights == sorted(weights, reverse=True)
        assert len({r["group"] for r in own}) == len(own)
        assert min(weights) > 0


def test_groups_are_sums_of_additive_contributions(told):
    scorer, listed, month, history, scored, reasons = told
    everything = explain(scorer, listed, month, history, CATALOG, GROUPS, most=99)
    parts = scorer.contributions(listed, (_whole := _concat(history, month)))
    for i, own in enumerate(everything):
        by_group = {r["group"]: r["contribution"] for r in own}
        amount = parts.iloc[i][["claim_amount", "claim_share"]].sum()
        if amount > 1e-6:
            assert by_group["amount"] == pytest.approx(amount, abs=1e-6)
    total = parts.attrs["base"] + parts.sum(axis=1).to_numpy()
    np.testing.assert_allclose(total, logit(scored.loc[listed.index, "score"].to_numpy()), atol=1e-6)


def _concat(history, month):
    import pandas as pd

    return pd.concat([history, month])


def test_peer_baseline_percentile_and_own_past_are_right(told):
    _, listed, month, history, _, reasons = told
    checked = past = 0
    for (_, row), own in zip(listed.iterrows(), reasons, strict=True):
        for r in own:
            if r["code"] not in FEATURES or r["peer_group"] != row["peer_group"]:
                continue
            peers = month.loc[month["peer_group"] == row["peer_group"], r["code"]].dropna()
            assert r["peer_n"] == len(peers)
            assert r["baseline"] == pytest.approx(peers.median(), abs=1e-6)
            below = ((peers < row[r["code"]]).sum() + (peers <= row[r["code"]]).sum()) / 2 / len(peers)
            assert r["percentile"] == pytest.approx(below, abs=1e-6)
            checked += 1
            actor = "doctor_id" if r["code"].startswith("doctor_") else "patient_id"
            before = history[(history[actor] == row[actor]) & history[r["code"]].notna()]
            if len(before):
                latest = before[before["month"] == before["month"].max()][r["code"]].median()
                assert r["own_past"] == pytest.approx(latest, abs=1e-6)
                past += 1
            else:
                assert r["own_past"] is None
    assert checked > 10
    assert past > 0


def test_other_claims_are_a_reason_of_their_own(told):
    *_, reasons = told
    codes = {r["code"] for own in reasons for r in own if r["group"] == "other_claims"}
    assert any(code.startswith("doctor_other_claims") for code in codes)


def test_reasons_are_json_without_nan_and_the_same_twice(told):
    scorer, listed, month, history, scored, reasons = told
    text = json.dumps(reasons, ensure_ascii=False, allow_nan=False, sort_keys=True)
    assert "nan" not in text.lower()
    again = explain(
        scorer,
        listed.sample(frac=1, random_state=1).loc[listed.index],
        month.assign(first_stage=scored["first_stage"]),
        history.assign(first_stage=scored["first_stage"]),
        CATALOG,
        GROUPS,
    )
    assert json.dumps(again, ensure_ascii=False, allow_nan=False, sort_keys=True) == text


def test_taking_the_top_reason_away_lowers_the_score_more_than_another(told):
    """The deletion check of the detection notes, on features set to the peers' median."""
    scorer, listed, month, history, scored, reasons = told
    first = listed.iloc[0]
    random = np.random.default_rng(0)
    drops = {"top": [], "other": []}
    for (index, _), own in zip(listed.iterrows(), reasons, strict=True):
        told_by = [r["code"] for r in own if r["code"] in FEATURES]
        if not told_by:
            continue
        other = random.choice([f for f in FEATURES if f != told_by[0]])
        for name, feature in (("top", told_by[0]), ("other", other)):
            changed = listed.loc[[index]].copy()
            changed[feature] = month[feature].median()
            context = _concat(history, _concat(month.drop(index), changed))
            after = scorer.score(context).loc[index, "score"]
            drops[name].append(logit(scored.loc[index, "score"]) - logit(after))
    assert first is not None
    assert np.mean(drops["top"]) > np.mean(drops["other"])


def test_rows_outside_the_month_are_refused(told):
    scorer, listed, month, history, *_ = told
    with pytest.raises(ValueError, match="1 listed rows"):
        explain(scorer, listed.head(1).assign(claim_id="none"), month, history, CATALOG, GROUPS)


def test_anomaly_only_model_explains_without_history():
    frame, _ = claims(rows=400)
    scorer = Scorer.fit(frame, audits(frame, np.zeros(400, int)).head(0), Experiment(), directions={})
    reasons = explain(scorer, frame.head(3), frame, None, CATALOG, GROUPS)
    assert all(r["own_past"] is None for own in reasons for r in own)


def test_money_days_shares_and_flags_read_as_auditors_write_them():
    assert show(1234.5, "yuan", "en") == "1,234.50 CNY"
    assert show(3.25, "hours") == "3.2 小时"
    assert show(-0.0001, "share") == "0%"
    assert show(0.0, "flag", "en") == "no"


def test_other_claims_reasons_show_their_value(told):
    *_, reasons = told
    values = [r["value"] for own in reasons for r in own if r["group"] == "other_claims"]
    assert all(value is not None and 0 < value < 1 for value in values)
