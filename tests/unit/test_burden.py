"""False alarms per thousand by group, with intervals; small groups are not told."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fraud.backtest.burden import FEWEST, burden


def claims(rows: int = 4000) -> pd.DataFrame:
    """Region B is listed three times as often and always for nothing; C is tiny."""
    i = np.arange(rows)
    region = np.where(i < rows // 2, "A", "B").astype(object)
    region[:50] = "C"
    listed = np.where(region == "B", i % 10 < 3, i % 10 < 1)
    label = np.where(region == "B", 0.0, (i % 20 < 10).astype(float))
    return pd.DataFrame({"region": region, "listed": listed, "label": np.where(listed, label, np.nan)})


def test_the_group_that_is_bothered_more_is_marked():
    told = {g["name"]: g for g in burden(claims(), "region")}
    assert set(told) == {"A", "B"}
    assert told["B"]["per_thousand"]["value"] == 300.0
    assert told["B"]["apart"] == "more"
    assert told["A"]["apart"] == "less"
    rate = told["A"]["per_thousand"]
    assert rate["low"] < rate["value"] < rate["high"]


def test_undecided_claims_widen_the_interval_and_change_nothing_else():
    frame = claims()
    known = burden(frame, "region")[1]["per_thousand"]
    thin = frame.assign(label=frame["label"].where(frame.index % 7 == 0))
    wide = burden(thin, "region")[1]["per_thousand"]
    assert wide["value"] == known["value"]
    assert wide["low"] < known["low"]


def test_nothing_listed_is_nothing_and_nothing_decided_is_unknown():
    frame = claims()
    none = burden(frame.assign(listed=False), "region")
    assert {g["per_thousand"]["value"] for g in none} == {0.0}
    unknown = burden(frame.assign(label=np.nan), "region")
    assert all(np.isnan(g["per_thousand"]["value"]) for g in unknown)
    assert {g["apart"] for g in none + unknown} == {""}


def test_small_and_absent_groups_are_not_told():
    assert all(g["claims"] >= FEWEST for g in burden(claims(), "region"))
    assert burden(claims(), "sex") == []


def test_audits_may_lie_elsewhere():
    """The population says how often a group is listed, the audits what came of it."""
    frame = claims()
    population = frame.assign(label=np.nan).iloc[::2]
    told = {g["name"]: g for g in burden(population, "region", frame)}
    whole = {g["name"]: g for g in burden(frame, "region")}
    assert told["B"]["decided"] == whole["B"]["decided"]
    assert told["B"]["claims"] == whole["B"]["claims"] // 2
