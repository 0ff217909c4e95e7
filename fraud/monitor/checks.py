"""The verdict: stated questions, each answered good, note, watch, act or unknown, by stated rules.

Every rule compares a figure's 95 % interval, not its value, with a threshold of ``[monitor]``: chance
alone does not raise an alarm. `docs/monitor.md` tells the rules in words.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LEVELS = ("unknown", "good", "note", "watch", "act")
_ORDER = ("act", "watch", "good", "note", "unknown")
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes
    ----------
    code, level : str
        Which question; one of `LEVELS`. A note does not touch the verdict.
    zh, en : str
        The answer with its numbers.
    """

    code: str
    level: str
    zh: str
    en: str


def verdict(found: Sequence[Check]) -> str:
    """Verdict of all answers: ``act`` or ``watch`` where one is, else ``good`` if the list or its order is proven.

    Where neither hit rate nor ranking can be told and nothing alarms, the verdict is ``unknown``.
    """
    levels = {c.level for c in found}
    for level in ("act", "watch"):
        if level in levels:
            return level
    proven = any(c.level == "good" and c.code in ("hit_rate", "ranking_amount") for c in found)
    return "good" if proven else "unknown"


def checks(figures: Figures, settings: Any) -> list[Check]:
    """Answer every question, what alarms first.

    Parameters
    ----------
    figures : mapping
        See `fraud.pipeline.monitoring`: what the months brought, promised and showed.
    settings : MonitorSettings
    """
    questions = (_hit_rate, _fall, _ranking, _promise, _calibration, _money, _missed, _drift, _age, _waiting)
    answers = [check for question in questions for check in question(figures, settings)]
    return sorted(answers, key=lambda c: _ORDER.index(c.level))


