"""What an account that is limited to some units is shown of a case it may see.

A case is visible where one of its claims is of the account's units (`fraud.workbench.scope`). Of such a
case the claims of other units are counted and summed, and nothing else of them is told: not their lines,
rule hits, parties or names, and where a sentence names one of their codes it is starred.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from fraud.workbench.models import Account, Case, Evidence, Unit
from fraud.workbench.scope import KINDS, UNPLACED, limits

PARTIES = ("patient", "doctor", "department", "institution")
STARS = "***"


@dataclass(frozen=True)
class Sight:
    """Evidence claims that are shown, and what is told of the others.

    Attributes
    ----------
    shown : list of Evidence
    elsewhere : int
        How many claims of other units there are.
    cents : int
        What they have at risk.
    codes : frozenset of str
        Their codes and those of their parties, as far as nothing shown has them.
    parties : frozenset of (str, str)
        Kind and code of the parties of the claims that are shown.
    limited : bool
        Whether the account is limited at all.
    places : frozenset of str or None
        Institutions all claims of which the account is shown; None for any.
    """

    shown: list[Evidence]
    elsewhere: int = 0
    cents: int = 0
    codes: frozenset[str] = frozenset()
    parties: frozenset[tuple[str, str]] = frozenset()
    limited: bool = False
    places: frozenset[str] | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.elsewhere

    @property
    def claims(self) -> frozenset[str]:
        """Claims that are shown."""
        return frozenset(e.claim_id for e in self.shown)

    def starred(self, text: str) -> str:
        """A sentence without the codes of other units."""
        if not self.codes:
            return text
        any_of = "|".join(re.escape(c) for c in sorted(self.codes, key=lambda c: (-len(c), c)))
        return re.sub(rf"(?<![A-Za-z0-9_-])(?:{any_of})(?![A-Za-z0-9_])", STARS, text)


def shows(account: Account, case: Case, facts: Mapping[str, Any]) -> bool:
    """Whether an account is shown a claim of a case it may see.

    Its institution, department or the institution's region is one of the account's; where the case is
    about the insured person, that person's region counts too. Claims of a case about an institution or
    department are of it.
    """
    own = limits(account)
    if not own or case.subject_id in own.get(case.subject_kind, ()):
        return True
    told = {kind: [facts.get(f"{kind}_id")] for kind in KINDS if kind != "region"}
    told["region"] = [
        facts.get("region"),
        facts.get("insured_region") if case.subject_kind == "patient" else None,
    ]
    return any(code in own.get(kind, ()) for kind, codes in told.items() for code in codes if code)


def sight(account: Account, case: Case, evidence: Iterable[Evidence]) -> Sight:
    """What an account is shown of a case's evidence."""
    shown: list[Evidence] = []
    hidden: list[Evidence] = []
    for claim in evidence:
        (shown if shows(account, case, claim.facts) else hidden).append(claim)
    parties = frozenset(p for e in shown for p in parties_of(e))
    known = {c for _, c in parties} | {e.claim_id for e in shown} | {case.subject_id}
    codes = {c for e in hidden for _, c in parties_of(e)} | {e.claim_id for e in hidden}
    return Sight(
        shown, len(hidden), sum(e.at_risk_cents or 0 for e in hidden), frozenset(codes - known), parties,
        bool(limits(account)), _places(account, case, shown),
    )  # fmt: skip


def _places(account: Account, case: Case, shown: Iterable[Evidence]) -> frozenset[str] | None:
    """Institutions all claims of which an account is shown, of those that a case's shown claims are of."""
    own = limits(account)
    regions = own.get("region", ())
    insured = {e.facts.get("insured_region") for e in shown} if case.subject_kind == "patient" else set()
    if not own or insured & set(regions):
        return None
    facts = [e.facts for e in shown]
    within = {f.get("institution_id") for f in facts if f.get("region") in regions}
    return frozenset(str(code) for code in within | set(own.get("institution", ())) if code)


def parties_of(claim: Evidence) -> list[tuple[str, str]]:
    """Kind and code of whom a claim is of."""
    found = [(kind, str(claim.facts.get(f"{kind}_id") or "")) for kind in PARTIES]
    return [(kind, code) for kind, code in found if code]


def newest_sights(account: Account, cases: Iterable[Case]) -> dict[int, Sight]:
    """What an account is shown of the newest evidence of some cases; none where it sees everything."""
    own = {c.pk: c for c in cases}
    if not limits(account) or not own:
        return {}
    found: dict[int, list[Evidence]] = {}
    newest: dict[int, int] = {}
    claims = Evidence.objects.filter(suspicion__case__in=own).order_by("-suspicion_id", "place")
    for claim in claims.select_related("suspicion").defer("suspicion__reasons"):
        case, suspicion = claim.suspicion.case_id, claim.suspicion_id
        if newest.setdefault(case, suspicion) == suspicion:
            found.setdefault(case, []).append(claim)
    return {case: sight(account, own[case], claims) for case, claims in found.items()}


def star_reasons(account: Account, cases: Iterable[Case]) -> None:
    """Star what a limited account is not told in the strongest reasons of cases; they are not saved so."""
    chosen = {c.pk: c for c in cases}
    for pk, own in newest_sights(account, chosen.values()).items():
        case = chosen[pk]
        case.top_reason, case.top_reason_en = own.starred(case.top_reason), own.starred(case.top_reason_en)


def whole(cases: "QuerySet[Case]", account: Account) -> "QuerySet[Case]":
    """Of some visible cases those that rest on the account's own units only: what may be broken down."""
    own = limits(account)
    if not own:
        return cases
    units = Unit.objects.filter(case=OuterRef("pk"))
    any_of = Q()
    for kind, codes in own.items():
        any_of |= Q(Exists(units.filter(kind=kind))) & ~Q(
            Exists(units.filter(kind=kind).exclude(code__in=codes))
        )
    return cases.filter(any_of).exclude(Exists(units.filter(kind=UNPLACED)))
