"""How long ``fraud publish`` takes for many suspicions and how much memory, of this code and of another's.

Makes one run folder and its dataset, and publishes them into an SQLite of its own in a fresh process for
each code folder, in turn. Writes ``publish.md``.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from list_speed import run_folder

HERE = Path(__file__).resolve().parent
PUBLISH = """
import json, resource, sys, time
from pathlib import Path
database, run, data = sys.argv[1:]
from fraud.settings import WorkbenchSettings
from fraud.workbench.configure import set_up
set_up(WorkbenchSettings(database=database))
from django.db import connection
from fraud.workbench.publishing import publish
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started, worked = time.monotonic(), time.process_time()
done = publish(Path(run), "speed", {"P-DUP-DRUG": ("重复开药", "条例第三十八条（二）")}, Path(data))
took = {"wall": time.monotonic() - started, "busy": time.process_time() - worked, "opened": done.opened}
took["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
took["before"] = before / 1024
rows = {}
with connection.cursor() as cursor:
    for table in connection.introspection.table_names(cursor):
        if table.startswith("workbench_"):
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
            rows[table] = cursor.fetchone()[0]
print(json.dumps({**took, "rows": rows}))
"""


def published(code: Path, run: Path, data: Path) -> dict:
    """What publishing took in a process that runs the code of a folder."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-c", PUBLISH, f"{home}/workbench.sqlite", str(run), str(data)]
        env = {**os.environ, "PYTHONPATH": str(code)}
        done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        return json.loads(done.stdout)


def table(found: dict[str, dict], suspicions: int) -> str:
    """The measured figures as a page."""
    kept = next(iter(found.values()))["rows"]
    lines = [
        f"# Publishing {suspicions:,} suspicions", "",
        f"`fraud publish` with the dataset into SQLite, each code in a process of its own, one after the other "
        f"({platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}). "
        f"{sum(kept.values()):,} rows are written. Made by `python experiments/workbench/publish_speed.py`.", "",
        "| code | seconds | processor seconds | peak memory, MB |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {n} | {f['wall']:.0f} | {f['busy']:.0f} | {f['peak']:.0f} |" for n, f in found.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--suspicions", type=int, default=100_000)
    asked.add_argument("--before", type=Path, help="Folder that holds another version of the package.")
    asked.add_argument("--out", type=Path, default=HERE / "publish.md")
    told = asked.parse_args()
    codes = {"before": told.before} if told.before else {}
    codes["now"] = HERE.parents[1]
    with tempfile.TemporaryDirectory() as home:
        run, data = run_folder(Path(home), told.suspicions)
        found = {name: published(code, run, data) for name, code in codes.items()}
    told.out.write_text(table(found, told.suspicions), encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
