"""Filters, orders and sums of the list, all of them in the database."""

from datetime import date, timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, F, Max, Q, QuerySet, Sum
from django.http import QueryDict
from django.utils import timezone

from fraud.report.content import KIND_WORDS, STATUS_WORDS
from fraud.workbench.deadlines import SOON_DAYS
from fraud.workbench.desk import Portion, PortionSum
from fraud.workbench.models import Account, Case, Evidence
from fraud.workbench.narrowing import NARROWING, narrowed
from fraud.workbench.scope import limits, visible
from fraud.workbench.sight import shows, whole
from fraud.workbench.workflow import STATES

MINE, NOBODY = "me", "none"
SORTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "expected": ("预期追回", "expected recovery", ("-expected_cents", "id")),
    "risk": ("涉及金额", "at risk", ("-at_risk_cents", "-expected_cents", "id")),
    "probability": ("概率", "probability", ("-score", "-expected_cents", "id")),
    "newest": ("最新", "newest", ("-month", "-expected_cents", "id")),
    "due": ("到期日", "due date", ("due_on", "-expected_cents", "id")),
}
"""Order → its words and columns, each with an index. By due date, cases without one are left out."""
DUE: dict[str, tuple[str, str]] = {
    "overdue": ("已逾期", "overdue"),
    "soon": (f"{SOON_DAYS} 天内到期", f"due within {SOON_DAYS} days"),
}
PARTS: dict[str, tuple[str, str]] = {
    "item": ("项目", "item"),
    "department": ("科室", "department"),
    "doctor": ("医师", "doctor"),
    "institution": ("机构", "institution"),
    "patient": ("参保人", "patient"),
}
"""What a case's evidence falls on, in the order one drills down."""
FILTERS = (
    "q", "subject_kind", "state", "status", "month", "assignee", "due", *PARTS, *NARROWING, "ring", "sort",
)  # fmt: skip
_LONGEST = 128


def kept(asked: QueryDict) -> QueryDict:
    """What of an address the list understands, without empty values and without the page."""
    own = QueryDict(mutable=True)
    for name in FILTERS:
        if value := asked.get(name, "").replace("\0", "").strip()[:_LONGEST]:
            own[name] = value
    return own


def filtered(asked: QueryDict, account: Account) -> "QuerySet[Case]":
    """Cases that the list's filters ask for, in the order asked for; what is not a filter is ignored."""
    asked = kept(asked)
    cases = visible(account)
    for field, known in (("subject_kind", KIND_WORDS), ("status", STATUS_WORDS), ("state", STATES)):
        if asked.get(field) in known:
            cases = cases.filter(**{field: asked[field]})
    if asked.get("month"):
        cases = cases.filter(month=asked["month"])
    if asked.get("ring"):
        cases = cases.filter(ring_id=asked["ring"])
    for kind in PARTS:
        if asked.get(kind):
            if asked[kind] not in limits(account).get(kind, ()):
                cases = whole(cases, account)
            cases = cases.filter(pk__in=Portion.objects.filter(kind=kind, code=asked[kind]).values("case"))
    cases = _of_holder(cases, asked.get("assignee", ""), account)
    cases = _due(cases, asked.get("due", ""))
    cases = narrowed(cases, asked)
    if text := asked.get("q", ""):
        found = Evidence.objects.filter(claim_id=text).select_related("suspicion__case")[:500]
        own = {e.suspicion.case_id for e in found if shows(account, e.suspicion.case, e.facts)}
        cases = cases.filter(Q(subject_id__startswith=text) | Q(pk__in=own))
    return _sorted(cases, asked.get("sort", ""))


def _of_holder(cases: "QuerySet[Case]", holder: str, account: Account) -> "QuerySet[Case]":
    if holder == MINE:
        return cases.filter(assignee=account)
    if holder == NOBODY:
        return cases.filter(assignee=None)
    return cases.filter(assignee__username=holder) if holder else cases


def _due(cases: "QuerySet[Case]", due: str) -> "QuerySet[Case]":
    today = timezone.localdate()
    if due == "overdue":
        return cases.filter(due_on__lt=today)
    if due == "soon":
        return cases.filter(due_on__range=(today, today + timedelta(SOON_DAYS)))
    return cases


def _sorted(cases: "QuerySet[Case]", order: str) -> "QuerySet[Case]":
    if order == "due":
        cases = cases.filter(due_on__isnull=False)
    return cases.order_by(*SORTS.get(order, SORTS["expected"])[2])


def totals(cases: "QuerySet[Case]") -> dict[str, int]:
    """Cases and what is expected of them in cents; an index of each filter holds both."""
    found = cases.order_by().aggregate(cases=Count("pk"), expected=Sum("expected_cents"))
    return {name: value or 0 for name, value in found.items()}


def page_of(cases: "QuerySet[Case]", rows: int, number: str | None, count: int) -> "Page[Case]":
    """A page of cases: first their numbers, which an index gives however far on, then their rows."""
    pages = Paginator(cases.values_list("pk", flat=True), rows)
    pages.count = count
    page = pages.get_page(number)
    ids = list(page.object_list)
    known = Case.objects.select_related("assignee").in_bulk(ids)
    page.object_list = [known[pk] for pk in ids]
    return page


def broken_down(cases: "QuerySet[Case]", kind: str, most: int = 100) -> list[dict[str, Any]]:
    """What of some cases falls on whom, the dearest first: code, name, cases, claims and cents."""
    if not cases.query.where:
        known = PortionSum.objects.filter(kind=kind).order_by("-cents", "code")
        return list(known.values("code", "name", "cases", "claims", "cents")[:most])
    portions = Portion.objects.filter(kind=kind, case__in=cases.order_by().values("pk"))
    sums = portions.values("code").annotate(cases=Count("case"), claims=Sum("claims"), cents=Sum("cents"))
    rows = list(sums.order_by(F("cents").desc(), "code")[:most])
    names = Portion.objects.filter(kind=kind, code__in=[r["code"] for r in rows]).exclude(name="")
    words = dict(names.values_list("code").annotate(Max("name"))) if kind == "item" else {}
    return [{**row, "name": words.get(row["code"], "")} for row in rows]


def late(due: date | None) -> int | None:
    """Days that a case is late; negative while there is time, None where nothing is due."""
    return None if due is None else (timezone.localdate() - due).days
