"""Groups that need not meet: runners who fetch the same drugs all over town, boxes that end at one fence."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import exact_sum, flag, left
from fraud.features.scope import Scope

LEAST = 0.1
"""Probability of a tie from which on its person may belong to such a group."""


def purchases(scope: Scope, chosen: ir.Table) -> ir.Table:
    """Claims per person and drug, and those with more of it than is usual (``many``).

    All drugs count: of what runners fetch, little is early by itself.
    """
    rows = _drugs(scope).semi_join(chosen, "person")
    found = rows.group_by(["person", "item"])
    return found.agg(claims=rows.count(), many=exact_sum(flag(rows.is_many)))


def holders(scope: Scope) -> ir.Table:
    """People per drug, and people who fetched more of it than is usual."""
    rows = _drugs(scope)
    people = rows.group_by(["item", "person"]).agg(much=flag(rows.is_many).max())
    return people.group_by("item").agg(people=people.count(), many=exact_sum(people.much))


def _drugs(scope: Scope) -> ir.Table:
    """Charges for drugs to be taken at home; whether of more boxes than one, and than the drug's mean."""
    visits = scope["ring_visits"]
    charges = scope["ring_charges"].filter(lambda t: t.supply > 0)
    rows = charges.semi_join(visits.filter(visits.is_stay == 0), "claim_id")
    usual = rows.group_by("item").agg(n=rows.count(), all_milli=exact_sum(rows.milli))
    rows = left(rows, usual, "item")
    return rows.mutate(is_many=(rows.milli >= 2_000) & (rows.milli * rows.n > rows.all_milli))


def fences(scope: Scope) -> ir.Table:
    """Who bought boxes whose trace code came up again on another person's claim, and where (kept)."""
    if "ring_fences" in scope.kept:
        return scope["ring_fences"]
    traced = scope["ring_traced"]
    order = ibis.window(group_by="trace_code", order_by=["settled_second", "claim_id"])
    rows = traced.mutate(next_person=traced.person.lead().over(order), fence=traced.place.lead().over(order))
    rows = rows.filter(rows.next_person.notnull() & (rows.next_person != rows.person))
    return scope.keep("ring_fences", rows.group_by(["fence", "person"]).agg(boxes=rows.count()))
