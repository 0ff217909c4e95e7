"""Low-threshold admission: work for an outpatient clinic, charged as a stay."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class LowThreshold(Scheme):
    """Check-up stays (体检式住院): exams, hardly any treatment."""

    name, zh = "low_threshold", "低标准入院"
    share, per_group, hidden = 0.7, 30, 0.5

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a hospital that fills beds with check-ups."""
        place = self.institution(group, ("secondary", "private_hospital", "tcm_hospital"), rng)
        self.doctor(group, place, rng, ("general", "cardiology", "gastroenterology"))
        group.facts["dx"] = [
            self.city.catalogue.dx[k]
            for k in ("R53.x00", "K29.500", "E78.500", "R07.400", "G47.000", "I10", "H81.300")
        ]

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Admit people who had an outpatient visit in the city that month, or anybody."""
        f = group.facts
        patient = self.recruits(group, count, rng, min_age=30, neighbours=self.lerp(0.4, 0.0))
        n = len(patient)
        start = self.moments(month, n, rng)
        varies = rng.random(n) < self.lerp(0.2, 0.8)
        return Visits.make(
            n,
            patient=patient,
            institution=f["place"],
            visit_type=VISIT_TYPE["inpatient"],
            start=start,
            end=(start // DAY + rng.integers(3, round(self.lerp(5, 8)), n)) * DAY
            + rng.integers(9 * HOUR, 16 * HOUR, n),
            dx=rng.choice(f["dx"], n),
            drug_mult=self.lerp(0.1, 0.55),
            treat_mult=self.lerp(0.15, 0.6),
            exam_mult=self.lerp(2.2, 1.5),
            whole=True,
            department=np.where(varies, -1, f["doctor_department"]),
            doctor=np.where(varies, -1, f["doctor"]),
        )

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Add the exams of a check-up."""
        rows = self.mine(v)
        if not len(rows):
            return o
        c = self.city.catalogue
        menu = c.items_of(
            "us_abd",
            "us_neck",
            "ucg",
            "ct_chest",
            "gastroscopy",
            "bmd",
            "tcd",
            "biochem",
            "thy",
            "tumor",
            "mr_head",
        )
        each = round(self.lerp(6, 3))
        who = np.repeat(rows, each)
        what = np.concatenate([rng.choice(menu, each, replace=False) for _ in rows])
        return Orders.concat([o, self.extra(v, who, what, 1, rng)])
