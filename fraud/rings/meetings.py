"""Meetings: pairs of people who meet, view by view, against how often they would meet by chance.

A meeting joins two neighbours of a queue: claims of one place (or of one place and item) in the order
of time, at most so many apart. Looking at neighbours in the queue bounds the pairs of every claim, so
that the largest shop is looked at like the smallest, and it makes chance simple. Two models of chance:

rhythm
    Two people with ``n_a`` and ``n_b`` of the ``V`` entries of a queue in which ``M`` pairs of entries
    are neighbours meet ``2 M n_a n_b / V²`` times when everybody comes at random within the queue's
    own rhythm. The weight is the Poisson log-likelihood ratio ``n ln(n / λ) − (n − λ)``.
number
    Invoice numbers that follow each other although the place's numbers are spread widely; the weight is
    ``−ln`` of the chance of a number as near.
share
    For queues that are themselves the oddity (a rare item at a place, a doctor's patients at one
    pharmacy) the queue may be all fraud, so chance comes from elsewhere: the share ``p`` of the people
    of other places who have it. The weight is ``−ln p`` per shared queue.

Weak pairs are kept (`View.least` is low): rings that rotate their members are made of weak pairs.
"""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.features.measures import DAY, exact_sum, fixed, left, log, ratio
from fraud.features.scope import Scope

COSTLY = 0.5
"""Standard deviations above its peers from which on a claim is costly."""
DEAR = 10_000
"""Cents of drugs fetched too early from which on a refill is looked at."""
INVOICES = 5_000
"""Largest gap of invoice numbers that may count as neighbouring."""
ITEMS = 3
"""Items of a claim from which on it is odd that another has the very same."""
FOLLOWS = 5
"""Days within which a purchase follows a visit."""


@dataclass(frozen=True)
class View:
    """One way of meeting.

    Attributes
    ----------
    name, zh, en : str
        Name and what a meeting is, for auditors.
    queue : tuple of str
        Columns that make a queue; `place` is always among the columns of a pair.
    steps : int
        Neighbours looked at on each side.
    seconds : int
        Most seconds between neighbours.
    least : float
        Smallest weight of a pair that is kept.
    chance : str
        ``rhythm`` or ``share``, see the module.
    """

    name: str
    zh: str
    en: str
    queue: tuple[str, ...]
    steps: int
    seconds: int
    least: float
    chance: str = "rhythm"


VIEWS = (
    View("minutes", "前后半小时内同科室就诊结算", "within half an hour at the same desk",
         ("place", "ward"), 8, 1800, 1.5),
    View("costly", "同日同机构均高于同类费用", "the same day at the same place, both dearer than their peers",
         ("place",), 6, 43_200, 1.5),
    View("stay", "同进同出住院", "admitted and discharged together", ("place",), 8, 3 * DAY, 0.5),
    View("item", "同机构使用同一少见高价项目", "the same rare and costly item at the same place",
         ("place", "item"), 6, 45 * DAY, 2.0, "share"),
    View("refill", "同机构提前取同一药品", "the same drug fetched too early at the same place",
         ("place", "item"), 6, 45 * DAY, 2.0, "share"),
    View("bundle", "同机构收费项目完全相同", "charged exactly the same items at the same place",
         ("place", "item"), 6, 45 * DAY, 2.0, "share"),
    View("route", "同一医师开方后到同一药店", "from the same doctor on to the same pharmacy",
         ("place", "doctor"), 8, 45 * DAY, 2.0, "share"),
    View("invoice", "发票号码相连", "invoices with neighbouring numbers",
         ("place",), 3, INVOICES, 2.0, "number"),
)  # fmt: skip


