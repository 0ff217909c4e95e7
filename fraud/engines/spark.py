"""Spark, local or a cluster: reads and writes Parquet, hands over Arrow, never pandas."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fraud.engines import session
from fraud.engines.base import Batches, Engine, dataset_tables, part_files
from fraud.engines.failures import told
from fraud.settings import EngineSettings

if TYPE_CHECKING:
    import ibis.expr.types as ir


class SparkEngine(Engine):
    """Spark; every machine of a cluster must see the dataset and the work folder under the same path."""

    dialect = "pyspark"

    def __init__(self, settings: EngineSettings, work: Path) -> None:
        super().__init__(settings, work)
        with told("start", settings), _quiet():
            self._session = session.start(settings, work, self)
        self._schemas: dict[Path, Any] = {}
        self._split()

    @property
    def threads(self) -> int:
        """One: a core runs a part, and the parts run at once."""
        return 1

    def open_dataset(self, folder: Path) -> None:  # noqa: D102
        self._split([f for path in dataset_tables(folder).values() for f in part_files(path)])
        super().open_dataset(folder)

    def _split(self, files: Sequence[str] = ()) -> None:
        """Choose the partitions of shuffles from now on."""
        count = session.partitions(self.settings, self._session.sparkContext.defaultParallelism, files)
        self._session.conf.set("spark.sql.shuffle.partitions", str(count))

    def register(self, name: str, path: Path) -> None:  # noqa: D102
        with told(name, self.settings):
            self._read(path).createOrReplaceTempView(name)

    def _read(self, path: Path) -> Any:
        reader = self._session.read
        if path in self._schemas:  # written here: reading the footers would be a job of its own
            reader = reader.schema(self._schemas[path])
        return reader.parquet(*part_files(path))

    def create_view(self, name: str, expression: "ir.Table") -> None:  # noqa: D102
        sql = self.compile(expression, name)
        with told(name, self.settings):
            self._session.sql(sql).createOrReplaceTempView(name)

    def to_arrow(self, expression: "ir.Table", name: str = "") -> pa.Table:  # noqa: D102
        sql = self.compile(expression, name)
        with told(name, self.settings), self._timed(name), _quiet():
            return self._session.sql(sql).toArrow()

    def to_parquet(self, expression: "ir.Table", path: Path, name: str = "") -> None:  # noqa: D102
        sql = self.compile(expression, name)
        with told(name, self.settings), self._timed(name):
            frame = self._session.sql(sql)
            frame.write.mode("overwrite").parquet(str(path))
            self._schemas[path] = frame.schema

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        """Note what a query cost; the plans are in Spark's own event log."""
        began = time.perf_counter()
        yield
        self.queries.append({"name": name, "seconds": round(time.perf_counter() - began, 3)})

    def map_batches(  # noqa: D102
        self,
        path: Path,
        columns: Sequence[str],
        function: Callable[[Batches], Batches],
        schema: pa.Schema,
        months: Sequence[int] | None = None,
        name: str = "",
    ) -> pa.Table:
        from pyspark.sql.pandas.types import from_arrow_schema

        with told(name, self.settings), _quiet():
            rows = self._read(path)
            if months is not None:
                rows = rows.where(rows["month"].isin(list(months)))
            return rows.select(*columns).mapInArrow(function, from_arrow_schema(schema)).toArrow()

    def close(self) -> None:
        """Leave the session running for the next engine of this process."""
        session.leave(self)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without pyspark's warnings about pandas, which is not used here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
