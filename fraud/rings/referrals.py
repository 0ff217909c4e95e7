"""Doctor rings: senders whose patients turn up at one receiver beyond chance, and at more cost."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ibis.expr.types as ir
import networkx as nx
import numpy as np
import pandas as pd

from fraud.features.measures import DAY
from fraud.features.scope import Engine
from fraud.rings.referral_evidence import evidence_text
from fraud.rings.referral_flow import pair_table
from fraud.rings.referral_links import WITHIN, Links, gather

KIND = "doctor_ring"
NEEDED = ("doctor_id", "patient_id", "institution_id", "started_at", "total_amount")
ALARM = 14.0
"""Evidence (log-likelihood ratio summed over senders) from which on a receiver is reported. Set so that
development cities without fraud have none (0 in 200,000 people; 2 in 200,000 in cities not looked at)."""
STRONG = 5.0
"""Evidence from which on a pair counts towards the alarm."""
WEAK = 3.0
"""Evidence from which on a pair joins a ring that is reported anyway."""
LIKELY = 0.5
"""Chance of having been sent from which on a patient and his claims belong to the ring."""
CENTS = 100


@dataclass(frozen=True)
class ReferralRings:
    """Rings of referring doctors, as sorted frames.

    Attributes
    ----------
    rings : DataFrame
        ring_id, kind, members, claims, amount (yuan), p_value (chance of flows like these by
        gravity, corrected for the senders looked at), first_seen, last_seen, score (0–1),
        evidence (JSON); best first.
    members : DataFrame
        ring_id, member_kind, member_id, role (sender, receiver, member), membership_score.
    claims : DataFrame
        ring_id, claim_id, patient_id, institution_id, doctor_id, settled_at, amount (yuan): claims
        of the receivers for the patients sent to them, within three weeks of their coming.
    edges : DataFrame
        ring_id, a, b, meetings (patients sent), expected, weight (log-likelihood ratio), and
        sender, p_value of the pair.
    skipped : dict
        View → columns that are missing.
    tested : int
        Receivers that were looked at: so many p-values were drawn for the rings.
    """

    rings: pd.DataFrame
    members: pd.DataFrame
    claims: pd.DataFrame
    edges: pd.DataFrame
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tested: int = 0


RINGS = (
    "ring_id", "kind", "members", "claims", "amount", "p_value", "first_seen", "last_seen",
    "score", "evidence",
)  # fmt: skip
MEMBERS = ("ring_id", "member_kind", "member_id", "role", "membership_score")
CLAIMS = ("ring_id", "claim_id", "patient_id", "institution_id", "doctor_id", "settled_at", "amount")
EDGES = ("ring_id", "a", "b", "meetings", "expected", "weight", "sender", "p_value")


def referral_rings(
    engine: Engine,
    first: int,
    last: int,
    settings: Any,
    claims: ir.Table,
    progress: Callable[[str, int, int], None] | None = None,
) -> ReferralRings:
    """Find rings of doctors who refer patients to one another for money.

    Parameters
    ----------
    engine : Engine
        With the dataset registered.
    first, last : int
        Months of the referrals, inclusive; nothing settled after `last` is looked at.
    settings : RingSettings
        Of the section ``[rings]``; nothing of it matters here yet.
    claims : Table
        Unbound table of cleaned claims, ``fx_claims`` of `fraud.features.facts.build`.
    progress : callable, optional
        Called with a stage, the steps done and the steps in all.

    Examples
    --------
    >>> referral_rings(engine, last - 11, last, settings, claims).rings  # doctest: +SKIP
    """
    present = engine.present.get("claims", set())
    missing = tuple(f"claims.{c}" for c in NEEDED if c not in present)
    if missing:
        return _empty({KIND: missing})
    say = progress or (lambda _stage, _done, _all: None)
    say("referral links", 0, 3)
    found = gather(engine, first, last, claims)
    say("referral flows", 1, 3)
    pairs, links = pair_table(found)
    rings = _rings(pairs)
    say("doctor rings", 2, 3)
    if not rings:
        return _empty({}, tested=_tested(pairs))
    return _assemble(engine, last, claims, found, pairs, links, rings)


def _empty(skipped: dict[str, tuple[str, ...]], tested: int = 0) -> ReferralRings:
    rings, members, claims, edges = (
        pd.DataFrame({c: pd.Series(dtype=object) for c in f}) for f in (RINGS, MEMBERS, CLAIMS, EDGES)
    )
    return ReferralRings(rings, members, claims, edges, skipped, tested)


def _tested(pairs: pd.DataFrame) -> int:
    return int(pairs["receiver"].nunique())


def _rings(pairs: pd.DataFrame) -> list[pd.DataFrame]:
    """Pairs of each ring, best ring first.

    Senders of one receiver are one ring; where a receiver sends on (a chain), the rings are one.
    """
    strong = pairs[pairs["evidence"] >= STRONG]
    total = strong.groupby("receiver")["evidence"].sum()
    receivers = total.index[total >= ALARM]
    kept = pairs[pairs["receiver"].isin(receivers) & (pairs["evidence"] >= WEAK)]
    chains = nx.Graph()
    chains.add_nodes_from(receivers)
    onward = kept[kept["sender"].isin(receivers)]
    chains.add_edges_from(zip(onward["sender"], onward["receiver"], strict=True))
    rings = [kept[kept["receiver"].isin(part)] for part in nx.connected_components(chains)]
    return sorted(rings, key=lambda r: (-_strength(r), min(r["receiver"])))


def _strength(ring: pd.DataFrame) -> float:
    """Evidence of the strong pairs of the ring's best receiver."""
    strong = ring[ring["evidence"] >= STRONG]
    return float(strong.groupby("receiver")["evidence"].sum().max())


