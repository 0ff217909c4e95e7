"""What every engine does: registers a dataset's tables, runs expressions, records their SQL."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from fraud.errors import DataError
from fraud.schema import ENGINE_TYPES, TABLES, Table
from fraud.settings import EngineSettings

if TYPE_CHECKING:
    import ibis.expr.types as ir


Batches = Iterator[pa.RecordBatch]


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
    return [str(path)] if path.is_file() else sorted(str(p) for p in path.rglob("*.parquet") if p.is_file())


class Engine(ABC):
    """Runs expressions over registered tables.

    Attributes
    ----------
    present : dict of str to set of str
        Columns each registered contract table really has (the others are NULL).
    statements : list of (str, str)
        Name and SQL of everything that ran, for the manifest.
    queries : list of dict
        What each query cost, in the order they ran: `fraud.engines.profile.query`; of Spark name and
        seconds only.
    """

    dialect: str

    def __init__(self, settings: EngineSettings, work: Path) -> None:
        self.settings = settings
        self.work = work
        self.present: dict[str, set[str]] = {}
        self.statements: list[tuple[str, str]] = []
        self.queries: list[dict[str, Any]] = []
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

    def materialize_parts(self, name: str, expressions: Iterable["ir.Table"]) -> Path:
        """As `materialize`, of a table that is computed part by part: a folder of their files."""
        folder = self.work / f"{name}.parquet"
        if folder.is_dir():
            shutil.rmtree(folder)
        folder.mkdir()
        for number, expression in enumerate(expressions):
            self.to_parquet(expression, folder / f"part-{number:05}.parquet", name=f"{name}_{number}")
        self.register(name, folder)
        return folder

    def compile(self, expression: "ir.Table", name: str = "") -> str:
        """SQL of an expression in this engine's dialect; recorded under `name`."""
        import ibis

        sql = str(ibis.to_sql(expression, dialect=self.dialect))
        self.statements.append((name, sql))
        return sql

    @property
    def threads(self) -> int:
        """Threads that a function given to `map_batches` may use."""
        return self.settings.threads

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
    def map_batches(
        self,
        path: Path,
        columns: Sequence[str],
        function: Callable[[Batches], Batches],
        schema: pa.Schema,
        months: Sequence[int] | None = None,
        name: str = "",
    ) -> pa.Table:
        """Run a function over the rows of a Parquet table, part by part, and collect what it yields.

        Parameters
        ----------
        path : Path
            A file or a folder of parts.
        columns : sequence of str
            Columns the function is given.
        function : callable
            From record batches to record batches of `schema`; a function of a module, or a
            `functools.partial` of one over plain values, that keeps nothing between calls: Spark runs it
            once for each part, in other processes and possibly again. Few rows of little should come
            back: they are collected.
        schema : pyarrow.Schema
            Of what the function yields.
        months : sequence of int, optional
            Only rows whose ``month`` is one of these.
        name : str
            For messages.

        Returns
        -------
        pyarrow.Table
            In no particular order.
        """

    def release(self) -> None:  # noqa: B027 (most engines hold nothing)
        """Give back memory held for the next query, before work that needs it elsewhere."""

    @abstractmethod
    def close(self) -> None:
        """Release the engine."""

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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


def sql_text(statements: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Statements as the manifest lists them."""
    return [{"stage": name, "sql": sql} for name, sql in statements]
