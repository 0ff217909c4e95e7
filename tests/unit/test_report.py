"""report.html and suspicions.xlsx: self-contained, safe, complete, the same bytes."""

import dataclasses
import re

import numpy as np
import openpyxl
import pandas as pd
import pytest

from fraud.report import ReportContent, render, write_html, write_xlsx
from fraud.settings import ListSettings
from fraud.suspicion import attach_reasons, roll_up

EVIL = '=HYPERLINK("x")<script>alert(1)</script>'


def month(claims: int = 5000) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    doctor = rng.integers(0, 120, claims)
    frame = pd.DataFrame(
        {
            "claim_id": [f"00{i:07d}" for i in range(claims)],
            "patient_id": [f"P{i:05d}" for i in rng.integers(0, claims // 2, claims)],
            "doctor_id": [f"D{i:04d}" for i in doctor],
            "department_id": [f"H{i // 12:02d}-K{i % 12 // 3}" for i in doctor],
            "institution_id": [f"H{i // 12:02d}" for i in doctor],
            "institution_kind": np.array(["tertiary", "secondary", "primary", "pharmacy"])[doctor // 12 % 4],
            "specialty": np.array(["心血管内科", "骨科", "肿瘤科", "中医科", "康复科"])[doctor % 5],
            "visit_type": rng.choice(["outpatient", "inpatient", "chronic"], claims, p=[0.7, 0.1, 0.2]),
            "diagnosis_code": rng.choice(["I10", "E11.9", "M54.5", "C34.9"], claims),
            "settled_at": pd.Timestamp("2026-07-01")
            + pd.to_timedelta(rng.integers(0, 2_600_000, claims), unit="s"),
            "score": np.round(rng.beta(1, 25, claims), 6),
            "ring_id": "",
            "amount_at_risk": np.round(rng.lognormal(6.2, 1.1, claims), 2),
        }
    )
    frame.loc[frame.index[doctor == 42][:40], "score"] = 0.93
    frame.loc[frame.index[doctor == 77][:6], ["score", "ring_id"]] = [0.8, "R-2026-001"]
    frame.loc[rng.choice(claims, 60, replace=False), "score"] = 0.7
    return frame


def reasons(listed: pd.DataFrame) -> list[list[dict]]:
    words = [
        (
            "supply",
            "90 天内开药 412 天，为同类的 6.1 倍",
            "412 days of drugs in 90 days",
            412.0,
            67.0,
            95.0,
            1.84,
        ),
        (
            "companions",
            "与另外 9 人先后结算 14 次",
            "settled near the same nine people",
            14.0,
            0.4,
            1.0,
            1.02,
        ),
        ("mix", "贵重药占比 83%，同类中位 31%", "share of expensive drugs", 0.83, 0.31, 0.36, 0.61),
        ("timing", "夜间结算占 22%", "22 % settled at night", 0.22, 0.03, None, 0.35),
        ("amount", "次均费用接近同类", "mean cost near its peers", 310.0, 300.0, 305.0, -0.12),
    ]
    names = ("code", "sentence_zh", "sentence_en", "value", "baseline", "own_past", "contribution")
    peers = {"peer_group": "三级 · 心血管内科", "peer_n": 128, "percentile": 0.997}
    made = [{**dict(zip(names, row, strict=True)), **peers} for row in words]
    return [made[i % 2 :] for i in range(len(listed))]


def content(capacity: int = 200, claims: int = 5000) -> ReportContent:
    frame = month(claims)
    settings = ListSettings(capacity=capacity)
    listed = roll_up(frame, settings, None, None, "2026-07")
    before = listed.iloc[5:60].assign(
        expected_recovery=lambda d: d["expected_recovery"] * np.linspace(0.5, 1.6, len(d))
    )
    audits = listed.iloc[[3, 9]][["subject_kind", "subject_id"]].assign(
        outcome="cleared", decided_at="2026-05-01"
    )
    listed = roll_up(frame, settings, before, audits, "2026-07")
    listed = attach_reasons(listed, reasons(listed))
    rng = np.random.default_rng(2)
    history = pd.DataFrame(
        {
            "month": [f"2025-{m:02d}" for m in range(8, 13)] + [f"2026-{m:02d}" for m in range(1, 7)],
            "claims": rng.integers(4300, 5400, 11),
            "fund_amount": rng.normal(4.6e6, 3e5, 11),
            "suspicions": 200,
            "amount_at_risk": rng.normal(9e5, 1e5, 11),
            "expected_recovery": rng.normal(1.6e5, 3e4, 11),
        }
    )
    return ReportContent(
        month="2026-07",
        suspicions=listed,
        claims=frame,
        fund_amount=float(frame["amount_at_risk"].sum() * 1.08),
        capacity=capacity,
        history=history,
        gate=[{"name": "max_orphans", "passed": True, "message": "孤儿结算 0.3%，上限 5%"}],
        findings=[
            {"table": "claims", "column": "doctor_id", "finding": "空值 null", "rows": 31, "share": "0.6%"}
        ],
        skipped={"claim_trace_reuse": "没有 lines.trace_code 列 column absent"},
        facts={"模型 model": "city v3 (champion)", "规则库 rules": "2026.1", "引擎 engine": "duckdb"},
    )


@pytest.fixture(scope="module")
def full() -> ReportContent:
    return content()


@pytest.fixture(scope="module")
def page(full) -> str:
    return render(full)


def test_page_is_self_contained(page):
    assert not re.search(r"<(link|img|iframe|object)\b", page)
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", page)
    assert not re.search(r"@import|url\(", page)
    assert set(re.findall(r"https?://[^\"' ]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_page_has_every_suspicion_and_is_small(full, page):
    assert page.count('<details class="item"') == len(full.suspicions) == 200
    assert len(page.encode()) < 2_000_000


def test_page_shows_totals_reasons_status_quality(full, page):
    said = "2026年7月|expected recovery|90 天内开药 412 天|曾排除|医师|团伙|max_orphans|claim_trace_reuse"
    for words in f"{said}|city v3 (champion)|0.6%|门诊慢特病|三级医院".split("|"):
        assert words in page
    assert f"{full.totals['claims']:,}" in page


def test_page_is_the_same_every_time(full, page):
    assert render(full) == page
    assert content().totals == full.totals


def test_page_escapes_what_data_says(full):
    listed = full.suspicions.head(1).assign(subject_id=EVIL)
    listed["reasons"] = [[{"code": EVIL, "sentence_zh": EVIL, "sentence_en": EVIL}]]
    claims = full.claims.assign(doctor_id=EVIL, specialty=EVIL, institution_id=EVIL)
    nasty = ReportContent(
        "2026-07", listed, claims, 1.0, 5, skipped={EVIL: EVIL}, notes=[EVIL], facts={EVIL: EVIL}
    )
    assert "<script>alert" not in render(nasty)


@pytest.mark.parametrize("rows", [0, 1])
def test_page_and_workbook_of_tiny_months(tmp_path, rows):
    frame = month(100).head(rows)
    listed = roll_up(frame, ListSettings(), None, None, "2026-07")
    small = ReportContent("2026-07", listed, frame[["claim_id", "score", "amount_at_risk"]], 0.0, 200)
    assert "<!doctype html>" in render(small)
    write_xlsx(small, tmp_path / "a.xlsx")


def test_failed_checks_and_notes_are_on_top(full):
    gate = [{"name": "max_future", "passed": False, "message": "未来日期 1.2%"}]
    page = render(
        ReportContent("2026-07", full.suspicions.head(2), full.claims, 1.0, 5, gate=gate, notes=["尚无标注"])
    )
    assert page.index("未来日期 1.2%") < page.index('id="list"')
    assert page.index("尚无标注") < page.index('id="list"')


def test_write_html_replaces_whole(tmp_path, full, page):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_html(full, path)
    assert path.read_text(encoding="utf-8") == page
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.fixture(scope="module")
def book(full, tmp_path_factory):
    path = write_xlsx(full, tmp_path_factory.mktemp("book") / "suspicions.xlsx")
    return openpyxl.load_workbook(path)


def rows(sheet) -> pd.DataFrame:
    values = list(sheet.values)
    return pd.DataFrame(values[1:], columns=[h.split()[-1] for h in values[0]])


def test_workbook_sheets_are_frozen_and_filtered(book):
    assert book.sheetnames == ["汇总 Summary", "疑点清单 List", "证据 Evidence"]
    assert book["疑点清单 List"].freeze_panes == "C2"
    assert book["疑点清单 List"].auto_filter.ref.startswith("A1:")
    assert book["证据 Evidence"].freeze_panes == "D2"


def test_workbook_codes_are_text(full, book):
    evidence = rows(book["证据 Evidence"])
    assert evidence["claim_id"].iloc[0].startswith("00")
    assert len(evidence) == len(full.evidence())
    assert all(cell.number_format == "@" for cell in book["证据 Evidence"]["C"][1:])


def test_workbook_money_is_numbers(full, book):
    sheet = book["疑点清单 List"]
    assert sheet["J2"].value == pytest.approx(full.suspicions["expected_recovery"].iloc[0])
    assert sheet["J2"].number_format == "#,##0.00"


def test_workbook_takes_decisions(book):
    kinds = {v.type: v for v in book["疑点清单 List"].data_validations.dataValidation}
    assert set(kinds) == {"list", "decimal", "date"}
    assert kinds["list"].formula1 == '"confirmed,cleared"'
    headings = [c.value for c in book["疑点清单 List"][1]]
    for name in ("outcome", "scheme", "recovered_amount", "reason", "auditor", "decided_at"):
        assert any(h.endswith(name) for h in headings)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_workbook_neutralises_formulas(tmp_path, full, start):
    listed = full.suspicions.head(1).assign(subject_id=f"{start}cmd")
    claims = full.claims.assign(doctor_id=f"{start}cmd")
    nasty = ReportContent("2026-07", listed, claims, 1.0, 5)
    book = openpyxl.load_workbook(write_xlsx(nasty, tmp_path / "a.xlsx"))
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f"
                assert not (isinstance(cell.value, str) and cell.value.startswith(start))


def test_workbook_is_the_same_bytes(tmp_path, full):
    one, two = (write_xlsx(full, tmp_path / name).read_bytes() for name in ("a.xlsx", "b.xlsx"))
    assert one == two


def hit(**more) -> dict:
    told = {
        "rule": "P-X",
        "knowledge": "",
        "claim_id": "000001",
        "month": "2026-07",
        "result": "violation",
        "severity": "stop",
        "amount_at_issue": 12.5,
        "value": 1.0,
        "bound": None,
        "items": ["a"],
        "partners": [],
        "line_ids": ["L1", "L2"],
        "earlier_claims": [],
        "exemptions_zh": ["近365天的诊断"],
        "exemptions_en": [],
        "sentence_zh": "=不是公式",
        "sentence_en": "no formula",
        "snoozed": False,
    }
    return told | more


def test_rule_hits_have_a_section_and_a_sheet(full, tmp_path):
    hits = [hit(), hit(claim_id="000002", amount_at_issue=100.0), hit(rule="P-Y", snoozed=True)]
    told = dataclasses.replace(full, hits=pd.DataFrame(hits), rules={"P-X": ("规则甲", "rule x")})
    assert [(r["rule"], r["claims"], r["amount"]) for r in told.rule_totals()] == [("P-X", 2, 112.5)]
    page = render(told)
    assert 'id="rules"' in page
    assert "规则甲" in page
    assert "P-Y" not in page
    sheet = openpyxl.load_workbook(write_xlsx(told, tmp_path / "s.xlsx"))["规则命中 Rule hits"]
    values = list(sheet.values)
    assert [v[3] for v in values[1:]] == ["000002", "000001"]
    assert values[1][5] == "'=不是公式"
    assert values[1][7] == "L1 L2"
