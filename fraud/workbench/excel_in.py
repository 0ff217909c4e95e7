"""Workbooks that came back: read by row and column, judged against the cases, applied step by step.

`read` makes rows of a file and finds what is wrong with them by themselves. `judge` says what each row
would do to its case now. `apply` takes the good ones, each as one legal step; a row is taken whole or
not at all, and a file applied again finds its rows done already.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation
from io import BytesIO
from typing import Any

from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext, gettext_noop

from fraud.errors import DataError
from fraud.workbench.cases import LONGEST_TEXT, Conflict, Given, Refused, act, allowed
from fraud.workbench.excel_out import HEADER_ROW, MOST_CASES
from fraud.workbench.forms import (
    AMOUNT,
    ANSWER,
    ANSWERS,
    CASE,
    CHECK,
    FORMS,
    PERSON,
    REASON,
    VERSION,
    WORDS,
    Answer,
    Form,
    check_code,
    reason_code,
)
from fraud.workbench.models import Account, Case, Step
from fraud.workbench.safe_xlsx import require_workbook
from fraud.workbench.scope import visible
from fraud.workbench.speech import retold, spoken
from fraud.workbench.workflow import TRANSITIONS

GOOD, EMPTY, BAD, CONFLICT, ALREADY = "good", "empty", "bad", "conflict", "already"
OUTCOMES: dict[str, tuple[str, str]] = {
    GOOD: ("可登记", "will be applied"),
    ALREADY: ("已登记过", "applied already"),
    CONFLICT: ("冲突", "conflict"),
    BAD: ("有误", "wrong"),
    EMPTY: ("未填", "left empty"),
}
_MOST_COLUMNS = 60
_ROOM = 500
"""Rows beyond the most cases of a workbook that are looked at, for empty ones between."""


@dataclass
class Row:
    """One filled-in row.

    Attributes
    ----------
    number : int
        Row of the sheet, from 1 as a spreadsheet counts.
    case, version : int or None
    action : str
        Step that the answer means; empty where nothing was filled in.
    reason, text : str
    amount_cents : int or None
        Established amount, where the answer sets it.
    below_cents : int or None
        Amount that the institution accepts, which must be below the established one.
    problems : list of (str, str, ...)
        Cell and what is wrong with it: the source text and what is put into it, for a row is kept and
        read in either language.
    """

    number: int
    case: int | None = None
    version: int | None = None
    action: str = ""
    reason: str = ""
    text: str = ""
    amount_cents: int | None = None
    below_cents: int | None = None
    problems: list[tuple[str, ...]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Fields as JSON holds them."""
        return asdict(self)


@dataclass(frozen=True)
class Judged:
    """A row and what it would do now: one of `OUTCOMES`, with cell and words of what stands against it."""

    row: Row
    outcome: str
    problems: tuple[tuple[str, str], ...] = ()


def read(content: bytes) -> tuple[Form, list[Row]]:
    """Rows of a workbook.

    Parameters
    ----------
    content : bytes
        The file.

    Returns
    -------
    tuple of Form and list of Row
        The form it is, and its rows, those with problems too.

    Raises
    ------
    DataError
        It is not a plain workbook, or holds no sheet of a known form.
    """
    require_workbook(content)
    import openpyxl

    try:
        book = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=False, keep_links=False)
        for name in book.sheetnames:
            form = next((f for f in FORMS.values() if f.zh == name), None)
            if form:
                return form, _rows(book[name], form)
    except DataError:
        raise
    except Exception as error:  # whatever a broken file does to the reader of workbooks
        raise DataError(gettext("工作簿无法读取（%(error)s）。") % {"error": type(error).__name__}) from None
    known = "、".join(f"“{f.zh}”" for f in FORMS.values())
    raise DataError(gettext("没有名为%(known)s的工作表；请用本系统导出的表。") % {"known": known})


