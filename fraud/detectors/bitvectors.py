"""All trees over a block of rows at once, by bit vectors: the same sums as LightGBM's own, sooner.

Walking each row down each of thousands of trees waits for memory at every node. Here a tree's leaves are
the bits of one number. A split that sends a row right rules out the leaves on its left, whatever the other
splits say; after all splits the lowest bit left is the leaf the row ends in. Every split is one comparison
over a block of neighbouring values, which processors do many at a time. Source: Lucchese et al. (2015),
"QuickScorer: a fast algorithm to rank documents with additive ensembles of regression trees"; Ye et al.
(2018), "RapidScorer", for blocks of rows.

Leaf values are added in the order of the trees, as LightGBM adds them, so that not a bit differs
(docs/decisions.md). Measured: ``experiments/performance/trees.py``.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from fraud.detectors.trees import blocks

BLOCK = 256
"""Rows looked at together: their features stay near the processor."""
LEAVES = 32
"""Most leaves of a tree: the bits of a vector."""
_TINY = float(np.float32(1e-35))  # LightGBM reads what is no farther from zero as zero
_DE_BRUIJN = 0x077CB531  # times a power of two: its upper five bits tell which (Leiserson et al. 1998)
_SHIFT = 27
_ALL = 0xFFFFFFFF
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_ZERO, _MISSING_NAN = 1, 2, 1, 2


@dataclass(frozen=True)
class Bitvectors:
    """Trees of at most `LEAVES` leaves, split by split.

    Attributes
    ----------
    feature : ndarray of int32, shape (splits,)
    threshold : ndarray of float32, shape (splits,)
        Values at or below it go left; the largest float32 that is not above the model's own.
    missing_left : ndarray of bool, shape (splits,)
    kept : ndarray of uint32, shape (splits,)
        Leaves that are not ruled out by going right.
    start : ndarray of int32, shape (trees + 1,)
        First split of each tree.
    value : ndarray of float64, shape (trees, LEAVES)
        Leaf values, at the place the De Bruijn product of the leaf's bit gives.
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    kept: np.ndarray
    start: np.ndarray
    value: np.ndarray

    @classmethod
    def of(cls, text: str) -> "Bitvectors | None":
        """Read a LightGBM text model; None where its trees are larger or split otherwise."""
        trees = [_Tree.of(block) for block in blocks(text)]
        if not trees or not all(tree.plain for tree in trees):
            return None
        splits = [len(tree.left) for tree in trees]
        return cls(
            np.concatenate([tree.feature for tree in trees]).astype(np.int32),
            _not_above(np.concatenate([tree.threshold for tree in trees])),
            np.concatenate([tree.missing_left() for tree in trees]),
            np.concatenate([tree.kept() for tree in trees]),
            np.cumsum([0, *splits]).astype(np.int32),
            np.array([tree.values() for tree in trees]),
        )

    def predict(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Sum of leaf values, shape (rows,), of a float32 matrix of shape (rows, columns)."""
        matrix = np.ascontiguousarray(matrix)
        out = np.zeros(len(matrix))
        own = (self.feature, self.threshold, self.missing_left, self.kept, self.start, self.value)
        count = -(-len(matrix) // BLOCK)
        cuts = [BLOCK * (count * i // threads) for i in range(threads + 1)]
        summed = _compiled()
        with ThreadPoolExecutor(threads) as pool:
            parts = [slice(a, b) for a, b in zip(cuts, cuts[1:], strict=False) if a < b]
            list(pool.map(lambda rows: summed(matrix[rows], *own, out[rows]), parts))
        return out


@dataclass(frozen=True)
class _Tree:
    """One ``Tree=`` block of a text model; a child below zero is a leaf, ``~child`` its number."""

    feature: np.ndarray
    threshold: np.ndarray
    decision: np.ndarray
    left: list[int]
    right: list[int]
    leaves: np.ndarray
    linear: bool

    @classmethod
    def of(cls, block: str) -> "_Tree":
        told = dict(line.split("=", 1) for line in block.splitlines()[1:] if "=" in line)

        def numbers(name: str, kind: type) -> np.ndarray:
            return np.array(told.get(name, "").split(), dtype=kind)

        leaves = numbers("leaf_value", float)
        children = [numbers(name, int).tolist() for name in ("left_child", "right_child")]
        if len(leaves) == 1:  # a tree that never split
            children = [[], []]
        count = len(children[0])
        return cls(
            numbers("split_feature", int)[:count],
            numbers("threshold", float)[:count],
            numbers("decision_type", int)[:count],
            children[0],
            children[1],
            leaves,
            told.get("is_linear", "0") != "0",
        )

    @property
    def plain(self) -> bool:
        """Whether it is a small tree of numbers, none of which means missing."""
        few = 0 < len(self.leaves) <= LEAVES
        odd = (self.decision & _CATEGORICAL > 0) | (self.decision >> 2 & 3 == _MISSING_ZERO)
        return few and not self.linear and not odd.any()

    def missing_left(self) -> np.ndarray:
        """Whether NaN goes left: as the split says, or like zero where training saw no NaN."""
        told = (self.decision & _DEFAULT_LEFT) > 0
        return np.where(self.decision >> 2 & 3 == _MISSING_NAN, told, self.threshold >= 0)

    @cached_property
    def _walked(self) -> tuple[list[int], dict[int, tuple[int, int]]]:
        """Leaves from left to right, and the range of them below each split's left child."""
        order: list[int] = []
        below: dict[int, tuple[int, int]] = {}

        def walk(node: int) -> None:
            if node < 0:
                order.append(~node)
                return
            first = len(order)
            walk(self.left[node])
            below[node] = first, len(order)
            walk(self.right[node])

        walk(0 if self.left else ~0)
        return order, below

    def kept(self) -> np.ndarray:
        below = self._walked[1]
        gone = [sum(1 << leaf for leaf in range(*below[node])) for node in range(len(self.left))]
        return np.array([_ALL & ~bits for bits in gone], dtype=np.uint32)

    def values(self) -> np.ndarray:
        out = np.zeros(LEAVES)
        for place, leaf in enumerate(self._walked[0]):
            out[(_DE_BRUIJN << place & _ALL) >> _SHIFT] = self.leaves[leaf]
        return out


def _not_above(threshold: np.ndarray) -> np.ndarray:
    """Largest float32 that is not above each number: a float32 is below the one iff below the other."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near)


def _summed(
    matrix: np.ndarray,
    feature: np.ndarray,
    threshold: np.ndarray,
    missing_left: np.ndarray,
    kept: np.ndarray,
    start: np.ndarray,
    value: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add every tree's leaf value to `out`; compiled, see `_compiled`."""
    rows, columns = matrix.shape
    block = np.zeros((columns, BLOCK), np.float32)
    leaf = np.empty(BLOCK, np.uint32)
    every, product, shift = np.uint32(_ALL), np.uint32(_DE_BRUIJN), np.uint32(_SHIFT)
    for first in range(0, rows, BLOCK):
        count = min(BLOCK, rows - first)
        for r in range(count):
            for c in range(columns):
                v = matrix[first + r, c]
                block[c, r] = np.float32(0) if abs(v) <= _TINY else v
        for t in range(len(start) - 1):
            leaf[:] = every
            for s in range(start[t], start[t + 1]):
                values, split, left_out = block[feature[s]], threshold[s], kept[s]
                # two loops, each without a branch inside
                if missing_left[s]:
                    for r in range(BLOCK):
                        leaf[r] &= left_out if values[r] > split else every
                else:
                    for r in range(BLOCK):
                        leaf[r] &= every if values[r] <= split else left_out
            of_tree = value[t]
            for r in range(count):
                lowest = np.uint32(leaf[r] & np.uint32(~leaf[r] + np.uint32(1)))
                out[first + r] += of_tree[np.uint32(lowest * product) >> shift]


@cache
def _compiled() -> Callable[..., Any]:
    """`_summed` as machine code, made once a process: about a second and a half."""
    import numba

    return numba.njit(nogil=True)(_summed)
