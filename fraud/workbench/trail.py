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
from django.db.models import F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from fraud.workbench.desk import Attachment, Comment
from fraud.workbench.desk import Verdict as SaidOfClaim
from fraud.workbench.models import Case, Step, TrailEntry, TrailHead, Written
from fraud.workbench.workflow import START

_FIELDS = ("number", "at", "actor", "action", "subject", "details", "previous")
_STEP_FIELDS = (
    "case_id", "actor", "action", "from_state", "to_state", "reason", "text", "clause", "amount_before",
    "amount_after", "assignee",
)  # fmt: skip


_NOTES: tuple[type[Written], ...] = (Comment, Attachment, SaidOfClaim)
"""Tables whose every row is held fast by a row of the trail, besides the steps."""


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


def record_step(step: Step) -> TrailEntry:
    """Append a row that holds a step of a case fast: a hash of all that the step says, not its words."""
    return record(
        step.actor, f"step_{step.action}", f"case:{step.case_id}", step=step.pk, digest=step_digest(step)
    )


def record_note(note: Written, action: str, subject: str, /, **details: Any) -> TrailEntry:
    """Append a row that holds a comment, a file or a word on a claim fast: a hash of it, not its words."""
    kind, actor = note._meta.model_name, str(getattr(note, "actor", ""))
    return record(actor, action, subject, note=kind, row=note.pk, digest=note_digest(note), **details)


def note_digest(note: Written) -> str:
    """Hash of a note over its fields."""
    values = {f.attname: getattr(note, f.attname) for f in note._meta.concrete_fields if not f.primary_key}
    values["at"] = values["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return _hash(sorted(values.items()))


def digest(row: TrailEntry) -> str:
    """Hash of a row over its fields, unambiguous by JSON."""
    return _hash([getattr(row, name) for name in _FIELDS])


def step_digest(step: Step) -> str:
    """Hash of a step over its fields."""
    at = step.at.astimezone(UTC).isoformat(timespec="microseconds")
    return _hash([at, *(getattr(step, name) for name in _STEP_FIELDS)])


def _hash(told: list[Any]) -> str:
    return hmac.new(_key(), json.dumps(told, ensure_ascii=False).encode(), hashlib.sha256).hexdigest()


def _key() -> bytes:
    return hashlib.sha256(b"fraud.workbench.trail\0" + settings.SECRET_KEY.encode()).digest()


def verify(expect: str = "") -> Verdict:
    """Go through the whole trail, and through the cases' steps, which its rows hold fast.

    Parameters
    ----------
    expect : str, optional
        A hash noted earlier that the trail must contain.
    """
    previous, number, seen = "", 0, not expect
    steps: dict[int, tuple[int, str]] = {}  # step → row of the trail and digest
    notes: dict[tuple[str, int], tuple[int, str]] = {}
    for row in TrailEntry.objects.order_by("number").iterator(chunk_size=2000):
        if row.number != number + 1:
            return Verdict(number, previous, number + 1, "the row is missing")
        if row.previous != previous:
            return Verdict(number, previous, row.number, "it does not follow the row before")
        if not hmac.compare_digest(row.hash, digest(row)):
            return Verdict(number, previous, row.number, "it was changed, or the secret is another")
        previous, number = row.hash, row.number
        if row.action.startswith("step_") and (told := json.loads(row.details)).get("digest"):
            steps[told["step"]] = (row.number, told["digest"])
        elif row.details.find('"note"') >= 0 and (told := json.loads(row.details)).get("digest"):
            notes[told["note"], told["row"]] = (row.number, told["digest"])
        seen = seen or hmac.compare_digest(row.hash, expect)
    head = TrailHead.objects.filter(pk=1).first()
    if (head.number, head.hash) != (number, previous) if head else number:
        return Verdict(number, previous, number + 1, "rows at the end are missing, or the head was changed")
    if not seen:
        return Verdict(number, previous, number + 1, "the expected hash is not in the trail")
    broken, why = _broken_step(steps, number)
    if broken is None:
        broken, why = _broken_note(notes, number)
    return Verdict(number, previous, broken, why)


def _broken_step(told: dict[int, tuple[int, str]], rows: int) -> tuple[int | None, str]:
    """First row whose step is not as it was, or none; a case must stand where its last step left it."""
    left = dict(told)
    for step in Step.objects.exclude(action="listed").order_by("id").iterator(chunk_size=2000):
        row, known = left.pop(step.pk, (rows + 1, ""))
        if not known:
            return row, f"step {step.pk} of case {step.case_id} is in no row of the trail"
        if not hmac.compare_digest(known, step_digest(step)):
            return row, f"step {step.pk} of case {step.case_id} was changed after it was recorded"
    if left:
        step_id, (row, _) = min(left.items())
        return row, f"step {step_id}, which it records, is missing"
    own = Step.objects.filter(case=OuterRef("pk")).exclude(action="listed").order_by("-id")
    last = Coalesce(Subquery(own.values("to_state")[:1]), Value(START))
    strayed = Case.objects.annotate(last=last).exclude(state=F("last")).order_by("id").first()
    if strayed:
        return rows + 1, f"case {strayed.pk} is not in the state its last step left it in"
    return None, ""


def _broken_note(told: dict[tuple[str, int], tuple[int, str]], rows: int) -> tuple[int | None, str]:
    """First row whose comment, file or word on a claim is not as it was, or none."""
    left = dict(told)
    for model in _NOTES:
        kind = str(model._meta.model_name)
        for note in model._default_manager.order_by("pk").iterator(chunk_size=2000):
            row, known = left.pop((kind, note.pk), (rows + 1, ""))
            if not known:
                return row, f"{kind} {note.pk} is in no row of the trail"
            if not hmac.compare_digest(known, note_digest(note)):
                return row, f"{kind} {note.pk} was changed after it was recorded"
    if left:
        (kind, key), (row, _) = min(left.items(), key=lambda item: item[1])
        return row, f"{kind} {key}, which it records, is missing"
    return None, ""
