"""The page that shows the names behind a case's ids, to roles that may, each showing in the trail."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from fraud.errors import DataError
from fraud.workbench import trail
from fraud.workbench.guard import needs
from fraud.workbench.models import Account, Case, Ring
from fraud.workbench.sealed import opened
from fraud.workbench.sight import sight

_MOST = 100


@require_POST
@needs("names.view")
def names(request: HttpRequest, case_id: int) -> HttpResponse:
    """Names and certificate numbers of a case's subject, its patients, doctors and ring members."""
    case = get_object_or_404(Case, pk=case_id)
    problem, found = "", []
    try:
        found = opened(_subjects(case, request.user))
    except DataError as error:
        problem = error.problems[0]
    trail.record(request.user.get_username(), "names_shown", f"case:{case.pk}", names=len(found))
    context = {"case": case, "names": found, "problem": problem}
    return render(request, "workbench/names.html", context, status=409 if problem else 200)


def _subjects(case: Case, account: Account) -> list[tuple[str, str]]:
    """Whom the account is shown that a case is about, the subject first."""
    found = [(case.subject_kind, case.subject_id)]
    newest = case.suspicions.order_by("-month", "-run_id").first()
    if newest is None:
        return found
    seen = sight(account, case, newest.evidence.order_by("place"))
    for claim in seen.shown[:_MOST]:
        found += [(kind, str(claim.facts.get(f"{kind}_id") or "")) for kind in ("patient", "doctor")]
    ring = Ring.objects.filter(run=newest.run_id, ring_id=case.ring_id).first() if case.ring_id else None
    if ring is not None:
        members = [(m["member_kind"], m["member_id"]) for m in ring.members]
        found += [m for m in members if not seen.limited or m in seen.parties][:_MOST]
    return [s for s in dict.fromkeys(found) if s[1]][: 3 * _MOST]
