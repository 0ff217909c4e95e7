"""`fraud rules`: checked, tried, mined, imported; and hits in the run folder."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.conftest import MONTH

RULE = """
[[rule]]
code = "X-OFFICE"
name_zh = "本院规则"
name_en = "our rule"
explanation_zh = "药品单次费用"
explanation_en = "drugs at once"
result = "violation"
kind = "quantity"
items = "category:drug"
unit = "quantity"
limit = 3
amount = "over"
listing = "{listing}"
clause = "条例第三十八条（二）"
source = "our office"
version = "1"
effective_from = "2021-05-01"
"""


@pytest.fixture
def office(tmp_path):
    """A folder with one rule of an office."""
    folder = tmp_path / "office"
    folder.mkdir()
    (folder / "mine.toml").write_text(RULE.format(listing="always"), encoding="utf-8")
    return folder


def test_check_tells_what_there_is_and_every_mistake(place, office):
    done = place.run("rules", "check", office)
    assert done.code == 0, done.err
    assert "X-OFFICE" in done.out
    (office / "worse.toml").write_text("[[rule]]\ncode = 'x'\ncolour = 'red'\n", encoding="utf-8")
    done = place.run("rules", "check", office)
    assert done.code == 2
    assert "worse.toml: rule 1 (x): colour: unknown field" in done.err
    assert "clause: field is missing" in done.err


def test_a_rule_is_tried_before_it_is_switched_on(place, sample, office, tmp_path):
    done = place.run(
        "rules", "try", sample, "--rules", office, "--from", "2025-04", "--to", MONTH, "--out", tmp_path
    )
    assert done.code == 0, done.err
    folder = tmp_path / f"rules-2025-04-{MONTH}"
    summary = pd.read_csv(folder / "trial.csv").set_index("rule")
    assert list(summary.index) == ["X-OFFICE"]
    assert summary.at["X-OFFICE", "change"] == "new"
    assert summary.at["X-OFFICE", "new_claims"] > 0
    hits = pd.read_parquet(folder / "rule_hits.parquet")
    assert set(hits["month"]) == {"2025-04", MONTH}
    assert len(hits) == summary.at["X-OFFICE", "trial_claims"]
    nothing = tmp_path / "same"
    nothing.mkdir()
    done = place.run(
        "rules", "try", sample, "--rules", nothing, "--from", "2025-04", "--to", MONTH, "--out", tmp_path
    )
    assert done.code == 2
    assert "no rule differs" in done.err


def test_a_rule_that_is_switched_on_reaches_the_list(own_model, sample, office, tmp_path):
    own_model.settings(f'[rules]\nfolder = "{office}"\n')
    done = own_model.run("score", sample, "--month", MONTH, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    run = tmp_path / "runs" / MONTH
    hits = pd.read_parquet(run / "rule_hits.parquet")
    own = hits[hits["rule"] == "X-OFFICE"]
    assert len(own) > 0
    assert (own["amount_at_issue"] > 0).all()
    assert own["line_ids"].map(len).min() > 0
    scored = pd.read_parquet(run / "claims_scored.parquet").set_index("claim_id")
    named = scored.loc[own["claim_id"], "rule_hits"].map(list)
    assert named.map(lambda codes: "X-OFFICE" in codes).all()
    expected = scored["score"] * scored["amount_at_risk"].astype(float)
    assert (expected - scored["expected_recovery"].astype(float)).abs().max() < 0.01
    listed = pd.read_parquet(run / "suspicions.parquet")
    told = [r["code"] for reasons in listed["reasons"] for r in reasons]
    assert "X-OFFICE" in told
    assert (tmp_path / "runs" / "history.sqlite").exists()
    done = own_model.run("rules", "health", sample, "--month", "2025-06", "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    assert "X-OFFICE" in done.out


def test_a_snoozed_subject_is_silent_until_its_day(own_model, sample, office, tmp_path):
    (office / "mine.toml").write_text(RULE.format(listing="reason"), encoding="utf-8")
    claims = pd.read_parquet(sample / "claims.parquet")
    busiest = claims.loc[claims["settled_at"].astype(str).str.startswith(MONTH), "institution_id"].mode()[0]
    (office / "snoozes.csv").write_text(
        f"rule,subject_kind,subject_id,until,reason\nX-OFFICE,institution,{busiest},2025-12-31,agreed\n"
    )
    own_model.settings(f'[rules]\nfolder = "{office}"\nhistory_index = false\n')
    done = own_model.run("score", sample, "--month", MONTH, "--out", tmp_path / "runs")
    assert done.code == 0, done.err
    hits = pd.read_parquet(tmp_path / "runs" / MONTH / "rule_hits.parquet")
    own = hits[hits["rule"] == "X-OFFICE"].merge(claims[["claim_id", "institution_id"]], on="claim_id")
    assert own.loc[own["institution_id"] == busiest, "snoozed"].all()
    assert not own.loc[own["institution_id"] != busiest, "snoozed"].any()
    assert own["snoozed"].any()
    scored = pd.read_parquet(tmp_path / "runs" / MONTH / "claims_scored.parquet").set_index("claim_id")
    quiet = scored.loc[own.loc[own["snoozed"], "claim_id"], "rule_hits"]
    assert not any("X-OFFICE" in codes for codes in quiet)
    assert not (tmp_path / "runs" / "history.sqlite").exists()


def test_candidates_are_mined_into_a_folder(place, sample, tmp_path):
    done = place.run(
        "rules",
        "mine",
        sample,
        "--from",
        "2025-01",
        "--to",
        MONTH,
        "--folder",
        tmp_path / "mined" / "knowledge",
    )
    assert done.code == 0, done.err
    assert (tmp_path / "mined" / "knowledge" / "item_limits.csv").exists()
    done = place.run("rules", "check", tmp_path / "mined")
    assert done.code == 0, done.err
