"""Suspected ties: those worth a second look, with what their partners look like.

A crowd is told from a ring by its company: a tie is looked at again beside the ties its meetings lead
to, those of the same place, doctor, operator and item, and those of the same person elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fraud.rings.meetings import VIEWS

LEAST = 0.02
"""First probability from which on a tie is looked at again."""
CAP = 15.0
"""Most weight one view may give a pair."""


@dataclass(frozen=True)
class Suspects:
    """Suspected ties and the meetings among them.

    Attributes
    ----------
    ties : DataFrame
        Suspected ties, sorted by person and place, with ``first`` (first probability).
    edges : DataFrame
        i, j (rows of `ties`, same place), view, meetings, expected, weight (at most `CAP`).
    """

    ties: pd.DataFrame
    edges: pd.DataFrame


def among(ties: pd.DataFrame, pairs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Meetings between the given ties.

    Parameters
    ----------
    ties : DataFrame
        person, place; unique, with a RangeIndex.
    pairs : mapping of str to DataFrame
        Pairs (a, b, place, meetings, expected, weight) of each view.
    """
    row = pd.Series(np.arange(len(ties)), index=pd.MultiIndex.from_frame(ties[["person", "place"]]))
    parts = []
    for view in VIEWS:
        found = pairs[view.name]
        i = row.reindex(pd.MultiIndex.from_arrays([found["a"], found["place"]])).to_numpy()
        j = row.reindex(pd.MultiIndex.from_arrays([found["b"], found["place"]])).to_numpy()
        keep = ~(np.isnan(i) | np.isnan(j))
        parts.append(
            pd.DataFrame(
                {
                    "i": i[keep].astype(np.int64),
                    "j": j[keep].astype(np.int64),
                    "view": view.name,
                    "meetings": found["meetings"].to_numpy()[keep],
                    "expected": found["expected"].to_numpy()[keep],
                    "weight": np.minimum(found["weight"].to_numpy()[keep], CAP),
                }
            )
        )
    return pd.concat(parts, ignore_index=True).sort_values(["view", "i", "j"], ignore_index=True)


def company(suspects: Suspects) -> pd.DataFrame:
    """Measures of the company a suspected tie keeps; one row per tie.

    Returns
    -------
    DataFrame
        ``near_*`` by partners met, ``same_*`` by the ties of the same place, doctor, operator or
        item, ``own_*`` by the person's other ties.
    """
    ties, edges = suspects.ties, suspects.edges
    first, n = ties["first"].to_numpy(), len(ties)
    out: dict[str, np.ndarray] = {}
    i = np.concatenate([edges["i"], edges["j"]])
    j = np.concatenate([edges["j"], edges["i"]])
    weight = np.concatenate([edges["weight"], edges["weight"]])
    views = np.concatenate([edges["view"], edges["view"]])
    for view in VIEWS:
        mine = views == view.name
        out[f"near_{view.name}"] = np.bincount(i[mine], weight[mine] * first[j[mine]], n)
    pair = pd.DataFrame({"i": i, "j": j, "weight": weight}).groupby(["i", "j"], sort=True)["weight"].sum()
    pi, pj = pair.index.get_level_values(0).to_numpy(), pair.index.get_level_values(1).to_numpy()
    strength = pair.to_numpy() * first[pj]
    out["near_sum"] = np.bincount(pi, strength, n)
    out["near_partners"] = np.bincount(pi, first[pj], n)
    out["near_mean"] = out["near_sum"] / np.maximum(np.bincount(pi, pair.to_numpy(), n), 1e-9)
    out["near_top"] = np.zeros(n)
    np.maximum.at(out["near_top"], pi, strength)
    out["near_five"] = _top_sum(pi, strength, n, 5)
    for name, keys in _SAME.items():
        code = ties.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
        total = np.bincount(code, first)[code] - first
        out[f"same_{name}"] = total
        out[f"same_{name}_mean"] = total / np.maximum(np.bincount(code)[code] - 1, 1)
    person = ties["person"].to_numpy()
    code = np.unique(person, return_inverse=True)[1]
    out["own_sum"] = np.bincount(code, first)[code] - first
    out["own_ties"] = np.bincount(code)[code].astype(float)
    out["same_place_share"] = out["same_place"] / ties["place_people"].to_numpy(float)
    return pd.DataFrame(out, index=ties.index)


_SAME = {
    "place": ["place"],
    "doctor": ["place", "top_doctor"],
    "operator": ["place", "top_operator"],
    "item": ["place", "top_item"],
    "anywhere": ["top_item"],
}


def _top_sum(group: np.ndarray, value: np.ndarray, n: int, count: int) -> np.ndarray:
    """Sum of the `count` largest values of each group."""
    order = np.lexsort((-value, group))
    group, value = group[order], value[order]
    start = np.searchsorted(group, np.arange(n))
    rank = np.arange(len(group)) - start[group]
    top = rank < count
    return np.bincount(group[top], value[top], n)
