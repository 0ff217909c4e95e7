"""Rows of a feature table for training: keys in memory, features in one float32 matrix, here or on disk.

Twelve months of a province are tens of gigabytes of features. Training needs all of them only to be
scored, piece by piece, and a few thousand at a time to grow trees; so the matrix may be a file.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as pads

from fraud.detectors.frames import KEYS, feature_columns, matrix_of

STEP = 20_000
"""Rows looked at together: copies of them stay small."""


@dataclass(frozen=True)
class Rows:
    """Rows to train on.

    Attributes
    ----------
    keys : DataFrame
        Columns that are no features (ids, month), in the order of the matrix.
    features : tuple of str
        Columns of the matrix.
    matrix : ndarray of float32, shape (rows, features)
        NaN where unknown; may be a `numpy.memmap`.
    """

    keys: pd.DataFrame
    features: tuple[str, ...]
    matrix: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(cls, frame: pd.DataFrame, features: tuple[str, ...]) -> "Rows":
        """Take apart a feature table that is in memory."""
        return cls(frame.drop(columns=list(features)), features, matrix_of(frame, features))

    @classmethod
    def read(
        cls,
        files: list[str],
        months: list[int],
        matrix: Path,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
    ) -> "Rows":
        """Read months of a feature table, sorted by month and subject, into a matrix on disk.

        Parameters
        ----------
        files : list of str
            Parquet files of the table.
        months : list of int
        matrix : Path
            File to write; it must outlive the rows.
        include, exclude : tuple of str
            The experiment's choice of features.

        Raises
        ------
        UsageError
            `include` or `exclude` names a column the table does not have, or nothing is left.
        """
        table = pads.dataset(files)
        features = feature_columns(table.schema.empty_table().to_pandas(), include, exclude)
        chosen = pads.field("month").isin(months)
        names = [n for n in table.schema.names if n in KEYS]
        keys = table.to_table(columns=names, filter=chosen).to_pandas()
        subject = next(n for n in names if n.endswith("_id"))
        keys = keys.sort_values(["month", subject], kind="stable")
        place = np.empty(len(keys), dtype=np.int64)  # of each row of the files in the sorted matrix
        place[keys.index.to_numpy()] = np.arange(len(keys))
        values = np.memmap(matrix, np.float32, "w+", shape=(max(len(keys), 1), len(features)))[: len(keys)]
        done = 0
        for batch in table.to_batches(columns=list(features), filter=chosen, batch_size=STEP):
            values[place[done : done + batch.num_rows]] = matrix_of(batch.to_pandas(), features)
            done += batch.num_rows
            release(values)
        return cls(keys.reset_index(drop=True), features, values)

    def frame(self, rows: np.ndarray) -> pd.DataFrame:
        """Some rows as a feature table."""
        values = pd.DataFrame(taken(self.matrix, rows), columns=list(self.features))
        return pd.concat([self.keys.iloc[rows].reset_index(drop=True), values], axis=1)


def pieces(matrix: np.ndarray, step: int = STEP) -> Iterator[np.ndarray]:
    """A matrix piece by piece; of one on disk, no more than a piece is held in memory."""
    for start in range(0, len(matrix), step):
        yield matrix[start : start + step]
        release(matrix)


def taken(matrix: np.ndarray, rows: np.ndarray, step: int = STEP) -> np.ndarray:
    """Copy some rows of a matrix; of one on disk, no more than a piece is held in memory beside the copy."""
    out = np.empty((len(rows), matrix.shape[1]), matrix.dtype)
    for start in range(0, len(rows), step):
        out[start : start + step] = matrix[rows[start : start + step]]
        release(matrix)
    return out


def release(matrix: np.ndarray) -> None:
    """Give back the memory of pages read or written of a matrix on disk; they stay in its file."""
    base: object = matrix
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
