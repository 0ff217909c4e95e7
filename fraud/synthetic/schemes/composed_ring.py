"""Composed rings: gangs that nobody designed, each with a way of working drawn at random."""

import numpy as np

from fraud.schema import CATEGORIES
from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.city import KIND, stable_seed
from fraud.synthetic.crowds import arrivals, chosen_open, inside, session_days
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.schemes.ways import PLACES, Way, draw_way
from fraud.synthetic.visits import VISIT_TYPE, Visits

_LEAST_SESSIONS = 3  # so that a member has a few claims, and the gang a shape
_REST = 25  # days between two stays of a member
_BUNDLES = ("M54.500", "K29.500", "M51.200", "G47.000", "U62.000", "M47.800", "I10")
_WARD_BUNDLES = ("M51.200", "I69.300", "I10", "M47.800", "J20.900", "I25.103")


class ComposedRing(Scheme):
    """A gang whose anchor, meetings, rhythm, recruits and charges are drawn block by block."""

    name, zh = "composed_ring", "组合团伙"
    share, per_group, hidden = 9.0, 150, 0.5

    # -- who and when --------------------------------------------------------------------------

    def _groups(self, budget: int, rng: np.random.Generator) -> list[Group]:
        """Draw gangs, each from its own generator, until the budget of claims is used up."""
        groups: list[Group] = []
        claims = 0
        while not groups or (claims < budget and len(groups) < 999):
            own = self.city.rng(self.name, len(groups))
            way = draw_way(own, self.city.people.n)
            days = self._calendar(way, own)
            sessions = sum(len(d) for d in days)
            share = max(self.lerp(way.rotation, max(0.25, 0.6 * way.rotation)), _LEAST_SESSIONS / sessions)
            present = min(way.size, max(2, round(way.size * share)))
            each = present * {"doctor_pharmacy": 2, "tour": 2}.get(way.anchor, 1)
            group = Group(len(groups), np.array([len(d) * each for d in days], dtype=np.int64))
            group.facts |= {"way": way, "days": days, "present": present, "free": {}}
            group.blocks = way.blocks()
            groups.append(group)
            claims += int(group.quota.sum())
        return groups

    def _calendar(self, way: Way, rng: np.random.Generator) -> list[np.ndarray]:
        """Days of the sessions, by month; a gang may begin before the first one or outlive the last."""
        months = self.city.months
        span = int(rng.integers(max(1, len(months) // 2), len(months) + 1))
        begin = int(rng.integers(min(0, 2 - span), max(1, len(months) - 1)))
        around_the_clock = way.anchor == "pharmacy"
        days = [
            session_days(m, way.rhythm, way.weekday, rng, always_open=around_the_clock)
            if begin <= m.index < begin + span
            else np.zeros(0, dtype=np.int64)
            for m in months
        ]
        first = months[max(begin, 0)]
        while sum(len(d) for d in days) < _LEAST_SESSIONS:
            more = first.first + rng.integers(0, first.days, 2)
            days[first.index] = chosen_open(
                first, np.concatenate([days[first.index], more]), always_open=around_the_clock
            )
        return [
            np.where(rng.random(len(d)) < self.lerp(0.0, 0.5), d + rng.integers(-3, 4, len(d)), d).clip(
                m.first, m.first + m.days - 1
            )
            for m, d in zip(months, days, strict=True)
        ]

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose members, places and whoever is constant there, from the gang's own generator."""
        own = self.city.rng(self.name, "actors", group.number)
        way, q = group.facts["way"], self.city.providers
        self._enlist(group, own)
        group.facts["desk_of"] = np.full(q.n, -1)
        group.facts["doctor_of"] = np.full(q.n, -1)
        roles = PLACES[way.anchor]
        count = {"tour": way.run, "item": 0}.get(way.anchor, 1)
        places = [self._settle_at(group, str(own.choice(roles)), "place", own) for _ in range(count)]
        if way.anchor == "doctor_pharmacy":
            places.append(self._settle_at(group, "pharmacy", "pharmacy", own))
        group.facts["places"] = np.array(list(dict.fromkeys(places)), dtype=np.int64)
        self._stock(group, own)

    def _enlist(self, group: Group, rng: np.random.Generator) -> None:
        """Recruit members; the more camouflage, the fewer of them know each other."""
        way, p = group.facts["way"], self.city.people
        certificate = None
        if way.recruits == "certificate":
            held = p.certificates.sum(axis=0)
            common = np.flatnonzero(held >= 3 * way.size)
            certificate = self.city.catalogue.certificates[int(rng.choice(common))] if len(common) else "any"
        pool = self._pool(certificate, 48 if way.anchor == "ward" else 36)
        if way.life != "any":
            rate = p.chronic_rate + p.acute_rate + p.pharmacy_rate
            half = np.median(rate[pool])
            some = pool[(rate[pool] > half) if way.life == "busy" else (rate[pool] <= half)]
            pool = some if len(some) >= 2 * way.size else pool
        size = min(way.size, len(pool))
        tie = {"neighbours": p.block, "employer": p.employer}.get(way.recruits)
        close = np.zeros(0, dtype=np.int64)
        if tie is not None:
            seats = pool[tie[pool] >= 0]
            seat = int(rng.choice(seats if len(seats) else pool))
            close = rng.permutation(pool[tie[pool] == tie[seat]])[: round(size * self.lerp(0.9, 0.3))]
        rest = rng.permutation(np.setdiff1d(pool, close))[: size - len(close)]
        members = rng.permutation(np.concatenate([close, rest])).astype(np.int64)
        group.facts["member"] = members
        group.members += [("patient", int(m), "member") for m in members]

    def _settle_at(self, group: Group, role: str, name: str, rng: np.random.Generator) -> int:
        """Choose a place (near a member, if the gang is careful), its desk and its doctor."""
        way, q = group.facts["way"], self.city.providers
        if role != "away" and rng.random() < self.lerp(0.3, 0.9):
            place = int(self.city.choose_institution(group.facts["member"][:1], role, rng)[0])
        else:
            place = int(rng.choice(q.by_role[role]))
        group.members.append(("institution", place, name))
        shop = q.kind[place] == KIND["pharmacy"]
        if way.constant == "operator" or way.anchor == "desk":
            group.facts["desk_of"][place] = self.operator(place, rng)
            group.members.append(("operator", int(group.facts["desk_of"][place]), "operator"))
        if not shop and (way.constant == "doctor" or way.anchor in ("doctor", "doctor_pharmacy")):
            group.facts["doctor_of"][place] = self.doctor(
                group, place, rng, ("general", "cardiology", "tcm", "endocrinology")
            )
        return place

    def _stock(self, group: Group, rng: np.random.Generator) -> None:
        """Choose what the gang charges: drugs in demand, one costly item, or a recipe of fixed quantities."""
        c, f, way = self.city.catalogue, group.facts, group.facts["way"]
        cat = {name: c.category == CATEGORIES.index(name) for name in ("drug", "herb", "exam", "treatment")}
        fits = (c.sex_limit < 0) & np.isnan(c.min_age) & np.isnan(c.max_age) & (c.eligible_rate >= 0.9)
        shop = fits & (cat["drug"] | cat["herb"])
        dear = np.flatnonzero(shop & (c.base_price > 7_000) & (c.base_price < 60_000))
        resale = np.flatnonzero(shop & c.resale & (c.base_price > 3_000) & (c.base_price < 50_000))
        primary = {KIND["primary"], KIND["pharmacy"]}
        small = way.anchor == "item" or any(int(self.city.providers.kind[x]) in primary for x in f["places"])
        low, high = (3_000, 25_000) if small else (10_000, 95_000)
        work = np.flatnonzero(
            fits
            & (cat["herb"] | cat["exam"] | cat["treatment"])
            & (c.base_price >= low)
            & (c.base_price < high)
        )
        if way.content == "costly":
            f["shop_menu"], f["clinic_menu"] = rng.choice(dear, 1), rng.choice(work, 1)
        else:
            f["shop_menu"] = f["clinic_menu"] = rng.choice(resale, round(self.lerp(3, 8)), replace=False)
        f["recipe"] = rng.choice(resale, 3, replace=False), rng.integers(1, 4, 3)
        bundles = _WARD_BUNDLES if way.anchor == "ward" else _BUNDLES
        f["dx"] = c.dx[str(rng.choice(bundles))]

    # -- meetings ------------------------------------------------------------------------------

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """All sessions of the month, from the gang's own generator."""
        own = self.city.rng(self.name, "month", group.number, month.index)
        days = group.facts["days"][month.index].tolist()
        return Visits.concat([self._session(group, int(d), k, month, own) for k, d in enumerate(days)])

    def _session(self, group: Group, day: int, turn: int, month: Month, rng: np.random.Generator) -> Visits:
        """One session: who is present, when they come, and to which places."""
        f, way = group.facts, group.facts["way"]
        day = self._on_duty(group, day, month)
        patient = self._present(group, day, rng)
        n = len(patient)
        if not n:
            return Visits.make(0)
        shop = way.anchor == "pharmacy"
        profile = "pharmacy" if shop else "clinic"
        gap, lag = way.gap * self.lerp(1.0, 3.0), way.lag
        start = arrivals(way.gathering, n, day, month, rng, gap=gap, lag=lag, run=way.run, profile=profile)
        alone = rng.random(n) < self.lerp(0.02, 0.4)
        start = np.where(alone, self.moments(month, n, rng, profile), start)
        if way.anchor == "item":
            return self._claims(group, patient, self._anywhere(patient, rng), start, rng)
        if way.anchor == "tour":
            places = f["places"][(turn + np.arange(min(2, len(f["places"])))) % len(f["places"])]
            step = int(rng.choice([HOUR, 3 * HOUR, DAY]))
            legs = [
                self._claims(group, patient, np.full(n, x), inside(start + i * step, month), rng)
                for i, x in enumerate(places)
            ]
            return Visits.concat(legs)
        place = np.full(n, f["places"][0])
        if way.anchor not in ("ward", "away"):
            away = rng.random(n) < self.lerp(0.0, 0.15)
            place = np.where(away, self._anywhere(patient, rng, shop=shop), place)
        made = self._claims(group, patient, place, start, rng)
        if way.anchor != "doctor_pharmacy":
            return made
        soon = rng.random(n) < self.lerp(0.95, 0.5)
        later = np.where(soon, rng.integers(HOUR // 2, 4 * HOUR, n), rng.integers(20 * HOUR, 96 * HOUR, n))
        bought = self._claims(group, patient, np.full(n, f["places"][-1]), start + later, rng)
        return Visits.concat([made, bought])

    def _on_duty(self, group: Group, day: int, month: Month) -> int:
        """Move a session to a day when the gang's doctor works."""
        doctors = group.facts["doctor_of"][group.facts["places"]]
        doctors = doctors[doctors >= 0]
        for shift in range(7):
            later = month.first + (day - month.first + shift) % month.days
            if not self.city.off_duty(doctors, np.array([later])).any():
                return later
        return day

    def _present(self, group: Group, day: int, rng: np.random.Generator) -> np.ndarray:
        """Members who take part this time, in their usual order; nobody who lay in bed recently."""
        f, way = group.facts, group.facts["way"]
        free = np.array([f["free"].get(int(m), 0) <= day for m in f["member"]])
        rows = rng.permutation(np.flatnonzero(free))[: f["present"]]
        rows = np.sort(rows) if way.gathering == "steady_lag" else rows
        patient = f["member"][rows]
        if way.anchor == "ward":
            f["free"] |= {int(m): day + _REST for m in patient}
        return patient

    def _anywhere(self, patient: np.ndarray, rng: np.random.Generator, *, shop: bool = False) -> np.ndarray:
        """Places the patients choose themselves."""
        level = np.full(len(patient), 2) if shop else rng.integers(0, 3, len(patient))
        place = np.zeros(len(patient), dtype=np.int64)
        for code, name in enumerate(("secondary", "primary", "pharmacy")):
            rows = level == code
            place[rows] = self.city.choose_institution(patient[rows], name, rng, loyal=self.lerp(0.3, 0.8))
        return place

    def _claims(
        self,
        group: Group,
        patient: np.ndarray,
        place: np.ndarray,
        start: np.ndarray,
        rng: np.random.Generator,
    ) -> Visits:
        """Visits or stays of the patients present."""
        f, way, q, n = group.facts, group.facts["way"], self.city.providers, len(patient)
        shop = q.kind[place] == KIND["pharmacy"]
        alike = (way.content == "bundle") & (rng.random(n) < self.lerp(0.97, 0.4))
        ill = self.city.people.certificates[patient].any(axis=1)
        kind = np.where(ill & (rng.random(n) < 0.7), VISIT_TYPE["chronic"], VISIT_TYPE["outpatient"])
        far = way.anchor == "away"
        worth_it = way.content != "amounts"  # a recipe is cheaper than the deductible of a stay
        stay = (way.anchor == "ward") | (far & worth_it & (rng.random(n) < 0.4))
        kind = np.where(stay, VISIT_TYPE["inpatient"], np.where(shop, VISIT_TYPE["pharmacy"], kind))
        days = np.maximum(2, np.rint(rng.normal(self.lerp(4, 7), self.lerp(0.7, 2), n))).astype(np.int64)
        end = (start // DAY + days) * DAY + rng.integers(9 * HOUR, 15 * HOUR, n)
        desk = np.where(rng.random(n) < self.lerp(0.97, 0.45), f["desk_of"][place], -1)
        doctor = np.where(rng.random(n) < self.lerp(0.99, 0.6), f["doctor_of"][place], -1)
        double = way.content == "double"
        return Visits.make(
            n,
            patient=patient,
            institution=place,
            start=start,
            end=np.where(stay, end, start),
            visit_type=kind,
            dx=np.where(alike, f["dx"], self.city.own_diagnosis(patient, rng)),
            seed=np.where(alike, self._bundle_seed(group), np.uint64(0)),
            regimen=np.where(alike, f["member"][0], -1),
            operator=desk,
            doctor=doctor,
            department=np.where(doctor >= 0, q.doctor_department[np.maximum(doctor, 0)], -1),
            supply=np.where(
                stay, 0, np.rint((self.lerp(75, 50) if double else 28) * rng.uniform(0.8, 1.2, n))
            ),
            drug_mult=self.lerp(2.0, 1.4) if double else 1.0,
            out_of_region=far,
            whole=not way.rides,
        )

    # -- charges -------------------------------------------------------------------------------

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Change what is charged, gang by gang."""
        rows = self.mine(v)
        parts, drop = [], np.zeros(len(o), dtype=bool)
        for group in self.groups:
            ours = rows[v.group[rows] == group.number]
            content = group.facts["way"].content
            if not len(ours):
                continue
            if content in ("resale", "costly"):
                parts.append(self._added(v, ours, group, rng))
            elif content == "amounts":
                same = ours[rng.random(len(ours)) < self.lerp(0.97, 0.5)]
                drop |= np.isin(o.visit, same)
                parts.append(self._recipe(v, same, group, rng))
            elif content == "bundle":
                alike = v.seed[ours] == self._bundle_seed(group)
                parts.append(self._recipe(v, ours[alike & ~v.is_stay[ours]], group, rng))
            elif content == "bed_only":
                drop |= self._idle(v, o, ours, rng)
        return Orders.concat([o.take(~drop), *parts])

    def _added(self, v: Visits, ours: np.ndarray, group: Group, rng: np.random.Generator) -> Orders:
        """Items on top of the ordinary basket: on almost all claims, or (careful) on most."""
        costly = group.facts["way"].content == "costly"
        if not group.facts["way"].rides:  # otherwise the added items are all that is gained
            ours = ours[rng.random(len(ours)) < self.lerp(0.97, 0.6)]
        each = 1 if costly else 2
        who = np.repeat(ours, each)
        shop = self.city.providers.kind[v.institution[who]] == KIND["pharmacy"]
        menus = group.facts["shop_menu"], group.facts["clinic_menu"]
        draw = rng.integers(0, len(menus[0]), len(who))
        draw[1::2] += (draw[1::2] == draw[0 : len(draw) - 1 : 2]) & (each == 2)
        what = np.where(shop, menus[0][draw % len(menus[0])], menus[1][draw % len(menus[1])])
        medicine = self.city.catalogue.category_is(what, "drug", "herb")
        most = round(self.lerp(5, 2)) + 1
        few = rng.integers(1, 3, len(who)) if costly else rng.integers(2, most + 1, len(who))
        return self.extra(v, who, what, np.where(medicine, few, 1), rng)

    def _recipe(self, v: Visits, rows: np.ndarray, group: Group, rng: np.random.Generator) -> Orders:
        """Make the same items in the same quantities for all of some visits."""
        items, boxes = group.facts["recipe"]
        who = np.repeat(rows, len(items))
        return self.extra(v, who, np.tile(items, len(rows)), np.tile(boxes, len(rows)), rng)

    def _bundle_seed(self, group: Group) -> np.uint64:
        """Basket seed of the gang's identical bundles."""
        return np.uint64(stable_seed(group.number, self.code, self.city.seed)[0])

    def _idle(self, v: Visits, o: Orders, ours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Lines of stays that are left out: after the first day hardly anything but bed and nursing."""
        mine = np.isin(o.visit, ours)
        later = o.second // DAY - v.start[o.visit] // DAY >= 1
        bed = self.city.catalogue.category_is(o.item, "bed", "nursing", "consultation")
        return mine & later & ~bed & (rng.random(len(o)) < self.lerp(0.97, 0.6))
