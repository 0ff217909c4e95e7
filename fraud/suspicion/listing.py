"""The ranked list: stories → suspicions in the contract's columns, cut at the audit capacity."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fraud.settings import ListSettings
from fraud.suspicion.stories import assign_stories, candidate_pool, odd_claims

Reason = Mapping[str, Any]

COLUMNS = (
    "rank", "suspicion_id", "month", "subject_kind", "subject_id", "score", "amount_at_risk",
    "expected_recovery", "status_vs_last_month", "reasons", "evidence_claim_ids", "rationale_hash",
)  # fmt: skip

CHANGE = 0.2  # relative change of expected recovery below which a suspicion persists
_SCORE_DIGITS = 6
_FINE = 100  # expected recovery is summed in hundredths of a cent, as integers


def suspicion_id(subject_kind: str, subject_id: str) -> str:
    """Identity of a suspicion: the same subject has it in every month.

    >>> suspicion_id("doctor", "D1")
    'S-dd37e1874326'
    """
    return "S-" + hashlib.sha256(f"{subject_kind}\x1f{subject_id}".encode()).hexdigest()[:12]


def rationale_hash(reasons: Sequence[Reason], score: float, amount_at_risk: float) -> str:
    """SHA-256 of the canonical JSON of a rationale, so that later changes to it can be seen.

    Takes reasons as scoring made them or as they are read back from a published run: only the
    fields that a run keeps count, as the types it keeps them in.
    """
    rationale = {
        "amount_at_risk": f"{amount_at_risk:.2f}",
        "reasons": [_kept(r) for r in reasons],
        "score": f"{score:.{_SCORE_DIGITS}f}",
    }
    text = json.dumps(rationale, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


_TEXTS = ("code", "sentence_zh", "sentence_en", "peer_group")
_NUMBERS = ("value", "baseline", "peer_n", "percentile", "contribution", "own_past")


def _kept(reason: Reason) -> dict[str, Any]:
    plain = _plain(dict(reason))
    numbers = {k: None if plain.get(k) is None else float(plain[k]) for k in _NUMBERS}
    return {k: plain.get(k) for k in _TEXTS} | numbers


def _plain(value: Any) -> Any:
    """NumPy scalars as Python's, NaN as None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def roll_up(
    claims: pd.DataFrame,
    settings: ListSettings,
    previous: pd.DataFrame | None = None,
    cleared: pd.DataFrame | None = None,
    month: str = "",
    *,
    subjects: pd.DataFrame | None = None,
    target: str = "",
    impossible: Collection[str] = (),
    rings: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Roll scored claims up into the ranked, capacity-limited suspicion list.

    Parameters
    ----------
    claims : DataFrame
        The month's claims: ``claim_id``, ``score``, ``amount_at_risk`` (yuan) and, as far as known,
        ``patient_id``, ``doctor_id``, ``department_id``, ``institution_id``, ``operator_id``,
        ``visit_type``, ``rule_hits``, ``ring_id``.
    settings : ListSettings
        ``capacity``, ``min_score``, ``evidence_claims`` and ``roll_up_claims``.
    previous : DataFrame, optional
        Last month's list: ``subject_kind``, ``subject_id``, ``expected_recovery``.
    cleared : DataFrame, optional
        Audits: ``subject_kind``, ``subject_id``, ``decided_at`` and, unless all were cleared,
        ``outcome``. Those decided from `month` on are ignored.
    month : str
        ``YYYY-MM``.
    subjects : DataFrame, optional
        ``subject_kind``, ``subject_id``, ``score``, ``p_supervised``, ``amount_at_risk``; needed when
        the target is not the claim.
    target : str
        What labels are about, as in the experiment. For a patient, doctor, department or
        institution, suspicions are subjects of that kind and their claims the evidence. Empty: the
        kinds of `subjects` that have supervised probabilities, unless `subjects` holds several kinds
        and claims have probabilities too; then claims roll up.
    impossible : collection of str
        Codes of rules whose hit is a logical impossibility and makes a claim a candidate by itself.
    rings : mapping of str to float, optional
        Score of each ring that ``ring_id`` names. A ring without one scores as its claims do, by
        money. Rings are listed where claims roll up, not where subjects of one kind are.

    Returns
    -------
    DataFrame
        `COLUMNS` without reasons (empty lists) and hashes (empty), and ``claims``, the number of
        claims in the suspicion; ``evidence_claim_ids`` holds the strongest of them.
        ``expected_recovery`` is ``score * amount_at_risk`` within half a cent.
    """
    claims = _ordered(claims)
    cents = np.rint(claims["amount_at_risk"].to_numpy(float) * 100).astype(np.int64)
    score = claims["score"].to_numpy(float)
    fine = np.rint(np.nan_to_num(score) * cents * _FINE).astype(np.int64)
    kinds = _target_kinds(claims, subjects, target)
    if subjects is not None and kinds:
        listed = _from_subjects(subjects, kinds)
        story = _claims_of(claims, listed)
    else:
        forced = _forced(claims, impossible)
        pool = candidate_pool(score, fine, settings.capacity, forced)
        odd = odd_claims(score, pool) if forced is None else odd_claims(score, pool) | forced
        story = assign_stories(claims, cents, pool, odd, settings.roll_up_claims)
        story = _fold_claims(claims, story, fine, settings.roll_up_claims)
        listed = _from_stories(story, cents, fine, score, rings or {})
    listed = _ranked(listed, settings)
    listed = _with_evidence(listed, story, claims, fine, score, settings.evidence_claims)
    listed["month"] = month
    listed["status_vs_last_month"] = statuses(listed, previous, cleared, month)
    listed["reasons"] = [[] for _ in range(len(listed))]
    listed["rationale_hash"] = ""
    return listed[[*COLUMNS, "claims"]]


def attach_reasons(listed: pd.DataFrame, reasons: Sequence[Sequence[Reason]], most: int = 6) -> pd.DataFrame:
    """Freeze each suspicion's rationale: its strongest reasons and their hash.

    Parameters
    ----------
    listed : DataFrame
        What `roll_up` returned.
    reasons : sequence of sequence of dict
        One sequence per row of `listed`, strongest first, with the contract's keys.
    most : int
        Reasons kept per suspicion.
    """
    if len(reasons) != len(listed):
        raise ValueError(f"{len(listed)} suspicions but reasons for {len(reasons)}")
    kept = [[_plain(dict(r)) for r in own[:most]] for own in reasons]
    rows = zip(kept, listed["score"], listed["amount_at_risk"], strict=True)
    hashes = [rationale_hash(own, score, amount) for own, score, amount in rows]
    return listed.assign(reasons=pd.Series(kept, index=listed.index, dtype=object), rationale_hash=hashes)


def suspicions(
    claims: pd.DataFrame,
    subjects: pd.DataFrame | None,
    reasons: Callable[[pd.DataFrame], Sequence[Sequence[Reason]]],
    previous: pd.DataFrame | None,
    settings: ListSettings,
    *,
    month: str,
    cleared: pd.DataFrame | None = None,
    target: str = "",
    impossible: Collection[str] = (),
) -> pd.DataFrame:
    """`roll_up`, then `attach_reasons` with what `reasons` says of the listed suspicions."""
    listed = roll_up(
        claims, settings, previous, cleared, month, subjects=subjects, target=target, impossible=impossible
    )
    return attach_reasons(listed, reasons(listed), settings.reasons)


def _target_kinds(claims: pd.DataFrame, subjects: pd.DataFrame | None, target: str) -> tuple[str, ...]:
    """Kinds of subjects that are suspicions themselves; none where claims roll up."""
    if target:
        return () if target == "claim" else (target,)
    if subjects is None or "p_supervised" not in subjects:
        return ()
    several = subjects["subject_kind"].nunique() > 1
    if several and "p_supervised" in claims and claims["p_supervised"].notna().any():
        return ()
    return tuple(sorted(subjects.loc[subjects["p_supervised"].notna(), "subject_kind"].unique()))


def _ordered(claims: pd.DataFrame) -> pd.DataFrame:
    """Sort by claim id, so that ties never depend on the order of rows."""
    if not claims["claim_id"].is_monotonic_increasing:
        claims = claims.sort_values("claim_id", kind="stable")
    return claims.reset_index(drop=True)


def _forced(claims: pd.DataFrame, impossible: Collection[str]) -> np.ndarray | None:
    if not impossible or "rule_hits" not in claims:
        return None
    codes = set(impossible)
    hits = claims["rule_hits"].to_numpy(dtype=object)
    return np.fromiter((isinstance(h, Iterable) and not codes.isdisjoint(h) for h in hits), bool, len(hits))


def _fold_claims(claims: pd.DataFrame, story: pd.DataFrame, fine: np.ndarray, least: int) -> pd.DataFrame:
    """Make what is left of one patient one story.

    From `least` claims on it is the patient's; fewer, at one institution, are told by the strongest.
    """
    if not {"patient_id", "institution_id"} <= set(claims.columns):
        return story
    rows = story.index[story["subject_kind"] == "claim"]
    actors = {
        c: claims[c].to_numpy(dtype=object, na_value="")[rows] for c in ("patient_id", "institution_id")
    }
    single = pd.DataFrame({**actors, "fine": fine[rows], "row": rows})
    single = single[single["patient_id"] != ""].sort_values(["fine", "row"], ascending=[False, True])
    first = single.groupby(["patient_id", "institution_id"], sort=False)["row"].transform("first")
    story = story.copy()
    story.loc[single["row"], "subject_id"] = claims["claim_id"].to_numpy(dtype=object)[first.to_numpy()]
    many = single[single.groupby("patient_id")["row"].transform("size") >= least]
    story.loc[many["row"], "subject_kind"] = "patient"
    story.loc[many["row"], "subject_id"] = many["patient_id"].to_numpy()
    return story


def _from_stories(
    story: pd.DataFrame, cents: np.ndarray, fine: np.ndarray, score: np.ndarray, rings: Mapping[str, float]
) -> pd.DataFrame:
    rows = story.index.to_numpy()
    frame = story.assign(cents=cents[rows], fine=fine[rows], top=np.nan_to_num(score[rows]))
    groups = frame.groupby(["subject_kind", "subject_id"], sort=True)
    listed = groups.agg(cents=("cents", "sum"), fine=("fine", "sum"), top=("top", "max")).reset_index()
    money = listed["cents"].to_numpy()
    mean = listed["fine"].to_numpy() / np.maximum(money, 1) / _FINE
    listed["score"] = np.where(money > 0, mean, listed["top"])
    own = listed["subject_id"].where(listed["subject_kind"] == "ring").map(dict(rings))
    listed["score"] = own.astype("float64").fillna(listed["score"])
    return listed[["subject_kind", "subject_id", "cents", "score"]]


def _from_subjects(subjects: pd.DataFrame, kinds: tuple[str, ...]) -> pd.DataFrame:
    listed = subjects[subjects["subject_kind"].isin(kinds) & subjects["score"].notna()]
    listed = listed[["subject_kind", "subject_id", "score"]].assign(
        cents=np.rint(listed["amount_at_risk"].to_numpy(float) * 100).astype(np.int64)
    )
    return listed[listed["cents"] > 0].reset_index(drop=True)


def _claims_of(claims: pd.DataFrame, listed: pd.DataFrame) -> pd.DataFrame:
    """Every claim of the listed subjects, as stories."""
    parts = []
    for kind, own in listed.groupby("subject_kind", sort=True):
        column = f"{kind}_id"
        if column in claims:
            rows = np.flatnonzero(claims[column].isin(own["subject_id"]).to_numpy())
            ids = claims[column].to_numpy(dtype=object)[rows]
            parts.append(pd.DataFrame({"subject_kind": kind, "subject_id": ids}, index=rows))
    return pd.concat(parts) if parts else pd.DataFrame({"subject_kind": [], "subject_id": []}, dtype=object)


def _ranked(listed: pd.DataFrame, settings: ListSettings) -> pd.DataFrame:
    """Round score and money so that their product holds, order, and cut."""
    score = listed["score"].round(_SCORE_DIGITS)
    recovery = np.rint(score.to_numpy() * listed["cents"].to_numpy()).astype(np.int64)
    ids = [suspicion_id(k, i) for k, i in zip(listed["subject_kind"], listed["subject_id"], strict=True)]
    listed = listed.assign(score=score, recovery=recovery, suspicion_id=ids)
    listed = listed[listed["score"] >= settings.min_score]
    listed = listed.sort_values(
        ["recovery", "score", "suspicion_id"], ascending=[False, False, True], kind="stable"
    ).head(settings.capacity)
    listed = listed.reset_index(drop=True)
    return listed.assign(
        rank=np.arange(1, len(listed) + 1, dtype=np.int64),
        amount_at_risk=listed["cents"] / 100,
        expected_recovery=listed["recovery"] / 100,
    )


def _with_evidence(
    listed: pd.DataFrame,
    story: pd.DataFrame,
    claims: pd.DataFrame,
    fine: np.ndarray,
    score: np.ndarray,
    most: int,
) -> pd.DataFrame:
    rows = story.index.to_numpy()
    frame = story.assign(row=rows, fine=fine[rows], score=np.nan_to_num(score[rows]))
    frame = frame.merge(listed[["subject_kind", "subject_id", "rank"]], on=["subject_kind", "subject_id"])
    order = ["rank", "fine", "score", "row"]
    frame = frame.sort_values(order, ascending=[True, False, False, True], kind="stable")
    ids = claims["claim_id"].to_numpy(dtype=object)[frame["row"].to_numpy(dtype=np.int64)]
    edges = np.searchsorted(frame["rank"].to_numpy(), np.arange(1, len(listed) + 2))
    evidence = [list(ids[a : min(b, a + most)]) for a, b in zip(edges, edges[1:], strict=False)]
    return listed.assign(
        evidence_claim_ids=pd.Series(evidence, index=listed.index, dtype=object),
        claims=np.diff(edges).astype(np.int64),
    )


def statuses(
    listed: pd.DataFrame, previous: pd.DataFrame | None, cleared: pd.DataFrame | None, month: str
) -> list[str]:
    """How each suspicion stands against last month's list; see the contract's ``status_vs_last_month``."""
    before: dict[tuple[str, str], float] = {}
    if previous is not None:
        keys = zip(previous["subject_kind"], previous["subject_id"], strict=True)
        before = dict(zip(keys, previous["expected_recovery"].astype(float), strict=True))
    false_alarms = _cleared_before(cleared, month)
    status = []
    rows = zip(listed["subject_kind"], listed["subject_id"], listed["expected_recovery"], strict=True)
    for kind, subject, recovery in rows:
        old = before.get((kind, subject))
        if (kind, subject) in false_alarms:
            status.append("previously_cleared")
        elif old is None:
            status.append("new")
        elif recovery > (1 + CHANGE) * old:
            status.append("up")
        elif recovery < (1 - CHANGE) * old:
            status.append("down")
        else:
            status.append("persisting")
    return status


def _cleared_before(audits: pd.DataFrame | None, month: str) -> set[tuple[str, str]]:
    """Subjects whose latest decision before `month` cleared them."""
    if audits is None or audits.empty:
        return set()
    decided = pd.to_datetime(audits["decided_at"])
    frame = audits.assign(decided=decided)[(decided < pd.Timestamp(f"{month}-01")).to_numpy()]
    outcome = frame["outcome"] if "outcome" in frame else pd.Series("cleared", index=frame.index)
    # Decided at the same moment, a confirmation outweighs.
    frame = frame.assign(outcome=outcome, confirmed=outcome == "confirmed")
    last = frame.sort_values(["decided", "confirmed"], kind="stable").drop_duplicates(
        ["subject_kind", "subject_id"], keep="last"
    )
    last = last[last["outcome"] == "cleared"]
    return set(zip(last["subject_kind"], last["subject_id"], strict=True))