def _rows(sheet: Any, form: Form) -> list[Row]:
    sheet.reset_dimensions()  # a file may lie about its size
    found: list[Row] = []
    columns: dict[str, int] = {}
    seen: set[int | None] = set()
    for number, cells in enumerate(sheet.iter_rows(max_col=_MOST_COLUMNS), 1):
        values = [c.value for c in cells]
        if not columns:
            if CASE in values:
                columns = _columns(values, form)
            elif number > HEADER_ROW + 10:
                break
            continue
        if all(v is None or v == "" for v in values):
            continue
        if number > HEADER_ROW + 1 + MOST_CASES + _ROOM:
            raise DataError(gettext("行数超过 %(most)s。") % {"most": MOST_CASES})
        row = _row(number, {h: cells[i] for h, i in columns.items() if i < len(cells)}, columns, form)
        if row.case is not None and row.case in seen:
            row.problems.append((_cell(columns[CASE], number), gettext_noop("案件重复")))
        seen.add(row.case)
        found.append(row)
    if not columns:
        raise DataError(gettext("工作表“%(sheet)s”没有表头。") % {"sheet": form.zh})
    return found


def _columns(values: list[Any], form: Form) -> dict[str, int]:
    columns = {h: values.index(h) for h in form.headings if h in values}
    missing = [h for h in (CASE, VERSION, CHECK, *ANSWERS) if h not in columns]
    if missing:
        raise DataError(gettext("缺少列：%(columns)s") % {"columns": " / ".join(missing)})
    return columns


def _cell(column: int, number: int) -> str:
    from openpyxl.utils import get_column_letter

    return f"{get_column_letter(column + 1)}{number}"


class _Sheet:
    """Cells of one row by heading, with their problems."""

    def __init__(self, number: int, cells: dict[str, Any], columns: dict[str, int]) -> None:
        self.number, self.cells, self.columns = number, cells, columns
        self.problems: list[tuple[str, ...]] = []

    def fault(self, heading: str, words: str, *values: str) -> None:
        self.problems.append((_cell(self.columns[heading], self.number), words, *values))

    def value(self, heading: str) -> Any:
        cell = self.cells.get(heading)
        if cell is None or cell.value is None:
            return None
        if cell.data_type == "f":
            self.fault(heading, gettext_noop("不接受公式"))
            return None
        if cell.data_type == "e":
            self.fault(heading, gettext_noop("单元格是错误值"))
            return None
        return cell.value

    def words(self, heading: str) -> str:
        value = self.value(heading)
        told = "" if value is None else str(value)
        told = "".join(c for c in told if c in "\n\t" or c.isprintable()).strip()
        if len(told) > LONGEST_TEXT - 200:
            self.fault(heading, gettext_noop("最多 %s 字"), str(LONGEST_TEXT - 200))
        return told

    def whole(self, heading: str) -> int | None:
        value = self.value(heading)
        try:
            number = Decimal(str(value).strip())
            if isinstance(value, bool) or number != int(number) or not 0 <= number < 2**62:
                raise ValueError
        except (InvalidOperation, ValueError, OverflowError):
            return None
        return int(number)

    def cents(self, heading: str) -> int | None:
        """Yuan of a cell in cents; None where it is empty or, with a problem, no amount."""
        value = self.value(heading)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        bare = str(value).replace(",", "").replace("，", "").strip().removesuffix("元")
        try:
            cents = Decimal(bare) * 100
            if isinstance(value, bool) or cents != int(cents) or not 0 < cents <= 10**15:
                raise ValueError
        except (InvalidOperation, ValueError, OverflowError):
            self.fault(heading, gettext_noop("金额须为大于零、最多两位小数的数字"))
            return None
        return int(cents)


def _row(number: int, cells: dict[str, Any], columns: dict[str, int], form: Form) -> Row:
    sheet = _Sheet(number, cells, columns)
    row = Row(number, sheet.whole(CASE), sheet.whole(VERSION))
    told = [cells[h].value for h in ANSWERS if h in cells]
    if all(v is None or not str(v).strip() for v in told):
        return row
    if row.case is None:
        sheet.fault(CASE, gettext_noop("案件编号不是数字"))
    elif row.version is None or not constant_time_compare(
        sheet.words(CHECK), check_code(form.code, row.case, row.version)
    ):
        sheet.fault(CHECK, gettext_noop("校验码不符：此行不是本系统导出的，或编号被改动"))
    answer = form.answers.get(sheet.words(ANSWER))
    if answer is None:
        sheet.fault(ANSWER, gettext_noop("请选：%s"), " / ".join(form.answers))
    else:
        _answered(row, answer, sheet)
    row.problems = sheet.problems
    return row


