"""Filters of the list and the case page: due dates and sizes."""

from datetime import date

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from fraud.workbench.deadlines import SOON_DAYS
from fraud.workbench.listing import late
from fraud.workbench.speech import short_day

register = template.Library()


@register.filter
def due(day: date | None) -> SafeString | str:
    """A due date in words, marked where it is near or past."""
    days = late(day)
    if day is None or days is None:
        return ""
    if days > 0:
        words = ngettext("逾期 %(days)s 天", "逾期 %(days)s 天", days) % {"days": days}
        return format_html('<b class="late" title="{}">{}</b>', day.isoformat(), words)
    mark = " soon" if days >= -SOON_DAYS else ""
    words = gettext("%(day)s 到期") % {"day": short_day(day)}
    return format_html('<span class="due{}" title="{}">{}</span>', mark, day.isoformat(), words)


@register.filter
def size(number: int) -> str:
    """Bytes in KB or MB."""
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{max(number / 1e3, 0.1):.1f} KB"
