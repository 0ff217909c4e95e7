"""The floor: DuckDB reads the columns the features read, and nothing else.

    python floor.py DATASET MEMORY_LIMIT

One xor of hashes per table, so that every value is
decoded and none is kept.
"""

import json
import sys
import time
from pathlib import Path

import duckdb
from columns import read_columns

from fraud.engines import dataset_tables, part_files


def main(dataset: str, memory: str) -> None:
    found = dataset_tables(Path(dataset))
    began = time.process_time()
    rows = {}
    with duckdb.connect(config={"threads": 2, "memory_limit": memory}) as db:
        for table, columns in read_columns(found).items():
            source = db.read_parquet(part_files(found[table]))
            listed = ", ".join(f'"{c}"' for c in columns)
            rows[table] = source.aggregate(f"bit_xor(hash({listed})), count(*)").fetchall()[0][1]
    print(json.dumps({"cpu": round(time.process_time() - began, 2), "rows": rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
