"""Doctors: load, mix, prices and patients, against doctors of the specialty and kind of institution."""

from functools import partial

import ibis.expr.types as ir

from fraud.features import entity, links
from fraud.features.scope import Scope

SCORES = {
    "amount_mean": True,
    "claims_3m": True,
    "amount_to_expected": True,
    "patient_n": True,
    "case_mix": True,
}
LEVELS = (("specialty", "kind"), ("specialty",), ("kind",))

LINKS = tuple(
    partial(make, key="doctor_id") for make in (links.shared_patients, links.flows, links.item_spread)
)


def build(scope: Scope) -> ir.Table:
    """Keep ``fx_doctor``. Claims whose doctor is unknown belong to no doctor."""
    return entity.assemble(
        scope, "doctor", [*LINKS, links.share_of_house], attributes(scope, "doctor_id"), LEVELS, SCORES
    )


def attributes(scope: Scope, key: str) -> ir.Table:
    """Specialty and kind of institution of a doctor or department: the smallest text among its claims."""
    return entity.smallest(scope, scope["claims"], key, "specialty", "kind")
