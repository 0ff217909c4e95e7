"""How good a list is in truth, where only some claims were audited.

Audits by rank, tip or appeal are not a sample: what they say holds for the claims they looked at. Audits
drawn at random are a sample. `estimate` joins them as in survey sampling with a certainty stratum (Särndal,
Swensson and Wretman 1992, section 3.7): a claim audited for a reason counts as itself, a claim drawn at
random stands for all claims of its stratum (listed or not) that nobody looked at for a reason.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

DRAWS = 2_000
FEW_RANDOM = 30
"""Random audits below which the random slice alone is not to be relied on."""
MEASURES = ("prevalence", "precision", "recall", "money_found")


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; NaN where it cannot be told."""

    value: float
    low: float
    high: float

    def apart(self, other: "Interval") -> bool:
        """Whether two intervals do not meet."""
        return bool(self.low > other.high or other.low > self.high)


@dataclass(frozen=True)
class Estimates:
    """The same figures in three ways.

    Attributes
    ----------
    ranked, random, joined : dict of str to Interval
        From audits with a reason alone, from random audits alone, from both. Keys are `MEASURES`:
        share of fraud among all claims; share of fraud among the listed; share of all fraud, and of
        the money in it, that is listed.
    audited_ranked, audited_random : int
        Claims behind them.
    trust : str
        ``joined``, ``ranked`` or ``none``.
    """

    ranked: dict[str, Interval]
    random: dict[str, Interval]
    joined: dict[str, Interval]
    audited_ranked: int
    audited_random: int
    trust: str

    @property
    def contradicted(self) -> tuple[str, ...]:
        """Measures of which the ranked and the joined interval do not meet."""
        return tuple(m for m in MEASURES if self.ranked[m].apart(self.joined[m]))

    def told(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"contradicted": list(self.contradicted)}


def estimate(claims: pd.DataFrame, seed: int = 7) -> Estimates:
    """Estimate how much fraud a list holds.

    Parameters
    ----------
    claims : DataFrame
        Every claim of the population: ``listed`` (bool), ``amount`` (yuan), ``label`` (1, 0, NaN where not
        audited) and ``random`` (bool, drawn at random). A claim that is random and was also looked at for
        a reason must be marked by its first reason.
    seed : int
        Of the draws behind the intervals.
    """
    audited = claims["label"].notna().to_numpy()
    drawn = claims["random"].to_numpy(dtype=bool) & audited
    reasoned = audited & ~drawn
    nobody = np.zeros(len(claims), dtype=bool)
    counts = int(reasoned.sum()), int(drawn.sum())
    return Estimates(
        _ranked(claims, reasoned),
        _joined(claims, nobody, drawn, seed),
        _joined(claims, reasoned, drawn, seed),
        *counts,
        _trust(*counts),
    )


def _trust(ranked: int, drawn: int) -> str:
    if drawn >= FEW_RANDOM:
        return "joined"
    return "ranked" if ranked else "none"


def _ranked(claims: pd.DataFrame, reasoned: np.ndarray) -> dict[str, Interval]:
    """What audits with a reason say if they are taken for a sample, which they are not."""
    part = claims[reasoned]
    label, listed = part["label"].to_numpy(float), part["listed"].to_numpy(bool)
    amount = part["amount"].to_numpy(float)
    random = np.random.default_rng(5)
    draws = [random.integers(0, len(part), len(part)) for _ in range(400)] if len(part) else []
    whole, money = np.arange(len(part)), label * amount

    def told(of: Any) -> Interval:
        return _interval(np.array([of(rows) for rows in (whole, *draws)], dtype=float))

    return {
        "prevalence": told(lambda r: share(label[r].sum(), len(r))),
        "precision": told(lambda r: share(label[r][listed[r]].sum(), listed[r].sum())),
        "recall": told(lambda r: share(label[r][listed[r]].sum(), label[r].sum())),
        "money_found": told(lambda r: share(money[r][listed[r]].sum(), money[r].sum())),
    }


def share(part: Any, whole: Any) -> float:
    """Share of a whole; NaN of nothing."""
    return float(part) / float(whole) if whole > 0 else float("nan")


def _joined(claims: pd.DataFrame, certain: np.ndarray, drawn: np.ndarray, seed: int) -> dict[str, Interval]:
    """Certainty stratum plus expansion of the random audits, listed and unlisted claims apart."""
    label = claims["label"].fillna(0).to_numpy(float)
    amount, listed = claims["amount"].to_numpy(float), claims["listed"].to_numpy(bool)
    random = np.random.default_rng(seed)
    found, money = np.zeros((2, DRAWS + 1)), np.zeros((2, DRAWS + 1))
    for part, inside in enumerate((~listed, listed)):
        sure = inside & certain
        rest, sample = inside & ~certain, inside & drawn
        rows, money_rows = _expanded(amount[rest], label[sample], amount[sample], random)
        found[part] = label[sure].sum() + rows
        money[part] = (label * amount)[sure].sum() + money_rows
    with np.errstate(invalid="ignore", divide="ignore"):
        figures = {
            "prevalence": found.sum(axis=0) / max(len(claims), 1),
            "precision": found[1] / max(int(listed.sum()), 1),
            "recall": found[1] / found.sum(axis=0),
            "money_found": money[1] / money.sum(axis=0),
        }
    return {name: _interval(values) for name, values in figures.items()}


def _expanded(
    rest: np.ndarray, label: np.ndarray, amount: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Fraudulent claims and money among so many unseen ones, from a sample: the estimate, then draws.

    The number follows Jeffreys' posterior of a share (Brown, Cai and DasGupta 2001) for the claims that
    were not drawn; money follows the share, times what a fraudulent claim of the sample costs against
    the mean claim (Bayesian bootstrap, Rubin 1981, with two claims of the stratum drawn at random beside
    those found, because a few found ones do not show how dear others may be).
    """
    n, hits, rows, total = len(label), int(label.sum()), len(rest), float(rest.sum())
    unseen = max(rows - n, 0)
    if rows == 0:
        return np.zeros(DRAWS + 1), np.zeros(DRAWS + 1)
    share = random.beta(hits + 0.5, n - hits + 0.5, DRAWS)
    later = random.binomial(unseen, share)
    best = hits + unseen * hits / n if n else float("nan")
    counts = np.concatenate([[best], hits + later])
    weights = random.dirichlet(np.ones(hits + 2), DRAWS)
    others = random.choice(rest, (DRAWS, 2))
    each = weights[:, :hits] @ amount[label > 0] + (weights[:, hits:] * others).sum(axis=1)
    mean = amount[label > 0].mean() if hits else total / rows
    return counts, np.minimum(counts * np.concatenate([[mean], each]), total)


def _interval(values: np.ndarray) -> Interval:
    """Interval of an estimate, the first value, by draws, the others."""
    known = values[1:][np.isfinite(values[1:])]
    if not len(known):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))
