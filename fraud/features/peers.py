"""Peer groups of claims: the same kind of visit, institution, specialty and diagnosis.

A claim is compared with the claims settled in its own month and the two before (`PEERS`). The
group is the narrowest with at least `SMALL` claims: visit type × kind of institution × specialty ×
three-character diagnosis, then without the specialty, then by ICD chapter, then visit type and
kind alone.
"""

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from fraud.features.measures import left, without
from fraud.features.scope import PEERS, SMALL, Scope

LEVELS = (
    ("visit_type", "kind", "specialty", "diagnosis"),
    ("visit_type", "kind", "diagnosis"),
    ("visit_type", "kind", "chapter"),
    ("visit_type", "kind"),
)


def group_text(claims: ir.Table, columns: tuple[str, ...]) -> ir.StringValue:
    """Name of a peer group: its values joined by ``|``, ``-`` where unknown.

    NULL below the widest level when the diagnosis is unknown.
    """
    text = claims[columns[0]].fill_null("-")
    for column in columns[1:]:
        text = text + "|" + claims[column].fill_null("-")
    if columns[-1] in ("diagnosis", "chapter"):
        text = ibis.ifelse(claims[columns[-1]].isnull(), ibis.null("string"), text)
    return text


def assign(scope: Scope) -> ir.Table:
    """Keep ``fx_peer_groups``: claim_id, peer_group and peer_n of the claims of `Scope.detailed`."""
    claims = scope["claims"]
    visits = claims.filter(claims.is_visit == 1)
    visits = visits.select(
        "claim_id", "month", **{f"level{i}": group_text(visits, level) for i, level in enumerate(LEVELS)}
    )
    calendar = scope.window_calendar("peer_calendar", scope.detailed, PEERS)
    window = scope.keep("peer_window", visits.inner_join(calendar, "month"))
    # kept, so that the engine knows how few they are and does not hash the claims instead
    sizes = [
        scope.keep(
            f"peer_sizes{i}", window.group_by(["scored_month", f"level{i}"]).agg(**{f"n{i}": window.count()})
        )
        for i in range(len(LEVELS))
    ]
    scored = window.filter(window.month == window.scored_month)
    for i, size in enumerate(sizes):
        scored = left(scored, size, ["scored_month", f"level{i}"])
    narrow = [(scored[f"level{i}"].notnull() & (scored[f"n{i}"] >= SMALL), i) for i in range(len(LEVELS) - 1)]
    scored = scored.mutate(level=ibis.cases(*narrow, else_=len(LEVELS) - 1).cast("int64"))
    choose = [(scored.level == i, i) for i in range(len(LEVELS))]
    return scope.keep(
        "peer_groups",
        scored.select(
            "claim_id",
            "level",
            peer_group=ibis.cases(*[(c, scored[f"level{i}"]) for c, i in choose]),
            peer_n=ibis.cases(*[(c, scored[f"n{i}"]) for c, i in choose]).cast("int64"),
        ),
    )


def spread(scope: Scope, values: ir.Table, names: Mapping[str, str], stem: str) -> ir.Table:
    """Median and median absolute deviation of `values` in the peer group of each claim.

    Parameters
    ----------
    scope : Scope
        After `assign`.
    values : Table
        ``claim_id`` and float columns, for all claims of the peers' months.
    names : mapping of str to str
        Column of `values` → stem of the results ``<stem>_median`` and ``<stem>_mad``.
    stem : str
        Name under which the result is kept.

    Returns
    -------
    Table
        claim_id and two columns per name, for the claims of `Scope.detailed`.
    """
    window, chosen = scope["peer_window"], scope["peer_groups"]
    members = scope.keep(f"{stem}_members", _members(scope, window, chosen, values))
    key = ["scored_month", "peer_group"]
    parts = scope.month_parts(scope.detailed)

    def middle(months: Sequence[int]) -> ir.Table:
        some = members.filter(members.scored_month.isin(months))
        return some.group_by(key).agg(**{f"{out}_median": some[c].quantile(0.5) for c, out in names.items()})

    medians = scope.in_parts(f"{stem}_medians", parts, middle)

    def deviation(months: Sequence[int]) -> ir.Table:
        own = medians.filter(medians.scored_month.isin(months))
        away = left(members.filter(members.scored_month.isin(months)), own, key)
        mads = away.group_by(key).agg(
            **{
                f"{out}_mad": (away[c] - away[f"{out}_median"]).abs().quantile(0.5)
                for c, out in names.items()
            }
        )
        return left(own, mads, key)

    groups = scope.in_parts(f"{stem}_spread", parts, deviation)
    claims = scope["claims"]
    own = claims.select("claim_id", scored_month="month").inner_join(
        chosen.select("claim_id", "peer_group"), "claim_id"
    )
    return without(left(own, groups, key), *key)


def _members(scope: Scope, window: ir.Table, chosen: ir.Table, values: ir.Table) -> ir.Table:
    """Values of every member of every chosen group: one row per scored month, group and claim."""
    claims = scope["claims"]
    groups = claims.select("claim_id", "month").inner_join(chosen, "claim_id")
    groups = groups.select("level", scored_month="month", group="peer_group").distinct()
    parts = []
    for i in range(len(LEVELS)):
        wanted = groups.filter(groups.level == i)
        part = window.inner_join(
            wanted,
            [window.scored_month == wanted.scored_month, window[f"level{i}"] == wanted.group],
        )
        parts.append(part.select("claim_id", "scored_month", peer_group="group"))
    return left(ibis.union(*parts), values, "claim_id")
