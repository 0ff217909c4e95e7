"""Referral links: a patient's first visit to a doctor, soon after another doctor saw the same complaint.

Everything here runs in the engine; only pairs of doctors with `FEWEST` patients or more leave it,
together with the margins that the chance model needs.
"""

from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from fraud.features.measures import (
    DAY,
    MAD_TO_SIGMA,
    exact_sum,
    fixed_sum,
    integer,
    left,
    log,
    ratio,
    without,
)
from fraud.features.scope import Engine

WITHIN = 21
"""Days within which a first visit counts as following another (detection notes)."""
FEWEST = 3
"""Patients of a pair from which on it is looked at."""
SHRINK = 5
"""Claims that a group's mean is shrunk by towards the wider group's."""
CLIP = (-3.0, 4.0)
"""Least and largest excess of cost that counts, in robust standard deviations."""
LEAST_SPREAD = 0.25
"""Smallest spread of log cost among peers (a quarter: they all bill much alike)."""
LINK = ("sender", "receiver", "claim_id", "patient_id", "diagnosis", "day", "lag", "excess", "z")


@dataclass(frozen=True)
class Links:
    """What leaves the engine.

    Attributes
    ----------
    links : DataFrame
        sender, receiver, claim_id, patient_id, diagnosis, day, lag (days), excess (log cost
        over that of peers) and z (the same in standard deviations), of pairs with `FEWEST` patients.
    sent, received : DataFrame
        doctor_id, diagnosis, n: links of every doctor as a sender and as a receiver.
    houses : DataFrame
        sender_house, receiver_house, n: links between institutions.
    doctors : DataFrame
        doctor_id, institution_id (where seen most), specialty, arrivals (first visits).
    innocent : DataFrame
        sender, receiver, transfers (links from stay to stay within a day, left out of `links`),
        shared (patients both doctors have seen at any time).
    """

    links: pd.DataFrame
    sent: pd.DataFrame
    received: pd.DataFrame
    houses: pd.DataFrame
    doctors: pd.DataFrame
    innocent: pd.DataFrame


def gather(engine: Engine, first: int, last: int, claims: ir.Table) -> Links:
    """Run the expressions and return what the chance model needs.

    Parameters
    ----------
    engine : Engine
    first, last : int
        Months of the arrivals, inclusive; earlier claims only tell whether a visit is the first.
    claims : Table
        Unbound table like ``fx_claims`` of `fraud.features.facts.build`.
    """
    kept = _Kept(engine)
    visits = kept("visits", _visits(claims, last))
    arrivals = kept("arrivals", _excess(kept, kept("first_visits", _first_visits(visits, first))))
    doctors = kept("doctors", _doctors(visits, arrivals))
    every = kept("all_links", _follow(visits, arrivals))
    links = kept("links", _links(every, doctors))
    pairs = links.group_by(["sender", "receiver"]).agg(n=links.count())
    pairs = kept("pairs", pairs.filter(pairs.n >= FEWEST))
    rows = links.semi_join(pairs, ["sender", "receiver"])
    rows = left(rows, arrivals.select("claim_id", "excess", "z"), "claim_id")
    order = ["sender", "receiver", "patient_id"]
    houses = links.group_by(["sender_house", "receiver_house"]).agg(n=integer(links.count()))
    return Links(
        kept.frame("referral_rows", rows.select(*LINK).order_by(order)),
        kept.frame("sent", _margin(links, "sender")),
        kept.frame("received", _margin(links, "receiver")),
        kept.frame("houses", houses.order_by(["sender_house", "receiver_house"])),
        kept.frame("referral_doctors", doctors.order_by("doctor_id")),
        kept.frame("innocent", _innocent(visits, every, pairs).order_by(["sender", "receiver"])),
    )


def without_houses(rows: ir.Table) -> ir.Table:
    """Links without the columns that only margins need."""
    return rows.select("sender", "receiver", "claim_id", "patient_id", "diagnosis", "day", "lag", "z")


