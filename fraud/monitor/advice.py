"""What one would change: ranked, each with the number that caused it and the command to run."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fraud.backtest.estimates import FEW_RANDOM
from fraud.monitor.checks import Check, decimals, known, percent, spread

URGENCIES = ("act", "watch", "note")
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Advice:
    """One thing to change.

    Attributes
    ----------
    code, urgency : str
        What; one of `URGENCIES`.
    zh, en : str
        What to do, and the number that caused it.
    command : str
        What to run, or the setting to change.
    """

    code: str
    urgency: str
    zh: str
    en: str
    command: str


def advice(figures: Figures, found: Sequence[Check], settings: Any) -> list[Advice]:
    """Everything to change, the most urgent first; within an urgency as listed here.

    Parameters
    ----------
    figures : mapping
        See `fraud.monitor.checks.checks`; ``commands`` has dataset, out and audits as the user wrote them.
    found : sequence of Check
    settings : MonitorSettings
    """
    levels = {c.code: c.level for c in found}
    kinds = (
        _back,
        _promote,
        _retrain,
        _drift,
        _rules,
        _groups,
        _random,
        _learning,
        _backtest,
        _pair,
        _burden,
        _score,
    )
    out = [one for kind in kinds for one in kind(figures, levels, settings)]
    return sorted(out, key=lambda a: URGENCIES.index(a.urgency))


def _back(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """The former champion's lists hit surely more often."""
    own = f["former"]
    if own and known(own["gap"]) and own["gap"]["high"] < 0 and own["now"]["decided"] >= s.decided / 2:
        zh = f"退回上一模型：v{own['version_now']} 的清单命中率 {spread(own['now']['rate'])}，v{own['version']} 为 {spread(own['then']['rate'])}"
        en = f"go back: lists of v{own['version_now']} hit {spread(own['now']['rate'])}, those of v{own['version']} {spread(own['then']['rate'])}"
        command = f"fraud promote {f['commands']['dataset']} --back --by NAME --reason TEXT"
        yield Advice("back", "act", zh, en, command)


