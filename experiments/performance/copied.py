"""Copy CSV to Parquet with DuckDB, types guessed, nothing checked, mapped or hashed: what ingest cannot beat.

python copied.py CSV_FOLDER OUT MEMORY_LIMIT
"""

import argparse
import json
import time
from pathlib import Path

import duckdb


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("source", "out", "memory"):
        parser.add_argument(name)
    o = parser.parse_args()
    Path(o.out).mkdir(parents=True)
    began = time.process_time()
    with duckdb.connect(config={"threads": 2, "memory_limit": o.memory}) as db:
        for path in sorted(Path(o.source).glob("*.csv")):
            rows = db.read_csv(str(path))
            rows.write_parquet(str(Path(o.out) / f"{path.stem}.parquet"), compression="zstd")
    print(json.dumps({"cpu": round(time.process_time() - began, 2)}))


if __name__ == "__main__":
    main()