def _p_value(ring: pd.DataFrame, pairs: pd.DataFrame) -> float:
    """Smallest p-value of the ring's pairs, times the senders its receiver was looked at with."""
    senders = pairs.groupby("receiver")["sender"].size()
    corrected = ring["p_value"] * ring["receiver"].map(senders)
    return float(min(1.0, corrected.min()))


def _logistic(x: np.ndarray | float) -> Any:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -500, 500)))


def _assemble(
    engine: Engine,
    last: int,
    claims: ir.Table,
    found: Links,
    pairs: pd.DataFrame,
    links: pd.DataFrame,
    rings: list[pd.DataFrame],
) -> ReferralRings:
    names = [f"doctor-{i + 1:04d}" for i in range(len(rings))]
    edges = pd.concat([r.assign(ring_id=n) for n, r in zip(names, rings, strict=True)])
    ours = links.merge(edges[["sender", "receiver", "ring_id"]], on=["sender", "receiver"])
    sent = ours.groupby(["ring_id", "receiver", "patient_id"], as_index=False).agg(
        paid=("paid", "sum"), day=("day", "min")
    )
    sent = sent[sent["paid"] >= LIKELY].reset_index(drop=True)
    proof = _claims(engine, last, claims, sent)
    members = _members(edges, sent)
    rows = []
    for name, ring in zip(names, rings, strict=True):
        own = proof[proof["ring_id"] == name]
        rows.append(
            (
                name, KIND, int((members["ring_id"] == name).sum()), len(own),
                round(float(own["amount"].sum()), 2),
                _p_value(ring, pairs), own["settled_at"].min(), own["settled_at"].max(),
                float(_logistic((_strength(ring) - ALARM) / 2)),
                evidence_text(ring, ours[ours["ring_id"] == name], own, found, links),
            )
        )  # fmt: skip
    return ReferralRings(
        pd.DataFrame(rows, columns=list(RINGS)), members, proof, _edges(edges), tested=_tested(pairs)
    )


def _edges(edges: pd.DataFrame) -> pd.DataFrame:
    a = np.minimum(edges["sender"].to_numpy(object), edges["receiver"].to_numpy(object))
    b = np.maximum(edges["sender"].to_numpy(object), edges["receiver"].to_numpy(object))
    out = edges.assign(a=a, b=b, meetings=edges["n"].astype(int), weight=edges["evidence"])[list(EDGES)]
    return out.sort_values(["ring_id", "a", "b", "sender"], ignore_index=True)


def _members(edges: pd.DataFrame, sent: pd.DataFrame) -> pd.DataFrame:
    """Receivers, senders and the patients sent; a doctor in the middle of a chain is a receiver."""
    doctors = []
    for role in ("receiver", "sender"):
        best = edges.groupby(["ring_id", role], as_index=False)["evidence"].sum()
        score = _logistic(best["evidence"].to_numpy() - WEAK)
        doctors.append(best.assign(role=role, member_id=best[role], membership_score=score))
    both = pd.concat(doctors).drop_duplicates(["ring_id", "member_id"]).assign(member_kind="doctor")
    people = sent.groupby(["ring_id", "patient_id"], as_index=False)["paid"].max()
    people = people.assign(
        member_kind="patient", member_id=people["patient_id"], role="member",
        membership_score=people["paid"].clip(0, 1),
    )  # fmt: skip
    out = pd.concat([both[list(MEMBERS)], people[list(MEMBERS)]])
    rank = out["role"].map({"receiver": 0, "sender": 1, "member": 2})
    out = out.assign(rank=rank, down=-out["membership_score"])
    return out.sort_values(["ring_id", "rank", "down", "member_id"], ignore_index=True)[list(MEMBERS)]


def _claims(engine: Engine, last: int, claims: ir.Table, sent: pd.DataFrame) -> pd.DataFrame:
    """Claims of receivers for the patients sent to them, from their coming for `WITHIN` days on."""
    few = claims.filter((claims.is_visit == 1) & (claims.month <= last))
    few = few.filter(few.doctor_id.isin(sorted(set(sent["receiver"]))))
    few = few.select(
        "claim_id",
        "patient_id",
        "institution_id",
        "doctor_id",
        "started_second",
        "settled_second",
        "net_total",
    )
    runner: Any = engine
    rows = runner.to_arrow(few, "rg_receivers").to_pandas()
    rows = rows.merge(sent, left_on=["doctor_id", "patient_id"], right_on=["receiver", "patient_id"])
    after = rows["started_second"] // DAY - rows["day"]
    rows = rows[(after >= 0) & (after <= WITHIN)]
    rows = rows.assign(
        settled_at=pd.to_datetime(rows["settled_second"], unit="s"), amount=rows["net_total"] / CENTS
    )
    return rows.sort_values(["ring_id", "settled_at", "claim_id"], ignore_index=True)[list(CLAIMS)]
