"""Pages of the list, a case, a ring, and what is done there."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from fraud.report.content import KIND_WORDS, STATUS_WORDS, Words
from fraud.runs import read_manifest
from fraud.runs.manifest import file_hash
from fraud.workbench import trail
from fraud.workbench.attachments import TYPES
from fraud.workbench.books import SealedName
from fraud.workbench.cases import Given, Refused, act, allowed, take_next
from fraud.workbench.desk import Timeline
from fraud.workbench.drill import chips
from fraud.workbench.guard import POLICY, needs
from fraud.workbench.listing import DUE, SORTS, filtered, kept, page_of, totals
from fraud.workbench.models import Account, Case, Evidence, Ring, Run, Suspicion
from fraud.workbench.narrowing import NARROWING, SOURCES
from fraud.workbench.notes import marks, may_mark
from fraud.workbench.presenting import (
    SHOWN_CLAIMS,
    evidence_columns,
    evidence_rows,
    name_rules,
    reason_rows,
    shown_hits,
    shown_lines,
)
from fraud.workbench.roles import ROLES
from fraud.workbench.schemes import holding
from fraud.workbench.scope import limits, visible
from fraud.workbench.sight import Sight, sight, star_reasons
from fraud.workbench.speech import moment, spoken
from fraud.workbench.surroundings import checked, parts, parts_of, related
from fraud.workbench.timeline import picture, seen_past
from fraud.workbench.workflow import REASONS, STATES, Transition

_PICTURES = "rings.html"
_PICTURE_POLICY = (
    # the run's page brings its own scripts: it runs in an origin of its own, without cookies or network
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' {host}; "
    "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


@require_GET
@needs("list.view")
def case_list(request: HttpRequest) -> HttpResponse:
    """Cases, the dearest first, filtered and paged in the database."""
    asked = kept(request.GET)
    # not the values: who reads the trail sees no case
    trail.record(request.user.get_username(), "viewed", "list", filters=sorted(asked))
    cases = filtered(asked, request.user)
    found = totals(cases)
    page = page_of(cases, settings.WORKBENCH.page_rows, request.GET.get("page"), found["cases"])
    name_rules(page)
    star_reasons(request.user, page)
    own = visible(request.user)
    context = {
        "page": page,
        "asked": asked,
        "query": asked.urlencode(),
        "most": max((c.expected_cents for c in page), default=0) or 1,
        "choices": _choices(),
        "totals": found,
        "chosen": chips(asked),
        "narrowing": [(name, asked[name]) for name in NARROWING if name != "source" and asked.get(name)],
        "sorts": _sorts(asked),
        "views": request.user.views.order_by("name"),
        "mine": own.filter(assignee=request.user, open=True).count(),
        "free": own.filter(state="unassigned").count(),
        "late": filtered(QueryDict("due=overdue"), request.user).count(),
    }
    return render(request, "workbench/list.html", context)


def _sorts(asked: QueryDict) -> list[tuple[str, str, bool, str]]:
    """Orders: code, words, whether it is the present one, and the query for it."""
    now = asked.get("sort", "")
    now = now if now in SORTS else "expected"
    rest = asked.copy()
    made = []
    for code, (*words, _) in SORTS.items():
        rest["sort"] = code
        made.append((code, spoken(words), code == now, rest.urlencode()))
    return made


def _choices() -> dict[str, Any]:
    """What the filters offer."""
    return {
        "kinds": _offered(KIND_WORDS),
        "statuses": _offered(STATUS_WORDS),
        "states": _offered(STATES),
        "months": sorted(set(Run.objects.values_list("month", flat=True)), reverse=True),
        "people": _auditors(),
        "due": _offered(DUE),
        "sources": _offered(SOURCES),
    }


def _offered(words: Words) -> list[tuple[str, str]]:
    """Codes with their words in the reader's language."""
    return [(code, spoken(own)) for code, own in words.items()]


def _auditors() -> list[str]:
    """Accounts that may hold a case."""
    roles = [name for name, (_, _, permissions) in ROLES.items() if "case.review" in permissions]
    found = Account.objects.filter(is_active=True, groups__name__in=roles)
    return list(found.order_by("username").values_list("username", flat=True).distinct())


@require_GET
@needs("case.view")
def case_page(request: HttpRequest, case_id: int) -> HttpResponse:
    """One case: why, what rests on it, what was done, and what may be done now."""
    case = get_object_or_404(Case.objects.select_related("assignee"), pk=case_id)
    return _case_page(request, case)


