"""What a claim charged: shares of its money, its dearest item, its bundle, drugs fetched too early."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import DAY, exact_sum, integer, left
from fraud.features.scope import Scope, within
from fraud.schema import relation

RARE_SHARE = 0.03
"""An item is rare where fewer than this share of people ever get it."""
COSTLY = 10_000
"""Cents a claim's charges for a rare item must reach to count as costly (100 yuan)."""
UNUSED = 0.5
"""A refill is early when at least this share of the last supply should still be there."""
PRIME = 2_147_483_647
_ITEMS = 10_000_000


def contents(scope: Scope, claims: ir.Table, cuts: list[tuple[str, str]]) -> ir.Table:
    """Keep ``fx_ring_charges`` (claim and item) and return sums per claim.

    Parameters
    ----------
    scope : Scope
    claims : Table
        claim_id, person, place, settled_second.
    cuts : list of (str, str)
        Ranges of claim ids to work in, see `fraud.features.scope.claim_ranges`.

    Returns
    -------
    Table
        claim_id; charged (items); drug, exam, treatment, care (cents; care is bed and nursing);
        top_cents and top_item (number) of the dearest item; bundle (fingerprint of items and
        quantities); basket (of items alone: stays of unequal length differ in quantities); supply (days
        the longest drug lasts); early (cents of drugs refilled although at least `UNUSED` of the last
        supply of their class was left); switched (the part of them whose last supply came from another
        place); resold (cents of boxes whose trace code stands on another person's claim too); rare (cents
        of rare costly items).
    """
    charges = _charges(scope, claims, cuts)
    return scope.in_parts("ring_contents", cuts, lambda cut: _summed(within(charges, *cut)))


def _summed(charges: ir.Table) -> ir.Table:
    """Sums per claim; see `contents`."""
    of = lambda *names: exact_sum(ibis.ifelse(charges.category.isin(names), charges.cents, 0))  # noqa: E731
    # The dearest item (of equals the first) and its cents in one number: sorting everything costs more.
    top = (charges.cents * _ITEMS + (_ITEMS - 1 - charges.item)).max()
    # Squared, so that one item more of this and one less of that do not make the same sum.
    mark, kind = (charges.item * 7919 + charges.milli) % PRIME, (charges.item * 104_729 + 1) % PRIME
    rows = charges.group_by("claim_id").agg(
        charged=charges.count(),
        drug=of("drug", "herb"),
        exam=of("exam", "lab"),
        treatment=of("treatment", "surgery"),
        care=of("bed", "nursing"),
        top=top,
        bundle=integer((mark * mark % PRIME).sum()) % PRIME,
        basket=integer((kind * kind % PRIME).sum()) % PRIME,
        supply=charges.supply.max().fill_null(0.0),
        early=exact_sum(charges.early),
        switched=exact_sum(charges.switched),
        resold=exact_sum(ibis.ifelse(charges.is_resold, charges.cents, 0)),
        rare=exact_sum(ibis.ifelse(charges.is_rare, charges.cents, 0)),
    )
    return rows.mutate(top_cents=rows.top // _ITEMS, top_item=_ITEMS - 1 - rows.top % _ITEMS).drop("top")


def _charges(scope: Scope, claims: ir.Table, cuts: list[tuple[str, str]]) -> ir.Table:
    """Keep ``fx_ring_charges``: cents, thousandths, days of supply, early cents, rarity by claim and item."""
    lines, items = relation("lines"), relation("items")
    # Only the period's own lines: a later item must not change the numbers of the others.
    known = lines.filter(lines.item_code.notnull()).semi_join(claims, "claim_id")
    codes = known.select("item_code").distinct()
    codes = left(codes, items.select("item_code", "drug_class", "days_per_unit"), "item_code")
    order = integer(ibis.row_number().over(order_by="item_code"))
    codes = codes.mutate(item=order, same=ibis.coalesce(codes.drug_class, codes.item_code))
    codes = codes.mutate(same=integer(ibis.dense_rank().over(order_by="same")))
    codes = scope.keep("ring_items", codes.drop("drug_class"))

    def rows(low: str, high: str) -> ir.Table:
        out = within(lines.filter(lines.item_code.notnull()), low, high)
        some = within(claims, low, high)
        out = out.inner_join(some.select("claim_id", "person", "place", "settled_second"), "claim_id")
        return left(out, codes, "item_code")

    def charged(part: int) -> ir.Table:
        of = rows(*cuts[part])
        lasting = ibis.coalesce(of.days_supply.cast("float64"), of.quantity * of.days_per_unit)
        is_drug = of.category.isin(("drug", "herb"))
        of = of.mutate(lasting=ibis.ifelse(is_drug, lasting, ibis.null("float64")).clip(0.0, 400.0))
        found = of.group_by(["claim_id", "item"]).agg(
            person=of.person.max(),
            place=of.place.max(),
            settled_second=of.settled_second.max(),
            category=of.category.max(),
            same=of.same.max(),
            cents=exact_sum(of.amount),
            milli=exact_sum((of.quantity * 1000).round().cast("int64")),
            supply=of.lasting.max(),
        )
        return found.filter(found.cents > 0)

    parts = len(cuts)
    found = scope.in_parts("ring_charged", range(parts), charged)
    of_person = lambda part: _early(found.filter(found.person % parts == part))  # noqa: E731
    early = scope.in_parts("ring_early", range(parts), of_person)
    rare, resold = _rare(scope, found), _resold(scope, rows("", ""))

    def marked(part: int) -> ir.Table:
        some, hurried, sold = (within(t, *cuts[part]) for t in (found, early, resold))
        return _marked(some, hurried, sold, rare)

    return scope.in_parts("ring_charges", range(parts), marked)


def _marked(found: ir.Table, early: ir.Table, resold: ir.Table, rare: ir.Table) -> ir.Table:
    """Charges with what is early, rare and resold of them."""
    found = left(found, early, ["claim_id", "item"])
    found = left(found, rare, "item")
    found = left(found, resold, ["claim_id", "item"])
    return found.mutate(
        early=found.early.fill_null(0),
        switched=found.switched.fill_null(0),
        is_resold=found.is_resold.fill_null(False),
        is_rare=found.is_rare & (found.cents >= COSTLY),
    )


def _early(charged: ir.Table) -> ir.Table:
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
    return drugs.select("claim_id", "item", early="cents", switched=switched)


def _resold(scope: Scope, rows: ir.Table) -> ir.Table:
    """Claims and items whose trace code also stands on another person's claim."""
    traced = rows.filter(rows.trace_code.notnull() & (rows.trace_code != ""))
    codes = traced.group_by("trace_code").agg(least=traced.person.min(), most=traced.person.max())
    again = traced.semi_join(codes.filter(codes.least < codes.most), "trace_code")
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
