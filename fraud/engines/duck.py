"""DuckDB in this process: out of core, within a memory limit."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads

from fraud.engines import profile
from fraud.engines.base import Batches, Engine, part_files
from fraud.errors import EngineError
from fraud.settings import EngineSettings

if TYPE_CHECKING:
    import ibis.expr.types as ir

_BATCH_ROWS = 16_384
_IDLE = "64MB"
"""What the engine may hold while others work."""


def silence(connection: Any) -> None:
    """Turn DuckDB's own progress bar off.

    In a notebook without ipywidgets it is off already, and DuckDB refuses to hear of the setting.
    """
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()[0][0]:
        connection.execute("SET enable_progress_bar = false")


def connect(settings: EngineSettings, work: Path) -> Any:
    """DuckDB connection within the memory limit, spilling below `work`, that downloads nothing."""
    import duckdb

    spill = Path(settings.spill) if settings.spill else work / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(
        config={
            "memory_limit": settings.memory_limit,
            "threads": settings.threads,
            "temp_directory": str(spill),
            "preserve_insertion_order": True,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    silence(connection)
    return connection


class DuckEngine(Engine):
    """DuckDB in this process: out of core, within a memory limit."""

    dialect = "duckdb"

    def __init__(self, settings: EngineSettings, work: Path) -> None:
        super().__init__(settings, work)
        self._connection = connect(settings, work)
        self._connection.execute("SET enable_profiling = 'no_output'")

    def register(self, name: str, path: Path) -> None:  # noqa: D102
        self._connection.read_parquet(part_files(path)).create_view(name, replace=True)

    def create_view(self, name: str, expression: "ir.Table") -> None:  # noqa: D102
        self._connection.sql(self.compile(expression, name)).create_view(name, replace=True)

    def to_arrow(self, expression: "ir.Table", name: str = "") -> pa.Table:  # noqa: D102
        return self._run(expression, name, lambda relation: relation.to_arrow_table())

    def to_parquet(self, expression: "ir.Table", path: Path, name: str = "") -> None:  # noqa: D102
        beside = path.with_suffix(".part")
        self._run(expression, name, lambda relation: relation.write_parquet(str(beside), compression="zstd"))
        os.replace(beside, path)

    def map_batches(  # noqa: D102
        self,
        path: Path,
        columns: Sequence[str],
        function: Callable[[Batches], Batches],
        schema: pa.Schema,
        months: Sequence[int] | None = None,
        name: str = "",
    ) -> pa.Table:
        wanted = None if months is None else pads.field("month").isin(list(months))
        batches = pads.dataset(part_files(path)).to_batches(
            columns=list(columns),
            filter=wanted,
            batch_size=_BATCH_ROWS,
            # read little ahead: a batch of some 250 features is 30 MB
            batch_readahead=1,
            fragment_readahead=1,
        )
        return pa.Table.from_batches(function(iter(batches)), schema)

    def _run(self, expression: "ir.Table", name: str, read: Any) -> Any:
        import duckdb

        sql = self.compile(expression, name)
        try:
            rows = read(self._connection.sql(sql))
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise EngineError(
                f"engine duckdb, stage {name or 'query'}: {str(error).splitlines()[0]}. "
                "Free disk for spilled data, or raise [engine] memory_limit "
                f"(now {self.settings.memory_limit})."
            ) from error
        self.queries.append(profile.query(name, self._connection.get_profiling_information(format="json")))
        return rows

    def release(self) -> None:  # noqa: D102
        # buffers and the allocator's own store are given back where they no longer fit
        self._connection.execute(f"SET memory_limit = '{_IDLE}'")
        self._connection.execute(f"SET memory_limit = '{self.settings.memory_limit}'")

    def close(self) -> None:  # noqa: D102
        self._connection.close()
