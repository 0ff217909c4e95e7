"""Which audited rows are held out together, and which are the latest."""

import numpy as np


def grouped(groups: np.ndarray, label: np.ndarray, folds: int) -> np.ndarray:
    """Assign whole groups to folds, spreading positives, then rows, evenly.

    Parameters
    ----------
    groups : ndarray of str, shape (rows,)
        Rows of one group never part.
    label : ndarray of 0/1, shape (rows,)
    folds : int

    Returns
    -------
    ndarray of int, shape (rows,)
        Fold of each row, 0-based; the same for any order of rows.

    Examples
    --------
    >>> grouped(np.array(["a", "b", "a", "c"]), np.array([1, 0, 0, 1]), 2).tolist()
    [0, 1, 0, 1]
    """
    names, member = np.unique(groups.astype(str), return_inverse=True)
    rows = np.bincount(member, minlength=len(names))
    positives = np.bincount(member[label > 0], minlength=len(names))
    order = np.lexsort((names, -rows, -positives))
    fold_rows, fold_positives = np.zeros(folds), np.zeros(folds)
    fold_of = np.zeros(len(names), dtype=int)
    for group in order:
        fold = int(np.lexsort((np.arange(folds), fold_rows, fold_positives))[0])
        fold_of[group] = fold
        fold_rows[fold] += rows[group]
        fold_positives[fold] += positives[group]
    return fold_of[member]


def latest(month: np.ndarray, label: np.ndarray, share: float, fewest: int) -> np.ndarray | None:
    """Mark the rows of the latest months, for early stopping.

    Parameters
    ----------
    month : ndarray of int, shape (rows,)
    label : ndarray of 0/1, shape (rows,)
    share : float
        Rows wanted in the slice, as a share of all.
    fewest : int
        Fewest rows of each class needed in the slice, and twice that before it.

    Returns
    -------
    ndarray of bool, shape (rows,), or None
        None when no cut between months leaves enough of both classes on both sides.
    """
    for cut in sorted(set(month.tolist()), reverse=True):
        late = month >= cut
        positive = label > 0
        inside = min((late & positive).sum(), (late & ~positive).sum())
        before = min((~late & positive).sum(), (~late & ~positive).sum())
        if before < 2 * fewest:
            return None
        if late.mean() >= share and inside >= fewest:
            return late
    return None
