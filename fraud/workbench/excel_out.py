"""Cases as a workbook that people fill in and send back: keyed by case id, codes as text, no formulas."""

from collections import Counter
from collections.abc import Iterable
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any

from fraud.report.content import VISIT_WORDS
from fraud.runs import neutral
from fraud.workbench.forms import ANSWER, ANSWERS, KEYS, REASON, Form, check_code, yuan
from fraud.workbench.models import Account, Case, Evidence
from fraud.workbench.sight import shows
from fraud.workbench.workflow import REASONS

if TYPE_CHECKING:
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

MOST_CASES, MOST_CLAIMS = 2000, 50_000
HEADER_ROW = 2
"""Row of the headings, from zero: above it are the title and what to do."""
_EVIDENCE = (
    ("案件编号 case", 10), ("结算 claim", 24), ("结算时间 settled", 17), ("类型 visit", 12),
    ("机构 institution", 16), ("科室 dept.", 14), ("医师 doctor", 16), ("参保人 patient", 20),
    ("诊断 diagnosis", 11), ("规则 rules", 30), ("涉及金额（元）at risk", 14),
)  # fmt: skip
_FACTS = ("settled_at", "visit_type", "institution_id", "department_id", "doctor_id", "patient_id",
          "diagnosis_code")  # fmt: skip


def workbook(
    form: Form, cases: Iterable[Case], institution: str = "", account: Account | None = None
) -> bytes:
    """A form's workbook: a sheet of cases with room for answers, a sheet of their evidence claims.

    Parameters
    ----------
    form : Form
    cases : iterable of Case
        At most `MOST_CASES` are written.
    institution : str, optional
        Whom it goes to: only its own claims are told as evidence.
    account : Account, optional
        Who exports it: claims outside of the account's limits are counted and not told.

    Returns
    -------
    bytes
        An ``.xlsx`` file. What may not be changed is locked (without a password).
    """
    import xlsxwriter

    out = BytesIO()
    never = dict.fromkeys(("strings_to_formulas", "strings_to_urls", "strings_to_numbers"), False)
    options = {"in_memory": True, **never}
    chosen = list(cases)[:MOST_CASES]
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties({"title": form.title})
        styles = _styles(book)
        _cases(book.add_worksheet(form.zh), form, chosen, styles)
        _evidence(book.add_worksheet("证据结算 Evidence"), chosen, styles, institution, account)
        _choices(book, form)
    return out.getvalue()


def _styles(book: "Workbook") -> dict[str, Any]:
    base = {"font_name": "Microsoft YaHei", "font_size": 10, "valign": "top"}
    head = {**base, "bold": True, "font_color": "#FFFFFF", "text_wrap": True, "valign": "vcenter"}
    formats: dict[str, dict[str, Any]] = {
        "title": {**base, "bold": True, "font_size": 15, "font_color": "#123A5E"},
        "note": {**base, "text_wrap": True, "font_color": "#37475A"},
        "header": {**head, "bg_color": "#123A5E"},
        "answer": {**head, "bg_color": "#0F766E"},
        "text": {**base, "num_format": "@"},
        "wrap": {**base, "num_format": "@", "text_wrap": True},
        "count": {**base, "num_format": "0"},
        "share": {**base, "num_format": "0%"},
        "money": {**base, "num_format": "#,##0.00"},
        "open": {**base, "num_format": "@", "text_wrap": True, "bg_color": "#F2F8F7", "border": 1,
                 "border_color": "#CFE3E0", "locked": False},
    }  # fmt: skip
    formats["open_money"] = {**formats["open"], "num_format": "#,##0.00"}
    return {name: book.add_format(properties) for name, properties in formats.items()}


def put(sheet: "Worksheet", row: int, column: int, value: Any, kind: str, styles: dict[str, Any]) -> None:
    """One cell: text is always text, whatever it looks like."""
    if value is None:
        sheet.write_blank(row, column, None, styles[kind])
    elif kind in ("text", "wrap"):
        sheet.write_string(row, column, neutral(str(value))[:32_000], styles[kind])
    else:
        sheet.write_number(row, column, float(value), styles[kind])


