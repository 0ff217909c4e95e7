"""``suspicions.xlsx``: the list as auditors use it, with room for their decisions."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from fraud.report.content import (
    EVIDENCE_COLUMNS,
    KIND_WORDS,
    RESULT_WORDS,
    STATUS_WORDS,
    VISIT_WORDS,
    ReportContent,
)
from fraud.runs import neutral, reasons_text

if TYPE_CHECKING:
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

OUTCOMES = ("confirmed", "cleared")
SHEETS = ("汇总 Summary", "疑点清单 List", "证据 Evidence", "规则命中 Rule hits")
MOST_HITS = 100_000
"""Hits written, the dearest first; the rest is in ``rule_hits.parquet``."""

# column, heading, width, format
_LIST = (
    ("rank", "序号 rank", 7, "count"),
    ("suspicion_id", "疑点编号 suspicion_id", 17, "text"),
    ("subject_kind", "对象类别 subject_kind", 13, "text"),
    ("subject_kind_zh", "对象类别（中文）", 10, "text"),
    ("subject_id", "对象 subject_id", 22, "text"),
    ("status", "较上月 status", 20, "text"),
    ("claims", "结算笔数 claims", 10, "count"),
    ("score", "概率 score", 9, "share"),
    ("amount_at_risk", "涉及金额（元）amount_at_risk", 17, "money"),
    ("expected_recovery", "预期追回（元）expected_recovery", 17, "money"),
    ("reasons_zh", "理由", 62, "wrap"),
    ("reasons_en", "reasons", 52, "wrap"),
)
_DECISION = (
    ("outcome", "结论 outcome", 12),
    ("scheme", "违规类型 scheme", 18),
    ("recovered_amount", "追回金额（元）recovered_amount", 16),
    ("reason", "说明 reason", 30),
    ("auditor", "审核人 auditor", 12),
    ("decided_at", "结论日期 decided_at", 14),
)
_WIDTHS = {"settled_at": 17, "visit_type": 18, "diagnosis_code": 11, "amount_at_risk": 14, "score": 9}


def write_xlsx(content: ReportContent, path: Path) -> Path:
    """Write summary, list and evidence.

    Codes are text, headers are frozen, text that starts like a formula is marked, and the list has
    columns for the auditor's outcome. The same content gives the same bytes.
    """
    import xlsxwriter

    beside = path.with_name(f".{path.name}.part")
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(beside), options) as book:
        year, month = (int(part) for part in content.month.split("-"))
        book.set_properties({"title": f"Suspicions {content.month}", "created": datetime(year, month, 1)})
        styles = _styles(book)
        _summary(book.add_worksheet(SHEETS[0]), content, styles)
        _list(book.add_worksheet(SHEETS[1]), content, styles)
        _evidence(book.add_worksheet(SHEETS[2]), content, styles)
        if content.hits is not None:
            _hits(book.add_worksheet(SHEETS[3]), content, styles)
    beside.replace(path)
    return path


def _styles(book: "Workbook") -> dict[str, Any]:
    base = {"font_name": "Microsoft YaHei", "font_size": 10, "valign": "top"}
    head = {**base, "bold": True, "font_color": "#FFFFFF", "text_wrap": True, "valign": "vcenter"}
    answer = {**base, "bg_color": "#F2F8F7"}
    formats: dict[str, dict[str, Any]] = {
        "title": {**base, "bold": True, "font_size": 15, "font_color": "#123A5E"},
        "header": {**head, "bg_color": "#123A5E"},
        "answer": {**head, "bg_color": "#0F766E"},
        "text": {**base, "num_format": "@"},
        "wrap": {**base, "num_format": "@", "text_wrap": True},
        "count": {**base, "num_format": "#,##0"},
        "share": {**base, "num_format": "0.0%"},
        "money": {**base, "num_format": "#,##0.00"},
        "open_text": {**answer, "num_format": "@", "text_wrap": True},
        "open_money": {**answer, "num_format": "#,##0.00"},
        "open_date": {**answer, "num_format": "yyyy-mm-dd"},
    }
    return {name: book.add_format(properties) for name, properties in formats.items()}


def _put(sheet: "Worksheet", row: int, column: int, value: Any, kind: str, styles: dict[str, Any]) -> None:
    """One cell: text is always text, whatever it looks like."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        sheet.write_blank(row, column, None, styles[kind])
    elif kind in ("text", "wrap"):
        sheet.write_string(row, column, neutral(str(value)), styles[kind])
    else:
        sheet.write_number(row, column, float(value), styles[kind])


