"""Pages where forms leave as workbooks and come back filled in."""

import hashlib
import unicodedata
from pathlib import PureWindowsPath
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_GET, require_POST

from fraud.errors import DataError
from fraud.workbench import trail
from fraud.workbench.books import ReplySheet
from fraud.workbench.cases import Refused, act
from fraud.workbench.desk import Portion
from fraud.workbench.excel_in import EMPTY, GOOD, OUTCOMES, Judged, Row, apply, judge, read
from fraud.workbench.excel_out import MOST_CASES, workbook
from fraud.workbench.forms import FORMS, Form
from fraud.workbench.guard import needs
from fraud.workbench.listing import filtered
from fraud.workbench.models import Account
from fraud.workbench.safe_xlsx import MOST_BYTES
from fraud.workbench.scope import limits, visible
from fraud.workbench.sight import star_reasons, whole

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MOST_INSTITUTIONS = 200
_SHEETS_SHOWN = 20


@require_GET
@needs("forms.export")
def forms_page(request: HttpRequest) -> HttpResponse:
    """Forms with the number of cases that the list's filters leave for each, and sheets that came back."""
    who = request.user.get_username()
    trail.record(who, "viewed", "forms", filters=sorted(k for k, v in request.GET.items() if v))
    return _page(request)


def _page(request: HttpRequest, problems: tuple[str, ...] = (), status: int = 200) -> HttpResponse:
    asked = request.GET.copy()
    asked.pop("page", None)
    cases = filtered(asked, request.user)
    context = {
        "forms": [
            {"form": f, "count": cases.filter(f.chosen).count(), "ready": _ready(f, cases)}
            for f in FORMS.values()
        ],
        "institutions": _institutions(cases, request.user),
        "institution": asked.get("institution", ""),
        "query": asked.urlencode(),
        "most": MOST_CASES,
        "most_mb": MOST_BYTES // 1_000_000,
        "sheets": ReplySheet.objects.filter(account=request.user).order_by("-id")[:_SHEETS_SHOWN],
        "problems": problems,
    }
    return render(request, "workbench/forms.html", context, status=status)


def _ready(form: Form, cases: Any) -> int:
    """Confirmed cases that a notice could be sent for first."""
    return cases.filter(state="confirmed").count() if form.code == "notice" else 0


def _institutions(cases: Any, account: Account) -> list[tuple[str, int]]:
    """Institutions that confirmed or sent cases rest on, the most cases first."""
    chosen = cases.filter(state__in=("confirmed", "sent")).order_by().values("pk")
    rows = Portion.objects.filter(kind="institution", case__in=chosen).values_list("code")
    if own := limits(account):
        known = whole(cases.filter(state__in=("confirmed", "sent")).order_by(), account).values("pk")
        rows = rows.filter(Q(code__in=own.get("institution", ())) | Q(case__in=known))
    counted = rows.annotate(n=Count("case")).order_by("-n", "code")
    return list(counted[:_MOST_INSTITUTIONS])


@require_POST
@needs("forms.export")
def form_out(request: HttpRequest, form: str) -> HttpResponse:
    """A form's workbook of the cases that the list's filters leave; notices may be sent at once."""
    if form not in FORMS:
        raise Http404
    own, asked = FORMS[form], QueryDict(request.POST.get("query", "")[:4000], mutable=True)
    if institution := request.POST.get("institution", "").strip()[:128]:
        asked["institution"] = institution
    cases = filtered(asked, request.user)
    sent = _send(cases, request.user) if form == "notice" and request.POST.get("send") else 0
    chosen = list(cases.filter(own.chosen).order_by("-expected_cents", "id")[:MOST_CASES])
    star_reasons(request.user, chosen)
    institution = asked.get("institution", "") if form == "notice" else ""
    content = workbook(own, chosen, institution, request.user)
    trail.record(request.user.get_username(), "exported", f"form:{form}", rows=len(chosen), sent=sent)
    answer = HttpResponse(content, content_type=_XLSX)
    day = timezone.localtime().strftime("%Y%m%d")
    answer.headers["Content-Disposition"] = f'attachment; filename="{form}-{day}.xlsx"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _send(cases: Any, account: Account) -> int:
    """Send confirmed cases to their institutions, as many as one workbook holds; how many could be."""
    done = 0
    for case in cases.filter(state="confirmed").order_by("-expected_cents", "id")[:MOST_CASES]:
        try:
            act(case.pk, "send", account, case.version)
        except Refused:
            continue
        done += 1
    return done


