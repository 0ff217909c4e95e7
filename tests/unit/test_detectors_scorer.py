"""The scorer: few labels, additivity, saving, mismatch, actors."""

import numpy as np
import pandas as pd
import pytest

from fraud import evaluate
from fraud.detectors.calibration import logit
from fraud.detectors.scorer import Scorer
from fraud.errors import NotTrainedError, UsageError
from fraud.settings import BoostingSettings, Experiment, ForestSettings
from tests.unit.detector_frames import FEATURES, audits, claims

SMALL = Experiment(
    boosting=BoostingSettings(trees=40, bags=2),
    forest=ForestSettings(trees=50),
    folds=3,
    context_months=3,
    second_stage=True,
)


@pytest.fixture(scope="module")
def data():
    frame, bad = claims()
    return frame, bad, audits(frame, bad)


@pytest.fixture(scope="module")
def fitted(data):
    frame, _, labels = data
    return Scorer.fit(frame, labels, SMALL, directions={"claim_amount": 1})


def test_ranks_bad_claims_first_and_scores_are_probabilities(data, fitted):
    frame, bad, labels = data
    unseen, truth = claims(seed=11)
    scored = fitted.score(unseen)
    assert list(scored.index) == list(unseen.index)
    assert scored["score"].between(0, 1).all()
    assert scored["anomaly"].between(0, 1).all()
    assert scored["p_supervised"].between(0, 1).all()
    assert evaluate.average_precision(truth, scored["score"]) > 0.5
    assert evaluate.average_precision(truth, scored["score"]) > evaluate.average_precision(
        truth, scored["anomaly"]
    )
    assert abs(scored["score"].mean() - truth.mean()) < 0.08
    assert fitted.summary["supervised"] is True
    assert fitted.summary["stopping"] == "time"


def test_second_stage_helps_when_actors_repeat(data, fitted):
    frame, _, labels = data
    unseen, truth = claims(seed=11)
    without = Scorer.fit(frame, labels, SMALL.model_copy(update={"second_stage": False}), directions={})
    assert evaluate.average_precision(truth, fitted.score(unseen)["score"]) > evaluate.average_precision(
        truth, without.score(unseen)["score"]
    )


def test_contributions_add_up_to_the_score(data, fitted):
    frame = data[0]
    scored = fitted.score(frame)
    some = frame.iloc[[0, 17, 400, 2999]]
    parts = fitted.contributions(some, frame)
    total = parts.attrs["base"] + parts.sum(axis=1)
    np.testing.assert_allclose(total, logit(scored.loc[some.index, "score"].to_numpy()), atol=1e-6)
    quick = fitted.contributions(some, frame.assign(first_stage=scored["first_stage"]))
    pd.testing.assert_frame_equal(parts, quick)


def test_scoring_does_not_depend_on_threads_or_row_order(data, fitted):
    frame = data[0]
    once = fitted.score(frame)
    fitted.threads = 2
    pd.testing.assert_frame_equal(once, fitted.score(frame))
    fitted.threads = 1
    mixed = frame.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(once, fitted.score(mixed).loc[frame.index])


