"""Scored claims → the ranked suspicion list: one story is one suspicion, best first.

`roll_up` decides which subject tells each suspicious claim's story and ranks the stories,
`attach_reasons` freezes the rationale, `suspicions` does both. `claim_rings` and `ring_reasons` bring
rings in: whose evidence a claim is, and what an auditor reads about a ring.
"""

from fraud.suspicion.learning import mark, places, with_picks
from fraud.suspicion.listing import (
    COLUMNS,
    attach_reasons,
    rationale_hash,
    roll_up,
    suspicion_id,
    suspicions,
)
from fraud.suspicion.promoted import with_rules
from fraud.suspicion.ring_reasons import claim_rings, ring_reasons
from fraud.suspicion.stories import assign_stories, candidate_pool, odd_claims

__all__ = [
    "COLUMNS",
    "assign_stories",
    "attach_reasons",
    "candidate_pool",
    "claim_rings",
    "mark",
    "odd_claims",
    "places",
    "rationale_hash",
    "ring_reasons",
    "roll_up",
    "suspicion_id",
    "suspicions",
    "with_picks",
    "with_rules",
]
