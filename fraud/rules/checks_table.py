"""Checks as tables: selectors resolved over what a dataset holds, so that rules join instead of loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from fraud.rules.parameters import SPECIALTIES
from fraud.rules.rule_set import Check
from fraud.rules.vocabulary import Item, Selectors

EPOCH = date(1970, 1, 1)
NEVER = 10_000_000
_LISTS = ("visit_types", "institution_kinds", "specialties", "insurance_types")
_SIDES = ("", "when_", "unless_")


Pause = Callable[[], None]
"""Called between pieces of work, so that others may run."""


def never() -> None:
    """No pause."""


def day_number(day: str, otherwise: int) -> int:
    """Days since 1970 of ``YYYY-MM-DD``."""
    return (date.fromisoformat(day) - EPOCH).days if day else otherwise


def window_days(window: str) -> int:
    """Days of a rolling window such as ``30d``; 0 for any other."""
    return int(window[:-1]) if window.endswith("d") else 0


def word_list(words: Sequence[str]) -> str | None:
    """Words as the text that `fraud.rules.conditions` looks them up in; None for no condition."""
    return "|" + "|".join(words) + "|" if words else None


@dataclass(frozen=True)
class CheckTable:
    """Checks by number, and their selectors.

    Attributes
    ----------
    checks : tuple of Check
        The number of a check is its place.
    selectors : Selectors
    """

    checks: tuple[Check, ...]
    selectors: Selectors

    @property
    def specialties(self) -> frozenset[str]:
        """Specialties that are known: the built-in ones and all that a check names."""
        named = {
            s
            for c in self.checks
            for name in ("specialties", "when_specialties", "unless_specialties")
            for s in getattr(c.parameters, name)
        }
        return frozenset(SPECIALTIES) | named

    @classmethod
    def of(cls, checks: Sequence[Check], pause: Pause = never) -> "CheckTable":
        """Number checks and their selectors; `pause` is called after each."""
        selectors = Selectors()
        for check in checks:
            p = check.parameters
            for name in ("items", "partners", "excluded", "unless_items"):
                selectors.number("items", getattr(p, name))
            for name in ("diagnoses", "excluded_diagnoses", "when_diagnoses", "unless_diagnoses"):
                selectors.number("diagnoses", getattr(p, name))
            pause()
        return cls(tuple(checks), selectors)

    def rows(self, kind: str) -> pa.Table:
        """The checks of one kind; a column that none of them sets is left out."""
        own = [self._row(n, check) for n, check in self.of_kind(kind)]
        names = [n for n in own[0] if any(row[n] is not None for row in own)]
        return pa.table({n: pa.array([r[n] for r in own], TYPES.get(n, pa.string())) for n in names})

    def of_kind(self, kind: str) -> list[tuple[int, Check]]:
        """Numbers and checks of a kind."""
        return [(n, c) for n, c in enumerate(self.checks) if c.rule.kind == kind]

    def _row(self, number: int, check: Check) -> dict[str, Any]:
        p, rule = check.parameters, check.rule
        text = lambda kind, t: self.selectors.number(kind, t) if t else None  # noqa: E731
        row: dict[str, Any] = {
            "check": number,
            "item_set": text("items", p.items),
            "partner_set": text("items", p.partners),
            "excluded_set": text("items", p.excluded),
            "unless_set": text("items", p.unless_items),
            "require_dx": text("diagnoses", p.diagnoses),
            "excluded_dx": text("diagnoses", p.excluded_diagnoses),
            "when_dx": text("diagnoses", p.when_diagnoses),
            "unless_dx": text("diagnoses", p.unless_diagnoses),
            "diagnosis_days": p.diagnosis_days,
            "need_sex": p.sex or None,
            "need_min_age": p.min_age,
            "need_max_age": p.max_age,
            "when_sex": p.when_sex or None,
            "when_min_age": p.when_min_age,
            "when_max_age": p.when_max_age,
            "unit": p.unit,
            "bound": None if p.limit is None else float(p.limit),
            "window": p.window or "visit",
            "window_days": window_days(p.window),
            "per": p.per
            or ("item" if rule.kind == "quantity" else "class" if rule.kind == "overlap" else "all"),
            "carry": int(p.carry),
            "across": p.across,
            "what": p.what,
            "least": round(p.least * 100),
            "amount": rule.amount,
            "first_day": day_number(rule.effective_from, -NEVER),
            "last_day": day_number(rule.effective_to, NEVER),
        }
        for name in _LISTS:
            row[f"need_{name}"] = word_list(getattr(p, name))
            row[f"when_{name}"] = word_list(getattr(p, f"when_{name}"))
        for name in ("visit_types", "specialties"):
            row[f"unless_{name}"] = word_list(getattr(p, f"unless_{name}"))
        return row


TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(
        (
            "check",
            "item_set",
            "partner_set",
            "excluded_set",
            "unless_set",
            "require_dx",
            "excluded_dx",
            "when_dx",
            "unless_dx",
            "diagnosis_days",
            "window_days",
            "carry",
            "least",
            "first_day",
            "last_day",
        ),
        pa.int64(),
    ),
    **dict.fromkeys(("need_min_age", "need_max_age", "when_min_age", "when_max_age", "bound"), pa.float64()),
}
"""Types of the columns that are no text."""


def item_sets(selectors: Selectors, items: Sequence[Item]) -> tuple[list[int], list[int]]:
    """Pairs (item number, item selector) of everything that belongs together, sorted."""
    pairs = [(n, s) for n, item in enumerate(items) for s in sorted(selectors.of_item(item))]
    return [p[0] for p in pairs], [p[1] for p in pairs]
