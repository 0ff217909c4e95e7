"""From visits to orders: which items, how many and when. Honest and dishonest visits alike."""

from functools import cache

import numpy as np

from fraud.schema import CATEGORIES
from fraud.synthetic.calendar import DAY, HOUR
from fraud.synthetic.catalogue import Catalogue, load_catalogue
from fraud.synthetic.city import City
from fraud.synthetic.hashing import pick, uniform
from fraud.synthetic.visits import VISIT_TYPE, Visits

_CAT = {name: i for i, name in enumerate(CATEGORIES)}
# Days of medicine a chronic patient gets at a time; long scripts of 8 and 12 weeks are rare but allowed.
_SUPPLY = np.repeat([7, 14, 21, 28, 30, 56, 84], [8, 14, 4, 8, 3, 2, 1])
_INJECTABLE_AT_HOME = ("A10A", "L04B", "L01", "L01X", "L02", "S01L", "B03")
PANEL = ("biochem", ("liver", "renal", "glu", "lipid", "lytes", "ua"))

FIELDS = {
    "visit": np.int64,
    "item": np.int32,
    "quantity": np.int64,
    "second": np.int64,
    "days": np.float64,
    "price_mult": np.float32,
    "trace": np.uint64,
    "bad": np.bool_,
}


class Orders:
    """Columns of ordered items, all of one length.

    Attributes
    ----------
    visit : ndarray of int64
        Row of the visit.
    item, quantity : ndarray of int
    second : ndarray of int64
        When it was charged, seconds since 1970.
    days : ndarray of float
        Days of medicine supplied; 0 where not a drug.
    price_mult : ndarray of float
        Price against the institution's usual one.
    trace : ndarray of uint64
        Drug trace code; 0 for a new one.
    bad : ndarray of bool
        The line should be recovered.
    """

    __slots__ = tuple(FIELDS)

    visit: np.ndarray
    item: np.ndarray
    quantity: np.ndarray
    second: np.ndarray
    days: np.ndarray
    price_mult: np.ndarray
    trace: np.ndarray
    bad: np.ndarray

    @classmethod
    def make(
        cls,
        visit: np.ndarray,
        item: np.ndarray,
        quantity: np.ndarray | int,
        second: np.ndarray,
        **rest: object,
    ) -> "Orders":
        """Orders from their columns; price 1, no trace and not to be recovered by default."""
        out = cls()
        given = {"visit": visit, "item": item, "quantity": quantity, "second": second, **rest}
        for name, dtype in FIELDS.items():
            column: np.ndarray = np.empty(len(visit), dtype=dtype)
            column[...] = given.get(name, 1 if name == "price_mult" else 0)
            setattr(out, name, column)
        return out

    @classmethod
    def concat(cls, parts: list["Orders"]) -> "Orders":
        """All orders of the parts, in order."""
        out = cls()
        for name in FIELDS:
            setattr(out, name, np.concatenate([getattr(p, name) for p in parts]))
        return out

    def take(self, rows: np.ndarray) -> "Orders":
        """Rows by index or mask, as a copy."""
        out = Orders()
        for name in FIELDS:
            setattr(out, name, getattr(self, name)[rows])
        return out

    def take_sorted(self) -> "Orders":
        """Sort by visit, keeping the order inside a visit."""
        return self.take(np.argsort(self.visit, kind="stable"))

    def __len__(self) -> int:
        return len(self.visit)


