"""Patients: how often, where, with whom and how regularly they are treated."""

import ibis.expr.types as ir

from fraud.features import entity
from fraud.features.scope import Scope

SCORES = {"amount_12m": True, "claims_12m": True, "place_n": False, "stay_days_12m": True}
LEVELS = (("insurance_type", "age_band"), ("age_band",))


def build(scope: Scope) -> ir.Table:
    """Keep ``fx_patient``. Peers are patients of the same insurance and age band (20 years)."""
    return entity.assemble(scope, "patient", [], _attributes(scope), LEVELS, SCORES)


def _attributes(scope: Scope) -> ir.Table:
    claims = scope["claims"]
    banded = claims.mutate(age_band=(claims.age // 20).cast("int64"))
    return entity.smallest(scope, banded, "patient_id", "insurance_type", "age_band")
