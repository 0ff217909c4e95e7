"""Find the rings of a period: meetings → suspected ties → candidates → ranked, explained rings."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from fraud.engines import Engine
from fraud.errors import UsageError
from fraud.rings.described import Chosen, Described, describe
from fraud.rings.identity import identify
from fraud.rings.model import RingModels, load_models, q_values
from fraud.rings.referrals import ReferralRings, referral_rings
from fraud.rings.stages import Ranked, choose, grow, not_meeting, observe, people, ranked, suspected
from fraud.rings.visits import Period
from fraud.settings import RingSettings


@dataclass(frozen=True)
class Rings:
    """Rings of a period, best first; every frame is sorted and the same for the same input.

    Attributes
    ----------
    rings : DataFrame
        ring_id, kind, members, claims, amount (yuan), p_value, q_value, first_seen, last_seen,
        status (new, growing, persisting, dormant), score (probability), evidence (JSON).
    members : DataFrame
        ring_id, member_kind, member_id, role, membership_score.
    claims : DataFrame
        ring_id, claim_id, patient_id, institution_id, doctor_id, settled_at, amount (yuan).
    edges : DataFrame
        ring_id, a, b, meetings, expected, weight.
    skipped : dict of str to str
        View → missing columns.
    timings : dict of str to float
        Seconds of each stage.
    """

    rings: pd.DataFrame
    members: pd.DataFrame
    claims: pd.DataFrame
    edges: pd.DataFrame
    skipped: dict[str, str] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


RING_COLUMNS = (
    "ring_id", "kind", "members", "claims", "amount", "p_value", "q_value", "first_seen", "last_seen",
    "status", "score", "evidence",
)  # fmt: skip
MEMBER_COLUMNS = ("ring_id", "member_kind", "member_id", "role", "membership_score")
CLAIM_COLUMNS = (
    "ring_id", "claim_id", "patient_id", "institution_id", "doctor_id", "settled_at", "amount",
)  # fmt: skip
EDGE_COLUMNS = ("ring_id", "a", "b", "meetings", "expected", "weight")
COLUMNS = (RING_COLUMNS, MEMBER_COLUMNS, CLAIM_COLUMNS, EDGE_COLUMNS)


def find(
    engine: Engine,
    first: int,
    last: int,
    settings: RingSettings | None = None,
    previous: pd.DataFrame | None = None,
    progress: Any = None,
) -> Rings:
    """Find the rings of a period.

    Parameters
    ----------
    engine : Engine
        With a dataset registered.
    first, last : int
        Months (see `fraud.schema.month_number`), inclusive; nothing settled after `last` is looked at.
    settings : RingSettings, optional
    previous : DataFrame, optional
        ring_id, member_kind, member_id of the last run: rings keep their ids.
    progress : callable, optional
        Called with a stage, the steps done and the steps in all.

    Raises
    ------
    UsageError
        ``first`` lies after ``last``, or the ring models named in the settings are absent.
    """
    if first > last:
        raise UsageError("rings: the first month lies after the last.")
    settings = settings or RingSettings()
    models = load_models(settings.models)
    clock = _Clock()
    with clock("engine: visits, meetings, ties"):
        scope = observe(engine, first, last, progress)
    engine.release()
    parts = [_patient_rings(scope, settings, models, clock)]
    with clock("engine and networkx: doctor rings"):
        doctors = referral_rings(engine, first, last, settings, scope["claims"])
    parts.append(_doctor_rings(doctors, settings))
    rings = _joined([p for p in parts if len(p.rings)], previous, last)
    skipped = _skipped(engine) | {k: ", ".join(v) for k, v in doctors.skipped.items()}
    return Rings(*rings, skipped, clock.seconds)


def suspicion_of_ties(
    engine: Engine, first: int, last: int, settings: RingSettings | None = None
) -> pd.DataFrame:
    """How suspected each tie is by months `first` to `last`, for those that are at all.

    The models were fitted on synthetic cities: no decision of this dataset is looked at.

    Returns
    -------
    DataFrame
        patient_id, institution_id, tie (probability), sorted.
    """
    models = load_models((settings or RingSettings()).models)
    scope = observe(engine, first, last)
    suspects = suspected(scope, models)
    ties = suspects.ties[["person", "place"]].assign(tie=models.predict("company", suspects.ties))
    for name, column in (("person", "patient_id"), ("place", "institution_id")):
        ids = engine.to_arrow(scope[f"ring_{name}s"].select(name, column), f"ring_{name}_ids").to_pandas()
        ties = ties.merge(ids, on=name)
    ties = ties[["patient_id", "institution_id", "tie"]]
    return ties.sort_values(["patient_id", "institution_id"], ignore_index=True)


class _Clock:
    """Seconds of each stage; they reach no result but the manifest."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - begin, 2)


def _patient_rings(scope: Period, settings: RingSettings, models: RingModels, clock: _Clock) -> Described:
    with clock("models: suspected ties"):
        suspects = suspected(scope, models)
        score = models.predict("company", suspects.ties)
    scope.engine.release()
    with clock("igraph: candidates"):
        found = ranked(suspects, score, *not_meeting(scope, suspects, score))
    with clock("models: ranking"):
        chosen = _chosen(scope, found, settings, models)
        if not chosen.numbers:
            return Described(*(pd.DataFrame() for _ in range(4)))
    with clock("evidence"):
        return describe(scope, found, chosen, models, settings.membership)


