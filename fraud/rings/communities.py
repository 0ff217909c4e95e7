"""Communities of a weighted graph of people, the same for the same graph."""

import random
from collections.abc import Iterable, Sequence

import igraph
import numpy as np

FEWEST, MOST = 4, 120
"""People of a candidate."""
SEED = 7


def parts(nodes: int, a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> list[int]:
    """Part of each node of a weighted graph, by modularity."""
    graph = igraph.Graph(nodes, np.column_stack([a, b]))
    igraph.set_random_number_generator(random.Random(SEED))
    found = graph.community_leiden("modularity", weights=weight, n_iterations=4)
    return list(found.membership)


def communities(
    people: np.ndarray, a: np.ndarray, b: np.ndarray, weight: np.ndarray, resolutions: Sequence[float]
) -> Iterable[tuple[int, ...]]:
    """Cut a graph by Leiden's algorithm under the constant Potts model, at several resolutions.

    Traag, Waltman and van Eck (2019), "From Louvain to Leiden". A resolution is the least mean weight
    of the pairs of a community.

    Parameters
    ----------
    people : ndarray of int, shape (n,)
        Who the nodes are, ascending.
    a, b : ndarray of int, shape (m,)
        Ends of the edges, as positions in `people`; each pair once.
    weight : ndarray of float, shape (m,)
    resolutions : sequence of float
    """
    if not len(a):
        return
    graph = igraph.Graph(len(people), np.column_stack([a, b]))
    for resolution in resolutions:
        igraph.set_random_number_generator(random.Random(SEED))
        parts = graph.community_leiden("CPM", weights=weight, resolution=resolution, n_iterations=4)
        label = np.array(parts.membership)
        order = np.argsort(label, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
            if FEWEST <= len(rows) <= MOST:
                yield tuple(int(p) for p in people[np.sort(rows)])
