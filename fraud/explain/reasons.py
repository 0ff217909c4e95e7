"""Reasons: what moved a score, in the catalog's words, against peers and against the own past.

Shapley values of both detectors are summed over the catalog's groups of features: a group is far
more stable between retrainings than a feature. Each reason is told by the feature that moved the
score most within its group. Only the listed suspicions are explained.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fraud.explain.beside import Beside, Columns, missing, past, peers

if TYPE_CHECKING:
    from fraud.detectors.scorer import Scorer
    from fraud.features.catalog import Feature

Reason = dict[str, Any]

OTHER_CLAIMS = "other_claims"
# strongest features of a group among which the odd one tells the reason
_CANDIDATES = 5
# oddness of a value that six in ten peers are below of, in the suspicious direction
_STANDS_OUT = 0.3
_ACTORS = {
    "patient": ("同一参保人", "the same patient"),
    "doctor": ("同一医生", "the same doctor"),
    "department": ("同一科室", "the same department"),
    "institution": ("同一机构", "the same institution"),
    "operator": ("同一经办人", "the same operator"),
}


def explain(
    scorer: "Scorer",
    frame_listed: pd.DataFrame,
    frame_month: "Columns",
    history: "Columns | None",
    catalog: "Mapping[str, Feature]",
    groups: Mapping[str, tuple[str, str]] | None = None,
    most: int = 8,
) -> list[list[Reason]]:
    """Explain listed rows.

    Parameters
    ----------
    scorer : Scorer
        The model that scored them.
    frame_listed : DataFrame
        Rows of the feature table to explain.
    frame_month : DataFrame or Columns
        All rows of the scored month: the peers. Holds the listed rows (found by their id and month).
    history : DataFrame, Columns or None
        Rows of the months before: the own past, and the context of a second stage. A column
        ``first_stage`` in both frames, from `Scorer.score`, saves scoring them again. A second stage
        needs both as DataFrames.
    catalog : mapping of str to Feature
        `fraud.features.catalog.CATALOG`.
    groups : mapping, optional
        Group → (Chinese, English); `fraud.features.catalog.GROUPS` by default.
    most : int
        Reasons per row, strongest first; only what raises the score is a reason.

    Returns
    -------
    list of list of dict
        Per listed row: code (feature), group, group_zh, group_en, sentence_zh, sentence_en, value,
        baseline (median of peers), peer_group, peer_n, percentile (share of peers below, 0–1), own_past
        (latest earlier value of the same subject, None if unknown), contribution (log-odds, of the
        whole group). Plain numbers, rounded to six digits: JSON-able and stable.
    """
    if not len(frame_listed):
        return []
    from fraud.features.catalog import GROUPS

    titles = GROUPS if groups is None else groups
    context = None
    listed = frame_listed
    if scorer.needs_context:
        context, position = _context(scorer, frame_listed, frame_month, history)
        listed = context.iloc[position]
    else:
        _place(frame_listed, frame_month, f"{scorer.target}_id")
    parts, others = scorer.explained(listed, context)
    listed = pd.concat([listed.drop(columns=others.columns, errors="ignore"), others], axis=1)
    words = {name: _entry(name, catalog) for name in parts.columns}
    group_of = np.array([words[name].group for name in parts.columns])
    values = parts.to_numpy()
    likely = [_likely(values[i], group_of, listed.iloc[i], list(parts.columns)) for i in range(len(listed))]
    asked = [{j for _, members in own for j in members} for own in likely]
    beside = peers(frame_month, listed, _pairs(parts.columns, asked))
    chosen = [
        _strongest(values[i], likely[i], _Told(i, listed.iloc[i], beside), list(parts.columns), words)[:most]
        for i in range(len(listed))
    ]
    told = _pairs(parts.columns, [{j for j, _ in own} for own in chosen])
    before = past(history, listed, told, {name: words[name].entity for name in told})
    return [
        [_reason(_Told(i, listed.iloc[i], beside), str(parts.columns[j]), total, words, titles, before)
         for j, total in own]
        for i, own in enumerate(chosen)
    ]  # fmt: skip


@dataclass(frozen=True)
class _Told:
    """A listed row: its place, its values and who stands beside them."""

    number: int
    values: pd.Series
    peers: Mapping[tuple[int, str], Beside]

    def own(self, name: str) -> float | None:
        """Value of a feature, where it is known."""
        known = name in self.values.index and not missing(self.values[name])
        return float(self.values[name]) if known else None

    def beside(self, name: str) -> Beside:
        """Peers of that value."""
        return self.peers.get((self.number, name), Beside())


def _pairs(columns: Sequence[str], wanted: Sequence[set[int]]) -> dict[str, list[int]]:
    """Features in the columns' order, each with the rows that want it."""
    rows: dict[int, list[int]] = {}
    for i, own in enumerate(wanted):
        for j in own:
            rows.setdefault(j, []).append(i)
    return {str(columns[j]): rows[j] for j in sorted(rows)}


