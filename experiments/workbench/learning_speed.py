"""How long the server takes for the pages of new schemes and models beside 100,000 suspicions, on SQLite.

As ``list_speed.py``: one process, the whole stack. Ten groups of 300 odd claims each. Writes ``learning.md``.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from list_speed import _times, head_at_work, run_folder

HERE = Path(__file__).resolve().parent
ODD = 1500
"""Suspicions whose two claims each are taken off the list for the groups."""


def measure(database: Path, suspicions: int, repeats: int) -> tuple[float, dict[str, dict]]:
    """Publish, then ask for every page; processor seconds of publishing, and milliseconds by page."""
    from fraud.settings import WorkbenchSettings
    from fraud.workbench.configure import set_up

    set_up(WorkbenchSettings(database=str(database), allowed_hosts=("testserver",)))
    import fraud.workbench.urls  # noqa: F401  # before it is timed
    from fraud.workbench.learnt import NewScheme, OddClaim
    from fraud.workbench.models import Case
    from fraud.workbench.publishing import publish
    from fraud.workbench.scope import limit

    with tempfile.TemporaryDirectory() as home:
        folder, data = run_folder(Path(home), suspicions, ODD)
        started = time.process_time()
        publish(folder, "speed", {}, data)
        published = time.process_time() - started
    head, client = head_at_work()
    scheme = NewScheme.objects.get(place=1)
    first = list(OddClaim.objects.filter(scheme=scheme).values_list("claim_id", flat=True)[:20])
    before = {"cpu": time.process_time(), "wall": time.perf_counter()}
    answer = client.post(f"/schemes/{scheme.pk}/take/", {"claim": first})
    taking = {"wall": [1000 * (time.perf_counter() - before["wall"])], "busy": [1000 * (time.process_time() - before["cpu"])]}
    assert answer.status_code == 302
    assert Case.objects.filter(source="scheme").count() == 20
    found = {
        "ten groups, 3,000 claims": _times(client, "/schemes/", repeats),
        "a group of 300 claims": _times(client, f"/schemes/{scheme.pk}/", repeats),
        "the models": _times(client, "/model/", repeats),
        "list, chosen for learning": _times(client, "/cases/?source=learning", repeats),
        "list, of new schemes": _times(client, "/cases/?source=scheme", repeats),
        "20 cases out of a group (once)": taking,
    }
    limit(head, [("institution", f"H{i:03d}") for i in range(20)], "speed")
    found["ten groups, a fifth of the institutions"] = _times(client, "/schemes/", repeats)
    found["the models, a fifth of the institutions"] = _times(client, "/model/", repeats)
    return published, found


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--suspicions", type=int, default=100_000)
    asked.add_argument("--repeats", type=int, default=10)
    asked.add_argument("--out", type=Path, default=HERE / "learning.md")
    given = asked.parse_args()
    os.environ.setdefault("FRAUD_WORKBENCH_SECRET", "s" * 40)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        published, found = measure(Path(home) / "workbench.sqlite", given.suspicions, given.repeats)
    text = [
        f"# New schemes and models beside {given.suspicions:,} suspicions: milliseconds on the server, SQLite", "",
        f"Each page {given.repeats} times through the whole stack, one request before them not counted. *Processor*: what "
        "the server worked for a request; *median* and *slowest*: by the wall's clock, other work on the machine included "
        f"(load average {load:.1f} to {os.getloadavg()[0]:.1f}). {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}. Made by `python experiments/workbench/learning_speed.py`.", "",
        "| page | processor | median | slowest |", "|---|---|---|---|",
    ]  # fmt: skip
    for page, times in found.items():
        cells = (statistics.fmean(times["busy"]), statistics.median(times["wall"]), max(times["wall"]))
        text.append(f"| {page} | " + " | ".join(f"{c:.0f}" for c in cells) + " |")
    text += ["", f"Publishing the month with its groups, their claims' lines and histories took {published:.0f} processor seconds.", ""]
    given.out.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
