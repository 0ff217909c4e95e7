"""What a case's page shows around its rationale: innocent explanations checked, parts, related cases."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext

from fraud.report.content import KIND_WORDS
from fraud.workbench.desk import Lines, Portion
from fraud.workbench.listing import PARTS
from fraud.workbench.models import Account, Case, RuleHit
from fraud.workbench.scope import visible
from fraud.workbench.sight import Sight, parties_of, star_reasons
from fraud.workbench.speech import english, spoken

_SHOWN, _CODES, _RELATED = 5, 3, 6


def checked(ring: Mapping[str, Any], hits: Iterable[RuleHit]) -> list[dict[str, Any]]:
    """Innocent explanations that were tried: words, what came of it, and on what.

    Parameters
    ----------
    ring : mapping
        Evidence of the case's ring, empty where it has none.
    hits : iterable of RuleHit
        As `fraud.workbench.presenting.shown_hits` gives them.

    Returns
    -------
    list of dict
        ``words``, ``explains`` and ``on`` (what it was tried on → times); what explains something
        comes first.
    """
    found: dict[tuple[str, bool], dict[str, Any]] = {}

    def add(words: str, explains: bool, where: str) -> None:
        own = found.setdefault((words, explains), {"words": words, "explains": explains, "on": {}})
        own["on"][where] = own["on"].get(where, 0) + 1

    for tried in ring.get("explanations") or ():
        words = spoken((tried.get("zh") or "", tried.get("en") or ""))
        add(words, bool(tried.get("explains")), spoken(KIND_WORDS["ring"]))
    for hit in hits:
        if hit.snoozed:
            add(gettext("已静默"), True, hit.shown_name)
        for words in (english() and hit.exemptions_en) or hit.exemptions:
            add(words, False, hit.shown_name)
    return sorted(found.values(), key=lambda f: (not f["explains"], -sum(f["on"].values()), f["words"]))


def parts(case: Case) -> list[dict[str, Any]]:
    """What the evidence falls on, by kind, the dearest first, with widths of bars in percent."""
    made = []
    for kind, words in PARTS.items():
        if kind == case.subject_kind:
            continue
        rows = list(case.portions.filter(kind=kind).order_by("-cents", "code")[: _SHOWN + 1])
        most = max((r.cents for r in rows), default=0) or 1
        if rows:
            shown = [{"row": r, "width": max(0, round(100 * r.cents / most))} for r in rows[:_SHOWN]]
            made.append({"kind": kind, "words": words, "rows": shown, "more": len(rows) > _SHOWN})
    return made


def parts_of(seen: Sight, but: str) -> list[dict[str, Any]]:
    """The same of the claims that a limited account is shown, but for the kind of the case's subject."""
    sums: dict[str, dict[str, Portion]] = {kind: {} for kind in PARTS if kind != but}

    def add(kind: str, code: str, name: str, cents: int) -> None:
        if kind in sums and code:
            own = sums[kind].setdefault(code, Portion(kind=kind, code=code, name=name, claims=0, cents=0))
            own.claims, own.cents = own.claims + 1, own.cents + cents

    lines = {k.evidence_id: k.rows for k in Lines.objects.filter(evidence__in=seen.shown)}
    for claim in seen.shown:
        for kind, code in parties_of(claim):
            add(kind, code, "", claim.at_risk_cents or 0)
        for line in lines.get(claim.pk, ()):
            add("item", line["code"], line["name"], line["cents"])
    made = []
    for kind, own in sums.items():
        rows = sorted(own.values(), key=lambda p: (-p.cents, p.code))
        most = max((r.cents for r in rows), default=0) or 1
        shown = [{"row": r, "width": max(0, round(100 * r.cents / most))} for r in rows[:_SHOWN]]
        if rows:
            made.append({"kind": kind, "words": PARTS[kind], "rows": shown, "more": len(rows) > _SHOWN})
    return made


def related(case: Case, account: Account, seen: Sight) -> list[dict[str, Any]]:
    """Other cases of the same ring, patient, doctor and institution, the dearest first.

    Returns
    -------
    list of dict
        ``words``, ``codes``, ``query`` of the list, ``cases`` and ``count``; groups without cases are
        left out.
    """
    others = visible(account).exclude(pk=case.pk).order_by("-expected_cents", "id")
    made = []
    if case.ring_id:
        group = _group(("同一团伙", "same ring"), "ring", [case.ring_id], others.filter(ring_id=case.ring_id))
        made.append(group)
    for kind in ("patient", "doctor", "institution"):
        own = case.portions.filter(kind=kind).order_by("-cents", "code")
        codes = (
            [case.subject_id]
            if case.subject_kind == kind
            else list(own.values_list("code", flat=True)[:_CODES])
        )
        if not seen.whole:
            codes = sorted(code for k, code in seen.parties if k == kind)[:_CODES]
        same = others.filter(pk__in=Portion.objects.filter(kind=kind, code__in=codes).values("case"))
        words = (f"同一{PARTS[kind][0]}", f"same {PARTS[kind][1]}")
        made.append(_group(words, kind, codes, same if codes else others.none()))
    for group in made:
        star_reasons(account, group["cases"])
    return [g for g in made if g["count"]]


def _group(words: tuple[str, str], kind: str, codes: list[str], cases: "QuerySet[Case]") -> dict[str, Any]:
    shown = list(cases[: _RELATED + 1])
    count = len(shown) if len(shown) <= _RELATED else cases.count()
    return {"words": words, "kind": kind, "codes": codes, "cases": shown[:_RELATED], "count": count}
