"""Courses of treatment: the same people, place and items again and again, for good reason."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.hashing import pick, uniform
from fraud.synthetic.nuisance.base import Nuisance
from fraud.synthetic.visits import VISIT_TYPE, Visits


class DialysisShift(Nuisance):
    """Dialysis three times a week, always in the same shift with the same neighbours."""

    name, zh = "dialysis_shift", "透析班次"

    def plan(self, rng: np.random.Generator) -> None:
        """Give each dialysis patient a centre and a shift."""
        self.patients = self.holders("ckd_dialysis")
        centres = np.concatenate(
            [self.city.providers.by_role[r] for r in ("dialysis", "tertiary", "secondary")]
        )
        weight = np.array([3.0 if r in self.city.providers.by_role["dialysis"] else 1.0 for r in centres])
        cdf = np.cumsum(weight) / weight.sum()
        near = uniform(self.city.people.block[self.patients], 301)
        self.centre = centres[np.searchsorted(cdf, near)]
        self.shift = pick(3, self.patients, 302)
        self.odd = pick(2, self.patients, 303)

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Sessions on Monday–Wednesday–Friday or Tuesday–Thursday–Saturday, holidays included."""
        days = [self.weekdays(month, (0, 2, 4)), self.weekdays(month, (1, 3, 5))]
        who = np.concatenate(
            [np.repeat(i, len(days[o])) for i, o in enumerate(self.odd)] or [np.zeros(0, int)]
        ).astype(np.int64)
        day = np.concatenate([days[o] for o in self.odd] or [np.zeros(0, int)]).astype(np.int64)
        keep = rng.random(len(who)) < 0.97
        who, day = who[keep], day[keep]
        opens = np.array([7.3, 12.6, 17.4])[self.shift[who]]
        start = (day * DAY + opens * HOUR + rng.uniform(0, 0.6 * HOUR, len(who))).astype(np.int64)
        return Visits.make(
            len(who),
            patient=self.patients[who],
            institution=self.centre[who],
            start=start,
            visit_type=VISIT_TYPE["chronic"],
            dx=self.city.catalogue.dx["Z49.100"],
        )


class ChemoCycle(Nuisance):
    """Chemotherapy: a short stay every three weeks; and weekly outpatient infusions."""

    name, zh = "chemo_cycle", "化疗周期"

    def plan(self, rng: np.random.Generator) -> None:
        """Choose cancer patients in treatment, their hospital and rhythm."""
        pool = self.holders("cancer")
        self.patients = self.some(pool, max(2, round(len(pool) * 0.4)), rng)
        n = len(self.patients)
        self.place = self.city.choose_institution(self.patients, "tertiary", rng)
        self.phase = rng.integers(0, 21, n)
        self.rhythm = rng.choice([14, 21, 21, 28], n)
        first = self.city.months[0].first
        span = len(self.city.months) * 30
        self.begin = first + rng.integers(-90, max(1, span - 60), n)
        self.cycles = rng.integers(4, 9, n)

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Cycles that begin in the month."""
        day = self.begin[:, None] + self.rhythm[:, None] * np.arange(9)[None, :]
        ok = (
            (np.arange(9)[None, :] < self.cycles[:, None])
            & (day >= month.first)
            & (day < month.first + month.days)
        )
        who, k = np.nonzero(ok)
        start = day[who, k] * DAY + rng.integers(8 * HOUR, 11 * HOUR, len(who))
        length = 1 + pick(3, self.patients[who], 311)
        return Visits.make(
            len(who),
            patient=self.patients[who],
            institution=self.place[who],
            start=start,
            end=(start // DAY + length) * DAY + rng.integers(9 * HOUR, 15 * HOUR, len(who)),
            visit_type=VISIT_TYPE["inpatient"],
            dx=self.city.catalogue.dx["Z51.100"],
            regimen=self.patients[who],
        )


class _Course(Nuisance):
    """Sessions on most working days for some weeks."""

    dx: tuple[str, ...]
    places: tuple[str, ...]
    age = (30.0, 90.0)
    per, sessions, every = 220.0, (8, 20), 1.6

    def plan(self, rng: np.random.Generator) -> None:
        """Draw the courses of the whole period."""
        months = self.city.months
        count = self.scale(self.per, 2) * len(months)
        self.patient = rng.choice(self.ages(*self.age), count)
        roles = rng.choice(self.places, count)
        self.place = np.zeros(count, dtype=np.int64)
        for role in dict.fromkeys(self.places):
            self.place[roles == role] = self.city.choose_institution(self.patient[roles == role], role, rng)
        self.begin = months[0].first + rng.integers(-20, len(months) * 30, count)
        self.count = rng.integers(*self.sessions, count)
        self.hour = rng.uniform(8.2, 16.5, count)
        codes = np.array([self.city.catalogue.dx[k] for k in self.dx])
        self.diagnosis = rng.choice(codes, count)

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Sessions of running courses."""
        longest = self.sessions[1]
        k = np.arange(longest)[None, :]
        day = self.begin[:, None] + np.floor(k * self.every + uniform(self.patient[:, None], k, 321)).astype(
            np.int64
        )
        ok = (k < self.count[:, None]) & (day >= month.first) & (day < month.first + month.days)
        who, j = np.nonzero(ok)
        day = day[who, j]
        open_ = (day + 3) % 7 < 6
        who, day = who[open_], day[open_]
        start = (day * DAY + self.hour[who] * HOUR + rng.normal(0, 900, len(who))).astype(np.int64)
        return Visits.make(
            len(who),
            patient=self.patient[who],
            institution=self.place[who],
            start=start,
            visit_type=VISIT_TYPE["outpatient"],
            dx=self.diagnosis[who],
        )


class RehabCourse(_Course):
    """Rehabilitation after a stroke or fracture, day after day."""

    name, zh = "rehab_course", "康复疗程"
    dx, places = ("Z50.100", "G81.900"), ("rehab", "tcm_hospital")
    age, per, sessions, every = (42.0, 92.0), 1500.0, (10, 26), 1.3


class TcmCourse(_Course):
    """Acupuncture and massage courses."""

    name, zh = "tcm_course", "中医疗程"
    dx, places = ("U62.000", "G51.000", "M47.800"), ("tcm_hospital", "community", "clinic")
    age, per, sessions, every = (36.0, 85.0), 700.0, (5, 13), 1.7


class PsychiatricStay(Nuisance):
    """Psychiatric stays of a month or more, one after the other, settled monthly."""

    name, zh = "psychiatric_stay", "精神科长期住院"

    def plan(self, rng: np.random.Generator) -> None:
        """Choose long-stay patients."""
        pool = self.holders("psychosis")
        self.patients = self.some(pool, max(1, round(len(pool) * 0.12)), rng)
        self.place = self.city.choose_institution(self.patients, "psychiatric", rng)

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """One stay a month, from its first days to its last."""
        n = len(self.patients)
        start = (month.first + 1) * DAY + rng.integers(9 * HOUR, 11 * HOUR, n)
        end = (month.first + month.days - 1) * DAY + rng.integers(14 * HOUR, 16 * HOUR, n)
        return Visits.make(
            n,
            patient=self.patients,
            institution=self.place,
            start=start,
            end=end,
            visit_type=VISIT_TYPE["inpatient"],
            dx=self.city.catalogue.dx["F20.900"],
        )
