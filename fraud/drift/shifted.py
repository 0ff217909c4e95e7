"""Features and scores of a month against the model's training window (PSI and KS), season-aware."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fraud.drift.judge import FEWEST, LEVELS, RECENT, Finding, stability
from fraud.drift.window import binned, references
from fraud.schema import month_text

HABIT = 2.0
"""A feature is told only if it differs this many times more than the window's own months differ."""
MOST = 30
"""Features told at most, the gravest first."""
FEWEST_PLACES = 200
"""Institutions (departments, doctors) in the month below which a change of their features is a note only."""
MOSTLY = 0.5
"""Share of the rows of the bin that grew most from which one institution is named."""
_WORDS = {
    "feature_shift": ("特征分布改变", "a feature's distribution changed"),
    "features_shifted": ("模型所依据的特征大面积改变", "much of what the model looks at changed"),
    "score_shift": ("评分分布改变", "the scores' distribution changed"),
}


def shifted(
    window: Mapping[str, Any],
    frame: pd.DataFrame,
    scores: np.ndarray | None,
    month: int,
    weights: Mapping[str, float],
    settings: Any,
    titles: Mapping[str, tuple[str, str]] | None = None,
) -> list[Finding]:
    """Differences of a month's features and scores from the window the model was trained on.

    Each distribution is held against the whole window, the window's last three months, and the same
    month a year before where the window has it; the smallest difference counts, so a season that
    returns, or a history that has merely grown longer, is none.

    Parameters
    ----------
    window : mapping
        See `fraud.drift.window.window`.
    frame : DataFrame
        Features of the month; ``institution_id``, where there, names places.
    scores : ndarray or None
        The model's scores of the same rows.
    month : int
    weights : mapping of str to float
        How much each feature moves the model (mean absolute contribution); any scale.
    settings : DriftSettings
    titles : mapping, optional
        Feature → (Chinese, English).

    Returns
    -------
    list of Finding
        Empty where the month or the window is too small to judge.
    """
    if len(frame) < FEWEST * 10 or not window:
        return []
    judge = _Judge(window["months"], frame, month, settings, titles or {})
    total = sum(weights.get(f, 0.0) for f in window["features"]) or 1.0
    share = {f: weights.get(f, 0.0) / total for f in window["features"]}
    found = list(judge.features(window["features"], share))
    told = sorted(found, key=lambda f: (-LEVELS.index(f.level), -share[f.column] * f.value, f.column))
    out = [*judge.whole(found, share), *told[:MOST]]
    if scores is not None:
        out += judge.scores(window["score"], scores)
    return out


