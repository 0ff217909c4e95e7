"""Comments, files and words on single claims: what is added to a case without a step."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from fraud.errors import DataError
from fraud.workbench import trail
from fraud.workbench.attachments import attach, opened
from fraud.workbench.cases import LONGEST_TEXT, Refused
from fraud.workbench.desk import VERDICTS, Attachment, Comment, Verdict
from fraud.workbench.guard import needs
from fraud.workbench.models import Account, Case, Evidence
from fraud.workbench.roles import ANY_CASE
from fraud.workbench.sight import shows


def comment(case: Case, account: Account, text: str) -> Comment:
    """Write a comment on a case.

    Raises
    ------
    Refused
        Not permitted, empty or too long.
    """
    if not account.may("case.note"):
        raise Refused(gettext("没有评论的权限。"))
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise Refused(gettext("请填写评论，最多 %(most)s 字。") % {"most": LONGEST_TEXT})
    with transaction.atomic():
        made = Comment(case=case, actor=account.get_username(), text=text.strip())
        made.save()
        trail.record_note(made, "commented", f"case:{case.pk}")
    return made


def mark(case: Case, account: Account, claim_id: str, verdict: str) -> Verdict:
    """Say of one evidence claim whether it is fraud; the newest word counts.

    Raises
    ------
    Refused
        Not permitted, the case is decided or somebody else's, or it is no evidence claim of the case.
    """
    problems = []
    if not account.may("case.review"):
        problems.append(gettext("没有初审的权限。"))
    elif case.assignee_id != account.pk and not any(account.may(p) for p in ANY_CASE):
        problems.append(gettext("案件由他人承办。"))
    if not case.open or case.state == "unassigned":
        problems.append(gettext("案件未在办理。"))
    if verdict not in VERDICTS:
        problems.append(gettext("请选择属实或无问题。"))
    claim = Evidence.objects.filter(suspicion__case=case, claim_id=claim_id).order_by("-id").first()
    if claim is None or not shows(account, case, claim.facts):
        problems.append(gettext("不是本案的证据结算。"))
    if problems:
        raise Refused(problems)
    with transaction.atomic():
        made = Verdict(case=case, actor=account.get_username(), claim_id=claim_id, verdict=verdict)
        made.save()
        trail.record_note(made, "claim_marked", f"case:{case.pk}", said=verdict)
    return made


def may_mark(case: Case, account: Account) -> bool:
    """Whether an account may mark the case's claims now."""
    own = case.assignee_id == account.pk or any(account.may(p) for p in ANY_CASE)
    return own and account.may("case.review") and case.open and case.state != "unassigned"


def marks(case: Case) -> dict[str, str]:
    """Newest verdict by claim."""
    return dict(case.verdicts.order_by("id").values_list("claim_id", "verdict"))


@require_POST
@needs("case.note")
def case_comment(request: HttpRequest, case_id: int) -> HttpResponse:
    """Comment on a case."""
    return _done(
        request, case_id, lambda case: comment(case, request.user, request.POST.get("text", "")), "notes"
    )


@require_POST
@needs("case.note")
def case_attach(request: HttpRequest, case_id: int) -> HttpResponse:
    """Attach a file to a case."""

    def kept(case: Case) -> Attachment:
        file = request.FILES.get("file")
        if file is None:
            raise Refused(gettext("请选择文件。"))
        return attach(case, request.user, file.name or "", file.file, file.size or 0)

    return _done(request, case_id, kept, "notes")


@require_POST
@needs("case.review")
def case_mark(request: HttpRequest, case_id: int) -> HttpResponse:
    """Mark an evidence claim of a case."""
    posted = request.POST
    return _done(
        request,
        case_id,
        lambda case: mark(case, request.user, posted.get("claim", "")[:128], posted.get("verdict", "")),
        f"e{place}" if (place := posted.get("place", "")).isdecimal() and len(place) < 7 else "evidence",
    )


def _done(request: HttpRequest, case_id: int, job: Any, place: str) -> HttpResponse:
    """Do something to a case and go back to a place on its page, with what was wrong if it was refused."""
    case = get_object_or_404(Case, pk=case_id)
    try:
        job(case)
    except Refused as error:
        trail.record(request.user.get_username(), "note_refused", f"case:{case.pk}")
        for problem in error.problems:
            messages.error(request, problem)
    answer = redirect("case", case_id=case.pk)
    answer["Location"] += f"#{place}"
    return answer


@require_GET
@needs("case.view")
def attachment(request: HttpRequest, case_id: int, attachment_id: int) -> HttpResponse:
    """Give a file back, as a download and unchanged."""
    kept = get_object_or_404(Attachment, pk=attachment_id, case_id=case_id)
    try:
        content = opened(kept)
    except DataError:
        trail.record(request.user.get_username(), "attachment_broken", f"case:{case_id}", attachment=kept.pk)
        raise Http404 from None
    trail.record(request.user.get_username(), "downloaded", f"case:{case_id}", attachment=kept.pk)
    return FileResponse(
        content, as_attachment=True, filename=kept.name, content_type="application/octet-stream",
        headers={"Content-Security-Policy": "sandbox; default-src 'none'"},
    )  # fmt: skip
