# ruff: noqa: E501 (sentences of tests)
"""The monitor's figures counted by hand, and its verdict and advice rule by rule."""

from __future__ import annotations

import copy
import math

import pandas as pd
import pytest

from fraud.monitor import advice, by_month, checks, judged, together, verdict
from fraud.monitor.lists import difference, share_of
from fraud.settings import MonitorSettings

SETTINGS = MonitorSettings()
NAN = {"value": math.nan, "low": math.nan, "high": math.nan}


def case(
    month: str, name: str, kind: str = "claim", claims: tuple[str, ...] = (), **more: object
) -> dict[str, object]:
    plain = {"month": month, "suspicion_id": f"s-{name}", "subject_kind": kind, "subject_id": name,
             "evidence_claim_ids": list(claims or (name,)), "score": 0.5, "expected_recovery": 100.0,
             "version": "1", "learning": False}  # fmt: skip
    return plain | more


def decided(*rows: tuple[str, str, bool, str, float]) -> pd.DataFrame:
    columns = ["subject_kind", "subject_id", "confirmed", "decided_at", "cents"]
    frame = pd.DataFrame(list(rows), columns=columns)
    return frame.assign(decided_at=pd.to_datetime(frame["decided_at"]).astype("datetime64[us]"))


def fate(*rows: tuple[str, str, bool, str, float], **of: object) -> tuple[bool, bool, float]:
    """What became of one patient with four claims listed in March."""
    cases = pd.DataFrame([case("2026-03", "P1", "patient", ("a", "b", "c", "d"), **of)])
    [row] = judged(cases, decided(*rows)).to_dict("records")
    return row["decided"], row["confirmed"], row["recovered"]


def test_its_own_decision_comes_before_those_of_its_claims():
    own = ("patient", "P1", False, "2026-05-01", math.nan)
    claims = [("claim", c, True, "2026-05-02", 500.0) for c in "abcd"]
    assert fate(own, *claims) == (True, False, 0.0)


def test_half_of_the_claims_decide_a_case_whatever_the_outcome():
    one = ("claim", "a", True, "2026-05-01", 500.0)
    assert fate(one)[0] is False, "one of four is too few, confirmed or not"
    assert fate(one, ("claim", "b", False, "2026-05-01", math.nan)) == (True, True, 500.0)
    cleared = [("claim", c, False, "2026-05-01", math.nan) for c in "ab"]
    assert fate(*cleared) == (True, False, 0.0)


def test_what_was_known_before_the_month_is_no_test_of_its_list():
    assert fate(("patient", "P1", True, "2026-02-28 23:59", 900.0))[0] is False
    assert fate(("patient", "P1", True, "2026-03-01", 900.0)) == (True, True, 900.0)


def test_a_confirmed_case_without_an_amount_counts_no_money():
    found = fate(("patient", "P1", True, "2026-05-01", math.nan))
    assert found[:2] == (True, True)
    assert math.isnan(found[2])


def test_nothing_listed_and_nothing_decided_are_no_errors():
    nobody = judged(pd.DataFrame([case("2026-03", "A")]).head(0), decided())
    assert together(nobody)["listed"] == 0
    assert fate() == (False, False, pytest.approx(math.nan, nan_ok=True))


CASES = judged(
    pd.DataFrame(
        [case("2026-01", "A"), case("2026-01", "B", score=0.9), case("2026-02", "A"), case("2026-02", "C")]
    ),
    decided(
        ("claim", "A", True, "2026-02-03", 15000.0),
        ("claim", "B", False, "2026-02-03", math.nan),
        ("claim", "X", True, "2026-02-03", 1.0),
    ),
)


