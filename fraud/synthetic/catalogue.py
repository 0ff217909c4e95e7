"""The catalogue of the synthetic city: items, diagnoses and what is typically charged for them."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from fraud.schema import CATEGORIES, VISIT_TYPES

STAYS = ("inpatient", "day_surgery", "maternity")


@dataclass(frozen=True)
class Catalogue:
    """Items, diagnoses and baskets as arrays.

    Attributes
    ----------
    item_code, item_name : ndarray of str, shape (items,)
    category : ndarray of int8
        Index into ``schema.CATEGORIES``.
    drug_class : ndarray of int16
        Index into `classes`; -1 where not a drug.
    days_per_unit, eligible_rate : ndarray of float
    base_price, price_limit : ndarray of int64
        Cents; a limit of -1 means none.
    sex_limit : ndarray of int8
        -1 none, 0 male, 1 female.
    min_age, max_age : ndarray of float
        NaN where there is no limit.
    class_items : list of ndarray
        Items of each drug class.
    dx_* : ndarray, shape (diagnoses,)
    basket_start, basket_entry, basket_p : ndarray
        Baskets in compressed rows, row ``dx * len(VISIT_TYPES) + visit type``; an entry is an item
        (>= 0) or a drug class (``-1 - class``).
    """

    item_code: np.ndarray
    item_name: np.ndarray
    category: np.ndarray
    drug_class: np.ndarray
    days_per_unit: np.ndarray
    eligible_rate: np.ndarray
    base_price: np.ndarray
    price_limit: np.ndarray
    sex_limit: np.ndarray
    min_age: np.ndarray
    max_age: np.ndarray
    resale: np.ndarray
    classes: tuple[str, ...]
    class_items: tuple[np.ndarray, ...]
    item: dict[str, int]
    dx: dict[str, int]
    dx_code: np.ndarray
    dx_name: np.ndarray
    dx_specialty: np.ndarray
    dx_sex: np.ndarray
    dx_min_age: np.ndarray
    dx_max_age: np.ndarray
    dx_certificate: np.ndarray
    dx_season: tuple[str, ...]
    dx_weight_out: np.ndarray
    dx_weight_in: np.ndarray
    dx_stay: np.ndarray
    specialties: tuple[str, ...]
    certificates: tuple[str, ...]
    basket_start: np.ndarray
    basket_entry: np.ndarray
    basket_p: np.ndarray

    def category_is(self, items: np.ndarray, *names: str) -> np.ndarray:
        """Which items are of the named categories."""
        wanted = np.array([CATEGORIES.index(n) for n in names])
        return np.isin(self.category[items], wanted)

    def items_of(self, *keys: str) -> np.ndarray:
        """Items by their short names."""
        return np.array([self.item[k] for k in keys], dtype=np.int64)


def read_rows(name: str) -> list[dict[str, str]]:
    """Read a CSV file of the package's data."""
    text = (files("fraud.synthetic") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _cents(values: list[str]) -> np.ndarray:
    return np.array([round(float(v) * 100) if v else -1 for v in values], dtype=np.int64)


def _floats(values: list[str], empty: float = float("nan")) -> np.ndarray:
    return np.array([float(v) if v else empty for v in values])


def _text(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=object)


def _baskets(
    diagnoses: list[dict[str, str]], item: dict[str, int], classes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    drugs = {c: -1 - i for i, c in enumerate(classes)}
    specific: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in read_rows("baskets.csv"):
        entry = item.get(row["entry"], drugs.get(row["entry"], 0))
        specific.setdefault((row["diagnosis"], row["setting"]), []).append((entry, float(row["probability"])))
    generic: dict[str, list[tuple[int, float]]] = {}
    for row in read_rows("generic_baskets.csv"):
        entry = item.get(row["entry"], drugs.get(row["entry"], 0))
        generic.setdefault(row["visit_type"], []).append((entry, float(row["probability"])))
    starts, entries, chances = [0], [], []
    for dx in diagnoses:
        for visit_type in VISIT_TYPES:
            basket = list(specific.get((dx["code"], "any"), []))
            if visit_type != "pharmacy":
                setting = "in" if visit_type in STAYS else "out"
                basket += specific.get((dx["code"], setting), []) + generic.get(visit_type, [])
            best: dict[tuple[int, int], float] = {}
            seen: dict[int, int] = {}
            for entry, p in basket:  # a drug class may appear twice: two drugs of it; an item once
                slot = seen.get(entry, 0) if entry < 0 else 0
                seen[entry] = slot + 1
                best[entry, slot] = max(p, best.get((entry, slot), 0.0))
            entries += [e for e, _ in best]
            chances += list(best.values())
            starts.append(len(entries))
    return np.array(starts), np.array(entries, dtype=np.int32), np.array(chances)


@cache
def load_catalogue() -> Catalogue:
    """Read the catalogue from the package's data files (once)."""
    items, diagnoses = read_rows("items.csv"), read_rows("diagnoses.csv")
    column = lambda name: [r[name] for r in items]  # noqa: E731
    dx_column = lambda name: [r[name] for r in diagnoses]  # noqa: E731
    classes = tuple(dict.fromkeys(c for c in column("drug_class") if c))
    drug_class = np.array([classes.index(c) if c else -1 for c in column("drug_class")], dtype=np.int16)
    item = {k: i for i, k in enumerate(column("key")) if k}
    specialties = tuple(sorted(set(dx_column("specialty"))))
    certificates = tuple(sorted({c for c in dx_column("certificate") if c}))
    start, entry, p = _baskets(diagnoses, item, classes)
    sexes = {"": -1, "M": 0, "F": 1}
    return Catalogue(
        item_code=_text(column("item_code")),
        item_name=_text(column("name")),
        category=np.array([CATEGORIES.index(c) for c in column("category")], dtype=np.int8),
        drug_class=drug_class,
        days_per_unit=_floats(column("days_per_unit"), 0.0),
        eligible_rate=_floats(column("eligible_rate")),
        base_price=_cents(column("base_price")),
        price_limit=_cents(column("price_limit")),
        sex_limit=np.array([sexes[s] for s in column("sex_limit")], dtype=np.int8),
        min_age=_floats(column("min_age")),
        max_age=_floats(column("max_age")),
        resale=np.array([r == "1" for r in column("resale")]),
        classes=classes,
        class_items=tuple(np.flatnonzero(drug_class == i) for i in range(len(classes))),
        item=item,
        dx={c: i for i, c in enumerate(dx_column("code"))},
        dx_code=_text(dx_column("code")),
        dx_name=_text(dx_column("name")),
        dx_specialty=np.array([specialties.index(s) for s in dx_column("specialty")], dtype=np.int16),
        dx_sex=np.array([sexes[s] for s in dx_column("sex")], dtype=np.int8),
        dx_min_age=_floats(dx_column("min_age")),
        dx_max_age=_floats(dx_column("max_age")),
        dx_certificate=np.array(
            [certificates.index(c) if c else -1 for c in dx_column("certificate")], dtype=np.int16
        ),
        dx_season=tuple(dx_column("season")),
        dx_weight_out=_floats(dx_column("weight_out")),
        dx_weight_in=_floats(dx_column("weight_in")),
        dx_stay=_floats(dx_column("stay_days")),
        specialties=specialties,
        certificates=certificates,
        basket_start=start,
        basket_entry=entry,
        basket_p=p,
    )