def test_same_training_gives_the_same_bytes(data, fitted, tmp_path):
    frame, _, labels = data
    again = Scorer.fit(
        frame, labels.sample(frac=1, random_state=1), SMALL, directions={"claim_amount": 1}, threads=2
    )
    fitted.save(tmp_path / "a")
    again.save(tmp_path / "b")
    for name in ("model.json", "forest.txt", "boosting.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_saved_and_loaded_scores_the_same(data, fitted, tmp_path):
    frame = data[0]
    fitted.save(tmp_path / "model")
    pd.testing.assert_frame_equal(Scorer.load(tmp_path / "model").score(frame), fitted.score(frame))
    with pytest.raises(NotTrainedError, match="no readable model"):
        Scorer.load(tmp_path / "nowhere")


@pytest.mark.parametrize("positives", [0, 5, 50])
def test_few_labels(data, positives):
    frame, bad, _ = data
    random = np.random.default_rng(2)
    rows = np.concatenate(
        [
            random.choice(np.flatnonzero(bad == 1), positives, replace=False),
            random.choice(np.flatnonzero(bad == 0), 4 * positives, replace=False),
        ]
    )
    labels = pd.DataFrame({"subject_id": frame["claim_id"].iloc[rows], "label": bad[rows], "random": False})
    scorer = Scorer.fit(frame, labels, SMALL, directions={})
    scored = scorer.score(frame)
    codes = {note["code"] for note in scorer.summary["fallbacks"]}
    if positives < 20:
        assert codes == {"no_labels" if positives == 0 else "few_labels"}
        assert scored["p_supervised"].isna().all()
        pd.testing.assert_series_equal(scored["score"], scored["anomaly"], check_names=False)
        parts = scorer.contributions(frame.head(3))
        total = parts.attrs["base"] + parts.sum(axis=1)
        np.testing.assert_allclose(total, logit(scored["score"].head(3).to_numpy()), atol=1e-6)
    else:
        assert "calibrated_on_biased_audits" in codes
        assert evaluate.average_precision(bad, scored["score"]) > evaluate.average_precision(
            bad, scored["anomaly"]
        )


@pytest.mark.parametrize("only", [0, 1])
def test_one_outcome_only(data, only):
    frame, bad, labels = data
    scorer = Scorer.fit(frame, labels[labels["label"] == only], SMALL, directions={})
    assert not scorer.summary["supervised"]
    assert scorer.summary["fallbacks"][0]["code"] == "few_labels"


def test_labels_about_nobody_are_counted(data):
    frame, _, labels = data
    stray = labels.head(4).assign(subject_id=["x1", "x2", "x3", "x4"])
    scorer = Scorer.fit(frame, stray, SMALL, directions={})
    assert scorer.summary["labels_without_row"] == 4
    assert [n["code"] for n in scorer.summary["fallbacks"]] == ["labels_without_row", "no_labels"]


def test_no_labels_table_at_all(data):
    empty = pd.DataFrame({"subject_id": [], "label": [], "random": [], "decided_at": []})
    assert not Scorer.fit(data[0], empty, SMALL, directions={}).summary["supervised"]


def test_mismatch_names_the_differing_columns(data, fitted):
    other = data[0].rename(columns={"claim_gap": "claim_lag"})
    with pytest.raises(NotTrainedError) as caught:
        fitted.score(other)
    text = str(caught.value)
    assert "claim_gap" in text
    assert "claim_lag" in text
    assert "fraud train" in text


def test_unknown_features_in_the_experiment_are_refused(data):
    frame, _, labels = data
    with pytest.raises(UsageError, match="claim_dream"):
        Scorer.fit(frame, labels, SMALL.model_copy(update={"include": ("claim_dream",)}), directions={})


def test_chosen_features_only(data):
    frame, _, labels = data
    wanted = SMALL.model_copy(update={"exclude": ("claim_noise",)})
    assert Scorer.fit(frame, labels, wanted, directions={}).features == FEATURES[:-1]


def test_entity_target_without_a_later_slice():
    random = np.random.default_rng(0)
    rows = 400
    bad = (random.random(rows) < 0.3).astype(int)
    frame = pd.DataFrame(
        {
            "institution_id": [f"h{i}" for i in range(rows)],
            "month": 24300,
            "amount_at_risk": 1.0,
            "claims": 3 + bad,
            "peer_group": "all",
            "peer_n": rows,
            "institution_a": random.normal(size=rows) + bad,
            "institution_b": random.normal(size=rows),
        }
    )
    labels = pd.DataFrame(
        {
            "subject_id": frame["institution_id"],
            "label": bad,
            "random": False,
            "decided_at": pd.Timestamp("2026-01-01"),
        }
    )
    experiment = SMALL.model_copy(update={"target": "institution"})
    scorer = Scorer.fit(frame, labels, experiment, directions={})
    assert scorer.summary["stopping"] == "folds"
    assert scorer.supervised.second is None
    assert evaluate.roc_auc(bad, scorer.score(frame)["score"]) > 0.8