def test_a_suspicion_listed_twice_counts_once_together_and_in_each_month():
    whole = together(CASES)
    assert (whole["listed"], whole["decided"], whole["confirmed"]) == (3, 2, 1)
    assert whole["stated"] == pytest.approx(0.7)
    assert (whole["expected"], whole["recovered"], whole["money_cases"]) == (200.0, 150.0, 2)
    assert whole["ratio"]["value"] == 0.75
    months = by_month(CASES, ["2025-12", "2026-01", "2026-02"], "2026-03", 2)
    assert [(m["listed"], m["decided"], m["confirmed"], m["ripe"]) for m in months] == [
        (0, 0, 0, True), (2, 2, 1, True), (2, 1, 1, False),
    ]  # fmt: skip


def test_the_interval_of_a_difference_is_the_published_one():
    """Newcombe 1998, table II, example (a): 56/70 - 48/80 by method 10."""
    gap = difference(share_of(56, 70), share_of(48, 80))
    assert [round(gap[k], 4) for k in ("value", "low", "high")] == [0.2, 0.0524, 0.3339]


def ranked(lead: tuple[float, float, float]) -> dict[str, object]:
    value, low, high = lead
    ways = {"model": {"average_precision": {"value": 0.6, "low": 0.5, "high": 0.7}}}
    for way in ("amount", "rules"):
        ways[way] = {"lead": {"value": value, "low": low, "high": high}}
    return {"decided": 300, "confirmed": 60, "ways": ways}


def side(
    hits: int, rows: int, stated: float = 0.5, months: tuple[str, ...] = ("2026-06",)
) -> dict[str, object]:
    ratio = {"value": 1.0, "low": 0.8, "high": 1.2}
    return {"listed": 2 * rows, "decided": rows, "confirmed": hits, "rate": share_of(hits, rows), "stated": stated,
            "expected": 100.0, "recovered": 100.0, "money_cases": rows, "ratio": ratio, "months": list(months)}  # fmt: skip


def figures(**changed: object) -> dict[str, object]:
    """A model that is good in every way, but for what is changed (``live__decided`` reaches inside)."""
    wide = {"value": 0.7, "low": 0.6, "high": 0.8}
    quiet = {
        "month": "2026-08",
        "levels": {"note": 0, "warn": 0, "stop": 0},
        "whole": "",
        "features": [],
        "others": [],
    }
    healthy: dict[str, object] = {
        "month": "2026-08", "months": ["2026-08"], "until": "2026-08", "after": "2026-09",
        "together": side(50, 100), "recent": side(20, 40), "before": side(20, 40), "fall": difference(share_of(20, 40), share_of(20, 40)),
        "former": {}, "lists": [{"listed": 60}], "live_months": ["2026-08"],
        "live": {"decided": 300, "confirmed": 60, "random": 90, "all": ranked((0.2, 0.1, 0.3)),
                 "roc_auc": {"value": 0.8, "low": 0.75, "high": 0.85}, "burden": {}, "calibration": {},
                 "estimates": {"trust": "joined", "audited_random": 90, "audited_ranked": 200, "contradicted": [],
                               "joined": {"recall": wide, "money_found": wide}}},
        "backtest": {"all": ranked((0.2, 0.1, 0.3))}, "promised": {"roc_auc": {"value": 0.82, "low": 0.78, "high": 0.86}},
        "drift": [quiet], "places": [], "refused": [], "rules": [], "groups": [], "challenger": {},
        "age": {"months": 2, "until": "2026-06", "newer": 20, "known": 400, "confirmed": 200, "share": 0.05},
        "commands": {"dataset": "data/ours", "out": "runs", "audits": " --audits workbench"}, "settings": {"learning_share": 0.0},
        "spans": {"champion": ["2026-07", "2026-08"], "version": "3"},
    }  # fmt: skip
    healthy = copy.deepcopy(healthy)
    for path, value in changed.items():
        *parents, last = path.split("__")
        inside = healthy
        for parent in parents:
            inside = inside[parent]  # type: ignore[assignment]
        inside[last] = value
    return healthy


def levels(**changed: object) -> dict[str, str]:
    return {c.code: c.level for c in checks(figures(**changed), SETTINGS)}


