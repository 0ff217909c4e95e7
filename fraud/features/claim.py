"""The claim table: every part joined, one row per claim of the months asked for."""

import ibis
import ibis.expr.types as ir

from fraud.features import (
    claim_amounts,
    claim_bundles,
    claim_conflicts,
    claim_crowd,
    claim_history,
    claim_items,
    claim_lines,
    claim_stays,
    claim_supply,
    claim_timing,
    companions,
    peers,
)
from fraud.features.measures import join_all, left, ratio
from fraud.features.scope import Scope, within

THEMES = (
    claim_history,
    claim_amounts,
    claim_stays,
    claim_timing,
    claim_crowd,
    claim_conflicts,
    claim_lines,
    claim_items,
    claim_bundles,
    claim_supply,
    companions,
)

TOGETHER = 6
"""Parts joined at once: more hash tables than fit in memory spill, at forty times the cost."""

IDS = ("claim_id", "month", "patient_id", "doctor_id", "department_id", "institution_id", "visit_type")


def build(scope: Scope) -> ir.Table:
    """Keep ``fx_claim``: ids, context and every claim feature, for the claims of `Scope.summed`.

    Also what its charge and its days were expected to be (``charge_expected``, cents, and ``days_expected``).
    Months that the scope's store has are read from it, the others are built and kept there.
    """
    claim_lines.items(scope)
    table = _built(scope) if scope.detailed else None
    if scope.store is None:
        return scope["claim"]
    if table is not None:
        scope.store.keep("claim", table, scope.detailed)
    return scope.view("claim", scope.store.read("claim", scope.summed))


def _built(scope: Scope) -> ir.Table:
    peers.assign(scope)
    claims = scope["claims"]
    groups = scope["peer_groups"].drop("level")
    table = left(scope.asked(claims), groups, "claim_id")
    table = table.select(
        *IDS,
        "settled_at",
        "peer_group",
        "peer_n",
        "is_visit",
        amount_at_risk=ibis.ifelse(table.is_visit == 1, ratio(table.net_fund, ibis.literal(100)), 0.0).clip(
            lower=0.0
        ),
    )
    parts = [part for theme in THEMES for part in theme.build(scope)]
    expected = scope["claim_expected"].select(
        "claim_id", charge_expected="charge_median", days_expected="days_median"
    )

    def joined(cut: tuple[str, str]) -> ir.Table:
        rows, some = within(table, *cut), [within(part, *cut) for part in parts]
        ids = rows.select("claim_id")
        merged = [
            scope.keep(f"claim_parts{i}", join_all(ids, some[i : i + TOGETHER], "claim_id"))
            for i in range(0, len(some), TOGETHER)
        ]
        return join_all(rows, [*merged, within(expected, *cut)], "claim_id")

    return scope.in_parts("claim", scope.claim_ranges(scope.detailed), joined)
