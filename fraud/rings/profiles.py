"""Groups that need not meet: runners who fetch the same drugs all over town, boxes that end at one fence."""

from collections.abc import Iterable

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from fraud.features.measures import exact_sum
from fraud.features.scope import Scope
from fraud.rings.communities import communities

LEAST = 0.1
"""Probability of a tie from which on its person may belong to such a group."""
ALIKE = 0.45
"""Least cosine of two people's purchases for them to be joined."""
COMMON = 1_500
"""An item more suspected people have than this joins nobody."""
RESOLUTIONS = (0.5, 1.5, 3.0)


def purchases(scope: Scope, chosen: ir.Table) -> ir.Table:
    """Cents per person and item of what resells: drugs fetched too early, rare and costly items."""
    charges = scope["ring_charges"]
    rows = charges.filter(((charges.early > 0) | charges.is_rare) & charges.category.isin(("drug", "herb")))
    rows = rows.semi_join(chosen, "person")
    return rows.group_by(["person", "item"]).agg(cents=exact_sum(rows.cents), claims=rows.count())


def fences(scope: Scope) -> ir.Table:
    """Who bought boxes whose trace code came up again on another person's claim, and where."""
    traced = scope["ring_traced"]
    order = ibis.window(group_by="trace_code", order_by=["settled_second", "claim_id"])
    rows = traced.mutate(next_person=traced.person.lead().over(order), fence=traced.place.lead().over(order))
    rows = rows.filter(rows.next_person.notnull() & (rows.next_person != rows.person))
    return rows.group_by(["fence", "person"]).agg(boxes=rows.count())


def alike(bought: pd.DataFrame) -> Iterable[tuple[int, ...]]:
    """Communities of people who buy alike.

    Parameters
    ----------
    bought : DataFrame
        person, item, cents, claims.
    """
    from scipy import sparse

    bought = bought[bought.groupby("person")["item"].transform("count") >= 2]
    if bought.empty:
        return
    people, row = np.unique(bought["person"].to_numpy(), return_inverse=True)
    items, column = np.unique(bought["item"].to_numpy(), return_inverse=True)
    holders = np.bincount(column)
    keep = holders[column] <= COMMON
    rarity = np.log((len(people) + 1) / holders)
    value = np.sqrt(bought["claims"].to_numpy(float)) * rarity[column]
    matrix = sparse.csr_matrix((value[keep], (row[keep], column[keep])), (len(people), len(items)))
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = sparse.diags(1 / np.maximum(norm, 1e-9)) @ matrix
    a, b, weight = [], [], []
    for start in range(0, len(people), 2_000):
        block = (matrix[start : start + 2_000] @ matrix.T).tocoo()
        near = (block.data >= ALIKE) & (block.row + start < block.col)
        a.append(block.row[near] + start)
        b.append(block.col[near])
        weight.append((block.data[near] - ALIKE) * 10)
    yield from communities(people, np.concatenate(a), np.concatenate(b), np.concatenate(weight), RESOLUTIONS)
