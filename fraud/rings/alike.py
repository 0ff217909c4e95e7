"""People who buy alike, though they never meet: runners who fetch the same drugs all over town.

Each person is a vector over drugs, weighted by how few people get a drug; once of all drugs, once of those
fetched in more boxes than usual. The nearest neighbours make a graph whose communities are candidates,
and how alike the members of any candidate are is evidence.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from fraud.rings.communities import MOST, communities, parts

NEAREST = (5, 8)
"""People with the most similar purchases that each person is joined to: every number gives candidates."""
RESOLUTIONS = (0.05, 0.1, 0.15, 0.2)
GROWTH = (0.3, 0.4, 0.5, 0.6)
"""Similarities to a fence's suppliers from which on people join them; every one gives a candidate."""
FEW = 2
"""Fewest suppliers of a fence."""
TOWN = 5_000
"""People who are compared with each other without asking where they live."""
OFTEN = 6
"""Claims beyond which buying a drug more often tells no more."""
KINDS = {"claims": "people", "many": "many"}
"""Purchases compared: columns of claims and of how many people have them."""


@dataclass(frozen=True)
class Buyers:
    """People as vectors of what they buy.

    Attributes
    ----------
    people : ndarray of int, shape (n,)
        Ascending.
    matrix : csr_matrix of float, shape (n, drugs)
        Unit vectors.
    near : dict of int to tuple of ndarray
        Edges (positions a < b, cosine) to so many nearest people.
    """

    people: np.ndarray
    matrix: sparse.csr_matrix
    near: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]


def buyers(
    bought: pd.DataFrame,
    usual: pd.DataFrame,
    everybody: int,
    home: Callable[[np.ndarray], np.ndarray],
) -> dict[str, Buyers]:
    """Vectors and nearest neighbours, for each of `KINDS`.

    Parameters
    ----------
    bought : DataFrame
        person, item, claims, many of the people looked at; see `fraud.rings.profiles.purchases`.
    usual : DataFrame
        item, people, many; see `fraud.rings.profiles.holders`. What many people buy makes nobody alike.
    everybody : int
        People with claims.
    home : callable
        Part of the province of each of some persons; see `homes`.
    """
    found = {}
    for claims, had in KINDS.items():
        own = bought[bought[claims] > 0]
        if own.empty:
            continue
        own = own[["person", "item"]].assign(claims=own[claims])
        people, matrix = _vectors(own, usual[["item"]].assign(people=usual[had]), everybody)
        where = home(people)
        found[claims] = Buyers(people, matrix, {n: _nearest(matrix, where, n) for n in NEAREST})
    return found


def groups(alike: Mapping[str, Buyers], suppliers: pd.DataFrame) -> Iterable[tuple[int, ...]]:
    """Candidates: suppliers of a fence with those who buy like them, and communities of like buyers.

    Parameters
    ----------
    alike : mapping of str to Buyers
        See `buyers`.
    suppliers : DataFrame
        fence, person of the people looked at; see `fraud.rings.profiles.fences`.
    """
    for _, own in suppliers.groupby("fence", sort=True)["person"]:
        yield tuple(sorted(set(own.tolist())))
    for kind in alike.values():
        yield from _grown(kind, suppliers[suppliers["person"].isin(kind.people)])
        for edges in kind.near.values():
            yield from communities(kind.people, *edges, RESOLUTIONS)


def likeness(candidates: Sequence[np.ndarray], alike: Mapping[str, Buyers]) -> pd.DataFrame:
    """How alike the members of each candidate buy.

    Returns
    -------
    DataFrame
        Per kind of purchase ``alike_*``, the mean cosine of two members, and ``kept_*``, the part of the
        members' edges to their nearest people that stays inside.
    """
    size = np.array([len(c) for c in candidates], dtype=float)
    number = np.repeat(np.arange(len(candidates)), size.astype(np.int64))
    members = np.concatenate(candidates) if len(candidates) else np.zeros(0, dtype=np.int64)
    out: dict[str, np.ndarray] = {}
    for name in KINDS:
        inside, kept = np.zeros(len(size)), np.zeros(len(size))
        kind = alike.get(name)
        if kind is not None and len(kind.people) and len(size):
            at = np.searchsorted(kind.people, members)
            known = kind.people[np.minimum(at, len(kind.people) - 1)] == members
            shape = (len(size), len(kind.people))
            chosen = sparse.csr_matrix((np.ones(known.sum()), (number[known], at[known])), shape)
            total = chosen @ kind.matrix
            square = np.asarray(total.multiply(total).sum(axis=1)).ravel()
            own = np.bincount(number[known], minlength=len(size))
            inside = (square - own) / np.maximum(size * (size - 1), 1)
            a, b, weight = kind.near[NEAREST[0]]
            edges = sparse.csr_matrix((weight, (a, b)), (len(kind.people), len(kind.people)))
            edges = edges + edges.T
            within = np.asarray((chosen @ edges).multiply(chosen).sum(axis=1)).ravel()
            kept = within / np.maximum(chosen @ np.asarray(edges.sum(axis=1)).ravel(), 1e-9)
        out |= {f"alike_{name}": inside.round(6), f"kept_{name}": kept.round(6)}
    return pd.DataFrame(out)


