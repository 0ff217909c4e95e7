"""What composed gangs charge: drugs, bundles, recipes, exams, beds, forged bills; and boxes sold again."""

import numpy as np

from fraud.schema import CATEGORIES
from fraud.synthetic.calendar import DAY, Month
from fraud.synthetic.city import KIND, stable_seed
from fraud.synthetic.hashing import mix, pick, uniform
from fraud.synthetic.orders import Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.schemes.ways import Way
from fraud.synthetic.visits import Visits

_KEPT = 0.4  # of the boxes for resale, those that are sold over the fence's counter


class ComposedCharges(Scheme):
    """Charges of gangs whose way of working is drawn; see `fraud.synthetic.schemes.ways.Way`."""

    def careful(self, care: float, blatant: float, hidden: float) -> float:
        """Like `lerp`, for a gang that is so much more careful than the city's."""
        return blatant + (hidden - blatant) * min(1.0, max(0.0, self.camouflage + care))

    def content(self, way: Way, start: np.ndarray) -> np.ndarray:
        """What is charged at some moments: the gang's content or, on some days, its second one."""
        other = uniform(start // DAY, way.weekday, way.lag, self.city.seed + 7) < 0.4
        return np.where(other, way.second, way.content)

    def stock(self, group: Group, rng: np.random.Generator) -> None:
        """Choose what the gang charges: drugs in demand, one costly item, exams, or a recipe."""
        c, f, way = self.city.catalogue, group.facts, group.facts["way"]
        cat = {
            name: c.category == CATEGORIES.index(name)
            for name in ("drug", "herb", "exam", "lab", "treatment")
        }  # noqa: E501
        fits = (c.sex_limit < 0) & np.isnan(c.min_age) & np.isnan(c.max_age) & (c.eligible_rate >= 0.9)
        shop = fits & (cat["drug"] | cat["herb"])
        dear = np.flatnonzero(shop & (c.base_price > 7_000) & (c.base_price < 60_000))
        resale = np.flatnonzero(shop & c.resale & (c.base_price > 3_000) & (c.base_price < 50_000))
        primary = {KIND["primary"], KIND["pharmacy"]}
        small = way.anchor == "item" or any(int(self.city.providers.kind[x]) in primary for x in f["places"])
        low, high = (3_000, 25_000) if small else (10_000, 95_000)
        medical = cat["herb"] | cat["exam"] | cat["treatment"]
        work = np.flatnonzero(fits & medical & (c.base_price >= low) & (c.base_price < high))
        exams = np.flatnonzero(
            fits & (cat["exam"] | cat["lab"]) & (c.base_price >= 2_000) & (c.base_price < high)
        )
        drugs = rng.choice(resale, min(len(resale), int(rng.integers(3, 10))), replace=False)
        costly = rng.choice(dear, 1), rng.choice(work, 1)
        f["menus"] = {"costly": costly, "resale": (drugs, drugs), "double": (drugs, drugs)}
        f["exams"] = rng.choice(exams, min(len(exams), int(rng.integers(2, 5))), replace=False)
        f["recipe"] = rng.choice(resale, 3, replace=False), rng.integers(1, 4, 3)
        f["dx"] = self._diagnoses(way, rng)
        f["number"] = int(rng.integers(1_000, 9_999)) * 1_000_000 + int(rng.integers(0, 800_000))

    def _diagnoses(self, way: Way, rng: np.random.Generator) -> np.ndarray:
        """Diagnoses that anybody of the members may be said to have."""
        c = self.city.catalogue
        weight = c.dx_weight_in if way.anchor in ("ward", "away") else c.dx_weight_out
        anybody = (c.dx_sex < 0) & (c.dx_min_age <= 36) & (c.dx_max_age >= 85)
        if way.anchor in ("ward", "away"):
            anybody = (c.dx_sex < 0) & (c.dx_min_age <= 48) & (c.dx_max_age >= 85)
        return rng.choice(np.flatnonzero(anybody & (weight > 0.3)), 3, replace=False)

    def diagnosis(
        self,
        group: Group,
        patient: np.ndarray,
        alike: np.ndarray,
        start: np.ndarray,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """What members are said to have; identical bundles are of one diagnosis."""
        f, way = group.facts, group.facts["way"]
        if f["course"][1]:
            return np.full(len(patient), self.city.catalogue.dx[f["course"][1]])
        turn = (
            pick(3, start // DAY, group.number, 41) if way.alike == "session" else np.zeros(len(patient), int)
        )
        named = f["dx"][turn]
        if way.diagnosis == "few":
            named = np.where(alike, named, f["dx"][pick(3, patient, group.number, 42)])
        said = alike | (way.diagnosis != "own")
        said &= alike | (rng.random(len(patient)) < self.careful(way.care_charges, 0.95, 0.5))
        ok = self.city.age_sex_ok(patient, named, start // DAY)
        return np.where(said & ok, named, self.city.own_diagnosis(patient, rng))

    def invoices(self, group: Group, n: int, rng: np.random.Generator) -> np.ndarray:
        """Numbers of forged invoices from one book; the careful copy a real book's numbers now and then."""
        f, way = group.facts, group.facts["way"]
        number = f["number"] + np.cumsum(rng.integers(1, way.book + 1, n))
        f["number"] = int(number[-1])
        return np.where(rng.random(n) < self.careful(way.care_charges, 1.0, 0.5), number, -1)

    # -- boxes sold again ----------------------------------------------------------------------

    def resell(
        self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator
    ) -> None:
        """Mark honest purchases at the fence's counter: they receive boxes from the stock."""
        f = group.facts
        if "fence" not in f:
            return
        ready = [s for s in f["stock"] if s[0] < month.start]
        mask = (honest.institution == f["fence"]) & (honest.start > month.start + 2 * DAY)
        mask &= ~np.isin(honest.patient, f["member"])
        rows = self.pick_rows(honest, mask, min(round(0.25 * count), len(ready)), rng)
        self.mark(honest, rows, group)

    def _sold_again(
        self, v: Visits, fence: np.ndarray, group: Group, rng: np.random.Generator
    ) -> list[Orders]:
        stock = group.facts["stock"]
        boxes = [stock.pop(int(rng.integers(0, len(stock)))) for _ in fence if stock]
        if not boxes:
            return []
        again = self.extra(v, fence[: len(boxes)], np.array([b[1] for b in boxes]), 1, rng)
        again.trace[:] = np.array([b[2] for b in boxes], dtype=np.uint64)
        return [again]

    # -- charges -------------------------------------------------------------------------------

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Change what is charged, gang by gang."""
        rows = self.mine(v)
        parts, drop = [], np.zeros(len(o), dtype=bool)
        for group in self.groups:
            found = rows[v.group[rows] == group.number]
            member = np.isin(v.patient[found], group.facts["member"])
            if (~member).any():
                parts += self._sold_again(v, found[~member], group, rng)
            ours = found[member]
            content = self.content(group.facts["way"], v.start[ours])
            for name in np.unique(content).tolist():
                more, less = self._charged(v, o, ours[content == name], name, group, rng)
                parts.append(more)
                drop |= less
        return Orders.concat([o.take(~drop), *parts])

    def _charged(
        self, v: Visits, o: Orders, ours: np.ndarray, content: str, group: Group, rng: np.random.Generator
    ) -> tuple[Orders, np.ndarray]:
        """Orders added to claims of one content, and which ordinary ones are left out."""
        way, drop = group.facts["way"], np.zeros(len(o), dtype=bool)
        none = ours[:0]
        if content in ("resale", "costly") or (content == "double" and way.fence):
            return self._added(v, ours, content, group, rng), drop
        if content == "exams":
            return self._examined(v, ours, group, rng), drop
        if content == "amounts":
            same = ours[rng.random(len(ours)) < self.careful(way.care_charges, 0.97, 0.45)]
            return self._recipe(v, same, group, rng), np.isin(o.visit, same)
        if content == "bundle":
            alike = v.regimen[ours] == group.facts["member"][0]
            return self._recipe(v, ours[alike & ~v.is_stay[ours]], group, rng), drop
        if content == "bed_only":
            return self._recipe(v, none, group, rng), self._idle(v, o, ours, way, rng)
        return self._recipe(v, none, group, rng), drop

    def _added(
        self, v: Visits, ours: np.ndarray, content: str, group: Group, rng: np.random.Generator
    ) -> Orders:
        """Items on top of the ordinary basket: on almost all claims, or (careful) on most."""
        way, menus = group.facts["way"], group.facts["menus"][content]
        care = way.care_charges
        if not way.rides:  # otherwise the added items are all that is gained
            ours = ours[rng.random(len(ours)) < self.careful(care, 0.97, 0.55)]
        each = 1 if content == "costly" else 2
        who = np.repeat(ours, each)
        shop = self.city.providers.kind[v.institution[who]] == KIND["pharmacy"]
        draw = rng.integers(0, len(menus[0]), len(who))
        draw[1::2] += (draw[1::2] == draw[0 : len(draw) - 1 : 2]) & (each == 2)
        what = np.where(shop, menus[0][draw % len(menus[0])], menus[1][draw % len(menus[1])])
        medicine = self.city.catalogue.category_is(what, "drug", "herb")
        most = max(2, round(self.careful(care, 5, 2) * way.greed)) + 1
        few = rng.integers(1, 3, len(who)) if content == "costly" else rng.integers(2, most + 1, len(who))
        made = self.extra(v, who, what, np.where(medicine, few, 1), rng)
        if way.fence and len(made):
            made.trace = np.where(medicine, mix(v.serial[who], what, 65), np.uint64(0))
            kept = medicine & (rng.random(len(who)) < _KEPT)
            boxes = zip(made.second[kept], what[kept], made.trace[kept], strict=True)
            group.facts["stock"] += [(int(s), int(i), int(t)) for s, i, t in boxes]
        return made

    def _examined(self, v: Visits, ours: np.ndarray, group: Group, rng: np.random.Generator) -> Orders:
        """The gang's exams, all of them or (careful) some."""
        f, exams = group.facts, group.facts["exams"]
        who, what = np.repeat(ours, len(exams)), np.tile(exams, len(ours))
        keep = rng.random(len(who)) < self.careful(f["way"].care_charges, 0.97, 0.5)
        return self.extra(v, who[keep], what[keep], 1, rng)

    def _recipe(self, v: Visits, rows: np.ndarray, group: Group, rng: np.random.Generator) -> Orders:
        """Make the same items in the same quantities for all of some visits."""
        items, boxes = group.facts["recipe"]
        who = np.repeat(rows, len(items))
        return self.extra(v, who, np.tile(items, len(rows)), np.tile(boxes, len(rows)), rng)

    def bundle_seed(self, group: Group, start: np.ndarray) -> np.ndarray:
        """Basket seed of the identical bundles of the gang, or of those who come on the same day."""
        day = start // DAY if group.facts["way"].alike == "session" else np.zeros(len(start), dtype=np.int64)
        return stable_seed(day, group.number, self.code, self.city.seed)

    def _idle(self, v: Visits, o: Orders, ours: np.ndarray, way: Way, rng: np.random.Generator) -> np.ndarray:
        """Lines of stays that are left out: after the first day hardly anything but bed and nursing."""
        mine = np.isin(o.visit, ours)
        later = o.second // DAY - v.start[o.visit] // DAY >= 1
        bed = self.city.catalogue.category_is(o.item, "bed", "nursing", "consultation")
        return mine & later & ~bed & (rng.random(len(o)) < self.careful(way.care_charges, 0.97, 0.6))
