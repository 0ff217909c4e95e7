"""Hanging beds: the patient is admitted on paper and sleeps at home."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class HangingBed(Scheme):
    """Stays with idle days: only bed and nursing are charged."""

    name, zh = "hanging_bed", "挂床住院"
    share, per_group, hidden = 0.7, 30, 0.4

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a ward and the people who agree to lie there on paper."""
        place = self.institution(group, ("private_hospital", "tcm_hospital", "secondary", "rehab"), rng)
        self.doctor(group, place, rng, ("tcm", "rehabilitation", "general", "cardiology"))
        self.recruits(
            group, max(4, int(group.quota.sum())), rng, neighbours=self.lerp(0.5, 0.05), certificate="any"
        )

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Admit members for one to two weeks, apart from each other."""
        f = group.facts
        patient = rng.choice(f["member"], min(count, len(f["member"])), replace=False)
        n = len(patient)
        start = self.moments(month, n, rng)
        days = rng.integers(round(self.lerp(9, 6)), 15, n)
        varies = rng.random(n) < self.lerp(0.1, 0.7)
        return Visits.make(
            n,
            patient=patient,
            institution=f["place"],
            visit_type=VISIT_TYPE["inpatient"],
            start=start,
            end=(start // DAY + days) * DAY + rng.integers(9 * HOUR, 16 * HOUR, n),
            dx=self.city.own_diagnosis(patient, rng),
            whole=True,
            department=np.where(varies, -1, f["doctor_department"]),
            doctor=np.where(varies, -1, f["doctor"]),
        )

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Nothing is done on idle days; a clever ward charges some drugs all the same."""
        ours = np.zeros(len(v), dtype=bool)
        ours[self.mine(v)] = True
        idle_share = self.lerp(0.8, 0.42)
        first = v.start[o.visit] // DAY
        day = o.second // DAY - first
        length = np.maximum(1, v.end[o.visit] // DAY - first)
        idle = day >= np.maximum(2, np.rint(length * (1 - idle_share)))
        idle &= ~self.city.catalogue.category_is(o.item, "bed", "nursing", "consultation")
        keeps = rng.random(len(o)) < self.lerp(0.0, 0.12)
        return o.take(~(ours[o.visit] & idle & ~keeps))
