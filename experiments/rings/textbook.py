"""Textbook ways to find rings in who visits together, sparse and quick.

People *co-visit* when they are at the same institution and department on the same day, or within the same half hour
(a session; development chooses which, in the methods' favour). Each method sessions into rings of at least four people and gives each a score. Development cities choose its level (one of
`LEVELS`: how groups are formed), the least score of an alarm and the most people of one (``choose.py``).

| method | what it does | level | score |
|---|---|---|---|
| louvain | Louvain on the raw co-visit projection | resolution | co-visits per pair of members |
| shared_visits | people joined by at least so many co-visits, connected components | co-visits | the same |
| fraudar | FRAUDAR-style dense blocks of people × sessions, greedily peeled, one after another | – | density |
| validated | statistically validated projection (hypergeometric, FDR), then Leiden | FDR | evidence per member |
"""

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measures import Alarm
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.stats import hypergeom

LEAST = 4  # people of a ring
MOST = (30, 60, 120, 10**9)  # whole communities of a town are no rings: the choice is in the methods' favour
SESSIONS = (1440, 30)  # minutes: one day, half an hour
BLOCKS = 20  # dense blocks peeled off a city


@dataclass(frozen=True)
class CoVisits:
    """Sessions of a window.

    Attributes
    ----------
    patients : ndarray of str, shape (n,)
        Sorted.
    person, session : ndarray of int64, shape (claims,)
        Row in `patients`, and number of the session, of each claim.
    claim : ndarray of str, shape (claims,)
    """

    patients: np.ndarray
    person: np.ndarray
    session: np.ndarray
    claim: np.ndarray

    @classmethod
    def read(cls, city: Path, first: int, last: int, minutes: int = 1440) -> "CoVisits":
        """Sessions of so many minutes of the claims settled in months `first` to `last` (month numbers)."""
        columns = [
            "claim_id",
            "patient_id",
            "institution_id",
            "department_id",
            "started_at",
            "settled_at",
            "total_amount",
        ]
        t = pq.read_table(city / "claims.parquet", columns=columns)
        month = pc.add(pc.multiply(pc.year(t["settled_at"]), 12), pc.subtract(pc.month(t["settled_at"]), 1))
        inside = pc.and_(pc.greater_equal(month, first), pc.less_equal(month, last))
        t = t.filter(pc.and_(inside, pc.greater_equal(t["total_amount"].cast("float64"), 0)))
        people, person = np.unique(t["patient_id"].to_numpy().astype(str), return_inverse=True)
        parts = [
            _codes(t["institution_id"]),
            _codes(pc.fill_null(t["department_id"], "")),
            _codes(t["started_at"].cast(pa.timestamp("s")).cast(pa.int64()).to_numpy() // (60 * minutes)),
        ]
        session = np.zeros(t.num_rows, dtype=np.int64)
        for part in parts:
            session = session * (int(part.max(initial=0)) + 1) + part
        _, session = np.unique(session, return_inverse=True)
        return cls(people, person, session, t["claim_id"].to_numpy().astype(str))

    @cached_property
    def attendance(self) -> sparse.csr_matrix:
        """People × sessions, 1 where present; without the sessions of a single person."""
        m = sparse.csr_matrix(
            (np.ones(len(self.person), dtype=np.int32), (self.person, self.session)),
            shape=(len(self.patients), int(self.session.max(initial=-1)) + 1),
        )
        m.data[:] = 1  # csr_matrix adds duplicates up
        return m[:, np.flatnonzero(m.getnnz(axis=0) > 1)]

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Persons a < b and the sessions they share, every pair that shares one."""
        shared = sparse.triu(self.attendance @ self.attendance.T, k=1).tocoo()
        return shared.row.astype(np.int64), shared.col.astype(np.int64), shared.data.astype(np.int64)

    def alarm(self, members: np.ndarray, score: float) -> Alarm:
        """Alarm about some people; its evidence is their claims in sessions that two of them share."""
        rows = np.flatnonzero(np.isin(self.person, members))
        at, who = self.session[rows], self.person[rows]
        visits = np.unique(np.stack([at, who]), axis=1)
        sessions, present = np.unique(visits[0], return_counts=True)
        evidence = self.claim[rows[np.isin(at, sessions[present > 1])]]
        return Alarm(
            frozenset(self.patients[members].tolist()), float(score), claims=frozenset(evidence.tolist())
        )


def _codes(values: object) -> np.ndarray:
    values = values.to_numpy() if hasattr(values, "to_numpy") else values
    return np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1]


@dataclass(frozen=True)
class Choice:
    """What development fixed about a method."""

    minutes: int
    level: float
    least_score: float
    most: int

    def keeps(self, alarm: Alarm) -> bool:
        return alarm.score >= self.least_score and len(alarm.members) <= self.most


def choices(minutes: int, level: float, alarms: list[Alarm]) -> list[Choice]:
    """Choices worth trying at a level, given the alarms of some cities: scores at their quantiles."""
    scores = sorted({float(f"{a.score:.3g}") for a in alarms})
    cuts = sorted({scores[int(i)] for i in np.linspace(0, len(scores) - 1, 12)}) if scores else [0.0]
    return [Choice(minutes, level, cut, most) for cut in [0.0, *cuts] for most in MOST]


def alarms_of(visits: CoVisits, groups: list[tuple[np.ndarray, float]]) -> list[Alarm]:
    """Groups of persons and scores as alarms, best first."""
    ordered = sorted(groups, key=lambda g: (-g[1], int(g[0].min())))
    return [visits.alarm(members, score) for members, score in ordered]


def _density(visits: CoVisits, label: np.ndarray) -> np.ndarray:
    """Mean co-visits per pair of each group of a labelling."""
    a, b, shared = visits.pairs
    same = (label[a] == label[b]) & (label[a] >= 0)
    size = np.bincount(label[label >= 0])
    inside = np.bincount(label[a[same]], weights=shared[same], minlength=len(size))
    return inside / np.maximum(size * (size - 1) / 2, 1)


def _groups(label: np.ndarray, score: np.ndarray) -> list[tuple[np.ndarray, float]]:
    order = np.argsort(label, kind="stable")
    order = order[label[order] >= 0]
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    parts = np.split(order, cuts) if len(order) else []
    return [(p, float(score[label[p[0]]])) for p in parts if len(p) >= LEAST]


def _graph(n: int, a: np.ndarray, b: np.ndarray) -> object:
    import igraph

    igraph.set_random_number_generator(random.Random(0))  # the same communities every time
    return igraph.Graph(n=n, edges=np.stack([a, b], axis=1))


class Louvain:
    """Louvain on the raw projection: communities whose pairs co-visit often."""

    LEVELS = (1.0, 8.0)

    def __init__(self, visits: CoVisits) -> None:
        self.visits = visits

    def alarms(self, level: float) -> list[Alarm]:
        a, b, shared = self.visits.pairs
        graph = _graph(len(self.visits.patients), a, b)
        found = graph.community_multilevel(weights=shared, resolution=level)
        label = np.array(found.membership, dtype=np.int64)
        return alarms_of(self.visits, _groups(label, _density(self.visits, label)))


class SharedVisits:
    """Pairs with at least so many co-visits, and what they connect."""

    LEVELS = (2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 25.0)

    def __init__(self, visits: CoVisits) -> None:
        self.visits = visits

    def alarms(self, level: float) -> list[Alarm]:
        a, b, shared = self.visits.pairs
        n, often = len(self.visits.patients), shared >= level
        edges = sparse.csr_matrix((np.ones(int(often.sum())), (a[often], b[often])), shape=(n, n))
        _, label = connected_components(edges, directed=False)
        label = label.astype(np.int64)
        return alarms_of(self.visits, _groups(label, _density(self.visits, label)))


class Fraudar:
    """Dense blocks of people × sessions; popular sessions weigh 1/log(people + 5), so camouflage does not help."""

    LEVELS = (0.0,)

    def __init__(self, visits: CoVisits) -> None:
        self.visits = visits
        m = visits.attendance.tocoo()
        weight = 1.0 / np.log(np.bincount(m.col, minlength=m.shape[1]) + 5.0)
        row, col = m.row.astype(np.int64), m.col.astype(np.int64)
        self.blocks: list[tuple[np.ndarray, float]] = []
        for _ in range(BLOCKS):
            if not len(row):
                break
            people, density, inside = densest(row, col, weight)
            self.blocks.append((people, density))
            row, col = row[~inside], col[~inside]

    def alarms(self, level: float) -> list[Alarm]:
        taken, groups = np.zeros(len(self.visits.patients), dtype=bool), []
        for people, density in self.blocks:
            new = people[~taken[people]]  # one block a person: the densest
            if len(new) >= LEAST:
                groups.append((new, density))
            taken[people] = True
        return alarms_of(self.visits, groups)


def densest(row: np.ndarray, col: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Densest block of a bipartite graph by greedy peeling (weight of the edges per node kept).

    Nodes are peeled in waves, all those within a tenth of the lightest at once: the same guarantee as one by one to
    within that, in some fifty passes instead of a heap of every node.

    Parameters
    ----------
    row, col : ndarray of int64, shape (edges,)
    weight : ndarray of float, shape (columns,)
        Weight of an edge, by its column.

    Returns
    -------
    rows : ndarray of int64
        Rows of the block, sorted.
    density : float
    inside : ndarray of bool, shape (edges,)
        Edges of the block.
    """
    rows, r = np.unique(row, return_inverse=True)
    cols, c = np.unique(col, return_inverse=True)
    w = weight[col]
    n = len(rows)
    a, b = r, n + c  # nodes: rows, then columns
    edge = np.arange(len(row))
    alive = np.ones(n + len(cols), dtype=bool)
    left_at = np.zeros(n + len(cols), dtype=np.int64)
    degree = np.bincount(a, weights=w, minlength=len(alive)) + np.bincount(b, weights=w, minlength=len(alive))
    total, nodes = float(w.sum()), len(alive)
    best, best_wave, wave = total / nodes, 0, 0
    while nodes:
        wave += 1
        go = alive & (degree <= degree[alive].min() * 1.1 + 1e-9)
        alive &= ~go
        left_at[go] = wave
        nodes -= int(go.sum())
        cut = go[a[edge]] | go[b[edge]]
        gone, edge = edge[cut], edge[~cut]
        degree -= np.bincount(a[gone], weights=w[gone], minlength=len(alive))
        degree -= np.bincount(b[gone], weights=w[gone], minlength=len(alive))
        total -= float(w[gone].sum())
        if nodes and total / nodes > best:
            best, best_wave = total / nodes, wave
    kept = left_at > best_wave
    return rows[kept[:n]], best, kept[a] & kept[b]


class Validated:
    """Pairs that share more sessions than chance gives (hypergeometric, Benjamini–Hochberg), then Leiden."""

    LEVELS = (0.01, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-15)

    def __init__(self, visits: CoVisits) -> None:
        self.visits = visits
        a, b, shared = visits.pairs
        own = visits.attendance.getnnz(axis=1).astype(np.int64)
        tests, often = len(a), shared > 1  # one shared session is never significant among so many pairs
        self.a, self.b = a[often], b[often]
        low, high = np.minimum(own[self.a], own[self.b]), np.maximum(own[self.a], own[self.b])
        cases, of = np.unique(np.stack([shared[often], low, high]), axis=1, return_inverse=True)
        k, low, high = cases
        log_p = hypergeom.logsf(k - 1, visits.attendance.shape[1], high, low)[np.ravel(of)]
        order = np.argsort(log_p, kind="stable")
        rank = np.arange(1, len(order) + 1)
        log_q = np.minimum.accumulate((log_p[order] + np.log(tests) - np.log(rank))[::-1])[::-1]
        self.log_q = np.empty(len(order))
        self.log_q[order] = log_q
        self.strength = -log_p

    def alarms(self, level: float) -> list[Alarm]:
        keep = self.log_q <= np.log(level)
        if not keep.any():
            return []
        a, b, strength = self.a[keep], self.b[keep], self.strength[keep]
        graph = _graph(len(self.visits.patients), a, b)
        found = graph.community_leiden("modularity", weights=strength, n_iterations=5)
        label = np.array(found.membership, dtype=np.int64)
        size, same = np.bincount(label), label[a] == label[b]
        score = np.bincount(label[a[same]], weights=strength[same], minlength=len(size)) / size
        return alarms_of(self.visits, _groups(label, score))


TEXTBOOK = {"louvain": Louvain, "shared_visits": SharedVisits, "fraudar": Fraudar, "validated": Validated}
