"""Groups that need not meet: runners who fetch the same drugs all over town, boxes that end at one fence."""

from collections.abc import Iterable

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import sparse

from fraud.features.measures import exact_sum
from fraud.features.scope import Scope
from fraud.rings.communities import MOST, communities

LEAST = 0.1
"""Probability of a tie from which on its person may belong to such a group."""
NEAREST = 5
"""People with the most similar purchases that each person is joined to."""
RESOLUTIONS = (0.05, 0.15)
GROWTH = (0.3, 0.4, 0.5, 0.6)
"""Similarities to a fence's suppliers from which on people join them; every one gives a candidate."""
FEW = 2
"""Fewest suppliers of a fence."""
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
    bought: pd.DataFrame, usual: pd.DataFrame, suppliers: pd.DataFrame, everybody: int
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
    """
    for _, own in suppliers.groupby("fence", sort=True)["person"]:
        yield tuple(sorted(set(own.tolist())))
    if bought.empty:
        return
    people, matrix = _vectors(bought, usual, everybody)
    yield from _grown(people, matrix, suppliers[suppliers["person"].isin(people)])
    yield from communities(people, *_nearest(matrix), RESOLUTIONS)


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


def _nearest(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges to the `NEAREST` most similar people of each, with their cosine; block by block."""
    a, b, weight = [], [], []
    transposed = matrix.T.tocsc()
    for start in range(0, matrix.shape[0], 1_000):
        block = np.asarray((matrix[start : start + 1_000] @ transposed).todense())
        block[np.arange(len(block)), np.arange(start, start + len(block))] = 0
        count = min(NEAREST, block.shape[1])
        near = np.argsort(-block, axis=1, kind="stable")[:, :count]
        value = np.take_along_axis(block, near, axis=1)
        row = np.repeat(np.arange(start, start + len(block)), count)
        keep = value.ravel() > 0.05
        a.append(row[keep])
        b.append(near.ravel()[keep])
        weight.append(value.ravel()[keep])
    low = np.minimum(np.concatenate(a), np.concatenate(b))
    high = np.maximum(np.concatenate(a), np.concatenate(b))
    key, first = np.unique(low * matrix.shape[0] + high, return_index=True)
    return key // matrix.shape[0], key % matrix.shape[0], np.concatenate(weight)[first].round(6)