def _cases(sheet: "Worksheet", form: Form, cases: list[Case], styles: dict[str, Any]) -> None:
    last = len(form.headings) - 1
    sheet.write_string(0, 0, form.title, styles["title"])
    sheet.merge_range(1, 0, 1, last, form.note, styles["note"])
    sheet.set_row(1, 32)
    widths = [9, 7, 14, *(c[1] for c in form.columns), 12, 18, 14, 36, 12]
    for column, (heading, width) in enumerate(zip(form.headings, widths, strict=True)):
        style = "answer" if heading in ANSWERS else "header"
        sheet.write_string(HEADER_ROW, column, heading, styles[style])
        sheet.set_column(column, column, width)
    for row, case in enumerate(cases, HEADER_ROW + 1):
        put(sheet, row, 0, case.pk, "count", styles)
        put(sheet, row, 1, case.version, "count", styles)
        put(sheet, row, 2, check_code(form.code, case.pk, case.version), "text", styles)
        for column, (_, _, kind, value) in enumerate(form.columns, len(KEYS)):
            put(sheet, row, column, value(case), kind, styles)
        for column in range(len(KEYS) + len(form.columns), last + 1):
            money = form.headings[column].startswith("金额")
            sheet.write_blank(row, column, None, styles["open_money" if money else "open"])
    _validate(sheet, form, max(len(cases), 1))
    sheet.set_row(HEADER_ROW, 32)
    sheet.freeze_panes(HEADER_ROW + 1, 1)
    sheet.autofilter(HEADER_ROW, 0, HEADER_ROW + max(len(cases), 1), last)
    sheet.protect("", {"autofilter": True, "sort": True, "format_columns": True, "format_rows": True})


def _validate(sheet: "Worksheet", form: Form, rows: int) -> None:
    """Offer the answers and reasons that can be read back."""
    first, last = HEADER_ROW + 1, HEADER_ROW + rows
    answer, reason = form.headings.index(ANSWER), form.headings.index(REASON)
    sheet.data_validation(first, answer, last, answer, {"validate": "list", "source": list(form.answers)})
    if count := len(_reasons(form)):
        source = f"='选项 Choices'!$A$1:$A${count}"
        sheet.data_validation(first, reason, last, reason, {"validate": "list", "source": source})


def _reasons(form: Form) -> list[str]:
    return [words[0] for a in form.answers.values() for words in REASONS.get(a.reasons, {}).values()]


def _choices(book: "Workbook", form: Form) -> None:
    """Reasons to choose from, on a hidden sheet: a cell's own list takes 255 characters at most."""
    if found := _reasons(form):
        sheet = book.add_worksheet("选项 Choices")
        for row, words in enumerate(found):
            sheet.write_string(row, 0, words)
        sheet.hide()


def _evidence(
    sheet: "Worksheet", cases: list[Case], styles: dict[str, Any], institution: str, account: Account | None
) -> None:
    for column, (heading, width) in enumerate(_EVIDENCE):
        sheet.write_string(0, column, heading, styles["header"])
        sheet.set_column(column, column, width)
    newest, own = {s: c for c, s in _newest(cases)}, {c.pk: c for c in cases}
    claims = Evidence.objects.filter(suspicion_id__in=newest).order_by("suspicion_id", "place")
    asked = (c for c in claims if not institution or c.facts.get("institution_id") == institution)
    row, hidden = 0, Counter[int]()
    for claim in islice(asked, MOST_CLAIMS):
        case = newest[claim.suspicion_id]
        if account is not None and not shows(account, own[case], claim.facts):
            hidden[case] += 1
            continue
        row += 1
        facts = [claim.facts.get(name) for name in _FACTS]
        facts[1] = VISIT_WORDS.get(str(facts[1]), (facts[1], ""))[0]
        put(sheet, row, 0, newest[claim.suspicion_id], "count", styles)
        for column, value in enumerate([claim.claim_id, *facts, " ".join(claim.rules)], 1):
            put(sheet, row, column, value, "text", styles)
        at_risk = yuan(claim.at_risk_cents)
        put(sheet, row, len(_EVIDENCE) - 1, at_risk, "money", styles)
    for case, number in sorted(hidden.items()):
        row += 1
        put(sheet, row, 0, case, "count", styles)
        put(sheet, row, 1, f"另有 {number} 条属其他机构，不在导出人可以看的范围内", "text", styles)
    sheet.freeze_panes(1, 1)


def _newest(cases: list[Case]) -> list[tuple[int, int]]:
    """Case and its newest suspicion."""
    from django.db.models import Max

    ids = [c.pk for c in cases]
    return list(
        Case.objects.filter(pk__in=ids).annotate(newest=Max("suspicions")).values_list("pk", "newest")
    )
