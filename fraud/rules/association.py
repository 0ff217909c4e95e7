"""Which values of a context belong to an item, and how surely the rest do not.

All statistics count *uses*: distinct pairs of a patient and a source (the doctor, or the institution
where no doctor is named), so that a chronic patient's monthly refills count once. What one source
makes up by itself is left out wherever a value is judged, so that neither a lone specialist nor a lone
fraudster decides what belongs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

LEVEL = 0.95
"""One-sided confidence of every bound."""
PRIOR = 0.5
"""Shape and rate of the gamma prior of an observed-to-expected ratio (Norén et al. 2013)."""
BELONGS = 0.5
"""A value belongs to an item where its shrunk ratio, its largest source left out, is at least this."""
BELONGS_DIAGNOSIS = 1.0
"""The same for a diagnosis, which stands on a claim beside others that have nothing to do with it."""
TAIL = 0.01
"""Share of uses that an age limit may cut at either end before its margin is added."""
AGE_EDGES = (0, 1, 3, 6, 12, 14, 18, *range(20, 91, 5), 121)
"""Years at which an age limit may start or end."""
FOLDS = (0, 1)
"""Halves of the patients: values chosen on one are tested on the other."""
BOTH = 2
"""Variant of the values chosen on all patients, the one that is proposed."""


def shrunk_ratio(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Posterior mean of observed / expected under a gamma(½, ½) prior.

    Norén, Hopstadius, Bate (2013), "Shrinkage observed-to-expected ratios for robust and
    transparent large-scale pattern discovery", Statistical Methods in Medical Research 22.

    >>> shrunk_ratio(np.array([0.0, 1.0]), np.array([0.01, 0.01])).round(2).tolist()
    [0.98, 2.94]
    """
    return (np.asarray(observed, float) + PRIOR) / (np.asarray(expected, float) + PRIOR)


