"""Pharmacy rings: a doctor's prescriptions are turned into cash at one pharmacy."""

import numpy as np

from fraud.synthetic.calendar import HOUR, Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class PharmacyRing(Scheme):
    """Patients of one doctor go on to one pharmacy the same day for dear medicine."""

    name, zh = "pharmacy_ring", "药店团伙"
    share, per_group, hidden = 1.4, 80, 0.6

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose the doctor, the pharmacy, its operator and the patients."""
        c = self.city.catalogue
        clinic = self.institution(group, ("community", "clinic", "secondary"), rng, role="clinic")
        self.doctor(group, clinic, rng, ("general",))
        pharmacy = self.institution(group, ("pharmacy",), rng, role="pharmacy")
        group.facts["desk"] = self.operator(pharmacy, rng)
        self.recruits(group, int(rng.integers(8, 16)), rng, neighbours=self.lerp(0.5, 0.1), certificate="any")
        dear = np.flatnonzero(
            (c.category == 0)
            & (c.base_price > 5_000)
            & (c.base_price < 60_000)
            & (c.eligible_rate >= 0.9)
            & c.resale
        )
        group.facts["items"] = rng.choice(dear, round(self.lerp(3, 8)), replace=False)

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Pairs of a visit and a purchase; hidden, the purchase comes days later and the desk varies."""
        f = group.facts
        n = max(1, count // 2)
        start, _ = self.sessions(
            n, round(self.lerp(6, 2)), month, rng, gap=self.lerp(5, 60), spread=self.lerp(0.1, 0.7)
        )
        patient = rng.choice(f["member"], n)
        dx = self.city.own_diagnosis(patient, rng)
        seen = Visits.make(
            n,
            patient=patient,
            institution=f["clinic"],
            start=start,
            dx=dx,
            doctor=f["doctor"],
            whole=True,
            department=f["doctor_department"],
            visit_type=VISIT_TYPE["chronic"],
        )
        later = np.where(
            rng.random(n) < self.lerp(1.0, 0.4),
            rng.integers(HOUR // 2, 4 * HOUR, n),
            rng.integers(20 * HOUR, 120 * HOUR, n),
        )
        elsewhere = rng.random(n) < self.lerp(0.0, 0.25)
        shop = np.where(elsewhere, self.city.choose_institution(patient, "pharmacy", rng), f["pharmacy"])
        bought = Visits.make(
            n,
            patient=patient,
            institution=shop,
            start=start + later,
            dx=dx,
            whole=True,
            visit_type=VISIT_TYPE["pharmacy"],
            supply=np.rint(rng.uniform(20, self.lerp(60, 35), n)),
            operator=np.where(~elsewhere & (rng.random(n) > self.lerp(0.1, 0.6)), f["desk"], -1),
        )
        return Visits.concat([seen, bought])

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Add the dear medicine to the purchases."""
        rows = self.mine(v)
        rows = rows[v.visit_type[rows] == VISIT_TYPE["pharmacy"]]
        if not len(rows):
            return o
        items = {g.number: g.facts["items"] for g in self.groups}
        what = np.array([rng.choice(items[int(g)]) for g in v.group[rows]])
        return Orders.concat(
            [o, self.extra(v, rows, what, rng.integers(2, round(self.lerp(6, 4)) + 1, len(rows)), rng)]
        )
