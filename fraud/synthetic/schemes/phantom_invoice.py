"""Phantom invoices: forged bills of hospitals far away, handed in for reimbursement."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class PhantomInvoice(Scheme):
    """An agent hands in forged out-of-region bills with numbers from one book."""

    name, zh = "phantom_invoice", "虚假异地发票"
    share, per_group, hidden = 0.8, 24, 0.3

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose the agent's clients, the far hospitals and the forged book of invoices."""
        self.institution(group, ("away",), rng)
        away = self.city.providers.by_role["away"]
        group.facts["places"] = rng.choice(away, min(len(away), round(self.lerp(1, 3))), replace=False)
        self.recruits(
            group, max(4, int(group.quota.sum() * 0.7)), rng, neighbours=self.lerp(0.6, 0.1), min_age=30
        )
        group.facts["number"] = int(rng.integers(1_000, 9_999)) * 1_000_000 + int(rng.integers(0, 900_000))
        group.facts["used"] = []

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Stays and visits that never were; numbers in sequence or used again, amounts round."""
        f, c = group.facts, self.city.catalogue
        patient = rng.choice(f["member"], count)
        stay = rng.random(count) < 0.5
        start = self.moments(month, count, rng)
        days = rng.integers(4, 12, count)
        end = np.where(stay, (start // DAY + days) * DAY + rng.integers(9 * HOUR, 16 * HOUR, count), start)
        dx = rng.choice(
            [c.dx[k] for k in ("M51.200", "I20.000", "K80.100", "J18.900", "I63.900", "M17.900")], count
        )
        dx = np.where(self.city.people.age(patient, month.first) >= 48, dx, c.dx["J18.900"])
        invoice = f["number"] + np.cumsum(rng.integers(1, round(self.lerp(2, 600)) + 1, count))
        f["number"] = int(invoice[-1])
        again = (rng.random(count) < self.lerp(0.25, 0.04)) & (len(f["used"]) > 0)
        if again.any():
            invoice = np.where(again, rng.choice(f["used"], count), invoice)
        f["used"] += invoice.tolist()
        forged = rng.random(count) > self.lerp(0.0, 0.5)  # careful agents copy a real book's style
        round_to = np.where(
            rng.random(count) < self.lerp(0.85, 0.15), rng.choice([10_000, 50_000, 100_000], count), 0
        )
        return Visits.make(
            count,
            patient=patient,
            institution=rng.choice(f["places"], count),
            start=start,
            end=end,
            dx=dx,
            visit_type=np.where(stay, VISIT_TYPE["inpatient"], VISIT_TYPE["outpatient"]),
            out_of_region=True,
            invoice=np.where(forged | again, invoice, -1),
            round_to=round_to,
            whole=True,
        )
