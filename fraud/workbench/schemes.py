"""Groups of odd claims that no label explains: kept with the run that found them, and what became of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from fraud.workbench.audits import OUTCOMES, newest_words
from fraud.workbench.details import cents
from fraud.workbench.learnt import NewScheme, OddClaim
from fraud.workbench.models import Account, Case, Evidence
from fraud.workbench.run_contents import Content, RunContents
from fraud.workbench.scope import limits, visible
from fraud.workbench.sight import parties_of, shows
from fraud.workbench.speech import spoken

_BATCH = 500


def keep_schemes(contents: RunContents) -> int:
    """Keep a run's groups and their claims; how many groups. Within the publication's transaction."""
    for place, group in enumerate(contents.groups, 1):
        scheme = NewScheme.objects.create(
            run=contents.run, place=place, group_id=group["group_id"], claims=group["claims"],
            patients=group["patients"], cents=cents(group["amount"]) or 0, alike=group["alike"],
            features=group["features"], places=group["places"],
        )  # fmt: skip
        content = contents.of_claims(group["claim_ids"])
        rows = (_odd(scheme, n, claim, content) for n, claim in enumerate(group["claim_ids"], 1))
        OddClaim.objects.bulk_create(rows, batch_size=_BATCH)
    return len(contents.groups)


def _odd(scheme: NewScheme, place: int, claim_id: str, content: Content) -> OddClaim:
    claim = content.claims.get(claim_id, {})
    return OddClaim(
        scheme=scheme, place=place, claim_id=claim_id, cents=cents(claim.get("amount_at_risk")) or 0,
        score=claim.get("score"), facts=content.placed(claim_id), kept=_kept(claim_id, content),
    )  # fmt: skip


def _kept(claim_id: str, content: Content) -> dict[str, Any]:
    """What `Content` has of a claim, as JSON: a page never opens a run folder or a dataset."""
    hits, lines = content.hits.get(claim_id, []), content.details.lines.get(claim_id, [])
    facts, known = content.facts.get(claim_id, {}), content.details
    units = (f"institution:{facts.get('institution_id')}", f"patient:{facts.get('patient_id')}")
    told = {
        "claim": content.claims.get(claim_id, {}),
        "facts": facts,
        "hits": hits,
        "names": {h["rule"]: content.names[h["rule"]] for h in hits if h["rule"] in content.names},
        "regions": {unit: content.regions[unit] for unit in units if unit in content.regions},
        "lines": lines,
        "typical": {r["code"]: known.typical[r["code"]] for r in lines if r["code"] in known.typical},
        "past": known.claims.get(str(facts.get("patient_id") or ""), []),
    }
    return json.loads(json.dumps(told, default=_plain))


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)


@dataclass(frozen=True)
class Fate:
    """What became of a claim: the case that holds it, and the outcome, empty while there is none."""

    case: int
    state: str
    outcome: str


@dataclass
class Told:
    """A group as an account is shown it.

    Attributes
    ----------
    scheme : NewScheme
    shown : list of OddClaim
        Its claims that the account is shown, the dearest first; without what is kept of them.
    fates : mapping of str to Fate
        By claim, of those that are in a case.
    """

    scheme: NewScheme
    shown: list[OddClaim]
    fates: Mapping[str, Fate] = field(default_factory=dict)

    @property
    def cents(self) -> int:
        """What the claims that are shown have at risk."""
        return sum(c.cents for c in self.shown)

    @property
    def elsewhere(self) -> tuple[int, int]:
        """How many of its claims are of other units, and what they have at risk in cents."""
        return self.scheme.claims - len(self.shown), self.scheme.cents - self.cents

    @property
    def free(self) -> list[OddClaim]:
        """Claims that are in no case."""
        return [c for c in self.shown if c.claim_id not in self.fates]

    @property
    def counts(self) -> dict[str, int]:
        """Claims in a case, and those confirmed and cleared."""
        own = [self.fates[c.claim_id].outcome for c in self.shown if c.claim_id in self.fates]
        return {"held": len(own)} | {o: own.count(o) for o in ("confirmed", "cleared")}

    @property
    def confirmed_cents(self) -> int:
        """At risk in confirmed claims."""
        own = (c.cents for c in self.shown if (f := self.fates.get(c.claim_id)) and f.outcome == "confirmed")
        return sum(own)

    @property
    def features(self) -> list[dict[str, Any]]:
        """What sets it apart: words, and the share of the month's claims below it, in percent."""
        return [
            {"said": spoken((f["said_zh"], f["said_en"])), "below": 100 * f["below"]}
            for f in self.scheme.features
        ]

    @property
    def places(self) -> list[str]:
        """Where most of it is, of places that are parties of a claim that is shown."""
        known = {p for c in self.shown for p in _parties(c)} if self.elsewhere[0] else None
        return [
            spoken((p["said_zh"], p["said_en"]))
            for p in self.scheme.places
            if known is None or (p["kind"], p["id"]) in known
        ]


