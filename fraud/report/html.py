"""``report.html``: one self-contained file, no network, no fonts to load."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fraud.report import pictures
from fraud.report.content import (
    FINDING_WORDS,
    INSTITUTION_WORDS,
    KIND_WORDS,
    RESULT_WORDS,
    STATUS_WORDS,
    VISIT_WORDS,
    ReportContent,
    Words,
    reason_bars,
    short_money,
)
from fraud.report.drift_pictures import drift_pictures
from fraud.report.rendering import asset, template

EVIDENCE_SHOWN = 12  # claims shown per suspicion; the workbook has them all
_BINS = 20


def write_html(content: ReportContent, path: Path) -> Path:
    """Write `render` of the content, beside and then into place."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(render(content), encoding="utf-8")
    os.replace(beside, path)
    return path


def render(content: ReportContent) -> str:
    """Whole page as text; the same content gives the same text."""
    return template("report.html.j2").render(
        c=content,
        title_zh=f"{content.month[:4]}年{int(content.month[5:])}月",
        totals=_totals(content),
        rows=_rows(content),
        kinds=_counts(content.suspicions, "subject_kind", KIND_WORDS),
        statuses=_counts(content.suspicions, "status_vs_last_month", STATUS_WORDS),
        charts=_charts(content),
        breakdowns=_breakdowns(content),
        months=_months(content),
        drifts=drift_pictures(content.drift["findings"]) if content.drift else [],
        rule_totals=content.rule_totals(),
        result_words=RESULT_WORDS,
        failed=[g for g in content.gate if not g.get("passed", True)],
        finding_columns=list(dict.fromkeys(k for f in content.findings for k in f)),
        finding_words=FINDING_WORDS,
        style=asset("report.css"),
        script=asset("report.js"),
    )


def _totals(content: ReportContent) -> list[dict[str, Any]]:
    """Headline cards: words, value, a line beneath and the change against last month."""
    now = content.totals
    last = content.history.iloc[-1].to_dict() if len(content.history) else {}
    recovery = now["expected_recovery"]
    share = recovery / now["fund_amount"] if now["fund_amount"] > 0 else 0.0
    odds = recovery / now["amount_at_risk"] if now["amount_at_risk"] > 0 else 0.0
    listed, risk, paid = now["suspicions"], now["amount_at_risk"], now["fund_amount"]
    cards = [
        ("claims", "本月结算", "claims settled", f"{now['claims']:,}", "笔 claims"),
        ("fund_amount", "基金支付", "paid by the fund", short_money(paid), "扣除退费 net of refunds"),
        ("suspicions", "疑点", "suspicions", f"{listed:,}", f"审核能力 capacity {content.capacity:,}"),
        ("amount_at_risk", "涉及金额", "at risk", short_money(risk), f"加权概率 mean {odds:.0%}"),
        ("expected_recovery", "预期追回", "expected", short_money(recovery), f"占基金支付 {share:.2%}"),
    ]
    return [
        {
            "key": key,
            "zh": zh,
            "en": en,
            "value": value,
            "under": under,
            "change": _change(now[key], last.get(key)),
        }
        for key, zh, en, value, under in cards
    ]


def _change(now: float, before: float | None) -> str:
    if before is None or before != before or before == 0:
        return ""
    return f"{(now - before) / before:+.0%}".replace("+0%", "0%").replace("-0%", "0%")


def _rows(content: ReportContent) -> list[dict[str, Any]]:
    evidence = dict(list(content.evidence().groupby("suspicion_id", sort=False)))
    best = float(content.suspicions["expected_recovery"].max()) if len(content.suspicions) else 1.0
    pictured = set(content.rings or ())
    rows = []
    for row in content.suspicions.to_dict("records"):
        own = evidence.get(row["suspicion_id"])
        shown = [] if own is None else own.head(EVIDENCE_SHOWN).to_dict("records")
        count = int(row.get("claims", len(row["evidence_claim_ids"])))
        reasons = [_reason(r, row["reasons"]) for r in row["reasons"]]
        rows.append(
            {
                **row,
                "kind": KIND_WORDS[row["subject_kind"]],
                "status": STATUS_WORDS[row["status_vs_last_month"]],
                "bar": 100 * row["expected_recovery"] / best if best > 0 else 0,
                "reasons": reasons,
                "first": reasons[0] if reasons else None,
                "count": count,
                "evidence": [_claim(claim) for claim in shown],
                "more": count - len(shown),
                "search": _search_text(row),
                "learning": any(r.get("code") == "learning" for r in row["reasons"]),
                "pictured": row["subject_kind"] == "ring" and row["subject_id"] in pictured,
            }
        )
    return rows


def _search_text(row: dict[str, Any]) -> str:
    parts = [row["subject_id"], row["suspicion_id"], *row["evidence_claim_ids"][:EVIDENCE_SHOWN]]
    parts += [str(r.get("sentence_zh") or "") for r in row["reasons"][:3]]
    return " ".join(parts).lower()


def _reason(reason: dict[str, Any], siblings: list[dict[str, Any]]) -> dict[str, Any]:
    """Reason with the widths of its bars, in percent."""
    pull = float(reason.get("contribution") or 0.0)
    most = max((abs(float(s.get("contribution") or 0.0)) for s in siblings), default=0.0) or 1.0
    group = str(reason.get("peer_group") or "")
    percentile = reason.get("percentile")
    if percentile is not None and percentile == percentile and percentile <= 1:
        percentile = 100 * percentile
    return {
        "zh": reason.get("sentence_zh") or "",
        "en": reason.get("sentence_en") or "",
        "pull": pull,
        "pull_width": round(100 * abs(pull) / most),
        "bars": reason_bars(reason),
        "peer_group": VISIT_WORDS.get(group, (group, group))[0],
        "peer_n": reason.get("peer_n"),
        "percentile": percentile,
    }


