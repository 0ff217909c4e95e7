"""Ring evidence of claims: which months it may see, and that it is joined as it should."""

from __future__ import annotations

import pandas as pd

from fraud.pipeline.ring_evidence import FEATURES, _joined, looks


def test_evidence_ends_before_the_claims_month():
    seen = looks(range(24290, 24310), 24280)
    assert all(end < month <= end + 3 for month, end in seen.items())


def test_months_without_history_have_no_evidence():
    assert looks([24281, 24282], 24280) == {}


def test_unsuspected_is_zero_and_unknown_is_null():
    claims = pd.DataFrame(
        [("a", "p", "x", 5), ("b", "p", "y", 5), ("c", "q", "x", 5), ("d", "p", "x", 4)],
        columns=["claim_id", "patient_id", "institution_id", "month"],
    )
    ties = pd.DataFrame({"patient_id": ["p"], "institution_id": ["x"], "tie": [0.9], "month": [5]})
    found = _joined(claims, [ties], {5})
    assert found["claim_id"].tolist() == list("abcd")
    assert found[FEATURES[0]].fillna(-1).tolist() == [0.9, 0.0, 0.0, -1.0]
    assert found[FEATURES[1]].fillna(-1).tolist() == [0.9, 0.9, 0.0, -1.0]
