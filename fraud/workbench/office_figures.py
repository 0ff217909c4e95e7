"""The page of figures, and the share of the random slice."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_GET, require_POST

from fraud.errors import UsageError
from fraud.workbench import random_slice, trail
from fraud.workbench.figures import MONTHS, Bar, figures
from fraud.workbench.guard import needs
from fraud.workbench.speech import spoken

_USUAL = 3
PANELS: tuple[tuple[str, str, str, str], ...] = (
    ("ages", "未结案件已开天数", "open cases by days since opened", ""),
    ("weeks", "每周结论", "decisions per week; dark: confirmed", ""),
    ("took", "从开案到结论的天数", "days from opened to decided", ""),
    ("detector", "命中率：检测方法", "confirmed of decided, by detector",
     gettext_noop("随机抽查一行是不看得分时的命中率，供比较。")),
    ("rule", "命中率：规则", "confirmed of decided, by rule", ""),
    ("reason", "命中率：主要理由", "confirmed of decided, by strongest reasons", ""),
    ("department", "误报率：科室", "cleared of decided, by department", ""),
    ("auditor", "误报率：承办人", "cleared of decided, by who holds the case",
     gettext_noop("案件难度不同，不作个人考核。")),
)  # fmt: skip


@require_GET
@needs("figures.view")
def figures_page(request: HttpRequest) -> HttpResponse:
    """Figures; each one opens the list of the cases it counted."""
    told = request.GET.get("months", "")
    months = int(told) if told.isascii() and told.isdigit() and int(told) in MONTHS else _USUAL
    trail.record(request.user.get_username(), "viewed", "figures", months=months)
    found = figures(request.user, months)
    panels = [
        {"code": code, "words": spoken((zh, en)), "note": note and gettext(note),
         "rows": _widths(found[code], 1.0 if "率" in zh else 0.0)}
        for code, zh, en, note in PANELS
    ]  # fmt: skip
    context = {
        "totals": found["totals"], "panels": panels, "months": months, "choices": MONTHS,
        "since": found["since"], "percent": f"{100 * random_slice.share():g}",
    }  # fmt: skip
    return render(request, "workbench/figures.html", context)


def _widths(bars: list[Bar], whole: float) -> list[tuple[Bar, float, float]]:
    """Bars with their widths and those of their darker parts, in percent of a whole or of the widest."""
    most = whole or max((b.value for b in bars), default=0) or 1
    return [
        (b, round(100 * b.value / most, 1), round(100 * b.value / most * (b.share or 0), 1)) for b in bars
    ]


@require_POST
@needs("slice.set")
def set_share(request: HttpRequest) -> HttpResponse:
    """Set the share of the random slice, in percent."""
    try:
        percent = float(request.POST.get("percent", ""))
        share = random_slice.choose_share(str(percent / 100), request.user.get_username())
    except (ValueError, UsageError):
        messages.error(request, gettext("份额须是 0 到 100 的数。"))
    else:
        messages.success(
            request, gettext("下次发布起，每 100 件清单案件另抽 %(n)s 件。") % {"n": f"{share * 100:g}"}
        )
    return redirect("figures")
