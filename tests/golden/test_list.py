"""The list of a small fixed month, word for word. Set UPDATE_GOLDEN=1 to accept a change on purpose."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from fraud.report import ReportContent, render
from fraud.runs import write_suspicions_csv
from fraud.settings import ListSettings
from fraud.suspicion import attach_reasons, roll_up

HERE = Path(__file__).parent


def month() -> pd.DataFrame:
    """3,000 claims made by arithmetic, so that no library's random numbers matter."""
    i = np.arange(3000)
    doctor = i * 7919 % 60
    frame = pd.DataFrame(
        {
            "claim_id": [f"{n:06d}" for n in i],
            "patient_id": [f"P{n:04d}" for n in i * 104729 % 1499],
            "doctor_id": [f"D{n:02d}" for n in doctor],
            "department_id": [f"H{n // 10}-{n % 10 // 5}" for n in doctor],
            "institution_id": [f"H{n // 10}" for n in doctor],
            "visit_type": np.where(i * 31 % 10 < 8, "outpatient", "inpatient"),
            "settled_at": pd.Timestamp("2026-07-01") + pd.to_timedelta(i * 863 % 2_600_000, unit="s"),
            "score": (i * 37 % 101) / 101 * 0.05,
            "rule_hits": [[] for _ in i],
            "ring_id": np.where(i % 601 == 5, "R-1", ""),
            "amount_at_risk": (i * 7 % 997) * 3.17 + 20,
        }
    )
    frame.loc[(frame["doctor_id"] == "D23") & (i % 3 > 0), "score"] = 0.9
    frame.loc[(frame["institution_id"] == "H5") & (i * 13 % 7 < 3), "score"] = 0.6
    frame.loc[frame["ring_id"] != "", "score"] = 0.8
    return frame


def suspicions() -> pd.DataFrame:
    frame = month()
    settings = ListSettings(capacity=20, evidence_claims=5)
    first = roll_up(frame, settings, None, None, "2026-06")
    previous = first.iloc[[0, 2, 4, 6]]
    previous = previous.assign(expected_recovery=previous["expected_recovery"] * [0.5, 1, 2, 1])
    cleared = first.iloc[[8]].assign(outcome="cleared", decided_at="2026-06-11")
    listed = roll_up(frame, settings, previous, cleared, "2026-07")
    reason = {
        "code": "demo",
        "sentence_zh": "高于同类。",
        "sentence_en": "Above its peers.",
        "contribution": 0.5,
    }
    return attach_reasons(listed, [[reason]] * len(listed))


def test_list_is_as_it_was(tmp_path):
    made = write_suspicions_csv(suspicions(), tmp_path).read_bytes()
    kept = HERE / "suspicions.csv"
    if os.environ.get("UPDATE_GOLDEN"):
        kept.write_bytes(made)
    assert made.decode("utf-8-sig").splitlines() == kept.read_bytes().decode("utf-8-sig").splitlines()


def test_page_says_the_same_as_the_list():
    listed = suspicions()
    page = render(ReportContent("2026-07", listed, month(), 1e6, 20))
    for row in listed.to_dict("records"):
        assert f'id="{row["suspicion_id"]}"' in page
        assert f"{row['expected_recovery']:,.0f}" in page
