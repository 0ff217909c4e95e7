"""Card pools: many people's cards settled together at one desk, again and again."""

import numpy as np

from fraud.synthetic.calendar import Month
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class CardPool(Scheme):
    """A pharmacy or clinic keeps cards and runs them through in one go."""

    name, zh = "card_pool", "集中刷卡"
    share, per_group, hidden = 1.4, 90, 0.3

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose the place, its operator and the owners of the cards."""
        place = self.institution(group, ("pharmacy", "clinic"), rng)
        group.facts["desk"] = self.operator(place, rng)
        group.members.append(("operator", group.facts["desk"], "operator"))
        active = max(1, int((group.quota > 0).sum()))
        self.recruits(
            group,
            int(np.clip(group.quota.sum() / active * self.lerp(0.9, 2.0), 5, 40)),
            rng,
            neighbours=self.lerp(0.7, 0.15),
        )

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Run the cards in sessions; hidden, only part of them each time, between other customers."""
        f = group.facts
        pharmacy = self.city.providers.kind[f["place"]] == 3
        size = round(len(f["member"]) * self.lerp(0.95, 0.35))
        start, session = self.sessions(
            count,
            max(3, size),
            month,
            rng,
            gap=self.lerp(0.7, 14),
            spread=self.lerp(0.0, 0.3),
            profile="pharmacy" if pharmacy else "clinic",
        )
        patient = np.zeros(count, dtype=np.int64)
        for s in range(int(session[-1]) + 1):
            rows = session == s
            patient[rows] = rng.permutation(f["member"])[np.arange(rows.sum()) % len(f["member"])]
        return Visits.make(
            count,
            patient=patient,
            institution=f["place"],
            start=start,
            whole=True,
            visit_type=VISIT_TYPE["pharmacy" if pharmacy else "outpatient"],
            dx=self.city.own_diagnosis(patient, rng),
            supply=np.rint(self.lerp(36, 20) * rng.uniform(0.7, 1.3, count)),
            drug_mult=self.lerp(2.2, 1.5),
            operator=np.where(rng.random(count) > self.lerp(0.0, 0.55), f["desk"], -1),
            settle=start + np.rint(rng.uniform(60, self.lerp(240, 1_200), count)).astype(np.int64),
        )
