"""Files, workbooks and database tables → Parquet of text columns, the rows in their order.

Nothing is interpreted here: every value becomes the text it was, in columns ``c0``, ``c1``… (the
header names are kept beside), so that leading zeros live and one place does all the parsing.
"""

import bisect
import datetime
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from fraud.errors import DataError
from fraud.ingest.files import Piece
from fraud.ingest.profile import Source
from fraud.ingest.store import Store, quoted
from fraud.ingest.text import Broken, Dialect, detect_dialect, repair, to_utf8

if TYPE_CHECKING:
    from sqlalchemy import Engine

_BATCH = 50_000
# What DuckDB calls a record that may have swallowed others: those files are read again, line by line.
_SWALLOWED = ("UNQUOTED VALUE", "LINE SIZE OVER MAXIMUM")
_REASONS = {
    "MISSING COLUMNS": "wrong number of fields",
    "TOO MANY COLUMNS": "wrong number of fields",
    "INVALID ENCODING": "characters that are not valid in the file's encoding",
    "INVALID STATE": "quotes in the wrong place",
}


@dataclass
class Read:
    """One piece as Parquet.

    Attributes
    ----------
    names : tuple of str
        Header names, in the order of ``c0``, ``c1``…
    first : int
        Number of the first row, as a person looking at the file counts (2 below a header).
    broken : list of Broken
        Records that are no rows.
    lost : int
        Characters that could not be decoded.
    number : int
        Of the file among all that were read; ``_file`` of its rows.
    """

    piece: Piece
    path: Path
    names: tuple[str, ...]
    first: int
    broken: list[Broken] = field(default_factory=list)
    lost: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        # how many good rows stand before each broken one
        self._before = [b.row - self.first - i for i, b in enumerate(self.broken)]

    def row_number(self, place: int) -> int:
        """Return the number of the row at `place` (from 0) among the good ones, as a person counts."""
        return place + self.first + bisect.bisect_right(self._before, place)


