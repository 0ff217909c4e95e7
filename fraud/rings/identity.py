"""A ring keeps its id from month to month, through joins and leaves."""

import hashlib
from collections.abc import Mapping

import pandas as pd

SAME = 0.3
"""Least Jaccard index with an earlier ring whose id a ring takes over."""
GROWN = 1.2
"""A ring with so many times the members it had is growing."""


def identify(
    members: Mapping[int, frozenset[str]], previous: pd.DataFrame | None
) -> dict[int, tuple[str, str]]:
    """Id and status of rings.

    Parameters
    ----------
    members : mapping of int to frozenset of str
        Patients (or doctors) of each ring, by its number.
    previous : DataFrame or None
        ring_id, member_kind, member_id of the last run.

    Returns
    -------
    dict of int to (str, str)
        ring_id and status (new, growing, persisting); the best overlap is matched first.
    """
    before: dict[str, frozenset[str]] = {}
    if previous is not None and len(previous):
        kinds = previous[previous["member_kind"].isin(("patient", "doctor"))]
        for ring_id, own in kinds.groupby("ring_id", sort=True):
            people = own.loc[own["member_kind"] == "patient", "member_id"]
            before[str(ring_id)] = frozenset(people if len(people) else own["member_id"])
    pairs = [
        (len(now & then) / len(now | then), number, ring_id)
        for number, now in members.items()
        for ring_id, then in before.items()
        if now & then
    ]
    out: dict[int, tuple[str, str]] = {}
    taken: set[str] = set()
    for overlap, number, ring_id in sorted(pairs, key=lambda p: (-p[0], p[1], p[2])):
        if overlap >= SAME and number not in out and ring_id not in taken:
            grown = len(members[number]) >= GROWN * len(before[ring_id])
            out[number] = (ring_id, "growing" if grown else "persisting")
            taken.add(ring_id)
    for number, now in sorted(members.items()):
        if number not in out:
            ring_id = _fresh(now, taken | set(before))
            taken.add(ring_id)
            out[number] = (ring_id, "new")
    return out


def _fresh(members: frozenset[str], taken: set[str]) -> str:
    """A new id, made of the members, that no other ring has."""
    text = "|".join(sorted(members))
    for salt in range(1000):
        ring_id = "R" + hashlib.sha256(f"{salt}|{text}".encode()).hexdigest()[:10]
        if ring_id not in taken:
            return ring_id
    raise AssertionError("no free ring id")
