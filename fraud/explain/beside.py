"""What a value is seen beside: the same feature of peers, and of the subject's own past.

Features are read a few columns at a time and only figures are kept, so that a month of any size fits.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow.dataset as pads

# peers below this number are too few to compare with; a wider group is taken
FEWEST_PEERS = 30
EVERYONE = "all"
HELD = 2**27
"""Bytes of feature columns looked at together."""

Pairs = Mapping[str, Sequence[int]]
"""Feature → positions of the listed rows that it is wanted for."""


class Columns(Protocol):
    """A feature table that is read by columns, such as a DataFrame."""

    @property
    def columns(self) -> Any:
        """Names."""
        ...

    def __len__(self) -> int: ...

    def __contains__(self, name: Any) -> bool: ...

    def __getitem__(self, names: Any) -> Any: ...


class ParquetColumns:
    """Months of a feature table on disk, sorted by month and subject; a small one is read at once.

    Parameters
    ----------
    files : list of str
        Parquet files of the table.
    months : sequence of int
        Rows of these months only.
    """

    def __init__(self, files: list[str], months: Sequence[int]) -> None:
        self._table = pads.dataset(files)
        self._wanted = pads.field("month").isin(list(months))
        self.columns: list[str] = list(self._table.schema.names)
        self._sorting = ["month", next(n for n in self.columns if n.endswith("_id"))]
        keys = self._read(self._sorting).sort_values(self._sorting, kind="stable")
        self._order = keys.index.to_numpy()
        small = 8 * len(keys) * len(self.columns) <= HELD
        self._whole = self._sorted(self.columns) if small else None

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, name: Any) -> bool:
        return name in self.columns

    def __getitem__(self, names: Any) -> Any:
        """Columns as a DataFrame, one as a Series; every time in the same order of rows."""
        if self._whole is not None:
            return self._whole[names]
        return self._sorted([names])[names] if isinstance(names, str) else self._sorted(list(names))

    def rows(self, column: str, wanted: Collection[Any]) -> pd.DataFrame:
        """Whole rows whose value in a column is one of some, in order."""
        if self._whole is not None:
            return self._whole[self._whole[column].isin(wanted)].reset_index(drop=True)
        some = self._wanted & pads.field(column).isin(sorted(wanted))
        frame = self._table.to_table(filter=some).to_pandas()
        return frame.sort_values(self._sorting, kind="stable", ignore_index=True)

    def _read(self, names: list[str]) -> pd.DataFrame:
        return self._table.to_table(columns=names, filter=self._wanted).to_pandas()

    def _sorted(self, names: list[str]) -> pd.DataFrame:
        return self._read(names).iloc[self._order].reset_index(drop=True)


@dataclass(frozen=True)
class Beside:
    """Peers of one value.

    Attributes
    ----------
    label : str
        Narrowest group with enough known peers: peer group, visit type, everyone.
    rows : int
        Peers whose value is known.
    median : float or None
    percentile : float or None
        Share of peers below the value, ties counting half; None where it or theirs are unknown.
    """

    label: str = EVERYONE
    rows: int = 0
    median: float | None = None
    percentile: float | None = None


def peers(month: Columns, listed: pd.DataFrame, pairs: Pairs) -> dict[tuple[int, str], Beside]:
    """Peers of listed rows, by row and feature.

    Parameters
    ----------
    month : Columns
        All rows of the scored month, with peer_group and visit_type where there are such.
    listed : DataFrame
        Rows explained.
    pairs : Pairs
        Features that `month` does not have are left out.
    """
    kinds = [c for c in ("peer_group", "visit_type") if c in month.columns]
    groups = _Groups(month, listed, kinds)
    out = {}
    for name, values in _values(month, [n for n in pairs if n in month.columns]):
        known: dict[tuple[str, str], np.ndarray] = {}
        own = listed[name].to_numpy(dtype=float)
        for i in pairs[name]:
            out[(i, name)] = groups.beside(i, values, float(own[i]), known)
    return out


class _Groups:
    """Which rows of the month are the peers of each listed row, from narrow to wide."""

    def __init__(self, month: Columns, listed: pd.DataFrame, kinds: list[str]) -> None:
        labels = month[kinds] if kinds else pd.DataFrame(index=range(len(month)))
        self.of: list[list[tuple[str, str]]] = [[] for _ in range(len(listed))]
        self.rows: dict[tuple[str, str], Any] = {("", EVERYONE): slice(None)}
        for kind in kinds:
            wanted = listed[kind].to_numpy()
            places = labels.groupby(kind, sort=False).indices
            for i, label in enumerate(wanted):
                if not missing(label):
                    self.of[i].append((kind, str(label)))
                    self.rows[(kind, str(label))] = places.get(label, np.zeros(0, np.int64))
        for own in self.of:
            own.append(("", EVERYONE))

    def beside(
        self, i: int, values: np.ndarray, own: float, known: dict[tuple[str, str], np.ndarray]
    ) -> Beside:
        """Narrowest group of row `i` with enough known values; `known` keeps them sorted."""
        for key in self.of[i]:
            if key not in known:
                some = values[self.rows[key]]
                known[key] = np.sort(some[np.isfinite(some)])
            if len(known[key]) >= FEWEST_PEERS:
                break
        group = known[key]
        if not len(group):
            return Beside(key[1])
        below = None
        if np.isfinite(own):
            low, high = (np.searchsorted(group, own, side) for side in ("left", "right"))
            below = float(low + high) / 2 / len(group)
        return Beside(key[1], len(group), float(np.median(group)), below)


def past(
    history: Columns | None, listed: pd.DataFrame, pairs: Pairs, entities: Mapping[str, str]
) -> dict[tuple[int, str], float]:
    """A subject's own earlier value of a feature: the latest known before the row's month.

    A claim's features are compared with the patient's earlier claims (their median in the latest
    earlier month); an entity's with its own row of the latest earlier month.

    Parameters
    ----------
    history : Columns or None
        Rows of the months before.
    listed : DataFrame
        Rows explained.
    pairs : Pairs
    entities : mapping of str to str
        Feature → claim, patient, doctor, department or institution.

    Returns
    -------
    dict
        By row and feature; absent where nothing is known.
    """
    if history is None or not len(history):
        return {}
    own = {n: "patient_id" if entities[n] == "claim" else f"{entities[n]}_id" for n in pairs}
    names = [n for n in pairs if {n, own[n]} <= set(history.columns) and own[n] in listed]
    months = history[["month"]]["month"].to_numpy()
    places = {column: _places(history, listed, column) for column in sorted({own[n] for n in names})}
    now = listed["month"].to_numpy()
    out = {}
    for name, values in _values(history, names):
        subjects = listed[own[name]].to_numpy()
        for i in pairs[name]:
            at = None if missing(subjects[i]) else places[own[name]].get(subjects[i])
            if at is None:
                continue
            usable = at[(months[at] < now[i]) & np.isfinite(values[at])]
            if len(usable):
                latest = months[usable] == months[usable].max()
                out[(i, name)] = float(np.median(values[usable[latest]]))
    return out


def _places(history: Columns, listed: pd.DataFrame, column: str) -> dict[Any, np.ndarray]:
    """Where the listed subjects stand in the history."""
    ids = history[[column]][column]
    known = np.flatnonzero(ids.isin(listed[column].dropna().unique()).to_numpy())
    found = ids.iloc[known].reset_index(drop=True)
    return {k: known[at] for k, at in found.groupby(found, sort=False).indices.items()}


def _values(table: Columns, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Values of columns, few of which are in memory at a time."""
    step = max(1, HELD // max(8 * len(table), 1))
    for start in range(0, len(names), step):
        block = table[list(names[start : start + step])]
        for name in block.columns:
            yield str(name), block[name].to_numpy(dtype=float, na_value=np.nan)


def missing(value: Any) -> bool:
    """Whether a cell holds nothing that can be told."""
    return value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value))
