"""The claim's own amounts and stay, and how far they are from its peers'."""

import ibis
import ibis.expr.types as ir

from fraud.features import peers
from fraud.features.measures import flag, left, log, percentile, ratio, robust_z
from fraud.features.scope import Scope

FLOORS = {"amount": 0.2, "fund_share": 0.02, "stay": 0.2, "per_day": 0.2}
"""Least robust standard deviation: 20 % of an amount or a length of stay, 2 points of a share."""


def build(scope: Scope) -> list[ir.Table]:
    """Parts of the claim table about amounts, each with claim_id and features."""
    claims = scope["claims"]
    values = scope.keep("claim_values", _values(scope.beside(claims)))
    columns = {name: name for name in FLOORS} | {"charge": "charge", "days": "days"}
    spread = scope.keep("claim_expected", peers.spread(scope, values, columns, "amounts"))
    return [scope.keep("claim_amounts", _amounts(scope, values, spread))]


def _values(claims: ir.Table) -> ir.Table:
    visit = claims.is_visit == 1
    return claims.filter(visit).select(
        "claim_id",
        charge=claims.total.cast("float64"),
        days=claims.stay_days.cast("float64"),
        amount=log(claims.total),
        fund_share=ratio(claims.fund, claims.total),
        stay=log(claims.stay_days),
        per_day=log(ratio(claims.total, claims.stay_days)),
    )


def _amounts(scope: Scope, values: ir.Table, spread: ir.Table) -> ir.Table:
    claims = left(scope["claims"], values, "claim_id")
    claims = left(claims, spread, "claim_id")
    groups = scope["peer_groups"]
    rows = left(claims, groups.select("claim_id", "peer_group"), "claim_id")
    rows = scope.asked(rows)
    z = {
        name: robust_z(rows[name], rows[f"{name}_median"], rows[f"{name}_mad"], floor)
        for name, floor in FLOORS.items()
    }
    yuan = ibis.literal(100)
    return rows.select(
        "claim_id",
        claim_amount=ratio(rows.total, yuan),
        claim_fund_amount=ratio(rows.fund, yuan),
        claim_fund_share=rows.fund_share,
        claim_ineligible_share=1.0 - ratio(rows.eligible, rows.total),
        claim_amount_peer_z=z["amount"],
        claim_fund_share_peer_z=z["fund_share"],
        claim_amount_percentile=ibis.ifelse(
            rows.peer_group.isnull(), ibis.null("float64"), percentile(rows.amount, ["month", "peer_group"])
        ),
        claim_amount_to_expected=ratio(rows.charge, rows.charge_median),
        claim_stay_days=rows.stay_days,
        claim_stay_peer_z=z["stay"],
        claim_stay_to_expected=ratio(rows.days, rows.days_median),
        claim_amount_per_day=ratio(rows.total, rows.stay_days * 100),
        claim_amount_per_day_peer_z=z["per_day"],
        claim_one_day_stay=ibis.ifelse(rows.is_stay == 1, flag(rows.stay_days <= 1), ibis.null("int64")),
    )
