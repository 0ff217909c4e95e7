"""Odd claims that are odd in the same way: what a scheme no label has seen would leave behind.

The isolation forest says which claims are rare, the supervised model which look like what auditors
confirmed. What is rare and does not look like anything confirmed is gathered by *how* it is rare:
robust deviations in the suspicious direction, as directions in feature space, clustered by density.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fraud.detectors.forest import Scaling
from fraud.detectors.frames import matrix_of, own_features

if TYPE_CHECKING:
    from fraud.settings import NoveltySettings

CLIP = 8.0
"""Largest deviation that counts, in interquartile ranges: one wild feature must not be everything."""
STANDS_OUT = 1.0
"""Median deviation of a cluster from which a feature sets it apart."""


@dataclass(frozen=True)
class Cluster:
    """Claims that are odd alike.

    Attributes
    ----------
    rows : ndarray of int
        Positions in the frame, the dearest claims first.
    features : tuple of str
        What sets them apart, strongest first.
    deviations : tuple of float
        Their median deviation from the month's median, in interquartile ranges (negative: below).
    alike : float
        Mean cosine similarity of the members' deviations to their mean, 0 to 1.
    amount : float
        Yuan at risk.
    interest : float
        What clusters are ordered by: amount × alike × how far from anything decided (1 where unknown).
    """

    rows: np.ndarray
    features: tuple[str, ...]
    deviations: tuple[float, ...]
    alike: float
    amount: float
    interest: float


def deviations(
    frame: pd.DataFrame,
    features: Sequence[str],
    directions: Mapping[str, int],
    among: pd.DataFrame | None = None,
) -> np.ndarray:
    """Robust deviations in the suspicious direction, damped by a logarithm; shape (rows, features).

    Parameters
    ----------
    frame : DataFrame
        Rows to describe.
    features : sequence of str
    directions : mapping of str to int
        Suspicious direction per feature.
    among : DataFrame, optional
        Rows whose medians and quartiles are the measure; `frame` by default.
    """
    signs = np.array([int(directions.get(f, 0)) for f in features])
    scaling = Scaling.fit(matrix_of(frame if among is None else among, features), signs, CLIP)
    z = scaling.transform(matrix_of(frame, features)).astype(float)
    return np.sign(z) * np.log1p(np.abs(z))


def units(z: np.ndarray) -> np.ndarray:
    """Rows at length one; a row of nothing stays so."""
    length = np.linalg.norm(z, axis=1, keepdims=True)
    return z / np.where(length > 0, length, 1.0)


def clusters(
    frame: pd.DataFrame,
    scores: pd.DataFrame,
    settings: "NoveltySettings",
    directions: Mapping[str, int],
    listed: Sequence[str] = (),
    known: pd.DataFrame | None = None,
    among: pd.DataFrame | None = None,
    size: int | None = None,
) -> list[Cluster]:
    """Find groups of odd claims that neither the list nor the supervised model has.

    Parameters
    ----------
    frame : DataFrame
        Claim features of the month, with ``claim_id`` and ``amount_at_risk`` (yuan).
    scores : DataFrame
        ``p_supervised`` (NaN without a model) and ``anomaly`` of the same rows, in the same order.
    settings : NoveltySettings
    directions : mapping of str to int
        Suspicious direction per feature (the catalog's).
    listed : sequence of str
        Claims on the list: auditors see them anyway.
    known : DataFrame, optional
        Features of claims that were decided before: what lies next to them is not new.
    among : DataFrame, optional
        Claims whose medians and quartiles are the measure, where `frame` is not the whole month.
    size : int, optional
        Claims of the month, where `frame` holds only the oddest of them.

    Returns
    -------
    list of Cluster
        Most interesting first, at most ``settings.clusters``.
    """
    features = own_features(frame)
    rows = _candidates(frame, scores, settings, listed, len(frame) if size is None else size)
    among = frame if among is None else among
    if len(rows) < 2 * settings.fewest or not features:
        return []
    z = deviations(frame.iloc[rows], features, directions, among)
    odd = np.linalg.norm(z, axis=1) > 0
    rows, z = rows[odd], z[odd]
    if len(rows) < 2 * settings.fewest:
        return []
    unit = units(z)
    label = _dense(unit, settings.fewest)
    far = _far(unit, known, features, directions, among)
    amount = frame["amount_at_risk"].fillna(0).to_numpy(float)
    ids = frame["claim_id"].to_numpy(dtype=object).astype(str)
    found = [
        _cluster(rows[own], z[own], unit[own], far[own], features, amount, ids)
        for own in (np.flatnonzero(label == k) for k in range(int(label.max()) + 1))
    ]
    told = [c for c in found if c.features]
    return sorted(told, key=lambda c: (-c.interest, ids[c.rows[0]]))[: settings.clusters]


def _candidates(
    frame: pd.DataFrame, scores: pd.DataFrame, settings: "NoveltySettings", listed: Sequence[str], size: int
) -> np.ndarray:
    """Positions of the oddest claims that are improbable, cost money and are not on the list."""
    p = scores["p_supervised"].to_numpy(float)
    anomaly = scores["anomaly"].to_numpy(float)
    ids = frame["claim_id"].to_numpy(dtype=object).astype(str)
    fits = ~(p > settings.max_probability) & (frame["amount_at_risk"].fillna(0).to_numpy(float) > 0)
    fits &= ~np.isin(ids, np.array(list(listed), dtype=str)) if len(listed) else True
    rows = np.flatnonzero(fits & np.isfinite(anomaly))
    most = min(settings.most, max(20 * settings.fewest, round(settings.share * size)))
    chosen = rows[np.lexsort((ids[rows], -anomaly[rows]))][:most]
    return chosen[np.argsort(ids[chosen], kind="stable")]


def _dense(points: np.ndarray, fewest: int) -> np.ndarray:
    """Cluster of every point, -1 for none (HDBSCAN: Campello, Moulavi and Sander 2013)."""
    from sklearn.cluster import HDBSCAN

    # rounded, so that the last bits of a platform's arithmetic do not decide a tie
    model = HDBSCAN(min_cluster_size=fewest, min_samples=2, cluster_selection_method="leaf", copy=True)
    return np.asarray(model.fit_predict(np.round(points, 6)))


def _far(
    unit: np.ndarray,
    known: pd.DataFrame | None,
    features: Sequence[str],
    directions: Mapping[str, int],
    among: pd.DataFrame,
) -> np.ndarray:
    """How unlike each row is to every decided claim: 1 minus the largest cosine similarity; 1 without any."""
    if known is None or not len(known):
        return np.ones(len(unit))
    other = deviations(known, features, directions, among)
    other = other[np.linalg.norm(other, axis=1) > 0]
    if not len(other):
        return np.ones(len(unit))
    return np.round(1.0 - (unit @ units(other).T).max(axis=1), 6)


def _cluster(
    rows: np.ndarray,
    z: np.ndarray,
    unit: np.ndarray,
    far: np.ndarray,
    features: Sequence[str],
    amount: np.ndarray,
    ids: np.ndarray,
) -> Cluster:
    middle = np.median(z, axis=0)
    strongest = np.argsort(-np.abs(middle), kind="stable")
    bar = np.log1p(STANDS_OUT)
    told = [int(j) for j in strongest if abs(middle[j]) >= bar]
    centre = unit.mean(axis=0)
    alike = float(np.round((unit @ (centre / np.linalg.norm(centre))).mean(), 6))
    order = np.lexsort((ids[rows], -amount[rows]))
    money = int(np.rint(amount[rows] * 100).sum()) / 100
    return Cluster(
        rows[order],
        tuple(features[j] for j in told),
        tuple(round(float(np.sign(middle[j]) * np.expm1(abs(middle[j]))), 3) for j in told),
        alike,
        money,
        round(money * alike * float(np.median(far)), 4),
    )