@require_POST
@needs("forms.import")
def form_in(request: HttpRequest) -> HttpResponse:
    """Take a filled-in workbook; nothing is applied before it was looked at."""
    who, file = request.user.get_username(), request.FILES.get("file")
    try:
        if file is None:
            raise DataError(gettext("请选择文件。"))
        if (file.size or 0) > MOST_BYTES:
            raise DataError(gettext("文件超过 %(most)s MB。") % {"most": MOST_BYTES // 1_000_000})
        content = file.read()
        form, rows = read(content)
    except DataError as error:
        trail.record(who, "sheet_refused", "", bytes=getattr(file, "size", 0))
        return _page(request, error.problems, status=409)
    sheet = ReplySheet.objects.create(
        account=request.user,
        name=shown_name(file.name or ""),
        sha256=hashlib.sha256(content).hexdigest(),
        form=form.code,
        rows=[row.as_json() for row in rows],
    )
    trail.record(who, "sheet_read", f"sheet:{sheet.pk}", form=form.code, rows=len(rows), sha256=sheet.sha256)
    return redirect("sheet", sheet_id=sheet.pk)


def shown_name(name: str) -> str:
    """Last part of a file's name without anything that is not for showing; it names no file here."""
    last = PureWindowsPath(name.replace("/", "\\")).name
    clean = "".join(c for c in unicodedata.normalize("NFC", last) if c.isprintable())
    return clean[-120:] or "workbook.xlsx"


def _own(request: HttpRequest, sheet_id: int) -> ReplySheet:
    return get_object_or_404(ReplySheet, pk=sheet_id, account=request.user)


def _rows(sheet: ReplySheet) -> list[Row]:
    return [Row(**{**r, "problems": [tuple(p) for p in r["problems"]]}) for r in sheet.rows]


@require_GET
@needs("forms.import")
def sheet_page(request: HttpRequest, sheet_id: int) -> HttpResponse:
    """What each row of a sheet would do to its case now."""
    sheet = _own(request, sheet_id)
    trail.record(request.user.get_username(), "viewed", f"sheet:{sheet.pk}")
    judged = judge(_rows(sheet), request.user)
    return _sheet_page(request, sheet, judged, applied=False)


def _counts(judged: list[Judged]) -> dict[str, int]:
    """Rows by outcome."""
    return {code: sum(j.outcome == code for j in judged) for code in OUTCOMES}


def _sheet_page(
    request: HttpRequest, sheet: ReplySheet, judged: list[Judged], applied: bool, status: int = 200
) -> HttpResponse:
    shown = {j.row.case for j in judged if j.outcome != EMPTY} - {None}
    cases = visible(request.user).in_bulk(sorted(shown)[:MOST_CASES])  # type: ignore[type-var]
    counts = _counts(judged)
    context = {
        "sheet": sheet,
        "form": FORMS[sheet.form],
        "applied": applied,
        "rows": [{"judged": j, "case": cases.get(j.row.case or -1)} for j in judged if j.outcome != EMPTY],
        "counts": [(code, *OUTCOMES[code], n) for code, n in counts.items()],
        "good": counts[GOOD],
    }
    return render(request, "workbench/sheet.html", context, status=status)


@require_POST
@needs("forms.import")
def sheet_apply(request: HttpRequest, sheet_id: int) -> HttpResponse:
    """Take the step of each good row; whatever is not good is listed and left."""
    sheet = _own(request, sheet_id)
    judged = list(apply(_rows(sheet), request.user))
    counts = _counts(judged)
    sheet.applied_at, sheet.counts = timezone.now(), counts
    sheet.save(update_fields=["applied_at", "counts"])
    trail.record(request.user.get_username(), "sheet_applied", f"sheet:{sheet.pk}", **counts)
    messages.success(
        request, ngettext("已登记 %(n)s 行。", "已登记 %(n)s 行。", counts[GOOD]) % {"n": counts[GOOD]}
    )
    return _sheet_page(request, sheet, judged, applied=True)