def _case_page(
    request: HttpRequest, case: Case, problems: tuple[str, ...] = (), status: int = 200
) -> HttpResponse:
    suspicions = list(case.suspicions.select_related("run").order_by("-month", "-run_id"))
    chosen = next((s for s in suspicions if str(s.pk) == request.GET.get("rationale")), suspicions[0])
    evidence = list(chosen.evidence.order_by("place"))
    seen = sight(request.user, case, evidence)
    shown = seen.shown if request.GET.get("claims") == "all" else seen.shown[:SHOWN_CLAIMS]
    columns = evidence_columns(seen.shown, case.subject_kind)
    hits = shown_hits(chosen.rule_hits.order_by("snoozed", "-amount_cents", "rule", "claim_id"), seen)
    trail.record(request.user.get_username(), "viewed", f"case:{case.pk}", rationale=chosen.pk)
    same = visible(request.user).filter(subject_kind=case.subject_kind, subject_id=case.subject_id)
    before = same.exclude(outcome="")
    ring, past = _ring(chosen, case, request.user, seen), Timeline.objects.filter(suspicion=chosen).first()
    said = marks(case)
    own = {e.claim_id: e.facts for e in seen.shown}
    context = {
        "case": case,
        "suspicion": chosen,
        "suspicions": suspicions,
        "reasons": [{**r, "sentence": seen.starred(r["sentence"])} for r in reason_rows(chosen.reasons)],
        "hits": hits,
        "columns": columns,
        "evidence": evidence_rows(shown, columns, said, hits),
        "claims": len(seen.shown),
        "seen": seen,
        "said": said,
        "may_mark": may_mark(case, request.user),
        "left": sum(e.at_risk_cents or 0 for e in evidence if said.get(e.claim_id) != "innocent"),
        "ring": ring,
        "checked": checked(ring["row"].evidence if ring else {}, hits),
        "parts": parts(case) if seen.whole else parts_of(seen, case.subject_kind),
        "related": related(case, request.user, seen),
        "timeline": picture(case.subject_kind, seen_past(past.rows, case, seen), own) if past else None,
        "schemes": holding(own),
        "comments": case.comments.order_by("id"),
        "files": case.attachments.order_by("id"),
        "file_types": ",".join(TYPES),
        "steps": case.steps.order_by("id"),
        "before": before.exclude(pk=case.pk).order_by("-decided_at"),
        "forms": [_form(t, request) for t in allowed(case, request.user)],
        "people": _auditors(),
        "names_kept": SealedName.objects.exists(),
        "problems": problems,
    }
    answer = render(request, "workbench/case.html", context, status=status)
    answer.headers["Content-Security-Policy"] = f"{POLICY}; frame-src 'self'"  # the ring's picture
    return answer


@require_GET
@needs("case.view")
def claim_page(request: HttpRequest, case_id: int, evidence_id: int) -> HttpResponse:
    """All lines of an evidence claim, the odd ones first."""
    claim = get_object_or_404(
        Evidence.objects.select_related("suspicion__case", "lines"),
        pk=evidence_id,
        suspicion__case_id=case_id,
    )
    case = claim.suspicion.case
    seen = sight(request.user, case, claim.suspicion.evidence.order_by("place"))
    if claim.claim_id not in seen.claims:
        trail.record(request.user.get_username(), "refused", request.path, outside="scope")
        raise Http404
    trail.record(request.user.get_username(), "viewed", f"case:{case_id}", claim=claim.pk)
    columns = evidence_columns([claim], "")
    lines = getattr(claim, "lines", None)
    own = claim.suspicion.rule_hits.filter(claim_id=claim.claim_id).order_by("snoozed", "rule")
    hits = shown_hits(own, seen)
    context = {
        "case": case,
        "claim": claim,
        "facts": list(zip(columns, evidence_rows([claim], columns, {}, hits)[0]["cells"], strict=True)),
        "lines": shown_lines(lines.rows, {h.name: h.shown_name for h in hits}) if lines else [],
        "kept": lines,
        "total": lines.total if lines else 0,
        "hits": hits,
    }
    return render(request, "workbench/claim.html", context)


