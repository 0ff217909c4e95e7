"""Rows of a table by a key, kept in columns: a part of them becomes Python rows when it is asked for."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Rows = list[dict[str, Any]]


class Keyed:
    """A table sorted by a key, its rows in the table's order within a key; rows without a key are left out.

    Parameters
    ----------
    table : pyarrow.Table
    key : str
        A column of strings.
    """

    def __init__(self, table: pa.Table, key: str) -> None:
        text = table.column_names.index(key)
        table = table.set_column(text, key, table[key].cast(pa.string()))
        table = table.filter(pc.is_valid(table[key]))
        table = table.take(pc.sort_indices(table, [(key, "ascending")])).combine_chunks()
        self.table, self.key = table, key
        coded = table[key].combine_chunks().dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):
            coded = coded.combine_chunks()
        self._keys = coded.dictionary
        codes = np.asarray(coded.indices)
        self._starts = np.searchsorted(codes, np.arange(len(self._keys) + 1))

    def rows(self, keys: Iterable[str]) -> dict[str, Rows]:
        """Rows of some keys; a key that has none is left out.

        Examples
        --------
        >>> Keyed(pa.table({"k": ["b", "a", "b"], "n": [1, 2, 3]}), "k").rows(["b", "c"])
        {'b': [{'k': 'b', 'n': 1}, {'k': 'b', 'n': 3}]}
        """
        asked = list(dict.fromkeys(keys))
        places = pc.index_in(pa.array(asked, pa.string()), value_set=self._keys).to_pylist()
        known = [(key, place) for key, place in zip(asked, places, strict=True) if place is not None]
        if not known:
            return {}
        ranges = [(int(self._starts[p]), int(self._starts[p + 1])) for _, p in known]
        part = self.table.take(np.concatenate([np.arange(a, b) for a, b in ranges])).to_pylist()
        found, at = {}, 0
        for (key, _), (a, b) in zip(known, ranges, strict=True):
            found[key] = part[at : at + b - a]
            at += b - a
        return found
