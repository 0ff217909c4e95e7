"""Candidates: sets of people who may be a ring, at several resolutions, that may overlap.

The graph of people joined by their meetings is cut into communities at several resolutions and among
ever more suspected people; places, doctors, operators and items give sets of their own. Too many
candidates do no harm: the ranking keeps the best of those that overlap.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from fraud.rings.communities import FEWEST, MOST, communities
from fraud.rings.suspects import Suspects

LEVELS = (0.05, 0.15, 0.35, 0.6)
"""Probabilities from which on ties take part in candidates."""
RESOLUTIONS = (0.3, 1.0, 3.0)
"""Mean weight of a pair within a community (constant Potts model)."""
CIRCLES = (("place",), ("place", "top_doctor"), ("place", "top_operator"), ("place", "top_item"),
           ("place", "top_odd"))  # fmt: skip
"""What the people of a candidate without meetings may share."""


def find(suspects: Suspects, score: np.ndarray, others: Iterable[tuple[int, ...]] = ()) -> list[np.ndarray]:
    """Candidates as sorted arrays of persons, each once, in the order of their members.

    Parameters
    ----------
    suspects : Suspects
    score : ndarray of float, shape (ties,)
        Probability of each suspected tie.
    others : iterable of tuple of int
        Candidates found by other means (see `fraud.rings.profiles`).
    """
    known = set(suspects.ties["person"].tolist())
    kept = (tuple(p for p in people if p in known) for people in others)
    found = {people for people in kept if FEWEST <= len(people) <= MOST}
    for level in LEVELS:
        chosen = score >= level
        found.update(_circles(suspects.ties[chosen]))
        found.update(_communities(suspects, chosen))
    return [np.array(c, dtype=np.int64) for c in sorted(found)]


def _circles(ties: pd.DataFrame) -> Iterable[tuple[int, ...]]:
    for keys in CIRCLES:
        known = ties
        for key in keys:
            known = known[known[key].notna() & (known[key] >= 0)]
        for _, own in known.groupby(list(keys), sort=True)["person"]:
            people = np.unique(own.to_numpy())
            if FEWEST <= len(people) <= MOST:
                yield tuple(int(p) for p in people)


def _communities(suspects: Suspects, chosen: np.ndarray) -> Iterable[tuple[int, ...]]:
    """Communities of the people of the chosen ties, at every resolution."""
    edges, person = suspects.edges, suspects.ties["person"].to_numpy()
    i, j = edges["i"].to_numpy(), edges["j"].to_numpy()
    keep = chosen[i] & chosen[j]
    a, b, weight = person[i[keep]], person[j[keep]], edges["weight"].to_numpy()[keep]
    people, ends = np.unique(np.concatenate([a, b]), return_inverse=True)
    a, b = ends[: len(a)], ends[len(a) :]
    key, inverse = np.unique(np.minimum(a, b) * len(people) + np.maximum(a, b), return_inverse=True)
    weight = np.bincount(inverse, weight)
    yield from communities(people, key // len(people), key % len(people), weight, RESOLUTIONS)
