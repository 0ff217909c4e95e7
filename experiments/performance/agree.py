"""Whether the features built three ways are the same: share of equal values by feature.

    python agree.py OURS PANDAS POLARS
"""

import json
import sys

import numpy as np
import pyarrow.parquet as pq


def values(path: str, column: str, order: np.ndarray) -> np.ndarray:
    return pq.read_table(path, columns=[column])[column].to_numpy().astype(float)[order]


def order_of(path: str) -> np.ndarray:
    return np.argsort(pq.read_table(path, columns=["claim_id"])["claim_id"].to_numpy(), kind="stable")


def main(ours: str, *others: str) -> None:
    orders = {path: order_of(path) for path in (ours, *others)}
    names = [n for n in pq.read_schema(others[0]).names if n != "claim_id"]
    worst = 1.0
    for name in names:
        own = values(ours, name, orders[ours])
        for path in others:
            same = np.isclose(values(path, name, orders[path]), own, rtol=1e-9, atol=1e-9, equal_nan=True)
            worst = min(worst, float(same.mean()))
    print(json.dumps({"features": len(names), "claims": len(orders[ours]), "least_equal": worst}))


if __name__ == "__main__":
    main(*sys.argv[1:])
