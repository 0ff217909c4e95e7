"""Files on cases: which are taken, where they lie, and how they are given back.

A file is taken where its name ends in an allowed way and its first bytes, or its inner list, are what
that ending promises. It is stored outside of anything that is served, under a random name, readable
by the owner only, and given back as a download that no browser opens in place.
"""

import hashlib
import io
import os
import re
import secrets
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext

from fraud.errors import DataError
from fraud.workbench import trail
from fraud.workbench.cases import Refused
from fraud.workbench.desk import Attachment
from fraud.workbench.models import Account, Case

_LONGEST_NAME = 120
_MOST_PER_CASE = 100
_CHUNK = 1 << 16


def _begins(*starts: bytes) -> Callable[[BinaryIO], bool]:
    return lambda file: file.read(16).startswith(starts)


def _office(part: str) -> Callable[[BinaryIO], bool]:
    """Whether a file is a ZIP that holds a part and no macros; nothing is unpacked."""

    def holds(file: BinaryIO) -> bool:
        try:
            names = zipfile.ZipFile(file).namelist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return False
        return part in names and not any("vbaproject" in n.lower() for n in names)

    return holds


def _text(file: BinaryIO) -> bool:
    """Whether a file is text in UTF-8 or GB18030 without control characters."""
    content = file.read()
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            words = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return not re.search(r"[\x00-\x08\x0e-\x1f]", words)
    return False


TYPES: dict[str, Callable[[BinaryIO], bool]] = {
    ".pdf": _begins(b"%PDF-"),
    ".png": _begins(b"\x89PNG\r\n\x1a\n"),
    ".jpg": _begins(b"\xff\xd8\xff"),
    ".jpeg": _begins(b"\xff\xd8\xff"),
    ".tif": _begins(b"II*\0", b"MM\0*"),
    ".tiff": _begins(b"II*\0", b"MM\0*"),
    ".xlsx": _office("xl/workbook.xml"),
    ".docx": _office("word/document.xml"),
    ".ofd": _office("OFD.xml"),  # electronic invoices and receipts, GB/T 33190
    ".csv": _text,
    ".txt": _text,
}
"""Ending of a file's name → whether the bytes are of that type."""


def plain_name(given: str) -> str:
    r"""Last part of a file's name without what could mislead: folders, control and direction characters.

    Examples
    --------
    >>> plain_name("../../etc/病历.pdf"), plain_name("C:\\x\\a.pdf"), plain_name("..")
    ('病历.pdf', 'a.pdf', '')
    """
    last = re.split(r"[/\\]", given)[-1]
    kept = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip(" .")
    stem, ending = os.path.splitext(kept)
    return stem[: _LONGEST_NAME - len(ending)] + ending if len(ending) < 10 else kept[:_LONGEST_NAME]


def attach(case: Case, account: Account, name: str, content: BinaryIO, size: int) -> Attachment:
    """Keep a file on a case.

    Parameters
    ----------
    case : Case
    account : Account
        Who attaches it.
    name : str
        As the person's computer calls it.
    content : binary file
    size : int
        Its bytes.

    Raises
    ------
    Refused
        Not permitted, empty, too large, of a type that is not taken, or not what its name promises.
    """
    if not account.may("case.note"):
        raise Refused(gettext("没有添加附件的权限。"))
    shown = plain_name(name)
    problems = _problems(shown, content, size)
    if case.attachments.count() >= _MOST_PER_CASE:
        problems.append(gettext("一个案件最多 %(most)s 个附件。") % {"most": _MOST_PER_CASE})
    if problems:
        trail.record(account.get_username(), "attachment_refused", f"case:{case.pk}", size=size)
        raise Refused(problems)
    stored = secrets.token_hex(16)
    path = _folder() / stored
    sha256 = _store(path, content)
    try:
        with transaction.atomic():
            kept = Attachment(
                case=case, actor=account.get_username(), name=shown, size=size, sha256=sha256, stored=stored
            )
            kept.save()
            trail.record_note(kept, "attached", f"case:{case.pk}", sha256=sha256, size=size)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return kept


def _problems(name: str, content: BinaryIO, size: int) -> list[str]:
    most = settings.WORKBENCH.attachment_mb
    ending = os.path.splitext(name)[1].lower()
    if size == 0:
        return [gettext("文件是空的。")]
    if size > most * 1_000_000:
        return [gettext("文件过大，最多 %(most)s MB。") % {"most": most}]
    if ending not in TYPES:
        return [gettext("只接受 %(types)s") % {"types": " ".join(TYPES)}]
    content.seek(0)
    if not TYPES[ending](content):
        return [gettext("文件内容不是 %(type)s，或带有宏。") % {"type": ending[1:]}]
    return []


def _folder() -> Path:
    """Folder of the files; only its owner may look into it."""
    folder = Path(settings.WORKBENCH.attachments)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _store(path: Path, content: BinaryIO) -> str:
    """Write a file beside and move it into place; its SHA-256."""
    beside, found = path.with_name(f".{path.name}.part"), hashlib.sha256()
    content.seek(0)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            while part := content.read(_CHUNK):
                found.update(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return found.hexdigest()


def opened(attachment: Attachment) -> io.BytesIO:
    """Bytes of a file, unchanged since it was attached.

    Raises
    ------
    DataError
        It is gone or was changed.
    """
    try:
        content = (_folder() / attachment.stored).read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != attachment.sha256:
        raise DataError(
            f"attachment {attachment.pk}: the file is missing or was changed after it was attached."
        )
    return io.BytesIO(content)
