"""Ghost stays: a hospital gathers cards and admits people who never come."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.city import stable_seed
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class GhostStay(Scheme):
    """Mass admissions with alike bundles, of neighbours or colleagues."""

    name, zh = "ghost_stay", "虚假住院"
    share, per_group, hidden = 0.9, 40, 0.3

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a private hospital, its doctor and the people whose cards were gathered."""
        place = self.institution(group, ("private_hospital", "tcm_hospital", "secondary"), rng)
        self.doctor(group, place, rng, ("general", "cardiology", "neurology", "tcm"))
        self.recruits(
            group, max(6, int(group.quota.sum() * 0.8)), rng, neighbours=self.lerp(0.85, 0.2), min_age=45
        )
        group.facts["desk"] = self.operator(place, rng)
        group.facts["dx"] = rng.choice(
            [
                self.city.catalogue.dx[k]
                for k in ("M51.200", "I69.300", "I10", "M47.800", "J20.900", "I25.103")
            ],
            3,
            replace=False,
        )

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Admit a batch on one day (camouflaged: over the month) and discharge it together."""
        f = group.facts
        n = min(count, len(f["member"]))
        patient = rng.choice(f["member"], n, replace=False)
        start, batch = self.sessions(
            n, round(self.lerp(12, 5)), month, rng, gap=self.lerp(6, 90), spread=self.lerp(0.0, 0.6)
        )
        days = rng.integers(5, 9, int(batch[-1]) + 1)[batch] + (
            rng.random(n) < self.lerp(0.1, 0.7)
        ) * rng.integers(-2, 4, n)
        alike = rng.random(n) > self.lerp(0.05, 0.75)
        dx = f["dx"][(batch + (rng.random(n) < self.lerp(0.0, 0.8)) * rng.integers(0, 3, n)) % 3]
        same = stable_seed(batch, group.number, month.index, self.code, self.city.seed)
        return Visits.make(
            n,
            patient=patient,
            institution=f["place"],
            visit_type=VISIT_TYPE["inpatient"],
            start=start,
            end=(start // DAY + np.maximum(2, days)) * DAY + rng.integers(8 * HOUR, 12 * HOUR, n),
            dx=dx,
            whole=True,
            seed=np.where(alike, same, np.uint64(0)),
            regimen=np.where(alike, f["doctor"], -1),
            department=np.where(alike, f["doctor_department"], -1),
            doctor=np.where(alike, f["doctor"], -1),
            operator=np.where(rng.random(n) > self.lerp(0.0, 0.7), f["desk"], -1),
        )
