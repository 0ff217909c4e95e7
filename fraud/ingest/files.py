"""Which files, sheets or database tables of a source belong to which source of a profile."""

import fnmatch
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fraud.errors import DataError, UsageError
from fraud.ingest.profile import Profile, Source

if TYPE_CHECKING:
    from sqlalchemy import Engine

TEXT = (".csv", ".tsv", ".txt")
WORKBOOK = (".xlsx", ".xlsm", ".xls")
_VARIABLE = re.compile(r"env:(\w+)$")


@dataclass(frozen=True)
class Piece:
    """One file, one sheet of a workbook, or one database table.

    Attributes
    ----------
    label : str
        What messages and the quarantine call it: its path inside the source folder.
    kind : str
        text, parquet, workbook or database.
    """

    label: str
    kind: str
    path: Path
    sheet: str = ""
    table: str = ""
    schema: str | None = None


def is_url(source: str | Path) -> bool:
    """Whether a source is a database URL, or ``env:NAME`` naming a variable that holds one."""
    text = str(source)
    return isinstance(source, str) and ("://" in text or bool(_VARIABLE.match(text)))


def database(source: str) -> "Engine":
    """SQLAlchemy engine of a URL; ``env:NAME`` takes the URL from an environment variable.

    Raises
    ------
    UsageError
        The variable is empty, or the URL cannot be read. The URL is never part of the message.
    """
    import sqlalchemy

    named = _VARIABLE.match(source)
    url = os.environ.get(named[1], "") if named else source
    if not url:
        raise UsageError(f"{source}: the environment variable {named[1] if named else ''} is not set.")
    try:
        return sqlalchemy.create_engine(url)
    except (sqlalchemy.exc.ArgumentError, ImportError) as error:
        raise UsageError(
            f"the database URL cannot be used ({type(error).__name__}). It looks like "
            "dialect+driver://user:password@host/database; its driver must be installed."
        ) from None


def ending(path: Path) -> str:
    """Kind of a data file by its name; empty where it is none."""
    name = path.name.lower()
    name = name.removesuffix(".gz")
    if name.startswith(("~$", ".")):
        return ""
    if name.endswith(TEXT):
        return "text"
    if name.endswith(".parquet"):
        return "parquet"
    return "workbook" if name.endswith(WORKBOOK) else ""


def stem(name: str) -> str:
    """File name without its endings.

    >>> stem("Setl_D.csv.gz")
    'Setl_D'
    """
    name = name.removesuffix(".gz")
    return name.rsplit(".", 1)[0] if "." in name else name


def matches(name: str, source: Source) -> bool:
    """Whether a file, sheet or table name fits a source's patterns; case does not matter."""
    return any(fnmatch.fnmatchcase(name.casefold(), pattern.casefold()) for pattern in source.files)


def find_pieces(root: Path, profile: Profile, wanted: Iterable[str]) -> dict[str, list[Piece]]:
    """Files of each source a profile reads.

    Parameters
    ----------
    root : Path
        A folder, or one file.
    profile : Profile
        Says the patterns.
    wanted : iterable of str
        Names of sources.

    Returns
    -------
    dict of str to list of Piece
        Sorted by name; a source without files is absent.

    Raises
    ------
    DataError
        `root` does not exist.
    """
    if not root.exists():
        raise DataError(f"{root}: no such file or folder.")
    names = list(wanted)
    if root.is_file():
        return _one_file(root, profile, names)
    children = sorted(root.iterdir(), key=lambda p: p.name)
    found: dict[str, list[Piece]] = {}
    for name in names:
        source = profile.source(name)
        pieces = [
            piece
            for child in children
            if matches(stem(child.name) if child.is_file() else child.name, source)
            for piece in _pieces(child, root, source)
        ]
        found[name] = pieces or _sheets_of(children, root, source)
    return {k: v for k, v in found.items() if v}


def _pieces(path: Path, root: Path, source: Source) -> list[Piece]:
    if path.is_dir():
        parts = sorted(p for p in path.rglob("*") if p.is_file())
        return [piece for part in parts for piece in _pieces(part, root, source)]
    kind = ending(path)
    label = path.relative_to(root).as_posix() if path != root else path.name
    return [Piece(label, kind, path, sheet=source.sheet)] if kind else []


def _one_file(root: Path, profile: Profile, names: list[str]) -> dict[str, list[Piece]]:
    if ending(root) == "workbook":
        found = {n: _sheets_of([root], root.parent, profile.source(n)) for n in names}
        found = {k: v for k, v in found.items() if v}
        if found:
            return found
    for name in names:
        if matches(stem(root.name), profile.source(name)):
            return {name: _pieces(root, root, profile.source(name))}
    main = profile.tables["claims"][0].source
    pieces = _pieces(root, root, profile.source(main))
    return {main: pieces} if pieces else {}


def _sheets_of(children: Iterable[Path], root: Path, source: Source) -> list[Piece]:
    """Sheets named like the source, in workbooks whose own name says nothing."""
    from fraud.ingest.readers import sheet_names

    return [
        Piece(f"{path.relative_to(root).as_posix()}[{sheet}]", "workbook", path, sheet=sheet)
        for path in children
        if path.is_file() and ending(path) == "workbook"
        for sheet in sheet_names(path)
        if matches(sheet, source)
    ]


def find_tables(engine: "Engine", profile: Profile, wanted: Iterable[str]) -> dict[str, list[Piece]]:
    """Tables and views of a database, like `find_pieces`."""
    import sqlalchemy

    inspector = sqlalchemy.inspect(engine)
    found: dict[str, list[Piece]] = {}
    tables = sorted({*inspector.get_table_names(), *inspector.get_view_names()})
    for name in wanted:
        source = profile.source(name)
        pieces = [Piece(t, "database", Path(t), table=t) for t in tables if matches(t, source)]
        for pattern in source.files:
            schema, _, table = pattern.rpartition(".")
            if schema and not pieces and sqlalchemy.inspect(engine).has_table(table, schema=schema):
                pieces.append(Piece(pattern, "database", Path(table), table=table, schema=schema))
        if pieces:
            found[name] = pieces
    return found
