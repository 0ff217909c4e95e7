"""Groups that need not meet: runners who fetch the same drugs all over town, boxes that end at one fence."""

from collections.abc import Callable, Iterable

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import sparse

from fraud.features.measures import exact_sum
from fraud.features.scope import Scope
from fraud.rings.communities import MOST, communities, parts

LEAST = 0.1
"""Probability of a tie from which on its person may belong to such a group."""
NEAREST = 5
"""People with the most similar purchases that each person is joined to."""
RESOLUTIONS = (0.05, 0.15)
GROWTH = (0.3, 0.4, 0.5, 0.6)
"""Similarities to a fence's suppliers from which on people join them; every one gives a candidate."""
FEW = 2
"""Fewest suppliers of a fence."""
TOWN = 5_000
"""People who are compared with each other without asking where they live."""
OFTEN = 6
"""Claims beyond which buying an item more often tells no more."""


def purchases(scope: Scope, chosen: ir.Table) -> ir.Table:
    """Claims and cents per person and item of what resells: drugs fetched too early, rare and costly ones."""
    rows = resellable(scope).semi_join(chosen, "person")
    return rows.group_by(["person", "item"]).agg(cents=exact_sum(rows.cents), claims=rows.count())


def resellable(scope: Scope) -> ir.Table:
    """Charges for drugs fetched too early, or rare and costly."""
    charges = scope["ring_charges"]
    return charges.filter(((charges.early > 0) | charges.is_rare) & charges.category.isin(("drug", "herb")))


def holders(scope: Scope) -> ir.Table:
    """People who bought each item that way."""
    rows = resellable(scope)
    return rows.group_by("item").agg(people=rows.person.nunique())


def fences(scope: Scope) -> ir.Table:
    """Who bought boxes whose trace code came up again on another person's claim, and where."""
    traced = scope["ring_traced"]
    order = ibis.window(group_by="trace_code", order_by=["settled_second", "claim_id"])
    rows = traced.mutate(next_person=traced.person.lead().over(order), fence=traced.place.lead().over(order))
    rows = rows.filter(rows.next_person.notnull() & (rows.next_person != rows.person))
    return rows.group_by(["fence", "person"]).agg(boxes=rows.count())


def groups(
    bought: pd.DataFrame,
    usual: pd.DataFrame,
    suppliers: pd.DataFrame,
    everybody: int,
    home: Callable[[np.ndarray], np.ndarray],
) -> Iterable[tuple[int, ...]]:
    """Candidates: suppliers of a fence with those who buy like them, and communities of like buyers.

    Parameters
    ----------
    bought : DataFrame
        person, item, claims of the people looked at; see `purchases`.
    usual : DataFrame
        item, people; see `holders`. What many people buy makes nobody alike.
    suppliers : DataFrame
        fence, person of the people looked at; see `fences`.
    everybody : int
        People with claims.
    home : callable
        Part of the province of each of some persons; see `homes`.
    """
    for _, own in suppliers.groupby("fence", sort=True)["person"]:
        yield tuple(sorted(set(own.tolist())))
    if bought.empty:
        return
    people, matrix = _vectors(bought, usual, everybody)
    yield from _grown(people, matrix, suppliers[suppliers["person"].isin(people)])
    yield from communities(people, *_nearest(matrix, home(people)), RESOLUTIONS)


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


def _grown(
    people: np.ndarray, matrix: sparse.csr_matrix, suppliers: pd.DataFrame
) -> Iterable[tuple[int, ...]]:
    for _, own in suppliers.groupby("fence", sort=True)["person"]:
        seed = np.unique(own.to_numpy())
        if len(seed) < FEW:
            continue
        centre = np.asarray(matrix[np.searchsorted(people, seed)].mean(axis=0)).ravel()
        likeness = (matrix @ centre) / max(float(np.linalg.norm(centre)), 1e-9)
        for least in GROWTH:
            grown = np.union1d(seed, people[likeness >= least])
            if len(grown) <= MOST:
                yield tuple(int(p) for p in grown)


def _nearest(matrix: sparse.csr_matrix, home: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges to the `NEAREST` most similar people of the same home, with their cosine; block by block."""
    a, b, weight = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for number in np.unique(home):
        own = np.flatnonzero(home == number)
        vectors = matrix[own]
        transposed = vectors.T.tocsc()
        for start in range(0, len(own), 1_000):
            block = np.asarray((vectors[start : start + 1_000] @ transposed).todense())
            block[np.arange(len(block)), np.arange(start, start + len(block))] = 0
            count = min(NEAREST, block.shape[1])
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
