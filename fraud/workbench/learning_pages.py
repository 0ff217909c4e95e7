"""Pages of what the learning loop leaves in a run: groups of odd claims, and the two models."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from fraud.workbench import trail
from fraud.workbench.cases import Refused
from fraud.workbench.contests import compared, newest, rates
from fraud.workbench.guard import needs
from fraud.workbench.learnt import NewScheme, OddClaim
from fraud.workbench.models import Evidence, Run
from fraud.workbench.narrowing import SOURCES
from fraud.workbench.presenting import evidence_cells, evidence_columns
from fraud.workbench.scheme_cases import MOST, open_cases
from fraud.workbench.schemes import Told, told
from fraud.workbench.scope import limits
from fraud.workbench.speech import spoken

EXAMPLES, ROWS = 4, 50
"""Claims of a group on the page of groups, and on a page of its own."""


@require_GET
@needs("list.view")
def scheme_list(request: HttpRequest) -> HttpResponse:
    """Groups of odd claims that a month's run found, and what became of them."""
    runs = _runs()
    month = request.GET.get("month", "")
    month = month if month in runs else max(runs, default="")
    trail.record(request.user.get_username(), "viewed", "schemes", month=month)
    groups = told(NewScheme.objects.filter(run=runs[month]), request.user) if month else []
    context = {
        "month": month,
        "months": sorted(runs, reverse=True),
        "groups": [{"told": g, "examples": _rows(g, g.shown[:EXAMPLES])} for g in groups],
        "limited": bool(limits(request.user)),
    }
    return render(request, "workbench/schemes.html", context)


def _runs() -> dict[str, int]:
    """Newest run of each month that found groups."""
    found = Run.objects.filter(schemes__isnull=False).order_by("month", "id")
    return dict(found.values_list("month", "id").distinct())


def _rows(group: Told, claims: list[OddClaim]) -> list[dict[str, Any]]:
    return [{"claim": c, "fate": group.fates.get(c.claim_id)} for c in claims]


@require_GET
@needs("case.view")
def scheme_page(request: HttpRequest, scheme_id: int) -> HttpResponse:
    """A group: what sets it apart, its claims, the cases of them, and other months that had it."""
    scheme = get_object_or_404(NewScheme.objects.select_related("run"), pk=scheme_id)
    group = next(iter(told(NewScheme.objects.filter(pk=scheme_id), request.user)), None)
    if group is None:
        trail.record(request.user.get_username(), "refused", request.path, outside="scope")
        raise Http404
    page = Paginator(group.shown, ROWS).get_page(request.GET.get("page"))
    number = page.number
    trail.record(request.user.get_username(), "viewed", f"scheme:{scheme.pk}", page=number)
    shown = [Evidence(claim_id=c.claim_id, facts=c.facts) for c in page]
    columns = evidence_columns(shown, "")
    rows = [{**r, "cells": evidence_cells(r["claim"].facts, columns)} for r in _rows(group, list(page))]
    others = NewScheme.objects.filter(group_id=scheme.group_id).exclude(run=scheme.run)
    context = {
        "scheme": scheme,
        "group": group,
        "page": page,
        "columns": columns,
        "rows": rows,
        "others": told(others.select_related("run"), request.user)[:12],
        "most": MOST,
    }
    return render(request, "workbench/scheme.html", context)


@require_POST
@needs("schemes.take")
def scheme_take(request: HttpRequest, scheme_id: int) -> HttpResponse:
    """Open cases of the chosen claims of a group, or of all that are in none."""
    get_object_or_404(NewScheme, pk=scheme_id)
    posted = request.POST
    chosen = posted.getlist("claim")[:MOST]
    if posted.get("all"):
        groups = told(NewScheme.objects.filter(pk=scheme_id), request.user)
        chosen = [c.claim_id for g in groups for c in g.free][:MOST]
    try:
        done = len(open_cases(scheme_id, chosen, request.user))
    except Refused as error:
        for problem in error.problems:
            messages.error(request, problem)
    else:
        words = ngettext("已立案 %(n)s 件，待分派。", "已立案 %(n)s 件，待分派。", done)
        messages.success(request, words % {"n": done})
    return redirect("scheme", scheme_id=scheme_id)


@require_GET
@needs("model.view")
def model_page(request: HttpRequest) -> HttpResponse:
    """The model that makes the list, the challenger beside it, and how often the lists were right."""
    contests = list(newest())
    asked = request.GET.get("month", "")
    chosen = next((c for c in contests if c.run.month == asked), contests[0] if contests else None)
    month = chosen.run.month if chosen else ""
    trail.record(request.user.get_username(), "viewed", "model", month=month)
    context = {
        "chosen": chosen,
        "month": month,
        "months": [c.run.month for c in contests],
        "limited": bool(limits(request.user)),
        "found": compared(chosen, request.user) if chosen else {},
        "sources": [spoken(words) for words in SOURCES.values()],
        "rates": rates(request.user),
    }
    return render(request, "workbench/model.html", context)
