"""Ties: a person and a place, with all that is odd about what the two have to do with each other.

A ring needs places that take part; so whoever belongs to it has an odd tie to at least one. The tie's
measures are what a scheme must do to make money (charge more than is needed, again and again, for
people who meet), each beside what the place, the person or the peers usually do.
"""

from collections.abc import Callable, Sequence
from functools import partial

import ibis
import ibis.expr.types as ir

from fraud.features.measures import DAY, exact_sum, fixed_mean, flag, left, ratio
from fraud.features.scope import Scope
from fraud.rings.meetings import ITEMS, VIEWS
from fraud.rings.parts import among, part, place_ranges
from fraud.schema import relation

KEYS = ["person", "place"]
COURSES = ("Z49", "Z50", "Z51", "Z52", "N18")
"""Diagnoses that bring people again and again for good reason: dialysis, rehabilitation, chemotherapy."""
OFTEN = 12
"""Claims from which on a person has usual weekdays at a place."""


def build(scope: Scope) -> ir.Table:
    """Keep ``fx_ring_ties``: one row per person and place with measures; see `MEASURES`.

    Nearly all of it is about a place, so it is computed for ranges of places.
    """
    visits = scope["ring_visits"]
    cuts = place_ranges(scope, visits)
    scope.keep("ring_meanwhile", _meanwhile(visits))

    def keep(name: str, make: Callable[[ir.Table], ir.Table], source: ir.Table) -> None:
        scope.in_parts(name, cuts, lambda cut: make(among(source, *cut)))

    def kept(name: str, number: int) -> ir.Table:
        return part(scope, name, number, len(cuts))

    def of_marked(make: Callable[[ir.Table], ir.Table], number: int) -> ir.Table:
        return make(kept("ring_marked", number))

    def marked(number: int) -> ir.Table:
        rows = among(visits, *cuts[number])
        # each kept by itself: together they would hold every column of every visit several times over
        marks = [(scope.keep(f"ring_mark_{name}", mark), keys) for name, keys, mark in _marks(rows)]
        return _marked(rows, [*marks, (scope["ring_meanwhile"], ["claim_id"])])

    scope.in_parts("ring_marked", range(len(cuts)), marked)
    scope.in_parts("ring_tie_sums", range(len(cuts)), partial(of_marked, _sums))
    scope.in_parts("ring_tie_kinds", range(len(cuts)), partial(of_marked, _kinds))
    scope.in_parts("ring_tie_tops", range(len(cuts)), partial(of_marked, _tops))
    scope.in_parts("ring_place_sums", range(len(cuts)), partial(of_marked, _places))
    for view in VIEWS:
        keep(f"ring_tie_{view.name}", partial(_met, view.name), scope[f"ring_pairs_{view.name}"])
    persons = scope.keep("ring_people", people(scope))
    everywhere = scope.keep("ring_person_sums", _everywhere(scope["ring_tie_sums"]))

    def whole(number: int) -> ir.Table:
        ties = kept("ring_tie_sums", number)
        for name in ("ring_tie_kinds", "ring_tie_tops", *(f"ring_tie_{view.name}" for view in VIEWS)):
            ties = left(ties, kept(name, number), KEYS)
        ties = left(left(ties, persons, "person"), everywhere, "person")
        return _compared(left(ties, kept("ring_place_sums", number), "place"))

    return scope.in_parts("ring_ties", range(len(cuts)), whole)


def _meanwhile(visits: ir.Table) -> ir.Table:
    """Days on which the person of a stay was seen elsewhere during it, by claim."""
    stays = visits.filter((visits.is_stay == 1) & (visits.day_out - visits.day >= 2))
    stays = stays.select("claim_id", "person", begin="day", end="day_out")
    seen = visits.filter(visits.is_stay == 0).select("person", "day").distinct()
    seen = stays.inner_join(seen, "person").filter(lambda t: (t.day > t.begin) & (t.day < t.end))
    return seen.group_by("claim_id").agg(meanwhile=seen.count())


def _at(visits: ir.Table) -> ir.IntegerValue:
    return ibis.coalesce(visits.second, visits.day * DAY)


