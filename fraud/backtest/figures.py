"""Figures of a back-test: rankings, precision, money and calibration among decided claims, with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fraud import evaluate
from fraud.backtest.estimates import share

WAYS = ("model", "amount", "rules")
"""Orders compared: expected recovery of the model, amount at risk alone, amount rules put at issue."""
CUTS = (20, 50, 100, 200)
FEWEST = 10
"""Decided claims, and confirmed ones among them, below which a group's ranking is not judged."""
FEWEST_CONFIRMED = 3
GROUPS = ("scheme", "institution_kind", "department")


def order_of(claims: pd.DataFrame, way: str) -> np.ndarray:
    """What a way sorts claims by, highest first."""
    if way == "model":
        return (claims["score"] * claims["amount"]).to_numpy(float)
    if way == "amount":
        return claims["amount"].to_numpy(float)
    return claims["rule_amount"].to_numpy(float)


def listed(claims: pd.DataFrame, way: str, capacity: int) -> np.ndarray:
    """Whether each claim is among the first `capacity` of its month; ties go by subject.

    Only what has a positive order is listed: a rule that hit nothing lists nothing.

    Returns
    -------
    ndarray of bool, shape (claims,)
    """
    order = pd.DataFrame(
        {
            "month": claims["month"].to_numpy(),
            "subject_id": claims["subject_id"].to_numpy(),
            "order": order_of(claims, way),
        }
    )
    ranked = order.sort_values(["month", "order", "subject_id"], ascending=[True, False, True])
    place = ranked.groupby("month").cumcount().reindex(order.index)
    return ((place < capacity) & (order["order"] > 0)).to_numpy()


def marked(claims: pd.DataFrame, ways: Sequence[str], capacity: int) -> pd.DataFrame:
    """All scored claims with ``listed_<way>``: who is listed does not depend on who was audited."""
    return claims.assign(**{f"listed_{way}": listed(claims, way, capacity) for way in ways})


def ranking(claims: pd.DataFrame, way: str) -> dict[str, Any]:
    """Figures of one way among decided claims, of one month or of several together.

    Parameters
    ----------
    claims : DataFrame
        Decided claims of what `marked` made: score, amount, rule_amount, label, listed_<way>.

    Returns
    -------
    dict
        average_precision with low and high (95 %, bootstrap), precision and money at the cuts that the
        claims allow, and of the decided claims that were on the way's list the share confirmed (with a
        Wilson interval) and the money.
    """
    label, order = claims["label"].to_numpy(float), order_of(claims, way)
    money = label * claims["amount"].to_numpy(float)
    value, low, high = evaluate.bootstrap(evaluate.average_precision, label, order)
    on = claims[f"listed_{way}"].to_numpy(bool)
    hits, rows = int(label[on].sum()), int(on.sum())
    p_low, p_high = evaluate.wilson(hits, rows)
    told: dict[str, Any] = {
        "average_precision": {"value": value, "low": low, "high": high},
        "listed": rows,
        "confirmed": hits,
        "precision": {"value": share(hits, rows), "low": p_low, "high": p_high},
        "money": float(money[on].sum()),
        "money_share": share(money[on].sum(), money.sum()),
    }
    for cut in (c for c in CUTS if c <= len(claims)):
        told[f"precision_at_{cut}"] = evaluate.precision_at(label, order, cut)
        told[f"amount_at_{cut}"] = share(_first(money, order, label, cut), money.sum())
    return told


def _first(values: np.ndarray, order: np.ndarray, label: np.ndarray, cut: int) -> float:
    return float(values[np.lexsort((label, -order))[:cut]].sum())


def compared(claims: pd.DataFrame, ways: Sequence[str]) -> dict[str, Any]:
    """Every way on the same decided claims, and how far the model is ahead of each.

    The lead is the difference of average precision with a paired bootstrap interval.
    """
    told: dict[str, Any] = {"decided": len(claims), "confirmed": int(claims["label"].sum())}
    told["ways"] = {way: ranking(claims, way) for way in ways}
    label = claims["label"].to_numpy(float)
    model = order_of(claims, "model")
    for way in (w for w in ways if w != "model"):
        value, low, high = evaluate.bootstrap(_lead, label, model, order_of(claims, way))
        told["ways"][way]["lead"] = {"value": value, "low": low, "high": high}
    return told


def _lead(label: np.ndarray, model: np.ndarray, other: np.ndarray) -> float:
    return evaluate.average_precision(label, model) - evaluate.average_precision(label, other)


def calibration(claims: pd.DataFrame, bins: int = 10) -> dict[str, Any]:
    """Brier score against always stating the mean, and the reliability curve."""
    known = claims[claims["p_supervised"].notna()]
    if len(known) < FEWEST:
        return {}
    label, stated = known["label"].to_numpy(float), known["p_supervised"].to_numpy(float)
    mean = np.full(len(label), label.mean())
    low, high = evaluate.wilson(int(label.sum()), len(label))
    return {
        "rows": len(known),
        "brier": evaluate.brier(label, stated),
        "brier_of_the_mean": evaluate.brier(label, mean),
        "stated": float(stated.mean()),
        "observed": {"value": float(label.mean()), "low": low, "high": high},
        "curve": evaluate.reliability(label, stated, bins),
    }


def by_group(claims: pd.DataFrame, column: str) -> list[dict[str, Any]]:
    """Figures by scheme, kind of institution or department, groups with most confirmed money first.

    A scheme is judged against every cleared claim; of the other groups' claims only their own count.
    Average precision is NaN where fewer than `FEWEST` claims were decided or fewer than
    `FEWEST_CONFIRMED` confirmed.
    """
    told = []
    on = claims["listed_model"].to_numpy(bool)
    for name, chosen in _groups(claims, column):
        part = claims[chosen]
        confirmed = part["label"].to_numpy(float) > 0
        judged = len(part) >= FEWEST and confirmed.sum() >= FEWEST_CONFIRMED
        value, low, high = (
            evaluate.bootstrap(
                evaluate.average_precision, part["label"].to_numpy(float), order_of(part, "model")
            )
            if judged
            else (float("nan"),) * 3
        )
        found = on[chosen] & confirmed
        false = on[chosen] & ~confirmed
        money = part["amount"].to_numpy(float)
        told.append(
            {
                "name": name,
                "decided": len(part) if column != "scheme" else int(confirmed.sum()),
                "confirmed": int(confirmed.sum()),
                "found": int(found.sum()),
                "false_alarms": int(false.sum()) if column != "scheme" else None,
                "money": float(money[confirmed].sum()),
                "money_found": float(money[found].sum()),
                "average_precision": {"value": value, "low": low, "high": high},
            }
        )
    return sorted(told, key=lambda g: (-g["money"], g["name"]))


def _groups(claims: pd.DataFrame, column: str) -> list[tuple[str, np.ndarray]]:
    values = claims[column].fillna("").astype(str).to_numpy(dtype=object)
    names = sorted({v for v in values if v})
    if column != "scheme":
        return [(n, values == n) for n in names]
    cleared = claims["label"].to_numpy(float) == 0
    return [(n, (values == n) | cleared) for n in names if (~cleared & (values == n)).any()]


def monthly(claims: pd.DataFrame, ways: Sequence[str]) -> list[dict[str, Any]]:
    """The same figures for every month that has decisions."""
    return [
        {"month": str(month), **compared(part, ways)} for month, part in claims.groupby("month", sort=True)
    ]