def test_a_model_that_is_good_in_every_way_needs_nothing():
    found = checks(figures(), SETTINGS)
    assert {c.level for c in found} == {"good", "note"}
    assert [c.code for c in found if c.level == "note"] == ["missed"]
    assert verdict(found) == "good"
    assert advice(figures(), found, SETTINGS) == []


DRIFTED = {
    "month": "2026-08",
    "levels": {"note": 0, "warn": 1, "stop": 0},
    "whole": "",
    "features": [],
    "others": [],
}
LEAD = {"value": 0.05, "low": 0.01, "high": 0.09}
EVIDENCE = {"all": {"lead": LEAD}, "random": {}, "months": ["2026-07"]}


@pytest.mark.parametrize(
    ("changed", "code", "level"),
    [
        ({"together": side(5, 100)}, "hit_rate", "act"),
        ({"together": side(19, 100)}, "hit_rate", "watch"),
        ({"together": side(10, 19)}, "hit_rate", "unknown"),
        ({"fall": {"value": -0.3, "low": -0.4, "high": -0.15}}, "fall", "act"),
        ({"fall": {"value": -0.2, "low": -0.3, "high": -0.01}}, "fall", "watch"),
        ({"fall": {"value": -0.2, "low": -0.4, "high": 0.01}}, "fall", "good"),
        ({"before": side(2, 4)}, "fall", "unknown"),
        ({"live__all": ranked((-0.2, -0.3, -0.1))}, "ranking_amount", "act"),
        ({"live__all": ranked((0.1, -0.1, 0.3))}, "ranking_rules", "watch"),
        ({"live__all": ranked((-0.2, -0.3, -0.1)), "live__decided": 99}, "ranking_amount", "good"),
        ({"live__all": {}, "backtest": {}}, "ranking_amount", "unknown"),
        ({"live__all": ranked((0.1, -0.1, 0.3)) | {"decided": 40}, "live__decided": 40, "backtest": {}}, "ranking_amount", "unknown"),
        ({"live__roc_auc": {"value": 0.6, "low": 0.5, "high": 0.7}}, "promise", "act"),
        ({"live__roc_auc": {"value": 0.7, "low": 0.6, "high": 0.76}}, "promise", "watch"),
        ({"promised": {}}, "promise", "unknown"),
        ({"together__stated": 0.65}, "calibration", "watch"),
        ({"together__stated": 0.3}, "calibration", "watch"),
        ({"together": side(30, 100, 0.9)}, "calibration", "act"),
        ({"together__ratio": {"value": 0.3, "low": 0.2, "high": 0.4}}, "money", "act"),
        ({"together__ratio": {"value": 0.7, "low": 0.6, "high": 0.9}}, "money", "watch"),
        ({"together__ratio": {"value": 3.0, "low": 2.0, "high": 4.0}}, "money", "good"),
        ({"live__estimates__trust": "ranked"}, "missed", "unknown"),
        ({"live__estimates__joined__recall": {"value": 0.1, "low": 0.02, "high": 0.9}}, "missed", "unknown"),
        ({"drift": [DRIFTED]}, "drift", "note"),
        ({"drift": [DRIFTED | {"others": [{"level": "warn"}]}]}, "drift", "watch"),
        ({"drift": [DRIFTED | {"whole": "warn"}]}, "drift", "watch"),
        ({"drift": [DRIFTED | {"levels": {"note": 0, "warn": 0, "stop": 1}}]}, "drift", "act"),
        ({"drift": []}, "drift", "unknown"),
        ({"age__months": 6}, "age", "watch"),
        ({"age__share": 0.3}, "age", "watch"),
        ({"age__months": None}, "age", "unknown"),
        ({"challenger": {"version": "4", "until": "2026-07", "evidence": EVIDENCE, "objections": []}}, "challenger", "watch"),
        ({"challenger": {"version": "4", "until": "2026-07", "evidence": EVIDENCE, "objections": ["few"]}}, "challenger", "note"),
    ],
)  # fmt: skip
def test_each_question_follows_its_stated_rule(changed, code, level):
    assert levels(**changed)[code] == level