def _marks(visits: ir.Table) -> list[tuple[str, list[str], ir.Table]]:
    """What visits are marked with: name, keys of a visit and one row for each of them."""
    kind, day = ["place", "visit_type"], ["place", "day"]
    few: dict[str, tuple[list[str], ir.Table]] = {
        "clones": ([*kind, "bundle"], visits.filter(visits.charged >= 3)),
        "repeats": ([*kind, "cents"], visits),
        "twins": ([*kind, "basket"], visits.filter(visits.charged >= ITEMS)),
    }
    marks = []
    for name, (keys, rows) in few.items():
        alike = rows.group_by(keys).agg(**{name: rows.person.nunique() - 1})
        marks.append((name, keys, alike.filter(alike[name] > 0)))
    many: dict[str, tuple[list[str], ir.Table]] = {
        "doctor_day": ([*day, "doctor"], visits.filter(visits.doctor >= 0)),
        "reason_day": ([*day, "is_stay", "diagnosis"], visits.filter(visits.diagnosis >= "")),
        "out_day": ([*day, "is_stay", "day_out"], visits.filter(visits.is_stay >= 1)),
    }
    marks += [
        (name, keys, rows.group_by(keys).agg(**{name: rows.count() - 1}))
        for name, (keys, rows) in many.items()
    ]
    return [
        *marks,
        ("crowding", day, _crowding(visits)),
        ("odd", [*KEYS, "weekday"], _odd(visits)),
        ("gap", ["claim_id"], _gaps(visits)),
    ]


def _crowding(visits: ir.Table) -> ir.Table:
    """How crowded a day was for its place."""
    days = visits.group_by(["place", "day"]).agg(crowd=visits.count())
    usual = days.group_by("place").agg(usual=fixed_mean(days.crowd.cast("float64")))
    days = left(days, usual, "place")
    return days.select("place", "day", crowding=ratio(days.crowd, days.usual))


def _odd(visits: ir.Table) -> ir.Table:
    """Weekdays on which a person who comes often hardly ever comes to the place."""
    rows = visits.select(*KEYS, weekday=visits.day % 7)
    days = rows.group_by([*KEYS, "weekday"]).agg(on_weekday=rows.count())
    habit = days.group_by(KEYS).agg(usual=days.on_weekday.max(), often=days.on_weekday.sum())
    days = left(days, habit, KEYS)
    days = days.filter((days.often >= OFTEN) & (days.on_weekday * 3 <= days.usual))
    return days.select(*KEYS, "weekday", is_odd=ibis.literal(1, "int64"))


def _gaps(visits: ir.Table) -> ir.Table:
    """Days since the person's last visit to the place."""
    rows = visits.select("claim_id", *KEYS, "day", at=_at(visits))
    order = ibis.window(group_by=KEYS, order_by=["at", "claim_id"])
    gaps = rows.select("claim_id", gap=(rows.day - rows.day.lag().over(order)).cast("float64"))
    return gaps.filter(gaps.gap.notnull())


def _marked(visits: ir.Table, marks: Sequence[tuple[ir.Table, list[str]]]) -> ir.Table:
    """Visits with how many others had the same bundle or amount at the place, the day's crowd, and oddity."""
    rows = visits.mutate(at=_at(visits), weekday=visits.day % 7)
    for mark, keys in marks:
        rows = left(rows, mark, keys)
    return rows.mutate(
        clones=rows.clones.fill_null(0),
        twins=rows.twins.fill_null(0),
        is_odd=rows.is_odd.fill_null(0),
        odd_doctor=ibis.ifelse(rows.is_odd.notnull(), rows.doctor, -1),
        hour=(rows["at"] % DAY).cast("float64") / 3600.0,
        timed=flag(rows["at"] % DAY != 0),
    )


