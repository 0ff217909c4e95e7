"""Cost of `fraud.rings.find` at 20,000, 200,000 and 2,000,000 people with a year of claims.

    python experiments/rings/scale.py [--sizes 20000 200000 2000000] [--folder …] [--keep]

A province is many cities: the larger datasets are copies of one generated city side by side, each with identifiers of
its own. Each size is measured in a process of its own; writes scale.md and scale.json. The largest dataset takes about
10 GB of disk, and is removed afterwards unless told to keep it.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from cities import FOLDER, START, City, made
from methods import HERE, ours_settings, peak_mib

from fraud.schema import month_number

SIZES = (20_000, 200_000, 2_000_000)
GRAPH_STAGES = ("networkx", "igraph")
_FREE = 20  # GB of disk to leave alone
_BYTES_PER_PERSON = 5_000
# identifiers that belong to one city; items, invoice runs and beds mean the same everywhere
_OWN = (
    "claim_id", "visit_id", "line_id", "patient_id", "institution_id", "department_id", "doctor_id", "operator_id",
    "household_id", "employer_id", "phone", "address", "trace_code",
)  # fmt: skip
_TABLES = ("claims", "lines", "diagnoses", "patients", "doctors", "departments", "institutions")


def tile(city: Path, out: Path, copies: int) -> None:
    """Write a dataset of so many copies of a city, each table a folder with one part per copy."""
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with duckdb.connect(config={"threads": 2, "memory_limit": "3GB"}) as db:
        for table in _TABLES:
            source = city / f"{table}.parquet"
            own = [c for c in pq.read_schema(source).names if c in _OWN]
            (partial / table).mkdir()
            for copy in range(copies):
                replaced = ", ".join(f"'{copy:03d}' || {c} AS {c}" for c in own)
                target = partial / table / f"{copy:03d}.parquet"
                db.execute(
                    f"COPY (SELECT * REPLACE ({replaced}) FROM '{source}') TO '{target}' (FORMAT parquet)"
                )
            print(f"{out.name}: {table}", file=sys.stderr, flush=True)
    for name in ("items.parquet", "dataset.toml"):
        shutil.copy(city / name, partial / name)
    shutil.rmtree(out, ignore_errors=True)
    partial.replace(out)


def dataset(size: int, base: Path, folder: Path, people: int) -> Path:
    """Dataset of a size: the base city itself, or copies of it."""
    copies = max(1, round(size / people))
    if copies == 1:
        return base
    out = folder / "scale" / f"{base.name}-x{copies}"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        needed, free = size * _BYTES_PER_PERSON / 1e9, shutil.disk_usage(out.parent).free / 1e9
        if free - needed < _FREE:
            raise SystemExit(f"{size} people need about {needed:.0f} GB of disk; {free:.0f} GB are free.")
        tile(base, out, copies)
    return out


def measure(path: Path, months: int, method: str) -> dict:
    """Run `find` on a dataset in this process."""
    from fraud.pipeline.frames import opened
    from fraud.rings import find
    from fraud.settings import Settings

    first = month_number(START)
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(dir=path.parent) as work,
        opened(path, Settings(), Path(work)) as (engine, _),
    ):
        found = find(engine, first, first + months - 1, settings=ours_settings(method))
    seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 1), "peak_mib": round(peak_mib()), "rings": len(found.rings),
        "stages": {k: round(v, 2) for k, v in found.timings.items()},
        "graph_share": sum(v for k, v in found.timings.items() if any(g in k for g in GRAPH_STAGES)) / seconds,
    }  # fmt: skip


def in_a_process(path: Path, months: int, method: str) -> dict:
    """Measure in a fresh process, so that its memory is its own."""
    command = [sys.executable, __file__, "--one", str(path), "--months", str(months), "--method", method]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def text_of(rows: list[dict]) -> str:
    head = ["people", "claims", "seconds", "× linear", "exponent", "peak MiB", "graph libraries", "rings"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for i, r in enumerate(rows):
        growth = ["–", "–"]
        if i:
            faster, larger = r["seconds"] / rows[i - 1]["seconds"], r["people"] / rows[i - 1]["people"]
            growth = [f"{faster / larger:.2f}", f"{math.log(faster) / math.log(larger):.2f}"]
        cells = [f"{r['people']:,}", f"{r['claims']:,}", f"{r['seconds']:.0f}", *growth, f"{r['peak_mib']:,}",
                 f"{r['graph_share']:.1%}", str(r["rings"])]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    stages = sorted({s for r in rows for s in r["stages"]})
    lines += ["", "| stage, seconds | " + " | ".join(f"{r['people']:,}" for r in rows) + " |"]
    lines.append("|" + " --- |" * (len(rows) + 1))
    lines += [f"| {s} | " + " | ".join(f"{r['stages'].get(s, 0):.1f}" for r in rows) + " |" for s in stages]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--people", type=int, default=20_000, help="people of the city that is copied")
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--seed", type=int, default=501)
    parser.add_argument("--method", default="ours", help="ours, or ours:key=value,… of section [rings]")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--keep", action="store_true", help="keep the copied datasets")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.one:
        print(json.dumps(measure(o.one, o.months, o.method)))
        return
    base = made(City("designed", 0.4, o.seed, o.people, o.months), o.folder)
    rows = []
    for size in sorted(o.sizes):
        path = dataset(size, base, o.folder, o.people)
        parts = [path / "claims.parquet"] if path == base else sorted((path / "claims").glob("*.parquet"))
        claims = sum(pq.read_metadata(p).num_rows for p in parts)
        people = o.people * (1 if path == base else len(parts))
        rows.append({"people": people, "claims": claims} | in_a_process(path, o.months, o.method))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        if path != base and not o.keep:
            shutil.rmtree(path)
        said = " ".join(map(str, o.sizes))
        text = f"`python experiments/rings/scale.py --sizes {said}`, {o.months} months\n\n" + text_of(rows)
        (o.out / "scale.md").write_text(text, encoding="utf-8")
        (o.out / "scale.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