@cache
def _pharmacy_lists() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Drugs of each class for use at home, then for wards: flat arrays and their starts."""
    c = load_catalogue()
    home, ward, home_start, ward_start = [], [], [0], [0]
    for name, items in zip(c.classes, c.class_items, strict=True):
        shot = np.array(["注射" in c.item_name[i] for i in items])
        at_home = items if name in _INJECTABLE_AT_HOME or shot.all() else items[~shot]
        home += at_home.tolist()
        ward += items.tolist()
        home_start.append(len(home))
        ward_start.append(len(ward))
    return np.array(home), np.array(home_start), np.array(ward), np.array(ward_start)


def _candidates(c: Catalogue, v: Visits) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    row = v.dx.astype(np.int64) * len(VISIT_TYPE) + v.visit_type
    first = c.basket_start[row]
    count = c.basket_start[row + 1] - first
    visit = np.repeat(np.arange(len(v)), count)
    offset = np.arange(len(visit)) - np.repeat(np.cumsum(count) - count, count)
    entry = first[visit] + offset
    return visit, offset, c.basket_entry[entry].astype(np.int64), c.basket_p[entry]


def _choose(c: Catalogue, v: Visits) -> tuple[np.ndarray, np.ndarray]:
    """Entries of the baskets that are ordered: visit rows and items."""
    visit, offset, entry, p = _candidates(c, v)
    is_class = entry < 0
    category = np.where(is_class, _CAT["drug"], c.category[np.maximum(entry, 0)])
    medical = (category == _CAT["exam"]) | (category == _CAT["lab"])
    mult = np.where(is_class, v.drug_mult[visit], np.where(medical, v.exam_mult[visit], 1.0))
    mult = np.where(category == _CAT["treatment"], v.treat_mult[visit], mult)
    chronic = (c.dx_certificate[v.dx] >= 0) & ~v.is_stay
    steady = is_class & chronic[visit]
    fresh = uniform(v.seed[visit], offset)
    u = fresh.copy()
    u[steady] = np.where(
        fresh[steady] < 0.85,
        uniform(v.regimen[visit[steady]], entry[steady], offset[steady], 21),
        uniform(v.seed[visit[steady]], offset[steady], 22),
    )
    keep = u < p * mult
    visit, offset, entry = visit[keep], offset[keep], entry[keep]
    return visit, _drugs(c, v, visit, offset, entry)


def _drugs(c: Catalogue, v: Visits, visit: np.ndarray, offset: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """Items of the entries: each patient has a usual drug of a class, each place a formulary."""
    item = entry.copy()
    rows = np.flatnonzero(entry < 0)
    if not len(rows):
        return item
    who, cls = visit[rows], -1 - entry[rows]
    home, home_start, ward, ward_start = _pharmacy_lists()
    stay = v.is_stay[who]
    low = np.where(stay, ward_start[cls], home_start[cls])
    count = np.where(stay, ward_start[cls + 1], home_start[cls + 1]) - low
    own = pick(count, v.regimen[who], cls, offset[rows], 23)
    formulary = pick(count, v.institution[who], cls, 24)
    choice = np.where(uniform(v.seed[who], offset[rows], 25) < 0.75, own, formulary)
    minor = v.child[who]
    for _ in range(4):  # limits of age: the next drug of the class
        chosen = np.where(
            stay, ward[np.minimum(low + choice, len(ward) - 1)], home[np.minimum(low + choice, len(home) - 1)]
        )
        adult_only, child_only = c.min_age[chosen] >= 18, c.max_age[chosen] <= 18
        choice = np.where((adult_only & minor) | (child_only & ~minor), (choice + 1) % count, choice)
    item[rows] = np.where(
        stay, ward[np.minimum(low + choice, len(ward) - 1)], home[np.minimum(low + choice, len(home) - 1)]
    )
    return item


def _tidy(c: Catalogue, v: Visits, visit: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One line per item and visit, and no parts of a panel beside the panel (almost always)."""
    _, first = np.unique(visit * len(c.item_code) + item, return_index=True)
    first.sort()
    visit, item = visit[first], item[first]
    has_panel = np.zeros(len(v), dtype=bool)
    has_panel[visit[item == c.item[PANEL[0]]]] = True
    part = np.isin(item, c.items_of(*PANEL[1])) & has_panel[visit]
    keep = ~part | (uniform(v.seed[visit], item, 26) < 0.02)
    keep &= ~(v.child[visit] & (c.min_age[item] >= 18))
    return visit[keep], item[keep]


