"""The DuckDB session ingest works in, and the words of SQL it adds.

Everything after ingest runs through `fraud.engines`. Ingest opens its own connection because its work
is about text, not about the contract: reading CSV with rejected rows, parsing dates and amounts,
hashing identifiers. No value ever becomes part of a statement: values travel as session variables
(`Store.value`) and source columns are renamed ``c0``, ``c1``… when they are read.
"""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.engines import connect
from fraud.errors import EngineError
from fraud.settings import EngineSettings

if TYPE_CHECKING:
    import duckdb

# Every macro takes clean text (`cleaned`) and gives NULL for what it cannot read. Casts are guarded by a
# first digit because DuckDB also reads words such as "infinity" and "epoch". The frequent forms come
# first: a CASE computes the later branches for the rows that reach them only.
_MACROS = (
    # plain trim with the characters named is three times as fast as a regular expression
    r"""CREATE MACRO fraud_trim(t) AS
        trim(t, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(160) || chr(12288)
                || chr(65279))""",
    r"""CREATE MACRO fraud_null(t) AS
        CASE WHEN t IN ('', 'NULL', 'null', 'None', 'NaN', 'nan', 'NAN', 'NaT', '<NA>', '\N', 'N/A', '#N/A')
             THEN NULL ELSE t END""",
    r"""CREATE MACRO fraud_digits(t) AS regexp_replace(t, '\.0$', '')""",
    r"""CREATE MACRO fraud_pad(t, width) AS
        CASE WHEN regexp_full_match(t, '[0-9]+(\.0)?') THEN lpad(
             fraud_digits(t), CAST(greatest(width, length(fraud_digits(t))) AS INTEGER), '0') ELSE t END""",
    # 年月日 and other separators become ISO ones
    r"""CREATE MACRO fraud_iso(t) AS
        rtrim(regexp_replace(
            translate(replace(replace(replace(t, '年', '-'), '月', '-'), '日', ' '), './时点分秒', '--::: '),
            '\s+', ' ', 'g'), ' :')""",
    r"""CREATE MACRO fraud_serial(t) AS
        CASE WHEN try_cast(t AS DOUBLE) BETWEEN 20000 AND 80000
             THEN TIMESTAMP '1899-12-30' + to_seconds(round(try_cast(t AS DOUBLE) * 86400)) END""",
    r"""CREATE MACRO fraud_odd_time(t) AS
        CASE WHEN regexp_full_match(t, '\d{8}') THEN try_strptime(t, '%Y%m%d')
             WHEN regexp_full_match(t, '\d{14}(\.0+)?') THEN try_strptime(t[1:14], '%Y%m%d%H%M%S')
             WHEN regexp_full_match(t, '\d{12}') THEN try_strptime(t, '%Y%m%d%H%M')
             WHEN regexp_full_match(t, '\d{8} \d{1,2}:\d{1,2}(:\d{1,2})?')
               THEN try_strptime(t, ['%Y%m%d %H:%M:%S', '%Y%m%d %H:%M'])
             WHEN regexp_full_match(t, '\d{5}(\.\d+)?') THEN fraud_serial(t)
             WHEN regexp_full_match(fraud_iso(t), '\d{4}-\d{1,2}-\d{1,2}( .*)?')
               THEN try_cast(fraud_iso(t) AS TIMESTAMP) END""",
    r"""CREATE MACRO fraud_timestamp(t) AS
        CASE WHEN t >= '0' AND t < ':' THEN
             CASE WHEN t[5] IN ('-', '/') THEN coalesce(try_cast(t AS TIMESTAMP), fraud_odd_time(t))
                  ELSE fraud_odd_time(t) END END""",
    r"""CREATE MACRO fraud_date(t) AS CAST(fraud_timestamp(t) AS DATE)""",
    r"""CREATE MACRO fraud_money_text(t) AS
        CASE WHEN regexp_full_match(t, '\(.*\)') THEN '-' || t[2:-2] ELSE t END""",
    r"""CREATE MACRO fraud_amount(t) AS
        coalesce(try_cast(t AS DECIMAL(16,2)),
                 try_cast(fraud_money_text(translate(t, ',，¥￥$元 ', '')) AS DECIMAL(16,2)))""",
    r"""CREATE MACRO fraud_float(t) AS
        CASE WHEN isfinite(try_cast(translate(t, ',，', '') AS DOUBLE))
             THEN try_cast(translate(t, ',，', '') AS DOUBLE) END""",
    r"""CREATE MACRO fraud_int(t) AS
        CASE WHEN fraud_float(t) = round(fraud_float(t)) THEN try_cast(fraud_float(t) AS BIGINT) END""",
    r"""CREATE MACRO fraud_bool(t) AS
        CASE WHEN lower(t) IN ('1', 'true', 't', 'yes', 'y', '是', '1.0') THEN TRUE
             WHEN lower(t) IN ('0', 'false', 'f', 'no', 'n', '否', '0.0') THEN FALSE END""",
    r"""CREATE MACRO fraud_list(t) AS
        list_filter(list_transform(string_split_regex(trim(t, '[]'), '[,;|、；，]'),
                                   lambda x: trim(x, ' ''"')), lambda x: x <> '')""",
    r"""CREATE MACRO fraud_keyed(t, kind, prefix, inner_pad, outer_pad) AS
        prefix || sha256(outer_pad || unhex(sha256(inner_pad || encode(kind || chr(31) || t))))[1:24]""",
    r"""CREATE MACRO fraud_placeholder(t) AS
        regexp_full_match(t, '0{2,}|9{4,}|[-/.*?#_]+|无|未知|不详|空|暂无|其他|其它|\x{FFFD}+')""",
)


