"""Composed rings: gangs that nobody designed, each with a way of working drawn at random."""

from dataclasses import replace

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.city import KIND
from fraud.synthetic.crowds import arrivals, chosen_open, inside, session_days
from fraud.synthetic.schemes.base import Group
from fraud.synthetic.schemes.composed_charges import ComposedCharges
from fraud.synthetic.schemes.ways import PLACES, Way, draw_way
from fraud.synthetic.visits import VISIT_TYPE, Visits

_LEAST_SESSIONS = 3  # so that a member has a few claims, and the gang a shape
_REST = 25  # days between two stays of a member
_MOST = 60  # members
_HOURS = {"doctor_pharmacy": 2, "referral": 2, "tour": 2}  # claims of a member at each session
# Courses that a gang may pad: certificate its members hold (anybody where empty) and diagnosis, by place.
_COURSES: dict[str, tuple[tuple[str, str], ...]] = {
    "rehab": (("stroke", "Z50.100"), ("", "G81.900"), ("", "M47.800")),
    "tcm_hospital": (("stroke", "Z50.100"), ("", "M51.200"), ("", "U62.000")),
    "community": (("", "M47.800"), ("", "J20.900"), ("stroke", "G81.900")),
    "secondary": (("cancer", "Z51.100"), ("ckd_dialysis", "Z49.100"), ("", "M54.500")),
    "dialysis": (("ckd_dialysis", "Z49.100"),),
}


