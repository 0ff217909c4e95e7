"""Places of the list for learning: marked, ranked with the rest, and none unless asked for."""

from __future__ import annotations

import json

import pandas as pd

from tests.conftest import MONTH


def marked(listed: pd.DataFrame) -> pd.Series:
    return listed["reasons"].map(lambda reasons: reasons[0]["code"] == "learning")


def test_a_share_of_the_list_is_for_learning(own_model, sample, scored, tmp_path):
    own_model.settings("[list]\ncapacity = 50\nlearning_share = 0.2\n")
    done = own_model.run("score", sample, "--month", MONTH, "--out", tmp_path)
    assert done.code == 0, done.err
    listed = pd.read_parquet(tmp_path / MONTH / "suspicions.parquet")
    assert (len(listed), int(marked(listed).sum())) == (50, 10)
    assert listed["expected_recovery"].is_monotonic_decreasing
    assert listed["rank"].tolist() == list(range(1, 51))
    chosen = listed[marked(listed)]
    assert set(chosen["subject_kind"]) == {"claim"}
    assert chosen["reasons"].map(len).min() > 1
    evidence = [claim for ids in listed["evidence_claim_ids"] for claim in ids]
    assert len(evidence) == len(set(evidence))
    assert "学习" in (tmp_path / MONTH / "report.html").read_text(encoding="utf-8")
    assert not marked(pd.read_parquet(scored / MONTH / "suspicions.parquet")).any()


def test_groups_lie_beside_the_list(scored):
    run = scored / MONTH
    groups = json.loads((run / "new_schemes.json").read_text(encoding="utf-8"))
    listed = pd.read_parquet(run / "suspicions.parquet")
    on_list = {claim for ids in listed["evidence_claim_ids"] for claim in ids}
    held = [claim for group in groups for claim in group["claim_ids"]]
    assert len(held) == len(set(held))
    assert not on_list & set(held)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert all(group["group_id"] in page for group in groups)
