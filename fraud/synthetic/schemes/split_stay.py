"""Split stays: one long stay settled as two, to stay below a limit and charge a second admission."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class SplitStay(Scheme):
    """Readmissions within days, in the same department, without a medical reason."""

    name, zh = "split_stay", "分解住院"
    share, per_group, hidden = 0.7, 30, 0.4

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a hospital and two doctors of one department."""
        place = self.institution(group, ("secondary", "private_hospital", "tcm_hospital"), rng)
        self.doctor(group, place, rng, ("cardiology", "neurology", "orthopedics", "rehabilitation"))

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Cut honest long stays of the hospital in two; where there are too few, admit patients for both."""
        place = group.facts["place"]
        length = (honest.end - honest.start) // DAY
        long = (honest.institution == place) & (honest.visit_type == VISIT_TYPE["inpatient"]) & (length >= 6)
        rows = self.pick_rows(honest, long, count, rng)
        parts = []
        if len(rows):
            first = honest.take(rows)
            middle = first.start + (first.end - first.start) * rng.integers(45, 60, len(rows)) // 100
            discharge = middle // DAY * DAY + rng.integers(9 * HOUR, 15 * HOUR, len(rows))
            honest.settle[rows] = discharge + rng.integers(20 * 60, 3 * HOUR, len(rows))
            honest.end[rows] = discharge
            parts.append(self._second(group, first, discharge, np.maximum(2, length[rows] // 2), rng))
        missing = count - len(rows)
        if missing:
            parts.append(self._invented(group, missing, month, rng))
        return Visits.concat(parts)

    def _invented(self, group: Group, count: int, month: Month, rng: np.random.Generator) -> Visits:
        start = self.moments(month, count, rng)
        patient = rng.choice(self.recruits(group, max(3, count), rng, certificate="any"), count)
        first = Visits.make(
            count,
            patient=patient,
            institution=group.facts["place"],
            start=start,
            dx=self.city.own_diagnosis(patient, rng),
            end=start,
            doctor=group.facts["doctor"],
            department=group.facts["doctor_department"],
        )
        return self._second(group, first, start, rng.integers(4, 10, count), rng)

    def _second(
        self, group: Group, first: Visits, discharge: np.ndarray, days: np.ndarray, rng: np.random.Generator
    ) -> Visits:
        n = len(first)
        gap = rng.integers(0, round(self.lerp(2, 13)) + 1, n)
        start = (discharge // DAY + gap) * DAY + rng.integers(8 * HOUR, 17 * HOUR, n)
        start = np.maximum(start, discharge + 2 * HOUR)
        other = rng.random(n) < self.lerp(0.0, 0.6)
        near = self._related(first.dx, rng)
        group.members += [("patient", int(p), "member") for p in first.patient]
        return Visits.make(
            n,
            patient=first.patient,
            institution=first.institution,
            visit_type=VISIT_TYPE["inpatient"],
            start=start,
            end=(start // DAY + days) * DAY + rng.integers(9 * HOUR, 16 * HOUR, n),
            dx=np.where(other, near, first.dx),
            whole=True,
            department=np.where(other, -1, first.department),
            doctor=np.where(rng.random(n) < self.lerp(0.0, 0.5), -1, first.doctor),
        )

    def _related(self, dx: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Another inpatient diagnosis of the same specialty."""
        c = self.city.catalogue
        out = dx.copy()
        for i, code in enumerate(dx):
            same = np.flatnonzero(
                (c.dx_specialty == c.dx_specialty[code])
                & (c.dx_weight_in > 0.3)
                & (c.dx_sex < 0)
                & (c.dx_max_age > 80)
            )
            out[i] = rng.choice(same) if len(same) else code
        return out
