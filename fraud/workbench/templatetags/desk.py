"""Filters of the list and the case page: due dates and sizes."""

from datetime import date

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from fraud.workbench.deadlines import SOON_DAYS
from fraud.workbench.listing import late

register = template.Library()


@register.filter
def due(day: date | None) -> SafeString | str:
    """A due date in words, marked where it is near or past."""
    days = late(day)
    if day is None or days is None:
        return ""
    if days > 0:
        return format_html('<b class="late" title="{}">逾期 {} 天</b>', day.isoformat(), days)
    mark = " soon" if days >= -SOON_DAYS else ""
    return format_html(
        '<span class="due{}" title="due {}">{} 到期</span>', mark, day.isoformat(), f"{day:%m-%d}"
    )


@register.filter
def size(number: int) -> str:
    """Bytes in KB or MB."""
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{max(number / 1e3, 0.1):.1f} KB"
