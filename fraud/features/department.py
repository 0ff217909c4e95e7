"""Departments, against departments of the specialty and kind of institution."""

import ibis.expr.types as ir

from fraud.features import entity
from fraud.features.doctor import attributes
from fraud.features.scope import Scope

SCORES = {"amount_mean": True, "amount_to_expected": True, "stay_mean": True, "case_mix": True}
LEVELS = (("specialty", "kind"), ("specialty",), ("kind",))


def build(scope: Scope) -> ir.Table:
    """Keep ``fx_department``."""
    return entity.assemble(scope, "department", [], attributes(scope, "department_id"), LEVELS, SCORES)
