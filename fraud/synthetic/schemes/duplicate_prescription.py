"""Duplicate prescriptions: drugs of one class from several doctors within days."""

import numpy as np

from fraud.synthetic.calendar import DAY, Month
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class DuplicatePrescription(Scheme):
    """The same disease is shown to another doctor, who prescribes another drug of the same class."""

    name, zh = "duplicate_prescription", "重复开药"
    share, per_group, hidden = 1.0, 20, 0.5

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a few chronic patients."""
        self.recruits(group, int(rng.integers(2, 5)), rng, certificate="any")

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Follow honest visits of the members within days; the first visit itself is honest."""
        members = group.facts["member"]
        chronic = np.isin(honest.visit_type, [VISIT_TYPE["chronic"], VISIT_TYPE["outpatient"]])
        rows = np.flatnonzero(
            np.isin(honest.patient, members) & chronic & (self.city.catalogue.dx_certificate[honest.dx] >= 0)
        )
        if len(rows):
            base = honest.take(rng.choice(rows, count))
            patient, dx, start = base.patient, base.dx, base.start
        else:
            patient = rng.choice(members, count)
            dx, start = self.city.own_diagnosis(patient, rng), self.moments(month, count, rng)
        level = rng.integers(0, 3, count)
        institution = np.zeros(count, dtype=np.int64)
        for code, place in enumerate(("tertiary", "secondary", "primary")):
            institution[level == code] = self.city.choose_institution(
                patient[level == code], place, rng, loyal=0.4
            )
        later = rng.integers(0, round(self.lerp(3, 9)) + 1, count) * DAY + rng.integers(-7200, 7200, count)
        return Visits.make(
            count,
            patient=patient,
            institution=institution,
            dx=dx,
            start=start + later,
            whole=True,
            visit_type=np.where(rng.random(count) < 0.7, VISIT_TYPE["chronic"], VISIT_TYPE["outpatient"]),
            regimen=np.where(rng.random(count) < 0.6, rng.integers(10**8, 10**9, count), patient),
            drug_mult=self.lerp(1.3, 1.05),
        )
