"""How long the server takes for a page of the list with 100,000 suspicions, on SQLite and on PostgreSQL.

Makes a run folder and its dataset, publishes them as ``fraud publish`` does, and asks for pages through
the whole stack (middleware, audit trail, database, template) in one process. Writes ``table.md``.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
TESTS = HERE.parents[1] / "tests" / "workbench"
MONTH = "2026-06"
KINDS = np.array(["claim", "patient", "doctor", "department", "institution", "ring"])
PAGES = {
    "first page": "",
    "page 2": "page=2",
    "page 1000": "page=1000",
    "last page": "page=99999",
    "by amount at risk": "sort=risk",
    "by probability": "sort=probability",
    "newest": "sort=newest",
    "by due date": "sort=due",
    "by probability, page 500": "sort=probability&page=500",
    "unassigned": "state=unassigned",
    "under first review, by amount at risk": "state=first_review&sort=risk",
    "patients, up on last month": "subject_kind=patient&status=up",
    "one month, doctors, by probability": f"month={MONTH}&subject_kind=doctor&sort=probability",
    "mine": "assignee=me",
    "overdue, by due date": "due=overdue&sort=due",
    "search: start of a subject's id": "q=S00012",
    "search: a claim": "q=C0000777",
    "search: nothing found": "q=nobody",
    "one doctor": "doctor=D00042",
    "one institution, by amount at risk": "institution=H003&sort=risk",
    "one item and one department": "item=I0042&department=K0042",
}
CASE_PAGES = 5


def run_folder(home: Path, suspicions: int, learnt: int = 0) -> tuple[Path, Path]:
    """A run folder and its dataset: two claims a suspicion, two lines a claim.

    With `learnt`, the claims of so many of the last suspicions are taken off the list and form ten groups of
    odd claims, and a challenger's comparison lies beside.
    """
    from fraud.runs import RUN_TABLES, RunFolder

    draw = np.random.default_rng(5)
    n, number = suspicions, np.arange(suspicions)
    claim = [f"C{i:07d}" for i in range(2 * n)]
    at_risk = np.sort(draw.lognormal(7, 1.2, n))[::-1].round(2)
    score = draw.beta(2, 3, n).round(6)
    order = np.argsort(-(score * at_risk), kind="stable")
    reason = {
        "code": "total_z", "sentence_zh": "本单总费用与同类就诊相比偏离3.9个稳健标准差，同类一般为0.07",
        "sentence_en": "The total is 3.9 robust standard deviations from its peers", "value": 3.9,
        "baseline": 0.07, "peer_group": "chronic|tertiary", "peer_n": 240, "percentile": 0.97,
        "contribution": 0.9, "own_past": 1.2,
    }  # fmt: skip
    rows = [
        {
            "rank": place, "suspicion_id": f"S-{i:06d}", "month": MONTH, "subject_kind": str(KINDS[i % 6]),
            "subject_id": f"S{i:06d}", "score": float(score[i]), "amount_at_risk": float(at_risk[i]),
            "expected_recovery": round(float(score[i] * at_risk[i]), 2),
            "status_vs_last_month": ("new", "up", "persisting", "down")[i % 4], "reasons": [reason] * 3,
            "evidence_claim_ids": [claim[2 * i], claim[2 * i + 1]], "rationale_hash": f"{i:064x}",
        }
        for place, i in enumerate(order.tolist(), 1)
    ]  # fmt: skip
    off = {rows[i]["subject_id"] for i in range(n - learnt, n)}
    odd = [c for r in rows if r["subject_id"] in off for c in r["evidence_claim_ids"]]
    rows = [r for r in rows if r["subject_id"] not in off]
    scored = {
        "claim_id": claim, "month": [MONTH] * 2 * n, "score": np.repeat(score, 2), "p_supervised": None,
        "anomaly": np.repeat(score, 2), "rule_hits": [["P-DUP-DRUG"]] * 2 * n, "ring_id": [""] * 2 * n,
        "amount_at_risk": np.repeat(at_risk / 2, 2), "expected_recovery": np.repeat(score * at_risk / 2, 2),
    }  # fmt: skip
    scored["p_supervised"] = [None] * 2 * n
    with RunFolder(home / "runs", MONTH) as run:
        for table in ("suspicions", "claims_scored", "rule_hits", "rings", "ring_members"):
            schema = RUN_TABLES[table].arrow()
            if table == "suspicions":
                made = _typed(pa.Table.from_pylist(rows), schema)
            elif table == "claims_scored":
                made = _typed(pa.table(scored), schema)
            else:
                made = schema.empty_table()
            pq.write_table(made, run.part / f"{table}.parquet")
        if learnt:
            _write_learnt(run.part, odd, rows)
        run.write_manifest({"fingerprint": f"speed-{n}", "totals": {"claims": 2 * n}})
    data = home / "data"
    data.mkdir()
    owner = np.repeat(number, 2)
    settled = np.datetime64("2026-06-01T08:00", "us") + draw.integers(0, 29 * 24 * 60, 2 * n) * np.timedelta64(1, "m")
    claims = {
        "claim_id": claim, "patient_id": [f"P{i:06d}" for i in owner], "doctor_id": [f"D{i % 5000:05d}" for i in owner],
        "department_id": [f"K{i % 800:04d}" for i in owner], "institution_id": [f"H{i % 100:03d}" for i in owner],
        "visit_type": ["outpatient"] * 2 * n, "settled_at": settled, "started_at": settled, "ended_at": settled,
        "fund_amount": np.repeat(at_risk / 2, 2),
    }  # fmt: skip
    pq.write_table(_money(pa.table(claims)), data / "claims.parquet")
    item = draw.integers(0, 2000, 4 * n)
    price = draw.lognormal(4, 1, 4 * n).round(2)
    lines = {
        "line_id": [f"L{i:07d}" for i in range(4 * n)], "claim_id": np.repeat(np.array(claim), 2),
        "item_code": [f"I{i:04d}" for i in item], "item_name": [f"项目{i}" for i in item],
        "category": ["drug"] * 4 * n, "quantity": [1.0] * 4 * n, "unit_price": price, "amount": price,
    }  # fmt: skip
    pq.write_table(_money(pa.table(lines)), data / "lines.parquet")
    return run.final, data


def _write_learnt(folder: Path, odd: list[str], rows: list[dict]) -> None:
    """Ten groups of odd claims, and ten examples of what only the champion lists."""
    said = {"said_zh": "同医师90天复诊次数13（全部一般为2）", "said_en": "claims with this doctor, 90 days 13 (usually 2)"}
    features = [{"name": f"claim_{k}", "value": 13.0, "usual": 2.0, "below": 0.86, **said} for k in range(4)]
    step = len(odd) // 10
    groups = [
        {"group_id": f"N-{k:010x}", "claims": step, "patients": step, "amount": 100.0 * step, "alike": 0.8,
         "features": features, "places": [], "claim_ids": odd[k * step : (k + 1) * step]}
        for k in range(10)
    ]  # fmt: skip
    only = [{"subject_kind": r["subject_kind"], "subject_id": r["subject_id"], "claims": 2,
             "amount_at_risk": r["amount_at_risk"], "score": r["score"], "own_score": r["score"],
             "strongest_claim": r["evidence_claim_ids"][0], "other_score": 0.1, "other_place": 9} for r in rows[:10]]  # fmt: skip
    side = {"listed": len(rows), "money": 1e6, "expected": 1e5, "only": {"cases": 10, "money": 1e4, "examples": only}}
    told = {"version": "2", "until": MONTH, "experiment": "other", "rank_correlation": {"score": 0.9, "expected_recovery": 0.9},
            "top": [{"first": 200, "both": 190, "share": 0.95}], "champion": side,
            "challenger": {**side, "only": {"cases": 0, "money": 0.0, "examples": []}}}  # fmt: skip
    for name, content in (("new_schemes.json", groups), ("challenger.json", told)):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _typed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        column = table[field.name]
        if pa.types.is_decimal(field.type):
            column = pa.compute.round(column.cast(pa.float64()), 2).cast(field.type)
        columns.append(column.cast(field.type))
    return pa.table(columns, schema=schema)


def _money(table: pa.Table) -> pa.Table:
    for name in ("fund_amount", "unit_price", "amount"):
        if name in table.column_names:
            place = table.column_names.index(name)
            money = pa.compute.round(table[name], 2).cast(pa.decimal128(16, 2))
            table = table.set_column(place, name, money)
    return table


def measure(database: str, suspicions: int, repeats: int) -> dict:
    """Publish, then ask for every page; milliseconds by page."""
    from fraud.settings import WorkbenchSettings
    from fraud.workbench.configure import set_up

    set_up(WorkbenchSettings(database=database, allowed_hosts=("testserver",)))
    import fraud.workbench.urls  # noqa: F401  # before it is timed
    from fraud.workbench.models import Case
    from fraud.workbench.publishing import publish

    with tempfile.TemporaryDirectory() as home:
        folder, data = run_folder(Path(home), suspicions)
        started = time.monotonic()
        publish(folder, "speed", {"P-DUP-DRUG": ("重复开药", "条例第三十八条（二）")}, data)
        published = time.monotonic() - started
    head, client = head_at_work()
    load = os.getloadavg()[0]
    found = {name: _times(client, f"/cases/?{query}", repeats) for name, query in PAGES.items()}
    for by in ("item", "department"):
        found[f"break down all the money by {by}"] = _times(client, f"/cases/drill/?by={by}", repeats)
    narrowed = "/cases/drill/?by=item&state=unassigned"
    found["break down the unassigned cases by item"] = _times(client, narrowed, repeats)
    found["break down one department by doctor"] = _times(client, "/cases/drill/?by=doctor&department=K0042", repeats)
    ids = list(Case.objects.order_by("-expected_cents").values_list("pk", flat=True)[:CASE_PAGES])
    each = [_times(client, f"/cases/{i}/", repeats) for i in ids]
    for months in (3, 12, 24):
        found[f"figures of {months} months"] = _times(client, f"/figures/?months={months}", repeats)
    found["figures of 3 months, of a fifth of the institutions"] = _limited(client, head, repeats)
    found["take next"] = _taking(client, repeats)
    found["a case"] = {k: [t for one in each for t in one[k]] for k in ("wall", "busy")}
    return {"publish": published, "pages": found, "load": (load, os.getloadavg()[0])}


def _limited(client, head, repeats: int) -> dict[str, list[float]]:
    """The figures of an account that sees twenty of a hundred institutions: counted anew, not kept."""
    from fraud.workbench.scope import limit

    limit(head, [("institution", f"H{i:03d}") for i in range(20)], "speed")
    found = _times(client, "/figures/?months=3", repeats)
    limit(head, [], "speed")
    return found


def _taking(client, repeats: int) -> dict[str, list[float]]:
    """Taking the next case, to the redirect."""
    wall, before = [], _busy()
    for _ in range(repeats):
        started = time.perf_counter()
        assert client.post("/cases/take/").status_code == 302
        wall.append(1000 * (time.perf_counter() - started))
    return {"wall": wall, "busy": [1000 * (_busy() - before) / repeats]}


def head_at_work() -> tuple:
    """The head of an office whose cases are in several states, and a browser signed in as the head."""
    from django.contrib.auth.models import Group
    from django.test import Client

    from fraud.workbench.models import Account, Case

    head = Account.objects.create(username="head")
    head.groups.set([Group.objects.get_or_create(name="head")[0]])
    _spread(Case, head)
    _analyse()
    client = Client()
    client.force_login(head)
    return head, client


def _spread(cases, head) -> None:
    """Cases in several states, some held, some late, 40,000 of 100,000 decided in two years."""
    from datetime import date, timedelta
    from importlib import import_module

    from django.apps import apps
    from django.utils import timezone

    from fraud.workbench.random_slice import choose_share

    ids = list(cases.objects.order_by("id").values_list("pk", flat=True))
    cases.objects.filter(pk__in=ids[::10]).update(state="first_review", assignee=head)
    cases.objects.filter(pk__in=ids[3::10]).update(state="sent")
    now = timezone.now()
    for place in range(0, 400):  # a tenth in the last six weeks, the rest in two years
        days = place % 42 if place % 10 == 0 else (place * 7) % 700
        own = ids[5::10][place::400] + ids[6::10][place::400]
        more = ids[7::10][place::400] + ids[8::10][place::400]
        decided = {"open": False, "due_on": None, "assignee": head, "decided_at": now - timedelta(days),
                   "decided_on": timezone.localdate(now - timedelta(days)), "spent_hours": 30 * (place % 90),
                   "held_hours": 20 * (place % 90)}  # fmt: skip
        cases.objects.filter(pk__in=own).update(state="archived", outcome="cleared", amount_cents=0, **decided)
        cases.objects.filter(pk__in=more).update(
            state="recovered", outcome="confirmed", amount_cents=120_000, recovered_cents=60_000, **decided
        )
    for days in range(0, 200, 4):
        opened = now - timedelta(days, hours=1)
        cases.objects.filter(pk__in=ids[days // 4 :: 50], open=True).update(opened_at=opened)
    import_module("fraud.workbench.migrations.0010_count").count_decisions(apps, None)
    choose_share("0.05", "speed")
    for days in range(0, 60, 3):
        own = ids[days::60]
        cases.objects.filter(pk__in=own, open=True).update(due_on=date.today() + timedelta(days - 30))


def _analyse() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _times(client, address: str, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of some requests after one that is not counted, by the wall's and the processors' clock."""
    wall, busy = [], []
    for number in range(repeats + 1):
        if number == 1:
            before = _busy()
        started = time.perf_counter()
        response = client.get(address)
        wall.append(1000 * (time.perf_counter() - started))
        assert response.status_code == 200, (address, response.status_code)
    busy.append(1000 * (_busy() - before) / repeats)
    return {"wall": wall[1:], "busy": busy}


