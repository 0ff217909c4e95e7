"""Text files as they come: encoding, delimiter, header, and records a bad quote broke."""

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

CHUNK = 1 << 22
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
DELIMITERS = (",", "\t", ";", "|")
_LINES_JUDGED = 2000
_LONGEST_RECORD = 200  # physical lines one quoted record may span


@dataclass(frozen=True)
class Dialect:
    """Encoding, delimiter and header of a delimited text file."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, unpacking ``.gz``."""
    return cast("BinaryIO", gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb"))


def detect_encoding(path: Path) -> str:
    """Detect the encoding of a file: utf-8, utf-8-sig, utf-16 or gb18030.

    The whole file is read, because the first Chinese character may come late. A file that is UTF-8
    but for a few lines is UTF-8: those lines are quarantined, the others must not turn to mojibake.
    """
    with open_bytes(path) as stream:
        head = stream.read(4)
        for bom, name in _BOMS:
            if head.startswith(bom):
                return name
        stream.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk := stream.read(CHUNK):
                if not chunk.isascii() or decoder.getstate()[0]:
                    decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            stream.seek(0)
            return _judge_lines(stream)
    return "utf-8"


def _judge_lines(stream: BinaryIO) -> str:
    """Choose the encoding most non-ASCII lines are valid in."""
    utf8 = national = 0
    for line in stream:
        if line.isascii():
            continue
        if _decodes(line, "utf-8"):
            utf8 += 1
        elif _decodes(line, "gb18030"):
            national += 1
        if utf8 + national >= _LINES_JUDGED:
            break
    return "utf-8" if utf8 > national else "gb18030"


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def detect_dialect(path: Path, encoding: str = "", delimiter: str = "") -> Dialect:
    """Detect encoding, delimiter and header; what is given is taken, the rest is detected.

    The delimiter is the one that splits the header into most fields, counting outside quotes.
    """
    encoding = encoding or detect_encoding(path)
    with open_bytes(path) as stream:
        text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")
        head = text.readline(CHUNK)
        while head.count('"') % 2 and (more := text.readline(CHUNK)):
            head += more
    head = head.lstrip("\ufeff")
    if not delimiter:
        fields = {d: len(next(csv.reader([head], delimiter=d), [])) for d in DELIMITERS}
        delimiter = max(DELIMITERS, key=lambda d: fields[d])
    names = next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), [])
    return Dialect(encoding, delimiter, unique_names(names))


def unique_names(names: list[str]) -> tuple[str, ...]:
    """Header names, trimmed, with empty and repeated ones told apart.

    >>> unique_names([" A ", "", "a"])
    ('A', 'column_2', 'a_3')
    """
    result: list[str] = []
    taken: set[str] = set()
    for place, raw in enumerate(names, 1):
        name = raw.strip().strip("\ufeff") or f"column_{place}"
        if name.casefold() in taken:
            name = f"{name}_{place}"
        taken.add(name.casefold())
        result.append(name)
    return tuple(result)


def to_utf8(path: Path, encoding: str, out: Path) -> int:
    """Write `path` to `out` in UTF-8, streaming; return how many characters could not be decoded."""
    lost = 0
    with (
        open_bytes(path) as stream,
        io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="") as text,
        out.open("w", encoding="utf-8", newline="") as target,
    ):
        while chunk := text.read(CHUNK):
            lost += chunk.count("\ufffd")
            target.write(chunk)
    return lost


@dataclass(frozen=True)
class Broken:
    """A record that is no row: its number (the header is 1) and why."""

    row: int
    reason: str


def repair(path: Path, delimiter: str, width: int, out: Path) -> list[Broken]:
    """Copy the records of a UTF-8 file that have `width` fields; return the others.

    For files in which a quote is opened and never closed: a fast reader then swallows everything up to
    the next quote. Here a record that does not close, or closes into the wrong number of fields,
    costs its first physical line only, and reading goes on with the next line.

    Parameters
    ----------
    path, out : Path
        The file, and the copy to write (header included).
    delimiter : str
        Of the file.
    width : int
        Fields of a record.

    Returns
    -------
    list of Broken
        In file order; rows count records, the header being 1.
    """
    broken: list[Broken] = []
    with open_bytes(path) as stream, out.open("wb") as target:
        for row, (record, reason) in enumerate(_records(stream, delimiter, width), 1):
            if reason and row > 1:
                broken.append(Broken(row, reason))
            else:
                target.write(record if record.endswith(b"\n") else record + b"\n")
    return broken


def _records(stream: BinaryIO, delimiter: str, width: int) -> Iterator[tuple[bytes, str]]:
    """Yield records with the reason why each is broken, empty where it is not."""
    mark = delimiter.encode()
    waiting: list[bytes] = []  # lines read ahead, nearest last
    while line := waiting.pop() if waiting else stream.readline():
        if b'"' not in line:
            if line.strip():
                yield line, "" if line.count(mark) == width - 1 else _FIELDS
            continue
        taken = [line]
        quotes = line.count(b'"')
        while quotes % 2 and len(taken) < _LONGEST_RECORD:
            more = waiting.pop() if waiting else stream.readline()
            if not more:
                break
            taken.append(more)
            quotes += more.count(b'"')
        whole = b"".join(taken)
        if quotes % 2 == 0 and _fields(whole, delimiter) == width:
            yield whole, ""
            continue
        waiting.extend(reversed(taken[1:]))
        yield line, _QUOTE if line.count(b'"') % 2 else _FIELDS


_FIELDS = "wrong number of fields"
_QUOTE = "a quote is not closed"


def _fields(record: bytes, delimiter: str) -> int:
    try:
        text = record.decode("utf-8", errors="replace")
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return -1
    return len(rows[0]) if len(rows) == 1 else -1
