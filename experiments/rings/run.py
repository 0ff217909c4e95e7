"""The ring benchmark: every method on every city, in one run; writes table.md and results.json.

    python experiments/rings/run.py [--seeds 501 502 503 504 505] [--camouflage 0 0.4 0.8]
        [--variants designed composed honest honest_crowds] [--methods ours fraudar …] [--jobs 2]

Each method runs in a process of its own per city, which is timed and whose peak memory is read. A result is kept
beside the cities and used again until the generator, the method or the measures change, so a run may be stopped
and taken up again. The truth is read only after a method has handed over its alarms.
"""

import argparse
import json
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from cities import REPORTED, City, add_choice, chosen, made, version_of
from measures import city_counts
from methods import HERE, known, peak_mib, run_method, version
from table import results, table_text
from textbook import TEXTBOOK
from truth import true_rings

from fraud.schema import month_number


def kept(city: City, method: str, folder: Path) -> Path:
    safe = "".join(c if c.isalnum() or c in "._-=" else "_" for c in method)
    return folder / "results" / city.name / f"{safe}.json"


def present(city: City, method: str, folder: Path) -> dict | None:
    """Kept result, if nothing that it depends on has changed."""
    path = kept(city, method, folder)
    if not path.exists():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    return result if result["version"] == [version_of(city), version(method)] else None


def measure(city: City, method: str, folder: Path) -> dict:
    """Run a method on a city (in a process of its own) and keep the counts."""
    import scipy.stats  # noqa: F401  imports are not part of a method's seconds

    if method.startswith("ours"):
        import fraud.rings  # noqa: F401
    path, first = made(city, folder), month_number("2025-01")
    last = first + city.months - 1
    stamp = [version_of(city), version(method)]
    began = time.perf_counter()
    alarms, stages = run_method(method, path, first, last)
    seconds, peak = time.perf_counter() - began, peak_mib()
    counts = city_counts(true_rings(path, first, last), alarms)
    counts |= {"seconds": round(seconds, 2), "peak_mib": round(peak)}
    result = {
        "variant": city.variant, "camouflage": city.camouflage, "seed": city.seed, "patients": city.patients,
        "months": city.months, "method": method, "version": stamp, "stages": stages, "counts": counts,
    }  # fmt: skip
    out = kept(city, method, folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".tmp")
    partial.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    partial.replace(out)
    return result


def all_done(tasks: list, pool: ProcessPoolExecutor, work: object, say: object) -> list[str]:
    """Run tasks in a pool, saying which is done; the failures."""
    failures = []
    futures = {pool.submit(work, *task): task for task in tasks}
    for done, future in enumerate(as_completed(futures), 1):
        label = say(futures[future])
        try:
            future.result()
        except Exception as problem:  # one city must not cost the others their results
            failures.append(f"{label}: {problem!r}")
            traceback.print_exception(problem, file=sys.stderr)
        print(f"[{done}/{len(tasks)}] {label}", file=sys.stderr, flush=True)
    return failures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_choice(parser, REPORTED, ["designed", "composed", "honest", "honest_crowds"])
    parser.add_argument("--methods", type=known, nargs="+", default=["ours", *TEXTBOOK])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="measure anew what is kept")
    parser.add_argument("--kept", action="store_true", help="make the table of what is kept; measure nothing")
    parser.add_argument("--out", type=Path, default=HERE)
    o = parser.parse_args()
    cities = chosen(o.variants, o.seeds, o.camouflage, o.patients, o.months)
    wanted = [] if o.kept else [(c, m) for c in cities for m in o.methods]
    todo = [(c, m) for c, m in wanted if o.again or present(c, m, o.folder) is None]
    spawn = get_context("spawn")
    with ProcessPoolExecutor(o.jobs, mp_context=spawn) as pool:
        needed = [(c, o.folder) for c in dict.fromkeys(c for c, _ in todo)]
        failures = all_done(needed, pool, made, lambda t: f"made {t[0].name}")
    with ProcessPoolExecutor(o.jobs, mp_context=spawn, max_tasks_per_child=1) as pool:
        tasks = [(c, m, o.folder) for c, m in todo]
        failures += all_done(tasks, pool, measure, lambda t: f"{t[0].name} {t[1]}")
    rows = [r for c in cities for m in o.methods if (r := present(c, m, o.folder)) is not None]
    figures = results(rows)
    said = f"--seeds {' '.join(map(str, o.seeds))} --variants {' '.join(o.variants)} --patients {o.patients}"
    if o.camouflage:
        said += f" --camouflage {' '.join(map(str, o.camouflage))}"
    text = f"`python experiments/rings/run.py {said} --methods {' '.join(o.methods)}`\n\n" + table_text(
        figures
    )
    o.out.mkdir(parents=True, exist_ok=True)
    (o.out / "table.md").write_text(text, encoding="utf-8")
    (o.out / "results.json").write_text(
        json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    print(text)
    if failures:
        sys.exit("\n".join(["Not measured:", *failures]))


if __name__ == "__main__":
    main()
