"""Rules over months of claims: what every check finds, on either engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import pandas as pd

from fraud.features.catalog import CATALOG
from fraud.features.scope import Engine, Progress, Scope
from fraud.rules import batch_amounts, batch_claims, batch_items, batch_lines, charges
from fraud.rules.checks_table import CheckTable
from fraud.rules.operators import OPERATORS
from fraud.rules.rule_set import Check, RuleSet
from fraud.rules.vocabulary import Item, alternatives

STAGES = 24
OTHER = ("check", "claim_id", "other")


@dataclass(frozen=True)
class Found:
    """What checks found.

    Attributes
    ----------
    rows : DataFrame
        One row per check, claim, item and day, as `fraud.rules.batch_items.FOUND`; items and partners are
        numbers of `items`, −1 where there is none; ``cents`` is the money of the row that is at issue.
    others : DataFrame
        check, claim_id, other: the earlier claims a finding rests on.
    checks : tuple of Check
        By number.
    items : tuple of Item
        By number.
    skipped : dict of str to str
        Rule → why it was not decided, or not wholly.
    facts : Facts or None
        The tables that were joined; None where nothing could be decided.
    """

    rows: pd.DataFrame
    others: pd.DataFrame
    checks: tuple[Check, ...]
    items: tuple[Item, ...]
    skipped: dict[str, str]
    facts: charges.Facts | None = None


def find(
    engine: Engine,
    months: Sequence[int],
    rules: RuleSet,
    features: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> Found:
    """Apply a rule set to the claims of some months.

    Parameters
    ----------
    engine : Engine
        With a dataset opened.
    months : sequence of int
        Months whose claims are looked at; earlier claims are their history.
    rules : RuleSet
    features : DataFrame, optional
        Claim features of the months, for rules of kind ``measure``; anything read by columns as one.
    progress : callable, optional
    """
    scope = Scope(engine, tuple(sorted(set(months))), 1, progress, STAGES)
    master = charges.read_master(scope)
    checks, skipped = decidable(rules.checks(master.limits), scope, features)
    table = CheckTable.of(checks)
    if not checks:
        return Found(_rows([]), _others([]), (), (), skipped)
    facts = charges.build(scope, table, rules.classes, master)
    rows: list[ir.Table] = []
    others: list[ir.Table] = []
    kinds = {c.rule.kind for c in checks}
    whats = {c.parameters.what for c in checks}
    for kind, what, build in _KINDS:
        if kind in kinds and (not what or what in whats):
            result = build(facts)
            for one in result if isinstance(result, (tuple, list)) else [result]:
                (others if tuple(one.columns) == OTHER else rows).append(one)
    kept = [engine.to_arrow(t, f"rule_found_{n}").to_pandas() for n, t in enumerate(rows)]
    told = [engine.to_arrow(t, f"rule_others_{n}").to_pandas() for n, t in enumerate(others)]
    if features is not None and "measure" in kinds:
        kept.append(_measured(features, table))
    return Found(_rows(kept), _others(told), tuple(checks), facts.items, skipped, facts)


_KINDS: tuple[tuple[str, str, Callable[[charges.Facts], Any]], ...] = (
    ("limit", "", batch_items.limits),
    ("companion", "", batch_items.companions),
    ("pair", "", batch_items.pairs),
    ("frequency", "", batch_amounts.frequency),
    ("quantity", "", batch_amounts.quantity),
    ("overlap", "supply", batch_amounts.supply_overlap),
    ("overlap", "stay", batch_claims.stays),
    ("overlap", "inside_stay", batch_claims.inside_stays),
    ("sequence", "readmission", batch_claims.readmissions),
    ("sequence", "after_death", batch_claims.lifetimes),
    ("sequence", "outside_stay", batch_claims.outside_stays),
    ("share", "", batch_claims.shares),
    ("idle", "", batch_claims.idle_days),
    ("anomaly", "", batch_lines.anomalies),
)

_KIND_NEEDS: Mapping[str, tuple[str, ...]] = {
    "limit": ("lines.item_code",),
    "companion": ("lines.item_code",),
    "pair": ("lines.item_code",),
    "frequency": ("lines.item_code",),
    "quantity": ("lines.item_code",),
    "share": ("lines.item_code",),
    "idle": ("lines.charged_at", "claims.ended_at"),
}
_WHAT_NEEDS: Mapping[str, tuple[str, ...]] = {
    "supply": ("lines.item_code",),
    "stay": ("claims.ended_at",),
    "inside_stay": ("claims.ended_at",),
    "readmission": ("claims.ended_at", "claims.diagnosis_code"),
    "after_death": ("patients.death_date",),
    "before_birth": ("patients.birth_date",),
    "outside_stay": ("lines.charged_at", "claims.ended_at"),
    "price_limit": ("items.price_limit", "lines.unit_price"),
    "repeated_line": ("lines.item_code",),
    "line_amount": ("lines.unit_price",),
    "quantity": ("lines.quantity",),
    "claim_total": ("lines.amount",),
    "dates": ("claims.ended_at",),
    "diagnosis_code": ("claims.diagnosis_code",),
    "doctor_code": ("claims.doctor_id",),
    "no_diagnosis": ("claims.diagnosis_code",),
}
_PARAMETER_NEEDS: Mapping[str, tuple[str, ...]] = {
    "sex": ("patients.sex",),
    "when_sex": ("patients.sex",),
    "diagnoses": ("claims.diagnosis_code",),
    "excluded_diagnoses": ("claims.diagnosis_code",),
    "when_diagnoses": ("claims.diagnosis_code",),
    "institution_kinds": ("institutions.kind",),
    "when_institution_kinds": ("institutions.kind",),
    "insurance_types": ("patients.insurance_type",),
    "when_insurance_types": ("patients.insurance_type",),
}
_EITHER_NEEDS: Mapping[str, tuple[str, ...]] = {
    "min_age": ("patients.birth_date", "patients.birth_year"),
    "max_age": ("patients.birth_date", "patients.birth_year"),
    "when_min_age": ("patients.birth_date", "patients.birth_year"),
    "when_max_age": ("patients.birth_date", "patients.birth_year"),
    "specialties": ("departments.specialty", "doctors.specialty"),
    "when_specialties": ("departments.specialty", "doctors.specialty"),
}


def needs(check: Check) -> tuple[str, ...]:
    """Columns (``table.column``, or several joined by `` or ``) without which a check cannot be decided."""
    p = check.parameters
    found = [*_KIND_NEEDS.get(check.rule.kind, ()), *_WHAT_NEEDS.get(p.what, ())]
    for name, columns in _PARAMETER_NEEDS.items():
        if getattr(p, name):
            found += columns
    for name, columns in _EITHER_NEEDS.items():
        if getattr(p, name) not in (None, ()):
            found.append(" or ".join(columns))
    if p.unit == "supply_days" or p.what == "supply":
        found.append("lines.days_supply or items.days_per_unit")
    # Without names, selectors by name or by a class that the name tells never hit: that must be said.
    included, _ = alternatives(p.items)
    if included and all(t.startswith(("name:", "class:")) for t in included):
        found.append("lines.item_name or items.name")
    return tuple(dict.fromkeys(found))


def decidable(
    checks: Sequence[Check], scope: Scope, features: pd.DataFrame | None
) -> tuple[list[Check], dict[str, str]]:
    """Checks that this dataset can decide, and for each rule with others: why not."""
    able: list[Check] = []
    wrong: dict[str, set[str]] = {}
    for check in checks:
        p = check.parameters
        missing = [n for n in needs(check) if not any(scope.has(c) for c in n.split(" or "))]
        if check.rule.kind == "measure" and (features is None or p.feature not in features):
            missing.append(f"feature {p.feature}")
        if missing:
            wrong.setdefault(check.rule.code, set()).update(missing)
        else:
            able.append(check)
    return able, {
        code: f"this data has no {', '.join(sorted(names))}" for code, names in sorted(wrong.items())
    }


def _measured(features: pd.DataFrame, table: CheckTable) -> pd.DataFrame:
    """Claims whose feature passes a threshold; an unknown value never does."""
    parts = []
    for number, check in table.of_kind("measure"):
        p = check.parameters
        assert p.feature in CATALOG
        assert p.threshold is not None
        rows = features[["claim_id", "amount_at_risk", p.feature]]
        values = rows[p.feature].astype("float64")
        hit = rows[OPERATORS[p.operator](values, p.threshold) & values.notna()]
        parts.append(
            pd.DataFrame(
                {
                    "check": number,
                    "claim_id": hit["claim_id"],
                    "item": -1,
                    "day": None,
                    "value": hit[p.feature],
                    "cents": (hit["amount_at_risk"].fillna(0) * 100).round().astype("int64"),
                    "partner": -1,
                }
            )
        )
    return pd.concat(parts) if parts else _rows([])


def _rows(parts: list[pd.DataFrame]) -> pd.DataFrame:
    names = list(batch_items.FOUND)
    parts = [p[names] for p in parts if len(p)]
    rows = pd.concat(parts) if parts else pd.DataFrame({n: [] for n in names})
    types = {
        "check": "int64",
        "item": "int64",
        "day": "Int64",
        "cents": "int64",
        "value": "float64",
        "partner": "int64",
    }
    rows = rows.astype(types)
    return rows.sort_values(["check", "claim_id", "item", "day"], ignore_index=True)


def _others(parts: list[pd.DataFrame]) -> pd.DataFrame:
    parts = [p for p in parts if len(p)]
    rows = pd.concat(parts) if parts else pd.DataFrame({n: [] for n in OTHER})
    return rows.drop_duplicates().sort_values(list(OTHER), ignore_index=True)
