"""Synthetic cities for the benchmark of doctor rings, and who truly refers to whom for money."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.synthetic import generate

OTHERS = ("card_pool", "doctor_patient_ring", "pharmacy_ring", "drug_resale", "ghost_stay", "phantom_invoice", "ghost_dialysis")  # fmt: skip
DEVELOPMENT = (1, 2, 3, 4)
REPORTED = (501, 502, 503, 504, 505)
FEWEST = 3
"""Patients sent (with claims of the receiver) from which on a pair is one to be found."""
WITHIN = 28
"""Most days from the start of the sender's visit to the start of the receiver's (the generator's three
weeks, and the wait for the receiver's next clinic day)."""


@dataclass(frozen=True)
class City:
    """One dataset: `variant` is alone (referral rings only), all (every ring scheme), recoded or honest.

    Recoded is alone, read through `recoded`.
    """

    variant: str
    seed: int
    camouflage: float
    patients: int = 20_000
    months: int = 12

    @property
    def name(self) -> str:
        return (
            f"{self.variant}_{self.patients}x{self.months}_s{self.seed}_c{round(self.camouflage * 100):03d}"
        )

    def make(self, folder: Path) -> Path:
        """Folder of the dataset, generated where it is absent."""
        path = folder / self.name.replace("recoded", "alone")
        schemes = {
            "recoded": ("referral_ring",),
            "alone": ("referral_ring",),
            "all": ("referral_ring", *OTHERS),
            "honest": (),
        }[self.variant]
        if not (path / "claims.parquet").exists():
            print(f"generating {self.name}", file=sys.stderr, flush=True)
            generate(
                path, patients=self.patients, months=self.months, seed=self.seed,
                camouflage=self.camouflage, schemes=schemes, prevalence=2.0,
            )  # fmt: skip
        return path


def true_pairs(dataset: Path, fewest: int = FEWEST) -> pd.DataFrame:
    """Pairs (sender, receiver) that really exchange patients: sender, receiver, patients.

    A fraudulent claim counts where it names the receiver; its patient is sent by those of the
    gang's senders who saw him for the same diagnosis within `WITHIN` days before. A gang that was active too
    briefly to send `fewest` patients along a pair leaves nothing to find there.
    """
    truth = pq.read_table(dataset / "truth" / "claims.parquet").to_pandas()
    truth = truth[truth["scheme"] == "referral_ring"]
    groups = pq.read_table(dataset / "truth" / "groups.parquet").to_pandas()
    doctors = groups[(groups["member_kind"] == "doctor") & (groups["scheme"] == "referral_ring")]
    columns = ["claim_id", "patient_id", "doctor_id", "started_at", "diagnosis_code"]
    claims = pq.read_table(dataset / "claims.parquet", columns=columns).to_pandas()
    paid = claims.merge(truth[["claim_id", "group_id"]], on="claim_id")
    receivers = doctors[doctors["role"] == "receiver"][["group_id", "member_id"]]
    paid = paid.merge(receivers, on="group_id").query("doctor_id == member_id")
    senders = doctors[doctors["role"] != "receiver"][["group_id", "member_id"]].drop_duplicates()
    senders = senders.rename(columns={"member_id": "sender"})
    seen = claims.rename(columns={"doctor_id": "sender", "started_at": "seen_at"})
    seen = seen.merge(senders, on="sender")[["patient_id", "sender", "group_id", "seen_at", "diagnosis_code"]]
    pairs = paid.merge(seen, on=["patient_id", "group_id", "diagnosis_code"])
    days = (pairs["started_at"].dt.floor("D") - pairs["seen_at"].dt.floor("D")).dt.days
    pairs = pairs[(days >= 1) & (days <= WITHIN)]
    pairs = pairs.groupby(["sender", "doctor_id"])["patient_id"].nunique().reset_index()
    pairs.columns = ["sender", "receiver", "patients"]
    return pairs[pairs["patients"] >= fewest].reset_index(drop=True)


def recoded(dataset: Path, share: float = 0.5) -> Path:
    """Copy of a dataset in which a share of the paid claims bears another diagnosis.

    The generator's receivers copy the sender's diagnosis, which real ones need not do. The other
    diagnosis is that of another claim of the same doctor, drawn at random.
    """
    path = dataset.with_name(dataset.name.replace("alone", "recoded"))
    path.mkdir(exist_ok=True)
    for table in sorted(dataset.glob("*.parquet")):
        link = path / table.name
        if table.name != "claims.parquet" and not link.exists():
            link.symlink_to(table.resolve())
    claims = pq.read_table(dataset / "claims.parquet")
    truth = set(
        pq.read_table(dataset / "truth" / "claims.parquet", columns=["claim_id"])["claim_id"].to_pylist()
    )
    names = claims["doctor_id"].to_pylist()
    codes = claims["diagnosis_code"].to_pylist()
    of: dict[str | None, list[str | None]] = {}
    for name, code in zip(names, codes, strict=True):
        of.setdefault(name, []).append(code)
    rng = np.random.default_rng(0)
    new = [
        of[name][int(rng.integers(len(of[name])))] if claim in truth and rng.random() < share else code
        for claim, name, code in zip(claims["claim_id"].to_pylist(), names, codes, strict=True)
    ]
    at = claims.schema.get_field_index("diagnosis_code")
    column = pa.array(new, claims.schema.field(at).type)
    pq.write_table(claims.set_column(at, claims.schema.field(at), column), path / "claims.parquet")
    return path
