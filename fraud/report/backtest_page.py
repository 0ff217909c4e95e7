"""``backtest.html``: is the model still good, how do we know; one self-contained page."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fraud.report import backtest_pictures as pictures
from fraud.report.content import INSTITUTION_WORDS, short_money
from fraud.report.rendering import asset, template

WAY_WORDS = {
    "model": ("模型", "model"),
    "amount": ("只按金额", "by amount alone"),
    "rules": ("只按规则", "by rules alone"),
}
MEASURE_WORDS = {
    "prevalence": ("全部结算中的违规比例", "fraud among all claims"),
    "precision": ("清单命中率", "fraud among the listed"),
    "recall": ("查出比例（件数）", "share of all fraud listed"),
    "money_found": ("查出比例（金额）", "share of the money listed"),
}
GROUP_WORDS = {
    "scheme": ("按违规类型", "by scheme"),
    "institution_kind": ("按机构类别", "by kind of institution"),
    "department": ("按专业", "by department"),
}
TRUST_WORDS = {
    "joined": (
        "以“合并”一列为准：随机抽查足够多，能代表没有人看过的结算；按清单稽核的结果只说明看过的那些。",
        "Trust the joined column: there are enough random audits to speak for what nobody looked at; "
        "audits by rank speak only for what they saw.",
    ),
    "ranked": (
        "随机抽查太少（不足 30 件）：合并一列的区间很宽，只看区间，不看数值；比较模型用上面的排序图。"
        "请增加随机抽查。",
        "Too few random audits (under 30): read the wide intervals of the joined column, not its values, "
        "and compare models by the rankings above. Audit more at random.",
    ),
    "none": ("没有稽核结论，无法估计。", "Nothing was audited; nothing can be estimated."),
}


BURDEN_WORDS = {
    "institution_kind": ("机构类别", "kind of institution"),
    "region": ("地区", "region"),
    "age_band": ("参保人年龄", "age of patients"),
    "sex": ("参保人性别", "sex of patients"),
}
SEX_WORDS = {"M": ("男", "male"), "F": ("女", "female")}


def write_backtest_page(figures: Mapping[str, Any], about: Mapping[str, Any], path: Path) -> None:
    """Write the page beside and then into place."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(render_backtest(figures, about), encoding="utf-8")
    os.replace(beside, path)


