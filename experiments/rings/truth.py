"""What there was to be found in a city: its true rings in a window of months.

A ring's members are the patients named in ``truth/groups`` who have at least two of the ring's fraudulent claims
settled in the window. One is enough where a single claim is the whole fraud: ghost stays, phantom invoices, and
composed rings most of whose claims are stays or bills from elsewhere. (Honest customers to whom a fence sold a
box hold a fraudulent claim but are no members.)

A ring with fewer than four such members is no ring to be found. Its members, and those of a larger ring who have
fewer claims than that in the window, are *ignored*: finding them is neither right nor wrong.

Rings of doctors are those of `referral_ring`: its senders and receiver, when at least four claims of patients they
referred were settled in the window. The referred patients are ignored.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from fraud.schema import STAY_TYPES

LEAST = 4  # members of a ring
ONE_CLAIM = ("ghost_stay", "phantom_invoice")
DOCTOR_SCHEMES = ("referral_ring",)


@dataclass(frozen=True)
class TrueRing:
    """A ring that could be found: patients, or doctors where `kind` is ``doctor_ring``."""

    ring_id: str
    scheme: str
    kind: str
    members: frozenset[str]


@dataclass(frozen=True)
class Truth:
    """Everything true about a window of a city.

    Attributes
    ----------
    rings : tuple of TrueRing
        Sorted by ring_id.
    ignored : frozenset of str
        Patients who are neither right nor wrong to find.
    innocent : dict of str to str
        Kind of innocent look-alike of a claim, for the claims that have one.
    people : int
        Insured people of the city.
    """

    rings: tuple[TrueRing, ...]
    ignored: frozenset[str]
    innocent: dict[str, str]
    people: int

    def of_kind(self, doctors: bool) -> list[TrueRing]:
        return [r for r in self.rings if (r.kind == "doctor_ring") == doctors]


def months_of(settled: pd.Series) -> pd.Series:
    """Month numbers (months since year 0) of timestamps."""
    return settled.dt.year * 12 + settled.dt.month - 1


def true_rings(city: Path, first: int, last: int) -> Truth:
    """Truth about the claims settled in months `first` to `last`, inclusive (month numbers)."""
    fraud = pd.read_parquet(city / "truth" / "claims.parquet", columns=["claim_id", "scheme", "group_id"])
    groups = pd.read_parquet(city / "truth" / "groups.parquet")
    columns = ["claim_id", "patient_id", "visit_type", "settled_at", "out_of_region"]
    claims = pd.read_parquet(city / "claims.parquet", columns=columns)
    claims = claims[months_of(claims["settled_at"]).between(first, last)]
    fraud = fraud[fraud["group_id"].notna()].merge(claims, on="claim_id")
    patients = groups[groups["member_kind"] == "patient"]
    named = pd.MultiIndex.from_frame(patients[["group_id", "member_id"]])
    member_claims = fraud[pd.MultiIndex.from_frame(fraud[["group_id", "patient_id"]]).isin(named)]
    rings, found, known = [], set(), set(member_claims["patient_id"])
    for ring_id, rows in member_claims.groupby("group_id", sort=True):
        scheme = rows["scheme"].iloc[0]
        if scheme in DOCTOR_SCHEMES:
            continue
        counts = rows["patient_id"].value_counts()
        members = frozenset(counts.index[counts >= _claims_needed(scheme, rows)])
        if len(members) >= LEAST:
            rings.append(TrueRing(ring_id, scheme, "patient_ring", members))
            found |= members
    rings += _doctor_rings(member_claims, groups)
    nuisance = pd.read_parquet(city / "truth" / "nuisance.parquet", columns=["claim_id", "kind"])
    innocent = dict(zip(nuisance["claim_id"], nuisance["kind"], strict=True))
    people = pq.read_metadata(city / "patients.parquet").num_rows
    return Truth(tuple(sorted(rings, key=lambda r: r.ring_id)), frozenset(known - found), innocent, people)


def _claims_needed(scheme: str, rows: pd.DataFrame) -> int:
    if scheme in ONE_CLAIM:
        return 1
    single = rows["visit_type"].isin(STAY_TYPES) | rows["out_of_region"].fillna(False).astype(bool)
    return 1 if scheme == "composed_ring" and single.mean() > 0.5 else 2


def _doctor_rings(member_claims: pd.DataFrame, groups: pd.DataFrame) -> list[TrueRing]:
    counts = member_claims.loc[member_claims["scheme"].isin(DOCTOR_SCHEMES), "group_id"].value_counts()
    active = counts.index[counts >= LEAST]
    doctors = groups[(groups["member_kind"] == "doctor") & groups["group_id"].isin(active)]
    return [
        TrueRing(ring_id, rows["scheme"].iloc[0], "doctor_ring", frozenset(rows["member_id"]))
        for ring_id, rows in doctors.groupby("group_id", sort=True)
    ]
