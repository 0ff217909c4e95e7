"""Cases of claims that no list named: somebody takes them out of a group of odd claims."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from fraud.workbench import trail
from fraud.workbench.cases import Refused
from fraud.workbench.detailing import add_portions
from fraud.workbench.details import Details
from fraud.workbench.learnt import NewScheme, OddClaim
from fraud.workbench.models import Account, Case, TrailHead
from fraud.workbench.publishing import write_cases
from fraud.workbench.random_slice import claim_suspicion_id
from fraud.workbench.run_contents import Content
from fraud.workbench.schemes import held, told

MOST = 200
"""Cases opened at once."""
CODE = "novelty"


def open_cases(scheme_id: int, claim_ids: Iterable[str], account: Account) -> list[int]:
    """Open a case of each of some claims of a group; whole or not at all.

    Parameters
    ----------
    scheme_id : int
    claim_ids : iterable of str
        Claims that are not of the group, that the account is not shown, or that a case rests on already
        are left out.
    account : Account
        Who opens them; it stands in the cases' history and in the trail.

    Returns
    -------
    list of int
        Numbers of the new cases, waiting to be assigned.

    Raises
    ------
    Refused
        The account may not, or none of the claims can be taken.
    """
    if not account.may("schemes.take"):
        raise Refused(gettext("没有立案的权限。"))
    with transaction.atomic():
        # whoever holds the trail's head is alone: of two who take the same claim, the second finds it held
        TrailHead.objects.select_for_update().get_or_create(pk=1)
        scheme = NewScheme.objects.select_related("run").get(pk=scheme_id)
        shown = [
            c.claim_id for own in told(NewScheme.objects.filter(pk=scheme_id), account) for c in own.shown
        ]
        wanted = set(claim_ids) & set(shown)
        chosen = [c for c in shown if c in wanted - held(wanted)][:MOST]
        if not chosen:
            raise Refused(gettext("没有可以立案的结算：没有选中，或者已经在案。"))
        claims = {c.claim_id: c for c in scheme.own.filter(claim_id__in=chosen)}
        rows = [_row(scheme, claims[c], account) for c in chosen]
        write_cases(_content(scheme, claims, rows))
        names = [row["suspicion_id"] for row in rows]
        cases = list(Case.objects.filter(suspicion_id__in=names, open=True).order_by("id"))
        add_portions([c.pk for c in cases])
        trail.record(
            account.get_username(), "scheme_taken", f"scheme:{scheme.pk}", cases=[c.pk for c in cases]
        )
    return [c.pk for c in cases]


def _content(scheme: NewScheme, claims: dict[str, OddClaim], rows: list[dict[str, Any]]) -> Content:
    """What the publication kept of the claims, as a publication reads it."""
    kept = {claim: own.kept for claim, own in claims.items()}
    details = Details()
    names: dict[str, tuple[str, str]] = {}
    regions: dict[str, str] = {}
    for claim, own in kept.items():
        details.lines[claim] = own["lines"]
        details.typical |= {code: (n, usual, high) for code, (n, usual, high) in own["typical"].items()}
        details.claims[str(own["facts"].get("patient_id") or "")] = own["past"]
        names |= {rule: (name, clause) for rule, (name, clause) in own["names"].items()}
        regions |= own["regions"]
    return Content(
        scheme.run, rows, {c: own["claim"] for c, own in kept.items()},
        {c: own["facts"] for c, own in kept.items()}, {c: own["hits"] for c, own in kept.items()}, names,
        regions, details, {},
    )  # fmt: skip


def _row(scheme: NewScheme, claim: OddClaim, account: Account) -> dict[str, Any]:
    """A suspicion at rank 0. Its reason names no place: not every claim of the group is there."""
    own = claim.kept["claim"]
    zh = "，".join(f["said_zh"] for f in scheme.features)
    en = "; ".join(f["said_en"] for f in scheme.features)
    reason = {
        "code": CODE, "contribution": 0.0,
        "sentence_zh": f"新手法 {scheme.group_id}：{scheme.claims}笔结算以同样的方式不同寻常，这是其中一笔。"
        f"这一组：{zh}。模型概率不高，尚无同类结论。",
        "sentence_en": f"New scheme {scheme.group_id}: one of {scheme.claims} claims that are unusual in the "
        f"same way. The group: {en}. The model gives them a low probability.",
    }  # fmt: skip
    score, amount = own.get("score") or 0.0, own.get("amount_at_risk") or 0.0
    return {
        "rank": 0, "scheme": scheme.group_id, "by": account.get_username(),
        "suspicion_id": claim_suspicion_id(claim.claim_id), "month": scheme.run.month,
        "subject_kind": "claim", "subject_id": claim.claim_id, "score": score, "amount_at_risk": amount,
        "expected_recovery": own.get("expected_recovery") or round(score * amount, 2),
        "status_vs_last_month": "new", "reasons": [reason], "evidence_claim_ids": [claim.claim_id],
        "rationale_hash": "",
    }  # fmt: skip
