"""Build the whole catalog of features for months of a dataset, timing every table it keeps.

    python ours.py DATASET FIRST LAST MEMORY_LIMIT WORK [--keep FILE] [--store FOLDER]

Prints seconds of processor time by kept table, and a digest of the last month's claim features that does not depend
on the order of rows; copies the claim table to FILE.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import duckdb

from fraud.engines import open_engine, part_files
from fraud.features.build import build
from fraud.schema import month_number
from fraud.settings import EngineSettings


def digest(path: Path, month: int) -> str:
    """Rows of a month and the exclusive or of their hashes."""
    with duckdb.connect() as db:
        said = "SELECT count(*), bit_xor(hash(own)) FROM read_parquet(?) AS own WHERE month = ?"
        return " ".join(map(str, db.execute(said, [part_files(path), month]).fetchall()[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("dataset", "first", "last", "memory", "work"):
        parser.add_argument(name)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--store", type=Path)
    o = parser.parse_args()
    months = range(month_number(o.first), month_number(o.last) + 1)
    spent: dict[str, float] = {}
    with open_engine(EngineSettings(memory_limit=o.memory), Path(o.work)) as engine:
        engine.open_dataset(Path(o.dataset))
        run = engine.materialize

        def timed(name: str, expression: object) -> Path:
            began = time.process_time()
            path = run(name, expression)
            spent[name] = round(time.process_time() - began, 3)
            return path

        engine.materialize = timed
        began = time.process_time()
        tables = build(engine, list(months), store=o.store)
        cpu = time.process_time() - began
        last = digest(tables.paths["claim"], months[-1])
        if o.keep:
            with duckdb.connect() as db:
                db.read_parquet(part_files(tables.paths["claim"])).write_parquet(str(o.keep))
    shutil.rmtree(o.work)
    columns = sum(map(len, tables.columns.values()))
    print(json.dumps({"cpu": round(cpu, 2), "features": columns, "tables": spent, "last_month": last}))


if __name__ == "__main__":
    main()
