"""What is kept beside a model: model card, feature catalog, Shapley summary, curves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.features.catalog import GROUPS
from fraud.tracking.figures import draw

if TYPE_CHECKING:
    from fraud.detectors.scorer import Scorer
    from fraud.settings import Experiment

_KINDS = {
    "claim": ("结算单", "claims"), "patient": ("参保人", "patients"), "doctor": ("医师", "doctors"),
    "department": ("科室", "departments"), "institution": ("机构", "institutions"),
}  # fmt: skip

_BIAS = (
    "稽核对象多因可疑而被挑选，未稽核不等于无问题。因此：监督模型只用已稽核的记录训练（未稽核的从不当作阴性）；"
    "概率用随机稽核校准；评分与无标签的异常百分位合成，使从未被稽核的手法也能浮现。"
    "详见 docs/decisions.md。",
    "Most audits were chosen for looking suspicious, and not audited does not mean innocent. So the "
    "supervised model learns from audited rows only (an unaudited row is never a negative), probabilities "
    "are calibrated on random audits, and the score blends in the label-free percentile, so that schemes "
    "nobody audited can surface. See docs/decisions.md.",
)
_LIMITS = (
    "评分是疑点，不是结论；认定由稽核人员依法作出。保留集上的数字只对被稽核的对象成立，"
    "随机稽核的数字更能代表全体。数据口径、稽核方式或手法改变后需重新训练。",
    "A score is a suspicion, not a finding; people decide, by law. Held-out figures hold for audited "
    "subjects; those on random audits speak for all. Train again when coding, audit practice or schemes "
    "change.",
)


def write_card(
    folder: Path,
    scorers: "Mapping[str, Scorer]",
    name: str,
    until: str,
    experiment: "Experiment",
    skipped: Mapping[str, str],
    digest: str,
) -> None:
    """Write everything that goes beside the model into `folder`.

    Writes ``model_card.md``, ``feature_catalog.json``, and per kind of subject ``<kind>/summary.json``,
    ``shap_summary.json``, ``curves.json`` and figures (PNG).
    """
    catalog = _catalog(scorers)
    _write(folder / "feature_catalog.json", {"features": catalog, "skipped": dict(sorted(skipped.items()))})
    for kind, scorer in scorers.items():
        place = folder / kind
        place.mkdir(parents=True, exist_ok=True)
        summary = scorer.summary
        _write(place / "shap_summary.json", summary.get("importance", {}))
        curves = dict(summary.get("curves", {})) | {"held_out_log_loss": summary.get("curve", [])}
        _write(place / "curves.json", curves)
        kept = {k: v for k, v in summary.items() if k not in ("importance", "curves", "curve")}
        _write(place / "summary.json", kept)
        draw(place, curves, summary.get("importance", {}))
    text = _card(scorers, name, until, experiment, skipped, digest, catalog)
    (folder / "model_card.md").write_text(text, encoding="utf-8", newline="\n")


def _write(path: Path, data: Any) -> None:
    text = json.dumps(data, ensure_ascii=False, indent=1, sort_keys=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _catalog(scorers: "Mapping[str, Scorer]") -> dict[str, dict[str, Any]]:
    """Catalog entries of the features in use; a feature the catalog lacks is listed without words."""
    from fraud.features.catalog import CATALOG

    used = sorted({f for scorer in scorers.values() for f in scorer.features})
    out: dict[str, dict[str, Any]] = {}
    for name in used:
        entry = CATALOG.get(name)
        out[name] = (
            {}
            if entry is None
            else {
                "group": entry.group,
                "unit": entry.unit,
                "direction": entry.direction,
                "title_zh": entry.title_zh,
                "title_en": entry.title_en,
                "point_in_time": entry.point_in_time,
            }
        )
    return out


def _card(
    scorers: "Mapping[str, Scorer]",
    name: str,
    until: str,
    experiment: "Experiment",
    skipped: Mapping[str, str],
    digest: str,
    catalog: Mapping[str, Mapping[str, Any]],
) -> str:
    lines = [
        f"# 模型卡 Model card: {name}",
        "",
        f"- 训练截止 Trained until: {until}",
        f"- 实验 Experiment: {experiment.name} (seed {experiment.seed}, target {experiment.target})",
        f"- 内容哈希 Content hash: `{digest}`",
        f"- 特征 Features: {len(catalog)}; 跳过 skipped: {len(skipped)}",
        "",
        "## 稽核的选择偏差 Selection bias of audits",
        "",
        *_BIAS,
        "",
        "## 局限 Limits",
        "",
        *_LIMITS,
        "",
    ]
    for kind, scorer in scorers.items():
        lines += _section(kind, scorer, catalog)
    if skipped:
        lines += ["## 跳过的特征 Skipped features", ""]
        lines += [f"- `{k}`: {v}" for k, v in sorted(skipped.items())]
    return "\n".join(lines).rstrip() + "\n"


def _section(kind: str, scorer: "Scorer", catalog: Mapping[str, Mapping[str, Any]]) -> list[str]:
    summary = scorer.summary
    zh, en = _KINDS.get(kind, (kind, kind))
    how = (
        f"孤立森林 + LightGBM（{summary['rounds']} 棵树/袋，提前停止依据 {summary['stopping']}）"
        f" isolation forest + LightGBM ({summary['rounds']} trees a bag, stopped by {summary['stopping']})"
        if scorer.supervised is not None
        else "孤立森林 isolation forest only"
    )
    lines = [
        f"## {zh} {en}",
        "",
        f"- 检测器 Detectors: {how}",
        f"- 行数 Rows: {summary['rows']}; 标签 labels: {summary['labels']} "
        f"({summary['positives']} 确认 confirmed, {summary['negatives']} 排除 cleared, "
        f"{summary['random_labels']} 随机 random)",
        *(f"- {note['zh']} {note['en']}" for note in summary["fallbacks"]),
        "",
        *_metrics_table(summary["metrics"]),
        *_burden(summary.get("burden", {})),
        *_top_features(summary.get("importance", {}), catalog),
    ]
    return lines


def _metrics_table(metrics: Mapping[str, Any]) -> list[str]:
    if not metrics:
        return []
    lines = [
        "| 保留集 held out | 评分 score | 平均精度 AP (95 %) | AUC (95 %) |",
        "|---|---|---|---|",
    ]
    for scope, figures in metrics.items():
        for score in ("score", "supervised", "anomaly"):
            own = figures.get(score)
            if own:
                lines.append(
                    f"| {scope} ({figures['positives']}/{figures['rows']}) | {score} "
                    f"| {_interval(own, 'average_precision')} | {_interval(own, 'roc_auc')} |"
                )
    return [*lines, ""]


_GROUPS = {
    "institution_kind": "机构类别 kind of institution", "region": "地区 region",
    "age_band": "参保人年龄 age", "sex": "参保人性别 sex",
}  # fmt: skip


def _burden(groups: Mapping[str, Any]) -> list[str]:
    """False alarms per thousand claims by group, from audits the model did not see."""
    rows = [(_GROUPS.get(g, g), row) for g, own in groups.items() for row in own if row["decided"]]
    if not rows:
        return []
    lines = [
        "误报由谁承担：每千笔结算中清白而会上清单的，按折外评分 "
        "Burden: innocent claims per thousand that would be listed, by out-of-fold scores",
        "",
        "| 分组 group | | 有结论 decided | 排除 cleared | 每千笔 per 1,000 (95 %) | |",
        "|---|---|---|---|---|---|",
    ]
    for group, row in rows:
        rate = row["per_thousand"]
        mark = {"more": "偏高 more than the others", "less": "偏低 less"}.get(row["apart"], "")
        lines.append(
            f"| {group} | {row['name']} | {row['decided']} | {row['cleared']} "
            f"| {rate['value']:.2f} ({rate['low']:.2f}–{rate['high']:.2f}) | {mark} |"
        )
    return [*lines, ""]


def _interval(figures: Mapping[str, float], name: str) -> str:
    text = f"{figures[name]:.3f}"
    low, high = figures.get(f"{name}_low"), figures.get(f"{name}_high")
    return text if low is None or high is None else f"{text} ({low:.3f}–{high:.3f})"


def _top_features(
    importance: Mapping[str, float], catalog: Mapping[str, Mapping[str, Any]], most: int = 15
) -> list[str]:
    if not importance:
        return []
    lines = [
        "| 特征 feature | 名称 title | 组 group | 平均绝对贡献 mean absolute contribution |",
        "|---|---|---|---|",
    ]
    for name, value in list(importance.items())[:most]:
        entry = catalog.get(name) or {}
        group = GROUPS.get(entry.get("group", ""), ("", ""))
        title = " ".join(t for t in (entry.get("title_zh", ""), entry.get("title_en", "")) if t)
        lines.append(f"| `{name}` | {title} | {group[0]} {group[1]} | {value:.4f} |")
    return [*lines, ""]
