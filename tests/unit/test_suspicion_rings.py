"""Rings on the list: whose evidence a claim is, money counted once, reasons and explanations."""

import json

import pandas as pd
import pytest

from fraud.settings import ListSettings
from fraud.suspicion import claim_rings, ring_reasons, roll_up
from tests.unit.ring_frames import DOCTORS, PHARMACY, made
from tests.unit.test_suspicion import MONTH, city, make_odd


def evidence(ring):
    return dict(zip(made().rings["ring_id"], made().rings["evidence"], strict=True))[ring]


def test_a_claim_of_two_rings_belongs_to_the_better():
    claims = pd.DataFrame({"claim_id": ["c1", "c2", "c3", "c4"]}, index=[7, 5, 3, 1])
    named = [("R-2", "c1"), ("R-1", "c2"), ("R-2", "c2"), ("R-9", "c3"), ("R-1", "elsewhere")]
    own = pd.DataFrame(named, columns=["ring_id", "claim_id"])
    told = claim_rings(claims, own, ["R-1", "R-2"])
    assert told.to_dict() == {7: "R-2", 5: "R-1", 3: "", 1: ""}
    assert (claim_rings(claims, own.iloc[:0], []) == "").all()


def test_ring_is_scored_as_a_ring_and_its_money_counts_once():
    frame = city()
    mine = frame.index[frame["doctor_id"] == "D042"][:20]
    frame.loc[mine, "ring_id"] = "R-1"
    frame = make_odd(frame, frame.index[frame["doctor_id"] == "D042"])
    listed = roll_up(frame, ListSettings(evidence_claims=10_000), None, None, MONTH, rings={"R-1": 0.75})
    ring = listed[listed["subject_kind"] == "ring"].iloc[0]
    money = frame.loc[mine, "amount_at_risk"].sum()
    assert (ring["subject_id"], ring["score"], ring["claims"]) == ("R-1", 0.75, 20)
    assert ring["amount_at_risk"] == pytest.approx(money)
    assert ring["expected_recovery"] == pytest.approx(0.75 * money, abs=0.006)
    doctor = listed[listed["subject_id"] == "D042"].iloc[0]
    assert not set(doctor["evidence_claim_ids"]) & set(ring["evidence_claim_ids"])
    assert not listed["evidence_claim_ids"].explode().duplicated().any()


def test_unlikely_ring_falls_below_likely_claims():
    frame = city()
    mine = frame.index[::1000]
    frame.loc[mine, "ring_id"] = "R-1"
    frame.loc[mine, "score"] = 0.9
    listed = roll_up(frame, ListSettings(), None, None, MONTH, rings={"R-1": 0.001})
    assert "R-1" not in set(listed["subject_id"].head(20))


def test_ring_without_a_claim_in_the_month_is_not_listed():
    listed = roll_up(city(), ListSettings(), None, None, MONTH, rings={"R-1": 0.99})
    assert not (listed["subject_kind"] == "ring").any()


def test_operator_story_stays_where_no_ring_covers_it():
    frame = city()
    frame["operator_id"] = [f"O{i % 60:02d}" for i in range(len(frame))]
    mine = frame.index[frame["operator_id"] == "O07"]
    frame = make_odd(frame, mine)
    covered = frame.assign(ring_id=frame["ring_id"].where(frame["operator_id"] != "O07", "R-1"))
    for claims, told in ((frame, {"operator:O07"}), (covered, {"R-1"})):
        listed = roll_up(claims, ListSettings(), None, None, MONTH, rings={"R-1": 0.9})
        assert set(listed.loc[listed["subject_kind"] == "ring", "subject_id"]) == told


def test_reasons_say_what_was_done_seen_and_tried():
    reasons = ring_reasons(evidence(PHARMACY), 6)
    assert [r["code"] for r in reasons] == [
        "ring_summary", "ring_meetings", "ring_operator_share", "ring_resale_share",
        "ring_explanation_chronic_cycle", "ring_explanation_family",
    ]  # fmt: skip
    assert "O0815" in reasons[0]["sentence_zh"]
    assert reasons[1]["sentence_zh"] == "成员间会面次数：212，对照3.4。"
    assert (reasons[1]["value"], reasons[1]["baseline"]) == (212.0, 3.4)
    assert reasons[2]["sentence_en"] == "share handled by one operator: 100%, against 22%."
    assert reasons[4]["sentence_zh"] == "已核查：慢病固定取药周期，可解释其中31%，不足以解释。"
    assert reasons[4]["sentence_en"] == "checked: chronic pick-up cycle: explains 31%, not enough."
    for reason in reasons:
        assert reason["sentence_zh"] and reason["sentence_en"] and reason["contribution"] == 0


def test_explanations_that_explain_nothing_are_one_reason():
    last = ring_reasons(evidence(DOCTORS), 6)[-1]
    assert last["code"] == "ring_explanation_others"
    assert last["sentence_zh"] == "已核查：同一机构内转诊，均不能解释。"


def test_figures_in_the_words_are_not_repeated():
    told = json.loads(evidence(DOCTORS))
    measure = {
        "code": "met",
        "zh": "成员相遇 12 次",
        "en": "members met 12 times",
        "value": 12.0,
        "baseline": 0.3,
    }
    tried = {
        "code": "family",
        "zh": "同户：可解释 60%",
        "en": "household: explains 60%",
        "share": 0.6,
        "explains": True,
    }
    text = json.dumps(told | {"measures": [measure], "explanations": [tried]}, ensure_ascii=False)
    _, seen, checked = ring_reasons(text, 6)
    assert seen["sentence_zh"] == "成员相遇 12 次。"
    assert checked["sentence_zh"] == "已核查：同户，可解释其中60%，足以解释。"


@pytest.mark.parametrize("most", [1, 2, 3, 30])
def test_room_is_kept(most):
    reasons = ring_reasons(evidence(PHARMACY), most)
    assert len(reasons) == min(most, 9)
    assert reasons[0]["code"] == "ring_summary"