class ComposedRing(ComposedCharges):
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
            share = self.careful(way.care_time, way.rotation, max(0.25, 0.6 * way.rotation))
            share = max(share, _LEAST_SESSIONS / sessions)
            present = min(way.size, max(2, round(way.size * share)))
            if way.turnover != "regulars":  # more people in all, no more of them at a time
                seats = present * sessions * (1.0 if way.turnover == "once" else 0.4)
                most = min(_MOST, max(5, self.city.people.n // 25))
                way = replace(way, size=int(np.clip(round(seats * own.uniform(0.6, 1.0)), way.size, most)))
            each = present * _HOURS.get(way.anchor, 1)
            group = Group(len(groups), np.array([len(d) * each for d in days], dtype=np.int64))
            group.facts |= {"way": way, "days": days, "present": present, "free": {}, "turn": 0, "stock": []}
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
            np.where(
                rng.random(len(d)) < self.careful(way.care_time, 0.0, 0.5), d + rng.integers(-3, 4, len(d)), d
            ).clip(m.first, m.first + m.days - 1)
            for m, d in zip(months, days, strict=True)
        ]

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose members, places and whoever is constant there, from the gang's own generator."""
        own = self.city.rng(self.name, "actors", group.number)
        way, q = group.facts["way"], self.city.providers
        role = str(own.choice(PLACES[way.anchor])) if PLACES[way.anchor] else ""
        group.facts["course"] = ("", "")
        if way.anchor == "course":
            options = _COURSES[role]
            group.facts["course"] = options[int(own.integers(0, len(options)))]
        self._enlist(group, own)
        group.facts["desk_of"] = np.full(q.n, -1)
        group.facts["doctor_of"] = np.full(q.n, -1)
        paired = way.anchor in ("doctor_pharmacy", "referral")
        count = {"tour": way.run, "item": 0}.get(way.anchor, 1 if paired else way.spots)
        roles = (
            [str(own.choice(PLACES[way.anchor])) for _ in range(count)]
            if way.anchor == "tour"
            else [role] * count
        )
        places = [self._settle_at(group, r, "place", own) for r in roles]
        if way.anchor == "doctor_pharmacy":
            places.append(self._settle_at(group, "pharmacy", "pharmacy", own))
        elif way.anchor == "referral":
            further = str(own.choice(("secondary", "tertiary", "private_hospital", "tcm_hospital")))
            places.append(self._settle_at(group, further, "place", own))
        group.facts["places"] = np.array(places if paired else list(dict.fromkeys(places)), dtype=np.int64)
        if way.fence:
            self.institution(group, ("pharmacy", "clinic"), own, role="fence")
        self.stock(group, own)

    def _enlist(self, group: Group, rng: np.random.Generator) -> None:
        """Recruit members; the more camouflage, the fewer of them know each other."""
        way, p = group.facts["way"], self.city.people
        certificate = None
        if way.recruits == "certificate":
            held = p.certificates.sum(axis=0)
            common = np.flatnonzero(held >= 3 * way.size)
            certificate = self.city.catalogue.certificates[int(rng.choice(common))] if len(common) else "any"
        ill = group.facts["course"][0] or certificate
        pool = self._pool(ill, 48 if way.anchor == "ward" else 36)
        if len(pool) < way.size:
            pool = self._pool(certificate, 36)
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
            close = rng.permutation(pool[tie[pool] == tie[seat]])[: round(size * self.lerp(0.9, 0.2))]
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
        if not shop and (way.constant == "doctor" or way.anchor in ("doctor", "doctor_pharmacy", "referral")):
            group.facts["doctor_of"][place] = self.doctor(
                group,
                place,
                rng,
                ("general", "cardiology", "tcm", "endocrinology", "neurology", "nephrology"),
            )
        return place

    # -- meetings ------------------------------------------------------------------------------

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """All sessions of the month, from the gang's own generator."""
        own = self.city.rng(self.name, "month", group.number, month.index)
        self.resell(group, count, month, honest, own)
        days = group.facts["days"][month.index].tolist()
        parts = [self._session(group, int(d), month, own) for d in days]
        made = Visits.concat(parts)
        return self._on_free_days(group, made, month, honest, own) if group.facts["course"][1] else made

    def _session(self, group: Group, day: int, month: Month, rng: np.random.Generator) -> Visits:
        """One session: who is present, when they come, and to which places."""
        f, way = group.facts, group.facts["way"]
        day = self._on_duty(group, day, month)
        patient = self._present(group, day, rng)
        turn, n = f["turn"], len(patient)
        f["turn"] += 1
        if not n:
            return Visits.make(0)
        shop = way.anchor == "pharmacy"
        profile = "pharmacy" if shop else "clinic"
        care = way.care_time
        gap, lag = way.gap * self.careful(care, 1.0, 4.0), way.lag
        start = arrivals(way.gathering, n, day, month, rng, gap=gap, lag=lag, run=way.run, profile=profile)
        alone = rng.random(n) < self.careful(care, 0.02, 0.45)
        start = np.where(alone, self.moments(month, n, rng, profile), start)
        if way.anchor == "item":
            return self._claims(group, patient, self._anywhere(patient, rng), start, rng)
        if way.anchor == "tour":
            return self._tour(group, patient, start, turn, month, rng)
        paired = way.anchor in ("doctor_pharmacy", "referral")
        place = np.full(n, f["places"][0 if paired else turn % len(f["places"])])
        if way.anchor not in ("ward", "away", "course"):
            away = rng.random(n) < self.careful(way.care_cover, 0.0, 0.2)
            place = np.where(away, self._anywhere(patient, rng, shop=shop), place)
        made = self._claims(group, patient, place, start, rng)
        if not paired:
            return made
        soon = rng.random(n) < self.careful(care, 0.95, 0.4)
        days = 4 if way.anchor == "doctor_pharmacy" else 10
        later = np.where(soon, rng.integers(HOUR // 2, 4 * HOUR, n), rng.integers(20 * HOUR, days * DAY, n))
        then = self._claims(group, patient, np.full(n, f["places"][-1]), start + later, rng)
        return Visits.concat([made, then])

    def _tour(
        self,
        group: Group,
        patient: np.ndarray,
        start: np.ndarray,
        turn: int,
        month: Month,
        rng: np.random.Generator,
    ) -> Visits:
        """Two places of the tour, one after the other."""
        every = group.facts["places"]
        places = every[(turn + np.arange(min(2, len(every)))) % len(every)]
        step = int(rng.choice([HOUR, 3 * HOUR, DAY]))
        legs = [
            self._claims(group, patient, np.full(len(patient), x), inside(start + i * step, month), rng)
            for i, x in enumerate(places)
        ]
        return Visits.concat(legs)

    def _on_free_days(
        self, group: Group, v: Visits, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Move sessions of a course to days on which the members come to nobody (the careful do)."""
        members = group.facts["member"]
        own = np.isin(honest.patient, members)
        busy = np.unique(honest.patient[own].astype(np.int64) * 1_000_000 + honest.start[own] // DAY)
        careful = rng.random(len(v)) < self.careful(group.facts["way"].care_time, 0.2, 1.0)
        for _ in range(4):
            clash = careful & np.isin(v.patient.astype(np.int64) * 1_000_000 + v.start // DAY, busy)
            moved = (month.first + rng.integers(0, month.days, len(v)) - v.start // DAY) * DAY
            v.start, v.end = v.start + clash * moved, v.end + clash * moved
        return v

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
        number = np.arange(len(free))
        if way.turnover == "waves":  # a window over the members, which moves on with each session
            width = min(len(free), max(f["present"] + 1, round(1.6 * f["present"])))
            sessions = max(1, sum(len(d) for d in f["days"]) - 1)
            begin = round((len(free) - width) * min(1.0, f["turn"] / sessions))
            free &= (number >= begin) & (number < begin + width)
        rows = rng.permutation(np.flatnonzero(free))
        if way.turnover == "once":
            came = f.setdefault("came", np.zeros(len(free), dtype=np.int64))
            rows = rows[np.argsort(came[rows], kind="stable")]
            came[rows[: f["present"]]] += 1
        rows = rows[: f["present"]]
        rows = np.sort(rows) if way.gathering == "steady_lag" else rows
        patient = f["member"][rows]
        if way.anchor == "ward":
            f["free"] |= {int(m): day + _REST for m in patient}
        return patient

    def _anywhere(self, patient: np.ndarray, rng: np.random.Generator, *, shop: bool = False) -> np.ndarray:
        """Places the patients choose themselves."""
        level = np.full(len(patient), 3) if shop else rng.integers(0, 4, len(patient))
        place = np.zeros(len(patient), dtype=np.int64)
        for code, name in enumerate(("tertiary", "secondary", "primary", "pharmacy")):
            rows = level == code
            place[rows] = self.city.choose_institution(patient[rows], name, rng, loyal=self.lerp(0.25, 0.75))
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
        content = self.content(way, start)
        shop = q.kind[place] == KIND["pharmacy"]
        alike = (content == "bundle") & (rng.random(n) < self.careful(way.care_charges, 0.97, 0.35))
        ill = self.city.people.certificates[patient].any(axis=1)
        kind = np.where(ill & (rng.random(n) < 0.7), VISIT_TYPE["chronic"], VISIT_TYPE["outpatient"])
        far = way.anchor == "away"
        # A recipe is cheaper than the deductible of a stay.
        stay = (way.anchor == "ward") | (far & (content != "amounts") & (rng.random(n) < 0.45))
        kind = np.where(stay, VISIT_TYPE["inpatient"], np.where(shop, VISIT_TYPE["pharmacy"], kind))
        nights = max(2, way.nights + int(rng.integers(-1, 2)))  # of those who are let out together
        loose = rng.random(n) < self.careful(way.care_time, 0.05, 0.7)
        days = np.maximum(2, nights + loose * rng.integers(-3, 5, n))
        end = (start // DAY + days) * DAY + rng.integers(9 * HOUR, 15 * HOUR, n)
        cover = way.care_cover
        desk = np.where(rng.random(n) < self.careful(cover, 0.97, 0.4), f["desk_of"][place], -1)
        doctor = np.where(rng.random(n) < self.careful(cover, 0.99, 0.5), f["doctor_of"][place], -1)
        doctor = np.where(shop, -1, doctor)
        double = content == "double"
        supply = self.careful(way.care_charges, 75, 45) * way.greed
        supply = np.where(double, supply, 28) * rng.uniform(0.8, 1.2, n)
        invoice = self.invoices(group, n, rng) if way.book else np.full(n, -1)
        rounded = way.rounded & (rng.random(n) < self.careful(way.care_charges, 0.9, 0.2))
        return Visits.make(
            n,
            patient=patient,
            institution=place,
            start=start,
            end=np.where(stay, end, start),
            visit_type=kind,
            dx=self.diagnosis(group, patient, alike, start, rng),
            seed=np.where(alike, self.bundle_seed(group, start), np.uint64(0)),
            regimen=np.where(alike, f["member"][0], -1),
            operator=desk,
            doctor=doctor,
            department=np.where(doctor >= 0, q.doctor_department[np.maximum(doctor, 0)], -1),
            supply=np.where(stay, 0, np.rint(supply)),
            drug_mult=np.where(double, self.careful(way.care_charges, 2.0, 1.4), 1.0),
            out_of_region=far,
            invoice=invoice,
            round_to=np.where(rounded, rng.choice([20_000, 50_000, 100_000], n), 0),
            whole=not way.rides,
        )