def _vectors(
    bought: pd.DataFrame, usual: pd.DataFrame, everybody: int
) -> tuple[np.ndarray, sparse.csr_matrix]:
    """People and their purchases as unit vectors over items, weighted by how few people buy an item."""
    people, row = np.unique(bought["person"].to_numpy(), return_inverse=True)
    items, column = np.unique(bought["item"].to_numpy(), return_inverse=True)
    had = usual.set_index("item")["people"].reindex(items).fillna(1).to_numpy(float)
    rarity = np.log(np.maximum(everybody / had, 1.001)) ** 2
    value = np.sqrt(np.minimum(bought["claims"].to_numpy(float), OFTEN)) * rarity[column]
    matrix = sparse.csr_matrix((value, (row, column)), (len(people), len(items)))
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return people, (sparse.diags(1 / np.maximum(norm, 1e-9)) @ matrix).tocsr()


def _grown(kind: Buyers, suppliers: pd.DataFrame) -> Iterable[tuple[int, ...]]:
    for _, own in suppliers.groupby("fence", sort=True)["person"]:
        seed = np.unique(own.to_numpy())
        if len(seed) < FEW:
            continue
        centre = np.asarray(kind.matrix[np.searchsorted(kind.people, seed)].mean(axis=0)).ravel()
        similar = (kind.matrix @ centre) / max(float(np.linalg.norm(centre)), 1e-9)
        for least in GROWTH:
            grown = np.union1d(seed, kind.people[similar >= least])
            if len(grown) <= MOST:
                yield tuple(int(p) for p in grown)


def _nearest(
    matrix: sparse.csr_matrix, home: np.ndarray, nearest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges to the `nearest` most similar people of the same home, with their cosine; block by block."""
    a, b, weight = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for number in np.unique(home):
        own = np.flatnonzero(home == number)
        vectors = matrix[own]
        transposed = vectors.T.tocsc()
        for start in range(0, len(own), 1_000):
            block = np.asarray((vectors[start : start + 1_000] @ transposed).todense())
            block[np.arange(len(block)), np.arange(start, start + len(block))] = 0
            count = min(nearest, block.shape[1])
            near = np.argsort(-block, axis=1, kind="stable")[:, :count]
            value = np.take_along_axis(block, near, axis=1).ravel()
            keep = value > 0.05
            a.append(own[np.repeat(np.arange(start, start + len(block)), count)[keep]])
            b.append(own[near.ravel()[keep]])
            weight.append(value[keep])
    low = np.minimum(np.concatenate(a), np.concatenate(b))
    high = np.maximum(np.concatenate(a), np.concatenate(b))
    key, first = np.unique(low * matrix.shape[0] + high, return_index=True)
    return key // matrix.shape[0], key % matrix.shape[0], np.concatenate(weight)[first].round(6)


def homes(person: np.ndarray, place: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Parts of a province: clusters of places that share people, and the cluster each person is most in.

    Up to `TOWN` people are one part: only a province is too large to compare everybody with everybody.

    Parameters
    ----------
    person, place : ndarray of int, shape (ties,)
        Suspected ties.
    people : ndarray of int, shape (n,)
        Persons asked for, ascending.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    if len(people) <= TOWN:
        return np.zeros(len(people), dtype=np.int64)
    known = np.isin(person, people)
    row, places = np.searchsorted(people, person[known]), np.unique(place[known])
    column = np.searchsorted(places, place[known])
    ties = sparse.csr_matrix((np.ones(len(row)), (row, column)), (len(people), len(places)))
    shared = sparse.triu(ties.T @ ties, k=1).tocoo()
    cluster = np.array(parts(len(places), shared.row, shared.col, shared.data))
    member = sparse.csr_matrix((np.ones(len(cluster)), (np.arange(len(cluster)), cluster)))
    return np.asarray((ties @ member).argmax(axis=1)).ravel().astype(np.int64)
