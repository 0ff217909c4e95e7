"""Names and certificate numbers where a site keeps them: encrypted in the database, opened to be shown.

AES-256-GCM; the key is drawn from the workbench's secret (HKDF-SHA-256), and the subject's kind and id
are bound to what is sealed, so that a row put under another subject does not open.
"""

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext

from fraud.errors import DataError
from fraud.schema import SUBJECT_KINDS
from fraud.workbench import trail
from fraud.workbench.books import SealedName
from fraud.workbench.models import ID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

COLUMNS = ("subject_kind", "subject_id", "name", "certificate_no")
_NONCE = 12
_LONGEST = 200
_BATCH = 1000
_MOST_TOLD = 20


@dataclass(frozen=True)
class Name:
    """A subject's name and certificate number; either may be empty."""

    subject_kind: str
    subject_id: str
    name: str
    certificate_no: str


def read_names(path: Path) -> list[Name]:
    """Names of a CSV file in UTF-8 or GB18030.

    Parameters
    ----------
    path : Path
        Columns ``subject_id``, ``name``, and perhaps ``certificate_no`` and ``subject_kind`` (``patient``
        where it is left out). Ids are those of the dataset.

    Raises
    ------
    DataError
        It cannot be read; columns are missing; rows are wrong: all named by number, no value is told.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030", errors="replace")
    rows = csv.DictReader(io.StringIO(text))
    missing = [c for c in ("subject_id", "name") if c not in (rows.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: columns are missing: {', '.join(missing)}. Columns: {', '.join(COLUMNS)}.")
    found, problems = {}, []
    for number, row in enumerate(rows, 2):
        told = {c: (row.get(c) or "").strip() for c in COLUMNS}
        told["subject_kind"] = told["subject_kind"] or "patient"
        if told["subject_kind"] not in SUBJECT_KINDS:
            problems.append(f"{path}: row {number}: subject_kind is none of {', '.join(SUBJECT_KINDS)}.")
        elif not 0 < len(told["subject_id"]) <= ID or max(map(len, told.values())) > _LONGEST:
            problems.append(f"{path}: row {number}: subject_id is empty, or a value is too long.")
        elif not told["name"] and not told["certificate_no"]:
            problems.append(f"{path}: row {number}: neither name nor certificate_no.")
        else:
            found[told["subject_kind"], told["subject_id"]] = Name(**told)
    if problems:
        more = len(problems) - _MOST_TOLD
        raise DataError(problems[:_MOST_TOLD] + ([f"and {more} rows more."] if more > 0 else []))
    return list(found.values())


def keep(names: Iterable[Name], by: str) -> int:
    """Seal names into the database, over any kept before; how many."""
    rows = [SealedName(subject_kind=n.subject_kind, subject_id=n.subject_id, sealed=_seal(n)) for n in names]
    with transaction.atomic():
        SealedName.objects.bulk_create(
            rows,
            batch_size=_BATCH,
            update_conflicts=True,
            unique_fields=["subject_kind", "subject_id"],
            update_fields=["sealed"],
        )
        trail.record(by, "names_imported", "names", rows=len(rows))
    return len(rows)


def opened(subjects: Iterable[tuple[str, str]]) -> list[Name]:
    """Names of subjects, of those that have one, in the order asked for; whoever calls writes the trail.

    Raises
    ------
    DataError
        A row was changed, or sealed with another secret.
    """
    asked = list(dict.fromkeys(subjects))
    ids = {i for _, i in asked}
    kept = {(r.subject_kind, r.subject_id): r for r in SealedName.objects.filter(subject_id__in=ids)}
    return [_open(kept[s]) for s in asked if s in kept]


def _seal(name: Name) -> bytes:
    nonce = os.urandom(_NONCE)
    told = json.dumps([name.name, name.certificate_no], ensure_ascii=False).encode()
    return nonce + _cipher().encrypt(nonce, told, _bound(name.subject_kind, name.subject_id))


def _open(row: SealedName) -> Name:
    from cryptography.exceptions import InvalidTag

    sealed = bytes(row.sealed)
    try:
        told = _cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(row.subject_kind, row.subject_id))
    except (InvalidTag, ValueError):
        raise DataError(gettext("姓名无法解密：密钥不同，或数据被改动。")) from None
    name, certificate_no = json.loads(told)
    return Name(row.subject_kind, row.subject_id, name, certificate_no)


def _bound(kind: str, subject_id: str) -> bytes:
    return f"{kind}\0{subject_id}".encode()


def _cipher() -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    drawn = HKDF(SHA256(), 32, salt=None, info=b"fraud.workbench.names")
    return AESGCM(drawn.derive(settings.SECRET_KEY.encode()))
