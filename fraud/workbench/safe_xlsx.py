"""Whether an uploaded file is a plain ``.xlsx`` workbook, before anything reads it as one.

A workbook is a ZIP of XML parts. Refused are: what is no ZIP, what unpacks to too much (measured by
unpacking, not by what its list says), parts outside of the folders a workbook has, macros, embedded
objects, links to other files, other kinds of Office file under this ending, and XML with a document
type, for entities can name files or grow without end.
"""

import re
import zipfile
import zlib
from io import BytesIO

from django.utils.translation import gettext

from fraud.errors import DataError

MOST_BYTES = 5_000_000
"""Bytes of an upload."""
_MOST_UNPACKED = 60_000_000
_MOST_PARTS = 300
_CHUNK = 1 << 16
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError,
           KeyError)  # fmt: skip
_FORBIDDEN = (
    "vbaproject", "vbadata", "externallink", "embeddings/", "activex", "macrosheets", "dialogsheets",
    "ctrlprops", "customui", "attachedtoolbars", "connections.xml", "querytables",
)  # fmt: skip
_MAIN = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
_PART = re.compile(r"[A-Za-z0-9_.\[\] -]+(/[A-Za-z0-9_.\[\] -]+)*/?")
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([A-Za-z0-9_.:-]*)")


def require_workbook(content: bytes) -> None:
    """Refuse what is not a plain workbook.

    Raises
    ------
    DataError
        With why, in words for the person who sent it.
    """
    if len(content) > MOST_BYTES:
        raise DataError(gettext("文件超过 %(most)s MB。") % {"most": MOST_BYTES // 1_000_000})
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            _require_parts(archive)
    except _BROKEN:
        raise DataError(gettext("不是 .xlsx 工作簿，或文件已损坏。")) from None


def _require_parts(archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    names = [p.filename for p in parts]
    if "[Content_Types].xml" not in names:
        raise DataError(gettext("不是 .xlsx 工作簿。"))
    if len(parts) > _MOST_PARTS:
        raise DataError(gettext("文件内部部件过多。"))
    if len({n.lower() for n in names}) != len(names):
        raise DataError(gettext("文件内部部件重名。"))
    for part in parts:
        name = part.filename
        if not _PART.fullmatch(name) or any(p in (".", "..") for p in name.split("/")):
            raise DataError(gettext("文件内部路径不合规。"))
        binary = name.lower().endswith(".bin") and not name.startswith("xl/printerSettings/")
        if binary or any(word in name.lower() for word in _FORBIDDEN):
            raise DataError(gettext("文件含宏、外部链接或嵌入对象，请另存为普通 .xlsx。"))
        if part.flag_bits & 0x1:
            raise DataError(gettext("文件已加密。"))
    left = _MOST_UNPACKED
    for part in parts:
        left = _require_content(archive, part, left)


def _require_content(archive: zipfile.ZipFile, part: zipfile.ZipInfo, left: int) -> int:
    """Unpack a part piece by piece; how much may still be unpacked after it."""
    xml, kind = part.filename.lower().endswith((".xml", ".rels")), part.filename == "[Content_Types].xml"
    whole, tail = b"", b""
    with archive.open(part) as file:
        first = True
        while chunk := file.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise DataError(gettext("文件解压后过大。"))
            if xml:
                _require_plain_xml(tail + chunk, first)
            tail, first = chunk[-16:], False
            if kind:
                whole += chunk
    if kind and (_MAIN not in whole or b"macroEnabled" in whole):
        raise DataError(gettext("不是普通 .xlsx 工作簿。"))
    return left


def _require_plain_xml(chunk: bytes, first: bool) -> None:
    if first:
        encoding = _ENCODING.search(chunk[:200])
        if chunk[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in chunk[:200]:
            raise DataError(gettext("文件内部编码不合规。"))
        if encoding and encoding[1].lower() not in (b"utf-8", b"us-ascii"):
            raise DataError(gettext("文件内部编码不合规。"))
    if b"<!DOCTYPE" in chunk or b"<!ENTITY" in chunk:
        raise DataError(gettext("文件含文档类型声明。"))
