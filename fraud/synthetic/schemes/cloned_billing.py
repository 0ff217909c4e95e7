"""Cloned billing: one record copied for other patients."""

import numpy as np

from fraud.synthetic.calendar import Month
from fraud.synthetic.city import stable_seed
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class ClonedBilling(Scheme):
    """A doctor fills in the same template, line for line, for patients who did not get it."""

    name, zh = "cloned_billing", "克隆病历"
    share, per_group, hidden = 1.1, 60, 0.7

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose the doctor and the templates."""
        place = self.institution(
            group, ("community", "clinic", "secondary", "private_hospital", "tcm_hospital"), rng
        )
        self.doctor(group, place, rng, ("tcm", "general", "orthopedics"))
        c = self.city.catalogue
        codes = ("U62.000", "M47.800", "M54.500", "K29.500", "G47.000", "U53.000", "M17.900", "H81.300")
        group.facts["dx"] = rng.choice([c.dx[k] for k in codes], round(self.lerp(1, 4)), replace=False)

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Copy a template for each of the month's names; hidden, more templates and edits by hand."""
        f = group.facts
        patient = self.recruits(group, count, rng, min_age=48, role="name used")
        n = len(patient)
        template = rng.integers(0, len(f["dx"]), n)
        version = month.index if self.camouflage > 0.5 else 0
        same = stable_seed(template, version, group.number, self.code, self.city.seed)
        edited = rng.random(n) < self.lerp(0.0, 0.45)
        return Visits.make(
            n,
            patient=patient,
            institution=f["place"],
            start=self.moments(month, n, rng),
            dx=f["dx"][template],
            visit_type=VISIT_TYPE["outpatient"],
            seed=np.where(edited, np.uint64(0), same),
            whole=True,
            regimen=np.where(rng.random(n) < self.lerp(0.0, 0.4), -1, 10**8 + template),
            drug_mult=1.6,
            treat_mult=1.5,
            supply=14,
            department=f["doctor_department"],
            doctor=f["doctor"],
        )
