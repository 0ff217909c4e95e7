"""Duplicate charges: the same item charged twice on a day."""

import numpy as np

from fraud.synthetic.calendar import Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import Visits


class DuplicateCharge(Scheme):
    """A department repeats lines of its visits and stays."""

    name, zh = "duplicate_charge", "重复收费"
    share, per_group, hidden = 1.0, 45, 0.4

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose an institution; most of its claims stay correct."""
        place = self.institution(
            group, ("tertiary", "secondary", "private_hospital", "rehab", "community"), rng
        )
        depts = self.city.providers.departments_of(place)
        group.facts["departments"] = rng.choice(
            depts, max(1, round(len(depts) * self.lerp(0.3, 0.8))), replace=False
        )
        group.members += [("department", int(d), "department") for d in group.facts["departments"]]

    def emit(self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator) -> None:
        """Take some of the departments' honest claims."""
        mask = np.isin(honest.department, group.facts["departments"])
        rows = self.pick_rows(honest, mask, count, rng)
        if len(rows) < count:
            more = self.pick_rows(
                honest, (honest.institution == group.facts["place"]) & ~mask, count - len(rows), rng
            )
            rows = np.concatenate([rows, more])
        self.mark(honest, rows, group)

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Repeat lines on the same day: the dearer ones, or, hidden, whatever is not conspicuous."""
        ours = np.zeros(len(v), dtype=bool)
        ours[self.mine(v)] = True
        c = self.city.catalogue
        mine = np.flatnonzero(
            ours[o.visit] & (o.quantity > 0) & ~c.category_is(o.item, "bed", "consultation", "surgery")
        )
        if not len(mine):
            return o
        price = c.base_price[o.item[mine]] * o.quantity[mine]
        order = np.lexsort((-price, o.visit[mine]))
        mine = mine[order]
        who = o.visit[mine]
        first = np.concatenate([[True], who[1:] != who[:-1]])
        rank = np.arange(len(mine)) - np.maximum.accumulate(np.where(first, np.arange(len(mine)), 0))
        chance = np.where(rank < 2, self.lerp(0.95, 0.55), self.lerp(0.6, 0.08))
        chosen = mine[rng.random(len(mine)) < chance]
        again = o.take(chosen)
        again.second = again.second + np.rint(rng.uniform(0, self.lerp(300, 2_400), len(chosen))).astype(
            np.int64
        )
        again.second = np.minimum(again.second, np.maximum(v.end[again.visit], v.settle[again.visit] - 60))
        again.bad[:] = True
        return Orders.concat([o, again])
