"""Claims drawn at random beside the ranked list, so that models can be judged without selection bias.

They are drawn from all claims that a run scored, by the hash of the run's fingerprint and the claim's
id: whoever holds the run folder can draw again and must get the same. A claim that is on the list too
keeps its place there and counts as drawn.
"""

import hashlib
import heapq
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext

from fraud.errors import UsageError
from fraud.workbench import trail
from fraud.workbench.books import Choice
from fraud.workbench.models import Case

_CHOICE = "random_share"
SENTENCE = ("随机抽查：本月全部结算中随机抽取，与得分和理由无关。", "Drawn at random, whatever its score.")
SUMMARY = {"code": "random", "sentence_zh": SENTENCE[0], "sentence_en": SENTENCE[1], "contribution": 0.0}


def share() -> float:
    """Claims drawn per case of the list: the head's choice, else ``[workbench] random_share``."""
    chosen = Choice.objects.filter(pk=_CHOICE).values_list("value", flat=True).first()
    return float(chosen) if chosen else settings.WORKBENCH.random_share


def choose_share(told: str, by: str) -> float:
    """Set the share from the next publication on.

    Raises
    ------
    UsageError
        It is not a number from 0 to 1.
    """
    try:
        value = round(float(told), 4)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(gettext("份额须在 0 到 1 之间。"))
    with transaction.atomic():
        Choice.objects.update_or_create(pk=_CHOICE, defaults={"value": str(value), "by": by})
        trail.record(by, "random_share_set", "random_slice", share=value)
    return value


def draw(claim_ids: Iterable[str], fingerprint: str, most: int) -> list[str]:
    """Claims with the smallest hashes: a sample without replacement, the same wherever it is drawn.

    Examples
    --------
    >>> draw(["C1", "C2", "C3"], "run", 2) == draw(["C3", "C2", "C1"], "run", 2)
    True
    """
    keyed = ((hashlib.sha256(f"{fingerprint}\0{c}".encode()).digest(), c) for c in claim_ids)
    return [claim for _, claim in heapq.nsmallest(most, keyed)]


def drawn_beside(
    listed: set[str], suspicions: int, folder: Path, fingerprint: str, month: str
) -> tuple[set[str], list[dict[str, Any]]]:
    """Claims drawn beside a run's list, and what they are as suspicions, at rank 0.

    A drawn claim whose earlier case is undecided, or was decided in the same month or later, is none of
    them: that case goes on.

    Parameters
    ----------
    listed : set of str
        Claims that the list ranks.
    suspicions : int
        Length of the list.
    folder : Path
        Run folder.
    fingerprint, month : str
        The run's.
    """
    most = math.ceil(share() * suspicions - 1e-9)
    if not most:
        return set(), []
    ids = pq.read_table(folder / "claims_scored.parquet", columns=["claim_id"])["claim_id"].to_pylist()
    drawn = set(draw(ids, fingerprint, most))
    wanted = sorted(drawn - listed)
    own = pc.field("claim_id").isin(pa.array(wanted, pa.string()))
    table = pq.read_table(folder / "claims_scored.parquet", filters=own)
    earlier = {
        c.subject_id: c
        for c in Case.objects.filter(subject_kind="claim", subject_id__in=wanted).order_by("decided_at", "id")
    }
    rows = (_row(r, earlier.get(r["claim_id"])) for r in table.to_pylist())
    kept = [r for r in rows if not _goes_on(earlier.get(r["subject_id"]), month)]
    return drawn, sorted(kept, key=lambda r: r["subject_id"])


def mark_drawn(suspicions: list[dict[str, Any]], drawn: set[str]) -> None:
    """Say of listed suspicions whether they were drawn."""
    for row in suspicions:
        row["random"] = row["subject_kind"] == "claim" and row["subject_id"] in drawn


def _goes_on(case: Case | None, month: str) -> bool:
    return case is not None and (case.open or case.month >= month)


def claim_suspicion_id(claim_id: str) -> str:
    """Id of a claim's suspicion, as `fraud.suspicion.suspicion_id`: a later list that ranks it goes on."""
    told = hashlib.sha256(f"claim\x1f{claim_id}".encode()).hexdigest()
    return f"S-{told[:12]}"


def _row(claim: dict[str, Any], earlier: Case | None) -> dict[str, Any]:
    return {
        "rank": 0, "random": True, "suspicion_id": claim_suspicion_id(claim["claim_id"]),
        "month": claim["month"], "subject_kind": "claim", "subject_id": claim["claim_id"],
        "score": claim["score"], "amount_at_risk": claim["amount_at_risk"],
        "expected_recovery": claim["expected_recovery"],
        "status_vs_last_month": "previously_cleared" if earlier and earlier.outcome == "cleared" else "new",
        "reasons": [SUMMARY], "evidence_claim_ids": [claim["claim_id"]], "rationale_hash": "",
    }  # fmt: skip
