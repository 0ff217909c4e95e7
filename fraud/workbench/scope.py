"""Which cases an account may see: all, or those of its regions, institutions or departments.

Every page, action and export starts from `visible`; the guard asks `sees` for each address that names
a case. An account without a row of `Scope` sees all that its roles permit. A case that rests on nothing
known of a unit (published without ``--dataset``) is hidden from every limited account.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from fraud.errors import UsageError
from fraud.workbench import trail
from fraud.workbench.models import ID, Account, Case, Scope, Unit

KINDS: dict[str, tuple[str, str]] = {
    "region": ("地区", "region"),
    "institution": ("机构", "institution"),
    "department": ("科室", "department"),
}
UNPLACED = "unplaced"
"""Kind of the row that says that one of a case's claims is of no known institution."""


def limits(account: Account) -> dict[str, list[str]]:
    """Units an account is limited to, by kind; empty where it sees all."""
    if not hasattr(account, "_limits"):
        found: dict[str, list[str]] = {}
        for kind, code in account.scopes.order_by("kind", "code").values_list("kind", "code"):
            found.setdefault(kind, []).append(code)
        account._limits = found
    return account._limits


def visible(account: Account) -> "QuerySet[Case]":
    """Cases that an account may see: those that rest on a claim of one of its units."""
    own = limits(account)
    if not own:
        return Case.objects.all()
    any_of = Q()
    for kind, codes in own.items():
        any_of |= Q(kind=kind, code__in=codes)
    return Case.objects.filter(Exists(Unit.objects.filter(any_of, case=OuterRef("pk"))))


def sees(account: Account, case_id: int) -> bool:
    """Whether an account may see a case; also true of a case that does not exist, for all cases alike."""
    return not limits(account) or visible(account).filter(pk=case_id).exists()


def units(told: str) -> list[tuple[str, str]]:
    """Units told as ``region=R1 institution=H1,H2``; none at all for an empty text or ``none``.

    Raises
    ------
    UsageError
        A part is none of these.
    """
    parts = [] if told.strip() == "none" else told.replace("，", ",").split()
    found = [
        (kind, code)
        for part in parts
        for kind, _, codes in [part.partition("=")]
        for code in codes.split(",")
    ]
    _require(found)
    return found


def _require(found: Iterable[tuple[str, str]]) -> None:
    wrong = [f"{kind}={code}" for kind, code in found if kind not in KINDS or not code or len(code) > ID]
    if wrong:
        raise UsageError(
            f"Limits are region=…, institution=… or department=…, each with a code; not: {', '.join(wrong)}."
        )


def limit(account: Account, units: Iterable[tuple[str, str]], by: str) -> None:
    """Limit an account to units, in place of any before; to none at all: it sees everything again.

    Raises
    ------
    UsageError
        A kind is none of `KINDS`, or a code is empty.
    """
    rows = sorted({(kind, code.strip()) for kind, code in units})
    _require(rows)
    with transaction.atomic():
        account.scopes.all().delete()
        Scope.objects.bulk_create([Scope(account=account, kind=k, code=c) for k, c in rows])
        told = [f"{k}={c}" for k, c in rows]
        trail.record(by, "account_limited", f"account:{account.get_username()}", to=told)
    if hasattr(account, "_limits"):
        del account._limits


def units_of(
    kind: str, subject_id: str, facts: Iterable[Mapping[str, Any]], regions: Mapping[str, str]
) -> set[tuple[str, str]]:
    """Units that a case rests on.

    Parameters
    ----------
    kind, subject_id : str
        Its subject.
    facts : iterable of mapping
        Facts of its evidence claims: ``institution_id``, ``department_id``, ``patient_id``.
    regions : mapping
        ``institution:ID`` or ``patient:ID`` → region.

    Returns
    -------
    set of (kind, code)
        Institutions and departments of the claims, the institutions' regions, and the insured
        person's region where the case is about the person; `UNPLACED` where a claim is of no known
        institution.
    """
    found = {(kind, subject_id)} if kind in ("institution", "department") else set()
    if kind == "patient":
        found.add(("region", regions.get(f"patient:{subject_id}", "")))
    for fact in facts:
        if not fact.get("institution_id"):
            found.add((UNPLACED, UNPLACED))
        found |= {(k, str(fact.get(f"{k}_id") or "")) for k in ("institution", "department")}
    found |= {("region", regions.get(f"institution:{code}", "")) for k, code in found if k == "institution"}
    return {(k, code) for k, code in found if code}