def _answered(row: Row, answer: Answer, sheet: _Sheet) -> None:
    row.action = answer.action
    words, person = sheet.words(WORDS), sheet.words(PERSON)
    amount = sheet.cents(AMOUNT)
    if answer.words and not words:
        sheet.fault(WORDS, gettext_noop("请写说明"))
    told = sheet.words(REASON)
    if answer.reasons:
        code = reason_code(answer.reasons, told)
        if code is None:
            sheet.fault(REASON, gettext_noop("请从列表选择"))
        elif code == "other" and not words:
            sheet.fault(WORDS, gettext_noop("选“其他”须写说明"))
        row.reason = code or ""
    if answer.amount == "none":
        if sheet.cells.get(AMOUNT) is not None and sheet.cells[AMOUNT].value not in (None, ""):
            sheet.fault(AMOUNT, gettext_noop("此答复不填金额"))
    elif amount is None and not any(p[0] == _cell(sheet.columns[AMOUNT], row.number) for p in sheet.problems):
        sheet.fault(AMOUNT, gettext_noop("请填金额"))
    if answer.amount == "below" and amount is not None:
        row.below_cents = amount
        words = f"认可金额 {amount / 100:,.2f} 元。{words}"
    elif answer.amount == "set":
        row.amount_cents = amount
    row.text = f"{words}（填写人：{person}）" if person else words


def judge(rows: list[Row], account: Account) -> list[Judged]:
    """What each row would do to its case now, for this account; nothing is changed."""
    return [_judged(row, find(row), account) for find in [_finder(rows, account)] for row in rows]


def _finder(rows: list[Row], account: Account) -> Callable[[Row], Case | None]:
    ids = sorted({r.case for r in rows if r.case is not None})
    cases: dict[int, Case] = {}
    for start in range(0, len(ids), 500):
        cases |= visible(account).select_related("assignee").in_bulk(ids[start : start + 500])
    return lambda row: cases.get(row.case or -1)


def _judged(row: Row, case: Case | None, account: Account) -> Judged:
    if row.problems:
        return Judged(row, BAD, tuple((c, retold(w, v)) for c, w, *v in row.problems))
    if not row.action:
        return Judged(row, EMPTY)
    if case is None:
        return Judged(row, BAD, ((gettext("案件"), gettext("没有这个案件。")),))
    if case.version != row.version:
        if _done(row, case):
            return Judged(row, ALREADY)
        words = gettext("案件在导出后有变动，现为“%(state)s”。") % {"state": spoken(case.state_words)}
        return Judged(row, CONFLICT, ((gettext("版本"), words),))
    if row.action not in {t.code for t in allowed(case, account)}:
        step = TRANSITIONS[row.action]
        told = {"state": spoken(case.state_words), "step": spoken((step.zh, step.en))}
        words = gettext("现为“%(state)s”，不能由您“%(step)s”。") % told
        return Judged(row, CONFLICT, ((gettext("答复"), words),))
    if row.below_cents is not None and row.below_cents >= (case.amount_cents or 0):
        return Judged(row, BAD, ((gettext("金额"), gettext("部分认可的金额须小于认定金额。")),))
    return Judged(row, GOOD)


def _done(row: Row, case: Case) -> bool:
    """Whether a step of the case is this row, taken before."""
    same = Step.objects.filter(case=case, action=row.action, reason=row.reason, text=row.text)
    if row.amount_cents is not None:
        same = same.filter(amount_after=row.amount_cents)
    return same.exists()


def apply(rows: list[Row], account: Account) -> Iterator[Judged]:
    """Take the step of each good row; what each came to.

    Every step is a transaction of its own that locks nothing of the others: a row that somebody's
    step came before is a conflict, and the rest go on.
    """
    for judged in judge(rows, account):
        if judged.outcome != GOOD:
            yield judged
            continue
        row = judged.row
        given = Given(reason=row.reason, text=row.text, amount_cents=row.amount_cents)
        try:
            act(row.case or 0, row.action, account, row.version or 0, given)
        except Conflict as error:
            yield Judged(row, CONFLICT, tuple((gettext("案件"), p) for p in error.problems))
        except Refused as error:
            yield Judged(row, BAD, tuple((gettext("案件"), p) for p in error.problems))
        else:
            yield judged
