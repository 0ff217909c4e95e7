"""Over-examination: costly exams that the complaint does not call for."""

import numpy as np

from fraud.synthetic.calendar import Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits

_MENU = (
    "ct_chest",
    "ct_head",
    "mr_head",
    "us_abd",
    "ucg",
    "us_neck",
    "tumor",
    "thy",
    "cta",
    "ct_abd_e",
    "mr_spine",
    "holter",
    "bnp",
    "ana",
    "biochem",
)


class OverExamination(Scheme):
    """A few doctors order far more exams than their colleagues for the same diagnosis."""

    name, zh = "over_examination", "过度检查"
    share, per_group, hidden = 1.2, 45, 0.6

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a hospital and up to three of its doctors."""
        place = self.institution(group, ("tertiary", "secondary", "private_hospital"), rng)
        group.facts["doctors"] = np.array(
            [
                self.doctor(
                    group,
                    place,
                    rng,
                    ("general", "gastroenterology", "cardiology", "neurology", "respiratory"),
                )
                for _ in range(3)
            ]
        )
        group.facts["menu"] = rng.choice(
            self.city.catalogue.items_of(*_MENU), round(self.lerp(6, 12)), replace=False
        )

    def emit(self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator) -> None:
        """Take some of the doctors' honest visits."""
        types = np.isin(
            honest.visit_type, [VISIT_TYPE[k] for k in ("outpatient", "emergency", "inpatient", "chronic")]
        )
        mask = np.isin(honest.doctor, group.facts["doctors"]) & types
        rows = self.pick_rows(honest, mask, count, rng)
        if len(rows) < count:  # quiet doctors: colleagues of the same hospital join in
            more = self.pick_rows(
                honest, (honest.institution == group.facts["place"]) & types & ~mask, count - len(rows), rng
            )
            rows = np.concatenate([rows, more])
        self.mark(honest, rows, group)

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Add exams from the doctors' menu."""
        rows = self.mine(v)
        if not len(rows):
            return o
        menus = {g.number: g.facts["menu"] for g in self.groups}
        who, what = [], []
        for row in rows:
            menu = menus[int(v.group[row])]
            k = min(len(menu), 1 + int(rng.poisson(self.lerp(3.0, 1.0))))
            who.append(np.full(k, row))
            what.append(rng.choice(menu, k, replace=False))
        return Orders.concat([o, self.extra(v, np.concatenate(who), np.concatenate(what), 1, rng)])