def test_the_gravest_answer_is_the_verdict_and_stands_first():
    found = checks(figures(together=side(5, 100, 0.05), age__months=6), SETTINGS)
    assert verdict(found) == "act"
    assert [c.level for c in found[:2]] == ["act", "watch"]
    assert verdict(checks(figures(age__months=6), SETTINGS)) == "watch"


def test_without_hit_rate_and_ranking_nothing_is_said_to_be_good():
    bare = figures(together=side(1, 3), live__all={}, backtest={})
    assert verdict(checks(bare, SETTINGS)) == "unknown"


AGAIN = {"group_id": "N-1", "months": ["2026-07", "2026-08"], "decided": 0, "claims": 9, "amount": 900.0}
RULE = {"rule": "R1", "decided": 50, "confirmed": 2, "rate": share_of(2, 50)}
RIVAL = {"version": "4", "until": "2026-05", "experiment": "bolder", "evidence": {}, "objections": []}
WORSE = {"version": "2", "version_now": "3", "now": side(5, 50), "then": side(40, 50),
         "gap": difference(share_of(5, 50), share_of(40, 50))}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "code", "urgency", "words"),
    [
        ({"former": WORSE}, "back", "act", "fraud promote data/ours --back"),
        ({"challenger": RIVAL | {"evidence": EVIDENCE}}, "promote", "watch", "fraud promote data/ours --out runs"),
        ({"age__months": 9}, "retrain", "watch", "fraud train data/ours --until 2026-08 --audits workbench"),
        ({"together": side(5, 100)}, "retrain", "act", "fraud train"),
        ({"refused": [{"month": "2026-07", "codes": ["new_codes"], "scored": False}]}, "refused", "act", "--month 2026-07"),
        ({"places": [{"place": "H1", "findings": 2, "month": "2026-08", "level": "stop", "zh": "甲", "en": "a"}]}, "place", "watch", "fraud drift"),
        ({"rules": [RULE]}, "rule", "watch", "fraud rules health data/ours --month 2026-09"),
        ({"groups": [AGAIN]}, "groups", "watch", "runs/2026-08/report.html#new"),
        ({"live__estimates__audited_random": 3}, "random_share", "watch", "[workbench] random_share = 0.50"),
        ({"live__estimates__joined__recall": {"value": 0.5, "low": 0.2, "high": 0.8}}, "random_share", "note", "random_share"),
        ({"age__confirmed": 50}, "learning_share", "note", "[list] learning_share"),
        ({"backtest": {}}, "backtest", "note", "fraud backtest data/ours --from 2026-07 --to 2026-08 --model 3"),
        ({"challenger": RIVAL}, "pair", "note", "--experiment experiments/bolder.toml"),
        ({"live__burden": {"sex": [{"name": "F", "apart": "more", "per_thousand": LEAD}]}}, "burden", "note", "#burden"),
        ({"month": "2026-09"}, "score", "watch", "fraud score data/ours --month 2026-09"),
    ],
)  # fmt: skip
def test_each_cause_gives_its_advice_and_command(changed, code, urgency, words):
    told = figures(**changed)
    [one] = advice(told, checks(told, SETTINGS), SETTINGS)
    assert (one.code, one.urgency) == (code, urgency)
    assert words in one.command
    assert any(c.isdigit() for c in one.en), "the number that caused it"


def test_a_model_trained_just_now_is_not_trained_again():
    told = figures(together=side(5, 100), challenger=RIVAL | {"until": "2026-08"})
    assert "retrain" not in {a.code for a in advice(told, checks(told, SETTINGS), SETTINGS)}


def test_the_most_urgent_comes_first():
    told = figures(together=side(5, 100), rules=[RULE], backtest={})
    urgencies = [a.urgency for a in advice(told, checks(told, SETTINGS), SETTINGS)]
    assert urgencies == ["act", "watch", "note"]
