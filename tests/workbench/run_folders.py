"""Small run folders, written as scoring writes them."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.runs import RunFolder, write_table

NAMES = {"P-DUP-DRUG": ("重复开药", "条例第三十八条（二）")}
SUBJECTS = [("patient", "P1", 900.0), ("doctor", "D1", 700.0), ("claim", "C9", 300.0), ("ring", "R1", 5000.0)]


def reasons(subject: str) -> list[dict]:
    return [
        {"code": "story", "sentence_zh": f"{subject} 的概述", "sentence_en": "story", "contribution": 0.0},
        {"code": "amount", "sentence_zh": "费用高", "sentence_en": "dear", "value": 30.0, "baseline": 10.0,
         "own_past": 20.0, "peer_group": "chronic", "peer_n": 240, "percentile": 0.98, "contribution": 1.5},
        {"code": "less", "sentence_zh": "次数少", "sentence_en": "few", "value": 1.0, "contribution": -0.5},
    ]  # fmt: skip


def suspicions(month: str, subjects: list[tuple[str, str, float]]) -> pd.DataFrame:
    ranked = sorted(subjects, key=lambda s: -s[2])
    return pd.DataFrame(
        [
            {"rank": i, "suspicion_id": f"S-{subject}", "month": month, "subject_kind": kind,
             "subject_id": subject, "score": 0.5, "amount_at_risk": 2 * money, "expected_recovery": money,
             "status_vs_last_month": "new", "reasons": reasons(subject),
             "evidence_claim_ids": [f"{subject}-a", f"{subject}-b"], "rationale_hash": f"{i:064x}"}
            for i, (kind, subject, money) in enumerate(ranked, 1)
        ]
    )  # fmt: skip


LEARNT = [f"N{i}" for i in range(8)]
"""Claims of the run folder's groups of odd claims: the first six, and the last two."""


def groups() -> list[dict]:
    """Two groups of odd claims, as `fraud.pipeline.new_schemes` tells them."""
    said = {"said_zh": "复诊次数13（全部一般为2）", "said_en": "claims with this doctor 13 (usually 2)"}
    feature = {"name": "claim_x", "group": "g", "title_zh": "复诊次数", "title_en": "claims", **said,
               "value": 13.0, "usual": 2.0, "below": 0.855}  # fmt: skip
    place = {"kind": "institution", "id": "H1", "claims": 5, "said_zh": "其中5/6笔在同一机构 H1",
             "said_en": "5/6 of them at one institution, H1"}  # fmt: skip
    return [
        {"group_id": f"N-{k}", "claims": len(ids), "patients": len(ids), "amount": 100.0 * len(ids),
         "alike": 0.8, "sentence_zh": "", "sentence_en": "", "features": [feature], "places": places,
         "claim_ids": ids, "examples": [{"claim_id": ids[0], "amount": 100.0}]}
        for k, (ids, places) in enumerate(((LEARNT[:6], [place]), (LEARNT[6:], [])))
    ]  # fmt: skip


def challenger(listed: str = "P1", strongest: str = "P1-a") -> dict:
    """What a challenger made of the month, as `fraud.backtest.overlap` tells it."""
    example = {"subject_kind": "patient", "subject_id": listed, "claims": 2, "amount_at_risk": 1800.0,
               "score": 0.5, "strongest_claim": strongest, "own_score": 0.9, "other_score": 0.2,
               "other_place": 9}  # fmt: skip
    other = {**example, "subject_kind": "claim", "subject_id": "N7", "strongest_claim": "N7"}
    side = {"listed": 4, "money": 13800.0, "expected": 6900.0}
    return {
        "version": "8", "until": "2025-05", "experiment": "wider", "claims": 8, "capacity": 200,
        "rank_correlation": {"score": 0.75, "expected_recovery": 0.875},
        "top": [{"first": 20, "both": 15, "share": 0.75}],
        "champion": {**side, "only": {"cases": 1, "money": 1800.0, "examples": [example]}},
        "challenger": {**side, "only": {"cases": 1, "money": 100.0, "examples": [other]}},
    }  # fmt: skip


