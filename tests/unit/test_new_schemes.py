"""Groups of odd claims nobody labelled, in words; and claims to learn from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fraud.detectors.learning import learning_picks
from fraud.detectors.novelty import clusters
from fraud.features.catalog import CATALOG
from fraud.pipeline.new_schemes import new_schemes
from fraud.settings import ListSettings, NoveltySettings, Settings
from fraud.suspicion import mark, places, roll_up, with_picks
from fraud.suspicion.learning import MARK

FEATURES = (
    "claim_amount", "claim_patient_claims_7d", "claim_patient_institutions_1d", "claim_stay_days",
    "claim_days_since_visit", "claim_items", "claim_amount_peer_z",
)  # fmt: skip
DIRECTIONS = {n: CATALOG[n].direction for n in FEATURES if n in CATALOG}
SETTINGS = Settings(novelty=NoveltySettings(share=0.05, fewest=5, most=60))


def month(rows: int = 2000) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, list[str]]]:
    """Ordinary claims, two schemes odd each in its own way, and some claims odd in no common way."""
    random = np.random.default_rng(5)
    values = np.abs(random.normal(1, 0.3, (rows, len(FEATURES))))
    frame = pd.DataFrame(values, columns=list(FEATURES)).assign(
        claim_id=[f"C{i:05d}" for i in range(rows)],
        institution_id=[f"H{i % 40:02d}" for i in range(rows)],
        patient_id=[f"P{i % 900:04d}" for i in range(rows)],
        amount_at_risk=100.0,
        month=24_300,
    )
    for group, column in enumerate(("claim_patient_claims_7d", "claim_patient_institutions_1d")):
        own = range(group * 20, group * 20 + 20)
        frame.loc[list(own), column] += 5 + random.random(20)
        frame.loc[list(own), "institution_id"] = f"H9{group}"
    for i in range(40, 60):
        frame.loc[i, random.choice(FEATURES[3:], 2, replace=False)] += 6 * random.random(2)
    anomaly = np.full(rows, 0.5)
    anomaly[:60] = 0.999
    scores = pd.DataFrame({"p_supervised": np.full(rows, 0.01), "anomaly": anomaly})
    ids = frame["claim_id"].tolist()
    return frame, scores, {"often": ids[:20], "everywhere": ids[20:40]}


def test_each_scheme_is_a_group_of_its_own_and_is_told():
    frame, scores, schemes = month()
    told = new_schemes(frame, scores, SETTINGS)
    for ids, feature, place in (
        (schemes["often"], "claim_patient_claims_7d", "H90"),
        (schemes["everywhere"], "claim_patient_institutions_1d", "H91"),
    ):
        group = max(told, key=lambda g: len(set(ids) & set(g["claim_ids"])))
        assert len(set(ids) & set(group["claim_ids"])) >= 15
        assert len(set(group["claim_ids"]) - set(ids)) <= 3
        assert group["features"][0]["name"] == feature
        assert CATALOG[feature].title_zh in group["sentence_zh"]
        assert place in group["sentence_en"]
        assert group["amount"] == 100.0 * group["claims"]
        assert len(group["examples"]) == 6


def test_the_order_of_rows_changes_nothing():
    frame, scores, _ = month()
    order = np.random.default_rng(2).permutation(len(frame))
    shuffled = frame.iloc[order].reset_index(drop=True)
    one, other = (new_schemes(f, s, SETTINGS) for f, s in ((frame, scores), (shuffled, scores.iloc[order])))
    assert [sorted(g["claim_ids"]) for g in one] == [sorted(g["claim_ids"]) for g in other]
    assert [g["group_id"] for g in one] == [g["group_id"] for g in other]


def test_the_listed_and_the_probable_are_left_out():
    frame, scores, schemes = month()
    listed = schemes["often"]
    scores.loc[20:39, "p_supervised"] = 0.7
    told = new_schemes(frame, scores, SETTINGS, listed)
    held = {c for g in told for c in g["claim_ids"]}
    assert not held & set(schemes["often"] + schemes["everywhere"])


def test_what_was_decided_before_is_less_interesting():
    frame, scores, schemes = month()
    groups = clusters(frame, scores, SETTINGS.novelty, DIRECTIONS)
    known = frame.iloc[:20]
    later = clusters(frame, scores, SETTINGS.novelty, DIRECTIONS, known=known)
    place = {tuple(sorted(c.rows)): i for i, c in enumerate(later)}
    first = max(groups, key=lambda c: len(set(frame["claim_id"].iloc[c.rows]) & set(schemes["often"])))
    assert later[place[tuple(sorted(first.rows))]].interest < 0.2 * first.interest


@pytest.mark.parametrize("rows", [0, 7])
def test_too_few_claims_make_no_group(rows):
    frame, scores, _ = month()
    assert new_schemes(frame.head(rows), scores.head(rows), SETTINGS) == []
    off = Settings(novelty=NoveltySettings(clusters=0))
    assert new_schemes(frame, scores, off) == []


def picks(count: int = 20, **more: object) -> pd.DataFrame:
    frame, scores, _ = month()
    p = np.full(len(frame), 0.01)
    p[100:300] = np.linspace(0.05, 0.95, 200)
    return learning_picks(frame, scores.assign(p_supervised=p), count, DIRECTIONS, **more)


def test_picks_are_uncertain_apart_and_spread():
    frame, _, _ = month()
    found = picks()
    assert len(found) == 20
    assert found["claim_id"].is_unique
    assert found["uncertainty"].mean() > 0.5
    where = frame.set_index("claim_id").loc[found["claim_id"], "institution_id"]
    assert where.value_counts().max() <= 3
    assert (found["distance"] > 0).all()


def test_picks_avoid_what_is_known_and_what_is_listed():
    frame, _, _ = month()
    first = picks()
    listed = first["claim_id"].head(5).tolist()
    assert not set(picks(without=listed)["claim_id"]) & set(listed)
    near = frame[frame["claim_id"].isin(first["claim_id"])].assign(label=1, scheme="card_pool")
    again = picks(known=near, without=listed)
    best = first.set_index("claim_id")["value"]
    both = again[again["claim_id"].isin(best.index)]
    assert (both["value"] < best[both["claim_id"]].to_numpy()).all()
    assert set(again["scheme"]) == {"card_pool"}


def test_picks_do_not_depend_on_the_order_of_rows():
    frame, scores, _ = month()
    order = np.random.default_rng(2).permutation(len(frame))
    one = learning_picks(frame, scores, 10, DIRECTIONS)["claim_id"].tolist()
    other = learning_picks(frame.iloc[order].reset_index(drop=True), scores.iloc[order], 10, DIRECTIONS)
    assert sorted(other["claim_id"]) == sorted(one)


def test_without_anything_known_or_asked_for():
    assert picks(0).empty
    frame, scores, _ = month()
    blind = learning_picks(frame, scores.assign(p_supervised=np.nan), 3, DIRECTIONS)
    assert len(blind) == 3


def test_picks_join_the_list_in_its_order_with_their_mark():
    frame, scores, _ = month()
    claims = frame[["claim_id", "institution_id", "patient_id", "amount_at_risk"]].assign(
        score=np.linspace(0.9, 0.001, len(frame)), anomaly=scores["anomaly"]
    )
    settings = ListSettings(capacity=20, learning_share=0.25)
    count = places(settings)
    assert count == 5
    listed = roll_up(claims, settings.model_copy(update={"capacity": 15}), month="2025-01")
    held = [c for ids in listed["evidence_claim_ids"] for c in ids]
    found = picks(count, without=held)
    both = with_picks(listed, found, claims, None, None, "2025-01")
    assert len(both) == len(listed) + 5
    assert both["expected_recovery"].is_monotonic_decreasing
    assert both["rank"].tolist() == list(range(1, len(both) + 1))
    assert set(found["claim_id"]) <= set(both["subject_id"])
    said = mark(found.iloc[0].to_dict())
    assert said["code"] == MARK
    assert "学习" in said["sentence_zh"]
