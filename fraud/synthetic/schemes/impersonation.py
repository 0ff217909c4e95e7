"""Impersonation: somebody is treated on another person's card."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits

_NEEDS = ("C34.900", "E11.900", "M45.x00", "B18.101", "F20.900", "Z94.000", "J45.900", "H40.100", "C18.900")
_BY_SEX = {False: ("N40.x00",), True: ("M32.900", "C50.900", "D25.900", "N92.100")}


class Impersonation(Scheme):
    """An uninsured person with a costly disease borrows a card; sometimes its owner is dead or elsewhere."""

    name, zh = "impersonation", "冒名就医"
    share, per_group, hidden = 0.8, 8, 0.7

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose whose card it is and what the borrower suffers from."""
        p, c, f = self.city.people, self.city.catalogue, group.facts
        last = self.city.months[-1].first + self.city.months[-1].days
        dead = np.flatnonzero((p.death < last - 25) & (p.age(np.arange(p.n), last) > 20))
        u = rng.random()
        f["how"] = (
            "dead"
            if u < self.lerp(0.35, 0.15) and len(dead)
            else "sex"
            if u < self.lerp(0.6, 0.2)
            else "place"
        )
        if f["how"] == "dead":
            owner = int(rng.choice(dead))
            group.members.append(("patient", owner, "card owner"))
        else:
            owner = int(self.recruits(group, 1, rng, min_age=25, role="card owner")[0])
        borrower = not p.female[owner] if f["how"] == "sex" else bool(p.female[owner])
        needs = [*_NEEDS, *_BY_SEX[borrower]] if f["how"] != "sex" else _BY_SEX[borrower]
        f["owner"], f["dx"] = owner, c.dx[str(rng.choice(needs))]
        f["place"] = int(
            self.city.choose_institution(
                np.array([int(rng.integers(0, p.n))]), str(rng.choice(["tertiary", "secondary"])), rng
            )[0]
        )

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits | None:
        """Make the borrower's visits; blatant, at the very time the owner is treated elsewhere."""
        f, p = group.facts, self.city.people
        start = self.moments(month, count, rng)
        if f["how"] == "dead":
            late = (p.death[f["owner"]] + 2) * DAY
            start = start[start > late] if late < month.end else start[:0]
        elif f["how"] == "place":
            own = honest.start[(honest.patient == f["owner"]) & (honest.institution != f["place"])]
            close = rng.random(count) < self.lerp(0.9, 0.15)
            if len(own):
                start = np.where(close, rng.choice(own, count) + rng.integers(-HOUR, HOUR, count), start)
        n = len(start)
        kind = np.where(rng.random(n) < 0.7, VISIT_TYPE["outpatient"], VISIT_TYPE["chronic"])
        return Visits.make(
            n,
            patient=f["owner"],
            institution=f["place"],
            visit_type=kind,
            start=start,
            dx=f["dx"],
            whole=True,
            regimen=10**8 + f["owner"],
            drug_mult=1.1,
        )