def _chosen(scope: Period, found: Ranked, settings: RingSettings, models: RingModels) -> Chosen:
    """Rings within the false-discovery rate, best first."""
    truth = models.predict("truth", found.measures)
    numbers = choose(found.groups, models.predict("quality", found.measures), truth)
    numbers = sorted(numbers, key=lambda n: (-truth[n], n))
    score = truth[numbers]
    p_value, q_value = q_values(score, models, people(scope))
    rows = grow(found, numbers, truth)
    strength = rows.groupby(["candidate", "person"])["score"].max()
    strong = strength[strength >= settings.membership].groupby("candidate").size()
    enough = strong.reindex(numbers).fillna(0).to_numpy() >= settings.min_members
    keep = np.flatnonzero((q_value <= settings.max_q) & enough)
    return Chosen([numbers[k] for k in keep], rows, score[keep], p_value[keep], q_value[keep])


def _doctor_rings(found: ReferralRings, settings: RingSettings) -> Described:
    """Rings of referring doctors; q values after Benjamini and Hochberg over all receivers tested."""
    if found.rings.empty:
        return Described(*(pd.DataFrame() for _ in range(4)))
    p = found.rings["p_value"].to_numpy(float)
    untold = np.ones(max(found.tested - len(p), 0))  # receivers that were tested and are no rings
    q = false_discovery_control(np.concatenate([p, untold]))[: len(p)]
    rings = found.rings.assign(q_value=q)
    rings = rings[rings["q_value"] <= settings.max_q].reset_index(drop=True)
    number = {name: i for i, name in enumerate(rings["ring_id"])}
    tables = [rings, found.members, found.claims, found.edges]
    numbered = []
    for table in tables:
        ring = table["ring_id"].map(number)
        numbered.append(table[ring.notna()].assign(ring=ring.dropna().astype(int)).drop(columns="ring_id"))
    return Described(*numbered)


def _joined(
    parts: list[Described], previous: pd.DataFrame | None, last: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rings of all kinds in one list, best first, with their ids."""
    if not parts:
        return tuple(pd.DataFrame(columns=list(c)) for c in COLUMNS)
    shifted, start = [], 0
    for part in parts:
        tables = (part.rings, part.members, part.claims, part.edges)
        shifted.append([t.assign(ring=t["ring"] + start) if len(t) else t for t in tables])
        start += len(part.rings)
    rings, members, claims, edges = (
        pd.concat(tables, ignore_index=True) for tables in zip(*shifted, strict=True)
    )
    core = members[members["role"].isin(("member", "carrier", "sender", "receiver"))]
    doctors = set(rings.loc[rings["kind"] == "doctor_ring", "ring"])
    kinds = np.where(core["ring"].isin(doctors), "doctor", "patient")
    core = core[core["member_kind"].to_numpy() == kinds]
    sets = {int(r): frozenset(own) for r, own in core.groupby("ring")["member_id"]}
    names = identify(sets, previous)
    quiet = pd.Timestamp((last - 2) // 12, (last - 2) % 12 + 1, 1)
    status = [
        "dormant" if seen < quiet else names[int(r)][1]
        for r, seen in zip(rings["ring"], rings["last_seen"], strict=True)
    ]
    rings = rings.assign(status=status, rank=rings["score"] * rings["amount"])
    named = [
        t.assign(ring_id=t["ring"].map(lambda r: names[int(r)][0])) for t in (rings, members, claims, edges)
    ]
    rings = named[0].sort_values(["rank", "ring_id"], ascending=[False, True])
    sorted_by = (
        ["ring_id", "member_kind", "member_id"],
        ["ring_id", "settled_at", "claim_id"],
        ["ring_id", "a", "b"],
    )
    others = [t.sort_values(keys) for t, keys in zip(named[1:], sorted_by, strict=True)]
    return tuple(
        t[list(columns)].reset_index(drop=True) for t, columns in zip([rings, *others], COLUMNS, strict=True)
    )


_WANTED = {
    "minutes": ("claims.department_id",),
    "operator": ("claims.operator_id",),
    "doctor": ("claims.doctor_id",),
    "item": ("lines.item_code",),
    "refill": ("lines.days_supply", "items.days_per_unit"),
    "resold": ("lines.trace_code",),
    "invoice": ("claims.invoice_no", "claims.out_of_region"),
    "family": ("patients.household_id",),
    "employer": ("patients.employer_id",),
    "address": ("patients.address",),
}


def _skipped(engine: Engine) -> dict[str, str]:
    """Views and explanations that had to do without columns; all else goes on."""
    out = {}
    for name, columns in _WANTED.items():
        missing = [c for c in columns if c.split(".")[1] not in engine.present.get(c.split(".")[0], set())]
        if missing and (name != "refill" or len(missing) == len(columns)):
            out[name] = ", ".join(missing)
    return out
