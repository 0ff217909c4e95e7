"""Composed circles: innocent crowds drawn as randomly as the gangs that nobody designed."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.city import KIND, stable_seed
from fraud.synthetic.crowds import arrivals, inside, session_days
from fraud.synthetic.nuisance.base import Nuisance
from fraud.synthetic.nuisance.circles import CIRCLES, Circle, CircleKind
from fraud.synthetic.visits import VISIT_TYPE, Visits


class ComposedCircle(Nuisance):
    """Circles that meet for a good reason, on regular or irregular days, and take what they need."""

    name, zh = "composed_circle", "组合人群"
    people_per_circle = 200

    # -- who and when --------------------------------------------------------------------------

    def plan(self, rng: np.random.Generator) -> None:
        """Draw the circles, each from its own generator; the kinds take turns."""
        self.circles: list[Circle] = []
        for number in range(self.scale(self.people_per_circle, len(CIRCLES))):
            own = self.city.rng(self.name, number)
            kind = CIRCLES[number % len(CIRCLES)]
            members = self._members(kind, own)
            if len(members) >= kind.size[0]:
                self.circles.append(self._circle(number, kind, members, own))

    def _members(self, kind: CircleKind, rng: np.random.Generator) -> np.ndarray:
        """People of the right age and health who know each other, if the kind asks for it."""
        p = self.city.people
        held = [c for c in kind.certificates if c in self.city.catalogue.certificates]
        if kind.name == "support_group":
            held = [str(rng.choice(held))]  # people with one disease
        pool = self.ages(*kind.ages)
        pool = np.intersect1d(pool, self.holders(*held)) if held else pool
        pool = pool[p.female[pool]] if kind.female else pool
        size = int(rng.integers(kind.size[0], kind.size[1] + 1))
        tie = str(rng.choice(kind.ties))
        if not len(pool) or tie == "nobody":
            return self.some(pool, size, rng)
        if tie == "household":
            pool = pool[p.block[pool] == p.block[rng.choice(pool)]]
            homes, count = np.unique(p.household[pool], return_counts=True)
            two = rng.choice(homes[count >= 2], 2) if (count >= 2).any() else homes[:2]
            return pool[np.isin(p.household[pool], two)][:size]
        of = p.block if tie == "block" else p.employer
        pool = pool[of[pool] >= 0]
        if not len(pool):
            return pool
        close = pool[of[pool] == of[rng.choice(pool)]]
        if len(close) < kind.size[0] and tie == "block":  # friends from further off
            close = np.union1d(close, self.some(pool, kind.size[0], rng))
        return self.some(close, size, rng)

    def _circle(self, number: int, kind: CircleKind, members: np.ndarray, rng: np.random.Generator) -> Circle:
        """Draw a circle's place, rhythm and habits."""
        q = self.city.providers
        after = str(rng.choice(kind.next_role))
        place = self._place(str(rng.choice(kind.roles)), members, rng)
        doctors = q.doctors_of(place)
        constant = str(rng.choice(kind.constant))
        if constant == "doctor":  # of the department that treats it
            c = self.city.catalogue
            dx = c.dx[kind.codes[0]] if kind.codes else int(self.city.own_diagnosis(members[:1], rng)[0])
            specialty = c.dx_specialty[dx]
            there = doctors[q.doctor_department[doctors] == q.dept_of[place, specialty]]
            doctors = there if len(there) else doctors
        desks = q.operator_start[place : place + 2]
        return Circle(
            number=number,
            kind=kind,
            members=members,
            place=place,
            after=self._place(after, members, rng) if after else -1,
            desk=int(rng.integers(*desks)) if constant == "operator" else -1,
            doctor=int(rng.choice(doctors)) if constant == "doctor" and len(doctors) else -1,
            rhythm=str(rng.choice(kind.rhythms)),
            gathering=str(rng.choice(kind.gatherings)),
            weekday=int(rng.integers(0, 5)),
            attendance=float(rng.uniform(0.35, 1.0)),
            gap=float(rng.uniform(0.6, 6.0)),
            lag=int(rng.choice([10 * 60, 30 * 60, HOUR])),
            run=int(rng.integers(2, 6)),
            months=self._months(kind, rng),
        )

    def _place(self, role: str, members: np.ndarray, rng: np.random.Generator) -> int:
        return int(self.city.choose_institution(members[:1], role, rng)[0])

    def _months(self, kind: CircleKind, rng: np.random.Generator) -> set[int]:
        """Months of the dataset in which a circle meets: some in its season, or a span of its life."""
        months = self.city.months
        season = [m.index for m in months if not kind.months or m.number in kind.months]
        if kind.often:
            count = min(len(season), int(rng.integers(1, kind.often + 1)))
            first = int(rng.integers(0, len(season) - count + 1)) if season else 0
            return set(season[first : first + count])
        span = int(rng.integers(max(1, len(months) // 2), 2 * len(months) + 1))
        begin = int(rng.integers(min(0, 2 - span), max(1, len(months) - 1)))
        return {i for i in season if begin <= i < begin + span}

    def circle_names(self) -> dict[int, str]:
        """Identifiers of the circles, by their number."""
        return {c.number: c.name for c in self.circles}

    # -- meetings ------------------------------------------------------------------------------

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Visits whose reason is the circle."""
        parts = [
            self._needed(circle, patient, start, month, own)
            for circle in self.circles
            if not circle.kind.refill
            for patient, start, own in self._sessions(circle, month)
        ]
        return Visits.concat(parts)

    def gather(self, month: Month, ordinary: Visits, rng: np.random.Generator) -> None:
        """Move refills of the members to the day, hour and place of the circle."""
        free = self._refills(ordinary)
        rows = np.flatnonzero(free)
        rows = rows[np.argsort(ordinary.patient[rows], kind="stable")]
        owner = ordinary.patient[rows]
        for circle in self.circles:
            if not circle.kind.refill:
                continue
            for patient, start, own in self._sessions(circle, month):
                self._move(circle, patient, start, (rows, owner, free), month, ordinary, own)

    def _sessions(
        self, circle: Circle, month: Month
    ) -> list[tuple[np.ndarray, np.ndarray, np.random.Generator]]:
        """Who comes and when, for each session of the month."""
        if month.index not in circle.months:
            return []
        rng = self.city.rng(self.name, "month", circle.number, month.index)
        shop = self.city.providers.kind[circle.place] == KIND["pharmacy"]
        sessions = []
        for day in self._days(circle, month, rng, always_open=bool(shop)).tolist():
            present = rng.permutation(circle.members)
            present = present[: max(2, rng.binomial(len(present), circle.attendance))]
            if circle.gathering == "steady_lag":
                present = np.sort(present)
            start = arrivals(
                circle.gathering,
                len(present),
                self._on_duty(circle, int(day), month),
                month,
                rng,
                gap=circle.gap,
                lag=circle.lag,
                run=circle.run,
                profile="pharmacy" if shop else "clinic",
                window=circle.kind.window,
            )
            sessions.append((present, start, rng))
        return sessions

    def _days(
        self, circle: Circle, month: Month, rng: np.random.Generator, *, always_open: bool
    ) -> np.ndarray:
        if circle.rhythm != "course":
            return session_days(month, circle.rhythm, circle.weekday, rng, always_open=always_open)
        days = session_days(month, "daily", 0, rng, always_open=always_open)
        length = int(rng.integers(3, 9))
        first = int(rng.integers(0, max(1, len(days) - length)))
        return days[first : first + length]

    def _on_duty(self, circle: Circle, day: int, month: Month) -> int:
        """Day of a session, moved to one when the circle's doctor works."""
        for shift in range(7 if circle.doctor >= 0 else 0):
            later = month.first + (day - month.first + shift) % month.days
            if not self.city.off_duty(np.array([circle.doctor]), np.array([later])).any():
                return later
        return day

    # -- what they take ------------------------------------------------------------------------

    def _needed(
        self,
        circle: Circle,
        patient: np.ndarray,
        start: np.ndarray,
        month: Month,
        rng: np.random.Generator,
    ) -> Visits:
        """Visits with the diagnosis that brings people here."""
        kind, n, c = circle.kind, len(patient), self.city.catalogue
        if kind.codes:  # the reason of a member does not change
            dx = np.array([c.dx[k] for k in kind.codes])[(patient + circle.number) % len(kind.codes)]
        else:
            dx = self.city.own_diagnosis(patient, rng)
        alike = rng.random(n) < kind.alike
        if kind.alike:
            shared = c.dx[kind.codes[circle.number % len(kind.codes)]]
            alike &= self.city.age_sex_ok(patient, np.full(n, shared), month.first)
            dx = np.where(alike, shared, dx)
        days = np.rint(rng.normal(7, 1.5, n)).clip(3).astype(np.int64)
        days = np.where(alike, 4 + circle.number % 6, days)
        end = start
        if kind.visit_type == "inpatient":
            end = (start // DAY + days) * DAY + rng.integers(9 * HOUR, 15 * HOUR, n)
        elif kind.visit_type == "day_surgery":
            end = start + rng.integers(4 * HOUR, 8 * HOUR, n)
        made = Visits.make(
            n,
            patient=patient,
            institution=circle.place,
            start=start,
            end=end,
            visit_type=VISIT_TYPE[kind.visit_type],
            dx=dx,
            seed=np.where(alike, stable_seed(circle.number, self.code, self.city.seed), np.uint64(0)),
            regimen=np.where(alike, int(circle.members[0]), -1),
            drug_mult=kind.drugs,
            out_of_region=self._is_far(circle.place),
            group=circle.number,
            **self._staff(circle, n, rng),
        )
        return made.take(self.city.age_sex_ok(patient, dx, month.first))

    def _refills(self, v: Visits) -> np.ndarray:
        """Ordinary visits for a certified disease, which can as well be made some days later."""
        kinds = [VISIT_TYPE[k] for k in ("chronic", "outpatient", "pharmacy")]
        certified = self.city.catalogue.dx_certificate[v.dx] >= 0
        return np.isin(v.visit_type, kinds) & certified & ~v.out_of_region & (v.nuisance == 0)

    def _move(
        self,
        circle: Circle,
        patient: np.ndarray,
        start: np.ndarray,
        refills: tuple[np.ndarray, np.ndarray, np.ndarray],
        month: Month,
        v: Visits,
        rng: np.random.Generator,
    ) -> None:
        """Move the refill nearest in time of each member; one who needs none this month stays at home."""
        rows, owner, free = refills
        low, high = np.searchsorted(owner, patient), np.searchsorted(owner, patient, side="right")
        wanted = self._wanted(circle)
        chosen, moment, after, later = [], [], [], []
        for who, lo, hi, when in zip(patient.tolist(), low, high, start.tolist(), strict=True):
            own = rows[lo:hi]
            own = own[free[own] & wanted[v.dx[own]]]
            own = own[np.argsort(np.abs(v.start[own] - when), kind="stable")]
            if not len(own):
                continue
            chosen.append(own[0])
            moment.append(when)
            if circle.after >= 0 and len(own) > 1:
                after.append(own[1])
                later.append(when + int(rng.integers(HOUR // 2, 4 * HOUR)))
            free[own[:2] if circle.after >= 0 else own[:1]] = False
            elapsed = when // DAY - circle.last.get(who, when // DAY - 28)
            v.supply[own[0] if circle.after < 0 or len(own) < 2 else own[1]] = min(max(elapsed, 7), 30)
            circle.last[who] = when // DAY
        self._bring(circle, circle.place, np.array(chosen, dtype=np.int64), moment, v, rng)
        self._bring(circle, circle.after, np.array(after, dtype=np.int64), later, v, rng)
        v.start[after] = inside(v.start[after], month)
        v.end[after] = v.start[after]

    def _wanted(self, circle: Circle) -> np.ndarray:
        """Diagnoses that bring people to this circle."""
        c = self.city.catalogue
        held = [c.certificates.index(n) for n in circle.kind.certificates]
        return np.isin(c.dx_certificate, held)

    def _bring(
        self,
        circle: Circle,
        place: int,
        rows: np.ndarray,
        start: list[int],
        v: Visits,
        rng: np.random.Generator,
    ) -> None:
        """Put visits at a place and time."""
        if not len(rows):
            return
        shop = self.city.providers.kind[place] == KIND["pharmacy"]
        kind = np.where(
            v.visit_type[rows] == VISIT_TYPE["outpatient"], v.visit_type[rows], VISIT_TYPE["chronic"]
        )
        staff = self._staff(circle, len(rows), rng) if place == circle.place else {}
        v.put(
            rows,
            institution=place,
            start=np.array(start),
            end=np.array(start),
            visit_type=VISIT_TYPE["pharmacy"] if shop else kind,
            out_of_region=self._is_far(place),
            nuisance=self.code,
            group=circle.number,
            **staff,
        )

    def _is_far(self, place: int) -> bool:
        return bool(self.city.providers.district[place] < 0)

    def _staff(self, circle: Circle, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Operator, doctor and department of visits to the circle's place: mostly the usual ones."""
        usual = rng.random(n) < 0.93
        doctor = np.where(usual, circle.doctor, -1)
        department = self.city.providers.doctor_department[max(circle.doctor, 0)]
        return {
            "operator": np.where(usual, circle.desk, -1),
            "doctor": doctor,
            "department": np.where(doctor >= 0, department, -1),
        }