def percent(value: float | None) -> str:
    """Percentage, a dash where unknown.

    >>> percent(0.256), percent(None)
    ('26%', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{value:.0%}"


def known(figure: Figures | None) -> bool:
    """Whether a figure has a value and an interval."""
    return figure is not None and all(
        figure.get(k) is not None and math.isfinite(figure[k]) for k in ("value", "low", "high")
    )


def spread(figure: Figures) -> str:
    """Share with its interval.

    >>> spread({"value": 0.5, "low": 0.4, "high": 0.6})
    '50% (40%–60%)'
    """
    return f"{percent(figure['value'])} ({percent(figure['low'])}–{percent(figure['high'])})"


def decimals(figure: Figures) -> str:
    """Figure of two decimals with its interval."""
    return f"{figure['value']:.2f} ({figure['low']:.2f}–{figure['high']:.2f})"


def _hit_rate(f: Figures, s: Any) -> Iterator[Check]:
    told = f["together"]
    if told["decided"] < s.decided:
        zh = f"清单疑点中只有 {told['decided']} 件有结论（列出 {told['listed']} 件，至少需要 {s.decided} 件），命中率还不能说"
        en = f"only {told['decided']} of {told['listed']} listed suspicions are decided, {s.decided} are needed: no hit rate yet"
        yield Check("hit_rate", "unknown", zh, en)
        return
    rate = told["rate"]
    level = "act" if rate["high"] < s.hit_rate else "watch" if rate["value"] < s.hit_rate else "good"
    zh = f"清单命中率 {spread(rate)}：{told['decided']} 件有结论，{told['confirmed']} 件查实；要求不低于 {s.hit_rate:.0%}"
    en = f"hit rate {spread(rate)}: {told['decided']} suspicions decided, {told['confirmed']} confirmed; {s.hit_rate:.0%} is asked for"
    yield Check("hit_rate", level, zh, en)


def _fall(f: Figures, s: Any) -> Iterator[Check]:
    recent, before, gap = f["recent"], f["before"], f["fall"]
    if min(recent["decided"], before["decided"]) < s.decided / 2 or not known(gap):
        zh = f"近月与此前的命中率不能比较（有结论的 {recent['decided']} 件与 {before['decided']} 件）"
        en = f"hit rate of the latest months cannot be compared with earlier ones ({recent['decided']} and {before['decided']} decided)"
        yield Check("fall", "unknown", zh, en)
        return
    level = "act" if gap["high"] < -s.hit_rate_drop else "watch" if gap["high"] < 0 else "good"
    words = f"{gap['value']:+.0%} ({gap['low']:+.0%} – {gap['high']:+.0%})"
    span = " – ".join(dict.fromkeys((recent["months"][0], recent["months"][-1])))
    zh = f"{span} 命中率 {spread(recent['rate'])}，此前 {spread(before['rate'])}，差 {words}"
    en = f"hit rate of {span} {spread(recent['rate'])}, before {spread(before['rate'])}, difference {words}"
    yield Check("fall", level, zh, en)


_WAYS = {"amount": ("只按金额", "by amount alone"), "rules": ("只按规则", "by rules alone")}


def proof(f: Figures, s: Any) -> tuple[str, Figures]:
    """What ranking is judged by: the months as published where enough is decided, else the back-test."""
    live = f["live"]
    if live["all"] and _enough(live, s):
        return "live", live["all"]
    tested = f["backtest"].get("all") or {}
    if tested:
        return "backtest", tested
    return ("live", live["all"]) if live["all"] else ("", {})


def _enough(found: Figures, s: Any) -> bool:
    """Whether so many decisions can be expected to tell two orders apart."""
    return bool(found["decided"] >= s.ranking_decided and found["confirmed"] >= s.ranking_confirmed)


def _ranking(f: Figures, s: Any) -> Iterator[Check]:
    source, found = proof(f, s)
    for way in ("amount", "rules"):
        zh_way, en_way = _WAYS[way]
        lead = found.get("ways", {}).get(way, {}).get("lead")
        if not known(lead):
            if way == "amount" or way in found.get("ways", {}):
                zh = f"结论太少，不能说模型排序是否优于“{zh_way}”"
                en = f"too few decisions to say whether the model ranks better than {en_way}"
                yield Check(f"ranking_{way}", "unknown", zh, en)
            continue
        assert lead is not None
        unsure = "watch" if _enough(found, s) else "unknown"
        level = "good" if lead["low"] > 0 else "act" if lead["high"] < 0 else unsure
        at_zh, at_en = _SOURCES[source]
        own = found["ways"]["model"]["average_precision"]["value"]
        words = f"{lead['value']:+.2f} ({lead['low']:+.2f} – {lead['high']:+.2f})"
        zh = f"与“{zh_way}”比，平均精度 {own:.2f}，领先 {words}（{at_zh}，{found['decided']} 件有结论）"
        en = f"average precision {own:.2f}, lead over the order {en_way} {words} ({at_en}, {found['decided']} decided)"
        yield Check(f"ranking_{way}", level, zh, en)


_SOURCES = {"live": ("已发布各月", "the months as published"), "backtest": ("回测", "back-test")}


def _promise(f: Figures, s: Any) -> Iterator[Check]:
    promised, came = f["promised"].get("roc_auc"), f["live"]["roc_auc"]
    if not (known(promised) and known(came)):
        why = (
            ("训练时没有留下保留集数字", "training left no held-out figures")
            if not known(promised)
            else ("已发布各月的结论太少", "too few decisions about the months as published")
        )
        yield Check(
            "promise",
            "unknown",
            f"承诺与实际不能比较：{why[0]}",
            f"promise and outcome cannot be compared: {why[1]}",
        )
        return
    assert promised is not None
    surely = promised["low"] - came["high"]
    level = "act" if surely > s.promise_drop else "watch" if surely > 0 else "good"
    zh = f"训练时承诺 AUC {decimals(promised)}，发布后实际 {decimals(came)}"
    en = f"AUC {decimals(promised)} promised at training, {decimals(came)} came of the months as published"
    yield Check("promise", level, zh, en)


def _calibration(f: Figures, s: Any) -> Iterator[Check]:
    told = f["together"]
    rate, stated = told["rate"], told["stated"]
    if told["decided"] < s.decided or not known(rate) or not stated > 0:
        yield Check(
            "calibration",
            "unknown",
            "概率可信与否，结论太少还不能说",
            "too few decisions to judge the probabilities",
        )
        return
    inside = rate["low"] <= stated <= rate["high"]
    far = rate["high"] < stated / s.calibration_ratio
    level = "good" if inside else "act" if far else "watch"
    expected = stated * told["decided"]
    side = (
        ("相符", "as stated")
        if inside
        else ("偏高", "too high")
        if rate["high"] < stated
        else ("偏低", "too low")
    )
    zh = f"概率{side[0]}：清单说应查实 {expected:.1f} 件（平均 {percent(stated)}），实际 {told['confirmed']} 件，{spread(rate)}"
    en = f"probabilities {side[1]}: {expected:.1f} were to be confirmed ({percent(stated)} each), {told['confirmed']} were, {spread(rate)}"
    yield Check("calibration", level, zh, en)


def _money(f: Figures, s: Any) -> Iterator[Check]:
    told, ratio = f["together"], f["together"]["ratio"]
    if told["money_cases"] < s.decided or not known(ratio):
        zh = f"预期追回与实际追回：只有 {told['money_cases']} 件有金额，还不能说"
        en = f"expected against recovered: only {told['money_cases']} decided suspicions have an amount"
        yield Check("money", "unknown", zh, en)
        return
    low = 1 / s.recovery_ratio
    level = "act" if ratio["high"] < low else "watch" if ratio["high"] < 1 else "good"
    zh = f"预期追回 {told['expected']:,.0f} 元，实际 {told['recovered']:,.0f} 元，实际/预期 {decimals(ratio)}（{told['money_cases']} 件）"
    en = f"{told['expected']:,.0f} yuan expected, {told['recovered']:,.0f} recovered, ratio {decimals(ratio)} ({told['money_cases']} suspicions)"
    yield Check("money", level, zh, en)


def _missed(f: Figures, s: Any) -> Iterator[Check]:
    told = f["live"]["estimates"]
    if not told or told["trust"] != "joined":
        drawn = told.get("audited_random", 0)
        zh = f"清单之外漏了多少不知道：随机抽查只有 {drawn} 件"
        en = f"what the list misses is not known: only {drawn} random audits"
        yield Check("missed", "unknown", zh, en)
        return
    recall, money = told["joined"]["recall"], told["joined"]["money_found"]
    if not known(recall):
        yield Check(
            "missed", "unknown", "清单之外漏了多少估计不出", "what the list misses cannot be estimated"
        )
        return
    if recall["high"] - recall["low"] > s.random_width:
        ends = f"{percent(recall['low'])}–{percent(recall['high'])}"
        zh = f"清单之外漏了多少说不准：{told['audited_random']} 件随机抽查只能说清单含全部违规的 {ends}"
        en = f"what is missed can hardly be told: by {told['audited_random']} random audits the list holds {ends} of all fraud"
        yield Check("missed", "unknown", zh, en)
        return
    words = spread(money) if known(money) else "–"
    zh = f"按随机抽查估计，清单含全部违规的 {spread(recall)}（件数）、{words}（金额）；其余没有列出"
    en = f"by random audits the list holds {spread(recall)} of all fraud and {words} of its money; the rest was not listed"
    yield Check("missed", "note", zh, en)


def _drift(f: Figures, s: Any) -> Iterator[Check]:
    recent = f["drift"][-s.recent_months :]
    if not recent:
        yield Check("drift", "unknown", "没有可看的漂移记录", "no month was looked at for drift")
        return
    stops = [d for d in recent if d["levels"]["stop"]]
    whole = [d for d in recent if d["whole"] in ("warn", "stop")]
    warns = [d for d in recent if d["levels"]["warn"]]
    data = [d for d in warns if any(o["level"] == "warn" for o in d["others"])]  # no single feature's
    level = "act" if stops else "watch" if whole or data else "note" if warns else "good"
    names = lambda found: ", ".join(d["month"] for d in found) or "–"  # noqa: E731
    zh = f"最近 {len(recent)} 个月漂移：停止级 {names(stops)}；特征或评分大面积改变 {names(whole)}；警告级 {names(warns)}"
    en = f"drift in the latest {len(recent)} months: stops {names(stops)}; features or scores at large {names(whole)}; warnings {names(warns)}"
    yield Check("drift", level, zh, en)


def _age(f: Figures, s: Any) -> Iterator[Check]:
    age = f["age"]
    if age["months"] is None:
        yield Check("age", "unknown", "本月没有登记的模型", "no registered model scored the month")
        return
    old, stale = age["months"] >= s.age_months, (age["share"] or 0.0) >= s.newer_share
    level = "watch" if old or stale else "good"
    zh = f"模型训练至 {age['until']}，已 {age['months']} 个月；此后新结论 {age['newer']} 件，占已知结论的 {percent(age['share'])}"
    en = f"trained until {age['until']}, {age['months']} months ago; {age['newer']} decisions since, {percent(age['share'])} of all known"
    yield Check("age", level, zh, en)


def _waiting(f: Figures, s: Any) -> Iterator[Check]:
    own = f["challenger"]
    if not own:
        return
    lacks = own["objections"]
    if own["evidence"] and not lacks:
        lead = own["evidence"]["all"]["lead"]
        zh = f"挑战者 v{own['version']} 的证据已够：平均精度领先 {lead['value']:+.3f}（至少 {lead['low']:+.3f}）"
        en = f"challenger v{own['version']} has enough evidence: lead {lead['value']:+.3f}, at least {lead['low']:+.3f}"
        yield Check("challenger", "watch", zh, en)
        return
    zh = (
        f"挑战者 v{own['version']} 还不能替换：缺 {len(lacks)} 项"
        if own["evidence"]
        else (f"挑战者 v{own['version']} 没有可配对的回测")
    )
    en = (
        f"challenger v{own['version']} cannot take over: {len(lacks)} shortfalls"
        if own["evidence"]
        else (f"challenger v{own['version']}: no paired back-tests")
    )
    yield Check("challenger", "note", zh, en)