def ratio_upper(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Upper bound of observed / expected: quantile `LEVEL` of its gamma posterior.

    >>> ratio_upper(np.array([1.0]), np.array([200.0])).round(4).tolist()
    [0.0195]
    """
    from scipy.stats import gamma

    observed, expected = np.asarray(observed, float), np.asarray(expected, float)
    return np.asarray(gamma.ppf(LEVEL, observed + PRIOR, scale=1.0 / (expected + PRIOR)))


def share_lower(inside: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Lower bound of a share (Clopper and Pearson 1934); 0 where nothing was inside.

    >>> share_lower(np.array([399, 0]), np.array([400, 10])).round(4).tolist()
    [0.9882, 0.0]
    """
    from scipy.stats import beta

    inside, total = np.asarray(inside, float), np.asarray(total, float)
    bound = beta.ppf(1 - LEVEL, np.maximum(inside, 1e-9), total - inside + 1.0)
    return np.where(inside > 0, bound, 0.0)


def fewer_by_chance(observed: np.ndarray, total: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Probability of at most `observed` of `total` under a binomial with probability `share`.

    >>> fewer_by_chance(np.array([0]), np.array([10]), np.array([0.5])).tolist()
    [0.0009765625]
    """
    from scipy.stats import binom

    return np.asarray(binom.cdf(observed, total, np.clip(share, 0.0, 1.0)))


def false_discovery(p_values: np.ndarray) -> np.ndarray:
    """Benjamini–Hochberg q-values over every test made; empty in, empty out."""
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p_values, method="bh")) if len(p_values) else p_values


@dataclass(frozen=True)
class Counts:
    """What one context's values are judged by.

    Attributes
    ----------
    uses : pandas.DataFrame
        item, stratum, value, fold, n: uses of an item with a value.
    totals : pandas.DataFrame
        item, stratum, fold, n: uses of an item with any known value.
    base : pandas.DataFrame
        stratum, value, fold, n: visits' pairs of patient and source with a value, whatever the item.
    base_totals : pandas.DataFrame
        stratum, fold, n.
    largest : pandas.DataFrame
        item, value, n0, n1, n2: uses of the source with most of them, on each half and on both;
        away0, away1, away2: the part of all visits with the value that were not that source's.
    """

    uses: pd.DataFrame
    totals: pd.DataFrame
    base: pd.DataFrame
    base_totals: pd.DataFrame
    largest: pd.DataFrame


def _of(frame: pd.DataFrame, variant: int, keys: Sequence[str]) -> pd.DataFrame:
    """Counts of one half of the patients (or of both), sorted by `keys`."""
    part = frame if variant == BOTH else frame[frame["fold"] == variant]
    return part.groupby(list(keys), sort=True, as_index=False)["n"].sum()


def observed_expected(counts: Counts, variant: int) -> pd.DataFrame:
    """Observed and expected uses of every item with every value.

    Expected is what the item would have if values fell as they do on all visits of the same stratum
    (visit type), its uses per stratum given.

    Parameters
    ----------
    counts : Counts
    variant : int
        The half of the patients counted, or `BOTH`.

    Returns
    -------
    pandas.DataFrame
        item, value, observed, expected, and both without the largest source of the pair:
        ``others``, ``others_expected``. Sorted by item and value; only values of the item's strata.
    """
    totals = _of(counts.totals, variant, ["item", "stratum"]).rename(columns={"n": "item_n"})
    base = _of(counts.base, variant, ["stratum", "value"])
    whole = _of(counts.base_totals, variant, ["stratum"]).rename(columns={"n": "whole"})
    base = base.merge(whole, on="stratum")
    base["share"] = base["n"] / base["whole"]
    spread = totals.merge(base[["stratum", "value", "share"]], on="stratum")
    spread["expected"] = spread["item_n"] * spread["share"]
    spread = spread.sort_values(["item", "value", "stratum"], kind="stable")
    result = spread.groupby(["item", "value"], as_index=False)["expected"].sum()
    seen = _of(counts.uses, variant, ["item", "value"]).rename(columns={"n": "observed"})
    result = result.merge(seen, on=["item", "value"], how="left")
    top = counts.largest.rename(columns={f"n{variant}": "top", f"away{variant}": "away"})
    result = result.merge(top[["item", "value", "top", "away"]], on=["item", "value"], how="left")
    result = result.fillna({"observed": 0, "top": 0, "away": 1.0})
    all_uses = totals.groupby("item")["item_n"].sum()
    mine = result["item"].map(all_uses).to_numpy(float)
    result["others"] = result["observed"] - result["top"]
    result["others_expected"] = result["expected"] * result["away"] * (mine - result["top"]) / mine
    return result.sort_values(["item", "value"], kind="stable").reset_index(drop=True)


def belonging(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Values that belong to each item.

    Parameters
    ----------
    table : pandas.DataFrame
        From `observed_expected`.
    kind : str
        ``sex`` (the sex that is over-represented), ``age`` (years of age as text: one interval of
        `AGE_EDGES` that cuts at most `TAIL` at either end, wider by one edge on both sides, so that
        the thin end of an ordinary spread is inside), else any set: values seen at no less than
        `BELONGS` (`BELONGS_DIAGNOSIS`) times what chance gives, with and without the source that
        uses the item most with that value. Where that source alone sees the value at all, the rest
        has nothing to say and the value belongs.

    Returns
    -------
    pandas.DataFrame
        item, value.
    """
    if kind == "sex":
        ratio = shrunk_ratio(table["observed"], table["expected"])
        ordered = table.assign(ratio=ratio).sort_values(["item", "ratio", "value"], kind="stable")
        return ordered.groupby("item", as_index=False).tail(1)[["item", "value"]].reset_index(drop=True)
    if kind == "age":
        return _intervals(table)
    everywhere = shrunk_ratio(table["observed"], table["expected"])
    elsewhere = shrunk_ratio(table["others"], table["others_expected"])
    least = BELONGS_DIAGNOSIS if kind == "diagnosis" else BELONGS
    belongs = (table["observed"] > 0) & (np.minimum(everywhere, elsewhere) >= least)
    return table.loc[belongs, ["item", "value"]].reset_index(drop=True)


def _intervals(table: pd.DataFrame) -> pd.DataFrame:
    items, rows = np.unique(table["item"].to_numpy(object), return_inverse=True)
    uses = np.zeros((len(items), AGE_EDGES[-1]))
    np.add.at(uses, (rows, table["value"].astype(int).to_numpy()), table["observed"].to_numpy(float))
    cuts = np.array(AGE_EDGES)
    below = np.concatenate([np.zeros((len(items), 1)), np.cumsum(uses, axis=1)], axis=1)
    total = below[:, -1:]
    under = below[:, cuts] <= TAIL * total
    over = total - below[:, cuts] <= TAIL * total
    low = np.maximum(len(cuts) - 1 - np.argmax(under[:, ::-1], axis=1) - 1, 0)
    high = np.minimum(np.argmax(over, axis=1) + 1, len(cuts) - 1)
    years = np.arange(AGE_EDGES[-1])
    kept = (years >= cuts[low][:, None]) & (years < cuts[high][:, None])
    row, year = np.nonzero(kept)
    return pd.DataFrame({"item": items[row], "value": [f"{y:03d}" for y in year]})
