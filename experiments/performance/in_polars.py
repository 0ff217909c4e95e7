"""The features of `in_pandas.py` in lazy Polars.

    python in_polars.py DATASET FIRST LAST OUT
"""

import json
import sys
import time
from datetime import datetime
from pathlib import Path

import polars as pl
from in_pandas import DOCTOR_DAYS, PATIENT_DAYS, SHARES

from fraud.engines import dataset_tables, part_files


def cents(column: str) -> pl.Expr:
    return (pl.col(column).cast(pl.Float64) * 100).round().cast(pl.Int64)


def windows(claims: pl.LazyFrame, who: str, days: tuple[int, ...], paid: tuple[int, ...]) -> pl.LazyFrame:
    key = f"{who}_id"
    known = claims.filter(pl.col(key).is_not_null()).sort(key, "settled_at")
    columns = []
    for n in days:
        span = {"by": "settled_at", "window_size": f"{n}d", "closed": "left"}
        columns.append(pl.col("visit").rolling_sum_by(**span).over(key).fill_null(0).alias(f"claim_{who}_claims_{n}d"))
        if n in paid:
            total = pl.col("total").rolling_sum_by(**span).over(key).fill_null(0) / 100
            columns.append(total.alias(f"claim_{who}_amount_{n}d"))
    return known.select("claim_id", *columns)


def of_lines(lines: pl.LazyFrame) -> pl.LazyFrame:
    whole = pl.col("cents").sum().clip(lower_bound=0)
    shares = [
        pl.when(whole > 0)
        .then(pl.col("cents").filter(pl.col("category").is_in(of)).sum().clip(lower_bound=0) / whole)
        .alias(f"claim_{name}_share")
        for name, of in SHARES.items()
    ]
    mix = lines.group_by("claim_id").agg(*shares)
    items = lines.group_by("claim_id", "item_code").agg(pl.col("cents").sum()).filter(pl.col("cents") > 0)
    p = pl.col("cents") / pl.col("cents").sum()
    spread = items.group_by("claim_id").agg(
        p.max().alias("claim_top_item_share"),
        pl.when(pl.len() > 1).then(-(p * p.log()).sum() / pl.len().log()).alias("claim_item_entropy"),
    )
    return mix.join(spread, on="claim_id", how="left")


def main(dataset: str, first: str, last: str, out: str) -> None:
    began = time.process_time()
    found = dataset_tables(Path(dataset))
    start, month = datetime.strptime(first, "%Y-%m"), datetime.strptime(last, "%Y-%m")
    end = datetime(month.year + month.month // 12, month.month % 12 + 1, 1)
    claims = pl.scan_parquet(part_files(found["claims"])).filter(pl.col("settled_at") < end)
    claims = claims.with_columns(total=cents("total_amount"), fund=cents("fund_amount"))
    claims = claims.with_columns(visit=(pl.col("total") >= 0).cast(pl.Int64))
    features = claims.select(
        "claim_id",
        "settled_at",
        claim_amount=pl.col("total") / 100,
        claim_fund_amount=pl.col("fund") / 100,
        claim_fund_share=pl.when(pl.col("total") > 0).then(pl.col("fund") / pl.col("total")),
    )
    for who, days, paid in (("patient", PATIENT_DAYS, (30, 90, 365)), ("doctor", DOCTOR_DAYS, (30,))):
        features = features.join(windows(claims, who, days, paid), on="claim_id", how="left")
    features = features.filter(pl.col("settled_at") >= start).drop("settled_at")
    lines = pl.scan_parquet(part_files(found["lines"])).with_columns(cents=cents("amount"))
    scored = claims.filter(pl.col("settled_at") >= start).select("claim_id")
    lines = lines.join(scored, on="claim_id", how="semi")
    features = features.join(of_lines(lines), on="claim_id", how="left").sort("claim_id").collect()
    features.write_parquet(out)
    print(json.dumps({"cpu": round(time.process_time() - began, 2), "features": features.width - 1}))


if __name__ == "__main__":
    main(*sys.argv[1:])