def entries(scope: Scope, view: View) -> ir.Table:
    """Rows of a view's queues: claim_id, person, the queue's columns, second, day, day_out."""
    visits = scope["ring_visits"]
    # Where only the day is known, the day it began: settlement may be weeks later.
    visits = visits.mutate(second=ibis.coalesce(visits.second, visits.day * DAY))
    if view.name == "minutes":
        rows = visits.filter((visits.is_stay == 0) & (visits.second % DAY != 0))
    elif view.name == "costly":
        rows = visits.filter((visits.is_stay == 0) & (visits.dear >= COSTLY))
    elif view.name == "stay":
        rows = visits.filter(visits.is_stay == 1)
    elif view.name == "route":
        rows = _routes(visits)
    elif view.name == "bundle":
        rows = _copied(visits)
    elif view.name == "invoice":
        number = visits.invoice_no.re_extract(r"([0-9]{1,15})$", 1).nullif("").cast("int64")
        rows = visits.mutate(second=number).filter(lambda t: t.second.notnull() & (t.out_of_region == 1))
    else:
        charges = scope["ring_charges"]
        chosen = charges.is_rare if view.name == "item" else (charges.early >= DEAR)
        rows = visits.inner_join(charges.filter(chosen).select("claim_id", "item"), "claim_id")
    return rows.select("claim_id", "person", *view.queue, "second", "day", "day_out")


def _copied(visits: ir.Table) -> ir.Table:
    """Claims of at least `ITEMS` items whose very items somebody else was charged at the place, too."""
    keys = ["place", "visit_type", "basket"]
    rows = visits.filter(visits.charged >= ITEMS)
    people = rows.group_by(keys).agg(least=rows.person.min(), most=rows.person.max())
    return rows.semi_join(people.filter(people.least < people.most), keys).mutate(item=rows.basket)


def _routes(visits: ir.Table) -> ir.Table:
    """Purchases at pharmacies within `FOLLOWS` days after a visit to a doctor, queued by both."""
    order = ibis.window(group_by="person", order_by=["second", "claim_id"])
    rows = visits.mutate(
        last_doctor=visits.doctor.lag().over(order), last_second=visits.second.lag().over(order)
    )
    near = rows.second - rows.last_second <= FOLLOWS * DAY
    rows = rows.filter((rows.kind == "pharmacy") & near & (rows.last_doctor >= 0))
    return rows.drop("doctor").rename(doctor="last_doctor")


def pairs(scope: Scope, view: View) -> ir.Table:
    """Keep ``fx_ring_pairs_<view>``: pairs that meet more often than chance.

    Returns
    -------
    Table
        a, b (persons, a < b), place, meetings (days on which they met), expected, weight.
    """
    rows = scope.keep(f"ring_queue_{view.name}", entries(scope, view))
    near = scope.keep(f"ring_near_{view.name}", _neighbours(rows, view))
    met = near.group_by([*view.queue, "a", "b"]).agg(n=near.count(), gap=near.gap.min())
    met = _CHANCES[view.chance](view, rows, near, met)
    # One place may hold several queues (wards, items): their weights and meetings add up.
    met = met.group_by(["a", "b", "place"]).agg(
        meetings=exact_sum(met.n), expected=_exact(met.expected), weight=_exact(met.weight)
    )
    return scope.keep(f"ring_pairs_{view.name}", met.filter(met.weight >= view.least))


def pairs_among(scope: Scope, view: View, chosen: pa.Table) -> pd.DataFrame:
    """Pairs of a view of which both people's ties (person, place) are among the chosen."""
    path = scope.engine.work / "fx_ring_chosen.parquet"
    pq.write_table(chosen, path)
    scope.engine.register("fx_ring_chosen", path)
    ties = ibis.table({"person": "int64", "place": "int64"}, name="fx_ring_chosen")
    found = scope[f"ring_pairs_{view.name}"]
    found = found.semi_join(ties.rename(a="person"), ["a", "place"])
    found = found.semi_join(ties.rename(b="person"), ["b", "place"])
    frame = scope.engine.to_arrow(found, f"ring_among_{view.name}").to_pandas()
    return frame.sort_values(["a", "b", "place"], ignore_index=True)


def _exact(value: ir.Value) -> ir.Value:
    return exact_sum(fixed(value, 1_000_000)).cast("float64") / 1_000_000.0