def _busy() -> float:
    """Seconds that this process and its PostgreSQL backend have worked; a tick is a hundredth."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return time.process_time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(found: dict[str, dict], suspicions: int, repeats: int) -> str:
    """The measured figures as a page."""
    names = list(found)
    head = " | ".join(f"{n} processor | {n} median | {n} slowest" for n in names)
    load = ", ".join(f"{n} {found[n]['load'][0]:.1f} to {found[n]['load'][1]:.1f}" for n in names)
    text = [
        f"# {suspicions:,} suspicions: milliseconds on the server", "",
        f"Each page {repeats} times through the whole stack (middleware, audit trail, database, template; 50 rows), "
        f"one request before them not counted. *Processor*: what the server and its database worked for a request; "
        f"*median* and *slowest*: by the wall's clock, which also counts waiting for other work on the machine "
        f"(load average {load}). {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        "Made by `python experiments/workbench/list_speed.py`.", "",
        f"| page | {head} |", "|---|" + "---|" * (3 * len(names)),
    ]  # fmt: skip
    for page in next(iter(found.values()))["pages"]:
        cells = []
        for name in names:
            times = found[name]["pages"][page]
            cells += [f"{statistics.fmean(times['busy']):.0f}", f"{statistics.median(times['wall']):.0f}",
                      f"{max(times['wall']):.0f}"]  # fmt: skip
        text.append(f"| {page} | " + " | ".join(cells) + " |")
    done = ", ".join(f"{found[n]['publish']:.0f} s on {n}" for n in names)
    text += ["", f"`fraud publish` of the same {suspicions:,} suspicions with their dataset took {done}.", ""]
    return "\n".join(text)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--suspicions", type=int, default=100_000)
    asked.add_argument("--repeats", type=int, default=15)
    asked.add_argument("--out", type=Path, default=HERE / "table.md")
    asked.add_argument("--database", default="")
    given = asked.parse_args()
    if given.database:
        print(json.dumps(measure(given.database, given.suspicions, given.repeats)))
        return
    sys.path.insert(0, str(TESTS))
    from test_postgresql import PROGRAMS, Cluster

    found = {}
    with tempfile.TemporaryDirectory() as home:
        found["SQLite"] = _apart(str(Path(home) / "workbench.sqlite"), given)
    if PROGRAMS is not None:
        home = Path(tempfile.mkdtemp(prefix="speed-pg-"))
        cluster = Cluster(home)
        cluster.start()
        try:
            found["PostgreSQL"] = _apart(cluster.address, given)
        finally:
            cluster.kill()
            import shutil

            shutil.rmtree(home, ignore_errors=True)
    given.out.write_text(table(found, given.suspicions, given.repeats), encoding="utf-8")


def _apart(database: str, given: argparse.Namespace) -> dict:
    """Measure in a process of its own: Django is set up once in one."""
    command = [sys.executable, __file__, "--database", database, "--suspicions", str(given.suspicions)]
    env = {**os.environ, "FRAUD_WORKBENCH_SECRET": "s" * 40}
    done = subprocess.run(
        [*command, "--repeats", str(given.repeats)], env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
