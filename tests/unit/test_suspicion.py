"""Roll-up worked examples: what becomes one suspicion, and how the list is ordered."""

import numpy as np
import pandas as pd
import pytest

from fraud.settings import ListSettings
from fraud.suspicion import COLUMNS, attach_reasons, roll_up, suspicion_id, suspicions

MONTH = "2026-07"


def city(claims: int = 6000, seed: int = 1) -> pd.DataFrame:
    """An ordinary month: 10 hospitals, 100 doctors, patients spread at random, low scores."""
    rng = np.random.default_rng(seed)
    doctor = rng.integers(0, 100, claims)
    return pd.DataFrame(
        {
            "claim_id": [f"C{i:06d}" for i in range(claims)],
            "patient_id": [f"P{i:05d}" for i in rng.integers(0, claims // 2, claims)],
            "doctor_id": [f"D{i:03d}" for i in doctor],
            "department_id": [f"H{i // 10}-{i % 10 // 2}" for i in doctor],
            "institution_id": [f"H{i // 10}" for i in doctor],
            "visit_type": np.where(rng.random(claims) < 0.8, "outpatient", "inpatient"),
            "score": np.round(rng.beta(1, 30, claims), 6),
            "anomaly": rng.random(claims),
            "rule_hits": [[] for _ in range(claims)],
            "ring_id": "",
            "amount_at_risk": np.round(rng.lognormal(6, 0.8, claims), 2),
        }
    )


def make_odd(frame: pd.DataFrame, rows: pd.Series | np.ndarray, score: float = 0.9) -> pd.DataFrame:
    frame.loc[rows, "score"] = score
    return frame


def test_doctor_with_forty_odd_claims_is_one_suspicion():
    frame = city()
    mine = frame.index[frame["doctor_id"] == "D042"][:43]
    listed = roll_up(make_odd(frame, mine), ListSettings(), None, None, MONTH)
    first = listed.iloc[0]
    assert (first["subject_kind"], first["subject_id"]) == ("doctor", "D042")
    assert set(frame.loc[mine, "claim_id"]) <= set(first["evidence_claim_ids"])
    others = listed.iloc[1:]["evidence_claim_ids"].explode()
    assert not others.isin(frame.loc[mine, "claim_id"]).any()
    assert "H4" not in set(listed["subject_id"])


def test_hospital_wide_story_is_the_institution():
    frame = city()
    rng = np.random.default_rng(3)
    mine = frame.index[(frame["institution_id"] == "H3") & (rng.random(len(frame)) < 0.4)]
    listed = roll_up(make_odd(frame, mine), ListSettings(), None, None, MONTH)
    assert (listed.loc[0, "subject_kind"], listed.loc[0, "subject_id"]) == ("institution", "H3")
    told = listed.loc[listed["subject_kind"] == "doctor", "subject_id"]
    assert not told.between("D030", "D039").any()


def test_department_story_is_the_department():
    frame = city()
    mine = frame.index[frame["department_id"] == "H5-2"]
    listed = roll_up(make_odd(frame, mine), ListSettings(), None, None, MONTH)
    assert (listed.loc[0, "subject_kind"], listed.loc[0, "subject_id"]) == ("department", "H5-2")


def test_patient_who_shops_many_doctors_is_one_patient():
    frame = city()
    mine = frame.index[::500]
    frame.loc[mine, "patient_id"] = "PX"
    listed = roll_up(make_odd(frame, mine), ListSettings(), None, None, MONTH)
    shopper = listed[listed["subject_id"] == "PX"].iloc[0]
    assert (shopper["subject_kind"], shopper["claims"]) == ("patient", len(mine))


def test_only_doctor_of_a_clinic_is_listed_not_the_clinic():
    frame = city()
    mine = frame.index[:30]
    frame.loc[mine, ["doctor_id", "department_id", "institution_id"]] = ["DX", "HX-0", "HX"]
    listed = roll_up(make_odd(frame, mine), ListSettings(), None, None, MONTH)
    assert (listed.loc[0, "subject_kind"], listed.loc[0, "subject_id"]) == ("doctor", "DX")


def test_family_visiting_together_stays_unsuspicious():
    frame = city()
    family = frame.index[:8]
    frame.loc[family, ["doctor_id", "department_id", "institution_id"]] = ["D001", "H0-0", "H0"]
    frame.loc[family, "patient_id"] = ["F1", "F2", "F3", "F4"] * 2
    frame.loc[family, "score"] = 0.01
    listed = roll_up(frame, ListSettings(), None, None, MONTH)
    assert not set(listed["subject_id"]) & {"F1", "F2", "F3", "F4", "D001"}


def test_missing_doctor_ids_never_become_one_doctor():
    frame = city()
    mine = frame.index[::100]
    frame.loc[mine, "doctor_id"] = ""
    frame.loc[mine[::2], "doctor_id"] = None
    listed = roll_up(make_odd(frame, mine), ListSettings(), None, None, MONTH)
    assert not (listed["subject_kind"] == "doctor").any()
    assert listed["subject_id"].str.len().gt(0).all()


def test_ring_comes_first_and_takes_all_its_claims():
    frame = city()
    mine = frame.index[frame["doctor_id"] == "D042"][:40]
    frame.loc[mine, "ring_id"] = "R-1"
    listed = roll_up(make_odd(frame, mine), ListSettings(), None, None, MONTH)
    assert (listed.loc[0, "subject_kind"], listed.loc[0, "subject_id"]) == ("ring", "R-1")
    assert listed.loc[0, "claims"] == 40
    assert "D042" not in set(listed["subject_id"])


def test_operator_story_is_a_ring_around_the_till():
    frame = city().assign(operator_id=None)
    frame["operator_id"] = [f"O{i % 60:02d}" for i in range(len(frame))]
    mine = frame.index[frame["operator_id"] == "O07"]
    listed = roll_up(make_odd(frame, mine), ListSettings(), None, None, MONTH)
    assert (listed.loc[0, "subject_kind"], listed.loc[0, "subject_id"]) == ("ring", "operator:O07")


def test_expensive_hospital_is_not_suspicious_for_being_expensive():
    frame = city()
    dear = frame["institution_id"] == "H9"
    frame.loc[dear, "amount_at_risk"] *= 30
    listed = roll_up(frame, ListSettings(), None, None, MONTH)
    assert "H9" not in set(listed["subject_id"])


def test_claims_of_one_patient_at_one_institution_fold():
    frame = city()
    mine = frame.index[[10, 20]]
    frame.loc[mine, ["patient_id", "institution_id"]] = ["PX", "H1"]
    frame.loc[mine, "amount_at_risk"] = [5000.0, 9000.0]
    listed = roll_up(make_odd(frame, mine), ListSettings(), None, None, MONTH)
    story = listed[listed["subject_id"] == "C000020"].iloc[0]
    assert story["subject_kind"] == "claim"
    assert story["evidence_claim_ids"] == ["C000020", "C000010"]
    assert story["amount_at_risk"] == 14000.0


def test_many_leftover_claims_of_a_patient_are_the_patient():
    frame = city()
    mine = frame.index[[10, 20, 30]]
    frame.loc[mine, "patient_id"] = "PX"
    frame.loc[mine, "score"] = 0.1
    frame.loc[mine, "amount_at_risk"] = 50_000.0
    listed = roll_up(frame, ListSettings(), None, None, MONTH)
    assert listed.loc[0, ["subject_kind", "subject_id", "claims"]].tolist() == ["patient", "PX", 3]


def test_flat_scores_make_no_stories():
    frame = city()
    frame["score"] = 0.07 + 0.02 * frame["anomaly"]
    frame.loc[frame["institution_id"] == "H3", "score"] += 0.02
    listed = roll_up(frame, ListSettings(), None, None, MONTH)
    assert set(listed["subject_kind"]) <= {"claim", "patient"}


def test_contract_columns_order_product_and_capacity():
    settings = ListSettings(capacity=25)
    listed = roll_up(city(), settings, None, None, MONTH)
    assert list(listed.columns) == [*COLUMNS, "claims"]
    assert listed["rank"].tolist() == list(range(1, 26))
    assert listed["expected_recovery"].is_monotonic_decreasing
    assert (listed["score"] * listed["amount_at_risk"] - listed["expected_recovery"]).abs().max() <= 0.005001
    assert listed["suspicion_id"].is_unique
    assert not listed["evidence_claim_ids"].explode().duplicated().any()


def test_amount_is_the_sum_of_the_evidence():
    frame = city()
    listed = roll_up(frame, ListSettings(evidence_claims=10_000), None, None, MONTH)
    amount = frame.set_index("claim_id")["amount_at_risk"]
    for _, row in listed.iterrows():
        assert row["amount_at_risk"] == pytest.approx(amount[row["evidence_claim_ids"]].sum(), abs=1e-6)


def test_row_order_does_not_matter():
    frame = make_odd(city(), np.arange(0, 6000, 150))
    shuffled = frame.sample(frac=1, random_state=5)
    left = roll_up(frame, ListSettings(), None, None, MONTH)
    right = roll_up(shuffled, ListSettings(), None, None, MONTH)
    pd.testing.assert_frame_equal(left, right)


def test_min_score_cuts():
    listed = roll_up(city(), ListSettings(min_score=0.2), None, None, MONTH)
    assert (listed["score"] >= 0.2).all()


def test_logical_impossibility_is_a_candidate_with_a_low_score():
    frame = city()
    frame["amount_at_risk"] = 100.0
    frame.loc[7, "score"] = 0.000001
    frame.at[7, "rule_hits"] = ["MGT-DEAD"]
    plain = roll_up(frame, ListSettings(capacity=2000), None, None, MONTH)
    forced = roll_up(frame, ListSettings(capacity=2000), None, None, MONTH, impossible={"MGT-DEAD"})
    assert "C000007" not in set(plain["evidence_claim_ids"].explode())
    assert "C000007" in set(forced["evidence_claim_ids"].explode())


@pytest.mark.parametrize(
    ("old", "status"), [(None, "new"), (1.0, "persisting"), (0.5, "up"), (2.0, "down"), (1.19, "persisting")]
)
def test_status_against_last_month(old, status):
    frame = city()
    now = roll_up(frame, ListSettings(), None, None, MONTH).iloc[0]
    previous = pd.DataFrame({"subject_kind": [], "subject_id": [], "expected_recovery": []})
    if old is not None:
        previous = pd.DataFrame(
            {
                "subject_kind": [now["subject_kind"]],
                "subject_id": [now["subject_id"]],
                "expected_recovery": [old * now["expected_recovery"]],
            }
        )
    listed = roll_up(frame, ListSettings(), previous, None, MONTH)
    assert listed.loc[0, "status_vs_last_month"] == status


@pytest.mark.parametrize(
    ("decisions", "marked"),
    [
        ([("cleared", "2026-05-02")], True),
        ([("cleared", "2026-07-02")], False),
        ([("cleared", "2026-05-02"), ("confirmed", "2026-06-02")], False),
        ([("confirmed", "2026-05-02"), ("cleared", "2026-06-02")], True),
        ([("cleared", "2026-05-02"), ("confirmed", "2026-07-01")], True),
    ],
)
def test_cleared_false_alarm_comes_back_marked(decisions, marked):
    frame = city()
    now = roll_up(frame, ListSettings(), None, None, MONTH).iloc[0]
    audits = pd.DataFrame(decisions, columns=["outcome", "decided_at"]).assign(
        subject_kind=now["subject_kind"], subject_id=now["subject_id"]
    )
    listed = roll_up(frame, ListSettings(), None, audits, MONTH)
    assert (listed.loc[0, "status_vs_last_month"] == "previously_cleared") is marked


def test_entity_target_lists_subjects_of_that_kind():
    frame = city()
    subjects = pd.DataFrame(
        {
            "subject_kind": ["institution"] * 3 + ["doctor"],
            "subject_id": ["H1", "H2", "H3", "D001"],
            "score": [0.2, 0.9, 0.5, 0.99],
            "p_supervised": [0.2, 0.9, 0.5, np.nan],
            "amount_at_risk": [1000.0, 1000.0, 1000.0, 1e6],
        }
    )
    listed = roll_up(frame, ListSettings(evidence_claims=5), None, None, MONTH, subjects=subjects)
    assert listed["subject_id"].tolist() == ["H2", "H3", "H1"]
    assert listed["expected_recovery"].tolist() == [900.0, 500.0, 200.0]
    doctors = roll_up(frame, ListSettings(), None, None, MONTH, subjects=subjects, target="doctor")
    assert doctors["subject_id"].tolist() == ["D001"]
    rolled = roll_up(frame.assign(p_supervised=0.1), ListSettings(), None, None, MONTH, subjects=subjects)
    assert rolled["subject_kind"].iloc[0] == "claim"
    own = frame[frame["institution_id"] == "H2"]
    best = own.assign(e=own["score"] * own["amount_at_risk"]).nlargest(5, "e")["claim_id"].tolist()
    assert listed.loc[0, "evidence_claim_ids"] == best


def test_reasons_are_frozen_and_hashed():
    def provider(listed):
        reason = {
            "code": "x",
            "sentence_zh": "句",
            "sentence_en": "s",
            "value": np.float64(2),
            "baseline": np.nan,
        }
        return [[reason] * 9] * len(listed)

    listed = suspicions(city(), None, provider, None, ListSettings(reasons=4), month=MONTH)
    assert listed["reasons"].map(len).eq(4).all()
    assert listed.loc[0, "reasons"][0]["baseline"] is None
    assert listed["rationale_hash"].str.fullmatch("[0-9a-f]{64}").all()
    again = attach_reasons(listed, provider(listed), 4)
    assert again["rationale_hash"].equals(listed["rationale_hash"])
    assert (
        attach_reasons(listed, provider(listed), 3).loc[0, "rationale_hash"]
        != listed.loc[0, "rationale_hash"]
    )
    with pytest.raises(ValueError, match="reasons for 0"):
        attach_reasons(listed, [])


@pytest.mark.parametrize("claims", [0, 1, 5])
def test_tiny_months(claims):
    listed = roll_up(city(10).head(claims), ListSettings(), None, None, MONTH)
    assert len(listed) <= claims


def test_only_the_needed_columns():
    frame = city()[["claim_id", "score", "amount_at_risk"]]
    listed = roll_up(frame, ListSettings(), None, None, MONTH)
    assert (listed["subject_kind"] == "claim").all()
    assert len(listed) == 200


def test_identity_is_stable():
    assert suspicion_id("doctor", "D1") == suspicion_id("doctor", "D1") != suspicion_id("patient", "D1")
