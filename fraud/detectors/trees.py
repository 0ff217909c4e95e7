"""Trees of any origin as one LightGBM text model: no pickle, fast scoring, exact Shapley values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fraud.detectors.rows import pieces

if TYPE_CHECKING:
    import lightgbm

# numerical split, missing values never occur (they are imputed before)
_DECISION = "2"
# rows scored at once: keeps the float64 copy LightGBM makes small
_CHUNK = 50_000


@dataclass(frozen=True)
class TreeArrays:
    """One binary tree in scikit-learn's layout: node 0 is the root, a child of -1 marks a leaf.

    Attributes
    ----------
    left, right, feature : ndarray of int, shape (nodes,)
    threshold, value : ndarray of float, shape (nodes,)
        Rows at or below the threshold go left; `value` counts at leaves.
    count : ndarray of float, shape (nodes,)
        Training rows that reached the node (the cover of the Shapley values).
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray
    count: np.ndarray


def _join(values: Sequence[Any] | np.ndarray, as_text: str = "{}") -> str:
    return " ".join(as_text.format(v) for v in values)


def _tree_text(tree: TreeArrays, index: int) -> str:
    """Write one tree as a LightGBM ``Tree=`` block."""
    inner = np.flatnonzero(tree.left >= 0)
    leaves = np.flatnonzero(tree.left < 0)
    code = np.empty(len(tree.left), dtype=np.int64)
    code[inner] = np.arange(len(inner))
    code[leaves] = ~np.arange(len(leaves))
    count = np.maximum(tree.count, 1).astype(np.int64)
    mean = _node_means(tree)
    lines = {
        "num_leaves": str(len(leaves)),
        "num_cat": "0",
        "split_feature": _join(tree.feature[inner]),
        "split_gain": _join([1] * len(inner)),
        "threshold": _join(tree.threshold[inner].tolist(), "{!r}"),
        "decision_type": _join([_DECISION] * len(inner)),
        "left_child": _join(code[tree.left[inner]]),
        "right_child": _join(code[tree.right[inner]]),
        "leaf_value": _join(tree.value[leaves].tolist(), "{!r}"),
        "leaf_weight": _join(count[leaves]),
        "leaf_count": _join(count[leaves]),
        "internal_value": _join(mean[inner].tolist(), "{!r}"),
        "internal_weight": _join(count[inner]),
        "internal_count": _join(count[inner]),
        "is_linear": "0",
        "shrinkage": "1",
    }
    return f"Tree={index}\n" + "".join(f"{k}={v}\n" for k, v in lines.items()) + "\n\n"


def _node_means(tree: TreeArrays) -> np.ndarray:
    """Cover-weighted mean of the leaf values below each node."""
    mean = tree.value.astype(float).copy()
    # children always come after their parent in scikit-learn's layout
    for node in range(len(tree.left) - 1, -1, -1):
        low, high = tree.left[node], tree.right[node]
        if low >= 0:
            weights = tree.count[low], tree.count[high]
            mean[node] = np.average([mean[low], mean[high]], weights=weights)
    return mean


def as_text(trees: Sequence[TreeArrays], columns: int) -> str:
    """Write trees as a LightGBM regression model whose prediction is the sum of their leaf values.

    Parameters
    ----------
    trees : sequence of TreeArrays
    columns : int
        Features of the matrix the model will score.

    Returns
    -------
    str
        Text `load` reads.
    """
    header = {
        "version": "v4",
        "num_class": "1",
        "num_tree_per_iteration": "1",
        "label_index": "0",
        "max_feature_idx": str(columns - 1),
        "objective": "regression",
        "feature_names": _join([f"Column_{i}" for i in range(columns)]),
        "feature_infos": _join(["[-1e300:1e300]"] * columns),
    }
    head = "tree\n" + "".join(f"{k}={v}\n" for k, v in header.items()) + "\n"
    body = "".join(_tree_text(tree, i) for i, tree in enumerate(trees))
    return head + body + "end of trees\n\nparameters:\nend of parameters\n\npandas_categorical:null\n"


def _scaled(line: str, factor: float) -> str:
    key, values = line.split("=", 1)
    return key + "=" + _join([float(v) * factor for v in values.split()], "{!r}")


def blocks(text: str) -> list[str]:
    """Each tree of a LightGBM text model: its number, then a line for every field."""
    return text.split("end of trees")[0].split("\nTree=")[1:]


def mean_of(texts: Sequence[str]) -> str:
    """Merge LightGBM models into one that predicts the mean of their raw scores.

    Parameters
    ----------
    texts : sequence of str
        `lightgbm.Booster.model_to_string` of models over the same columns.

    Returns
    -------
    str
        One model; its Shapley values are the mean of theirs.
    """
    factor = 1.0 / len(texts)
    head = [
        line
        for line in texts[0].split("\nTree=0\n")[0].splitlines()
        if not line.startswith(("tree_sizes=", "objective=", "feature_infos="))
    ]
    merged: list[str] = []
    for text in texts:
        for block in blocks(text):
            lines = [
                _scaled(line, factor) if line.startswith(("leaf_value=", "internal_value=")) else line
                for line in block.rstrip().splitlines()[1:]
            ]
            merged.append("\n".join((f"Tree={len(merged)}", *lines)))
    columns = len(next(line for line in head if line.startswith("feature_names=")).split())
    infos = "feature_infos=" + _join(["[-1e300:1e300]"] * columns)
    text = "\n".join(head).rstrip() + f"\nobjective=regression\n{infos}\n\n" + "\n\n\n".join(merged)
    return text + "\n\n\nend of trees\n\nparameters:\nend of parameters\n\npandas_categorical:null\n"


def load(text: str) -> "lightgbm.Booster":
    """Read a model text into a LightGBM booster."""
    import lightgbm

    return lightgbm.Booster(model_str=text)


def predict(booster: "lightgbm.Booster", matrix: np.ndarray, threads: int = 1) -> np.ndarray:
    """Raw scores, shape (rows,); the same for any number of threads."""
    parts = [booster.predict(piece, raw_score=True, num_threads=threads) for piece in pieces(matrix, _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0)


def shapley(booster: "lightgbm.Booster", matrix: np.ndarray, threads: int = 1) -> tuple[np.ndarray, float]:
    """Shapley values of the raw score.

    Returns
    -------
    values : ndarray, shape (rows, columns)
    base : float
        Mean raw score over the training rows; ``base + values.sum(1)`` is the raw score.
    """
    if not len(matrix):
        return np.zeros((0, matrix.shape[1])), 0.0
    out = np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=threads))
    return out[:, :-1], float(out[0, -1])
