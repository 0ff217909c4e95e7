"""Ghost dialysis: sessions charged for dialysis patients who were not there."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month, weekday
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class GhostDialysis(Scheme):
    """A centre adds sessions on days its patients rest, travel or lie in hospital."""

    name, zh = "ghost_dialysis", "虚假透析"
    share, per_group, hidden = 1.2, 70, 0.7

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a centre and some of its patients."""
        place = self.institution(group, ("dialysis", "dialysis", "secondary"), rng)
        self.doctor(group, place, rng, ("nephrology",))
        self.recruits(group, round(self.lerp(3, 9)), rng, certificate="ckd_dialysis", role="member")

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Sessions on free days (blatant: on any day, even a second one), in the shifts of honest ones."""
        f, c = group.facts, self.city.catalogue
        patient = rng.choice(f["member"], count)
        day = month.first + rng.integers(0, month.days, count)
        busy: set[tuple[int, int]] = set()
        if self.camouflage > 0.2:
            own = np.isin(honest.patient, f["member"])
            busy = set(zip(honest.patient[own].tolist(), (honest.start[own] // DAY).tolist(), strict=True))
        for _ in range(4):
            clash = np.array([(int(p), int(d)) in busy for p, d in zip(patient, day, strict=True)])
            day = np.where(clash, month.first + rng.integers(0, month.days, count), day)
        sunday = (weekday(day) == 6) & (rng.random(count) < self.camouflage)  # centres rest on Sundays
        day = np.where(sunday, day + rng.integers(1, 6, count), day)
        opens = rng.choice([7.3, 12.6, 17.4], count)
        start = (day * DAY + opens * HOUR + rng.uniform(0, 0.6 * HOUR, count)).astype(np.int64)
        return Visits.make(
            count,
            patient=patient,
            institution=f["place"],
            start=start,
            dx=c.dx["Z49.100"],
            whole=True,
            visit_type=VISIT_TYPE["chronic"],
            department=f["doctor_department"],
            doctor=np.where(rng.random(count) < self.lerp(0.1, 0.6), -1, f["doctor"]),
        )
