"""What to audit next so that the model learns most: unsure, unlike anything decided, and everywhere.

A list by expected recovery asks about what is believed already. A few of its places are worth more when
they are spent on claims whose answer would teach: greedy selection by uncertainty × distance to the
nearest decided or chosen claim (k-centre, Sener and Savarese 2018), damped where an institution, or the
scheme a claim comes nearest to, has been decided about often.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from fraud.detectors.frames import own_features
from fraud.detectors.novelty import deviations, units

POOL = 3_000
"""Claims among which picks are made."""
FLOOR = 0.05
"""Share of the uncertainty that any claim has: the model may be sure and wrong."""


def learning_picks(
    frame: pd.DataFrame,
    scores: pd.DataFrame,
    count: int,
    directions: Mapping[str, int],
    known: pd.DataFrame | None = None,
    without: Sequence[str] = (),
    among: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Choose claims to audit for learning.

    Parameters
    ----------
    frame : DataFrame
        Claim features of the month, with ``claim_id``, ``institution_id`` where there, and
        ``amount_at_risk`` (yuan).
    scores : DataFrame
        ``p_supervised`` (NaN without a model) and ``anomaly`` of the same rows, in the same order.
    count : int
        Claims to choose.
    directions : mapping of str to int
        Suspicious direction per feature.
    known : DataFrame, optional
        Features of claims decided before, with ``label`` (1, 0), ``scheme`` and ``institution_id``
        where known.
    without : sequence of str
        Claims that are not chosen: those on the list already, and those decided.
    among : DataFrame, optional
        Claims whose medians and quartiles are the measure, where `frame` is not the whole month.

    Returns
    -------
    DataFrame
        In the order chosen: claim_id, row (position in `frame`), uncertainty (0–1), distance (1 minus
        the cosine similarity to the nearest decided or chosen claim), audits (decided before at the
        institution), scheme (of the nearest confirmed claim; empty without any) and value.
    """
    features = own_features(frame)
    unsure = _uncertainty(scores)
    among = frame if among is None else among
    rows = _pool(frame, unsure, scores, {str(c) for c in without})
    if not count or not len(rows) or not features:
        return _told([], frame)
    unit = units(deviations(frame.iloc[rows], features, directions, among))
    some = known is not None and len(known)
    others = units(deviations(known, features, directions, among)) if some else None
    near = np.zeros(len(rows)) if others is None else np.maximum((unit @ others.T).max(axis=1), 0.0)
    scheme, often = _schemes(unit, others, known)
    places = _places(frame, rows)
    audits = _audits(places, known)
    chosen = _greedy(unsure[rows], unit, near, places, audits, often, min(count, len(rows)))
    told = [
        {
            "row": int(rows[i]), "uncertainty": float(unsure[rows[i]]), "distance": distance,
            "audits": int(audits[i]), "scheme": scheme[i], "value": value,
        }
        for i, distance, value in chosen
    ]  # fmt: skip
    return _told(told, frame)


def _told(rows: list[dict[str, object]], frame: pd.DataFrame) -> pd.DataFrame:
    columns = ["row", "uncertainty", "distance", "audits", "scheme", "value"]
    out = pd.DataFrame(rows, columns=columns)
    ids = frame["claim_id"].to_numpy(dtype=object)[out["row"].to_numpy(dtype=int)]
    return out.assign(claim_id=pd.Series(ids, index=out.index, dtype=object))[["claim_id", *columns]]


def _uncertainty(scores: pd.DataFrame) -> np.ndarray:
    """Entropy of the probability in bits; without a model, of the anomaly as if it were one, halved."""
    p = scores["p_supervised"].to_numpy(float)
    rare = 0.5 * np.nan_to_num(scores["anomaly"].to_numpy(float))
    q = np.clip(np.where(np.isfinite(p), p, rare), 1e-9, 1 - 1e-9)
    entropy = -(q * np.log2(q) + (1 - q) * np.log2(1 - q))
    return np.round(FLOOR + (1 - FLOOR) * entropy, 9)


def _pool(frame: pd.DataFrame, unsure: np.ndarray, scores: pd.DataFrame, out: set[str]) -> np.ndarray:
    """Positions of the most uncertain and of the oddest claims, half each, that cost money."""
    ids = frame["claim_id"].to_numpy(dtype=object).astype(str)
    fits = (frame["amount_at_risk"].fillna(0).to_numpy(float) > 0) & ~np.isin(
        ids, np.array(sorted(out), dtype=str)
    )
    rows = np.flatnonzero(fits)
    anomaly = np.nan_to_num(scores["anomaly"].to_numpy(float))
    parts = [rows[np.lexsort((ids[rows], -by[rows]))][: POOL // 2] for by in (unsure, anomaly)]
    chosen = np.unique(np.concatenate(parts))
    return chosen[np.argsort(ids[chosen], kind="stable")]


def _schemes(
    unit: np.ndarray, others: np.ndarray | None, known: pd.DataFrame | None
) -> tuple[list[str], np.ndarray]:
    """Scheme of the nearest confirmed claim, and how often that scheme was confirmed."""
    if others is None or known is None or not {"label", "scheme"} <= set(known.columns):
        return [""] * len(unit), np.zeros(len(unit))
    names = known["scheme"].where(known["label"] == 1).fillna("").to_numpy(dtype=object)
    at = np.flatnonzero(names != "")
    if not len(at):
        return [""] * len(unit), np.zeros(len(unit))
    nearest = names[at[(unit @ others[at].T).argmax(axis=1)]]
    counts = pd.Series(names[at]).value_counts()
    return [str(n) for n in nearest], np.array([float(counts.get(n, 0)) for n in nearest])


def _places(frame: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    if "institution_id" not in frame:
        return np.full(len(rows), "", dtype=object)
    return frame["institution_id"].to_numpy(dtype=object, na_value="")[rows]


def _audits(places: np.ndarray, known: pd.DataFrame | None) -> np.ndarray:
    if known is None or "institution_id" not in known:
        return np.zeros(len(places))
    counts = known["institution_id"].value_counts()
    return np.array([float(counts.get(p, 0)) for p in places])


def _greedy(
    unsure: np.ndarray,
    unit: np.ndarray,
    near: np.ndarray,
    places: np.ndarray,
    audits: np.ndarray,
    often: np.ndarray,
    count: int,
) -> list[tuple[int, float, float]]:
    """Take the claim of most value, again and again: (position, distance, value) in the order taken."""
    near, audits = near.copy(), audits.copy()
    open_ = np.ones(len(unsure), dtype=bool)
    scheme = 1.0 / np.sqrt(1.0 + often / max(float(np.mean(often)), 1.0))
    taken = []
    for _ in range(count):
        value = np.round(unsure * (1.0 - near) * scheme / np.sqrt(1.0 + audits), 9)
        i = int(np.where(open_, value, -1.0).argmax())
        taken.append((i, round(float(1.0 - near[i]), 6), float(value[i])))
        open_[i] = False
        near = np.maximum(near, np.maximum(unit @ unit[i], 0.0))
        audits[places == places[i]] += 1.0
    return taken