def _rhythm(view: View, rows: ir.Table, near: ir.Table, met: ir.Table) -> ir.Table:
    keys = list(view.queue)
    queue = left(
        rows.group_by(keys).agg(entries=rows.count()), near.group_by(keys).agg(neighbours=near.count()), keys
    )
    own = rows.group_by([*keys, "person"]).agg(n_own=rows.count())
    met = left(met, own.rename(a="person", n_a="n_own"), [*keys, "a"])
    met = left(met, own.rename(b="person", n_b="n_own"), [*keys, "b"])
    met = left(met, queue, keys)
    chance = ratio(
        met.neighbours.cast("float64") * 2.0 * met.n_a.cast("float64") * met.n_b.cast("float64"),
        met.entries.cast("float64") * met.entries.cast("float64"),
    )
    met = met.mutate(expected=chance.clip(0.0001, 1_000_000.0))
    n = met.n.cast("float64")
    excess = n * log(ratio(n, met.expected)) - (n - met.expected)
    return met.mutate(weight=ibis.ifelse(n > met.expected, excess, 0.0))


def _share(view: View, rows: ir.Table, near: ir.Table, met: ir.Table) -> ir.Table:
    """Weight by how few people of other places have what the queue is about."""
    part = view.queue[-1]
    people = rows.select("place", part, "person").distinct()
    of_place = people.group_by("place").agg(place_n=people.person.nunique())
    whole = of_place.agg(all_n=of_place.place_n.sum().cast("int64"))
    # For a route the odds are those of the pharmacy, whoever the doctor is; for an item the item's.
    about = "place" if view.name == "route" else part
    here = people.group_by(["place", part]).agg(here_n=people.count())
    everywhere = people.group_by(about).agg(about_n=people.count())
    rows = left(left(here, everywhere, about), of_place, "place").cross_join(whole)
    others = rows.all_n if view.name == "route" else rows.all_n - rows.place_n
    outside = (rows.about_n - rows.here_n).cast("float64") + 1.0
    chance = ratio(outside, others.cast("float64") + 20.0).clip(0.0005, 1.0)
    rows = rows.select("place", part, chance=chance)
    met = left(met, rows, ["place", part])
    return met.mutate(expected=met.chance, weight=ibis.ifelse(met.chance < 1.0, -log(met.chance), 0.0))


def _number(view: View, rows: ir.Table, near: ir.Table, met: ir.Table) -> ir.Table:
    """Chance of a number as near, were the place's numbers spread evenly between first and last."""
    first, last = rows.second.min().cast("float64"), rows.second.max().cast("float64")
    runs = rows.group_by("place").agg(n_run=rows.count(), width=last - first + 1.0)
    met = left(met, runs, "place")
    chance = ratio((met.gap.cast("float64") + 1.0) * met.n_run.cast("float64"), met.width)
    met = met.mutate(expected=chance.clip(0.0001, 1.0))
    return met.mutate(weight=-log(met.expected))


_CHANCES = {"rhythm": _rhythm, "share": _share, "number": _number}


def _neighbours(rows: ir.Table, view: View) -> ir.Table:
    """Distinct days on which two people were at most `steps` apart in a queue and `seconds` in time."""
    order = ibis.window(group_by=list(view.queue), order_by=["second", "claim_id"])
    ahead = {}
    for step in range(1, view.steps + 1):
        for short, column in (("p", "person"), ("s", "second"), ("o", "day_out")):
            if short != "o" or view.name == "stay":
                ahead[f"{short}{step}"] = rows[column].lead(step).over(order)
    wide = rows.mutate(**ahead)
    parts = []
    for step in range(1, view.steps + 1):
        other, when = wide[f"p{step}"], wide[f"s{step}"]
        near = other.notnull() & (when - wide.second <= view.seconds) & (other != wide.person)
        if view.name == "stay":
            near &= (wide[f"o{step}"] - wide.day_out).abs() <= 3
        elif view.name == "costly":
            near &= when // DAY == wide.second // DAY
        a, b = ibis.least(wide.person, other), ibis.greatest(wide.person, other)
        parts.append(wide.filter(near).select(*view.queue, "day", a=a, b=b, gap=when - wide.second))
    found = ibis.union(*parts)
    return found.group_by([*view.queue, "day", "a", "b"]).agg(gap=found.gap.min())
