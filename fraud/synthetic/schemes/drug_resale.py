"""Drug resale: medicine bought on the card is sold back, and its boxes are sold again."""

import numpy as np

from fraud.synthetic.calendar import DAY, Month
from fraud.synthetic.hashing import mix
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits


class DrugResale(Scheme):
    """Runners tour institutions for drugs that sell well; a fence sells the boxes a second time."""

    name, zh = "drug_resale", "药品倒卖"
    share, per_group, hidden = 1.5, 60, 0.4

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose runners, the drugs in demand and the fence's pharmacy."""
        c = self.city.catalogue
        self.recruits(
            group,
            round(self.lerp(6, 14)),
            rng,
            neighbours=self.lerp(0.5, 0.0),
            certificate="any",
            min_age=30,
            role="runner",
        )
        self.institution(group, ("pharmacy", "clinic"), rng, role="fence")
        wanted = np.flatnonzero(c.resale & (c.category == 0) & (c.base_price < 60_000))
        group.facts["drugs"] = rng.choice(wanted, 8, replace=False)
        group.facts["stock"] = []  # (moment, item, trace number)

    def emit(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> Visits:
        """Most claims are the runners' purchases; the rest are resales over the fence's counter."""
        f = group.facts
        sold = self._resell(group, round(count * 0.2), month, honest, rng)
        n = max(1, count - sold)
        patient = rng.choice(f["runner"], n)
        level = rng.integers(0, 4, n)
        institution = np.zeros(n, dtype=np.int64)
        for code, place in enumerate(("tertiary", "secondary", "primary", "pharmacy")):
            institution[level == code] = self.city.choose_institution(
                patient[level == code], place, rng, loyal=self.lerp(0.15, 0.6)
            )
        kind = np.where(
            level == 3,
            VISIT_TYPE["pharmacy"],
            np.where(rng.random(n) < 0.75, VISIT_TYPE["chronic"], VISIT_TYPE["outpatient"]),
        )
        return Visits.make(
            n,
            patient=patient,
            institution=institution,
            visit_type=kind,
            dx=self.city.own_diagnosis(patient, rng),
            start=self.moments(month, n, rng),
            whole=True,
            supply=np.rint(self.lerp(60, 32) * rng.uniform(0.8, 1.25, n)),
        )

    def _resell(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> int:
        """Mark honest purchases at the fence's counter: they receive boxes from the stock."""
        ready = [s for s in group.facts["stock"] if s[0] < month.start]
        mask = (honest.institution == group.facts["fence"]) & (honest.start > month.start + 3 * DAY)
        rows = self.pick_rows(honest, mask, min(count, len(ready)), rng)
        self.mark(honest, rows, group)
        return len(rows)

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Add drugs in demand to purchases (their trace codes enter the stock) and old boxes to resales."""
        parts = [o]
        rows = self.mine(v)
        for group in self.groups:
            ours = rows[v.group[rows] == group.number]
            fence = ours[~v.whole[ours]]
            bought = self._buy(v, ours[v.whole[ours]], group, rng)
            stock = group.facts["stock"]
            boxes = [stock.pop(int(rng.integers(0, len(stock)))) for _ in fence if stock]
            if boxes:
                items = np.array([b[1] for b in boxes])
                again = self.extra(v, fence[: len(boxes)], items, 1, rng)
                again.trace[:] = np.array([b[2] for b in boxes], dtype=np.uint64)
                parts.append(again)
            parts += bought
        return Orders.concat(parts)

    def _buy(self, v: Visits, rows: np.ndarray, group: Group, rng: np.random.Generator) -> list[Orders]:
        if not len(rows):
            return []
        each = round(self.lerp(3, 2))
        who = np.repeat(rows, each)
        what = np.concatenate([rng.choice(group.facts["drugs"], each, replace=False) for _ in rows])
        boxes = rng.integers(2, round(self.lerp(6, 3)) + 1, len(who))
        bought = self.extra(v, who, what, boxes, rng)
        bought.trace = mix(v.serial[who], what, 64)
        traced = zip(bought.second.tolist(), what.tolist(), bought.trace.tolist(), strict=True)
        group.facts["stock"] += [s for s in traced if rng.random() < 0.5]
        return [bought]
