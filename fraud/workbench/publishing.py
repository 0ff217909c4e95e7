"""A run folder into the workbench: whole or not at all, and as often as one likes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from django.db import transaction
from django.utils import timezone

from fraud.errors import DataError
from fraud.runs import RUN_TABLES, RunFolder, read_manifest
from fraud.workbench import trail, workflow
from fraud.workbench.contests import keep_contest
from fraud.workbench.deadlines import due_on
from fraud.workbench.desk import Lines, Timeline
from fraud.workbench.detailing import lines_of, replace_portions, sum_portions, timelines_of
from fraud.workbench.details import cents
from fraud.workbench.keyed import Rows
from fraud.workbench.loading import load, load_objects, reserve, store
from fraud.workbench.marks import for_learning, marks_of, remember_words, replace_marks
from fraud.workbench.models import Case, Evidence, Ring, RuleHit, Run, Step, Suspicion, Unit
from fraud.workbench.run_contents import Content, read_contents
from fraud.workbench.schemes import keep_schemes
from fraud.workbench.scope import units_of

_TABLES = ("suspicions", "claims_scored", "rule_hits", "rings", "ring_members")
_BATCH = 1000
SCHEME = "新手法"
_NEWEST = (
    "month", "score", "at_risk_cents", "expected_cents", "status", "top_reason", "top_reason_en",
    "rule_marks", "ring_id", "claims", "source",
)  # fmt: skip
"""What the list shows of a case's newest suspicion."""
_EVIDENCE = (
    "id", "suspicion_id", "place", "claim_id", "score", "at_risk_cents", "rules", "ring_id", "facts",
)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """What a publication did: cases opened, cases that got a new rationale, or nothing."""

    month: str
    opened: int = 0
    updated: int = 0
    already: bool = False


def publish(
    folder: Path,
    by: str,
    names: Mapping[str, tuple[str, str]] | None = None,
    dataset: Path | None = None,
    words: Mapping[str, tuple[str, str]] | None = None,
) -> Published:
    """Publish a run: a case for each suspicion that has none, a new rationale where there is one.

    What people did is never touched. A suspicion whose case is concluded opens a new case in a later
    month, and none where the case was concluded on the same or a later month.

    Parameters
    ----------
    folder : Path
        Run folder.
    by : str
        Who publishes.
    names : mapping, optional
        Rule code → name and clause.
    dataset : Path, optional
        Dataset folder the run was made from; dates, places and amounts of evidence claims come from it.
    words : mapping, optional
        Code of a reason → Chinese and English, for the figures.

    Raises
    ------
    DataError
        It is no run folder, a file is missing or differs from the manifest's hash, or a later
        publication of the same month cannot be read; nothing is changed then.
    """
    manifest = _manifest(folder)
    known = {"month": manifest["month"], "fingerprint": manifest["fingerprint"]}
    if Run.objects.filter(**known).exists():
        return Published(manifest["month"], already=True)
    with transaction.atomic():
        run, new = Run.objects.get_or_create(
            **known,
            defaults={
                "folder": str(folder.absolute()),
                "model": str(manifest.get("model") or "")[:200],
                "rule_set": str(manifest.get("rule_set") or ""),
                "totals": manifest.get("totals", {}),
            },
        )
        if not new:
            return Published(run.month, already=True)
        contents = read_contents(folder, run, names or {}, dataset)
        remember_words({code: (name, "") for code, (name, _) in contents.names.items()} | dict(words or {}))
        keep_contest(contents, manifest.get("model") or {})
        opened = updated = drawn = 0
        for part in contents.parts():
            fresh, old = write_cases(part)
            opened, updated = opened + fresh, updated + old
            drawn += sum(bool(s.get("random")) for s in part.suspicions)
        Ring.objects.bulk_create(_rings(folder, run), batch_size=_BATCH)
        trail.record(
            by, "published", f"run:{run.month}", fingerprint=run.fingerprint, opened=opened, updated=updated,
            drawn=drawn, schemes=keep_schemes(contents),
        )  # fmt: skip
        sum_portions()
    return Published(run.month, opened, updated)


