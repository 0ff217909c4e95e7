"""The framework's classes: every rule named exists, every column too, and every status is true."""

from __future__ import annotations

import pytest

from fraud import reference
from fraud.features.catalog import CATALOG
from fraud.rules.batch import needs
from fraud.rules.rule_set import load_rule_set
from fraud.schema import TABLES

CLASSES = reference.framework_classes()
BEYOND = {
    "P-BEFORE-BIRTH", "P-DEATH", "P-DOUBLE-STAY", "P-INSIDE-STAY", "P-INVOICE", "P-TRACE", "P-TWO-PLACES",
}  # fmt: skip
"""Built-in rules that no class of the framework asks for."""
ALWAYS = {f"{t}.{c.name}" for t in ("claims", "lines") for c in TABLES[t] if c.required}
"""Columns that every dataset has; of the other tables, any may be absent."""
RULES = load_rule_set().rules


def rules_of(row: dict[str, str]) -> list[str]:
    return [r for r in row["rules"].split("|") if r]


def needs_of(row: dict[str, str]) -> list[str]:
    return [n for n in row["needs"].split("|") if n]


def optional_needs() -> dict[str, set[frozenset[str]]]:
    """Rule → what every one of its checks needs beyond the required columns; each need has alternatives."""
    found: dict[str, set[frozenset[str]]] = {}
    for check in load_rule_set().checks():
        own = needs(check)
        if check.rule.kind == "measure":
            own = CATALOG[check.parameters.feature].needs
        wanted = {frozenset(n.split(" or ")) for n in own}
        wanted = {w for w in wanted if not w & ALWAYS}
        found[check.rule.code] = found.get(check.rule.code, wanted) & wanted
    return found


@pytest.mark.parametrize("row", CLASSES, ids=lambda r: r["class_en"])
def test_a_class_says_what_is_true(row):
    rules, columns = rules_of(row), needs_of(row)
    assert [r for r in rules if r not in RULES] == [], "no such built-in rule"
    for column in columns:
        table, name = column.split(".")
        assert name in {c.name for c in TABLES[table]}, column
        assert column not in ALWAYS, f"{column} is in every dataset"
    assert len(set(rules)) == len(rules) and len(set(columns)) == len(columns)
    assert row["group"] in ("policy", "management", "medical")
    assert row["class_zh"] and row["class_en"] and row["why_zh"] and row["why_en"]
    shape = {"runs": (True, False), "optional": (True, True), "not_decidable": (False, False)}
    assert (bool(rules), bool(columns)) == shape[row["status"]]


@pytest.mark.parametrize("row", [r for r in CLASSES if r["rules"]], ids=lambda r: r["class_en"])
def test_a_class_names_every_column_that_its_rules_cannot_do_without(row):
    wanted = optional_needs()
    for rule in rules_of(row):
        # Limits of the item master are rows of the dataset: what they need is the items table itself.
        missing = [sorted(w) for w in wanted.get(rule, set()) if not w & set(needs_of(row))]
        assert missing == [], rule


def test_every_built_in_rule_is_of_a_class_or_named_as_beyond():
    of_class = {r for row in CLASSES for r in rules_of(row)}
    assert set(RULES) - of_class == BEYOND
    assert not BEYOND & of_class


def test_statuses_are_as_many_as_the_page_says():
    page = reference.framework()
    count = {s: sum(r["status"] == s for r in CLASSES) for s in ("runs", "optional", "not_decidable")}
    assert sum(count.values()) == 88
    assert f"运行 · runs {count['runs']};" in page
    assert f"无法判定 · cannot be decided {count['not_decidable']}." in page
    assert all(row["class_zh"] in page and row["class_en"] in page for row in CLASSES)
    assert all(f"`{code}`" in page for code in RULES)
    assert "no official text" in page and "不是官方文本" in page


def test_switched_off_rules_are_not_promised():
    of_class = {r for row in CLASSES for r in rules_of(row)}
    assert [c for c in sorted(of_class) if not RULES[c].enabled] == []
