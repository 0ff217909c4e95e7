"""Fairness of burden: how many people and places of a kind are bothered for nothing."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fraud.evaluate import wilson

GROUPS = ("institution_kind", "region", "age_band", "sex")
"""Kinds of institution, regions, ages and sexes of patients."""
AGES = (18, 45, 60, 75)
"""Ages at which the bands begin, after the youngest."""
FEWEST = 200
"""Scored claims below which a group is not told: its few people could be named."""
FEWEST_DECIDED = 10
"""Decided claims of the list below which a group's interval says nothing."""


def age_band(age: pd.Series) -> pd.Series:
    """Bands of ages in years, empty where unknown.

    >>> age_band(pd.Series([3.0, 60.0, None])).tolist()
    ['0-17', '60-74', '']
    """
    edges = [-np.inf, *AGES, np.inf]
    starts = [0, *AGES]
    names = [f"{a}-{b - 1}" for a, b in zip(starts[:-1], starts[1:], strict=True)] + [f"{AGES[-1]}+"]
    bands = pd.cut(age.astype(float), edges, right=False, labels=names)
    return bands.astype(object).where(age.notna(), "")


def burden(claims: pd.DataFrame, column: str, audited: pd.DataFrame | None = None) -> list[dict[str, Any]]:
    """False alarms per thousand claims of each group.

    A false alarm is a listed claim that is innocent. How many claims of a group are listed is known; what
    share of them is innocent is known of the decided ones, and taken for the others of the group:
    ``1000 × listed / claims × cleared / decided``, with Wilson's interval of the last share.

    Parameters
    ----------
    claims : DataFrame
        Every scored claim: ``listed`` (bool), ``label`` (1, 0, NaN where not decided; of a synthetic city
        the truth of all) and `column`.
    column : str
        One of `GROUPS`.
    audited : DataFrame, optional
        Where the decided claims are, in the same columns; by default among `claims`.

    Returns
    -------
    list of dict
        Groups of at least `FEWEST` claims, by name: name, claims, listed, decided, cleared, per_thousand
        (value, low and high; NaN where nothing listed was decided) and ``apart``: ``more`` or ``less``
        where the interval does not meet that of all other claims together.
    """
    if column not in claims:
        return []
    whole = _Side(claims, column)
    known = whole if audited is None else _Side(audited, column)
    out = []
    for name in _names(whole.values):
        if (whole.values == name).sum() < FEWEST:
            continue
        told, rest = (_rate(whole.part(name, own), known.part(name, own)) for own in (True, False))
        out.append({"name": name, **told, "apart": _apart(told, rest)})
    return out


class _Side:
    """Group, place on the list and outcome of claims."""

    def __init__(self, claims: pd.DataFrame, column: str) -> None:
        self.values = claims[column].fillna("").astype(str).to_numpy(dtype=object)
        self.listed = claims["listed"].to_numpy(bool)
        self.label = claims["label"].to_numpy(float)

    def part(self, name: str, own: bool) -> tuple[np.ndarray, np.ndarray]:
        """Listed and label of a group, or of all others that are known."""
        chosen = (self.values == name) if own else (self.values != name) & (self.values != "")
        return self.listed[chosen], self.label[chosen]


def _names(values: Iterable[str]) -> Sequence[str]:
    return sorted({v for v in values if v})


def _rate(whole: tuple[np.ndarray, np.ndarray], known: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    listed, (on, label) = whole[0], known
    decided = on & np.isfinite(label)
    rows, cleared = int(decided.sum()), int((label[decided] == 0).sum())
    scale = 1000.0 * float(listed.sum()) / max(len(listed), 1)
    if rows:
        low, high = wilson(cleared, rows)
        rate = {"value": scale * cleared / rows, "low": scale * low, "high": scale * high}
    else:
        nothing = 0.0 if not listed.any() else float("nan")
        rate = dict.fromkeys(("value", "low", "high"), nothing)
    return {
        "claims": len(listed),
        "listed": int(listed.sum()),
        "decided": rows,
        "cleared": cleared,
        "per_thousand": rate,
    }


def _apart(own: dict[str, Any], rest: dict[str, Any]) -> str:
    if min(own["decided"], rest["decided"]) < FEWEST_DECIDED:
        return ""
    a, b = own["per_thousand"], rest["per_thousand"]
    return "more" if a["low"] > b["high"] else "less" if a["high"] < b["low"] else ""