def read_piece(store: Store, piece: Piece, source: Source, out: Path, engine: "Engine | None" = None) -> Read:
    """Read a piece; see the module.

    Raises
    ------
    DataError
        The piece is empty or cannot be read at all.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if piece.kind == "text":
        return _read_text(store, piece, source, out)
    if piece.kind == "parquet":
        return _read_parquet(store, piece, out)
    if piece.kind == "workbook":
        rows = _workbook_rows(piece)
        names = next(rows, None)
        if not names:
            raise DataError(f"{piece.label}: the sheet is empty.")
        return _write_rows(piece, names, rows, out, first=2)
    if engine is None:
        raise DataError(f"{piece.label}: no database to read it from.")
    return _read_database(engine, piece, out)


def _read_text(store: Store, piece: Piece, source: Source, out: Path) -> Read:
    if piece.path.stat().st_size == 0:
        raise DataError(f"{piece.label}: the file is empty. Export it again, with its header line.")
    try:
        dialect = detect_dialect(piece.path, source.encoding, source.delimiter)
    except LookupError:
        raise DataError(f"{piece.label}: there is no encoding called {source.encoding}.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise DataError(f"{piece.label}: the archive is cut off or damaged. Copy it again.") from None
    if not dialect.header:
        raise DataError(f"{piece.label}: the file is empty. Export it again, with its header line.")
    path, lost = piece.path, 0
    if dialect.encoding != "utf-8":
        path = out.with_suffix(".utf8")
        lost = to_utf8(piece.path, dialect.encoding, path)
    broken = _duck_csv(store, path, dialect, out)
    if broken is None:
        repaired = out.with_suffix(".repaired")
        broken = repair(path, dialect.delimiter, len(dialect.header), repaired)
        more = _duck_csv(store, repaired, dialect, out)
        if more:
            raise DataError(
                f"{piece.label}: quotes are broken in {len(broken) + len(more)} rows and it cannot be read. "
                "Export it again with every text quoted."
            )
        repaired.unlink()
    if path != piece.path:
        path.unlink()
    return Read(piece, out, dialect.header, 2, broken, lost)


def _duck_csv(store: Store, path: Path, dialect: Dialect, out: Path) -> list[Broken] | None:
    """Read CSV into Parquet; None where a broken quote may have swallowed rows."""
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(dialect.header)))
    store.connection.execute("DROP TABLE IF EXISTS fraud_rejects; DROP TABLE IF EXISTS fraud_scans")
    store.parquet(
        f"SELECT * FROM read_csv({store.value(str(path))}, auto_detect = false, header = true, "
        f"delim = {store.value(dialect.delimiter)}, quote = '\"', escape = '\"', columns = {{{columns}}}, "
        "store_rejects = true, rejects_table = 'fraud_rejects', rejects_scan = 'fraud_scans')",
        out,
    )
    rejects = store.rows(
        "SELECT line, min(CAST(error_type AS VARCHAR)) FROM fraud_rejects GROUP BY line ORDER BY line"
    )
    if any(kind in _SWALLOWED for _, kind in rejects):
        return None
    return [Broken(int(line), _REASONS.get(kind, kind.lower())) for line, kind in rejects]


def _read_parquet(store: Store, piece: Piece, out: Path) -> Read:
    try:
        schema = pq.read_schema(piece.path)
    except pa.ArrowInvalid:
        raise DataError(f"{piece.label}: not a Parquet file.") from None
    fields = []
    for i, column in enumerate(schema):
        name = quoted(column.name)
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            fields.append(f"array_to_string({name}, '|') AS c{i}")
        else:
            fields.append(f"CAST({name} AS VARCHAR) AS c{i}")
    store.parquet(f"SELECT {', '.join(fields)} FROM read_parquet({store.value(str(piece.path))})", out)
    return Read(piece, out, tuple(schema.names), 1)


def sheet_names(path: Path) -> list[str]:
    """Sheets of a workbook."""
    return _workbook(path).sheet_names


def _workbook(path: Path) -> Any:
    import python_calamine

    try:
        return python_calamine.CalamineWorkbook.from_path(path)
    except (python_calamine.CalamineError, OSError) as error:
        raise DataError(f"{path.name}: not a workbook that can be read ({type(error).__name__}).") from None


def _workbook_rows(piece: Piece) -> Iterator[Sequence[Any]]:
    workbook = _workbook(piece.path)
    if piece.sheet and piece.sheet not in workbook.sheet_names:
        raise DataError(
            f"{piece.label}: there is no sheet {piece.sheet}. It has: {', '.join(workbook.sheet_names)}."
        )
    sheet = workbook.get_sheet_by_name(piece.sheet or workbook.sheet_names[0])
    return iter(sheet.iter_rows())


def cell_text(value: Any) -> str | None:
    """Text of a spreadsheet or database value: whole numbers without a fraction, times in ISO form.

    >>> cell_text(12.0), cell_text(0.5), cell_text(datetime.date(2026, 11, 21)), cell_text(None)
    ('12', '0.5', '2026-11-21', None)
    """
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def _write_rows(
    piece: Piece, names: Sequence[Any], rows: Iterable[Sequence[Any]], out: Path, first: int
) -> Read:
    from fraud.ingest.text import unique_names

    header = unique_names([cell_text(n) or "" for n in names])
    schema = pa.schema([(f"c{i}", pa.string()) for i in range(len(header))])
    with pq.ParquetWriter(out, schema, compression="lz4") as writer:
        batch: list[Sequence[Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) >= _BATCH:
                writer.write_batch(_batch(batch, schema))
                batch = []
        writer.write_batch(_batch(batch, schema))
    return Read(piece, out, header, first)


def _batch(rows: list[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    width = len(schema)
    columns = [
        pa.array([cell_text(r[i]) if i < len(r) else None for r in rows], pa.string()) for i in range(width)
    ]
    return pa.record_batch(columns, schema=schema)


def _read_database(engine: "Engine", piece: Piece, out: Path) -> Read:
    import sqlalchemy

    try:
        table = sqlalchemy.Table(
            piece.table, sqlalchemy.MetaData(), schema=piece.schema, autoload_with=engine
        )
        query = sqlalchemy.select(table).order_by(*table.primary_key.columns)
        with engine.connect().execution_options(stream_results=True, yield_per=_BATCH) as connection:
            rows = connection.execute(query)
            return _write_rows(piece, list(rows.keys()), (tuple(r) for r in rows), out, first=1)
    except sqlalchemy.exc.SQLAlchemyError as error:
        # a driver's own message may hold the URL, the host or a value: only its kind is passed on
        raise DataError(f"{piece.label}: the database could not be read ({type(error).__name__}).") from None
