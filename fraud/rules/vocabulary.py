"""Selectors: which items and which diagnoses a rule speaks of, as text an expert can write.

Items: alternatives separated by ``|``, exclusions with ``!``: ``class:J01|name:头孢|!name:皮试``. The
terms are ``class:`` (prefix of the drug class), ``code:`` (the item code), ``name:`` (part of the
name) and ``category:``. Diagnoses: ICD-10 prefixes and ranges of three-character categories:
``O|Z33-Z35|!O04``.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from fraud.schema import CATEGORIES

TERMS = ("class", "code", "name", "category")
T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Item:
    """What a selector looks at: code, name, category and drug class of a charged item."""

    code: str
    name: str = ""
    category: str = ""
    drug_class: str = ""


def plain(text: str) -> str:
    """Text as selectors compare it: compatibility forms folded, upper case, no outer blanks."""
    return unicodedata.normalize("NFKC", text).strip().upper()


def icd(code: str) -> str:
    """Diagnosis code as selectors compare it: upper case, no dots or blanks."""
    return plain(code).replace(".", "").replace(" ", "")


def alternatives(text: str) -> tuple[list[str], list[str]]:
    """Terms of a selector: those that include and those that exclude."""
    terms = [t.strip() for t in text.split("|") if t.strip()]
    return [t for t in terms if not t.startswith("!")], [t[1:].strip() for t in terms if t.startswith("!")]


def item_problems(text: str) -> list[str]:
    """What is wrong with an item selector; empty where nothing is."""
    included, excluded = alternatives(text)
    problems = [] if included else [f"selector {text!r} names no item"]
    for term in included + excluded:
        kind, _, value = term.partition(":")
        if kind not in TERMS or not value.strip():
            problems.append(f"term {term!r} is none of {', '.join(t + ':…' for t in TERMS)}")
        elif kind == "category" and value.strip() not in CATEGORIES:
            problems.append(f"no category {value.strip()!r}; the categories are {', '.join(CATEGORIES)}")
    return problems


def diagnosis_problems(text: str) -> list[str]:
    """What is wrong with a diagnosis selector; empty where nothing is."""
    included, excluded = alternatives(text)
    problems = [] if included else [f"selector {text!r} names no diagnosis"]
    for term in included + excluded:
        low, dash, high = term.partition("-")
        parts = [icd(low), icd(high)] if dash else [icd(low)]
        if any(not p or not p[0].isalpha() or not p.isalnum() or not p.isascii() for p in parts):
            problems.append(f"{term!r} is no ICD-10 prefix or range")
        elif dash and (any(len(p) != 3 for p in parts) or parts[0] > parts[1]):
            problems.append(f"{term!r}: a range joins two three-character categories, the lower first")
    return problems


class Selectors:
    """Many selectors resolved at once: what belongs to which.

    Selectors are numbered in the order in which `number` first saw them.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._terms: dict[tuple[str, str], list[tuple[int, bool]]] = {}
        self._names: list[str] = []
        self._ranges: list[tuple[str, str, str]] = []
        self._known: dict[tuple[str, object], frozenset[int]] = {}

    def number(self, kind: str, text: str) -> int:
        """Number of a selector of kind ``items`` or ``diagnoses``; -1 for an empty one."""
        if not text:
            return -1
        found = self._numbers.get((kind, text))
        if found is None:
            found = self._numbers[kind, text] = len(self._numbers)
            included, excluded = alternatives(text)
            for term, wanted in [*((t, True) for t in included), *((t, False) for t in excluded)]:
                self._add(kind, _canonical(kind, term), found, wanted)
            self._known.clear()
        return found

    def _add(self, kind: str, term: str, number: int, wanted: bool) -> None:
        if (kind, term) not in self._terms:
            low, dash, high = term.partition("-")
            if kind == "diagnoses" and dash:
                self._ranges.append((term, low, high))
            elif kind == "items" and term.startswith("name:"):
                self._names.append(term.removeprefix("name:"))
        self._terms.setdefault((kind, term), []).append((number, wanted))

    def of_item(self, item: Item) -> frozenset[int]:
        """Numbers of the item selectors that an item belongs to."""
        return self._resolved("items", item)

    def of_diagnosis(self, code: str) -> frozenset[int]:
        """Numbers of the diagnosis selectors that a code belongs to."""
        return self._resolved("diagnoses", code)

    def _resolved(self, kind: str, key: Item | str) -> frozenset[int]:
        found = self._known.get((kind, key))
        if found is None:
            terms = self._item_terms(key) if isinstance(key, Item) else self._diagnosis_terms(icd(key))
            inside: set[int] = set()
            outside: set[int] = set()
            for term in terms:
                for number, wanted in self._terms.get((kind, term), ()):
                    (inside if wanted else outside).add(number)
            if len(self._known) > 200_000:  # a stream of invented codes must not fill the memory
                self._known.clear()
            found = self._known[kind, key] = frozenset(inside - outside)
        return found

    def _item_terms(self, item: Item) -> list[str]:
        """Terms an item matches: all but parts of names are looked up, not tried."""
        name, drug_class = plain(item.name), plain(item.drug_class)
        terms = [f"code:{item.code.strip()}", f"category:{item.category}"]
        terms += [f"class:{drug_class[:n]}" for n in range(1, len(drug_class) + 1)]
        return terms + [f"name:{part}" for part in self._names if part in name]

    def _diagnosis_terms(self, code: str) -> list[str]:
        """Terms a code matches, without dots: prefixes and ranges."""
        terms = [code[:n] for n in range(1, len(code) + 1)]
        return terms + [term for term, low, high in self._ranges if low <= code[:3] <= high]

    def texts(self, kind: str) -> Iterable[tuple[int, str]]:
        """Numbers and texts of the selectors of a kind."""
        return [(n, t) for (k, t), n in self._numbers.items() if k == kind]


def _canonical(kind: str, term: str) -> str:
    if kind == "diagnoses":
        low, dash, high = term.partition("-")
        return f"{icd(low)}-{icd(high)}" if dash else icd(low)
    name, _, value = term.partition(":")
    return f"{name}:{value.strip() if name in ('code', 'category') else plain(value)}"