class Store:
    """A DuckDB session within the memory limit, spilling into `work`."""

    def __init__(self, settings: EngineSettings, work: Path) -> None:

        self.work = work
        self.memory_limit = settings.memory_limit
        self._variables = 0
        self.connection = connect(settings, work)
        for macro in _MACROS:
            self.connection.execute(macro)

    def value(self, value: Any) -> str:
        """Return SQL that stands for a value: a session variable, never part of a statement."""
        name = f"v{self._variables}"
        self._variables += 1
        self.connection.execute(f"SET VARIABLE {name} = ?", [value])
        return f"getvariable('{name}')"

    def mapping(self, pairs: Sequence[tuple[str, str]]) -> str:
        """Return SQL that stands for a map of text to text."""
        keys, values = self.value([k for k, _ in pairs]), self.value([v for _, v in pairs])
        name = f"v{self._variables}"
        self._variables += 1
        self.connection.execute(f"SET VARIABLE {name} = map({keys}, {values})")
        return f"getvariable('{name}')"

    def sql(self, statement: str) -> "duckdb.DuckDBPyRelation":
        """Relation of a statement."""
        return self.connection.sql(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a small result."""
        return self.connection.execute(statement).fetchall()

    def row(self, statement: str) -> dict[str, Any]:
        """First row of a result, by column name."""
        result = self.connection.execute(statement)
        names = [d[0] for d in result.description or []]
        return dict(zip(names, result.fetchone() or (), strict=True))

    def parquet(self, statement: str, path: Path) -> Path:
        """Write a statement's rows to `path`, in their order."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.sql(statement).write_parquet(str(path), compression="lz4")
        return path

    def view(self, name: str, statement: str) -> None:
        """Name a statement."""
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {statement}")

    def close(self) -> None:
        """Release the session."""
        self.connection.close()


def cleaned(select: str, columns: Sequence[str], others: str) -> str:
    """Statement that trims text columns and empties what means nothing: '', NULL, NaN, N/A….

    In two floors, because an expression used twice in one floor is computed twice.
    """
    trimmed = ", ".join(f"fraud_trim({c}) AS {c}" for c in columns)
    nulled = ", ".join(f"fraud_null({c}) AS {c}" for c in columns)
    return f"SELECT {nulled}, {others} FROM (SELECT {trimmed}, {others} FROM ({select}))"


def quoted(name: str) -> str:
    """Quote an identifier.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def storage_errors(where: Path, memory_limit: str) -> Iterator[None]:
    """Turn a full disk, a lost file or too little memory into an `EngineError` that says what to do."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        text = str(error).splitlines()[0]
        raise EngineError(
            f"ingest into {where}: {text}. Nothing was written. Free disk there (ingest needs about three "
            f"times the size of the source) or raise [engine] memory_limit (now {memory_limit})."
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES):
            raise
        raise EngineError(
            f"ingest into {where}: {error.strerror}. Nothing was written. Free disk there (ingest needs "
            "about three times the size of the source) or choose another folder."
        ) from error
