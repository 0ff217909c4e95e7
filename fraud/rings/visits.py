"""Claims as ring detection sees them: who, where, when, and how dear for their kind.

Everything is an Ibis expression run by the engine; people, wards and items become dense numbers in
the order of their ids, so that millions of pairs fit in memory and answers do not depend on hashes.
"""

import ibis
import ibis.expr.types as ir

from fraud.features import facts
from fraud.features.measures import DAY, fixed_mean, integer, left, log, ratio
from fraud.features.scope import Scope, claim_ranges, within
from fraud.rings import parts
from fraud.rings.contents import contents

SMALL = 30
"""Peer groups with fewer claims fall back to all claims of the visit type."""

NUMBERS = {
    "person": ("patient_id",),
    "place": ("institution_id",),
    "ward": ("institution_id", "department_id"),
    "doctor": ("doctor_id",),
    "operator": ("institution_id", "operator_id"),
}
"""Numbered ids: the table ``fx_ring_<name>s`` holds the ids of each number."""


class Period(Scope):
    """A scope that looks at its own months and no earlier ones."""

    @property
    def first(self) -> int:
        """Earliest month looked at."""
        return min(self.months)


def build(scope: Scope) -> ir.Table:
    """Keep ``fx_ring_visits``: one row per claim that was paid and not taken back.

    Returns
    -------
    Table
        claim_id; person, place, ward, doctor, operator (numbers; -1 where unknown); second (of the
        visit; NULL where only the day is known), day, day_out, is_stay, visit_type, kind, diagnosis;
        cents, fund; dear (log amount against peers, in standard deviations); what
        `fraud.rings.contents.contents` says was charged.
    """
    claims = facts.build(scope)
    claims = claims.filter((claims.is_visit == 1) & (claims.net_total > 0))
    for name, columns in NUMBERS.items():
        claims = _numbered(scope, claims, name, columns)
    claims = claims.select(
        "claim_id", "person", "place", "ward", "doctor", "operator", "visit_type", "is_stay", "diagnosis",
        "settled_second", "invoice_no",
        kind=claims.kind.fill_null("other"),
        out_of_region=claims.out_of_region.fill_null(False).cast("int64"),
        day=claims.day_in,
        day_out=claims.day_out,
        second=_second(claims),
        cents=claims.net_total,
        fund=claims.net_fund,
        log_amount=log(claims.net_total),
    )  # fmt: skip
    claims = scope.keep("ring_claims", claims)
    rows = left(claims.mutate(group=claims.diagnosis.fill_null("")), _peers(scope, claims), PEERS)
    dear = ratio(rows.log_amount - rows.usual, rows.spread).clip(-6.0, 6.0).fill_null(0.0)
    rows = rows.mutate(dear=dear)
    rows = rows.select(*(c for c in rows.columns if c not in ("usual", "spread", "group", "log_amount")))
    cuts = claim_ranges(scope.engine, claims, parts.AT_ONCE)
    charged = contents(scope, claims, cuts)

    def some(part: int) -> ir.Table:
        both = left(within(rows, *cuts[part]), within(charged, *cuts[part]), "claim_id")
        # sorted, a range of places is later read without reading everything
        return both if len(cuts) == 1 else both.order_by("place")

    return scope.in_parts("ring_visits", range(len(cuts)), some)


def _numbered(scope: Scope, claims: ir.Table, name: str, columns: tuple[str, ...]) -> ir.Table:
    """Give each distinct id a number, in the order of the ids; unknown doctors and operators are -1."""
    known = claims.select(*columns).distinct()
    if name in ("doctor", "operator"):
        known = known.filter(known[columns[-1]].notnull())
    known = known.mutate(**{f"key_{c}": known[c].fill_null("") for c in columns})
    keys = [f"key_{c}" for c in columns]
    numbers = known.mutate(**{name: integer(ibis.row_number().over(order_by=keys))})
    numbers = scope.keep(f"ring_{name}s", numbers)
    padded = claims.mutate(**{f"key_{c}": claims[c].fill_null("") for c in columns})
    joined = left(padded, numbers.select(*keys, name), keys)
    return joined.select(*claims.columns, **{name: joined[name].fill_null(-1)})


def _second(claims: ir.Table) -> ir.Value:
    """Second of the visit; of its settlement where the visit has only a day; NULL where neither."""
    settled = (claims.settled_second % DAY != 0) & (claims.settled_second // DAY == claims.day_in)
    return ibis.cases(
        (claims.started_second % DAY != 0, claims.started_second),
        (settled, claims.settled_second),
        else_=ibis.null("int64"),
    )


PEERS = ["visit_type", "kind", "group"]


def _peers(scope: Scope, claims: ir.Table) -> ir.Table:
    """Mean and deviation of log amounts by visit type, kind of institution and diagnosis."""
    rows = claims.select("visit_type", "kind", "log_amount", group=claims.diagnosis.fill_null(""))
    fine = rows.group_by(PEERS).agg(
        n=rows.count(), mean=fixed_mean(rows.log_amount), square=fixed_mean(rows.log_amount**2)
    )
    wide = rows.group_by("visit_type").agg(
        wide_mean=fixed_mean(rows.log_amount), wide_square=fixed_mean(rows.log_amount**2)
    )
    both = left(fine, wide, "visit_type")
    enough = both.n >= SMALL
    mean = ibis.ifelse(enough, both["mean"], both.wide_mean)
    square = ibis.ifelse(enough, both.square, both.wide_square)
    variance = ibis.greatest(square - mean * mean, ibis.literal(0.04))
    return scope.keep("ring_peers", both.select(*PEERS, usual=mean, spread=variance.sqrt()))