def _summary(sheet: "Worksheet", content: ReportContent, styles: dict[str, Any]) -> None:
    totals = content.totals
    lines: list[tuple[str, Any, str]] = [
        ("本月结算（笔）claims", totals["claims"], "count"),
        ("基金支付（元）paid by the fund", totals["fund_amount"], "money"),
        ("疑点 suspicions", totals["suspicions"], "count"),
        ("审核能力 capacity", content.capacity, "count"),
        ("涉及金额（元）amount at risk", totals["amount_at_risk"], "money"),
        ("预期追回（元）expected recovery", totals["expected_recovery"], "money"),
    ]
    for words, column in ((KIND_WORDS, "subject_kind"), (STATUS_WORDS, "status_vs_last_month")):
        counts = content.suspicions[column].value_counts()
        lines += [
            (f"{zh} {en}", int(counts[code]), "count") for code, (zh, en) in words.items() if code in counts
        ]
    lines += [(label, value, "text") for label, value in content.facts.items()]
    lines += [(f"跳过 skipped: {what}", why, "text") for what, why in content.skipped.items()]
    lines.append(
        ("提示 note", "疑点不是结论，是否违规由审核人员依法认定。A suspicion is not a finding.", "wrap")
    )
    sheet.set_column(0, 0, 44)
    sheet.set_column(1, 1, 60)
    sheet.write_string(0, 0, f"医保基金疑点月报 {content.month}", styles["title"])
    sheet.write_string(2, 0, "项目 item", styles["header"])
    sheet.write_string(2, 1, "数值 value", styles["header"])
    for row, (label, value, kind) in enumerate(lines, 3):
        _put(sheet, row, 0, label, "text", styles)
        _put(sheet, row, 1, value, kind, styles)
    sheet.freeze_panes(3, 0)


def _list(sheet: "Worksheet", content: ReportContent, styles: dict[str, Any]) -> None:
    for column, (_, heading, width, _) in enumerate(_LIST):
        sheet.write_string(0, column, heading, styles["header"])
        sheet.set_column(column, column, width)
    first = len(_LIST)
    for column, (_, heading, width) in enumerate(_DECISION, first):
        sheet.write_string(0, column, heading, styles["answer"])
        sheet.set_column(column, column, width)
    records = content.suspicions.to_dict("records")
    for row, record in enumerate(records, 1):
        cells = {
            **record,
            "subject_kind_zh": KIND_WORDS[record["subject_kind"]][0],
            "status": " ".join(STATUS_WORDS[record["status_vs_last_month"]]),
            "claims": record.get("claims", len(record["evidence_claim_ids"])),
            "reasons_zh": reasons_text(record["reasons"]),
            "reasons_en": reasons_text(record["reasons"], "en"),
        }
        sheet.set_row(row, 15 * max(1, len(record["reasons"])))
        for column, (name, _, _, kind) in enumerate(_LIST):
            _put(sheet, row, column, cells[name], kind, styles)
        for column, (name, _, _) in enumerate(_DECISION, first):
            style = {"recovered_amount": "open_money", "decided_at": "open_date"}.get(name, "open_text")
            sheet.write_blank(row, column, None, styles[style])
    _validate(sheet, first, max(len(records), 1))
    sheet.set_row(0, 32)
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, max(len(records), 1), first + len(_DECISION) - 1)