def _context(
    scorer: "Scorer",
    listed: pd.DataFrame,
    month: "Columns",
    history: "Columns | None",
) -> tuple[pd.DataFrame, np.ndarray]:
    """History and month as one frame, and where in it the listed rows stand."""
    frames = [f[list(f.columns)] for f in (history, month) if f is not None and len(f)]
    context = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0].reset_index(drop=True)
    return context, _place(listed, context, f"{scorer.target}_id")


def _place(listed: pd.DataFrame, among: Columns, identifier: str) -> np.ndarray:
    """Where listed rows stand."""
    names = [identifier, "month"]
    position = pd.MultiIndex.from_frame(among[names]).get_indexer(pd.MultiIndex.from_frame(listed[names]))
    if (position < 0).any():
        raise ValueError(f"{int((position < 0).sum())} listed rows are not in the scored month's frame.")
    return position


def _likely(
    values: np.ndarray, group_of: np.ndarray, row: pd.Series, columns: Sequence[str]
) -> list[tuple[float, list[int]]]:
    """Groups that raise the score: the contribution of each, and its strongest features.

    A missing value is told only if the group has nothing else.
    """
    found = []
    for group in sorted(set(group_of.tolist())):
        members = np.flatnonzero(group_of == group).tolist()
        total = float(values[members].sum())
        if total <= 1e-9:
            continue
        told = [j for j in members if columns[j] not in row.index or not missing(row[columns[j]])]
        found.append((total, sorted(told or members, key=lambda j: (-values[j], j))[:_CANDIDATES]))
    return found


def _strongest(
    values: np.ndarray,
    likely: Sequence[tuple[float, list[int]]],
    row: _Told,
    columns: Sequence[str],
    words: "Mapping[str, _Entry]",
) -> list[tuple[int, float]]:
    """Choose the groups that raise the score, strongest first: (telling feature, contribution of the group).

    The telling feature is the strongest that is also odd against peers: a value like everybody's may
    move a tree's score but tells an auditor nothing. Groups in which nothing stands out are left out,
    unless nothing else is left.
    """
    chosen = []
    odd = set()
    for total, members in likely:
        oddness = {j: _oddness(row, columns[j], words[columns[j]].direction) for j in members}
        weight = {j: values[j] * oddness[j] for j in members if values[j] > 0}
        best = max(weight, key=lambda j: (weight[j], -j)) if weight else members[0]
        chosen.append((int(best), total))
        if oddness[best] >= _STANDS_OUT:
            odd.add(int(best))
    ordered = sorted(chosen, key=lambda c: (-c[1], c[0]))
    return [c for c in ordered if c[0] in odd] or ordered[:1]


def _oddness(row: _Told, name: str, direction: int) -> float:
    """How far a value stands out among peers in the suspicious direction, 0.1 (not at all) to 1.1."""
    place = row.beside(name).percentile
    if row.own(name) is None or place is None:
        return 0.6
    lean = 2 * place - 1
    return 0.1 + (abs(lean) if direction == 0 else max(0.0, direction * lean))


@dataclass(frozen=True)
class _Entry:
    """What a reason needs of a catalog entry."""

    entity: str
    group: str
    unit: str
    sentence_zh: str
    sentence_en: str
    direction: int = 0


