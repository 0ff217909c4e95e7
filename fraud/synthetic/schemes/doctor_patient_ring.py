"""Doctor–patient rings: a doctor and a circle of patients share what the fund pays."""

import numpy as np

from fraud.synthetic.calendar import Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class DoctorPatientRing(Scheme):
    """The same circle comes to the same doctor for costly items it does not need."""

    name, zh = "doctor_patient_ring", "医患团伙"
    share, per_group, hidden = 1.4, 80, 0.6

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose the doctor, the circle and the costly items."""
        c = self.city.catalogue
        place = self.institution(group, ("secondary", "community", "private_hospital", "tcm_hospital"), rng)
        self.doctor(group, place, rng, ("general", "endocrinology", "cardiology", "tcm"))
        self.recruits(group, int(rng.integers(8, 15)), rng, neighbours=self.lerp(0.5, 0.1), min_age=35)
        costly = np.flatnonzero(
            (c.category <= 1)
            & (c.base_price > 6_000)
            & (c.base_price < 70_000)
            & (c.eligible_rate >= 0.9)
            & (c.sex_limit < 0)
            & np.isnan(c.min_age)
        )
        group.facts["items"] = rng.choice(costly, round(self.lerp(3, 9)), replace=False)

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Come together (hidden: over the month, mixed with the doctor's other patients)."""
        f = group.facts
        size = round(len(f["member"]) * self.lerp(0.9, 0.4))
        start, session = self.sessions(
            count, max(2, size), month, rng, gap=self.lerp(4, 60), spread=self.lerp(0.05, 0.6)
        )
        patient = np.zeros(count, dtype=np.int64)
        for s in range(int(session[-1]) + 1):
            rows = session == s
            patient[rows] = rng.permutation(f["member"])[np.arange(rows.sum()) % len(f["member"])]
        stranger = rng.random(count) < self.lerp(0.0, 0.15)  # a colleague signs now and then
        return Visits.make(
            count,
            patient=patient,
            institution=f["place"],
            start=start,
            whole=True,
            visit_type=np.where(rng.random(count) < 0.6, VISIT_TYPE["chronic"], VISIT_TYPE["outpatient"]),
            dx=self.city.own_diagnosis(patient, rng),
            department=f["doctor_department"],
            doctor=np.where(stranger, -1, f["doctor"]),
            supply=np.rint(rng.uniform(20, 40, count)),
        )

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Add the ring's costly items."""
        rows = self.mine(v)
        if not len(rows):
            return o
        items = {g.number: g.facts["items"] for g in self.groups}
        again = rng.random(len(rows)) < self.lerp(0.9, 0.3)
        who = np.concatenate([rows, rows[again]])
        what = np.array([rng.choice(items[int(g)]) for g in v.group[who]])
        return Orders.concat(
            [o, self.extra(v, who, what, rng.integers(1, round(self.lerp(5, 2)) + 1, len(who)), rng)]
        )