class _Kept:
    """Runs expressions and hands back unbound tables of what was kept."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, name: str, expression: ir.Table) -> ir.Table:
        name = f"rg_referral_{name}"
        self.engine.materialize(name, expression)
        return ibis.table(expression.schema(), name=name)

    def frame(self, name: str, expression: ir.Table) -> pd.DataFrame:
        engine: Any = self.engine
        return engine.to_arrow(expression, f"rg_{name}").to_pandas()


def _visits(claims: ir.Table, last: int) -> ir.Table:
    """Visits with a doctor. An unknown diagnosis is a group like any other."""
    rows = claims.filter((claims.is_visit == 1) & claims.doctor_id.notnull() & (claims.month <= last))
    return rows.select(
        "claim_id", "patient_id", "institution_id", "doctor_id", "started_second", "settled_second",
        "month", "is_stay",
        diagnosis=rows.diagnosis.fill_null("-"),
        kind=rows.kind.fill_null("-"),
        specialty=rows.specialty.fill_null("-"),
        cost=log(rows.net_total).fill_null(0.0),
        slot=rows.settled_second // (WITHIN * DAY),
    )  # fmt: skip


def _first_visits(visits: ir.Table, first: int) -> ir.Table:
    """First visit of each patient to each doctor, settled in the window."""
    order = ibis.window(group_by=["patient_id", "doctor_id"], order_by=["started_second", "claim_id"])
    rows = visits.mutate(number=ibis.row_number().over(order))
    return rows.filter((rows.number == 0) & (rows.month >= first)).drop("number")


def _mean(rows: ir.Table, keys: list[str], name: str, shrink: int) -> ir.Table:
    """Means of the excess by group, shrunk towards zero by so many claims."""
    sums = rows.group_by(keys).agg(total=fixed_sum(rows.excess), count=rows.count())
    return sums.select(*keys, **{name: ratio(sums.total, sums["count"] + shrink)})


def _excess(kept: _Kept, rows: ir.Table) -> ir.Table:
    """First visits with `z`: log cost over first visits elsewhere and the doctor's own usual one.

    Stays are compared with visits: to be admitted for what others treat at the desk is a cost too.
    """
    group = ["specialty", "kind"]
    rows = rows.mutate(excess=rows.cost)
    for name, keys, shrink in (("wide", group, 0), ("narrow", [*group, "diagnosis"], SHRINK)):
        rows = left(rows, _mean(rows, keys, name, shrink), keys)
        rows = kept(f"cost_{name}", rows.mutate(excess=rows.excess - rows[name]).drop(name))
    own = rows.group_by("doctor_id").agg(usual=rows.excess.quantile(0.5), count=rows.count())
    own = own.select("doctor_id", usual=own.usual * ratio(own["count"], own["count"] + SHRINK))
    rows = left(rows, own, "doctor_id")
    rows = kept("cost_own", rows.mutate(excess=rows.excess - rows.usual).drop("usual"))
    peers = rows.group_by("specialty").agg(middle=rows.excess.quantile(0.5))
    rows = left(rows, peers, "specialty")
    spread = rows.group_by("specialty").agg(mad=(rows.excess - rows.middle).abs().quantile(0.5))
    rows = left(rows, spread, "specialty")
    sigma = ibis.greatest(rows.mad * MAD_TO_SIGMA, ibis.literal(LEAST_SPREAD))
    rows = rows.mutate(z=(rows.excess / sigma).clip(*CLIP).round(6), excess=rows.excess.round(6))
    return without(rows, "mad", "middle")


def _doctors(visits: ir.Table, arrivals: ir.Table) -> ir.Table:
    """Doctors with the institution and specialty they are seen at most."""
    counts = visits.group_by(["doctor_id", "institution_id", "specialty"]).agg(n=visits.count())
    order = ibis.window(group_by="doctor_id", order_by=[ibis.desc("n"), "institution_id", "specialty"])
    most = counts.mutate(place=ibis.row_number().over(order))
    most = most.filter(most.place == 0).select("doctor_id", "institution_id", "specialty")
    sizes = arrivals.group_by("doctor_id").agg(arrivals=arrivals.count())
    rows = left(most, sizes, "doctor_id")
    return rows.mutate(arrivals=integer(rows.arrivals.fill_null(0)))


def _follow(visits: ir.Table, arrivals: ir.Table) -> ir.Table:
    """Arrivals beside every earlier visit for the same complaint, elsewhere, within `WITHIN` days.

    Time is cut into slots as long as the window, so that an arrival meets the visits of two slots
    only; a patient with hundreds of visits stays cheap.
    """
    seen = visits.select(
        "patient_id", "diagnosis", "slot", sender="doctor_id", sender_place="institution_id",
        seen_second="settled_second", seen_stay="is_stay",
    )  # fmt: skip
    parts = []
    for back in (0, 1):
        came = arrivals.select(
            "claim_id", "patient_id", "diagnosis", "institution_id", "started_second", "is_stay",
            receiver="doctor_id", slot=arrivals.started_second // (WITHIN * DAY) - back,
        )  # fmt: skip
        pairs = came.inner_join(seen, ["patient_id", "diagnosis", "slot"])
        gap = pairs.started_second - pairs.seen_second
        near = (gap >= 0) & (gap <= WITHIN * DAY)
        elsewhere = (pairs.sender != pairs.receiver) & (pairs.sender_place != pairs.institution_id)
        parts.append(
            pairs.filter(near & elsewhere).select(
                "claim_id",
                "patient_id",
                "diagnosis",
                "sender",
                "receiver",
                day=pairs.started_second // DAY,
                lag=gap // DAY,
                transfer=((pairs.is_stay == 1) & (pairs.seen_stay == 1) & (gap <= DAY)).cast("int64"),
            )  # fmt: skip
        )
    return ibis.union(*parts)


def _links(every: ir.Table, doctors: ir.Table) -> ir.Table:
    """One row per arrival and sender, transfers left out, with the doctors' usual institutions."""
    rows = every.filter(every.transfer == 0)
    rows = rows.group_by(["claim_id", "sender", "receiver", "patient_id", "diagnosis", "day"])
    rows = rows.agg(lag=lambda t: t.lag.min())
    for role in ("sender", "receiver"):
        place = doctors.select(**{role: doctors.doctor_id, f"{role}_house": doctors.institution_id})
        rows = left(rows, place, role)
    return rows.filter(rows.sender_house != rows.receiver_house)


def _margin(links: ir.Table, role: str) -> ir.Table:
    counts = links.group_by([role, "diagnosis"]).agg(n=integer(links.count()))
    return counts.rename(doctor_id=role).order_by(["doctor_id", "diagnosis"])


def _innocent(visits: ir.Table, every: ir.Table, pairs: ir.Table) -> ir.Table:
    """Transfers of the looked-at pairs, and how many patients already knew both doctors."""
    known = every.semi_join(pairs, ["sender", "receiver"])
    moved = known.group_by(["sender", "receiver"]).agg(transfers=exact_sum(known.transfer))
    met = visits.select("patient_id", "doctor_id").distinct()
    both = pairs.select("sender", "receiver").inner_join(met.rename(sender="doctor_id"), "sender")
    both = both.inner_join(met.rename(receiver="doctor_id"), ["receiver", "patient_id"])
    shared = both.group_by(["sender", "receiver"]).agg(shared=integer(both.count()))
    return left(moved, shared, ["sender", "receiver"])