def _supply(c: Catalogue, v: Visits, visit: np.ndarray, item: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantity and days supplied of each order of an ordinary visit."""
    drug = c.category_is(item, "drug", "herb")
    chronic = (c.dx_certificate[v.dx[visit]] >= 0) | (v.visit_type[visit] == VISIT_TYPE["chronic"])
    usual = np.where(chronic, _SUPPLY[pick(len(_SUPPLY), v.seed[visit], 27)], 3 + pick(5, v.seed[visit], 28))
    usual = np.where(v.visit_type[visit] == VISIT_TYPE["emergency"], 1 + pick(2, v.seed[visit], 28), usual)
    wanted = np.where(v.supply[visit] > 0, v.supply[visit], usual)
    herb = c.category[item] == _CAT["herb"]
    wanted = np.where(herb, np.where(v.supply[visit] > 0, wanted, 4 + pick(4, v.seed[visit], 29)), wanted)
    unit = np.maximum(c.days_per_unit[item], 0.3)
    boxes = np.clip(np.ceil(wanted / unit - 0.35), 1, 60)
    hours = np.isin(item, c.items_of("oxygen", "monitor", "vent"))
    service = np.where(hours, 2 + pick(6, v.seed[visit], item), 1)
    quantity = np.where(drug, boxes, service).astype(np.int64)
    return quantity, np.where(drug, quantity * c.days_per_unit[item], 0.0)


def _visit_orders(city: City, v: Visits, visit: np.ndarray, item: np.ndarray) -> Orders:
    quantity, days = _supply(city.catalogue, v, visit, item)
    span = np.minimum(v.settle[visit] - v.start[visit], 80 * 60)
    second = v.start[visit] + (uniform(v.serial[visit], item, 31) * np.maximum(span, 60)).astype(np.int64)
    return Orders.make(visit, item, quantity, second, days=days)


def _stay_orders(city: City, v: Visits, visit: np.ndarray, item: np.ndarray) -> Orders:
    """Orders of stays, day by day: beds and nursing daily, drugs and treatments on most days."""
    c = city.catalogue
    first = v.start // DAY
    length = np.maximum(1, v.end // DAY - first)
    category = c.category[item]
    daily = np.isin(category, [_CAT[k] for k in ("bed", "nursing", "consultation")])
    often = c.category_is(item, "drug", "herb", "treatment") | np.isin(item, c.items_of("infset", "syringe"))
    again = (category == _CAT["lab"]) & (length[visit] > 4)
    spans = np.where(daily | often | again, length[visit], 1)
    row = np.repeat(np.arange(len(visit)), spans)
    day = np.arange(len(row)) - np.repeat(np.cumsum(spans) - spans, spans)
    who, what = visit[row], item[row]
    u = uniform(v.seed[who], what, day, 32)
    keep = (
        daily[row] | (spans[row] == 1) | (often[row] & (u < 0.78)) | (again[row] & ((day == 0) | (u < 0.11)))
    )
    row, day, who, what = row[keep], day[keep], who[keep], what[keep]
    once = spans[row] == 1
    early = (uniform(v.seed[who], what, 33) ** 2.2 * np.minimum(length[who], 12)).astype(np.int64)
    day = np.where(once, early, day)
    clock = (7 * HOUR + uniform(v.serial[who], what, day, 34) * 10 * HOUR).astype(np.int64)
    second = np.clip(
        (first[who] + day) * DAY + clock, v.start[who], np.maximum(v.end[who] - 60, v.start[who])
    )
    drug = c.category_is(what, "drug", "herb")
    unit = np.maximum(c.days_per_unit[what], 0.3)
    need = np.where(unit > 3, 1, np.ceil(1.0 / unit))  # a box lasts the stay, a vial a day
    box_again = drug & (unit > 3) & (day > 0)
    due = ~box_again | ((day % np.maximum(np.round(unit), 1).astype(np.int64)) == 0)
    hours = np.isin(what, c.items_of("oxygen", "monitor", "vent"))
    quantity = np.where(drug, need, np.where(hours, 6 + pick(12, v.seed[who], what, day), 1)).astype(np.int64)
    days = np.where(drug, quantity * c.days_per_unit[what], 0.0)
    return Orders.make(who, what, quantity, second, days=days).take(due)


def make_orders(city: City, v: Visits) -> Orders:
    """Everything that is ordered at some visits.

    Parameters
    ----------
    city : City
    v : Visits
        Placed visits (`City.place`), with a serial.

    Returns
    -------
    Orders
        Sorted by visit.
    """
    visit, item = _tidy(city.catalogue, v, *_choose(city.catalogue, v))
    stay = v.is_stay[visit]
    orders = Orders.concat(
        [
            _visit_orders(city, v, visit[~stay], item[~stay]),
            _stay_orders(city, v, visit[stay], item[stay]),
        ]
    )
    empty = np.ones(len(v), dtype=bool)
    empty[orders.visit] = False
    alone = np.flatnonzero(empty)  # nothing ordered: a consultation, or a box at a pharmacy
    c = city.catalogue
    pharmacy = v.visit_type[alone] == VISIT_TYPE["pharmacy"]
    z01 = c.class_items[c.classes.index("Z01")]
    adult = z01[np.isnan(c.max_age[z01])]
    item = np.where(pharmacy, adult[pick(len(adult), v.seed[alone])], c.item["reg"])
    quantity = np.where(pharmacy, 1 + pick(2, v.seed[alone], 36), 1)
    days = np.where(pharmacy, c.days_per_unit[item] * quantity, 0.0)
    orders = Orders.concat([orders, Orders.make(alone, item, quantity, v.start[alone], days=days)])
    return _cancelled(v, orders).take_sorted()


def _cancelled(v: Visits, orders: Orders) -> Orders:
    """Add the lines that are taken back within the claim (the same item with a negative quantity)."""
    rows = np.flatnonzero(uniform(v.serial[orders.visit], orders.item, orders.second, 37) < 0.0025)
    back = orders.take(rows)
    back.quantity = -back.quantity
    back.second = back.second + 300
    return Orders.concat([orders, back])
