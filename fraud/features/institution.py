"""Institutions, against institutions of the same kind and ownership."""

from functools import partial

import ibis.expr.types as ir

from fraud.features import entity, links
from fraud.features.scope import Scope
from fraud.schema import relation

SCORES = {
    "amount_mean": True,
    "claims_3m": True,
    "amount_to_expected": True,
    "stay_mean": True,
    "case_mix": True,
    "amount_per_day_mean": True,
}
LEVELS = (("kind", "ownership"), ("kind",))

LINKS = tuple(
    partial(make, key="institution_id")
    for make in (links.shared_patients, links.patient_means, links.flows, links.item_spread)
)


def build(scope: Scope) -> ir.Table:
    """Keep ``fx_institution``."""
    institutions = relation("institutions").select("institution_id", "kind", "ownership", "beds")
    return entity.assemble(scope, "institution", LINKS, institutions, LEVELS, SCORES)