def _validate(sheet: "Worksheet", first: int, last_row: int) -> None:
    """Restrict what auditors may enter, so that decisions can be read back."""
    outcome = {
        "validate": "list",
        "source": list(OUTCOMES),
        "input_title": "结论",
        "input_message": "confirmed 确认疑点；cleared 排除",
        "error_title": "outcome",
        "error_message": "confirmed / cleared",
    }
    amount = {"validate": "decimal", "criteria": ">=", "value": 0, "ignore_blank": True}
    date = {"validate": "date", "criteria": ">=", "value": datetime(2000, 1, 1), "ignore_blank": True}
    for column, allowed in ((first, outcome), (first + 2, amount), (first + 5, date)):
        sheet.data_validation(1, column, last_row, column, allowed)


_HITS = (
    ("rule", "规则 rule", 18, "text"),
    ("name", "名称", 22, "text"),
    ("result", "结果 result", 12, "text"),
    ("claim_id", "结算编号 claim_id", 20, "text"),
    ("amount_at_issue", "争议金额（元）amount_at_issue", 16, "money"),
    ("sentence_zh", "说明", 62, "wrap"),
    ("exemptions_zh", "已核豁免", 24, "wrap"),
    ("line_ids", "涉及明细 line_ids", 30, "text"),
    ("earlier_claims", "既往结算 earlier_claims", 30, "text"),
    ("sentence_en", "in English", 52, "wrap"),
)
_CELL = 2_000
"""Most characters of a list in a cell."""


def _hits(sheet: "Worksheet", content: ReportContent, styles: dict[str, Any]) -> None:
    assert content.hits is not None
    for column, (_, heading, width, _) in enumerate(_HITS):
        sheet.write_string(0, column, heading, styles["header"])
        sheet.set_column(column, column, width)
    live = content.hits[~content.hits["snoozed"].astype(bool)]
    order = ["amount_at_issue", "rule", "claim_id", "knowledge"]
    live = live.sort_values(order, ascending=[False, True, True, True]).head(MOST_HITS)
    for row, record in enumerate(live.to_dict("records"), 1):
        record["name"] = content.rules.get(record["rule"], ("", ""))[0]
        record["result"] = RESULT_WORDS[record["result"]][0]
        for column, (name, _, _, kind) in enumerate(_HITS):
            value = record[name]
            if isinstance(value, (list, tuple)):
                value = ("；" if name == "exemptions_zh" else " ").join(value)[:_CELL]
            _put(sheet, row, column, value, kind, styles)
    sheet.set_row(0, 32)
    sheet.freeze_panes(1, 1)
    sheet.autofilter(0, 0, max(len(live), 1), len(_HITS) - 1)


def _evidence(sheet: "Worksheet", content: ReportContent, styles: dict[str, Any]) -> None:
    evidence = content.evidence()
    named = [(n, f"{zh} {n}") for n, zh, _ in EVIDENCE_COLUMNS if n in evidence]
    columns = [("rank", "序号 rank"), ("suspicion_id", "疑点编号 suspicion_id"), *named]
    kinds = {"rank": "count", "amount_at_risk": "money", "score": "share"}
    for column, (name, heading) in enumerate(columns):
        sheet.write_string(0, column, heading, styles["header"])
        sheet.set_column(column, column, 7 if name == "rank" else _WIDTHS.get(name, 20))
    for row, record in enumerate(evidence.to_dict("records"), 1):
        for column, (name, _) in enumerate(columns):
            value = record[name]
            if name == "settled_at" and pd.notna(value):
                value = pd.Timestamp(value).strftime("%Y-%m-%d %H:%M")
            if name == "visit_type" and value in VISIT_WORDS:
                value = " ".join(VISIT_WORDS[value])
            _put(sheet, row, column, value, kinds.get(name, "text"), styles)
    sheet.set_row(0, 32)
    sheet.freeze_panes(1, 3)
    sheet.autofilter(0, 0, max(len(evidence), 1), len(columns) - 1)
