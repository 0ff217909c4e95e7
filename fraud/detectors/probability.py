"""Calibrated probabilities from audits that were not drawn at random, and held-out figures."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fraud import evaluate
from fraud.detectors import words
from fraud.detectors.calibration import Platt, intercept_for, sigmoid
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
            out[scope][name] = {
                "average_precision": round(evaluate.average_precision(label, values[rows]), 6),
                "roc_auc": round(evaluate.roc_auc(label, values[rows]), 6),
            }
        probability = np.clip(scores["score"][rows], 1e-9, 1 - 1e-9)
        out[scope]["score"]["log_loss"] = round(evaluate.log_loss(label, probability), 6)
        out[scope]["score"]["mean_probability"] = round(float(probability.mean()), 6)
    return out


__all__ = ["calibrate", "held_out_metrics", "sigmoid"]