class _Judge:
    def __init__(
        self,
        months: Sequence[int],
        frame: pd.DataFrame,
        month: int,
        settings: Any,
        titles: Mapping[str, tuple[str, str]],
    ) -> None:
        self.months, self.frame, self.month = list(months), frame, month
        self.settings, self.titles = settings, titles

    def features(
        self, profiles: Mapping[str, Mapping[str, Any]], share: Mapping[str, float]
    ) -> Iterator[Finding]:
        for name, profile in profiles.items():
            if name not in self.frame:
                continue
            values = self.frame[name].to_numpy(dtype=float, na_value=np.nan)
            now = np.array(binned(values, profile["edges"]), dtype=float)
            index, distance, usual = self.nearest(profile, now)
            if index < HABIT * self.habit(profile):
                continue
            s = self.settings
            level = self.level(index, s.feature_note, s.feature_warn, s.feature_stop)
            if distance >= s.feature_ks and level != "stop":
                level = "warn"
            if level == "stop" and share[name] < s.feature_weight:
                level = "warn"
            if level and self.few(name):
                level = "note"
            if level:
                zh, en = self.titles.get(name, (name, name))
                where = ("features", name, self.place(values, profile["edges"], now, usual))
                yield self.finding(
                    "feature_shift", level, where, index, distance, (zh, en), profile, now, usual
                )

    def nearest(self, profile: Mapping[str, Any], now: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Stability index and KS distance to the reference that is most like the month, and its counts."""
        known = references(profile, self.months, self.month, RECENT)
        if not known:
            return 0.0, 0.0, now
        ranked = sorted((stability(now, usual), name) for name, usual in known.items())
        index, name = ranked[0]
        enough = min(now[:-1].sum(), known[name][:-1].sum()) >= FEWEST * 10  # few known values jump
        return index, _distance(now, known[name]) if enough else 0.0, known[name]

    def habit(self, profile: Mapping[str, Any]) -> float:
        """How far the window's own later months are from those before them, the largest."""
        counts = np.array(profile["counts"], dtype=float)
        return max(
            (
                min(
                    stability(counts[i], counts[:i].sum(axis=0)),
                    stability(counts[i], counts[i - 3 : i].sum(axis=0)),
                )
                for i in range(RECENT, len(counts))
            ),
            default=0.0,
        )

    def few(self, name: str) -> bool:
        """Whether a feature is of so few places that one of them moves a whole bin."""
        of = f"{name.partition('_')[0]}_id"
        return of != "claim_id" and of in self.frame and self.frame[of].nunique() < FEWEST_PLACES

    @staticmethod
    def level(value: float, note: float, warn: float, stop: float) -> str:
        return "stop" if value >= stop else "warn" if value >= warn else "note" if value >= note else ""

    def place(self, values: np.ndarray, edges: Sequence[float], now: np.ndarray, usual: np.ndarray) -> str:
        """Institution that makes up most of what came on top, if one does."""
        if "institution_id" not in self.frame:
            return ""
        grown = int((now / now.sum() - usual / usual.sum()).argmax())
        lost = ~np.isfinite(values)
        bins = np.where(lost, len(edges) + 1, np.searchsorted(np.asarray(edges), np.nan_to_num(values)))
        at = self.frame["institution_id"].to_numpy(dtype=object, na_value="")[bins == grown]
        names, counts = np.unique(at.astype(str), return_counts=True)
        best = int(counts.argmax()) if len(counts) else -1
        return str(names[best]) if best >= 0 and counts[best] >= MOSTLY * counts.sum() else ""

    def whole(self, found: Sequence[Finding], share: Mapping[str, float]) -> list[Finding]:
        """How much of what moves the model is on features that changed."""
        moved = sum(share[f.column] for f in found if f.level in ("warn", "stop"))
        s = self.settings
        level = self.level(moved, s.features_warn, s.features_warn, s.features_stop)
        if not level:
            return []
        zh, en = _WORDS["features_shifted"]
        return [
            Finding(
                "features_shifted", level, "features", "*", "", month_text(self.month), round(moved, 6), 0.0,
                s.features_warn, f"{zh}：占其判断依据的 {moved:.0%}", f"{en}: {moved:.0%} of it by weight",
            )
        ]  # fmt: skip

    def scores(self, profile: Mapping[str, Any], scores: np.ndarray) -> list[Finding]:
        now = np.array(binned(scores, profile["edges"]), dtype=float)
        index, distance, usual = self.nearest(profile, now)
        s = self.settings
        level = self.level(index, s.score_note, s.score_warn, s.score_stop)
        if not level or index < HABIT * self.habit(profile):
            return []
        where = ("claims_scored", "score", "")
        return [self.finding("score_shift", level, where, index, distance, ("", ""), profile, now, usual)]

    def finding(
        self,
        code: str,
        level: str,
        where: tuple[str, str, str],
        index: float,
        distance: float,
        title: tuple[str, str],
        profile: Mapping[str, Any],
        now: np.ndarray,
        usual: np.ndarray,
    ) -> Finding:
        table, column, place = where
        zh, en = _WORDS[code]
        bar = self.settings.score_note if code == "score_shift" else self.settings.feature_note
        about_zh, about_en = (f"{title[0]}：", f"{title[1]}: ") if title[0] else ("", "")
        at_zh, at_en = (f"，主要在 {place}", f", mostly at {place}") if place else ("", "")
        return Finding(
            code, level, table, column, place, month_text(self.month), round(index, 6), 0.0, bar,
            f"{about_zh}{zh}（PSI {index:.2f}，KS {distance:.2f}{at_zh}）",
            f"{about_en}{en} (PSI {index:.2f}, KS {distance:.2f}{at_en})",
            bins=_names(profile["edges"]),
            shape=_shares(now),
            usual_shape=_shares(usual),
        )  # fmt: skip


def _distance(now: np.ndarray, usual: np.ndarray) -> float:
    """Largest difference of the cumulative shares at the bins' edges (Kolmogorov-Smirnov), missing apart.

    >>> _distance(np.array([5.0, 5.0, 0.0]), np.array([10.0, 0.0, 3.0]))
    0.5
    """
    if now[:-1].sum() == 0 or usual[:-1].sum() == 0:
        return 0.0
    steps = [np.cumsum(side[:-1]) / side[:-1].sum() for side in (now, usual)]
    return round(float(np.abs(steps[0] - steps[1]).max()), 12)


def _shares(counts: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(c), 6) for c in counts / max(counts.sum(), 1.0))


def _names(edges: Sequence[float]) -> tuple[str, ...]:
    """Text of the bins."""
    texts = [f"{e:.4g}" for e in edges]
    if not texts:
        return ("all", "missing")
    return (f"≤{texts[0]}", *(f"–{t}" for t in texts[1:]), f">{texts[-1]}", "missing")
