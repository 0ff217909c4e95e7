"""The models of each month beside each other, and how often the lists they made were right."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, Q, QuerySet

from fraud.workbench.details import cents
from fraud.workbench.learnt import Contest
from fraud.workbench.models import Account, Case
from fraud.workbench.run_contents import RunContents, strongest
from fraud.workbench.scope import limits, visible
from fraud.workbench.sight import shows

SIDES: dict[str, tuple[str, str]] = {
    "champion": ("现用模型", "champion"),
    "challenger": ("挑战者", "challenger"),
}
MONTHS = 24
_RATED = ("ranked", "random", "learning", "scheme")


def keep_contest(contents: RunContents, champion: Mapping[str, Any]) -> None:
    """Keep a run's models; with each example the facts of its strongest claim, for limited accounts."""
    told, ids = dict(contents.contest), strongest(contents.contest)
    content = contents.of_claims(ids)
    if told:
        told["facts"] = {claim: content.placed(claim) for claim in ids}
    known = {n: str(champion.get(n) or "") for n in ("name", "version", "until")}
    Contest.objects.create(run=contents.run, champion=known, told=told)


def newest() -> "QuerySet[Contest]":
    """The models of each month's newest run, the newest month first."""
    rows = Contest.objects.select_related("run").order_by("run__month", "run_id")
    last = {month: pk for pk, month in rows.values_list("pk", "run__month")}
    return Contest.objects.filter(pk__in=last.values()).select_related("run").order_by("-run__month")


def compared(contest: Contest, account: Account) -> dict[str, Any]:
    """A month's two lists side by side, as an account is shown them.

    Returns
    -------
    dict
        ``sides`` (words, cases and money of each list and of what only it has) and ``top`` (share of the
        first claims that both have), both empty for a limited account: they are sums over all units.
        ``examples``: what only one of them lists, with the case of it, if there is one; a limited account
        is shown those whose strongest claim is of its units.
    """
    told, limited = contest.told, bool(limits(account))
    examples = [
        {**e, "side": words, "cents": cents(e["amount_at_risk"])}
        for side, words in SIDES.items()
        for e in told.get(side, {}).get("only", {}).get("examples", ())
        if not limited or _shown(account, e, told["facts"])
    ]
    ids = {e["subject_id"] for e in examples}
    own = visible(account).filter(subject_id__in=ids).order_by("pk")
    cases = {(c.subject_kind, c.subject_id): c for c in own.only("subject_kind", "subject_id", "state")}
    for e in examples:
        e["case"] = cases.get((e["subject_kind"], e["subject_id"]))
    sides = [_side(words, told[side]) for side, words in SIDES.items() if side in told]
    return {
        "sides": [] if limited else sides,
        "top": [] if limited else [{**t, "percent": 100 * t["share"]} for t in told.get("top", ())],
        "examples": examples,
    }


def _shown(account: Account, example: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    case = Case(subject_kind=example["subject_kind"], subject_id=example["subject_id"])
    return shows(account, case, facts.get(example["strongest_claim"], {}))


def _side(words: tuple[str, str], told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "words": words, "listed": told["listed"], "cents": cents(told["money"]),
        "expected": cents(told["expected"]), "only": told["only"]["cases"],
        "only_cents": cents(told["only"]["money"]),
    }  # fmt: skip


def rates(account: Account) -> list[tuple[str, list[dict[str, Any] | None]]]:
    """How much of what was decided of each month was confirmed, apart by how the cases came to be.

    Returns
    -------
    list of (month, rates)
        The newest first; a rate per source of `_RATED`, None where nothing is decided.
    """
    decided = visible(account).order_by().filter(decided_on__isnull=False)
    counted = decided.values_list("month", "source").annotate(
        n=Count("pk"), confirmed=Count("pk", filter=Q(outcome="confirmed"))
    )
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for month, source, n, confirmed in counted:
        found.setdefault(month, {})[source] = {
            "source": source, "decided": n, "confirmed": confirmed, "share": confirmed / n
        }  # fmt: skip
    return [
        (month, [found[month].get(source) for source in _RATED])
        for month in sorted(found, reverse=True)[:MONTHS]
    ]
