"""Champion and challenger: what is compared, what is refused, and what is recorded."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from fraud.backtest.contest import contest, enough_random, objections, summary
from fraud.backtest.overlap import overlap
from fraud.errors import DataError
from fraud.settings import PromotionSettings
from fraud.tracking import switches

SETTINGS = PromotionSettings()


def scores(skill: float, seed: int = 3, rows: int = 900) -> pd.DataFrame:
    """Three months of claims; the more skill, the more the score follows the label."""
    random = np.random.default_rng(1)
    bad = random.random(rows) < 0.2
    noise = np.random.default_rng(seed).random(rows)
    label = np.where(random.random(rows) < 0.6, bad.astype(float), np.nan)
    return pd.DataFrame(
        {
            "month": np.repeat(["2025-01", "2025-02", "2025-03"], rows // 3),
            "subject_id": [f"S{i:05d}" for i in range(rows)],
            "score": np.clip(skill * bad + (1 - skill) * noise, 0, 1),
            "amount": random.integers(100, 300, rows).astype(float),
            "rule_amount": 0.0,
            "label": label,
            "random": random.random(rows) < 0.3,
        }
    )


def test_a_better_challenger_leads_and_nothing_speaks_against_it():
    found = contest(scores(0.1), scores(0.6), 50)
    assert found["all"]["lead"]["low"] > 0.1
    assert found["all"]["money_lead"]["low"] > 0
    assert enough_random(found, SETTINGS)
    assert objections(found, SETTINGS) == []
    assert "lead" in " ".join(summary(found, SETTINGS))


def test_a_worse_challenger_is_refused_with_numbers():
    found = contest(scores(0.6), scores(0.1), 50)
    said = objections(found, SETTINGS)
    assert any("average precision" in s for s in said)
    assert any("confirmed money" in s for s in said)
    assert any("random slice" in s for s in said)
    assert f"{found['all']['challenger']:.3f} against {found['all']['champion']:.3f}" in said[0]


def test_the_same_model_leads_by_exactly_nothing():
    found = contest(scores(0.4), scores(0.4), 50)
    assert found["all"]["lead"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert len(objections(found, SETTINGS)) == 1
    lenient = SETTINGS.model_copy(update={"lead": -0.01})
    assert objections(found, lenient) == []


def test_too_little_is_no_evidence():
    few = [scores(s).assign(label=lambda f: f["label"].where(f.index < 40)) for s in (0.1, 0.6)]
    said = objections(contest(*few, 50), SETTINGS)
    assert any("are needed" in s for s in said)
    short = [s[s["month"] == "2025-01"] for s in (scores(0.1), scores(0.6))]
    assert any("1 months were compared" in s for s in objections(contest(*short, 50), SETTINGS))


def test_a_thin_random_slice_has_no_say():
    pair = [scores(s).assign(random=lambda f: f.index < 5) for s in (0.6, 0.1)]
    found = contest(*pair, 50)
    assert not enough_random(found, SETTINGS)
    assert not any("random slice" in s for s in objections(found, SETTINGS))
    assert "too few" in summary(found, SETTINGS)[-1]


def test_back_tests_of_other_claims_are_no_pair():
    other = scores(0.6)
    with pytest.raises(DataError, match="same subjects and decisions"):
        contest(scores(0.1), other[other["subject_id"] != "S00003"], 50)
    with pytest.raises(DataError, match="same subjects and decisions"):
        contest(scores(0.1), other.assign(label=1.0), 50)


def claims(score: np.ndarray) -> pd.DataFrame:
    amount = np.arange(len(score)) * 10.0 + 100
    return pd.DataFrame(
        {
            "claim_id": [f"C{i:03d}" for i in range(len(score))],
            "score": score,
            "amount_at_risk": amount,
            "expected_recovery": score * amount,
        }
    )


def cases(ids: list[list[str]], kind: str = "claim") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subject_kind": kind,
            "subject_id": [own[0] for own in ids],
            "score": 0.5,
            "amount_at_risk": 100.0,
            "expected_recovery": 50.0,
            "evidence_claim_ids": ids,
        }
    )


def test_equal_rankings_overlap_whole():
    one = claims(np.linspace(0, 1, 60))
    same = overlap(one, one.sample(frac=1, random_state=1), (cases([["C059"]]), cases([["C059"]])), 30)
    assert [t["first"] for t in same["top"]] == [20, 30, 50]
    assert {t["share"] for t in same["top"]} == {1.0}
    assert same["rank_correlation"] == {"expected_recovery": 1.0, "score": 1.0}
    assert same["champion"]["only"]["cases"] == same["challenger"]["only"]["cases"] == 0


def test_a_case_is_held_by_its_money_not_by_its_name():
    """A doctor's five claims are on the other list if three of them are, as whatever subject."""
    up = np.linspace(0, 1, 60)
    doctor = cases([["C050", "C051", "C052", "C053", "C054"]], "doctor")
    held = overlap(claims(up), claims(up[::-1].copy()), (doctor, cases([["C050"], ["C051"], ["C052"]])), 30)
    assert held["champion"]["only"]["cases"] == 0
    assert held["rank_correlation"]["score"] == -1.0
    alone = overlap(claims(up), claims(up[::-1].copy()), (doctor, cases([["C001"]])), 30)
    example = alone["champion"]["only"]["examples"][0]
    assert (example["subject_kind"], example["claims"]) == ("doctor", 5)
    assert example["own_score"] > example["other_score"]
    assert alone["challenger"]["only"]["cases"] == 1


def facts(after: str, name: str = "city") -> dict[str, object]:
    return {"name": name, "kind": "named", "before": "1", "after": after, "by": "Li", "reason": "审核"}


def test_switches_are_appended_and_chained(tmp_path):
    for after, name in (("2", "city"), ("7", "town"), ("3", "city")):
        switches.record(tmp_path, facts(after, name))
    lines = switches.read(tmp_path, "city")
    assert [line["after"] for line in lines] == ["2", "3"]
    assert lines[0]["previous"] == ""
    assert len(lines[1]["previous"]) == 64
    assert all(line["at"].endswith("+00:00") for line in lines)


@pytest.mark.parametrize("harm", ["changed", "removed", "broken"])
def test_a_changed_record_is_told(tmp_path, harm):
    for after in "234":
        switches.record(tmp_path, facts(after))
    path = tmp_path / switches.FILE
    lines = path.read_text(encoding="utf-8").splitlines()
    if harm == "changed":
        lines[1] = json.dumps(json.loads(lines[1]) | {"by": "Wang"}, ensure_ascii=False, sort_keys=True)
    elif harm == "removed":
        del lines[1]
    else:
        lines[1] = lines[1][:-5]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="line"):
        switches.read(tmp_path, "city")
