"""The append-only audit trail: each row's hash covers the row and the hash before it.

Hashes are HMAC-SHA-256 with a key drawn from the workbench's secret, so that whoever can write the
database but does not hold the secret cannot mend the chain after changing it. A cut-off end shows
against the head kept in the database, or against one noted elsewhere (`verify`, ``expect``).
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from fraud.workbench.models import TrailEntry, TrailHead

_FIELDS = ("number", "at", "actor", "action", "subject", "details", "previous")


@dataclass(frozen=True)
class Verdict:
    """What `verify` found: rows looked at, the last hash, and the first broken row with why, if any."""

    rows: int
    head: str
    broken: int | None = None
    why: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing was changed, removed or put in."""
        return self.broken is None


def record(actor: str, action: str, subject: str = "", /, **details: Any) -> TrailEntry:
    """Append a row.

    Parameters
    ----------
    actor : str
        Account's name, or ``console:`` and the operating system's.
    action : str
        What was done.
    subject : str, optional
        What it was done to, such as ``case:12``.
    **details
        Anything JSON can hold; no personal data.
    """
    with transaction.atomic():
        head, _ = TrailHead.objects.select_for_update().get_or_create(pk=1)
        row = TrailEntry(
            number=head.number + 1,
            at=datetime.now(UTC).isoformat(timespec="microseconds"),
            actor=actor[:150],
            action=action,
            subject=subject[:200],
            details=json.dumps(details, ensure_ascii=False, sort_keys=True) if details else "",
            previous=head.hash,
        )
        row.hash = digest(row)
        row.save()
        head.number, head.hash = row.number, row.hash
        head.save()
    return row


def digest(row: TrailEntry) -> str:
    """Hash of a row over its fields, unambiguous by JSON."""
    told = json.dumps([getattr(row, name) for name in _FIELDS], ensure_ascii=False)
    return hmac.new(_key(), told.encode(), hashlib.sha256).hexdigest()


def _key() -> bytes:
    return hashlib.sha256(b"fraud.workbench.trail\0" + settings.SECRET_KEY.encode()).digest()


def verify(expect: str = "") -> Verdict:
    """Go through the whole trail.

    Parameters
    ----------
    expect : str, optional
        A hash noted earlier that the trail must contain.
    """
    previous, number, seen = "", 0, not expect
    for row in TrailEntry.objects.order_by("number").iterator(chunk_size=2000):
        if row.number != number + 1:
            return Verdict(number, previous, number + 1, "the row is missing")
        if row.previous != previous:
            return Verdict(number, previous, row.number, "it does not follow the row before")
        if not hmac.compare_digest(row.hash, digest(row)):
            return Verdict(number, previous, row.number, "it was changed, or the secret is another")
        previous, number = row.hash, row.number
        seen = seen or hmac.compare_digest(row.hash, expect)
    head = TrailHead.objects.filter(pk=1).first()
    if (head.number, head.hash) != (number, previous) if head else number:
        return Verdict(number, previous, number + 1, "rows at the end are missing, or the head was changed")
    if not seen:
        return Verdict(number, previous, number + 1, "the expected hash is not in the trail")
    return Verdict(number, previous)
