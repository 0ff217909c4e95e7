"""What a published run holds, against the contract."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.conftest import MONTH, NEXT, UNTIL

FILES = {
    "manifest.json", "quality.json", "quality.html", "drift.json", "claims_scored.parquet",
    "subjects_scored.parquet", "suspicions.parquet", "suspicions.csv", "suspicions.xlsx", "rings.parquet",
    "ring_members.parquet", "ring_claims.parquet", "ring_edges.parquet", "rings.html", "plotly.min.js",
    "report.html", "rule_hits.parquet", "new_schemes.json",
}  # fmt: skip
COLUMNS = {
    "claims_scored": "claim_id month score p_supervised anomaly rule_hits ring_id amount_at_risk "
    "expected_recovery",
    "subjects_scored": "subject_kind subject_id month score p_supervised anomaly amount_at_risk "
    "expected_recovery",
    "suspicions": "rank suspicion_id month subject_kind subject_id score amount_at_risk expected_recovery "
    "status_vs_last_month reasons evidence_claim_ids rationale_hash",
    "rule_hits": "rule knowledge claim_id month result severity amount_at_issue value bound items partners "
    "line_ids earlier_claims exemptions_zh exemptions_en sentence_zh sentence_en snoozed",
    "rings": "ring_id kind members claims amount p_value q_value first_seen last_seen evidence status score",
    "ring_members": "ring_id member_kind member_id role membership_score",
    "ring_claims": "ring_id claim_id patient_id institution_id doctor_id settled_at amount",
    "ring_edges": "ring_id a b meetings expected weight",
}
REASON = "code sentence_zh sentence_en value baseline peer_group peer_n percentile contribution"
KINDS = ["department", "doctor", "institution", "patient"]
STAGES = [
    "质量 quality",
    "漂移 drift",
    "模型 model",
    "特征 features",
    "团伙 rings",
    "规则 rules",
    "评分 score",
    "报告 report",
]


@pytest.fixture(params=[MONTH, NEXT])
def run(request, scored):
    return scored / request.param


def read(folder, table):
    return pq.read_table(folder / f"{table}.parquet").to_pandas()


@pytest.fixture
def claims(sample):
    """Claims of the dataset, with the month they were settled in."""
    frame = pq.read_table(sample / "claims.parquet").to_pandas()
    return frame.assign(month=frame["settled_at"].dt.strftime("%Y-%m"))


def test_files_and_columns(run):
    assert {p.name for p in run.iterdir()} == FILES
    for table, columns in COLUMNS.items():
        assert pq.read_schema(run / f"{table}.parquet").names == columns.split(), table
    schema = pq.read_schema(run / "suspicions.parquet")
    assert set(REASON.split()) <= {f.name for f in schema.field("reasons").type.value_type}
    assert str(schema.field("amount_at_risk").type) == "decimal128(16, 2)"


def test_every_claim_of_the_month_is_scored(run, claims):
    scored = read(run, "claims_scored")
    assert sorted(scored["claim_id"]) == sorted(claims.loc[claims["month"] == run.name, "claim_id"])
    assert set(scored["month"]) == {run.name}
    for column in ("score", "p_supervised", "anomaly"):
        assert scored[column].between(0, 1).all()
    assert money(scored)


def test_every_active_subject_is_scored(run, claims):
    scored = read(run, "subjects_scored")
    assert sorted(scored["subject_kind"].unique()) == KINDS
    assert not scored.duplicated(["subject_kind", "subject_id"]).any()
    month = claims[claims["month"] == run.name]
    for kind in KINDS:
        known = scored.loc[scored["subject_kind"] == kind, "subject_id"]
        assert set(known) == set(month[f"{kind}_id"].dropna()) - {""}
    assert scored["score"].between(0, 1).all()
    assert money(scored)


def money(frame):
    """Whether expected recovery is score × amount within a cent."""
    amount = frame["amount_at_risk"].astype(float)
    gap = (frame["expected_recovery"].astype(float) - frame["score"] * amount).abs()
    return bool((gap <= 0.01).all()) and bool((amount >= 0).all())


def test_the_list_is_ranked_by_money(run):
    listed = read(run, "suspicions")
    assert listed["rank"].tolist() == list(range(1, len(listed) + 1))
    assert len(listed) > 10
    assert money(listed)
    assert listed["expected_recovery"].is_monotonic_decreasing
    assert listed["suspicion_id"].is_unique
    assert not listed.duplicated(["subject_kind", "subject_id"]).any()
    assert set(listed["subject_kind"]) <= {"claim", "ring", *KINDS}
    assert set(listed["month"]) == {run.name}
    assert listed["rationale_hash"].str.fullmatch(r"[0-9a-f]{64}").all()


def test_every_suspicion_has_reasons_in_both_languages(run):
    for reasons in read(run, "suspicions")["reasons"]:
        assert len(reasons) > 0
        for reason in reasons:
            assert reason["code"]
            assert any("一" <= c <= "鿿" for c in reason["sentence_zh"])
            assert reason["sentence_en"].strip()
            assert "{" not in reason["sentence_zh"] + reason["sentence_en"]
            assert "nan" not in (reason["sentence_zh"] + reason["sentence_en"]).lower().split()


def test_evidence_is_of_the_month_and_of_the_subject(run, claims):
    month = claims[claims["month"] == run.name].set_index("claim_id")
    seen: list[str] = []
    for row in read(run, "suspicions").to_dict("records"):
        evidence = list(row["evidence_claim_ids"])
        assert evidence
        assert set(evidence) <= set(month.index)
        seen += evidence
        if row["subject_kind"] == "claim":
            assert row["subject_id"] in evidence
        elif row["subject_kind"] != "ring":
            assert set(month.loc[evidence, f"{row['subject_kind']}_id"]) == {row["subject_id"]}
    assert len(seen) == len(set(seen))


def test_spreadsheet_and_text_say_the_same(run):
    listed = read(run, "suspicions")
    text = pd.read_csv(run / "suspicions.csv", dtype=str, encoding="utf-8-sig")
    assert text["subject_id"].tolist() == listed["subject_id"].tolist()
    sheet = pd.read_excel(run / "suspicions.xlsx", sheet_name="疑点清单 List", dtype=str, engine="calamine")
    assert sheet["疑点编号 suspicion_id"].tolist() == listed["suspicion_id"].tolist()


def test_a_subject_keeps_its_suspicion_and_has_a_status(scored):
    first, then = (read(scored / m, "suspicions") for m in (MONTH, NEXT))
    assert set(first["status_vs_last_month"]) <= {"new", "previously_cleared"}
    both = first.merge(then, on=["subject_kind", "subject_id"])
    assert len(both) > 0
    assert (both["suspicion_id_x"] == both["suspicion_id_y"]).all()
    allowed = {"persisting", "up", "down", "previously_cleared"}
    assert set(both["status_vs_last_month_y"]) <= allowed
    fresh = then[~then["suspicion_id"].isin(first["suspicion_id"])]
    assert set(fresh["status_vs_last_month"]) <= {"new", "previously_cleared"}
    names = first["suspicion_id"].isin(then["suspicion_id"])
    assert names.sum() == len(both)


def test_manifest_says_what_made_the_run(run, sample):
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    inputs = {i["table"]: i for i in manifest["inputs"]}
    assert set(inputs) == {p.stem for p in sample.glob("*.parquet")}
    table = pq.read_table(sample / "claims.parquet")
    assert inputs["claims"]["rows"] == table.num_rows
    total = sum(table["fund_amount"].to_pylist())
    assert inputs["claims"]["totals"]["sum(fund_amount)"] == str(total)
    assert all(len(i["sha256"]) == 64 for i in inputs.values())
    assert manifest["settings"]["list"]["capacity"] == 200
    assert manifest["settings"]["gate"]["max_orphans"] == 0.05
    assert manifest["experiment"]["boosting"]["trees"] == 20
    assert manifest["code"]["package"].startswith("fraud ")
    assert len(manifest["code"]["sha256"]) == 64
    assert (manifest["model"]["version"], manifest["model"]["until"]) == ("1", UNTIL)
    assert manifest["rule_set"]
    assert manifest["engine"] == "duckdb"
    assert manifest["month"] == run.name
    assert all(s["sql"].lstrip().upper().startswith(("SELECT", "WITH")) for s in manifest["sql"])
    assert {"features_claim", "features_doctor"} <= {s["stage"] for s in manifest["sql"]}
    assert all(isinstance(why, str) and why for why in manifest["skipped"].values())
    outputs = {o["name"]: o for o in manifest["outputs"]}
    assert set(outputs) == FILES - {"manifest.json"}
    assert outputs["claims_scored.parquet"]["rows"] == manifest["totals"]["claims"]


def test_manifest_times_every_stage(run):
    measured = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["measured"]
    assert [s["stage"] for s in measured["stages"]] == STAGES
    for stage in measured["stages"]:
        assert stage["seconds"] > 0
        assert stage["peak_memory_mb"] > 10
    queries = {q["name"]: q for q in measured["queries"]}
    assert {"features_claim", "fx_ring_ties", "rule_hit_facts"} <= set(queries)
    assert queries["features_claim"]["rows"] > 0
    assert all(q["plan"] for q in measured["queries"] if "seconds" in q)
    assert np.isclose(measured["seconds"], sum(s["seconds"] for s in measured["stages"]), atol=0.01)


def test_quality_of_the_run_is_beside_it(run):
    quality = json.loads((run / "quality.json").read_text(encoding="utf-8"))
    assert quality["passed"] is True
    assert {"volume_low", "orphans", "future"} <= {c["check"] for c in quality["gate"]}


def test_training_says_what_it_made_in_words(trained):
    said = (trained.folder / "said.txt").read_text(encoding="utf-8")
    assert "version 1 (champion)" in said
    assert "{" not in said


def test_rationale_hash_is_recomputed_from_the_published_list(run):
    from fraud.suspicion import rationale_hash

    for row in read(run, "suspicions").to_dict("records"):
        assert row["rationale_hash"] == rationale_hash(
            row["reasons"], row["score"], float(row["amount_at_risk"])
        )