def _ring(suspicion: Suspicion, case: Case, account: Account, seen: Sight) -> dict[str, Any] | None:
    """Ring of a case with its cases of members, or None."""
    ring = Ring.objects.filter(run=suspicion.run, ring_id=case.ring_id).first() if case.ring_id else None
    if ring is None:
        return None
    told = [m for m in ring.members if not seen.limited or (m["member_kind"], m["member_id"]) in seen.parties]
    ids = [m["member_id"] for m in told]
    cases = visible(account).filter(subject_id__in=ids, month=suspicion.month).exclude(pk=case.pk)
    of_member = {(c.subject_kind, c.subject_id): c for c in cases}
    members = sorted(
        told, key=lambda m: (m["role"] == "member", -(m["membership_score"] or 0), m["member_id"])
    )
    return {
        "row": ring,
        "first": moment(ring.first_seen)[:-6],
        "last": moment(ring.last_seen)[:-6],
        "others": len(ring.members) - len(told),
        "summary": seen.starred(
            spoken([ring.evidence.get(f"summary_{code}") or "" for code in ("zh", "en")])
        ),
        "members": [{**m, "case": of_member.get((m["member_kind"], m["member_id"]))} for m in members],
        "pictured": not limits(account) and (Path(suspicion.run.folder) / _PICTURES).is_file(),
    }


def _form(step: Transition, request: HttpRequest) -> dict[str, Any]:
    """What a step asks for, with what was entered before where it was refused."""
    again = request.POST if request.POST.get("action") == step.code else {}
    return {
        "step": step,
        "reasons": [*REASONS.get(step.reasons, {}).items()],
        "amount": step.amount not in ("keep", "zero"),
        "given": again,
    }


@require_POST
@needs("case.view")
def case_act(request: HttpRequest, case_id: int) -> HttpResponse:
    """Take a step; the step's own permission is checked where it is taken."""
    case = get_object_or_404(Case, pk=case_id)
    posted = request.POST
    try:
        given = Given(
            reason=posted.get("reason", ""),
            text=posted.get("text", ""),
            clause=posted.get("clause", ""),
            amount_cents=_cents(posted.get("amount", "")),
            assignee=posted.get("assignee", ""),
        )
        told = posted.get("version", "")
        version = int(told) if told.isascii() and told.isdigit() and len(told) < 19 else -1
        done = act(case.pk, posted.get("action", ""), request.user, version, given)
    except (Refused, ValueError) as error:
        problems = error.problems if isinstance(error, Refused) else (str(error),)
        case.refresh_from_db()
        action = posted.get("action", "")[:32]
        trail.record(request.user.get_username(), "step_refused", f"case:{case.pk}", action=action)
        return _case_page(request, case, tuple(problems), status=409)
    words = {"state": spoken(done.state_words)}
    messages.success(request, gettext("已完成，现为“%(state)s”。") % words)
    return redirect("case", case_id=case.pk)


def _cents(text: str) -> int | None:
    """Yuan as a person writes them → cents."""
    bare = text.replace(",", "").replace("，", "").strip()
    if not bare:
        return None
    try:
        cents = Decimal(bare) * 100
        whole = int(cents)
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError(gettext("金额须为数字。")) from None
    if cents != whole or abs(whole) > 10**15:
        raise ValueError(gettext("金额最多两位小数。"))
    return whole


@require_POST
@needs("case.take")
def take(request: HttpRequest) -> HttpResponse:
    """Take the dearest free case."""
    case = take_next(request.user)
    if case is None:
        messages.info(request, gettext("没有待分派的案件了。"))
        return redirect("list")
    return redirect("case", case_id=case.pk)


@require_GET
@needs("case.view")
def ring_pictures(request: HttpRequest, run_id: int) -> HttpResponse:
    """A run's page of rings, if it is still what the run's manifest says."""
    run = get_object_or_404(Run, pk=run_id)
    if limits(request.user):
        raise Http404  # the page holds every ring of the run
    path = Path(run.folder) / _PICTURES
    outputs = {o["name"]: o["sha256"] for o in (read_manifest(path.parent) or {}).get("outputs", ())}
    if not path.is_file() or file_hash(path) != outputs.get(_PICTURES):
        raise Http404
    trail.record(request.user.get_username(), "viewed", f"rings:{run.month}", run=run.pk)
    policy = _PICTURE_POLICY.format(host=f"{request.scheme}://{request.get_host()}")
    headers = {"Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"}
    return HttpResponse(path.read_bytes(), headers=headers)
