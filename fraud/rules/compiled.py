"""Checks compiled for one claim at a time: conditions as closures, items looked up once.

Everything that depends on the rules alone is done here, so that a prescription pays only for the checks
that its items select. No text is ever executed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fraud.rules.bounds import CARRIED_DAYS, MILLI, SUPPLY_DAYS
from fraud.rules.checks_table import NEVER, CheckTable, Pause, day_number, never, window_days
from fraud.rules.encounter import Charge, Encounter
from fraud.rules.knowledge import DrugClasses
from fraud.rules.master import Master, resolved
from fraud.rules.rule_set import Check
from fraud.rules.vocabulary import Item

REMEMBERED = 200_000
"""Most items remembered."""
UNITS = ("frequency", "quantity", "overlap")


@dataclass(slots=True)
class Facts:
    """What conditions ask of an encounter."""

    sex: str | None
    age_low: float | None
    age_high: float | None
    visit_type: str | None
    institution_kind: str | None
    specialty: str | None
    insurance_type: str | None
    day_in: int
    diagnosed: bool
    ago: dict[int, int]
    charged: frozenset[int]


Condition = Callable[[Facts], bool]


@dataclass(frozen=True, slots=True)
class Compiled:
    """One check, ready to be asked.

    Attributes
    ----------
    most : float
        What may be counted, in thousandths.
    reach : int
        Days before the encounter from which earlier claims are too far to matter; 0 where none matters.
    """

    number: int
    check: Check
    kind: str
    first_day: int
    last_day: int
    looks: Condition | None
    violated: Condition
    exempt: Condition | None
    bound: float
    most: float
    reach: int
    window: str
    window_days: int
    per: str
    unit: str
    item_set: int
    partner_set: int
    excluded_set: int

    def applies(self, facts: Facts) -> bool:
        """Whether the check looks at the encounter and does not exempt it."""
        return (
            self.first_day <= facts.day_in <= self.last_day
            and (self.looks is None or self.looks(facts))
            and not (self.exempt is not None and self.exempt(facts))
        )


@dataclass(frozen=True, slots=True)
class ItemEntry:
    """An item, and the checks that select it.

    Attributes
    ----------
    limits, by_age : tuple
        Limits; those by age alone apart, as ``youngest`` and ``oldest`` tell of all of them at once that
        nobody from the one up to the other violates any.
    counted : tuple
        Checks that count it, each with what it is counted as part of: the item, its class, or all.
    parts : frozenset
        Check number and part of those that look at earlier claims.
    supplied : bool
        Whether some check counts its days of supply.
    """

    number: int
    item: Item
    per_unit: float
    sets: frozenset[int]
    limits: tuple[Compiled, ...]
    by_age: tuple[Compiled, ...]
    youngest: float
    oldest: float
    companions: tuple[Compiled, ...]
    pairs: tuple[Compiled, ...]
    counted: tuple[tuple[Compiled, str], ...]
    parts: frozenset[tuple[int, str]]
    supplied: bool


Charged = list[tuple[ItemEntry, list[Charge]]]
"""Items of an encounter, each with its charges by day."""


class CompiledRules:
    """A rule set for single encounters.

    Parameters
    ----------
    checks : sequence of Check
    classes : DrugClasses
    master : Master
        Item master that names, classes and days per unit are taken from.
    pause : callable
        Called after every piece of work.
    """

    def __init__(
        self, checks: Sequence[Check], classes: DrugClasses, master: Master, pause: Pause = never
    ) -> None:
        self.table = CheckTable.of(checks, pause)
        self.classes, self.master = classes, master
        self._specialties = self.table.specialties
        compiled: list[Compiled] = []
        self._by_set: dict[int, list[Compiled]] = {}
        self.by_kind: dict[str, list[Compiled]] = {}
        for number, check in enumerate(self.table.checks):
            one = self._compile(number, check)
            compiled.append(one)
            pause()
            self.by_kind.setdefault(one.kind, []).append(one)
            if one.item_set >= 0:
                self._by_set.setdefault(one.item_set, []).append(one)
        self.compiled = tuple(compiled)
        self.entries: dict[tuple[str, str, str], ItemEntry] = {}
        self._numbers: dict[Item, int] = {}
        self._remembered_codes: dict[str, tuple[int, ...]] = {}
        self._remembered = frozenset(
            n
            for c in self.compiled
            if c.check.parameters.diagnosis_days
            for n in _diagnosis_sets(self.table, c.check)
        )
        self.items: list[Item] = []

    def entry(self, code: str, name: str, category: str) -> ItemEntry:
        """What is known of an item; remembered until `trim`."""
        key = (code, name, category)
        found = self.entries.get(key)
        if found is None:
            found = self.entries[key] = self._resolve(Item(*key))
        return found

    def trim(self) -> None:
        """Forget items once they are too many, so that invented codes cannot fill the memory.

        Numbers of items are given anew, so only between two encounters.
        """
        if len(self.entries) > REMEMBERED:
            self.entries.clear()
            self._numbers.clear()
            self.items.clear()

    def remembered(self, code: str) -> tuple[int, ...]:
        """Diagnosis selectors of a code that some check looks for in earlier claims."""
        found = self._remembered_codes.get(code)
        if found is None:
            if len(self._remembered_codes) > 200_000:
                self._remembered_codes.clear()
            found = tuple(self.table.selectors.of_diagnosis(code) & self._remembered)
            self._remembered_codes[code] = found
        return found

    def facts(self, e: Encounter, charged: frozenset[int], ago: dict[int, int]) -> Facts:
        """What conditions ask of an encounter."""
        low, high = e.ages
        return Facts(
            e.sex or None, low, high, e.visit_type, e.institution_kind or None,
            e.specialty if e.specialty in self._specialties else None,
            e.insurance_type or None, e.day_in, any(d.strip() for d in e.diagnoses), ago, charged,
        )  # fmt: skip

    def _resolve(self, item: Item) -> ItemEntry:
        item_ = resolved(item, self.classes, self.master.items)
        number = self._numbers.get(item_)
        if number is None:
            number = self._numbers[item_] = len(self.items)
            self.items.append(item_)
        sets = self.table.selectors.of_item(item_)
        kinds: dict[str, list[Compiled]] = {}
        for one in sorted((c for s in sets for c in self._by_set.get(s, ())), key=lambda c: c.number):
            kinds.setdefault(one.kind, []).append(one)
        counted = [(c, _part(c, number, item_)) for kind in UNITS for c in kinds.get(kind, ()) if _counts(c)]
        limits = kinds.get("limit", [])
        by_age = tuple(c for c in limits if _is_by_age(c.check))
        ages = [c.check.parameters for c in by_age]
        told = tuple((c, part) for c, part in counted if part is not None)
        return ItemEntry(
            number, item_, self.master.days_per_unit.get(item.code, 0.0), sets,
            tuple(c for c in limits if not _is_by_age(c.check)), by_age,
            max((p.min_age for p in ages if p.min_age is not None), default=-NEVER),
            min((p.max_age + 1 for p in ages if p.max_age is not None), default=NEVER),
            tuple(kinds.get("companion", ())), tuple(kinds.get("pair", ())),
            told, frozenset((c.number, part) for c, part in told if c.reach),
            any(c.unit not in ("days", "times", "quantity", "claims") for c, _ in told),
        )  # fmt: skip

    def _compile(self, number: int, check: Check) -> Compiled:
        p, selectors = check.parameters, self.table.selectors
        default = {"quantity": "item", "overlap": "class"}.get(check.rule.kind, "all")
        bound = -1.0 if p.limit is None else float(p.limit)
        return Compiled(
            number,
            check,
            check.rule.kind,
            day_number(check.rule.effective_from, -NEVER),
            day_number(check.rule.effective_to, NEVER),
            _looks(check, self.table),
            _violated(check, self.table),
            _exempt(check, self.table),
            bound,
            bound * MILLI,
            _reach(check),
            p.window or "visit",
            window_days(p.window),
            p.per or default,
            p.unit,
            selectors.number("items", p.items),
            selectors.number("items", p.partners),
            selectors.number("items", p.excluded),
        )


def _diagnosis_sets(table: CheckTable, check: Check) -> list[int]:
    p = check.parameters
    texts = (p.diagnoses, p.excluded_diagnoses, p.when_diagnoses, p.unless_diagnoses)
    return [table.selectors.number("diagnoses", t) for t in texts if t]


_LISTS = {
    "visit_types": "visit_type", "institution_kinds": "institution_kind", "specialties": "specialty",
    "insurance_types": "insurance_type",
}  # fmt: skip


def _recent(table: CheckTable, text: str, days: int) -> Condition:
    number = table.selectors.number("diagnoses", text)
    return lambda f: f.ago.get(number, NEVER) <= days


def _among(name: str, words: Sequence[str]) -> Condition:
    allowed = frozenset(words)
    return lambda f: getattr(f, name) in allowed


def _known_outside(name: str, words: Sequence[str]) -> Condition:
    allowed = frozenset(words)

    def outside(f: Facts) -> bool:
        value = getattr(f, name)
        return value is not None and value not in allowed

    return outside


def _looks(check: Check, table: CheckTable) -> Condition | None:
    p = check.parameters
    parts: list[Condition] = []
    if p.when_sex:
        parts.append(lambda f: f.sex == p.when_sex)
    if (low := p.when_min_age) is not None:
        parts.append(lambda f: f.age_low is not None and f.age_low >= low)
    if (high := p.when_max_age) is not None:
        parts.append(lambda f: f.age_high is not None and f.age_high < high + 1)
    if p.when_diagnoses:
        parts.append(_recent(table, p.when_diagnoses, p.diagnosis_days))
    parts += [_among(fact, getattr(p, f"when_{n}")) for n, fact in _LISTS.items() if getattr(p, f"when_{n}")]
    return _every(parts) if parts else None


def _violated(check: Check, table: CheckTable) -> Condition:
    p = check.parameters
    parts: list[Condition] = []
    if p.sex:
        parts.append(lambda f: f.sex is not None and f.sex != p.sex)
    if (low := p.min_age) is not None:
        parts.append(lambda f: f.age_high is not None and f.age_high < low)
    if p.max_age is not None:
        over = p.max_age + 1
        parts.append(lambda f: f.age_low is not None and f.age_low >= over)
    if p.diagnoses:
        fits = _recent(table, p.diagnoses, p.diagnosis_days)
        parts.append(lambda f: f.diagnosed and not fits(f))
    if p.excluded_diagnoses:
        parts.append(_recent(table, p.excluded_diagnoses, p.diagnosis_days))
    parts += [_known_outside(fact, getattr(p, n)) for n, fact in _LISTS.items() if getattr(p, n)]
    return _some(parts)


def _exempt(check: Check, table: CheckTable) -> Condition | None:
    p = check.parameters
    parts: list[Condition] = []
    if p.unless_diagnoses:
        parts.append(_recent(table, p.unless_diagnoses, p.diagnosis_days))
    if p.unless_items:
        number = table.selectors.number("items", p.unless_items)
        parts.append(lambda f: number in f.charged)
    if p.unless_visit_types:
        parts.append(_among("visit_type", p.unless_visit_types))
    if p.unless_specialties:
        parts.append(_among("specialty", p.unless_specialties))
    return _some(parts) if parts else None


def _is_by_age(check: Check) -> bool:
    p = check.parameters
    others = (p.sex, p.diagnoses, p.excluded_diagnoses, *(getattr(p, n) for n in _LISTS))
    return not any(others) and (p.min_age is not None or p.max_age is not None)


def _reach(check: Check) -> int:
    p = check.parameters
    if check.rule.kind == "overlap":
        return SUPPLY_DAYS
    if check.rule.kind == "quantity":
        return CARRIED_DAYS if p.carry else 0
    return 0 if p.window in ("", "visit") else window_days(p.window) or NEVER


def _part(one: Compiled, number: int, item: Item) -> str | None:
    """What an item is counted as part of; None where it has no class to be counted in."""
    if one.per == "item":
        return str(number)
    return (item.drug_class or None) if one.per == "class" else ""


def _counts(one: Compiled) -> bool:
    return one.kind != "overlap" or one.check.parameters.what == "supply"


def _every(parts: list[Condition]) -> Condition:
    """All of some conditions; nested, as a generator would cost more than the conditions."""
    if len(parts) == 1:
        return parts[0]
    first, rest = parts[0], _every(parts[1:])
    return lambda f: first(f) and rest(f)


def _some(parts: list[Condition]) -> Condition:
    if not parts:
        return lambda f: False
    if len(parts) == 1:
        return parts[0]
    first, rest = parts[0], _some(parts[1:])
    return lambda f: first(f) or rest(f)
