"""Build the whole catalog of features for months of a dataset, timing every table it keeps.

    python ours.py DATASET FIRST LAST MEMORY_LIMIT WORK [KEEP]

Prints seconds of processor time by kept table; copies the claim table to KEEP where it is named.
"""

import json
import shutil
import sys
import time
from pathlib import Path

from fraud.engines import open_engine
from fraud.features.build import build
from fraud.schema import month_number
from fraud.settings import EngineSettings


def main(dataset: str, first: str, last: str, memory: str, work: str, keep: str = "") -> None:
    months = range(month_number(first), month_number(last) + 1)
    spent: dict[str, float] = {}
    with open_engine(EngineSettings(memory_limit=memory), Path(work)) as engine:
        engine.open_dataset(Path(dataset))
        run = engine.materialize

        def timed(name: str, expression: object) -> Path:
            began = time.process_time()
            path = run(name, expression)
            spent[name] = round(time.process_time() - began, 3)
            return path

        engine.materialize = timed
        began = time.process_time()
        tables = build(engine, list(months))
        cpu = time.process_time() - began
        if keep:
            shutil.copy(tables.paths["claim"], keep)
    shutil.rmtree(work)
    print(json.dumps({"cpu": round(cpu, 2), "features": sum(map(len, tables.columns.values())), "tables": spent}))


if __name__ == "__main__":
    main(*sys.argv[1:])