def _manifest(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    if manifest is None or not manifest.get("month") or not manifest.get("fingerprint"):
        raise DataError(
            f"{folder}: not a run folder (no manifest of a run). Give one that fraud score wrote."
        )
    missing = [t for t in _TABLES if not (folder / f"{t}.parquet").is_file()]
    if missing:
        raise DataError([f"{folder}: {t}.parquet is missing. Score the month again." for t in missing])
    if not RunFolder(folder.absolute().parent, folder.absolute().name).matches(manifest["fingerprint"]):
        raise DataError(f"{folder}: its files differ from its manifest. Score the month again.")
    return manifest


def _rows(folder: Path, table: str) -> Rows:
    return pq.read_table(folder / f"{table}.parquet", columns=[c.name for c in RUN_TABLES[table]]).to_pylist()


def write_cases(content: Content) -> tuple[int, int]:
    """Cases and their frozen rationales; how many were opened and how many updated."""
    ids = [s["suspicion_id"] for s in content.suspicions]
    cases: dict[str, Case] = {}
    for start in range(0, len(ids), _BATCH):
        for case in Case.objects.filter(suspicion_id__in=ids[start : start + _BATCH]).order_by("id"):
            cases[case.suspicion_id] = case  # the newest
    fresh, old, due = [], [], due_on(workflow.START)
    for row in content.suspicions:
        case = before = cases.get(row["suspicion_id"])
        if case is None or (not case.open and case.month < row["month"]):
            case = cases[row["suspicion_id"]] = Case(
                **{k: row[k] for k in ("suspicion_id", "subject_kind", "subject_id")}, due_on=due
            )
            fresh.append(case)
        else:
            old.append(case)
            if not case.open or row["month"] < case.month:
                continue
        _copy(case, row, content)
        if case.pk is None and before is not None and before.outcome == "cleared":
            case.status = "previously_cleared"  # the run may not have known of it
        case.source = _source(row, case.source)
    for case, key in zip(fresh, reserve(Case, len(fresh)), strict=True):
        case.pk = key
    load_objects(Case, fresh)
    store(Case, _NEWEST, old)
    opened = {case.suspicion_id for case in fresh}
    _freeze(content, cases)
    replace_portions(content, cases, opened)
    replace_marks(_marks(content, cases), opened)
    load(Unit, ("case_id", "kind", "code"), _units(content, cases, [c.pk for c in old]))
    load_objects(Step, _listings(content, cases, opened), but=("id",))
    return len(fresh), len(old)


def _source(row: dict[str, Any], before: str) -> str:
    """How a case came to be: what was drawn, or taken out of a new scheme, stays so."""
    if row.get("random") or before == "random":
        return "random"
    if row.get("scheme") or before == "scheme":
        return "scheme"
    return "learning" if for_learning(row) else "ranked"


def _copy(case: Case, row: dict[str, Any], content: Content) -> None:
    """What the list shows of the newest suspicion."""
    own = [content.claims.get(c, {}) for c in row["evidence_claim_ids"]]
    hits = [h for c in row["evidence_claim_ids"] for h in content.hits.get(c, ()) if not h["snoozed"]]
    marks = sorted({(h["rule"], content.names.get(h["rule"], ("", ""))[0] or h["rule"]) for h in hits})
    rings = [c["ring_id"] for c in own if c.get("ring_id")]
    first = row["reasons"][0] if row["reasons"] else {}
    case.month, case.score, case.status = row["month"], row["score"], row["status_vs_last_month"]
    case.at_risk_cents = cents(row["amount_at_risk"]) or 0
    case.expected_cents = cents(row["expected_recovery"]) or 0
    case.top_reason, case.top_reason_en = first.get("sentence_zh") or "", first.get("sentence_en") or ""
    case.rule_marks, case.claims = marks, len(row["evidence_claim_ids"])
    case.ring_id = row["subject_id"] if row["subject_kind"] == "ring" else (rings[0] if rings else "")


def _listings(content: Content, cases: Mapping[str, Case], opened: set[str]) -> Iterator[Step]:
    now = timezone.now()
    for row in content.suspicions:
        case = cases[row["suspicion_id"]]
        new = row["suspicion_id"] in opened
        yield Step(
            case=case, at=now, actor=row.get("by", "publish"), action="listed",
            from_state="" if new else case.state, to_state=workflow.START if new else case.state,
            text=f"{row['month']} {_where(row)}",
        )  # fmt: skip


def _where(row: dict[str, Any]) -> str:
    """Where a suspicion stood, in the words that `step_text` retells."""
    if row.get("scheme"):
        return f"{SCHEME} {row['scheme']}"
    return f"第 {row['rank']} 位" if row["rank"] else "随机抽查"


def _marks(content: Content, cases: Mapping[str, Case]) -> dict[Case, set[tuple[str, str]]]:
    """What put each case on the list that this run speaks of last."""
    found = {}
    for row in content.suspicions:
        case, own = cases[row["suspicion_id"]], row["evidence_claim_ids"]
        if case.open and case.month == row["month"]:
            claims = [content.claims[c] for c in own if c in content.claims]
            found[case] = marks_of(row, claims, [h for c in own for h in content.hits.get(c, ())])
    return found


def _units(content: Content, cases: Mapping[str, Case], old: list[int]) -> Iterator[tuple[int, str, str]]:
    """What cases rest on, for accounts that see some units only; what old cases have is left out."""
    known: set[tuple[int, str, str]] = set()
    for start in range(0, len(old), _BATCH):
        own = Unit.objects.filter(case__in=old[start : start + _BATCH])
        known.update(own.values_list("case_id", "kind", "code"))
    for row in content.suspicions:
        facts = [content.facts.get(c, {}) for c in row["evidence_claim_ids"]]
        for kind, code in sorted(units_of(row["subject_kind"], row["subject_id"], facts, content.regions)):
            made = (cases[row["suspicion_id"]].pk, kind, code)
            if made not in known:
                known.add(made)
                yield made


def _freeze(content: Content, cases: Mapping[str, Case]) -> None:
    """Rationales, evidence claims and rule hits, as the run wrote them."""
    keys = reserve(Suspicion, len(content.suspicions))
    made = (
        Suspicion(
            pk=key, case=cases[row["suspicion_id"]], run=content.run, month=row["month"], rank=row["rank"],
            score=row["score"], at_risk_cents=cents(row["amount_at_risk"]) or 0,
            expected_cents=cents(row["expected_recovery"]) or 0, status=row["status_vs_last_month"],
            reasons=row["reasons"], rationale_hash=row["rationale_hash"],
        )
        for key, row in zip(keys, content.suspicions, strict=True)
    )  # fmt: skip
    load_objects(Suspicion, made)
    pairs = [*zip(keys, content.suspicions, strict=True)]
    claims = [(key, place, claim) for key, row in pairs
              for place, claim in enumerate(row["evidence_claim_ids"], 1)]  # fmt: skip
    own = [*zip(reserve(Evidence, len(claims)), claims, strict=True)]
    load(Evidence, _EVIDENCE, (_evidence(content, key, *claim) for key, claim in own))
    load(Lines, ("evidence_id", "total", "odd", "rows"), lines_of(content, ((k, c[2]) for k, c in own)))
    load(Timeline, ("suspicion_id", "rows"), timelines_of(content, keys))
    load_objects(RuleHit, (h for key, row in pairs for h in _hits(content, key, row)), but=("id",))


def _evidence(content: Content, key: int, suspicion: int, place: int, claim_id: str) -> tuple[Any, ...]:
    """A row of the columns `_EVIDENCE`."""
    claim = content.claims.get(claim_id, {})
    return (
        key, suspicion, place, claim_id, claim.get("score"), cents(claim.get("amount_at_risk")),
        claim.get("rule_hits") or [], claim.get("ring_id") or "", content.placed(claim_id),
    )  # fmt: skip


def _hits(content: Content, suspicion: int, row: dict[str, Any]) -> Iterator[RuleHit]:
    for claim_id in row["evidence_claim_ids"]:
        for hit in content.hits.get(claim_id, ()):
            name, clause = content.names.get(hit["rule"], ("", ""))
            yield RuleHit(
                suspicion_id=suspicion, claim_id=claim_id, rule=hit["rule"], name=name, clause=clause,
                result=hit["result"], amount_cents=cents(hit["amount_at_issue"]) or 0,
                sentence=hit["sentence_zh"], sentence_en=hit["sentence_en"],
                exemptions=hit["exemptions_zh"], exemptions_en=hit["exemptions_en"],
                snoozed=bool(hit["snoozed"]),
            )  # fmt: skip


def _rings(folder: Path, run: Run) -> Iterator[Ring]:
    members: dict[str, Rows] = {}
    for member in _rows(folder, "ring_members"):
        members.setdefault(member.pop("ring_id"), []).append(member)
    for ring in _rows(folder, "rings"):
        yield Ring(
            run=run, ring_id=ring["ring_id"], kind=ring["kind"], size=ring["members"], claims=ring["claims"],
            amount_cents=cents(ring["amount"]) or 0, q_value=ring["q_value"],
            first_seen=str(ring["first_seen"])[:10], last_seen=str(ring["last_seen"])[:10],
            evidence=_told(ring["evidence"] or ""), members=members.get(ring["ring_id"], []),
        )  # fmt: skip


def _told(evidence: str) -> dict[str, Any]:
    """Evidence of a ring: JSON, or words."""
    try:
        found = json.loads(evidence)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"summary_zh": evidence, "summary_en": ""}
