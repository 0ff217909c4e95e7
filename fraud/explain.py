"""Reasons: what moved a score, in the catalog's words, against peers and against the own past.

Shapley values of both detectors are summed over the catalog's groups of features: a group is far
more stable between retrainings than a feature. Each reason is told by the feature that moved the
score most within its group. Only the listed suspicions are explained.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from fraud.detectors.scorer import Scorer
    from fraud.features.catalog import Feature

Reason = dict[str, Any]

OTHER_CLAIMS = "other_claims"
# peers below this number are too few to compare with; a wider group is taken
FEWEST_PEERS = 30
# strongest features of a group among which the odd one tells the reason
_CANDIDATES = 5
# oddness of a value that six in ten peers are below of, in the suspicious direction
_STANDS_OUT = 0.3
_EVERYONE = "all"
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
    frame_month: pd.DataFrame,
    history: pd.DataFrame | None,
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
    frame_month : DataFrame
        All rows of the scored month: the peers. Holds the listed rows (found by their id and month).
    history : DataFrame or None
        Rows of the months before: the own past, and the context of a second stage. A column
        ``first_stage`` in both frames, from `Scorer.score`, saves scoring them again.
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
    identifier = f"{scorer.target}_id"
    context, position = _context(scorer, frame_listed, frame_month, history, identifier)
    listed = context.iloc[position]
    parts, others = scorer.explained(listed, context)
    listed = pd.concat([listed.drop(columns=others.columns, errors="ignore"), others], axis=1)
    words = {name: _entry(name, catalog) for name in parts.columns}
    group_of = np.array([words[name].group for name in parts.columns])
    values = parts.to_numpy()
    peers = _Peers(frame_month)
    past = _Past(history, scorer.target)
    out = []
    for i in range(len(listed)):
        row = listed.iloc[i]
        chosen = _strongest(values[i], group_of, row, list(parts.columns), words, peers)
        out.append(
            [
                _reason(row, str(parts.columns[j]), total, words, titles, peers, past)
                for j, total in chosen[:most]
            ]
        )
    return out


def _context(
    scorer: "Scorer",
    listed: pd.DataFrame,
    month: pd.DataFrame,
    history: pd.DataFrame | None,
    identifier: str,
) -> tuple[pd.DataFrame, np.ndarray]:
    """History and month as one frame, and where in it the listed rows stand."""
    frames = [f for f in (history, month) if f is not None and len(f)]
    context = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0].reset_index(drop=True)
    keys = pd.MultiIndex.from_arrays([context[identifier], context["month"]])
    wanted = pd.MultiIndex.from_arrays([listed[identifier], listed["month"]])
    position = keys.get_indexer(wanted)
    if (position < 0).any():
        raise ValueError(f"{int((position < 0).sum())} listed rows are not in the scored month's frame.")
    return context, position


def _strongest(
    values: np.ndarray,
    group_of: np.ndarray,
    row: pd.Series,
    columns: Sequence[str],
    words: "Mapping[str, _Entry]",
    peers: "_Peers",
) -> list[tuple[int, float]]:
    """Choose the groups that raise the score, strongest first: (telling feature, contribution of the group).

    The telling feature is the strongest that is also odd against peers: a value like everybody's may
    move a tree's score but tells an auditor nothing. A missing value is told only if the group has
    nothing else. Groups in which nothing stands out are left out, unless nothing else is left.
    """
    chosen = []
    odd = set()
    for group in sorted(set(group_of.tolist())):
        members = np.flatnonzero(group_of == group).tolist()
        total = float(values[members].sum())
        if total <= 1e-9:
            continue
        told = [j for j in members if columns[j] not in row.index or not _missing(row[columns[j]])]
        likely = sorted(told or members, key=lambda j: (-values[j], j))[:_CANDIDATES]
        oddness = {j: _oddness(row, columns[j], words, peers) for j in likely}
        weight = {j: values[j] * oddness[j] for j in likely if values[j] > 0}
        best = max(weight, key=lambda j: (weight[j], -j)) if weight else likely[0]
        chosen.append((int(best), total))
        if oddness[best] >= _STANDS_OUT:
            odd.add(int(best))
    ordered = sorted(chosen, key=lambda c: (-c[1], c[0]))
    return [c for c in ordered if c[0] in odd] or ordered[:1]


def _oddness(row: pd.Series, name: str, words: "Mapping[str, _Entry]", peers: "_Peers") -> float:
    """How far a value stands out among peers in the suspicious direction, 0.1 (not at all) to 1.1."""
    if name not in row.index or _missing(row[name]):
        return 0.6
    _, _, place = peers.of(row, name, float(row[name]))
    if place is None:
        return 0.6
    lean = 2 * place - 1
    direction = words[name].direction
    return 0.1 + (abs(lean) if direction == 0 else max(0.0, direction * lean))


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value))


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
    row: pd.Series,
    name: str,
    total: float,
    words: Mapping[str, _Entry],
    groups: Mapping[str, tuple[str, str]],
    peers: "_Peers",
    past: "_Past",
) -> Reason:
    entry = words[name]
    own = float(row[name]) if name in row.index and not _missing(row[name]) else None
    group, label, place = peers.of(row, name, own)
    texts = {
        lang: sentence.format(
            value=show(own, entry.unit, lang),
            baseline=show(group.median, entry.unit, lang),
            percentile=_percent(place),
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
        "baseline": _number(group.median),
        "peer_group": label,
        "peer_n": group.rows,
        "percentile": _number(place),
        "own_past": _number(past.of(row, name, entry.entity)),
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


@dataclass(frozen=True)
class _Group:
    """Sorted known values of one feature among peers."""

    values: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.values)

    @property
    def median(self) -> float | None:
        return float(np.median(self.values)) if len(self.values) else None

    def percentile(self, value: float | None) -> float | None:
        """Share of peers below, ties counting half."""
        if value is None or not len(self.values):
            return None
        low = np.searchsorted(self.values, value, side="left")
        high = np.searchsorted(self.values, value, side="right")
        return float(low + high) / 2 / len(self.values)


@dataclass
class _Peers:
    """Peer values by group and feature, sorted once and kept."""

    frame: pd.DataFrame
    rows: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    kept: dict[tuple[str, str, str], _Group] = field(default_factory=dict)

    def of(self, row: pd.Series, name: str, value: float | None) -> tuple[_Group, str, float | None]:
        """Narrowest group with enough known peers: peer group, visit type, everyone."""
        group, label = _Group(np.zeros(0)), _EVERYONE
        if name in self.frame.columns:
            for column in ("peer_group", "visit_type", ""):
                if column and (column not in self.frame.columns or _missing(row[column])):
                    continue
                label = str(row[column]) if column else _EVERYONE
                group = self._group(column, label, name)
                if group.rows >= FEWEST_PEERS:
                    break
        return group, label, group.percentile(value)

    def _group(self, column: str, label: str, name: str) -> _Group:
        key = (column, label, name)
        if key not in self.kept:
            values = self.frame[name].to_numpy(dtype=float)[self._rows(column, label)]
            self.kept[key] = _Group(np.sort(values[np.isfinite(values)]))
        return self.kept[key]

    def _rows(self, column: str, label: str) -> np.ndarray:
        if (column, label) not in self.rows:
            every = np.arange(len(self.frame))
            inside = every if not column else np.flatnonzero((self.frame[column] == label).to_numpy())
            self.rows[(column, label)] = inside
        return self.rows[(column, label)]


class _Past:
    """A subject's own earlier value of a feature: the latest known before the row's month.

    A claim's features are compared with the patient's earlier claims (their median in the latest
    earlier month); an entity's with its own row of the latest earlier month.
    """

    def __init__(self, history: pd.DataFrame | None, target: str) -> None:
        self.history = history
        self.target = target
        self.rows: dict[str, dict[Any, np.ndarray]] = {}

    def of(self, row: pd.Series, name: str, entity: str) -> float | None:
        """Earlier value, or None."""
        if self.history is None or name not in self.history.columns or not len(self.history):
            return None
        column = "patient_id" if entity == "claim" else f"{entity}_id"
        if column not in self.history.columns or column not in row.index or _missing(row[column]):
            return None
        at = self._by(column).get(row[column])
        if at is None:
            return None
        months = self.history["month"].to_numpy()[at]
        values = self.history[name].to_numpy(dtype=float)[at]
        usable = (months < row["month"]) & np.isfinite(values)
        if not usable.any():
            return None
        return float(np.median(values[usable & (months == months[usable].max())]))

    def _by(self, column: str) -> dict[Any, np.ndarray]:
        if column not in self.rows:
            assert self.history is not None
            self.rows[column] = self.history.groupby(column, sort=False).indices
        return self.rows[column]