def _sums(visits: ir.Table) -> ir.Table:
    mean = lambda condition: fixed_mean(flag(condition).cast("float64"))  # noqa: E731
    part = lambda column: ratio(exact_sum(visits[column]), exact_sum(visits.cents))  # noqa: E731
    late = (visits.timed == 1) & ((visits.hour < 7.5) | (visits.hour >= 18.0))
    return visits.group_by(KEYS).agg(
        claims=visits.count(),
        cents=exact_sum(visits.cents),
        fund_share=part("fund"),
        first_day=visits.day.min(),
        last_day=visits.day.max(),
        dear_mean=fixed_mean(visits.dear),
        dear_top=visits.dear.max(),
        dear_share=mean(visits.dear >= 1.0),
        stays=exact_sum(visits.is_stay),
        nights=fixed_mean((visits.day_out - visits.day).cast("float64")),
        drug_share=part("drug"),
        exam_share=part("exam"),
        treatment_share=part("treatment"),
        care_share=part("care"),
        early_share=part("early"),
        switched_share=part("switched"),
        resold_share=part("resold"),
        rare_share=part("rare"),
        early_cents=exact_sum(visits.early),
        rare_cents=exact_sum(visits.rare),
        supply_mean=fixed_mean(visits.supply),
        supply_top=visits.supply.max(),
        charged_mean=fixed_mean(visits.charged.fill_null(0).cast("float64")),
        clone_share=mean(visits.clones > 0),
        clone_mean=fixed_mean(ibis.least(visits.clones, 50).cast("float64")),
        equal_share=mean(visits["repeats"] > 0),
        twin_share=mean(visits.twins > 0),
        twin_mean=fixed_mean(ibis.least(visits.twins, 50).cast("float64")),
        doctor_day=fixed_mean(visits.doctor_day.cast("float64").clip(0.0, 50.0)),
        reason_day=fixed_mean(visits.reason_day.cast("float64").clip(0.0, 50.0)),
        out_day=fixed_mean(visits.out_day.cast("float64").clip(0.0, 50.0)),
        odd_share=mean(visits.is_odd == 1),
        meanwhile=exact_sum(visits.meanwhile.fill_null(0)),
        late_share=mean(late),
        month_end_share=mean((visits.day % 30) >= 26),
        away_share=mean(visits.out_of_region == 1),
        round_share=mean(visits.cents % 1000 == 0),
        gap_mean=fixed_mean(visits.gap),
        gap_square=fixed_mean(visits.gap * visits.gap),
        crowding=fixed_mean(visits.crowding.clip(0.0, 50.0)),
        course_share=mean(visits.diagnosis.isin(COURSES)),
    )


def _kinds(visits: ir.Table) -> ir.Table:
    """How many different days, months, diagnoses and bundles a tie has."""
    columns = {
        "days": visits.day,
        "months": visits.day // 30,
        "diagnoses": visits.diagnosis,
        "bundles": visits.bundle,
    }
    found = visits.select(*KEYS).distinct()
    for name, column in columns.items():
        rows = visits.select(*KEYS, value=column).distinct()
        found = left(found, rows.group_by(KEYS).agg(**{name: rows.value.count()}), KEYS)
    return found


_TOPS = (("doctor", "doctor"), ("operator", "operator"), ("item", "top_item"), ("weekday", "weekday"),
         ("odd", "odd_doctor"))  # fmt: skip


def _tops(visits: ir.Table) -> ir.Table:
    """Share of a tie's claims with its most frequent doctor, operator and dearest item."""
    found = visits.select(*KEYS).distinct()
    for name, column in _TOPS:
        known = visits.filter(visits[column] >= 0)
        counts = known.group_by([*KEYS, column]).agg(n=known.count())
        order = ibis.window(group_by=KEYS, order_by=[ibis.desc("n"), column])
        whole = ibis.window(group_by=KEYS)
        ranked = counts.mutate(
            r=ibis.row_number().over(order),
            whole=counts.n.sum().over(whole),
            kinds=counts.n.count().over(whole),
        )
        top = ranked.filter(ranked.r == 0).select(
            *KEYS,
            **{
                f"top_{name}": column,
                f"top_{name}_share": ratio(ranked.n, ranked.whole),
                f"{name}s": "kinds",
            },
        )
        found = left(found, top, KEYS)
    return found


def _met(view: str, pairs: ir.Table) -> ir.Table:
    """Partners, sum and largest weights of a tie's meetings in one view."""
    both = ibis.union(
        pairs.select("place", "meetings", "weight", person="a"),
        pairs.select("place", "meetings", "weight", person="b"),
    )
    order = ibis.window(group_by=KEYS, order_by=[ibis.desc("weight"), "meetings"])
    both = both.mutate(r=ibis.row_number().over(order))
    return both.group_by(KEYS).agg(
        **{
            f"{view}_partners": both.count(),
            f"{view}_sum": exact_sum((both.weight * 1000).round().cast("int64")).cast("float64") / 1000.0,
            f"{view}_top": both.weight.max(),
            f"{view}_fifth": ibis.ifelse(both.r == 4, both.weight, ibis.null("float64")).max(),
            f"{view}_most": both.meetings.max(),
        }
    )


