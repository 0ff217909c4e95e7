"""People and doctors whose numbers stand out, for good reason."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month, draw_clock, weekday
from fraud.synthetic.hashing import pick
from fraud.synthetic.nuisance.base import Nuisance
from fraud.synthetic.visits import VISIT_TYPE, Visits


class ExpensivePatient(Nuisance):
    """Legitimately very expensive people: transplants, haemophilia, targeted drugs, intensive care."""

    name, zh = "expensive_patient", "高费用患者"

    def plan(self, rng: np.random.Generator) -> None:
        """Choose them and their hospital."""
        pool = self.holders("transplant", "hemophilia", "cancer", "lupus")
        self.patients = self.some(pool, self.scale(900, 2), rng)
        self.place = self.city.choose_institution(self.patients, "tertiary", rng)
        c = self.city.catalogue
        held = self.city.people.certificates[self.patients]
        dx = np.full(len(self.patients), c.dx["C90.000"])
        for name, code in (
            ("transplant", "Z94.000"),
            ("hemophilia", "D66.x00"),
            ("lupus", "M32.900"),
            ("cancer", "C34.900"),
        ):
            dx[held[:, c.certificates.index(name)]] = c.dx[code]
        self.dx = dx

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Two to four costly visits a month, a stay now and then."""
        who = np.repeat(np.arange(len(self.patients)), rng.integers(2, 5, len(self.patients)))
        n = len(who)
        start = self.city.visit_times(month, n, rng)
        stay = rng.random(n) < 0.08
        end = np.where(stay, (start // DAY + rng.integers(4, 15, n)) * DAY + 10 * HOUR, start)
        return Visits.make(
            n,
            patient=self.patients[who],
            institution=self.place[who],
            start=start,
            end=end,
            dx=self.dx[who],
            visit_type=np.where(stay, VISIT_TYPE["inpatient"], VISIT_TYPE["chronic"]),
            supply=30,
            drug_mult=1.3,
        )


class HighVolumeDoctor(Nuisance):
    """Dedicated doctors who see very many patients and know them all."""

    name, zh = "high_volume_doctor", "高接诊量医师"

    def plan(self, rng: np.random.Generator) -> None:
        """Choose community doctors."""
        q = self.city.providers
        community = np.concatenate([q.by_role["community"], q.by_role["secondary"]])
        doctors = np.flatnonzero(np.isin(q.dept_institution[q.doctor_department], community))
        self.doctors = self.some(doctors, self.scale(4_000, 1), rng)
        self.circle = {}
        pool = self.holders("hypertension", "diabetes", "coronary", "copd")
        for d in self.doctors.tolist():
            self.circle[d] = self.some(pool, min(self.scale(60, 8), 110), rng)

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """About one more visit a month for each of the doctor's own patients."""
        q, parts = self.city.providers, []
        for d, circle in self.circle.items():
            patient = circle[rng.random(len(circle)) < 0.8]
            n = len(patient)
            dept = int(q.doctor_department[d])
            parts.append(
                Visits.make(
                    n,
                    patient=patient,
                    institution=int(q.dept_institution[dept]),
                    department=dept,
                    doctor=d,
                    visit_type=VISIT_TYPE["chronic"],
                    start=self.city.visit_times(month, n, rng),
                    dx=self.city.own_diagnosis(patient, rng),
                )
            )
        return Visits.concat(parts)


class PopularSpecialist(Nuisance):
    """A famous specialist whose day is full: patients every few minutes from everywhere."""

    name, zh = "popular_specialist", "热门专家门诊"

    def plan(self, rng: np.random.Generator) -> None:
        """Choose specialists, their weekday and subject."""
        q, c = self.city.providers, self.city.catalogue
        codes = [
            c.dx[k]
            for k in ("K29.500", "I25.103", "E05.900", "L30.900", "M17.900", "G47.000", "H04.100", "N92.100")
        ]
        self.stars = []
        for _ in range(self.scale(4_000, 1)):
            dx = int(rng.choice(codes))
            place = int(rng.choice(q.by_role["tertiary"]))
            dept = int(q.dept_of[place, c.dx_specialty[dx]])
            doctor = int(rng.integers(q.doctor_start[dept], q.doctor_start[dept + 1]))
            self.stars.append((dx, place, dept, doctor, int(rng.integers(0, 5))))

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """One long clinic a week."""
        parts = []
        for dx, place, dept, doctor, day_of_week in self.stars:
            for day in self.weekdays(month, (day_of_week,)):
                n = int(rng.integers(6, 16))
                patient = rng.choice(self.ages(18, 92), n, replace=False)
                start = self.queue(int(day), n, rng, opens=8.0, minutes=8.0)
                made = Visits.make(
                    n,
                    patient=patient,
                    institution=place,
                    department=dept,
                    doctor=doctor,
                    dx=dx,
                    start=start,
                    visit_type=VISIT_TYPE["outpatient"],
                )
                parts.append(made.take(self.city.age_sex_ok(patient, made.dx, month.first)))
        return Visits.concat(parts)


class WideTraveller(Nuisance):
    """People who legitimately use many institutions, some far away: drivers, students, migrants."""

    name, zh = "wide_traveller", "多地就医"

    def plan(self, rng: np.random.Generator) -> None:
        """Choose them."""
        self.patients = self.some(self.ages(18, 75), self.scale(120, 3), rng)

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Visits anywhere, a fifth of them out of the region."""
        who = np.repeat(self.patients, rng.poisson(2.2, len(self.patients)))
        n = len(who)
        kind = rng.choice(5, n, p=[0.2, 0.2, 0.3, 0.15, 0.15])
        place = np.zeros(n, dtype=np.int64)
        for code, role in enumerate(("tertiary", "secondary", "primary", "pharmacy", "away")):
            rows = kind == code
            where, _ = self.city.gravity(role)
            place[rows] = where[rng.integers(0, len(where), int(rows.sum()))]
        day = month.first + rng.integers(0, month.days, n)
        day = np.where((weekday(day) == 6) & (kind != 3), np.maximum(day - 1, month.first), day)
        return Visits.make(
            n,
            patient=who,
            institution=place,
            start=day * DAY + draw_clock(n, rng),
            out_of_region=kind == 4,
            dx=self.city.own_diagnosis(who, rng),
            visit_type=np.where(kind == 3, VISIT_TYPE["pharmacy"], VISIT_TYPE["outpatient"]),
        )


class Transfer(Nuisance):
    """Transfers: discharged here, admitted there the same day, the same diagnosis."""

    name, zh = "transfer", "转院"

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Two stays in a row; up the levels for the grave, down for rehabilitation."""
        c = self.city.catalogue
        n = self.scale(2_500, 1)
        patient = rng.choice(self.ages(50, 92), n, replace=False)
        dx = rng.choice([c.dx[k] for k in ("I63.900", "I61.900", "J18.900", "I21.900", "S72.000")], n)
        dx = np.where(self.city.age_sex_ok(patient, dx, month.first), dx, c.dx["J18.900"])
        start = self.city.visit_times(month, n, rng)
        first = self.city.choose_institution(patient, "secondary", rng)
        second = self.city.choose_institution(patient, "tertiary", rng)
        down = pick(2, patient, month.index, 351) == 1
        leave = (start // DAY + rng.integers(2, 6, n)) * DAY + rng.integers(9 * HOUR, 12 * HOUR, n)
        again = leave + rng.integers(2 * HOUR, 6 * HOUR, n)
        home = (again // DAY + rng.integers(5, 15, n)) * DAY + rng.integers(9 * HOUR, 15 * HOUR, n)
        stay = VISIT_TYPE["inpatient"]
        return Visits.concat(
            [
                Visits.make(
                    n,
                    patient=patient,
                    institution=np.where(down, second, first),
                    start=start,
                    end=leave,
                    dx=dx,
                    visit_type=stay,
                ),
                Visits.make(
                    n,
                    patient=patient,
                    institution=np.where(down, first, second),
                    start=again,
                    end=home,
                    dx=dx,
                    visit_type=stay,
                ),
            ]
        )


class Maternity(Nuisance):
    """Pregnancies: monthly controls, then a delivery, babies and all."""

    name, zh = "maternity", "生育"

    def plan(self, rng: np.random.Generator) -> None:
        """Draw pregnancies of the period."""
        p, months = self.city.people, self.city.months
        pool = self.ages(21, 40)
        pool = pool[p.female[pool]]
        count = max(2, round(len(pool) * 0.062 * (len(months) + 7) / 12))
        self.patients = self.some(pool, count, rng)
        n = len(self.patients)
        self.place = np.where(
            rng.random(n) < 0.5,
            self.city.choose_institution(self.patients, "maternity_hospital", rng),
            self.city.choose_institution(self.patients, "tertiary", rng),
        )
        self.due = months[0].first + rng.integers(0, (len(months) + 7) * 30, n)
        self.caesarean = rng.random(n) < 0.42

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Make controls of the last seven months, and deliveries of the month."""
        c = self.city.catalogue
        weeks = np.array([196, 168, 140, 112, 84, 56, 42, 28, 14, 7])
        day = self.due[:, None] - weeks[None, :]
        who, k = np.nonzero((day >= month.first) & (day < month.first + month.days))
        n = len(who)
        controls = Visits.make(
            n,
            patient=self.patients[who],
            institution=self.place[who],
            visit_type=VISIT_TYPE["outpatient"],
            start=day[who, k] * DAY + draw_clock(n, rng),
            dx=c.dx["Z34.900"],
        )
        who = np.flatnonzero((self.due >= month.first) & (self.due < month.first + month.days))
        n = len(who)
        start = self.due[who] * DAY + draw_clock(n, rng, "emergency")
        nights = np.where(self.caesarean[who], rng.integers(4, 7, n), rng.integers(2, 5, n))
        births = Visits.make(
            n,
            patient=self.patients[who],
            institution=self.place[who],
            visit_type=VISIT_TYPE["maternity"],
            start=start,
            end=(start // DAY + nights) * DAY + rng.integers(9 * HOUR, 15 * HOUR, n),
            dx=np.where(self.caesarean[who], c.dx["O82.900"], c.dx["O80.900"]),
        )
        return Visits.concat([controls, births])
