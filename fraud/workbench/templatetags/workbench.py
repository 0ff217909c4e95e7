"""Filters of the pages: money, days and words, as the reader expects them."""

from datetime import date
from typing import Any

from django import template
from django.utils.translation import gettext

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
from fraud.workbench import speech
from fraud.workbench.configure import LANGUAGES
from fraud.workbench.desk import VERDICTS
from fraud.workbench.excel_in import OUTCOMES as SHEET_OUTCOMES
from fraud.workbench.forms import FORMS
from fraud.workbench.models import Case, Step
from fraud.workbench.narrowing import SOURCES
from fraud.workbench.publishing import SCHEME
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
    "verdict": VERDICTS,
    "reason": {code: words for own in REASONS.values() for code, words in own.items()},
    "source": SOURCES,
    "source_why": {
        "random": ("从全部结算随机抽取，与得分和理由无关", "drawn at random, whatever its score"),
        "learning": (
            "查它的结论最能教会模型，不表示更可疑",
            "its outcome teaches the model most; it is not more suspicious",
        ),
        "scheme": (
            "从新手法中立案，模型概率不高",
            "taken out of a new scheme; the model gives it a low probability",
        ),
    },
}


register.filter("yuan", speech.yuan)
register.filter("big", speech.money)
register.filter("spoken", speech.spoken)
register.filter("month", speech.month)
register.filter("short_moment", speech.short_moment)


@register.filter(expects_localtime=True)
def moment(value: Any) -> str:
    """A day with its time."""
    return speech.moment(value)


@register.filter(expects_localtime=True)
def day(value: date) -> str:
    """A day."""
    return speech.day(value)


@register.filter
def whole(cents: int | None) -> str:
    """Cents as whole yuan with thousands."""
    return "–" if cents is None else f"{round(cents / 100):,}"


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
    return words(step.reason, "reason") if step else ""


@register.filter
def words(code: Any, of: str) -> str:
    """Words for a code, in the reader's language."""
    told = str(code or "")
    return speech.spoken(_WORDS[of].get(told, (told, told)))


@register.filter
def step_text(step: Step) -> str:
    """What was said with a step; what publishing said, in the reader's language."""
    if step.action != "listed":
        return step.text
    month, _, told = step.text.partition(" ")
    rank = "".join(c for c in told if c.isdecimal())
    where = gettext("第 %(rank)s 位") % {"rank": rank} if rank else gettext("随机抽查")
    if told.startswith(SCHEME):
        where = f"{words('scheme', 'source')} {told.removeprefix(SCHEME).strip()}"
    return f"{speech.month(month)} {where}"


@register.inclusion_tag("workbench/language.html", takes_context=True)
def language_choice(context: dict[str, Any]) -> dict[str, Any]:
    """Languages to choose from; the choice leads back to where it was made."""
    request = context.get("request")
    onward = request.get_full_path() if request is not None and request.method == "GET" else ""
    now = "en" if speech.english() else speech.FIRST
    return {
        "languages": LANGUAGES.items(),
        "now": now,
        "onward": onward,
        "csrf_token": context.get("csrf_token"),
    }
