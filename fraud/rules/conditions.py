"""Conditions of a check on a claim, as expressions: what is unknown neither fulfils nor violates one."""

import operator
from collections.abc import Callable

import ibis
import ibis.expr.types as ir

_LISTS = {
    "visit_types": "visit_type",
    "institution_kinds": "institution_kind",
    "specialties": "specialty",
    "insurance_types": "insurance_type",
}
"""Parameter → the claim's fact."""


def _listed(rows: ir.Table, side: str, name: str) -> ir.BooleanValue:
    return rows[f"{side}_{name}"].contains(ibis.literal("|").concat(rows[_LISTS[name]], "|"))


def looks(rows: ir.Table) -> ir.BooleanValue:
    """Whether the check looks at the claim: in force, and everything under ``when_`` known to hold."""
    has = rows.columns
    parts = [(rows.day_in >= rows.first_day) & (rows.day_in <= rows.last_day)]
    if "when_sex" in has:
        parts.append(rows.when_sex.isnull() | (rows.sex == rows.when_sex))
    if "when_min_age" in has:
        parts.append(rows.when_min_age.isnull() | (rows.age_low >= rows.when_min_age))
    if "when_max_age" in has:
        parts.append(rows.when_max_age.isnull() | (rows.age_high < rows.when_max_age + 1))
    if "when_dx" in has:
        parts.append(rows.when_dx.isnull() | _recent(rows, "when_dx"))
    parts += [rows[f"when_{n}"].isnull() | _listed(rows, "when", n) for n in _LISTS if f"when_{n}" in has]
    return _joined(parts, operator.and_)


def violated(rows: ir.Table) -> ir.BooleanValue:
    """Whether a requirement of a limit is known not to hold."""
    has = rows.columns
    parts = [ibis.literal(False)]
    if "need_sex" in has:
        parts.append(rows.sex != rows.need_sex)
    if "need_min_age" in has:
        parts.append(rows.age_high < rows.need_min_age)
    if "need_max_age" in has:
        parts.append(rows.age_low >= rows.need_max_age + 1)
    if "require_dx" in has:
        parts.append(rows.require_dx.notnull() & (rows.diagnosed == 1) & ~_recent(rows, "require_dx"))
    if "excluded_dx" in has:
        parts.append(rows.excluded_dx.notnull() & _recent(rows, "excluded_dx"))
    parts += [~_listed(rows, "need", n) for n in _LISTS if f"need_{n}" in has]
    return _joined(parts, operator.or_)


def exempt(rows: ir.Table) -> ir.BooleanValue:
    """Whether something under ``unless_`` is known to hold."""
    has = rows.columns
    parts = [ibis.literal(False)]
    if "unless_dx" in has:
        parts.append(rows.unless_dx.notnull() & _recent(rows, "unless_dx"))
    if "unless_set" in has:
        parts.append(rows.unless_set.notnull() & (rows.unless_charged == 1))
    parts += [_listed(rows, "unless", n) for n in ("visit_types", "specialties") if f"unless_{n}" in has]
    return _joined(parts, operator.or_)


def _recent(rows: ir.Table, name: str) -> ir.BooleanValue:
    """Whether the claim, or the patient within the days remembered, has a diagnosis of the set."""
    return (rows[f"{name}_ago"] <= rows.diagnosis_days).fill_null(False)


def _joined(parts: list[ir.BooleanValue], join: Callable[..., ir.BooleanValue]) -> ir.BooleanValue:
    result = parts[0].fill_null(False)
    for part in parts[1:]:
        result = join(result, part.fill_null(False))
    return result
