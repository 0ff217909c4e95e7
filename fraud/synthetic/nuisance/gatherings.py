"""Gatherings: many people at one place and time, for good reason."""

from typing import ClassVar

import numpy as np

from fraud.synthetic.calendar import HOUR, Month
from fraud.synthetic.hashing import pick
from fraud.synthetic.nuisance.base import Nuisance
from fraud.synthetic.visits import VISIT_TYPE, Visits


class FamilyVisit(Nuisance):
    """Members of a household who see a doctor together."""

    name, zh = "family_visit", "家庭同诊"

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Take a few households a month: two to four of them, minutes apart, the same cold."""
        p, c = self.city.people, self.city.catalogue
        heads = rng.choice(p.n, self.scale(160, 2))
        low = np.searchsorted(p.household, p.household[heads])
        high = np.searchsorted(p.household, p.household[heads], side="right")
        size = np.minimum(high - low, rng.integers(2, 5, len(heads)))
        fam = np.repeat(np.arange(len(heads)), size)
        step = np.arange(len(fam)) - np.repeat(np.cumsum(size) - size, size)
        patient = low[fam] + step
        place = self.city.choose_institution(
            patient[np.concatenate([[0], np.flatnonzero(np.diff(fam)) + 1])], "primary", rng
        )
        begin = self.city.visit_times(month, len(heads), rng)
        dx = np.where(p.age(patient, month.first) < 14, c.dx["J00.x00"], c.dx["J06.900"])
        return Visits.make(
            len(fam),
            patient=patient,
            institution=place[fam],
            visit_type=VISIT_TYPE["outpatient"],
            start=begin[fam] + step * rng.integers(60, 420, len(fam)),
            dx=dx,
        )


class _Session(Nuisance):
    """A fixed circle that comes on fixed days: the base of the others here."""

    circles_per, circle = 3_000.0, (10, 24)
    roles: ClassVar[tuple[str, ...]] = ("community",)
    codes: ClassVar[tuple[str, ...]] = ()
    kind = "chronic"
    opens, minutes, attendance = 8.3, 4.0, 0.85
    supply = 0.0

    def pool(self) -> np.ndarray:
        """Who may belong to a circle."""
        return self.holders("hypertension", "diabetes", "coronary", "stroke")

    def plan(self, rng: np.random.Generator) -> None:
        """Draw circles of people from one neighbourhood, and their place and day."""
        p, pool = self.city.people, self.pool()
        if len(pool) < 3:  # a hamlet: whoever is there
            pool = np.union1d(pool, self.ages(20, 101))
        self.circles: list[np.ndarray] = []
        places = []
        for _ in range(self.scale(self.circles_per)):
            seat = int(rng.choice(pool))
            near = pool[np.argsort((p.block[pool] - p.block[seat]) % 9, kind="stable")][: 3 * self.circle[1]]
            members = self.some(near, int(rng.integers(*self.circle)), rng)
            self.circles.append(members)
            role = str(rng.choice(self.roles))
            places.append(int(self.city.choose_institution(members[:1], role, rng)[0]))
        self.places = places
        self.days = rng.integers(0, 5, len(places))

    def dates(self, month: Month, circle: int, rng: np.random.Generator) -> np.ndarray:
        """Days of a circle's sessions in the month: the second and fourth of its weekday."""
        return self.weekdays(month, (int(self.days[circle]),))[1::2]

    def diagnoses(self, patient: np.ndarray, month: Month, rng: np.random.Generator) -> np.ndarray:
        """Diagnoses of a session."""
        if not self.codes:
            return self.city.own_diagnosis(patient, rng)
        return rng.choice([self.city.catalogue.dx[k] for k in self.codes], len(patient))

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """All sessions of the month."""
        parts = []
        for i, members in enumerate(self.circles):
            for day in self.dates(month, i, rng):
                patient = members[rng.random(len(members)) < self.attendance]
                n = len(patient)
                start = self.queue(int(day), n, rng, opens=self.opens, minutes=self.minutes)
                start = rng.permutation(start)
                dx = self.diagnoses(patient, month, rng)
                ok = self.city.age_sex_ok(patient, dx, month.first)
                parts.append(
                    Visits.make(
                        n,
                        patient=patient,
                        institution=self.places[i],
                        visit_type=VISIT_TYPE[self.kind],
                        start=start,
                        end=self.ends(start, rng),
                        dx=dx,
                        supply=self.supply,
                    ).take(ok)
                )
        return Visits.concat(parts)

    def ends(self, start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """End of the visits."""
        return start


class CareHomeVisit(_Session):
    """Residents of a care home seen one after the other by its clinic's doctor."""

    name, zh = "care_home_visit", "养老院集体就诊"
    roles, circles_per, circle, minutes = ("care_home",), 6_000.0, (10, 22), 3.0

    def pool(self) -> np.ndarray:
        """Return the old and ill."""
        return np.intersect1d(
            self.ages(72, 101), self.holders("hypertension", "diabetes", "stroke", "parkinson", "coronary")
        )


class ChronicClinicDay(_Session):
    """Chronic-disease clinics on fixed days, with repeat scripts."""

    name, zh = "chronic_clinic_day", "慢病固定门诊日"
    roles, circles_per, circle, supply = ("community", "community", "secondary"), 1_800.0, (10, 26), 28.0


class SpecialDrugDay(_Session):
    """Holders of special-drug approvals fetch costly drugs on the same pharmacy day."""

    name, zh = "special_drug_day", "特药取药日"
    roles, circles_per, circle, kind = ("pharmacy",), 6_000.0, (5, 14), "pharmacy"
    minutes, supply = 6.0, 28.0

    def pool(self) -> np.ndarray:
        """People on costly drugs."""
        return self.holders("cancer", "transplant", "rheumatoid", "hepatitis_b", "psoriasis", "hemophilia")

    def dates(self, month: Month, circle: int, rng: np.random.Generator) -> np.ndarray:
        """Once a month."""
        return super().dates(month, circle, rng)[:1]


class CataractBatch(_Session):
    """A screening in the village, then a morning of cataract operations."""

    name, zh = "cataract_batch", "白内障集中手术"
    roles, circles_per, circle, kind = ("eye", "secondary"), 5_000.0, (6, 14), "day_surgery"
    codes, minutes = ("H25.900",), 18.0

    def pool(self) -> np.ndarray:
        """Return the old."""
        return self.ages(60, 92)

    def dates(self, month: Month, circle: int, rng: np.random.Generator) -> np.ndarray:
        """Each circle once, in some month; the second eye the next."""
        turn = (circle * 3 + self.city.seed) % max(2, len(self.city.months) - 1)
        return (
            super().dates(month, circle, rng)[:1]
            if month.index in (turn, turn + 1)
            else np.zeros(0, dtype=np.int64)
        )

    def ends(self, start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Home the same evening."""
        return start + rng.integers(4 * HOUR, 8 * HOUR, len(start))


class SeasonalTcm(_Session):
    """Summer patches against winter illness, on the fixed dog days."""

    name, zh = "seasonal_tcm_day", "三伏贴"
    roles, circles_per, circle, kind = ("tcm_hospital", "community"), 2_000.0, (15, 40), "outpatient"
    codes, minutes, opens = ("U63.000",), 2.5, 7.8

    def pool(self) -> np.ndarray:
        """All but the very young and old."""
        return self.ages(6, 82)

    def dates(self, month: Month, circle: int, rng: np.random.Generator) -> np.ndarray:
        """Every tenth day from mid-July to mid-August; three days in deep winter."""
        days = np.arange(month.first, month.first + month.days)
        number = days - month.first + 1
        if month.number == 7:
            return days[np.isin(number, (20, 30))]
        if month.number == 8:
            return days[np.isin(number, (9, 14))]
        return days[np.isin(number, (9, 18))] if month.number in (1, 12) else days[:0]


class _CheckUp(_Session):
    """Check-ups of everybody in one place on one day: the same panel for all."""

    codes, minutes, opens, kind = ("Z00.000",), 2.0, 7.6, "outpatient"
    months_of_year: ClassVar[tuple[int, ...]] = ()
    attendance = 0.9

    def dates(self, month: Month, circle: int, rng: np.random.Generator) -> np.ndarray:
        """One day a year, in the usual months."""
        chosen = self.months_of_year[circle % len(self.months_of_year)]
        days = self.weekdays(month, (int(self.days[circle]),))[1:2]
        return days if month.number == chosen else days[:0]


class CommunityCheck(_CheckUp):
    """Yearly health checks of the old at the community centre."""

    name, zh = "community_check", "社区老年体检"
    circles_per, circle, months_of_year = 700.0, (15, 40), (3, 4, 5, 6, 9, 10, 11, 12, 1, 2, 7, 8)

    def pool(self) -> np.ndarray:
        """65 and over."""
        return self.ages(65, 96)


class SchoolCheck(_CheckUp):
    """School check-ups, class by class."""

    name, zh = "school_check", "学校体检"
    circles_per, circle, months_of_year = 1_500.0, (20, 45), (3, 9, 10, 4, 5, 11, 2, 1, 6, 12)

    def pool(self) -> np.ndarray:
        """Pupils."""
        return self.ages(6, 17)


class CompanyCheck(_CheckUp):
    """Company check-ups: colleagues on one day."""

    name, zh = "company_check", "单位体检"
    circles_per, months_of_year = 1_500.0, (5, 6, 9, 10, 3, 4, 11, 12, 1, 2, 7, 8)
    roles = ("secondary", "tertiary", "community")

    def plan(self, rng: np.random.Generator) -> None:
        """Circles are employers."""
        p = self.city.people
        firms = np.flatnonzero(np.bincount(p.employer[p.employer >= 0]) >= 6)
        chosen = self.some(firms, self.scale(self.circles_per), rng)
        self.circles = [self.some(np.flatnonzero(p.employer == f), 45, rng) for f in chosen]
        self.places = [
            int(self.city.choose_institution(m[:1], self.roles[int(pick(3, int(f), 341)[0])], rng)[0])
            for f, m in zip(chosen, self.circles, strict=True)
        ]
        self.days = rng.integers(0, 5, len(self.places))


__all__ = [
    "CareHomeVisit",
    "CataractBatch",
    "ChronicClinicDay",
    "CommunityCheck",
    "CompanyCheck",
    "FamilyVisit",
    "SchoolCheck",
    "SeasonalTcm",
    "SpecialDrugDay",
]
