"""``monitor.html``: is the model still good, how do we know, what would one change; self-contained."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fraud.report import backtest_pictures as pictures
from fraud.report.backtest_page import (
    MEASURE_WORDS,
    TRUST_WORDS,
    WAY_WORDS,
    burdens,
    estimate_rows,
    share,
    span,
)
from fraud.report.content import KIND_WORDS
from fraud.report.rendering import asset, template

VERDICT_WORDS = {
    "good": ("仍然可用", "Still good"),
    "watch": ("需要留意", "Watch"),
    "act": ("需要处理", "Act"),
    "unknown": ("还不能判断", "Cannot be told yet"),
}
LEVEL_WORDS = {
    "good": ("好", "good"),
    "note": ("说明", "note"),
    "watch": ("留意", "watch"),
    "act": ("处理", "act"),
    "unknown": ("未知", "unknown"),
}
CHECK_WORDS = {
    "hit_rate": ("清单命中率", "hit rate"),
    "fall": ("命中率的变化", "its trend"),
    "ranking_amount": ("比只按金额", "against amount"),
    "ranking_rules": ("比只按规则", "against rules"),
    "promise": ("承诺与实际", "promise kept"),
    "calibration": ("概率可信吗", "probabilities"),
    "money": ("追回的钱", "money"),
    "missed": ("漏了多少", "what is missed"),
    "drift": ("数据变了吗", "drift"),
    "age": ("模型新旧", "age"),
    "challenger": ("挑战者", "challenger"),
}
SWITCH_WORDS = {
    "first": ("首个模型", "first model"),
    "promoted": ("凭证据换上", "promoted on evidence"),
    "named": ("由具名的人换上", "by a named person"),
    "back": ("换回", "rolled back to"),
}
CUTS = (20, 50, 100)
GROUPS = 12
"""Groups of odd claims told."""
RULES = 12


def write_monitor_page(figures: Mapping[str, Any], path: Path) -> None:
    """Write the page beside and then into place."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(render_monitor(figures), encoding="utf-8")
    os.replace(beside, path)


def render_monitor(figures: Mapping[str, Any]) -> str:
    """Page as text; the same figures give the same text.

    Parameters
    ----------
    figures : mapping
        See `fraud.pipeline.monitoring.Monitored`.
    """
    live = figures["live"]
    return template("monitor.html.j2").render(
        f=figures,
        verdict=VERDICT_WORDS[figures["verdict"]],
        levels=LEVEL_WORDS,
        checks=[(c, *CHECK_WORDS[c["code"]]) for c in figures["checks"]],
        commands=_commands(figures),
        hits=_hits(figures["lists"]),
        proofs=_proofs(figures),
        cuts=CUTS,
        ways=WAY_WORDS,
        promises=_promises(figures),
        switch=SWITCH_WORDS.get(figures["switch"].get("kind", ""), ("", "")),
        reliability=_reliability(live["calibration"]),
        estimates=estimate_rows(live["estimates"]) if live["estimates"] else [],
        trust=TRUST_WORDS[live["estimates"]["trust"]] if live["estimates"] else ("", ""),
        wide=_wide(live["estimates"], figures["settings"]["random_width"]),
        apart=[MEASURE_WORDS[m] for m in live["estimates"].get("contradicted", ())],
        kinds=[(k, *KIND_WORDS[k["kind"]]) for k in figures["kinds"]],
        moved=moved(figures["drift"][-figures["settings"]["recent_months"] :]),
        burdens=burdens(live),
        groups=figures["groups"][:GROUPS],
        rules=figures["rules"][:RULES],
        share=share,
        span=span,
        style=asset("report.css") + asset("backtest.css") + asset("monitor.css"),
    )


def _commands(figures: Mapping[str, Any]) -> dict[str, str]:
    """Command that makes each piece that may be missing; what is advised where it is."""
    dataset, out = (figures["commands"][k] for k in ("dataset", "out"))
    month = figures["month"]
    plain = {
        "score": f"fraud score {dataset} --month {month} --out {out}",
        "retrain": f"fraud train {dataset} --until {month}",
        "backtest": f"fraud backtest {dataset} --from {month} --to {month} --out {out}",
        "random_share": "[workbench] random_share = 0.1",
    }
    return plain | {a["code"]: a["command"] for a in figures["advice"]}


def _hits(lists: Sequence[Mapping[str, Any]]) -> Any:
    """Hit rate by month beside the probability stated."""
    if not any(m["decided"] for m in lists):
        return None
    series = {
        "查实 confirmed": [m["rate"] for m in lists],
        "清单所说 stated": [{"value": m["stated"]} for m in lists],
    }
    return pictures.intervals([m["month"] for m in lists], series, "清单命中率 hit rate of the lists")


def _proofs(figures: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Orders compared: on the months as published, and in the back-test."""
    tested, out = figures["backtest"], []
    if figures["live"]["all"]:
        at = f"{figures['live_months'][0]} – {figures['live_months'][-1]}"
        out.append((f"已发布各月 {at}", "as published then, never scored again", figures["live"]["all"]))
    if tested.get("all"):
        how = (
            ("模型原样", "the model as it is")
            if tested["as_it_is"]
            else ("同一实验逐月重训", "its experiment retrained every month")
        )
        at = f"{tested['months'][0]} – {tested['months'][1]}"
        out.append((f"回测 {at}，{how[0]}", f"back-test, {how[1]}", tested["all"]))
    return out


def _promises(figures: Mapping[str, Any]) -> list[tuple[str, str, Any, Any, Any]]:
    """Figures at training, in the back-test, and of the months as published."""
    promised, live, tested = figures["promised"], figures["live"], figures["backtest"].get("all") or {}
    unknown = dict.fromkeys(("value", "low", "high"), math.nan)
    precision = lambda found: found["ways"]["model"]["average_precision"] if found else unknown  # noqa: E731
    orders = precision(tested), precision(live["all"])
    tested_auc = figures["backtest"].get("roc_auc", unknown)
    return [
        (
            "AUC（按概率）",
            "AUC, by probability",
            promised.get("roc_auc", unknown),
            tested_auc,
            live["roc_auc"],
        ),
        (
            "平均精度（训练按概率，其余按预期追回）",
            "average precision: at training by probability, else by expected recovery",
            promised.get("average_precision", unknown),
            *orders,
        ),
    ]


def _reliability(told: Mapping[str, Any]) -> Any:
    label = "概率与实际 stated against observed share confirmed"
    return pictures.reliability(told["curve"], label) if told else None


def _wide(estimates: Mapping[str, Any], bound: float) -> bool:
    """Whether the interval of the share of all fraud found says little."""
    recall = estimates["joined"]["recall"] if estimates else {"high": 0.0, "low": 0.0}
    return bool(recall["high"] - recall["low"] > bound)


def moved(drift: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Features that moved in some months: name, months, largest stability index and what was said last."""
    found: dict[str, dict[str, Any]] = {}
    for month in drift:
        for f in month["features"]:
            own = found.setdefault(f["column"], {"column": f["column"], "months": [], "psi": 0.0})
            own["months"].append(month["month"])
            own |= {"psi": max(own["psi"], f["value"]), "zh": f["zh"], "en": f["en"], "level": f["level"]}
    return sorted(found.values(), key=lambda m: (-len(m["months"]), -m["psi"], m["column"]))[:10]
