"""Referral rings: doctors send patients to one another for work nobody needs, for a kickback."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class ReferralRing(Scheme):
    """Patients of some community doctors turn up at one hospital doctor, and are worked up there."""

    name, zh = "referral_ring", "转诊团伙"
    share, per_group, hidden = 1.1, 50, 0.8

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose who sends and who receives."""
        senders = []
        for i in range(round(self.lerp(2, 4))):
            role = f"sender {i + 1}"
            place = self.institution(group, ("community", "clinic"), rng, role=f"sending place {i + 1}")
            senders.append(self.doctor(group, place, rng, ("general",), role=role))
        group.facts["senders"] = np.array(senders)
        place = self.institution(
            group, ("secondary", "private_hospital", "tertiary"), rng, role="receiving place"
        )
        self.doctor(
            group,
            place,
            rng,
            ("cardiology", "gastroenterology", "neurology", "orthopedics", "general"),
            role="receiver",
        )
        c = self.city.catalogue
        group.facts["menu"] = rng.choice(
            c.items_of(
                "ct_chest",
                "mr_head",
                "ucg",
                "cta",
                "gastroscopy",
                "us_abd",
                "tumor",
                "mr_spine",
                "holter",
                "thy",
            ),
            round(self.lerp(4, 8)),
            replace=False,
        )

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Follow honest visits to the senders within one to three weeks."""
        f = group.facts
        seen = np.flatnonzero(np.isin(honest.doctor, f["senders"]) & ~honest.child)
        if not len(seen):
            seen = np.flatnonzero((honest.visit_type == VISIT_TYPE["chronic"]) & ~honest.child)
        if not len(seen):
            return Visits.make(0)
        base = honest.take(np.sort(rng.choice(seen, min(count, len(seen)), replace=False)))
        n = len(base)
        day = base.start // DAY + rng.integers(1, round(self.lerp(5, 21)) + 1, n)
        start = day * DAY + self.moments(month, n, rng) % DAY
        stay = rng.random(n) < 0.25
        colleague = rng.random(n) < self.lerp(0.0, 0.25)
        group.members += [("patient", int(p), "referred") for p in base.patient]
        return Visits.make(
            n,
            patient=base.patient,
            institution=f["receiving place"],
            start=start,
            dx=base.dx,
            end=np.where(
                stay, (day + rng.integers(3, 8, n)) * DAY + rng.integers(9 * HOUR, 16 * HOUR, n), start
            ),
            visit_type=np.where(stay, VISIT_TYPE["inpatient"], VISIT_TYPE["outpatient"]),
            exam_mult=self.lerp(1.8, 1.2),
            department=f["receiver_department"],
            doctor=np.where(colleague, -1, f["receiver"]),
            whole=~stay,
        )

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Add the work-up."""
        rows = self.mine(v)
        if not len(rows):
            return o
        menus = {g.number: g.facts["menu"] for g in self.groups}
        who = np.repeat(rows, 1 + rng.poisson(self.lerp(2.0, 0.8), len(rows)))
        what = np.array([rng.choice(menus[int(g)]) for g in v.group[who]])
        return Orders.concat([o, self.extra(v, who, what, 1, rng)])
