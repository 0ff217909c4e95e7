"""What people do to cases: one legal step at a time, each written down, none lost or done twice."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from fraud.errors import FraudError
from fraud.workbench import random_slice, tallies, trail
from fraud.workbench.deadlines import due_on
from fraud.workbench.models import Account, Case, Run, Step, Suspicion
from fraud.workbench.roles import ANY_CASE
from fraud.workbench.scope import sees, visible
from fraud.workbench.speech import spoken
from fraud.workbench.workflow import REASONS, TRANSITIONS, Transition, from_state

LONGEST_TEXT = 4000
MOST_CENTS = 10**15
_CHANGED = gettext_noop("案件已被他人更新，请刷新后再试。")


class Refused(FraudError):
    """A step that may not be taken: not legal, not permitted, or not complete."""


class Conflict(Refused):
    """Somebody else changed the case meanwhile."""


@dataclass(frozen=True)
class Given:
    """What a person enters with a step.

    Attributes
    ----------
    reason : str
        Code of the step's list of reasons.
    text, clause : str
        Words; the clause a conclusion rests on.
    amount_cents : int or None
        Established or recovered amount.
    assignee : str
        Account that the case is given to.
    """

    reason: str = ""
    text: str = ""
    clause: str = ""
    amount_cents: int | None = None
    assignee: str = ""


def allowed(case: Case, account: Account) -> tuple[Transition, ...]:
    """Steps that this account may take now."""
    return tuple(t for t in from_state(case.state) if not _why_not(case, account, t))


def _why_not(case: Case, account: Account, step: Transition) -> str:
    """Why a legal step is not for this account; empty where it is."""
    if not account.may(step.permission):
        return gettext("没有“%(step)s”的权限。") % {"step": spoken((step.zh, step.en))}
    if step.permission == "case.review" and not _holds(case, account):
        return gettext("案件由他人承办。")
    if step.other_person and case.steps.filter(action="confirm", actor=account.get_username()).exists():
        return gettext("复审须由他人进行。")
    return ""


def _holds(case: Case, account: Account) -> bool:
    return case.assignee_id == account.pk or any(account.may(p) for p in ANY_CASE)


def act(case_id: int, action: str, account: Account, version: int, given: Given | None = None) -> Case:
    """Take one step.

    Parameters
    ----------
    case_id : int
    action : str
        A code of `TRANSITIONS`.
    account : Account
        Who takes it.
    version : int
        Version of the case that the person saw.
    given : Given, optional

    Returns
    -------
    Case
        As it is after the step.

    Raises
    ------
    Conflict
        The case is no longer what the person saw.
    Refused
        The step is not legal here, not permitted, or something is missing; all of it is named.
    """
    given = given or Given()
    with transaction.atomic():
        case = visible(account).select_related("assignee").filter(pk=case_id).first()
        if case is None:
            raise Refused(gettext("没有这个案件。"))
        step = TRANSITIONS.get(action)
        if case.version != version:
            raise Conflict(gettext(_CHANGED))
        if step is None or case.state not in step.sources:
            words = {"state": spoken(case.state_words)}
            raise Refused(gettext("“%(state)s”状态不能执行此操作。") % words)
        if why := _why_not(case, account, step):
            raise Refused(why)
        holder = _assignee(step, given, account)
        problems = _missing(case, step, given, holder)
        if problems:
            raise Refused(problems)
        changes = _changes(case, step, given, holder)
        _write(case, changes, step, given, account.get_username())
    return case


def _assignee(step: Transition, given: Given, account: Account) -> Account | None:
    if step.code == "take":
        return account
    return Account.objects.filter(username=given.assignee, is_active=True).first() if step.names else None


def _missing(case: Case, step: Transition, given: Given, holder: Account | None) -> list[str]:
    """Everything that is wrong with what was entered."""
    problems = []
    if step.reasons and given.reason not in REASONS[step.reasons]:
        problems.append(gettext("请选择原因。"))
    if (step.text or given.reason == "other") and not given.text.strip():
        problems.append(gettext("请填写说明。"))
    if len(given.text) > LONGEST_TEXT or len(given.clause) > LONGEST_TEXT:
        problems.append(gettext("说明过长，最多 %(most)s 字。") % {"most": LONGEST_TEXT})
    if step.clause and not given.clause.strip():
        problems.append(gettext("请填写依据条款。"))
    if step.names and (holder is None or not holder.may("case.review")):
        problems.append(gettext("请选择承办人。"))
    elif step.names and holder is not None and not sees(holder, case.pk):
        problems.append(gettext("此人看不到该案件。"))
    return [*problems, *_amount_problems(case, step, given.amount_cents)]


def _amount_problems(case: Case, step: Transition, cents: int | None) -> list[str]:
    before = case.amount_cents or 0
    if step.amount in ("set", "lower", "recovered") and cents is None:
        return [gettext("请填写金额。")]
    if cents is None or step.amount in ("keep", "zero"):
        return []
    if not 0 <= cents <= MOST_CENTS or (step.amount in ("set", "lower") and cents == 0):
        return [gettext("金额须大于零。")]
    if step.amount == "lower" and cents >= before:
        return [gettext("核减后的金额须小于原金额。")]
    if step.amount == "recovered" and cents > before:
        return [gettext("追回金额不能大于认定金额。")]
    return []


def _changes(case: Case, step: Transition, given: Given, holder: Account | None) -> dict[str, Any]:
    """New values of the case's human fields."""
    changes: dict[str, Any] = {"state": step.target}
    if step.target != case.state:
        changes["due_on"] = due_on(step.target)
    if step.amount == "recovered":
        changes["recovered_cents"] = given.amount_cents
    elif step.amount == "zero":
        changes["amount_cents"] = 0
    elif step.amount in ("set", "lower", "adjust") and given.amount_cents is not None:
        changes["amount_cents"] = given.amount_cents
    if holder is not None:
        changes["assignee"] = holder
    if step.code in ("take", "assign"):
        changes["taken_at"] = timezone.now()
    if step.code == "release":
        changes["assignee"] = None
    if step.reasons == "scheme":
        changes["scheme"] = given.reason
    if step.clause:
        changes["clause"] = given.clause.strip()
    if step.outcome:
        by_amount = "confirmed" if (case.amount_cents or 0) > 0 else "cleared"
        changes["outcome"] = by_amount if step.outcome == "by_amount" else step.outcome
        changes |= {"open": False, **_decision(case)}
    return changes


