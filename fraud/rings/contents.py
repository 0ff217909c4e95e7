"""What a claim charged: shares of its money, its dearest item, its bundle, drugs fetched too early."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import DAY, exact_sum, integer, left
from fraud.features.scope import Scope
from fraud.schema import relation

RARE_SHARE = 0.03
"""An item is rare where fewer than this share of people ever get it."""
COSTLY = 10_000
"""Cents a claim's charges for a rare item must reach to count as costly (100 yuan)."""
UNUSED = 0.5
"""A refill is early when at least this share of the last supply should still be there."""
PRIME = 2_147_483_647


def contents(scope: Scope, claims: ir.Table) -> ir.Table:
    """Keep ``fx_ring_charges`` (claim and item) and return sums per claim.

    Parameters
    ----------
    scope : Scope
    claims : Table
        claim_id, person, place, settled_second.

    Returns
    -------
    Table
        claim_id; charged (items); drug, exam, treatment, care (cents; care is bed and nursing);
        top_cents and top_item (number) of the dearest item; bundle (fingerprint of items and
        quantities); supply (days the longest drug lasts); early (cents of drugs refilled although at
        least `UNUSED` of the last supply of their class was left); switched (the part of them whose
        last supply came from another place); resold (cents of boxes whose trace code stands on another
        person's claim too); rare (cents of rare costly items).
    """
    charges = scope.keep("ring_charges", _charges(scope, claims))
    order = ibis.window(group_by="claim_id", order_by=[ibis.desc(charges.cents), charges.item])
    charges = charges.mutate(place_in=ibis.row_number().over(order))
    of = lambda *names: exact_sum(ibis.ifelse(charges.category.isin(names), charges.cents, 0))  # noqa: E731
    first = charges.place_in == 0
    # Squared, so that one item more of this and one less of that do not make the same sum.
    mark = (charges.item * 7919 + charges.milli) % PRIME
    return scope.keep(
        "ring_contents",
        charges.group_by("claim_id").agg(
            charged=charges.count(),
            drug=of("drug", "herb"),
            exam=of("exam", "lab"),
            treatment=of("treatment", "surgery"),
            care=of("bed", "nursing"),
            top_cents=ibis.ifelse(first, charges.cents, ibis.null("int64")).max(),
            top_item=ibis.ifelse(first, charges.item, ibis.null("int64")).max(),
            bundle=integer((mark * mark % PRIME).sum()) % PRIME,
            supply=charges.supply.max().fill_null(0.0),
            early=exact_sum(charges.early),
            switched=exact_sum(charges.switched),
            resold=exact_sum(ibis.ifelse(charges.is_resold, charges.cents, 0)),
            rare=exact_sum(ibis.ifelse(charges.is_rare, charges.cents, 0)),
        ),
    )


def _charges(scope: Scope, claims: ir.Table) -> ir.Table:
    """One row per claim and item: cents, thousandths of quantity, days of supply, early cents, rarity."""
    lines, items = relation("lines"), relation("items")
    # Only the period's own lines: a later item must not change the numbers of the others.
    known = lines.filter(lines.item_code.notnull()).semi_join(claims, "claim_id")
    codes = known.select("item_code").distinct()
    codes = left(codes, items.select("item_code", "drug_class", "days_per_unit"), "item_code")
    order = ibis.row_number().over(order_by="item_code").cast("int64")
    codes = scope.keep("ring_items", codes.mutate(item=order))
    rows = known.inner_join(claims.select("claim_id", "person", "place", "settled_second"), "claim_id")
    rows = left(rows, codes.select("item_code", "item", "drug_class", "days_per_unit"), "item_code")
    lasting = ibis.coalesce(rows.days_supply.cast("float64"), rows.quantity * rows.days_per_unit)
    is_drug = rows.category.isin(("drug", "herb"))
    rows = rows.mutate(lasting=ibis.ifelse(is_drug, lasting, ibis.null("float64")).clip(0.0, 400.0))
    charged = rows.group_by(["claim_id", "item"]).agg(
        person=rows.person.max(),
        place=rows.place.max(),
        settled_second=rows.settled_second.max(),
        category=rows.category.max(),
        same=ibis.coalesce(rows.drug_class.max(), rows.item_code.max()),
        cents=exact_sum(rows.amount),
        milli=exact_sum((rows.quantity * 1000).round().cast("int64")),
        supply=rows.lasting.max(),
    )
    charged = scope.keep("ring_charged", charged.filter(charged.cents > 0))
    charged = left(charged, _early(scope, charged), ["claim_id", "item"])
    charged = left(charged, _rare(scope, charged), "item")
    charged = left(charged, _resold(scope, rows), ["claim_id", "item"])
    return charged.mutate(
        early=charged.early.fill_null(0),
        switched=charged.switched.fill_null(0),
        is_resold=charged.is_resold.fill_null(False),
        is_rare=charged.is_rare & (charged.cents >= COSTLY),
    )


def _early(scope: Scope, charged: ir.Table) -> ir.Table:
    """Cents of refills that came while the last supply of the same class of drug was not used up."""
    drugs = charged.filter(charged.supply > 0)
    order = ibis.window(group_by=["person", "same"], order_by=["settled_second", "claim_id", "item"])
    drugs = drugs.mutate(
        last_second=drugs.settled_second.lag().over(order),
        last_supply=drugs.supply.lag().over(order),
        last_claim=drugs.claim_id.lag().over(order),
        last_place=drugs.place.lag().over(order),
    )
    elapsed = (drugs.settled_second - drugs.last_second).cast("float64") / float(DAY)
    unused = drugs.last_supply - elapsed
    early = (unused >= UNUSED * drugs.last_supply) & (drugs.last_claim != drugs.claim_id)
    drugs = drugs.filter(early & (drugs.last_supply >= 5.0))
    switched = ibis.ifelse(drugs.last_place != drugs.place, drugs.cents, 0)
    return scope.keep("ring_early", drugs.select("claim_id", "item", early="cents", switched=switched))


def _resold(scope: Scope, rows: ir.Table) -> ir.Table:
    """Claims and items whose trace code also stands on another person's claim."""
    traced = rows.filter(rows.trace_code.notnull() & (rows.trace_code != ""))
    codes = traced.group_by("trace_code").agg(people=traced.person.nunique())
    again = traced.semi_join(codes.filter(codes.people > 1), "trace_code")
    again = again.select("trace_code", "claim_id", "item", "person", "place", "settled_second")
    again = scope.keep("ring_traced", again).select("claim_id", "item").distinct()
    return scope.keep("ring_resold", again.mutate(is_resold=ibis.literal(True)))


def _rare(scope: Scope, charged: ir.Table) -> ir.Table:
    """Whether few people ever get an item."""
    people = charged.select("item", "person").distinct().group_by("item").agg(people=lambda t: t.count())
    everybody = charged.agg(everybody=charged.person.nunique())
    rare = people.cross_join(everybody)
    rare = rare.mutate(is_rare=rare.people.cast("float64") < RARE_SHARE * rare.everybody.cast("float64"))
    return scope.keep("ring_rare", rare.select("item", "people", "is_rare"))
