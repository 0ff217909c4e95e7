"""Institutions, against institutions of the same kind and ownership."""

import ibis.expr.types as ir

from fraud.features import entity
from fraud.features.scope import Scope
from fraud.schema import relation

SCORES = {"amount_mean": True, "claims_3m": True, "amount_to_expected": True, "stay_mean": True, "case_mix": True, "amount_per_day_mean": True}
LEVELS = (("kind", "ownership"), ("kind",))


def build(scope: Scope) -> ir.Table:
    """Keep ``fx_institution``."""
    institutions = relation("institutions").select("institution_id", "kind", "ownership", "beds")
    return entity.assemble(scope, "institution", [], institutions, LEVELS, SCORES)