def _entry(name: str, catalog: "Mapping[str, Feature]") -> _Entry:
    """Catalog entry of a feature; second-stage inputs and unknown features get one here."""
    if name in catalog:
        f = catalog[name]
        return _Entry(f.entity, f.group, f.unit, f.sentence_zh, f.sentence_en, f.direction)
    actor, _, what = name.partition("_other_claims_")
    if what:
        zh, en = _ACTORS[actor]
        kind_zh, kind_en = ("平均", "average") if what == "mean" else ("最高", "highest")
        return _Entry(
            actor,
            OTHER_CLAIMS,
            "share",
            f"{zh}近期其他结算的{kind_zh}可疑度为{{value}}。",
            f"The {kind_en} suspicion of other recent claims of {en} is {{value}}.",
        )
    entity = name.split("_", 1)[0]
    return _Entry(
        entity, "other", "score",
        f"{name} 为{{value}}，同类中位数{{baseline}}，高于同类的{{percentile}}",
        f"{name} is {{value}}; the peers' median is {{baseline}}; above {{percentile}} of peers",
    )  # fmt: skip


def _reason(
    row: _Told,
    name: str,
    total: float,
    words: Mapping[str, _Entry],
    groups: Mapping[str, tuple[str, str]],
    before: Mapping[tuple[int, str], float],
) -> Reason:
    entry = words[name]
    own, beside = row.own(name), row.beside(name)
    texts = {
        lang: sentence.format(
            value=show(own, entry.unit, lang),
            baseline=show(beside.median, entry.unit, lang),
            percentile=_percent(beside.percentile),
        )
        for lang, sentence in (("zh", entry.sentence_zh), ("en", entry.sentence_en))
    }
    title = groups.get(entry.group, _GROUP_TITLES.get(entry.group, (entry.group, entry.group)))
    return {
        "code": name,
        "group": entry.group,
        "group_zh": title[0],
        "group_en": title[1],
        "sentence_zh": texts["zh"],
        "sentence_en": texts["en"],
        "value": _number(own),
        "baseline": _number(beside.median),
        "peer_group": beside.label,
        "peer_n": beside.rows,
        "percentile": _number(beside.percentile),
        "own_past": _number(before.get((row.number, name))),
        "contribution": _number(total),
    }


_GROUP_TITLES = {OTHER_CLAIMS: ("相关结算", "Related claims"), "other": ("其他", "Other")}


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def _percent(share: float | None) -> str:
    """Percentile as text that never claims more than it knows (99.95 % is not 100 %).

    >>> _percent(0.9996), _percent(0.5), _percent(None)
    ('99.9%', '50%', '—')
    """
    if share is None:
        return "—"
    if share >= 0.99:
        return f"{math.floor(share * 1000) / 10 if share < 1 else 100:g}%"
    return f"{round(share * 100)}%"


_UNITS = {
    "yuan": (" 元", " CNY"), "days": (" 天", " days"),
    "hours": (" 小时", " hours"), "years": (" 年", " years"),
}  # fmt: skip


def show(value: float | None, unit: str, language: str = "zh") -> str:
    """Value as an auditor reads it.

    Parameters
    ----------
    value : float or None
    unit : str
        Unit of the catalog entry.
    language : str
        "zh" or "en".

    Examples
    --------
    >>> show(12345.6, "yuan"), show(0.256, "share"), show(3.0, "count"), show(None, "days")
    ('12,345.60 元', '25.6%', '3', '—')
    >>> show(1.0, "flag"), show(2.5, "days", "en"), show(2.345, "ratio")
    ('是', '2.5 days', '2.35')
    """
    if value is None or not math.isfinite(value):
        return "—"
    if unit == "flag":
        return {"zh": ("否", "是"), "en": ("no", "yes")}[language][int(value >= 0.5)]
    if unit == "share":
        return f"{_short(value * 100, 1)}%"
    suffix = _UNITS.get(unit, ("", ""))[0 if language == "zh" else 1]
    if unit == "yuan":
        return f"{value:,.2f}{suffix}"
    return _short(value, 1 if unit in ("days", "hours", "years", "count") else 2) + suffix


def _short(value: float, digits: int) -> str:
    """Format with fixed digits, without trailing zeros or a negative zero."""
    text = f"{value + 0.0:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