def people(scope: Scope) -> ir.Table:
    """Numbered people: age at the end of the period, certificates, and codes of what they share.

    Returns
    -------
    Table
        person, age, certificates, region, household, employer, phone, address (texts or NULL).
    """
    known = scope["ring_persons"].select("patient_id", "person")
    patients = relation("patients")
    rows = patients.select(
        "patient_id", "region", "phone", "address",
        household="household_id", employer="employer_id",
        certificates=patients.chronic_certificates.length().cast("int64"),
        born=ibis.coalesce(patients.birth_date.year().cast("int64"), patients.birth_year),
    )  # fmt: skip
    rows = left(known, rows, "patient_id")
    return rows.select(
        "person", "certificates", "region", "household", "employer", "phone", "address",
        age=(scope.last // 12 - rows.born).cast("float64"),
    )  # fmt: skip


def _places(visits: ir.Table) -> ir.Table:
    """What is usual at a place: its size, and means over its claims."""
    return visits.group_by("place").agg(
        kind=visits.kind.max(),
        place_claims=visits.count(),
        place_people=visits.person.nunique(),
        place_dear=fixed_mean(visits.dear),
        place_early=ratio(exact_sum(visits.early), exact_sum(visits.cents)),
        place_rare=ratio(exact_sum(visits.rare), exact_sum(visits.cents)),
        place_clone=fixed_mean(flag(visits.clones > 0).cast("float64")),
        place_twin=fixed_mean(flag(visits.twins > 0).cast("float64")),
        place_equal=fixed_mean(flag(visits["repeats"] > 0).cast("float64")),
    )


def _everywhere(ties: ir.Table) -> ir.Table:
    """What a person does at all places."""
    return ties.group_by("person").agg(
        all_claims=exact_sum(ties.claims),
        all_cents=exact_sum(ties.cents),
        all_early=exact_sum(ties.early_cents),
        all_rare=exact_sum(ties.rare_cents),
        places=ties.count(),
    )


def _compared(ties: ir.Table) -> ir.Table:
    """The tie beside what the person does elsewhere and what is usual at the place."""
    ties = ties.mutate(span=(ties.last_day - ties.first_day + 1).cast("float64"))
    return ties.mutate(
        claims_part=ratio(ties.claims, ties.all_claims),
        cents_part=ratio(ties.cents, ties.all_cents),
        early_part=ratio(ties.early_cents, ties.all_early),
        per_claim=ratio(ties.cents, ties.claims * 100),
        per_month=ratio(ties.claims, ties.months),
        supply_rate=ratio(ties.supply_mean * ties.claims.cast("float64"), ties.span + 30.0),
        dear_over=ties.dear_mean - ties.place_dear,
        early_over=ties.early_share - ties.place_early,
        rare_over=ties.rare_share - ties.place_rare,
        clone_over=ties.clone_share - ties.place_clone,
        twin_over=ties.twin_share - ties.place_twin,
        gap_spread=ratio(
            ibis.greatest(ties.gap_square - ties.gap_mean * ties.gap_mean, ibis.literal(0.0)).sqrt(),
            ties.gap_mean,
        ),
        bundle_rate=ratio(ties.bundles, ties.claims),
        item_rate=ratio(ties["items"], ties.claims),
        elsewhere=ties.all_cents - ties.cents,
    )


TEXTS = ("kind", "region", "household", "employer", "phone", "address")


def measures(columns: Sequence[str]) -> list[str]:
    """Columns of a tie that a model may look at: no identities and no dates."""
    hidden = {
        *KEYS,
        *TEXTS,
        "first_day",
        "last_day",
        "top_doctor",
        "top_operator",
        "top_item",
        "top_weekday",
        "top_odd",
        "weekdays",
        "gap_square",
    }
    return [c for c in columns if c not in hidden]