def _claim(claim: dict[str, Any]) -> dict[str, Any]:
    known = {k: v for k, v in claim.items() if isinstance(v, str) or pd.notna(v)}
    visit = known.get("visit_type", "")
    settled = known.get("settled_at")
    return {
        "claim_id": known["claim_id"],
        "date": "" if settled is None else pd.Timestamp(settled).strftime("%m-%d %H:%M"),
        "visit": VISIT_WORDS.get(visit, (visit, visit)),
        "amount": known.get("amount_at_risk"),
        "score": known.get("score"),
        **{k: known.get(f"{k}_id", "") for k in ("patient", "doctor", "department", "institution")},
        "diagnosis": known.get("diagnosis_code", ""),
    }


def _counts(frame: pd.DataFrame, column: str, words: Words) -> list[tuple[str, str, str, int]]:
    found = frame[column].value_counts()
    return [(code, zh, en, int(found.get(code, 0))) for code, (zh, en) in words.items()]


def _listed(content: ReportContent) -> np.ndarray:
    ids = content.suspicions["evidence_claim_ids"].explode().dropna()
    return content.claims["claim_id"].isin(set(ids)).to_numpy()


def _charts(content: ReportContent) -> list[tuple[str, str, str, Any]]:
    """Distributions as (title, English, caption, picture)."""
    if not len(content.claims):
        return []
    listed = _listed(content)
    score = content.claims["score"].to_numpy(float)
    amount = content.claims["amount_at_risk"].to_numpy(float)
    edges = np.linspace(0, 1, _BINS + 1)
    bands = np.array([0, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, np.inf])
    names = ["0", "10", "30", "100", "300", "1千", "3千", "1万", "3万", "10万", "30万", "∞"]
    both = "浅色为全部结算，深色为清单内 light: all claims, dark: on the list"
    return [
        (
            "风险分布",
            "scores",
            both,
            _histogram(score, edges, [f"{e:g}" for e in edges.round(2)], listed, "scores"),
        ),
        ("金额分布（元）", "amounts at risk", both, _histogram(amount, bands, names, listed, "amounts")),
        (
            "清单的集中度",
            "how fast the list pays",
            "按名次累计的预期追回占比 share of expected recovery by rank",
            pictures.gain(content.suspicions["expected_recovery"].tolist() or [0.0], "cumulative recovery"),
        ),
    ]


def _histogram(
    values: np.ndarray, edges: np.ndarray, names: list[str], listed: np.ndarray, label: str
) -> Any:
    known = np.isfinite(values)
    everyone = np.histogram(values[known], edges)[0]
    return pictures.histogram(
        names, everyone.tolist(), np.histogram(values[known & listed], edges)[0].tolist(), label
    )


def _breakdowns(content: ReportContent) -> list[dict[str, Any]]:
    """Where the listed money is: by visit type, kind of institution, specialty, institution."""
    listed = _listed(content)
    views = [
        ("visit_type", "就诊类型", "visit type", VISIT_WORDS),
        ("institution_kind", "机构类别", "kind of institution", INSTITUTION_WORDS),
        ("specialty", "专业", "specialty", {}),
        ("institution_id", "机构", "institution", {}),
    ]
    found = []
    for column, zh, en, words in views:
        if column not in content.claims or not listed.any():
            continue
        cents = (content.claims["amount_at_risk"].astype(float) * 100).round().astype("int64")
        group = pd.Series(content.claims[column].to_numpy(dtype=object, na_value=""), index=cents.index)
        everyone = cents.groupby(group).sum()
        own = cents[listed].groupby(group[listed]).sum().rename("own").to_frame()
        own = (
            own.assign(name=own.index.astype(str))
            .sort_values(["own", "name"], ascending=[False, True])
            .head(7)
        )
        most = max(int(own["own"].max()), 1)
        bars = [
            {
                "name": words.get(code, (code or "（空）", "")),
                "amount": value / 100,
                "width": 100 * value / most,
                "share": value / everyone[code] if everyone[code] else 0.0,
            }
            for code, value in own["own"].items()
        ]
        found.append({"zh": zh, "en": en, "bars": bars})
    return found


def _months(content: ReportContent) -> list[tuple[str, str, Any]]:
    """Month-on-month pictures of the totals, this month last."""
    now = pd.DataFrame([{"month": content.month, **content.totals}])
    months = pd.concat([content.history.tail(11), now], ignore_index=True) if len(content.history) else now
    labels = [str(m)[2:].replace("-", "/") for m in months["month"]]
    views = [
        ("claims", "结算笔数", "claims", lambda v: f"{v:,.0f}"),
        ("fund_amount", "基金支付", "paid by the fund", short_money),
        ("amount_at_risk", "清单涉及金额", "amount at risk on the list", short_money),
        ("expected_recovery", "清单预期追回", "expected recovery of the list", short_money),
    ]
    charts = []
    for column, zh, en, words in views:
        if column in months:
            values = [None if v != v else float(v) for v in months[column].astype(float)]
            texts = ["" if v is None else words(v) for v in values]
            charts.append((zh, en, pictures.columns(labels, values, texts, en)))
    return charts
