"""Item swaps: something the fund does not pay for is charged as something it does."""

import numpy as np

from fraud.synthetic.calendar import Month
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class ItemSwap(Scheme):
    """Pharmacies and clinics charge health products as medicine of about the same price."""

    name, zh = "item_swap", "串换药品项目"
    share, per_group, hidden = 1.3, 45, 0.8

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose a pharmacy or clinic and the medicine it uses as a cover."""
        place = self.institution(group, ("pharmacy", "pharmacy", "clinic", "community"), rng)
        c = self.city.catalogue
        group.facts["desk"] = self.operator(place, rng)
        covers = np.flatnonzero(
            (c.category == 0)
            & (c.eligible_rate >= 0.9)
            & (c.base_price > 4_000)
            & (c.base_price < 22_000)
            & (c.sex_limit < 0)
            & np.isnan(c.min_age)
            & np.isnan(c.max_age)
        )
        covers = covers[np.array(["注射" not in c.item_name[i] for i in covers])]
        group.facts["covers"] = rng.choice(covers, round(self.lerp(3, 12)), replace=False)

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits | None:
        """Take honest customers of the place; at a quiet place, more of them come for the gifts."""
        rows = self.pick_rows(
            honest, (honest.institution == group.facts["place"]) & ~honest.is_stay, count, rng
        )
        self.mark(honest, rows, group)
        missing = count - len(rows)
        if not missing:
            return None
        patient = self.recruits(group, missing, rng, min_age=25, role="customer")
        pharmacy = self.city.providers.kind[group.facts["place"]] == 3
        return Visits.make(
            len(patient),
            patient=patient,
            institution=group.facts["place"],
            dx=self.city.own_diagnosis(patient, rng),
            visit_type=VISIT_TYPE["pharmacy" if pharmacy else "outpatient"],
            start=self.moments(month, len(patient), rng, "pharmacy" if pharmacy else "clinic"),
        )

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Charge a few boxes of the cover; a clever cashier takes one that fits the diagnosis."""
        rows = self.mine(v)
        if not len(rows):
            return o
        c = self.city.catalogue
        covers = {g.number: g.facts["covers"] for g in self.groups}
        what = np.array([rng.choice(covers[int(g)]) for g in v.group[rows]])
        fits = rng.random(len(rows)) < self.lerp(0.0, 0.7)
        for i in np.flatnonzero(fits):
            row = int(v.dx[rows[i]]) * 8 + VISIT_TYPE["pharmacy"]
            entries = c.basket_entry[c.basket_start[row] : c.basket_start[row + 1]]
            drugs = [
                int(d)
                for e in entries
                if e < 0
                for d in c.class_items[-1 - e]
                if 3_000 < c.base_price[d] < 22_000 and "注射" not in c.item_name[d]
            ]
            what[i] = rng.choice(drugs) if drugs else what[i]
        boxes = rng.integers(round(self.lerp(3, 1)), round(self.lerp(9, 4)) + 1, len(rows))
        return Orders.concat([o, self.extra(v, rows, what, boxes, rng)])
