"""Features of claims as a data scientist writes them in vectorised pandas: no loop, no `apply`.

    python in_pandas.py DATASET FIRST LAST OUT

Writes the features of the claims settled in months FIRST to LAST, as `in_polars.py` and our builder do; all months
before are history. The same names as in the catalog, the same meaning.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as pads

from fraud.engines import dataset_tables, part_files

CLAIMS = ["claim_id", "patient_id", "doctor_id", "settled_at", "total_amount", "fund_amount"]
LINES = ["claim_id", "item_code", "category", "amount"]
SHARES = {
    "drug": ["drug", "herb"], "exam": ["exam"], "lab": ["lab"], "treatment": ["treatment", "surgery"],
    "consumable": ["consumable"], "care": ["bed", "nursing"],
}  # fmt: skip
PATIENT_DAYS, DOCTOR_DAYS = (7, 30, 90, 365), (1, 7, 30)


def read(path: Path, columns: list[str]) -> pd.DataFrame:
    return pads.dataset(part_files(path)).to_table(columns=columns).to_pandas()


def cents(amount: pd.Series) -> pd.Series:
    return (amount.astype("float64") * 100).round().astype("int64")


def windows(claims: pd.DataFrame, who: str, days: tuple[int, ...], paid: tuple[int, ...]) -> pd.DataFrame:
    """Claims and yuan of a patient or doctor in the days before each claim."""
    known = claims[claims[f"{who}_id"].notna()].sort_values([f"{who}_id", "settled_at"], kind="stable")
    columns = known.set_index("settled_at").groupby(f"{who}_id", sort=False)[["visit", "total"]]
    out = known[["claim_id"]].reset_index(drop=True)
    for n in days:
        past = columns.rolling(f"{n}D", closed="left").sum()
        out[f"claim_{who}_claims_{n}d"] = past["visit"].fillna(0).to_numpy()
        if n in paid:
            out[f"claim_{who}_amount_{n}d"] = past["total"].fillna(0).to_numpy() / 100
    return out


def of_lines(lines: pd.DataFrame) -> pd.DataFrame:
    """Mix by category, top share and entropy of each claim."""
    whole = lines.groupby("claim_id")["cents"].sum().clip(lower=0)
    parts = lines.pivot_table(index="claim_id", columns="category", values="cents", aggfunc="sum", observed=True)
    out = pd.DataFrame(index=whole.index)
    for name, of in SHARES.items():
        part = parts[[c for c in of if c in parts]].sum(axis=1).clip(lower=0)
        out[f"claim_{name}_share"] = part / whole.where(whole > 0)
    items = lines.groupby(["claim_id", "item_code"])["cents"].sum()
    items = items[items > 0]
    share = items / items.groupby(level="claim_id").transform("sum")
    grouped = pd.DataFrame({"p": share, "h": -share * np.log(share)}).groupby(level="claim_id")
    parts_n = grouped.size()
    out["claim_top_item_share"] = grouped["p"].max()
    out["claim_item_entropy"] = grouped["h"].sum() / np.log(parts_n.where(parts_n > 1))
    return out.reset_index()


def main(dataset: str, first: str, last: str, out: str) -> None:
    began = time.process_time()
    found = dataset_tables(Path(dataset))
    claims = read(found["claims"], CLAIMS)
    end = pd.Timestamp(last) + pd.offsets.MonthBegin(1)
    claims = claims[claims["settled_at"] < end]
    claims["total"], claims["fund"] = cents(claims["total_amount"]), cents(claims["fund_amount"])
    claims["visit"] = (claims["total"] >= 0).astype("int64")
    features = claims[["claim_id"]].assign(
        claim_amount=claims["total"] / 100,
        claim_fund_amount=claims["fund"] / 100,
        claim_fund_share=claims["fund"] / claims["total"].where(claims["total"] > 0),
    )
    for who, days, paid in (("patient", PATIENT_DAYS, (30, 90, 365)), ("doctor", DOCTOR_DAYS, (30,))):
        features = features.merge(windows(claims, who, days, paid), how="left", on="claim_id")
    month = claims.loc[claims["settled_at"] >= pd.Timestamp(first), "claim_id"]
    features = features[features["claim_id"].isin(month)]
    lines = read(found["lines"], LINES)
    lines = lines[lines["claim_id"].isin(month)]
    lines["cents"] = cents(lines["amount"])
    features = features.merge(of_lines(lines), how="left", on="claim_id").sort_values("claim_id")
    features.to_parquet(out, index=False)
    print(json.dumps({"cpu": round(time.process_time() - began, 2), "features": len(features.columns) - 1}))


if __name__ == "__main__":
    main(*sys.argv[1:])
