"""The forms that leave and come back as workbooks, as data: columns, answers, and the steps they mean."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.crypto import salted_hmac

from fraud.report.content import KIND_WORDS
from fraud.workbench.models import Case
from fraud.workbench.workflow import REASONS, SCHEMES

CASE, VERSION, CHECK = "案件编号 case", "版本 version", "校验码 check"
ANSWER, REASON, AMOUNT, WORDS, PERSON = (
    "答复 answer",
    "原因或违规类型 reason",
    "金额（元）amount",
    "说明 words",
    "填写人 by",
)
KEYS = (CASE, VERSION, CHECK)
ANSWERS = (ANSWER, REASON, AMOUNT, WORDS, PERSON)


@dataclass(frozen=True)
class Answer:
    """What an answer means.

    Attributes
    ----------
    action : str
        Step of the workflow.
    amount : str
        ``none`` (must be empty), ``below`` (above 0, below what was established; kept in the step's
        words) or ``set`` (the established amount).
    reasons : str
        List of `REASONS` whose Chinese words or codes the reason column takes; empty for none.
    words : bool
        Whether words are required.
    """

    action: str
    amount: str = "none"
    reasons: str = ""
    words: bool = False


@dataclass(frozen=True)
class Form:
    """One form.

    Attributes
    ----------
    code, zh, en : str
    title, note : str
        First lines of the sheet.
    chosen : Q
        Cases it is about.
    columns : tuple of (heading, width, kind, value)
        What is told of a case; kind is ``text``, ``wrap``, ``money`` or ``count``.
    answers : mapping
        Words of an answer → what it means.
    """

    code: str
    zh: str
    en: str
    title: str
    note: str
    chosen: Q
    columns: tuple[tuple[str, int, str, Callable[[Case], Any]], ...]
    answers: dict[str, Answer]

    @property
    def headings(self) -> tuple[str, ...]:
        """Headings of the sheet: keys, what is told, answers."""
        return (*KEYS, *(c[0] for c in self.columns), *ANSWERS)


def check_code(form: str, case_id: int, version: int) -> str:
    """Code that only this workbench can have put on a row: a row moved to another case does not fit."""
    told = f"{form}|{case_id}|{version}"
    return salted_hmac("fraud.workbench.forms", told, algorithm="sha256").hexdigest()[:12]


def yuan(cents: int | None) -> float | None:
    """Cents as the number of a cell."""
    return None if cents is None else cents / 100


_SUBJECT = (
    ("对象类别 kind", 11, "text", lambda c: KIND_WORDS[c.subject_kind][0]),
    ("对象 subject", 20, "text", lambda c: c.subject_id),
    ("月份 month", 9, "text", lambda c: c.month),
)
_WHY = (
    ("首要理由 reason", 46, "wrap", lambda c: c.top_reason),
    ("规则标记 rules", 26, "wrap", lambda c: "；".join(name for _, name in c.rule_marks)),
)

FORMS: dict[str, Form] = {
    f.code: f
    for f in (
        Form(
            "notice", "疑点核查通知书", "notice to the institution", "医保基金疑点核查通知书",
            "请在右侧浅色列填写后原样退回：答复选“认可”“部分认可”或“申诉”；部分认可填写认可金额；"
            "部分认可和申诉须写说明。其他列请勿改动。疑点不是结论。",
            Q(state="sent"),
            (*_SUBJECT,
             ("违规类型 scheme", 16, "text", lambda c: SCHEMES.get(c.scheme, ("", ""))[0]),
             ("认定金额（元）established", 16, "money", lambda c: yuan(c.amount_cents)),
             *_WHY),
            {"认可": Answer("accept"),
             "部分认可": Answer("accept_partly", amount="below", words=True),
             "申诉": Answer("appeal", words=True)},
        ),
        Form(
            "clues", "线索清单", "list of clues", "医保基金疑点线索清单",
            "供线下核查：在右侧浅色列填写处理结果后传回。排除选原因；确认疑点选违规类型并填认定金额。"
            "只有承办人能传回自己的案件。其他列请勿改动。",
            Q(state__in=("unassigned", "first_review")),
            (*_SUBJECT,
             ("预期追回（元）expected", 15, "money", lambda c: yuan(c.expected_cents)),
             ("涉及金额（元）at risk", 15, "money", lambda c: yuan(c.at_risk_cents)),
             ("概率 score", 8, "share", lambda c: c.score),
             ("结算笔数 claims", 9, "count", lambda c: c.claims),
             *_WHY),
            {"排除": Answer("clear", reasons="clear"),
             "确认疑点": Answer("confirm", amount="set", reasons="scheme"),
             "退回清单": Answer("release", words=True)},
        ),
    )
}  # fmt: skip


def reason_code(reasons: str, told: str) -> str | None:
    """Code of a reason told in Chinese, English or as its code; None where there is no such reason."""
    for code, words in REASONS.get(reasons, {}).items():
        if told in (code, *words):
            return code
    return None
