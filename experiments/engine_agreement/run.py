"""One month on DuckDB, on Spark in one process and on a cluster of processes: differences and costs.

    python experiments/engine_agreement/run.py            # the committed sample
    python experiments/engine_agreement/run.py --patients 5000

Trains once on DuckDB, scores the month on each engine in a process of its own, and writes table.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.run_differences import Difference, differences  # noqa: E402
from tests.spark_cluster import cluster  # noqa: E402

SAMPLE = ROOT / "data" / "synthetic" / "sample"
UNTIL, MONTH = "2025-04", "2025-05"
EXPERIMENT = "train_months = 4\nfolds = 2\n[forest]\ntrees = 20\nsample = 64\n[boosting]\ntrees = 20\nbags = 1\nmin_positives = 5\n"
HERE = Path(__file__).parent


@dataclass
class Cost:
    """Seconds of a command: of the wall clock, and of every process that worked for it."""

    wall: float = 0.0
    cpu: dict[int, float] = field(default_factory=dict)

    @property
    def processor(self) -> float:
        return sum(self.cpu.values())


def processes() -> dict[int, tuple[int, int, float]]:
    """Parent, group and processor seconds of every process (Linux)."""
    tick = os.sysconf("SC_CLK_TCK")
    found = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(place.parent.name)] = (int(rest[1]), int(rest[2]), (int(rest[11]) + int(rest[12])) / tick)
    return found


def measured(command: list[str], groups: list[int]) -> Cost:
    """Run a command; count its descendants and the processes of some groups, as long as they live."""
    cost, over = Cost(), threading.Event()
    before = {pid: row[2] for pid, row in processes().items()}
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)

    def look() -> None:
        ours = {process.pid}
        while True:
            last, rows = over.is_set(), processes()
            for _ in range(4):
                ours |= {pid for pid, row in rows.items() if row[0] in ours or row[1] in groups}
            for pid in ours & set(rows):
                cost.cpu[pid] = rows[pid][2] - before.get(pid, 0.0)
            if last:
                return
            over.wait(0.2)

    watch = threading.Thread(target=look)
    watch.start()
    _, said = process.communicate()
    over.set()
    watch.join()
    cost.wall = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(said[-3000:])
    return cost


def settings(folder: Path, name: str, engine: str) -> Path:
    """A settings file with an engine."""
    path = folder / f"{name}.toml"
    path.write_text(
        f'[engine]\n{engine}threads = 2\nmemory_limit = "2GB"\n[tracking]\nmodels = "{folder / "models"}"\n',
        encoding="utf-8",
    )
    return path


def fraud(*words: object) -> list[str]:
    return [sys.executable, "-c", "from fraud.cli import main; main()", *map(str, words)]


def scored(folder: Path, data: Path, name: str, engine: str, groups: list[int]) -> Cost:
    config = settings(folder, name, engine)
    return measured(
        fraud("score", data, "--month", MONTH, "--out", folder / name, "--config", config), groups
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=0, help="generate a city; 0 for the committed sample")
    patients = parser.parse_args().patients
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        data = SAMPLE
        if patients:
            data = folder / "city"
            city = ("--patients", patients, "--months", 6, "--start", "2025-01", "--seed", 5)
            measured(fraud("synth", data, *city), [])
        (folder / "small.toml").write_text(EXPERIMENT, encoding="utf-8")
        config = settings(folder, "train", 'name = "duckdb"\n')
        measured(
            fraud("train", data, "--until", UNTIL, "--experiment", folder / "small.toml", "--config", config), []
        )
        costs = {"DuckDB": scored(folder, data, "duckdb", 'name = "duckdb"\n', [])}
        spark = 'name = "spark"\nmaster = "{}"\n'
        costs["Spark, local[2]"] = scored(folder, data, "local", spark.format("local[2]"), [])
        two = stack.enter_context(cluster(folder / "cluster", memory="2g"))
        groups = [w.pid for w in two.workers]
        costs["Spark, a master and two workers"] = scored(
            folder, data, "cluster", spark.format(two.master), groups
        )
        against = {n: differences(folder / "duckdb" / MONTH, folder / n / MONTH) for n in ("local", "cluster")}
    text = table(costs, against)
    (HERE / "table.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def table(costs: dict[str, Cost], against: dict[str, list[Difference]]) -> str:
    """Costs as multiples of DuckDB's, and what differs from it."""
    one = costs["DuckDB"]
    lines = ["| engine | wall, × DuckDB | processor, × DuckDB |", "| --- | --- | --- |"]
    lines += [
        f"| {name} | {cost.wall / one.wall:.1f} | {cost.processor / one.processor:.1f} |"
        for name, cost in costs.items()
    ]
    lines += [
        "", f"DuckDB: {one.wall:.0f} s wall, {one.processor:.0f} s of processors.", "",
        "| file | rows | local[2] | cluster |", "| --- | --- | --- | --- |",
    ]  # fmt: skip
    for a, b in zip(against["local"], against["cluster"], strict=True):
        lines.append(f"| {a.file} | {a.rows[0] or '—'} | {told(a)} | {told(b)} |")
    return "\n".join(lines) + "\n"


def told(found: Difference) -> str:
    if found.same_bytes:
        return "same bytes"
    return f"{found.values} values, floats within {found.largest:.1e}, rows {found.rows[1]}"


if __name__ == "__main__":
    main()
