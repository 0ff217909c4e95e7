"""Ordinary claims that look odd because of the season, the calendar or the kind of surgery."""

import numpy as np

from fraud.synthetic.calendar import DAY, Month
from fraud.synthetic.nuisance.base import Nuisance
from fraud.synthetic.visits import VISIT_TYPE, Visits


class DaySurgery(Nuisance):
    """Admitted and discharged the same or the next day, with a bundle like everybody's."""

    name, zh = "day_surgery", "日间手术"

    def label(self, month: Month, v: Visits) -> None:
        """Mark ordinary day surgery."""
        v.nuisance[(v.nuisance == 0) & (v.visit_type == VISIT_TYPE["day_surgery"])] = self.code


class FluSeason(Nuisance):
    """Influenza and pneumonia in winter: crowds with the same drugs."""

    name, zh = "flu_season", "流感季"

    def emit(self, month: Month, rng: np.random.Generator) -> Visits | None:
        """Add an epidemic week on top of the ordinary season, children and parents."""
        if month.season("flu") < 1.5:
            return None
        c, p = self.city.catalogue, self.city.people
        n = self.scale(110, 2)
        patient = rng.choice(p.n, n, replace=False)
        peak = month.first + int(rng.integers(5, month.days - 6))
        day = np.clip(
            np.rint(rng.normal(peak, 3.0, n)).astype(np.int64), month.first, month.first + month.days - 1
        )
        start = day * DAY + self.city.visit_times(month, n, rng) % DAY
        child = p.age(patient, month.first) < 14
        place = self.city.choose_institution(patient, "primary", rng)
        urgent = rng.random(n) < 0.3
        place[urgent] = self.city.choose_institution(patient[urgent], "tertiary", rng)
        mycoplasma = child & (p.age(patient, month.first) >= 3) & (rng.random(n) < 0.3)
        dx = np.where(mycoplasma, c.dx["J15.700"], c.dx["J10.100"])
        ok = self.city.age_sex_ok(patient, dx, month.first)
        return Visits.make(
            n,
            patient=patient,
            institution=place,
            start=start,
            dx=dx,
            visit_type=np.where(urgent, VISIT_TYPE["emergency"], VISIT_TYPE["outpatient"]),
        ).take(ok)

    def label(self, month: Month, v: Visits) -> None:
        """Mark ordinary influenza in the season."""
        if month.season("flu") >= 1.5:
            v.nuisance[(v.nuisance == 0) & (v.dx == self.city.catalogue.dx["J10.100"])] = self.code


class PeriodEndLoad(Nuisance):
    """People fetch medicine before the month, and above all the insurance year, ends."""

    name, zh = "period_end_load", "月末年末集中结算"

    def emit(self, month: Month, rng: np.random.Generator) -> Visits:
        """Refills in the last four days, three times as many in December."""
        pool = self.holders("hypertension", "diabetes", "coronary", "copd", "stroke")
        n = self.scale(170, 2) * (3 if month.number == 12 else 1)
        patient = rng.choice(pool, n)
        day = month.first + month.days - 1 - rng.integers(0, 4, n)
        shop = rng.random(n) < 0.4
        place = np.where(
            shop,
            self.city.choose_institution(patient, "pharmacy", rng),
            self.city.choose_institution(patient, "primary", rng),
        )
        return Visits.make(
            n,
            patient=patient,
            institution=place,
            start=day * DAY + self.city.visit_times(month, n, rng) % DAY,
            visit_type=np.where(shop, VISIT_TYPE["pharmacy"], VISIT_TYPE["chronic"]),
            dx=self.city.own_diagnosis(patient, rng),
            supply=np.where(rng.random(n) < 0.4, 30, 0),
        )
