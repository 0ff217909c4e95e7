"""How two run folders of the same month differ, file by file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

COMPARED = (".parquet", ".csv", "quality.json", "drift.json")
"""Ends of the names compared; manifest and report name the engine and its SQL."""


@dataclass(frozen=True)
class Difference:
    """A file of two runs.

    Attributes
    ----------
    same_bytes : bool
    rows : tuple of int
        Of both; 0 for files that are no tables.
    values : int
        Values that differ and are no floating numbers: counts, codes, texts, amounts.
    largest : float
        Largest relative difference of floating numbers.
    """

    file: str
    same_bytes: bool
    rows: tuple[int, int] = (0, 0)
    values: int = 0
    largest: float = 0.0


def differences(one: Path, other: Path) -> list[Difference]:
    """Every compared file of both folders, sorted by name."""
    names = sorted({p.name for f in (one, other) for p in f.iterdir() if p.name.endswith(COMPARED)})
    return [_difference(one / name, other / name) for name in names]


def _difference(one: Path, other: Path) -> Difference:
    if not (one.exists() and other.exists()):
        return Difference(one.name, same_bytes=False, values=1)
    if one.read_bytes() == other.read_bytes():
        rows = pq.read_metadata(one).num_rows if one.suffix == ".parquet" else 0
        return Difference(one.name, same_bytes=True, rows=(rows, rows))
    if one.suffix != ".parquet":
        return Difference(one.name, same_bytes=False, values=1)
    a, b = pq.read_table(one), pq.read_table(other)
    rows = (len(a), len(b))
    if a.schema != b.schema or rows[0] != rows[1]:
        return Difference(one.name, same_bytes=False, rows=rows, values=max(rows))
    values, largest = 0, 0.0
    for name in a.schema.names:
        if pa.types.is_floating(a[name].type):
            largest = max(largest, _relative(a[name], b[name]))
        elif a[name].to_pylist() != b[name].to_pylist():
            values += sum(x != y for x, y in zip(a[name].to_pylist(), b[name].to_pylist(), strict=True))
    return Difference(one.name, same_bytes=False, rows=rows, values=values, largest=largest)


def _relative(one: pa.ChunkedArray, other: pa.ChunkedArray) -> float:
    """Largest relative difference; infinite where only one of two values is there."""
    if not pc.equal(one.is_null(), other.is_null()).combine_chunks().to_numpy(zero_copy_only=False).all():
        return float("inf")
    x, y = (np.nan_to_num(c.to_numpy()) for c in (one, other))
    scale = np.maximum(np.maximum(np.abs(x), np.abs(y)), 1e-300)
    return float((np.abs(x - y) / scale).max(initial=0.0))