def _parties(claim: OddClaim) -> list[tuple[str, str]]:
    return parties_of(Evidence(claim_id=claim.claim_id, facts=claim.facts))


def told(schemes: "QuerySet[NewScheme]", account: Account) -> list[Told]:
    """Groups as an account is shown them, in order; those with no claim of its units are left out."""
    own = list(schemes.order_by("-run__month", "run_id", "place"))
    claims: dict[int, list[OddClaim]] = {}
    limited = bool(limits(account))
    for claim in OddClaim.objects.filter(scheme__in=own).defer("kept").order_by("scheme", "place"):
        if not limited or shows(account, Case(subject_kind="claim", subject_id=claim.claim_id), claim.facts):
            claims.setdefault(claim.scheme_id, []).append(claim)
    found = fates({c.claim_id for some in claims.values() for c in some}, account)
    return [Told(s, claims[s.pk], found) for s in own if s.pk in claims]


def fates(claim_ids: Iterable[str], account: Account | None = None) -> dict[str, Fate]:
    """What became of claims that are in a case: the same case counts as in the exported decisions.

    A claim's own case counts first, then what somebody said of the claim, then the latest decision; where
    nothing is decided, the newest case.

    Parameters
    ----------
    claim_ids : iterable of str
    account : Account, optional
        Cases that it may not see are left out.
    """
    ids = sorted(claim_ids)
    found: dict[str, tuple[tuple[Any, ...], Fate]] = {}
    for start in range(0, len(ids), _BATCH):
        known = Evidence.objects.filter(claim_id__in=ids[start : start + _BATCH])
        names = ("subject_kind", "subject_id", "state", "outcome", "decided_at")
        rows = list(
            known.values_list("claim_id", "suspicion__case", *(f"suspicion__case__{n}" for n in names))
        )
        cases = {row[1] for row in rows}
        if account is not None and limits(account):  # of these few only: all it may see are many
            cases = set(visible(account).filter(pk__in=cases).values_list("pk", flat=True))
            rows = [row for row in rows if row[1] in cases]
        said = newest_words(cases)
        for claim, case, kind, subject, state, outcome, at in rows:
            own = (kind, subject) == ("claim", claim)
            word = said.get((case, claim)) if outcome and not own else None
            weight = (bool(outcome), own, word is not None, at.isoformat() if at else "", case)
            fate = Fate(case, state, OUTCOMES[word] if word else outcome)
            if claim not in found or found[claim][0] < weight:
                found[claim] = (weight, fate)
    return {claim: fate for claim, (_, fate) in found.items()}


def holding(claim_ids: Iterable[str]) -> list[tuple[int, str]]:
    """Groups that one of some claims was found in: number and code."""
    own = OddClaim.objects.filter(claim_id__in=sorted(claim_ids)[:_BATCH])
    return list(own.values_list("scheme", "scheme__group_id").distinct().order_by("-scheme")[:4])


def held(claim_ids: Iterable[str]) -> set[str]:
    """Which of some claims any case rests on."""
    ids = sorted(claim_ids)
    found: set[str] = set()
    for start in range(0, len(ids), _BATCH):
        own = Evidence.objects.filter(claim_id__in=ids[start : start + _BATCH])
        found.update(own.values_list("claim_id", flat=True))
    return found
