"""What unaudited claims add: weak negatives, and weak positives where the first model is surest.

Audits cover a few per cent of claims and mostly the expensive ones. Trees grown on them alone are
free to say anything of the rest. A little weight on a sample of unaudited claims holds them down
there; a second model, told that the highest-scored unaudited claims are probably like the confirmed
ones, learns what schemes have in common beyond the audited examples. Both weights stay small:
taking unaudited claims as plain negatives is the largest single mistake (docs/decisions.md).
"""

from typing import TYPE_CHECKING

import numpy as np

from fraud.detectors import trees
from fraud.detectors.boosting import Boosting
from fraud.detectors.rows import taken

if TYPE_CHECKING:
    from fraud.settings import BoostingSettings, SelfTrainingSettings

# rows, their label (one for each or one for all), their weight
_Parts = list[tuple[np.ndarray, np.ndarray | int, float]]


def fit(
    matrix: np.ndarray,
    rows: np.ndarray,
    label: np.ndarray,
    pool: np.ndarray,
    settings: "BoostingSettings",
    weak: "SelfTrainingSettings",
    rounds: int,
    seed: int,
    bags: int | None = None,
    threads: int = 1,
) -> Boosting:
    """Train on audited rows and, weakly, on unaudited ones.

    Parameters
    ----------
    matrix : ndarray, shape (all rows, features)
    rows : ndarray of int
        Audited rows.
    label : ndarray of 0/1, shape (len(rows),)
    pool : ndarray of int
        Unaudited rows; empty to train on audits only.
    settings, weak
        See `fraud.settings`.
    rounds, seed, bags, threads
        See `Boosting.fit`; threads score the pool, too.

    Returns
    -------
    Boosting
        Mean of the first model and, where ``weak.share`` asks for it, the self-trained second.
    """
    random = np.random.default_rng(seed)
    count = min(len(pool), round(weak.background * len(rows)))
    background = np.sort(random.choice(pool, count, replace=False))
    first = _fit(
        matrix,
        [(rows, label, 1.0), (background, 0, weak.background_weight)],
        settings,
        rounds,
        seed,
        bags,
        threads,
    )
    surest = round(weak.share * len(pool))
    if not surest:
        return first
    # all rows are scored, not a copy of the pool's: it is nearly all of them
    order = np.argsort(-first.margin(matrix, threads)[pool], kind="stable")
    likely = np.sort(pool[order[:surest]])
    # the next as many are left out: neither positive nor negative is safe to say of them
    rest = np.setdiff1d(background, pool[order[: 2 * surest]])
    parts: _Parts = [(rows, label, 1.0), (likely, 1, weak.weight), (rest, 0, weak.background_weight)]
    second = _fit(matrix, parts, settings, rounds, seed + 500, bags, threads)
    return Boosting(trees.mean_of([first.text, second.text]), rounds)


def _fit(
    matrix: np.ndarray,
    parts: _Parts,
    settings: "BoostingSettings",
    rounds: int,
    seed: int,
    bags: int | None,
    threads: int,
) -> Boosting:
    chosen = np.concatenate([rows for rows, _, _ in parts])
    label = np.concatenate([np.broadcast_to(np.asarray(value), len(rows)) for rows, value, _ in parts])
    weight = np.concatenate([np.full(len(rows), share) for rows, _, share in parts])
    return Boosting.fit(taken(matrix, chosen), label, settings, rounds, seed, weight, bags, threads)
