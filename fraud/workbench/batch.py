"""Many cases to one person at once."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST

from fraud.workbench import trail
from fraud.workbench.cases import Given, Refused, act
from fraud.workbench.guard import needs
from fraud.workbench.listing import kept
from fraud.workbench.models import Account, Case

MOST = 200
_STEPS = {"unassigned": "assign", "first_review": "reassign"}


def assign(chosen: dict[int, int], assignee: str, account: Account) -> tuple[list[int], dict[int, str]]:
    """Give cases to somebody, each by itself: what cannot be given is told, the others are given.

    Parameters
    ----------
    chosen : dict of int to int
        Case → version that the person saw.
    assignee : str
        Account's name.
    account : Account
        Who assigns.

    Returns
    -------
    tuple of list of int and dict of int to str
        Cases given, and why others were not.
    """
    states = dict(Case.objects.filter(pk__in=chosen).values_list("pk", "state"))
    done, refused = [], {}
    for case_id, version in chosen.items():
        step = _STEPS.get(states.get(case_id, ""), "assign")
        try:
            act(case_id, step, account, version, Given(assignee=assignee))
            done.append(case_id)
        except Refused as error:
            refused[case_id] = " ".join(error.problems)
    return done, refused


@require_POST
@needs("case.assign")
def assign_many(request: HttpRequest) -> HttpResponse:
    """Give the chosen cases of the list to somebody."""
    chosen = _chosen(request.POST.getlist("case"))
    done, refused = assign(chosen, request.POST.get("assignee", ""), request.user)
    for case_id in refused:
        trail.record(request.user.get_username(), "step_refused", f"case:{case_id}", action="assign")
    if done:
        messages.success(
            request, ngettext("已分派 %(n)s 件。", "已分派 %(n)s 件。", len(done)) % {"n": len(done)}
        )
    for case_id, why in list(refused.items())[:20]:
        messages.error(request, gettext("案件 %(case)s：%(why)s") % {"case": case_id, "why": why})
    if not chosen:
        messages.error(request, gettext("请先选择案件。"))
    query = kept(QueryDict(request.POST.get("query", "")[:4000])).urlencode()
    return redirect(f"{reverse('list')}?{query}")


def _chosen(values: list[str]) -> dict[int, int]:
    """``case:version`` pairs; what is none is left out."""
    found = {}
    for value in values[:MOST]:
        case_id, _, version = value.partition(":")
        if case_id.isdecimal() and version.isdecimal() and len(case_id) < 19 and len(version) < 19:
            found[int(case_id)] = int(version)
    return found