def _promote(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    own = f["challenger"]
    if own and own["evidence"] and not own["objections"]:
        lead = own["evidence"]["all"]["lead"]
        zh = f"换上挑战者 v{own['version']}：平均精度领先 {lead['value']:+.3f}（{lead['low']:+.3f} 至 {lead['high']:+.3f}）"
        en = f"promote challenger v{own['version']}: lead {lead['value']:+.3f} ({lead['low']:+.3f} to {lead['high']:+.3f})"
        command = f"fraud promote {f['commands']['dataset']} --out {f['commands']['out']}"
        yield Advice("promote", "watch", zh, en, command)


_WEAK = ("hit_rate", "fall", "ranking_amount", "promise", "calibration", "money")


def _retrain(f: Figures, levels: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """Old, much decided since, drifted or weaker: train on what is known now."""
    weak = [code for code in _WEAK if levels.get(code) in ("act", "watch")]
    shifted = levels.get("drift") in ("act", "watch") and f["age"]["months"] != 0
    aged = levels.get("age") == "watch"
    newer = f["age"]["newer"]
    if not (weak or shifted or aged) or f["age"]["months"] is None or not newer:
        return
    if f["challenger"] and f["challenger"]["until"] >= f["until"]:
        return  # trained already: what lacks is evidence
    urgent = any(levels[code] == "act" for code in weak)
    zh = f"重新训练：训练至 {f['age']['until']}（{f['age']['months']} 个月前），此后 {newer} 件新结论模型没见过"
    en = f"train again: trained until {f['age']['until']} ({f['age']['months']} months ago), {newer} decisions since"
    command = f"fraud train {f['commands']['dataset']} --until {f['until']}{f['commands']['audits']}"
    yield Advice("retrain", "act" if urgent else "watch", zh, en, command)


def _drift(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """Places that differ in the latest months, and months the gate refused."""
    c = f["commands"]
    for one in f["refused"]:
        if not one["scored"]:
            zh = f"{one['month']} 被拒绝评分（{', '.join(one['codes'])}）：修正数据，或按名称放行"
            en = f"{one['month']} was refused ({', '.join(one['codes'])}): mend the data or allow it by name"
            yield Advice(
                "refused",
                "act",
                zh,
                en,
                f"fraud drift {c['dataset']} --month {one['month']} --out {c['out']}",
            )
    for place in f["places"][:3]:
        zh = f"查看机构 {place['place']}：最近 {s.recent_months} 个月有 {place['findings']} 处改变，{place['zh']}"
        en = f"look at institution {place['place']}: {place['findings']} changes in the latest {s.recent_months} months, {place['en']}"
        command = f"fraud drift {c['dataset']} --month {place['month']} --out {c['out']}"
        yield Advice("place", "watch" if place["level"] == "stop" else "note", zh, en, command)


def _rules(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """Rules whose hits auditors surely do not confirm."""
    poor = [r for r in f["rules"] if r["decided"] >= s.rule_decided and r["rate"]["high"] < s.rule_hit_rate]
    for rule in sorted(poor, key=lambda r: (r["rate"]["high"], r["rule"]))[:5]:
        zh = f"复核规则 {rule['rule']}：{rule['decided']} 件有结论只查实 {rule['confirmed']} 件，{spread(rule['rate'])}，低于 {s.rule_hit_rate:.0%}"
        en = f"review rule {rule['rule']}: {rule['confirmed']} of {rule['decided']} decided hits confirmed, {spread(rule['rate'])}, under {s.rule_hit_rate:.0%}"
        command = (
            f"fraud rules health {f['commands']['dataset']} --month {f['after']} --out {f['commands']['out']}"
        )
        yield Advice("rule", "watch", zh, en, command)


def _recurring(f: Figures) -> list[Figures]:
    """Groups of odd claims that came in two months or more without one decision."""
    return [g for g in f["groups"] if len(g["months"]) > 1 and not g["decided"]]


def _groups(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """New scheme groups that come again and that nobody looked at."""
    again = _recurring(f)
    if again:
        top = again[0]
        zh = f"查新手法：{len(again)} 组在两个月以上出现而没有一笔有结论，最大的 {top['group_id']} 有 {top['claims']} 笔、{top['amount']:,.0f} 元"
        en = f"look at new schemes: {len(again)} groups came in two months or more without one decision, the largest {top['group_id']} has {top['claims']} claims, {top['amount']:,.0f} yuan"
        where = f"{f['commands']['out']}/{top['months'][-1]}/report.html#new"
        yield Advice("groups", "watch", zh, en, where)


def _random(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """Random audits that would bring the interval of what is missed down to its bound."""
    told = f["live"]["estimates"]
    listed, months = sum(m["listed"] for m in f["lists"]), len(f["live_months"])
    drawn = told.get("audited_random", 0)
    width = told["joined"]["recall"]["high"] - told["joined"]["recall"]["low"] if told else math.nan
    wide = math.isfinite(width) and width > s.random_width
    if not listed or not (drawn < FEW_RANDOM or wide):
        return
    # an interval narrows with the square root of what it rests on
    needed = max(FEW_RANDOM, math.ceil(drawn * (width / s.random_width) ** 2) if wide else FEW_RANDOM)
    share = min(1.0, math.ceil(100 * needed / listed) / 100)
    words = (
        (
            f"，查出比例的区间宽 {percent(width)}（要求 {s.random_width:.0%}）",
            f", the interval of the share found is {percent(width)} wide ({s.random_width:.0%} is asked for)",
        )
        if wide and drawn
        else ("", "")
    )
    zh = f"多抽随机样本：{months} 个月只有 {drawn} 件{words[0]}；约需 {needed} 件"
    en = f"audit more at random: {drawn} in {months} months{words[1]}; about {needed} are needed"
    yield Advice(
        "random_share",
        "watch" if drawn < FEW_RANDOM else "note",
        zh,
        en,
        f"[workbench] random_share = {share:.2f}",
    )


def _learning(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """Few confirmed cases to learn from, and no place kept for learning."""
    confirmed, share = f["age"]["confirmed"], f["settings"]["learning_share"]
    again = _recurring(f)
    if share or not (confirmed < s.learning_confirmed or len(again) > 2):
        return
    zh = f"留名额给学习：已知查实 {confirmed} 件，反复出现而无结论的新手法 {len(again)} 组，学习名额为 0"
    en = f"keep places for learning: {confirmed} confirmed are known, {len(again)} groups of new schemes recur undecided, learning_share is 0"
    yield Advice("learning_share", "note", zh, en, "[list] learning_share = 0.1")


def _backtest(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """No back-test of the champion."""
    if f["backtest"] or not f["spans"]["champion"]:
        return
    zh = f"对现用模型做一次回测：{f['commands']['out']} 里没有截至 {f['month']} 的回测"
    en = f"back-test the champion: {f['commands']['out']} holds none that ends by {f['month']}"
    yield Advice("backtest", "note", zh, en, _test(f, f"--model {f['spans']['version']}"))


def _pair(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """A challenger without paired back-tests."""
    own = f["challenger"]
    if not own or own["evidence"] or not f["spans"]["champion"]:
        return
    first, last = f["spans"]["champion"]
    zh = f"给挑战者 v{own['version']} 找证据：{first} 至 {last} 各做一次回测"
    en = f"find evidence for challenger v{own['version']}: back-test both on {first} to {last}"
    of_own = "" if own["experiment"] == "default" else f"--experiment experiments/{own['experiment']}.toml"
    command = _test(f, f"--model {f['spans']['version']}") + "\n" + _test(f, of_own)
    yield Advice("pair", "note", zh, en, command)


def _test(f: Figures, which: str) -> str:
    c, (first, last) = f["commands"], f["spans"]["champion"]
    words = f"fraud backtest {c['dataset']} --from {first} --to {last} {which} --out {c['out']}"
    return " ".join(words.split())


def _burden(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """Groups bothered more than the others."""
    groups = sorted(f["live"]["burden"].items())
    more = [(g, row) for g, rows in groups for row in rows if row["apart"] == "more"]
    for group, row in more[:2]:
        rate = row["per_thousand"]
        zh = f"查看误报负担：{group} = {row['name']} 每千笔误报 {decimals(rate)}，明显高于其余"
        en = f"look at the burden: {decimals(rate)} false alarms per thousand of {group} = {row['name']}, more than the others"
        yield Advice("burden", "note", zh, en, "#burden")


def _score(f: Figures, _: Mapping[str, str], s: Any) -> Iterator[Advice]:
    """The month itself was not run."""
    if f["month"] not in f["months"]:
        c = f["commands"]
        zh, en = f"{f['month']} 还没有评分", f"{f['month']} was not scored"
        yield Advice(
            "score", "watch", zh, en, f"fraud score {c['dataset']} --month {f['month']} --out {c['out']}"
        )
