"""The report's sections of the learning loop: drift pictures, new schemes, the challenger, learning marks."""

from __future__ import annotations

import pandas as pd

from fraud.backtest.overlap import overlap
from fraud.drift.judge import Finding
from fraud.report import ReportContent, render
from fraud.report.drift_pictures import MOST, drift_pictures
from fraud.settings import ListSettings
from fraud.suspicion import attach_reasons, mark, roll_up

CLAIMS = pd.DataFrame(
    {
        "claim_id": [f"C{i:03d}" for i in range(60)],
        "patient_id": [f"P{i:03d}" for i in range(60)],
        "institution_id": [f"H{i % 7}" for i in range(60)],
        "visit_type": "outpatient",
        "settled_at": pd.Timestamp("2026-07-02"),
        "score": [0.9 - i / 100 for i in range(60)],
        "amount_at_risk": [100.0 + i for i in range(60)],
        "expected_recovery": [(0.9 - i / 100) * (100.0 + i) for i in range(60)],
    }
)
LISTED = roll_up(CLAIMS, ListSettings(capacity=10), month="2026-07")


def page(**more: object) -> str:
    pick = {"uncertainty": 0.9, "distance": 0.5, "audits": 2, "value": 0.3}
    own = [
        [mark(pick)] if i == 0 else [{"code": "x", "sentence_zh": "甲", "sentence_en": "a"}]
        for i in range(len(LISTED))
    ]
    listed = attach_reasons(LISTED, own)
    return render(ReportContent("2026-07", listed, CLAIMS, 1e6, 10, **more))  # type: ignore[arg-type]


def finding(**more: object) -> dict[str, object]:
    plain = Finding(
        "amount_scale", "stop", "claims", "total_amount", "H01", "2026-07", 9.0, 1.0, 2.0, "乱<了>", "off"
    )
    return vars(plain) | more


def test_nothing_more_is_shown_where_there_is_nothing():
    text = page()
    assert 'id="new"' not in text
    assert 'id="challenger"' not in text
    assert "学习" in text


def test_drift_shows_table_column_place_period_and_picture():
    series = (("2026-05", 10.0), ("2026-06", 11.0), ("2026-07", 99.0))
    shape = {"bins": ("≤1", ">1", "missing"), "shape": (0.1, 0.9, 0.0), "usual_shape": (0.8, 0.2, 0.0)}
    found = [finding(series=series), finding(column="claim_amount", **shape), finding(column="none")]
    text = page(drift={"findings": found, "compared": ["2026-04", "2026-05", "2026-06"]})
    for said in ("claims.total_amount", "claims.claim_amount", "H01", "2026-07", "乱&lt;了&gt;"):
        assert said in text
    assert len(drift_pictures(found)) == 2
    assert len(drift_pictures([finding(series=series)] * 40)) == MOST


def test_groups_are_told_with_their_examples():
    example = {"claim_id": "C007", "institution_id": "H1", "amount": 107.0}
    group = {
        "group_id": "N-1", "claims": 9, "patients": 8, "amount": 900.0,
        "sentence_zh": "九笔", "sentence_en": "nine",
        "examples": [example | {"patient_id": "P007"}, example],
    }  # fmt: skip
    text = page(groups=[group])
    for said in ('id="new"', "N-1", "九笔", "nine", "P007"):
        assert said in text


def test_the_challenger_is_compared_and_named():
    other = CLAIMS.assign(score=CLAIMS["score"].to_numpy()[::-1])
    other["expected_recovery"] = other["score"] * other["amount_at_risk"]
    lists = LISTED, roll_up(other, ListSettings(capacity=10), month="2026-07")
    told = {"version": "7", "until": "2026-06", "experiment": "bolder"} | overlap(CLAIMS, other, lists, 10)
    text = page(challenger=told)
    for said in (
        'id="challenger"',
        "v7",
        "bolder",
        told["challenger"]["only"]["examples"][0]["strongest_claim"],
    ):
        assert said in text
