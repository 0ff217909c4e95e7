"""Rule records: a condition on one claim feature, with its name, explanation and clause.

A record is data (``records.toml``), so a new rule is a new row. A rule marked ``impossible`` states a
logical impossibility; only such a rule may put a claim on the list by itself, because broad rules that
do so were measured to halve average precision.
"""

import operator
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

from fraud.errors import UsageError
from fraud.features.catalog import CATALOG

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    code : str
        Stable code, shown on the list.
    name_zh, name_en, explanation_zh, explanation_en : str
        For auditors, in both languages.
    result : str
        ``violation`` (明确违规) or ``suspicious`` (可疑).
    impossible : bool
        Whether the condition is a logical impossibility.
    feature, operator, threshold : str, str, float
        The condition on a feature of `fraud.features.catalog`.
    clause, source, version, effective_from : str
        The regulation it rests on, where the record comes from, its version and first day.
    """

    code: str
    name_zh: str
    name_en: str
    explanation_zh: str
    explanation_en: str
    result: str
    impossible: bool
    feature: str
    operator: str
    threshold: float
    clause: str
    source: str
    version: str
    effective_from: str

    @property
    def condition(self) -> str:
        """The condition as text, for the reference page."""
        return f"{self.feature} {self.operator} {self.threshold:g}"


@cache
def load_rules() -> tuple[Rule, ...]:
    """Read the built-in records.

    Raises
    ------
    UsageError
        Records with unknown or missing fields, unknown features or operators: all of them.
    """
    text = files("fraud.rules").joinpath("records.toml").read_text(encoding="utf-8")
    return parse_rules(tomllib.loads(text).get("rule", []), "records.toml")


def parse_rules(rows: list[dict[str, Any]], source: str) -> tuple[Rule, ...]:
    """Check rows and make rules of them; see `load_rules`."""
    names = {f.name for f in fields(Rule)}
    problems = []
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        where = f"{source}: rule {number} ({row.get('code', 'no code')})"
        problems += [f"{where}: unknown field {n}." for n in sorted(set(row) - names)]
        problems += [f"{where}: field {n} is missing." for n in sorted(names - set(row))]
        if row.get("operator", ">=") not in OPERATORS:
            problems.append(f"{where}: operator must be one of {', '.join(OPERATORS)}.")
        if row.get("result", "violation") not in ("violation", "suspicious"):
            problems.append(f"{where}: result must be violation or suspicious.")
        if "feature" in row and row["feature"] not in CATALOG:
            problems.append(f"{where}: no feature {row['feature']} in the catalog.")
        if row.get("code") in seen:
            problems.append(f"{where}: the code is used twice.")
        seen.add(row.get("code", ""))
    if problems:
        raise UsageError(problems)
    return tuple(Rule(**row) for row in rows)


def rule_set_version(rules: tuple[Rule, ...]) -> str:
    """Content hash of a rule set, for the manifest (12 hex digits of SHA-256)."""
    import hashlib

    text = "\n".join(repr(rule) for rule in sorted(rules, key=lambda r: r.code))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
