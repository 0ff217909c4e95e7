"""Calibrated probabilities from audits that were not drawn at random, and held-out figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fraud import evaluate
from fraud.detectors import words
from fraud.detectors.calibration import Platt, intercept_for
from fraud.detectors.frames import Audited

# confirmed random audits from which slope and level can both be learnt, and from which the level can
_BOTH, _LEVEL, _LEVEL_ROWS = 15, 2, 30


def calibrate(z: np.ndarray, audited: Audited, everyone: np.ndarray) -> tuple[Platt, list[words.Note]]:
    """Calibrate on random audits where they suffice.

    Audits are chosen because they look suspicious, so their confirmed share says nothing about the
    rest. With at least 15 confirmed random audits they alone calibrate. With fewer, all audits give
    the slope and random ones the level. Without, all audits give both, and the summary says so.

    Parameters
    ----------
    z : ndarray, shape (audited rows,)
        Out-of-fold log-odds.
    audited : Audited
    everyone : ndarray, shape (rows,)
        Log-odds of all training rows: the population whose mean probability the level sets.

    Returns
    -------
    platt : Platt
    notes : list of dict
        Fallbacks in words.
    """
    random = audited.random
    drawn, confirmed = int(random.sum()), int(audited.label[random].sum())
    if confirmed >= _BOTH and drawn - confirmed >= _BOTH:
        return Platt.fit(z[random], audited.label[random]), []
    fitted = Platt.fit(z, audited.label)
    if drawn >= _LEVEL_ROWS and confirmed >= _LEVEL:
        prior = (confirmed + 0.5) / (drawn + 1.0)
        level = intercept_for(everyone, fitted.slope, prior)
        return Platt(fitted.slope, level), [words.random_level(drawn, confirmed)]
    return fitted, [words.no_random()]


def held_out_metrics(audited: Audited, scores: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Out-of-fold figures per score, on all audits and on random ones."""
    out: dict[str, Any] = {}
    for scope, rows in (("audited", np.ones(len(audited.label), bool)), ("random", audited.random)):
        label = audited.label[rows]
        if not 0 < label.sum() < len(label):
            continue
        out[scope] = {"rows": len(label), "positives": int(label.sum())}
        for name, values in scores.items():
            out[scope][name] = _figures(label, values[rows])
        probability = np.clip(scores["score"][rows], 1e-9, 1 - 1e-9)
        out[scope]["score"]["log_loss"] = round(evaluate.log_loss(label, probability), 6)
        out[scope]["score"]["mean_probability"] = round(float(probability.mean()), 6)
    return out


def _figures(label: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Average precision and AUC with bootstrap intervals."""
    out: dict[str, float] = {}
    for name, metric in (("average_precision", evaluate.average_precision), ("roc_auc", evaluate.roc_auc)):
        value, low, high = evaluate.bootstrap(metric, label, values, draws=100)
        out |= {name: round(value, 6), f"{name}_low": round(low, 6), f"{name}_high": round(high, 6)}
    return out


def held_out_curves(audited: Audited, probability: np.ndarray) -> dict[str, Any]:
    """Out-of-fold precision–recall and reliability, of random audits where they suffice."""
    confirmed = int(audited.label[audited.random].sum())
    enough = confirmed >= _BOTH and int(audited.random.sum()) - confirmed >= _BOTH
    rows = audited.random if enough else np.ones(len(audited.label), bool)
    label, p = audited.label[rows], probability[rows]
    bins = evaluate.reliability(label, p, bins=min(10, max(2, len(label) // 30)))
    return {
        "scope": "random" if enough else "audited",
        "precision_recall": [[round(v, 6) for v in pair] for pair in evaluate.precision_recall(label, p)],
        "reliability": [{k: round(v, 6) for k, v in part.items()} for part in bins],
    }