def write_run(
    out: Path,
    month: str = "2025-06",
    subjects: list | None = None,
    fingerprint: str = "f1",
    pages: bool = True,
    learnt: bool = False,
) -> Path:
    subjects = SUBJECTS if subjects is None else subjects
    claims = [
        {"claim_id": f"{s}-{x}", "month": month, "score": 0.9, "anomaly": 0.9, "rule_hits": ["P-DUP-DRUG"],
         "ring_id": "R1" if s == "R1" else "", "amount_at_risk": m, "expected_recovery": m * 0.9}
        for _, s, m in subjects for x in "ab"
    ]  # fmt: skip
    if learnt:
        claims += [
            {"claim_id": c, "month": month, "score": 0.1, "anomaly": 0.99, "rule_hits": [], "ring_id": "",
             "amount_at_risk": 100.0, "expected_recovery": 10.0}
            for c in LEARNT
        ]  # fmt: skip
    hits = [
        {"rule": "P-DUP-DRUG", "knowledge": "", "claim_id": f"{s}-a", "month": month, "result": "suspicious",
         "severity": "warn", "amount_at_issue": 12.34, "items": ["X1"], "partners": [], "line_ids": [],
         "earlier_claims": [], "exemptions_zh": ["近365天的诊断"], "exemptions_en": ["diagnosis"],
         "sentence_zh": "同一药品重复", "sentence_en": "twice", "snoozed": False}
        for _, s, _ in subjects
    ]  # fmt: skip
    rings = [
        {"ring_id": "R1", "kind": "patient_ring", "members": 2, "claims": 2, "amount": 99.0, "q_value": 0.01,
         "first_seen": pd.Timestamp("2025-01-01"), "last_seen": pd.Timestamp("2025-06-01"),
         "evidence": '{"summary_zh": "集中就医", "summary_en": "gathering"}'}
    ]  # fmt: skip
    members = [
        {"ring_id": "R1", "member_kind": "patient", "member_id": "P1", "role": "member",
         "membership_score": 0.9},
        {"ring_id": "R1", "member_kind": "institution", "member_id": "H1", "role": "place",
         "membership_score": 0.7},
    ]  # fmt: skip
    with RunFolder(out, month) as run:
        for table, rows in (
            ("claims_scored", claims),
            ("rule_hits", hits),
            ("rings", rings),
            ("ring_members", members),
        ):
            write_table(pd.DataFrame(rows) if rows else None, table, run.part)
        write_table(suspicions(month, subjects) if subjects else None, "suspicions", run.part)
        if pages:
            (run.part / "rings.html").write_text("<!doctype html><script>1</script>团伙", encoding="utf-8")
        model = {"name": "city", "version": "7", "until": "2025-04"} if learnt else {}
        if learnt:
            (run.part / "new_schemes.json").write_text(json.dumps(groups()), encoding="utf-8")
            (run.part / "challenger.json").write_text(json.dumps(challenger()), encoding="utf-8")
        run.write_manifest({"fingerprint": fingerprint, "totals": {"claims": len(claims)}, "model": model})
    return run.final


def write_data(folder: Path) -> Path:
    """A dataset of three claims: two of a patient, one more of the doctor, with lines."""
    folder.mkdir(parents=True)
    day = pd.Timestamp
    claims = {
        "claim_id": ["Z1-a", "Z1-b", "D7-a"], "patient_id": ["Z1", "Z1", "Z2"],
        "doctor_id": ["D7", "D7", "D7"], "department_id": ["K1", "K1", "K1"],
        "institution_id": ["H1", "H2", "H1"],
        "visit_type": ["outpatient", "inpatient", "outpatient"],
        "settled_at": [day("2025-06-03 10:00"), day("2025-07-09 09:00"), day("2025-07-10 09:00")],
        "started_at": [day("2025-06-03 09:30"), day("2025-07-02 09:00"), day("2025-07-10 08:00")],
        "ended_at": [day("2025-06-03 09:30"), day("2025-07-09 09:00"), day("2025-07-10 08:00")],
        "total_amount": [30.0, 40.0, 10.0], "fund_amount": [20.0, 30.0, 5.0],
    }  # fmt: skip
    lines = {
        "line_id": ["L1", "L2", "L3"], "claim_id": ["Z1-a", "Z1-a", "D7-a"], "item_code": ["X1", "X2", "X1"],
        "item_name": ["缬沙坦", "<b>床位</b>", "缬沙坦"], "category": ["drug", "bed", "drug"],
        "quantity": [2.0, 1.0, 1.0], "unit_price": [22.5, 9.0, 10.0], "amount": [45.0, 9.0, 10.0],
        "charged_at": [day("2025-06-03 09:40")] * 3,
    }  # fmt: skip
    for name, table in (("claims", claims), ("lines", lines)):
        made = pa.table(table)
        for column in ("total_amount", "fund_amount", "unit_price", "amount"):
            if column in made.column_names:
                place = made.column_names.index(column)
                made = made.set_column(place, column, made[column].cast(pa.decimal128(16, 2)))
        pq.write_table(made, folder / f"{name}.parquet")
    return folder
