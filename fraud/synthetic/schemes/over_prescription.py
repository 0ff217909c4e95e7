"""Over-prescription: far more medicine than anyone can take, from several places."""

import numpy as np

from fraud.synthetic.calendar import Month
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class OverPrescription(Scheme):
    """Chronic patients fetch supplies again long before the last one is used up."""

    name, zh = "over_prescription", "超量开药"
    share, per_group, hidden = 1.2, 24, 0.5

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose two or three people and the places they tour."""
        self.recruits(group, int(rng.integers(2, 4)), rng, certificate="any")
        q = self.city.providers
        places = np.concatenate([q.by_role[r] for r in ("tertiary", "secondary", "community", "clinic")])
        group.facts["places"] = rng.choice(places, min(len(places), round(self.lerp(3, 7))), replace=False)

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Visit one place after the other for the usual diagnosis."""
        patient = rng.choice(group.facts["member"], count)
        own = self.city.choose_institution(patient, "primary", rng)
        usual = rng.random(count) < self.lerp(0.1, 0.5)
        return Visits.make(
            count,
            patient=patient,
            institution=np.where(usual, own, rng.choice(group.facts["places"], count)),
            visit_type=np.where(rng.random(count) < 0.8, VISIT_TYPE["chronic"], VISIT_TYPE["outpatient"]),
            start=self.moments(month, count, rng),
            dx=self.city.own_diagnosis(patient, rng),
            supply=np.rint(self.lerp(88, 40) * rng.uniform(0.85, 1.2, count)),
            drug_mult=1.25,
            whole=True,
        )
