"""What the toolkit costs by size: every stage, the floor below it and the same features in pandas and Polars.

    python experiments/performance/run.py [--sizes 2M 20M 100M] [--folder …] [--memory 2GB]

A size is fee lines: 13 months of one synthetic city, the last of them scored. Each stage is a process of its own, all of
them one after another in one run; seconds are of processor time, which busy neighbours disturb least. Writes
``results.json`` (a size is kept until it is measured again), ``table.md`` and ``picture.svg``.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import duckdb
from measured import HERE, Failed, fraud, here
from table import write

from fraud.engines import dataset_tables, part_files
from fraud.schema import TABLES

FOLDER = HERE.parents[1] / "data" / "synthetic" / "performance"
SIZES = {"2M": 2_000_000, "20M": 20_000_000, "100M": 100_000_000}
MONTHS, START, LAST, BEFORE = 13, "2025-01", "2026-01", "2025-12"
SEED = 901
LINES_PER_PERSON = 7.3 * MONTHS
# pandas holds every line at once, and a CSV copy of the largest size is larger than the disk should be asked for
HELD_IN_MEMORY = 20_000_000
_FREE = 15  # GB of disk to leave alone


def city(lines: int, folder: Path) -> Path:
    """Dataset of about so many lines, made once."""
    out = folder / f"{lines // 1_000_000}M"
    if not out.exists():
        people = round(lines / LINES_PER_PERSON)
        print(f"{out.name}: {people} people, {MONTHS} months", file=sys.stderr, flush=True)
        fraud("synth", out, "--patients", people, "--months", MONTHS, "--seed", SEED, "--start", START)
    return out


def as_csv(dataset: Path, folder: Path) -> Path:
    """Write the dataset's tables as CSV, as they arrive from an office."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as db:
        for name, path in dataset_tables(dataset).items():
            db.read_parquet(part_files(path)).write_csv(str(folder / f"{name}.csv"))
    return folder


def counted(dataset: Path) -> dict[str, int]:
    with duckdb.connect() as db:
        return {
            name: db.read_parquet(part_files(path)).aggregate("count(*)").fetchall()[0][0]
            for name, path in dataset_tables(dataset).items()
            if name in TABLES
        }


class Run:
    """The stages of one size.

    Attributes
    ----------
    stages : dict
        Stage → what it cost, or ``{"failed": text}``.
    """

    def __init__(self, dataset: Path, work: Path, memory: str) -> None:
        self.dataset, self.work, self.memory = dataset, work, memory
        self.stages: dict[str, dict[str, Any]] = {}
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        self.config = work / "fraud.toml"
        models = (work / "models").as_posix()
        self.config.write_text(
            f'[engine]\nmemory_limit = "{memory}"\nthreads = 2\n[tracking]\nmodels = "{models}"\n', encoding="utf-8"
        )

    def measure(self, stage: str, step: Any, *arguments: object) -> None:
        """Run a stage; one that fails is told, and the others go on."""
        try:
            self.stages[stage] = step(*arguments, work=self.work)
        except Failed as error:
            self.stages[stage] = {"failed": str(error).splitlines()[-1].rpartition("/")[2]}
        # what a command said names folders of this machine
        self.stages[stage].pop("out", None)
        said = {k: v for k, v in self.stages[stage].items() if k != "result"}
        print(f"{self.dataset.name} {stage}: {said}", file=sys.stderr, flush=True)

    def features(self, lines: int) -> None:
        """The floor, the whole catalog, a month added to twelve that are kept, and the peers."""
        kept = [self.work / f"{name}.parquet" for name in ("ours", "pandas", "polars")]
        store = ("--store", self.work / "store")
        last = (self.memory, self.work / "built")
        self.measure("bare scan", here, "floor.py", self.dataset, self.memory)
        self.measure("features, 13 months", here, "ours.py", self.dataset, START, LAST, *last)
        self.measure(
            "features, 12 months kept", here, "ours.py", self.dataset, START, BEFORE, *last, "--keep", kept[0], *store
        )
        self.measure("features, a month added", here, "ours.py", self.dataset, LAST, LAST, *last, *store)
        shutil.rmtree(store[1], ignore_errors=True)
        if lines <= HELD_IN_MEMORY:
            self.measure("pandas", here, "in_pandas.py", self.dataset, START, BEFORE, kept[1])
            self.measure("Polars", here, "in_polars.py", self.dataset, START, BEFORE, kept[2])
            self.measure("agreement", here, "agree.py", *kept)
        for path in kept:
            path.unlink(missing_ok=True)

    def commands(self, lines: int) -> None:
        """The toolkit's own commands: ingest, check, train, score."""
        own = ("--config", self.config)
        if lines <= HELD_IN_MEMORY:
            source = as_csv(self.dataset, self.work / "csv")
            size = sum(p.stat().st_size for p in source.iterdir())
            self.measure("CSV copied", here, "copied.py", source, self.work / "copied", self.memory)
            self.measure("ingest", fraud, "ingest", source, self.work / "ingested", *own)
            self.stages["ingest"]["csv_mb"] = round(size / 1e6)
            for name in ("csv", "copied", "ingested"):
                shutil.rmtree(self.work / name, ignore_errors=True)
        self.measure("check", fraud, "check", self.dataset, "--month", LAST, *own)
        self.measure("train", fraud, "train", self.dataset, "--until", BEFORE, *own)
        self.measure("score", fraud, "score", self.dataset, "--month", LAST, "--out", self.work / "runs", *own)
        manifest = self.work / "runs" / LAST / "manifest.json"
        if manifest.exists():
            self.stages["score"]["stages"] = json.loads(manifest.read_text(encoding="utf-8"))["measured"]["stages"]


def machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--memory", default="2GB", help="[engine] memory_limit")
    parser.add_argument("--only", choices=("features", "commands"), help="one half of the stages")
    parser.add_argument("--out", type=Path, default=HERE)
    o = parser.parse_args()
    kept = o.out / "results.json"
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for size in o.sizes:
        lines = SIZES[size]
        free = shutil.disk_usage(o.folder.parent).free / 1e9
        if free < _FREE:
            raise SystemExit(f"{free:.0f} GB of disk are free; {_FREE} are to be left alone.")
        dataset = city(lines, o.folder)
        run = Run(dataset, o.folder / "work", o.memory)
        if o.only != "commands":
            run.features(lines)
        if o.only != "features":
            run.commands(lines)
        shutil.rmtree(run.work)
        stages = results.get(size, {}).get("stages", {}) | run.stages
        results[size] = {"rows": counted(dataset), "memory": o.memory, "machine": machine(), "stages": stages}
        kept.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        write(results, o.out)


if __name__ == "__main__":
    main()
