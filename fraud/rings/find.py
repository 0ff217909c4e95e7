"""Find the rings of a period: meetings → suspected ties → candidates → ranked, explained rings."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fraud.engines import Engine
from fraud.settings import RingSettings


@dataclass(frozen=True)
class Rings:
    """Rings of a period, best first; every frame is sorted and the same for the same input.

    Attributes
    ----------
    rings : DataFrame
        ring_id, kind, members, claims, amount (yuan), p_value, q_value, first_seen, last_seen,
        status (new, growing, persisting, dormant), score (probability), evidence (JSON).
    members : DataFrame
        ring_id, member_kind, member_id, role, membership_score.
    claims : DataFrame
        ring_id, claim_id, patient_id, institution_id, doctor_id, settled_at, amount (yuan).
    edges : DataFrame
        ring_id, a, b, meetings, expected, weight.
    skipped : dict of str to str
        View → missing columns.
    timings : dict of str to float
        Seconds of each stage.
    """

    rings: pd.DataFrame
    members: pd.DataFrame
    claims: pd.DataFrame
    edges: pd.DataFrame
    skipped: dict[str, str] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


RING_COLUMNS = (
    "ring_id", "kind", "members", "claims", "amount", "p_value", "q_value", "first_seen", "last_seen", "status",
    "score", "evidence",
)  # fmt: skip
MEMBER_COLUMNS = ("ring_id", "member_kind", "member_id", "role", "membership_score")
CLAIM_COLUMNS = (
    "ring_id", "claim_id", "patient_id", "institution_id", "doctor_id", "settled_at", "amount",
)  # fmt: skip
EDGE_COLUMNS = ("ring_id", "a", "b", "meetings", "expected", "weight")


def find(
    engine: Engine,
    first: int,
    last: int,
    settings: RingSettings | None = None,
    previous: pd.DataFrame | None = None,
    progress: Any = None,
) -> Rings:
    """Find the rings of months `first` to `last`."""
    empty = [pd.DataFrame(columns=list(c)) for c in (RING_COLUMNS, MEMBER_COLUMNS, CLAIM_COLUMNS, EDGE_COLUMNS)]
    return Rings(*empty)
