"""Filters of the pages: money and words."""

from typing import Any

from django import template

from fraud.report.content import (
    KIND_WORDS,
    MEMBER_WORDS,
    RESULT_WORDS,
    RING_WORDS,
    ROLE_WORDS,
    STATUS_WORDS,
    VISIT_WORDS,
    Words,
)
from fraud.report.content import number as three_digits
from fraud.workbench.excel_in import OUTCOMES as SHEET_OUTCOMES
from fraud.workbench.forms import FORMS
from fraud.workbench.models import Case
from fraud.workbench.roles import ROLES
from fraud.workbench.workflow import REASONS, SCHEMES, STATES, TRANSITIONS

register = template.Library()

_WORDS: dict[str, Words] = {
    "kind": KIND_WORDS,
    "status": STATUS_WORDS,
    "member": MEMBER_WORDS,
    "role": ROLE_WORDS,
    "ring": RING_WORDS,
    "result": RESULT_WORDS,
    "visit": VISIT_WORDS,
    "state": STATES,
    "scheme": SCHEMES,
    "account_role": {code: (zh, en) for code, (zh, en, _) in ROLES.items()},
    "form": {f.code: (f.zh, f.en) for f in FORMS.values()},
    "sheet": SHEET_OUTCOMES,
    "outcome": {"confirmed": ("确认", "confirmed"), "cleared": ("排除", "cleared")},
    "action": {t.code: (t.zh, t.en) for t in TRANSITIONS.values()} | {"listed": ("列入清单", "listed")},
    "reason": {code: words for own in REASONS.values() for code, words in own.items()},
}


@register.filter
def yuan(cents: int | None) -> str:
    """Cents as yuan with thousands; a dash for none."""
    return "–" if cents is None else f"{cents / 100:,.2f}"


@register.filter
def whole(cents: int | None) -> str:
    """Cents as whole yuan with thousands."""
    return "–" if cents is None else f"{round(cents / 100):,}"


@register.filter
def big(cents: int | None) -> str:
    """Cents as yuan, in 万 from ten thousand on."""
    value = (cents or 0) / 100
    return f"{value / 1e4:,.2f} 万元" if abs(value) >= 1e4 else f"{value:,.0f} 元"


@register.filter
def percent(share: float | None) -> str:
    """Share as a percentage."""
    return "–" if share is None else f"{share:.0%}"


@register.filter
def number(value: float | None) -> str:
    """Measured value with three significant digits."""
    return three_digits(value)


@register.filter
def why_decided(case: Case) -> str:
    """Reason of a case's last step that gave one, such as why it was cleared."""
    step = case.steps.exclude(reason="").order_by("-id").first()
    return zh(step.reason, "reason") if step else ""


@register.filter
def zh(code: Any, words: str) -> str:
    """Chinese for a code."""
    return _WORDS[words].get(str(code), (str(code or ""), ""))[0]


@register.filter
def en(code: Any, words: str) -> str:
    """English for a code."""
    return _WORDS[words].get(str(code), ("", str(code or "")))[1]
