"""Phantom billing: services for earlier patients who did not come that day."""

import numpy as np

from fraud.synthetic.calendar import DAY, Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class PhantomBilling(Scheme):
    """A clinic goes on charging sessions of courses and visits that ended."""

    name, zh = "phantom_billing", "虚构服务"
    share, per_group, hidden = 1.2, 50, 0.9

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a clinic and a doctor who signs."""
        place = self.institution(group, ("clinic", "tcm_hospital", "rehab", "community"), rng)
        self.doctor(group, place, rng, ("tcm", "rehabilitation", "general"))
        group.facts["dx"] = [
            self.city.catalogue.dx[k]
            for k in ("U62.000", "M47.800", "M54.500", "G51.000", "Z50.100", "M17.900")
        ]
        group.facts["known"] = np.zeros(0, dtype=np.int64)

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Charge treatments for people who were honest patients before."""
        f = group.facts
        came = honest.patient[(honest.institution == f["place"]) & ~honest.child].astype(np.int64)
        f["known"] = np.unique(np.concatenate([f["known"], came]))
        if len(f["known"]) < 3:
            f["known"] = np.union1d(f["known"], self.recruits(group, 6, rng, min_age=48))
        few = rng.choice(
            f["known"], min(len(f["known"]), max(2, round(count * self.lerp(0.25, 0.9)))), replace=False
        )
        patient = rng.choice(few, count)
        group.members += [("patient", int(p), "name used") for p in np.unique(patient)]
        start = self.moments(month, count, rng)
        evening = rng.random(count) < self.lerp(0.5, 0.0)  # blatant: written up after closing time
        start = np.where(evening, start // DAY * DAY + rng.integers(18 * 3600, 21 * 3600, count), start)
        dx = np.where(
            self.city.people.age(patient, month.first) >= 48, rng.choice(f["dx"], count), f["dx"][2]
        )
        return Visits.make(
            count,
            patient=patient,
            institution=f["place"],
            start=start,
            dx=dx,
            whole=True,
            visit_type=VISIT_TYPE["outpatient"],
            treat_mult=self.lerp(1.6, 1.15),
            drug_mult=self.lerp(0.3, 0.9),
            department=f["doctor_department"],
            doctor=np.where(rng.random(count) < self.lerp(0.0, 0.4), -1, f["doctor"]),
        )

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Add the sessions that make it worth while."""
        rows = self.mine(v)
        if not len(rows):
            return o
        menu = self.city.catalogue.items_of(
            "tuina", "eacup", "fumig", "pt", "patch", "moxa", "elec", "wax", "acup"
        )
        who = np.repeat(rows, round(self.lerp(5, 2)))
        once = np.unique(who * 1_000_000 + rng.choice(menu, len(who)))
        return Orders.concat([o, self.extra(v, once // 1_000_000, once % 1_000_000, 1, rng)])
