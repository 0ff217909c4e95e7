"""What training could not do and did instead, in words (Chinese and English)."""

from typing import Any

from fraud.detectors.frames import Audited

Note = dict[str, str]


def too_few(audited: Audited, wanted: int) -> Note | None:
    """Why no supervised model is trained; None where labels suffice."""
    positives, negatives = audited.positives, audited.negatives
    fewest = min(wanted, 10)
    if positives >= wanted and negatives >= fewest:
        return None
    if not positives and not negatives:
        return _note(
            "no_labels",
            "没有可用的稽核结论：只训练孤立森林，评分为异常百分位。",
            "No audit outcome to learn from: only the isolation forest is trained; "
            "the score is the anomaly percentile.",
        )
    return _note(
        "few_labels",
        f"稽核确认 {positives} 条（至少需要 {wanted} 条）、排除 {negatives} 条（至少需要 {fewest} 条）："
        "不训练监督模型，评分为异常百分位。",
        f"{positives} confirmed (at least {wanted} needed) and {negatives} cleared (at least {fewest}) "
        "audits: no supervised model is trained; the score is the anomaly percentile.",
    )


def _note(code: str, zh: str, en: str) -> Note:
    return {"code": code, "zh": zh, "en": en}


def subjects_missing(count: int) -> Note:
    """Labels that are about nothing in the training months."""
    return _note(
        "labels_without_row",
        f"{count} 条稽核结论的对象不在训练月份的数据中，未使用。",
        f"{count} audit outcomes are about subjects without a row in the training months; "
        "they were not used.",
    )


def no_later_slice() -> Note:
    """Early stopping could not use time."""
    return _note(
        "stopping_by_folds",
        "标签在时间上无法切出足够的较晚部分：提前停止改用分组交叉验证。",
        "The labels leave no later slice with enough of both outcomes: "
        "early stopping uses grouped cross-validation instead.",
    )


def random_level(random: int, positives: int) -> Note:
    """Few random audits: they set the level, all audits the slope."""
    return _note(
        "calibrated_level_on_random",
        f"随机稽核只有 {random} 条（确认 {positives} 条）：概率的水平由随机稽核校准，斜率由全部稽核估计。",
        f"Only {random} random audits ({positives} confirmed): they set the level of the probability, "
        "all audits its slope.",
    )


def no_random() -> Note:
    """No random audits: the probability is that of an audited subject."""
    return _note(
        "calibrated_on_biased_audits",
        "没有足够的随机稽核：概率按全部稽核校准；稽核对象是挑选的，因此对未稽核对象偏高，排序不受影响。",
        "Too few random audits: the probability is calibrated on all audits, which were chosen for looking "
        "suspicious, so it is too high for the rest; the order is not affected.",
    )


def messages(summary: dict[str, Any]) -> list[str]:
    """Training in a few lines a person reads: labels, held-out figures, fallbacks."""
    lines = [
        f"{summary['rows']} rows, {summary['features']} features; audits: {summary['positives']} confirmed, "
        f"{summary['negatives']} cleared, {summary['random_labels']} of them random"
    ]
    for scope, figures in summary["metrics"].items():
        score = figures["score"]
        lines.append(
            f"held out, {scope} audits ({figures['positives']} of {figures['rows']} confirmed): "
            f"average precision {score['average_precision']:.3f}, AUC {score['roc_auc']:.3f}"
        )
    return lines + [f"{note['zh']} {note['en']}" for note in summary["fallbacks"]]
