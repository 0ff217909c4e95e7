"""The dataset's own item master: what items are, and what single items are limited to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fraud.rules.knowledge import DrugClasses, KnowledgeRow
from fraud.rules.vocabulary import Item

Limit = tuple[str | None, float | None, float | None]
"""Sex, least and greatest age."""
MASTER_SOURCE = "the dataset's item master"
MASTER_COLUMNS = (
    "item_code",
    "name",
    "category",
    "drug_class",
    "days_per_unit",
    "price_limit",
    "sex_limit",
    "min_age",
    "max_age",
)


@dataclass(frozen=True)
class Master:
    """The dataset's item master: items by code, and what single items are limited to."""

    items: dict[str, Item]
    days_per_unit: dict[str, float]
    price_limit: dict[str, int]
    limits: tuple[KnowledgeRow, ...]


NO_MASTER = Master({}, {}, {}, ())


def master_of(rows: Iterable[Sequence[Any]]) -> Master:
    """The master of rows with `MASTER_COLUMNS`, by item code; prices in cents."""
    items, days, prices = {}, {}, {}
    limits: dict[Limit, list[str]] = {}
    for code, name, category, drug_class, per_unit, price, sex, low, high in rows:
        items[code] = Item(code, name or "", category or "", drug_class or "")
        if per_unit:
            days[code] = float(per_unit)
        if price:
            prices[code] = int(price)
        if any(v not in (None, "") for v in (sex, low, high)):
            limits.setdefault((sex, low, high), []).append(code)
    return Master(items, days, prices, tuple(_limit_rows(limits)))


def _limit_rows(limits: dict[Limit, list[str]]) -> list[KnowledgeRow]:
    """Rows of table ``items``: one for each sex and ages that items are limited to, with their codes."""
    rows = []
    for (sex, low, high), codes in limits.items():
        who_zh = {"M": "男性", "F": "女性"}.get(sex or "", "")
        who_en = {"M": "men", "F": "women"}.get(sex or "", "")
        age_zh = "".join(
            [f"{low:g}岁以上" if low is not None else "", f"{high:g}岁以下" if high is not None else ""]
        )
        age_en = " ".join(
            [f"from {low:g}" if low is not None else "", f"to {high:g} years" if high is not None else ""]
        )
        rows.append(
            KnowledgeRow(
                id="-".join(["MASTER", sex or "any", *("" if a is None else f"{a:g}" for a in (low, high))]),
                items="|".join(f"code:{c}" for c in sorted(codes)),
                sex=sex or "",
                min_age=low,
                max_age=high,
                note_zh=f"项目目录限定：{'、'.join(t for t in (who_zh, age_zh) if t)}",
                note_en=f"the item master says: {', '.join(t for t in (who_en, age_en.strip()) if t)}",
                source=MASTER_SOURCE,
            )
        )
    return sorted(rows, key=lambda r: r.id)


def resolved(item: Item, classes: DrugClasses, master: dict[str, Item]) -> Item:
    """The item as rules see it: the master's where it knows the code; a drug class by name if need be."""
    known = master.get(item.code)
    return classes.of(
        item
        if known is None
        else Item(item.code, known.name or item.name, known.category or item.category, known.drug_class)
    )