def render_backtest(figures: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """Page as text; the same figures give the same text.

    Parameters
    ----------
    figures : mapping
        See `fraud.backtest.told.figures`.
    about : mapping
        name, months, experiment, code, rule_set and skipped.
    """
    return template("backtest.html.j2").render(
        f=figures,
        about=about,
        ways=[(way, *WAY_WORDS[way]) for way in figures["ways"]],
        verdict=verdict(figures),
        pictures=_pictures(figures),
        reliability=_reliability(figures),
        groups=_groups(figures),
        burdens=burdens(figures),
        estimates=estimate_rows(figures["estimates"]),
        trust=TRUST_WORDS[figures["estimates"]["trust"]],
        apart=[MEASURE_WORDS[m][0] for m in figures["estimates"]["contradicted"]],
        cuts=[
            key.split("_")[-1] for key in figures["all"]["ways"]["model"] if key.startswith("precision_at_")
        ],
        share=share,
        span=span,
        style=asset("report.css") + asset("backtest.css"),
    )


def share(value: float | None) -> str:
    """Percentage, a dash where unknown."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.0%}"


def span(figure: Mapping[str, float]) -> str:
    """Figure with its interval."""
    if not math.isfinite(figure["value"]):
        return "–" if not math.isfinite(figure["low"]) else f"？ ({figure['low']:.2f}–{figure['high']:.2f})"
    if not math.isfinite(figure["low"]):
        return f"{figure['value']:.2f}"
    return f"{figure['value']:.2f} ({figure['low']:.2f}–{figure['high']:.2f})"


def verdict(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Sentences that answer: still good? Each with a mark (good, note or bad), Chinese and English."""
    out = []
    for way in figures["ways"][1:]:
        lead = figures["all"]["ways"][way]["lead"]
        zh, en = WAY_WORDS[way]
        if not math.isfinite(lead["low"]):
            out.append(("note", f"结论太少，无法与“{zh}”比较", f"too few decisions to compare with {en}"))
        elif lead["low"] > 0:
            out.append(
                (
                    "good",
                    f"模型排序优于“{zh}”：平均精度高 {lead['value']:.2f}（至少 {lead['low']:.2f}）",
                    f"the model ranks better than {en}: average precision +{lead['value']:.2f}, "
                    f"at least +{lead['low']:.2f}",
                )
            )
        else:
            mark = "bad" if lead["high"] < 0 else "note"
            out.append(
                (
                    mark,
                    f"不能说模型优于“{zh}”：差 {lead['value']:+.2f}"
                    f"（{lead['low']:+.2f} 至 {lead['high']:+.2f}）",
                    f"the model cannot be said to rank better than {en}: "
                    f"{lead['value']:+.2f} ({lead['low']:+.2f} to {lead['high']:+.2f})",
                )
            )
    return out + _drift(figures) + _calibrated(figures)


def _drift(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Whether the last month's interval still meets all months together."""
    last, whole = (
        figures["monthly"][-1]["ways"]["model"]["average_precision"],
        figures["all"]["ways"]["model"]["average_precision"],
    )
    if not math.isfinite(last["high"]) or last["high"] >= whole["low"]:
        return []
    month = figures["monthly"][-1]["month"]
    return [
        (
            "bad",
            f"{month} 的平均精度 {last['value']:.2f}，明显低于各月合计 {whole['value']:.2f}",
            f"average precision of {month} is {last['value']:.2f}, "
            f"clearly below {whole['value']:.2f} of all months",
        )
    ]


def _calibrated(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    said = figures["calibration"]
    if not said:
        return []
    observed = said["observed"]
    means_it = observed["low"] <= said["stated"] <= observed["high"]
    mark = "bad" if said["brier"] >= said["brier_of_the_mean"] else "good" if means_it else "note"
    return [
        (
            mark,
            f"概率：平均说 {said['stated']:.0%}，实际 {observed['value']:.0%}"
            f"（{observed['low']:.0%}–{observed['high']:.0%}）；"
            f"Brier {said['brier']:.3f}（总说平均值为 {said['brier_of_the_mean']:.3f}）",
            f"probabilities: {said['stated']:.0%} stated, {observed['value']:.0%} observed "
            f"({observed['low']:.0%}–{observed['high']:.0%}); Brier "
            f"{said['brier']:.3f} against {said['brier_of_the_mean']:.3f} of always stating the mean",
        )
    ]


def _pictures(figures: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    months = [m["month"] for m in figures["monthly"]]
    views = [
        ("average_precision", "平均精度（已稽核结算）", "average precision among decided claims"),
        (
            "precision",
            f"每月前 {figures['capacity']} 件命中率",
            f"precision of the first {figures['capacity']} a month",
        ),
    ]
    drawn = []
    for key, zh, en in views:
        series = {
            f"{WAY_WORDS[w][0]} {WAY_WORDS[w][1]}": [m["ways"][w][key] for m in figures["monthly"]]
            for w in figures["ways"]
        }
        drawn.append((zh, en, pictures.intervals(months, series, f"{zh} {en}")))
    return drawn


def _reliability(figures: Mapping[str, Any]) -> Any:
    said = figures["calibration"]
    return (
        pictures.reliability(said["curve"], "概率与实际 stated against observed share confirmed")
        if said
        else None
    )


def _groups(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    out = []
    for key, (zh, en) in GROUP_WORDS.items():
        rows = figures["groups"][key][:20]
        if rows:
            names = [
                INSTITUTION_WORDS.get(r["name"], (r["name"], ""))[0]
                if key == "institution_kind"
                else r["name"]
                for r in rows
            ]
            out.append(
                {
                    "zh": zh,
                    "en": en,
                    "key": key,
                    "rows": [
                        r
                        | {
                            "shown": name,
                            "money_text": short_money(r["money"]),
                            "found_text": short_money(r["money_found"]),
                        }
                        for r, name in zip(rows, names, strict=True)
                    ],
                }
            )
    return out


def burdens(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """False alarms per thousand by group, where a group could be told."""
    out = []
    for key, (zh, en) in BURDEN_WORDS.items():
        rows = figures.get("burden", {}).get(key, [])
        words = {"institution_kind": INSTITUTION_WORDS, "sex": SEX_WORDS}.get(key, {})
        shown = [r | {"shown": words.get(r["name"], (r["name"], ""))[0]} for r in rows]
        if shown:
            top = max((r["per_thousand"]["high"] for r in shown if r["decided"]), default=0.0) or 1.0
            out.append({"zh": zh, "en": en, "rows": shown, "top": top})
    return out


def estimate_rows(estimates: Mapping[str, Any]) -> list[tuple[str, str, Any, Any, Any]]:
    """Names of each estimate and its three ways: ranked, random, joined."""
    return [
        (zh, en, estimates["ranked"][key], estimates["random"][key], estimates["joined"][key])
        for key, (zh, en) in MEASURE_WORDS.items()
    ]