def _decision(case: Case) -> dict[str, Any]:
    """When a case is decided, and how long it took."""
    now = timezone.now()
    held = None if case.taken_at is None else int((now - case.taken_at).total_seconds() // 3600)
    return {
        "decided_at": now,
        "decided_on": timezone.localdate(now),
        "spent_hours": max(0, int((now - case.opened_at).total_seconds() // 3600)),
        "held_hours": held,
    }


def _write(case: Case, changes: dict[str, Any], step: Transition, given: Given, actor: str) -> None:
    """Change the case if it is still what was read; write the step and the trail with it."""
    same = Case.objects.filter(pk=case.pk, version=case.version, state=case.state)
    if not same.update(**changes, version=F("version") + 1):
        raise Conflict(gettext(_CHANGED))
    made = Step(
        case=case,
        actor=actor,
        action=step.code,
        from_state=case.state,
        to_state=step.target,
        reason=given.reason if step.reasons else "",
        text=given.text.strip(),
        clause=given.clause.strip() if step.clause else "",
        amount_before=case.amount_cents,
        amount_after=changes.get("recovered_cents", changes.get("amount_cents", case.amount_cents)),
        assignee=changes["assignee"].get_username() if changes.get("assignee") else "",
    )
    made.save()
    trail.record_step(made)
    before = case.recovered_cents or 0
    case.refresh_from_db()
    if step.outcome:
        tallies.count_decision(case)
    elif step.amount == "recovered":
        tallies.count_recovery(case, (case.recovered_cents or 0) - before)


def take_next(account: Account) -> Case | None:
    """Give the next case that nobody holds to an account; None where there is none.

    It is the dearest one, or one of the random slice as often as the head's share says (`_due_at_random`).
    Two who ask at once get two cases: the step is written only where the case is still free.

    Raises
    ------
    Refused
        The account may not take cases.
    """
    if not account.may("case.take"):
        raise Refused(gettext("没有领取的权限。"))
    while True:
        free = _next_free(account)
        if free is None:
            return None
        try:
            return act(free.pk, "take", account, free.version)
        except Refused:
            if Case.objects.filter(pk=free.pk, state="unassigned", version=free.version).exists():
                raise  # not a race: it cannot be taken at all


def _next_free(account: Account) -> Case | None:
    """The dearest free case, or one drawn at random where the slice's turn has come.

    Of the slice, the one with the smallest id of a suspicion, a hash of the claim: what is audited of it
    first depends on no score. A listed case that was drawn too keeps its place on the list.
    """
    free = visible(account).filter(state="unassigned", assignee=None)
    drawn = free.filter(source="random").order_by("suspicion_id", "id")
    told = Suspicion.objects.filter(case=OuterRef("pk"), month=OuterRef("month"), rank__gt=0)
    ranked = free.filter(~Q(source="random") | Q(Exists(told))).order_by("-expected_cents", "id")
    for pool in (drawn, ranked) if _due_at_random() else (ranked, drawn):
        if (case := pool.first()) is not None:
            return case
    return None


def _due_at_random() -> bool:
    """Whether the next case should be of the random slice: of the newest month's taken cases too few are.

    With ``share`` drawn cases per listed one, ``share / (1 + share)`` of what is taken is to be drawn.
    """
    share = random_slice.share()
    if not share:
        return False
    month = Run.objects.aggregate(newest=Max("month"))["newest"]
    taken = Case.objects.filter(month=month, taken_at__isnull=False)
    counts = dict(taken.order_by().values_list("source").annotate(n=Count("pk")))
    wanted = Fraction(str(share)) / (1 + Fraction(str(share)))
    return counts.get("random", 0) < math.floor((sum(counts.values()) + 1) * wanted)
