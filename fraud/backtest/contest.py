"""Champion against challenger on the same months: who ranks better, paired intervals, is it enough."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from fraud import evaluate
from fraud.backtest.figures import listed, order_of
from fraud.errors import DataError

DRAWS = 1_000
KEYS = ["month", "subject_id"]


def contest(champion: pd.DataFrame, challenger: pd.DataFrame, capacity: int) -> dict[str, Any]:
    """Compare two back-tests of the same months.

    Parameters
    ----------
    champion, challenger : DataFrame
        ``backtest_scores`` of each.
    capacity : int
        Subjects reviewed a month.

    Returns
    -------
    dict
        ``months``, ``all`` and ``random`` (only audits drawn at random), each with ``decided``,
        ``confirmed``, average precision of either, the challenger's ``lead`` and its ``money_lead``: how
        much more confirmed money its first `capacity` of each month hold, as a share of all confirmed
        money. Both leads with a paired 95 % bootstrap interval (the same audits are drawn for both).

    Raises
    ------
    DataError
        The two do not hold the same subjects and decisions.
    """
    pair = _paired(champion, challenger, capacity)
    decided = pair[pair["label"].notna()]
    drawn = decided[decided["random"].astype(bool)]
    months = sorted(pair["month"].unique())
    return {"months": months, "capacity": capacity, "all": _figures(decided), "random": _figures(drawn)}


def _paired(champion: pd.DataFrame, challenger: pd.DataFrame, capacity: int) -> pd.DataFrame:
    """Both orders and both lists side by side."""
    sides = []
    for side in (champion, challenger):
        side = side.sort_values(KEYS, ignore_index=True)
        amounts = {c: side[c].astype(float) for c in ("amount", "rule_amount")}
        side = side.assign(**amounts)
        sides.append(side.assign(order=order_of(side, "model"), on=listed(side, "model", capacity)))
    a, b = sides
    same = len(a) == len(b) and all(a[k].equals(b[k]) for k in (*KEYS, "label", "random"))
    if not same:
        raise DataError(
            "the two back-tests do not hold the same subjects and decisions: run both again on the dataset "
            "as it is now, with the same --from and --to."
        )
    return a[[*KEYS, "amount", "label", "random", "order", "on"]].assign(
        other_order=b["order"], other_on=b["on"]
    )


def _figures(decided: pd.DataFrame) -> dict[str, Any]:
    label = decided["label"].to_numpy(float)
    orders = decided["order"].to_numpy(float), decided["other_order"].to_numpy(float)
    money = label * decided["amount"].to_numpy(float)
    more = money * (decided["other_on"].to_numpy(float) - decided["on"].to_numpy(float))
    own, new = (evaluate.average_precision(label, o) if len(label) else float("nan") for o in orders)
    return {
        "decided": len(decided),
        "confirmed": int(label.sum()),
        "champion": own,
        "challenger": new,
        "lead": _interval(_lead, label, *orders),
        "money_lead": _interval(_share, label, more, money),
        "money": float(money.sum()),
    }


def _interval(metric: Any, label: np.ndarray, *arrays: np.ndarray) -> dict[str, float]:
    if not len(label):
        return dict.fromkeys(("value", "low", "high"), float("nan"))
    value, low, high = evaluate.bootstrap(metric, label, *arrays, draws=DRAWS)
    return {"value": value, "low": low, "high": high}


def _lead(label: np.ndarray, champion: np.ndarray, challenger: np.ndarray) -> float:
    return evaluate.average_precision(label, challenger) - evaluate.average_precision(label, champion)


def _share(_: np.ndarray, more: np.ndarray, money: np.ndarray) -> float:
    total = float(money.sum())
    return float(more.sum()) / total if total > 0 else float("nan")


def enough_random(figures: Mapping[str, Any], settings: Any) -> bool:
    """Whether the random slice is large enough to have a say."""
    drawn = figures["random"]
    return bool(
        drawn["decided"] >= settings.random_decided and drawn["confirmed"] >= settings.random_confirmed
    )


def objections(figures: Mapping[str, Any], settings: Any) -> list[str]:
    """What speaks against promoting the challenger, with numbers; nothing where the evidence is enough.

    Parameters
    ----------
    figures : mapping
        See `contest`.
    settings : PromotionSettings
    """
    whole, out = figures["all"], []
    if len(figures["months"]) < settings.months:
        out.append(f"{len(figures['months'])} months were compared, {settings.months} are needed.")
    if whole["decided"] < settings.decided or whole["confirmed"] < settings.confirmed:
        out.append(
            f"{whole['decided']} subjects of these months are decided, {whole['confirmed']} of them "
            f"confirmed; {settings.decided} and {settings.confirmed} are needed."
        )
    if not whole["lead"]["low"] > settings.lead:
        out.append(
            f"average precision {whole['challenger']:.3f} against {whole['champion']:.3f}: the lead is "
            f"{_told(whole['lead'])}; its lower bound must be above {settings.lead:+.3f}."
        )
    if not whole["money_lead"]["low"] >= -settings.money_margin:
        out.append(
            f"confirmed money among the first {figures['capacity']} of each month: the lead is "
            f"{_told(whole['money_lead'])} of it; the lower bound must not be under "
            f"{-settings.money_margin:+.3f}."
        )
    drawn = figures["random"]
    if enough_random(figures, settings) and not drawn["lead"]["low"] > -settings.random_margin:
        out.append(
            f"random slice ({drawn['decided']} audits, {drawn['confirmed']} confirmed): the lead is "
            f"{_told(drawn['lead'])}; its lower bound must be above {-settings.random_margin:+.3f}."
        )
    return out


def _told(figure: Mapping[str, float]) -> str:
    if not math.isfinite(figure["value"]):
        return "not known"
    return f"{figure['value']:+.3f} ({figure['low']:+.3f} to {figure['high']:+.3f})"


def summary(figures: Mapping[str, Any], settings: Any) -> list[str]:
    """The comparison in a few lines a person reads."""
    whole, drawn = figures["all"], figures["random"]
    lines = [
        f"{figures['months'][0]} – {figures['months'][-1]}: {whole['decided']} decided, "
        f"{whole['confirmed']} confirmed",
        f"average precision: champion {whole['champion']:.3f}, challenger {whole['challenger']:.3f}, "
        f"lead {_told(whole['lead'])}",
        f"confirmed money among the first {figures['capacity']} a month: lead {_told(whole['money_lead'])}",
    ]
    said = f"random slice: {drawn['decided']} audits, {drawn['confirmed']} confirmed"
    if enough_random(figures, settings):
        return [*lines, f"{said}, lead {_told(drawn['lead'])}"]
    return [*lines, f"{said}: too few to have a say"]
