"""From a figure to what it is made of: item, department, doctor, institution, patient, case."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from fraud.workbench import trail
from fraud.workbench.guard import needs
from fraud.workbench.listing import PARTS, broken_down, filtered, kept, totals
from fraud.workbench.narrowing import NARROWING, told
from fraud.workbench.scope import limits
from fraud.workbench.sight import whole
from fraud.workbench.speech import spoken

_NEXT = {"item": "department", "department": "doctor", "institution": "department"}


@require_GET
@needs("list.view")
def drill(request: HttpRequest) -> HttpResponse:
    """What the cases of the list's filters fall on; each row opens the next level, and its cases."""
    by = request.GET.get("by", "")
    by = by if by in PARTS else "item"
    asked = kept(request.GET)
    asked.pop("sort", None)
    trail.record(request.user.get_username(), "viewed", "drill", by=by, filters=sorted(asked))
    cases = filtered(asked, request.user)
    own = whole(cases, request.user)
    rows, found = broken_down(own, by), totals(cases)
    told = totals(own) if limits(request.user) else found
    context = {
        "by": by,
        "tabs": [(kind, words, _with(asked, by=kind)) for kind, words in PARTS.items()],
        "chosen": chips(asked),
        "rows": [{**row, "open": _with(asked, **{by: row["code"]}), "down": _down(asked, by, row["code"])}
                 for row in rows],
        "most": max((r["cents"] for r in rows), default=0) or 1,
        "totals": found,
        "elsewhere": {name: found[name] - told[name] for name in found},
        "query": asked.urlencode(),
    }  # fmt: skip
    return render(request, "workbench/drill.html", context)


def chips(asked: Any) -> list[tuple[str, str, str]]:
    """Parts and figures that are filtered by: words, code and the query without it."""
    words = PARTS | NARROWING
    return [(spoken(words[k]), told(k, asked[k]), _without(asked, k)) for k in words if asked.get(k)]


def _with(asked: Any, **more: str) -> str:
    own = asked.copy()
    for name, value in more.items():
        own[name] = value
    return own.urlencode()


def _without(asked: Any, name: str) -> str:
    own = asked.copy()
    own.pop(name, None)
    return own.urlencode()


def _down(asked: Any, by: str, code: str) -> str:
    """Query of the next level below a row; empty where the cases are next."""
    after = _NEXT.get(by, "")
    while after and asked.get(after):
        after = _NEXT.get(after, "")
    return _with(asked, **{by: code, "by": after}) if after else ""
