"""Features of a scored month as scoring, ranking and reasons see them: on disk, read as little as needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from fraud.detectors.frames import KEYS
from fraud.detectors.parts import score_parts
from fraud.detectors.scorer import Scorer
from fraud.engines import Engine, part_files
from fraud.explain import Columns, ParquetColumns


@dataclass
class MonthFeatures:
    """Feature tables of a month and of those before it that scoring looks at.

    Attributes
    ----------
    engine : Engine
        Scores are computed by it.
    paths : mapping of str to Path
        Kind of subject → Parquet.
    month : int
    months : range
        The month and those before it.
    """

    engine: Engine
    paths: Mapping[str, Path]
    month: int
    months: range
    _tables: dict[tuple[str, range], ParquetColumns] = field(default_factory=dict)
    _first: dict[str, pd.DataFrame] = field(default_factory=dict)

    def reaching(self, months: range) -> "MonthFeatures":
        """The same month beside other months; tables that are open already are not opened again."""
        return replace(self, months=months, _first={})

    def now(self, kind: str) -> ParquetColumns:
        """The month's rows, sorted by subject."""
        return self._table(kind, earlier=False)

    def before(self, kind: str) -> ParquetColumns:
        """Rows of the months before, sorted by month and subject."""
        return self._table(kind, earlier=True)

    def keys(self, kind: str) -> pd.DataFrame:
        """The month's rows without their features: who, where, when and how much, as `now` is sorted."""
        rows = self.now(kind)
        return rows[[n for n in rows.columns if n in KEYS]]

    def scores(self, kind: str, scorer: Scorer) -> pd.DataFrame:
        """Scores of the month's rows (see `Scorer.score`), as `now` is sorted."""
        months = list(self.months) if scorer.needs_context else [self.month]
        scored = score_parts(self.engine, self.paths[kind], scorer, months)
        if scorer.needs_context:
            self._first[kind] = scored[["month", "first_stage"]]
        return scored[scored["month"] == self.month].reset_index(drop=True)

    def whole(self, kind: str, scorer: Scorer) -> tuple[Columns, Columns | None]:
        """The month and the months before as reasons need them; in memory for a second stage."""
        if not scorer.needs_context:
            return self.now(kind), self.before(kind)
        frames = []
        for table, earlier in ((self.now(kind), False), (self.before(kind), True)):
            first = self._first[kind]
            own = first.loc[(first["month"] < self.month) == earlier, "first_stage"].to_numpy()
            frames.append(table[list(table.columns)].assign(first_stage=own))
        return frames[0], frames[1]

    def _table(self, kind: str, earlier: bool) -> ParquetColumns:
        months = range(self.months.start, self.month) if earlier else range(self.month, self.months.stop)
        if (kind, months) not in self._tables:
            self._tables[(kind, months)] = ParquetColumns(part_files(self.paths[kind]), months)
        return self._tables[(kind, months)]
