"""The reader's language: which one an answer is in, and words, money and days in it.

Pages and messages are translated by gettext from Chinese (`locale/`). Codes of states, reasons, roles and
of the report have their words in both languages beside them as data; `spoken` takes the reader's.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language, get_language_from_request, gettext, override

from fraud.workbench.configure import LANGUAGES

FIRST = next(iter(LANGUAGES))
COOKIE = "language"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Next = Callable[[HttpRequest], HttpResponse]


def reader_language(get_response: Next) -> Next:
    """Middleware: answer in the language that the reader chose, else in the site's.

    What the browser prefers counts only where the site says so (``[workbench] language = "browser"``).
    """

    def answer(request: HttpRequest) -> HttpResponse:
        code = _language(request)
        with override(code):
            request.LANGUAGE_CODE = code
            response = get_response(request)
        response.headers.setdefault("Content-Language", code)
        patch_vary_headers(response, ("Cookie", "Accept-Language"))
        return response

    return answer


def _language(request: HttpRequest) -> str:
    chosen = request.COOKIES.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    own = settings.WORKBENCH.language
    found = get_language_from_request(request) if own == "browser" else own
    return found if found in LANGUAGES else FIRST


def english() -> bool:
    """Whether the reader's language is English."""
    return (get_language() or FIRST).startswith("en")


def spoken(words: Sequence[str]) -> str:
    """Chinese or English of a pair, whichever the reader reads; Chinese where there is no English."""
    return (words[1] if english() else "") or words[0]


def listed(words: Sequence[str]) -> str:
    """Words one after the other, as the reader separates them."""
    return (", " if english() else "、").join(words)


def yuan(cents: int | None) -> str:
    """Cents as yuan with thousands and two decimals; a dash for none."""
    return "–" if cents is None else f"{cents / 100:,.2f}"


def money(cents: int | None, decimals: int = 2) -> str:
    """Cents as an amount one can take in at a glance: 元 and 万元, in English whole yuan with thousands.

    Parameters
    ----------
    cents : int or None
        None counts as nothing.
    decimals : int
        Decimals of 万元.
    """
    value = (cents or 0) / 100
    if english():
        return f"{value:,.0f} yuan"
    return f"{value / 1e4:,.{decimals}f} 万元" if abs(value) >= 1e4 else f"{value:,.0f} 元"


def day(value: date) -> str:
    """A day: ``2026-11-22``, in English ``22 Nov 2026``."""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}" if english() else f"{value:%Y-%m-%d}"


def short_day(value: date) -> str:
    """A day without its year: ``11-22``, in English ``22 Nov``."""
    return f"{value.day} {_MONTHS[value.month - 1]}" if english() else f"{value:%m-%d}"


def month(told: str) -> str:
    """A month told as ``2026-11``; in English ``Nov 2026``."""
    year, _, number = told.partition("-")
    known = english() and number.isdecimal() and 1 <= int(number) <= len(_MONTHS)
    return f"{_MONTHS[int(number) - 1]} {year}" if known else told


def short_month(value: date) -> str:
    """A month on an axis: ``11月``, in English ``Nov``."""
    return _MONTHS[value.month - 1] if english() else f"{value.month}月"


def moment(value: Any) -> str:
    """A day with its time, to the minute; what is told as text and is no time stays as it is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if not isinstance(value, datetime):
        return "–"
    local = timezone.localtime(value) if timezone.is_aware(value) else value
    return f"{day(local)} {local:%H:%M}"


def short_moment(told: str) -> str:
    """A time told as text, without its year; what is no time stays as it is."""
    try:
        value = datetime.fromisoformat(told)
    except ValueError:
        return told
    return f"{short_day(value)} {value:%H:%M}"


def retold(text: str, values: Sequence[Any] = ()) -> str:
    """A source text that was kept, with what is put into it, in the reader's language."""
    return gettext(text) % tuple(values) if values else gettext(text)
