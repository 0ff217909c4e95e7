"""How long one prescription takes: rules alone, with the history look-up, and over HTTP. See README.md.

The latencies over HTTP are counted from the moment a request was due, not from when it could be sent, so
that a server that falls behind cannot hide it (open loop).
"""

import argparse
import asyncio
import csv
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

HERE = Path(__file__).parent
PERCENTILES = (50, 90, 99, 99.9)


def prepare(folder: Path, patients: int, months: int) -> None:
    """A city, the history index up to its last month but one, generated rows, and requests of the last month."""
    from fraud.engines import open_engine
    from fraud.pipeline.ruling import rule_hits
    from fraud.rules.rule_set import load_rule_set
    from fraud.schema import month_number
    from fraud.settings import EngineSettings
    from fraud.synthetic import generate

    city = folder / "city"
    (folder / "work").mkdir()
    generate(city, patients=patients, months=months, seed=11)
    claims = pd.read_parquet(city / "claims.parquet")
    month = claims["settled_at"].dt.strftime("%Y-%m").max()
    before = str(pd.Period(month, "M") - 1)
    with open_engine(EngineSettings(threads=1), folder / "work") as engine:
        engine.open_dataset(city)
        rule_hits(engine, [month_number(before)], load_rule_set(), index=folder / "history.sqlite")
    write_rules(folder / "rules", pd.read_parquet(city / "items.parquet"))
    requests = requests_of(city, claims, month)
    (folder / "requests.json").write_text(json.dumps(requests, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def write_rules(folder: Path, items: pd.DataFrame) -> None:
    """One more age limit for every item of the city: looked at for every order, hit by hardly any."""
    (folder / "knowledge").mkdir(parents=True)
    with (folder / "knowledge" / "item_limits.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "items", "max_age", "note_zh", "note_en", "source"])
        for n, code in enumerate(sorted(items["item_code"])):
            out.writerow([f"BENCH-{n:04d}", f"code:{code}", 109, "压测", "benchmark", "generated for a benchmark"])


def requests_of(city: Path, claims: pd.DataFrame, month: str) -> list[dict]:
    """Claims of a month in the national form, as a hospital would have asked."""
    rows = claims[(claims["settled_at"].dt.strftime("%Y-%m") == month) & (claims["total_amount"] > 0)]
    rows = rows.sort_values("claim_id").head(2000).astype(object)
    rows = rows.where(rows.notna(), "")
    people = pd.read_parquet(city / "patients.parquet").set_index("patient_id")
    lines = pd.read_parquet(city / "lines.parquet")
    lines = lines[lines["claim_id"].isin(rows["claim_id"])].groupby("claim_id")
    kinds = {"outpatient": "11", "emergency": "13", "chronic": "14", "inpatient": "21", "pharmacy": "41", "maternity": "52"}
    charged = {"bed": "01", "consultation": "02", "exam": "03", "lab": "04", "treatment": "05", "surgery": "06", "nursing": "07", "consumable": "08", "drug": "09", "herb": "10"}
    requests = []
    for c in rows.itertuples():
        if c.claim_id not in lines.groups:
            continue
        who = people.loc[c.patient_id]
        orders = [
            {
                "rx_id": o.line_id, "hilist_code": o.item_code, "hilist_name": o.item_name, "chrg_type": charged.get(o.category, "14"),
                "cnt": str(o.quantity), "pric": str(o.unit_price), "sumamt": str(o.amount), "curr_drord_flag": "1",
                "drord_begn_date": str(o.charged_at)[:19] if pd.notna(o.charged_at) else "",
            }
            for o in lines.get_group(c.claim_id).itertuples()
        ]  # fmt: skip
        encounter = {
            "mdtrt_id": c.claim_id, "medins_id": c.institution_id, "medins_type": "A1", "medins_lv": "05",
            "adm_date": str(c.started_at)[:19], "dscg_date": str(c.ended_at)[:19], "dr_codg": c.doctor_id,
            "dscg_main_dise_codg": c.diagnosis_code, "med_type": kinds.get(c.visit_type, "11"), "med_mdtrt_type": "1",
            "fsi_diagnose_dtos": [{"dise_codg": c.diagnosis_code, "maindise_flag": "1"}], "fsi_order_dtos": orders,
        }  # fmt: skip
        patient = {
            "patn_id": c.patient_id, "patn_name": "x", "gend": {"M": "1", "F": "2"}.get(who["sex"], "0"),
            "brdy": str(who["birth_date"])[:10] if pd.notna(who["birth_date"]) else "", "curr_mdtrt_id": c.claim_id, "fsi_encounter_dtos": [encounter],
        }  # fmt: skip
        requests.append({"data": {"trig_scen": "2", "patient_dtos": [patient]}})
    return requests


def percentiles(seconds: list[float], unit: float) -> list[float]:
    """Chosen percentiles in a unit (nearest rank), and the largest."""
    ordered = sorted(seconds)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))] for p in PERCENTILES]
    return [v / unit for v in (*at, ordered[-1])]


def timed(work: Callable[[object], object], rows: list, clock: Callable[[], int]) -> list[float]:
    """Seconds of each call, after one round to warm up."""
    for row in rows if clock is time.perf_counter_ns else ():
        work(row)
    gc.collect()
    gc.freeze()
    spent = []
    for row in rows:
        begun = clock()
        work(row)
        spent.append((clock() - begun) / 1e9)
    return spent


def in_process(folder: Path) -> list[list[object]]:
    """Rows of the table for calls in process, by the wall and by the processor's clock."""
    from fraud.rules.history import HistoryIndex
    from fraud.rules.prescription import check_prescription, encounter_of
    from fraud.rules.request import parse
    from fraud.rules.screen import Screen
    from fraud.rules.single import find

    index = HistoryIndex(folder / "history.sqlite")
    screen = Screen.load(folder / "rules", index.master())
    bodies = json.loads((folder / "requests.json").read_text(encoding="utf-8"))
    requests = [parse(b)[0] for b in bodies]
    encounters = [encounter_of(r) for r in requests]
    known = [(e, index.of(e.patient_id)) for e in encounters]
    few = [k for k in known if len(k[0].orders) <= 5]
    texts = [json.dumps(b, ensure_ascii=False).encode() for b in bodies]
    work: list[tuple[str, Callable, list]] = [
        ("rules alone", lambda e: find(screen.rules, e), encounters),
        ("rules alone, at most 5 orders", lambda k: find(screen.rules, k[0]), few),
        ("rules and window rules over a history in memory", lambda k: find(screen.rules, *k), known),
        ("history look-up (SQLite)", lambda e: index.of(e.patient_id), encounters),
        ("whole check: request → answer", lambda r: check_prescription(r, screen, index), requests),
        ("whole check from JSON", lambda t: check_prescription(json.loads(t), screen, index).answer_3101(), texts),
    ]
    hits = [len(check_prescription(r, screen, index).hits) for r in requests]
    orders = sorted(len(r.orders) for r in requests)
    visits = sorted(h.count for _, h in known)
    print(f"checks {len(screen.checks)}; requests {len(requests)}; orders median {orders[len(orders) // 2]}, p99 {orders[int(len(orders) * 0.99)]}; earlier claims median {visits[len(visits) // 2]}, p99 {visits[int(len(visits) * 0.99)]}; with a hit {sum(h > 0 for h in hits)}")
    rows: list[list[object]] = []
    for name, call, on in work:
        for clock, told in ((time.perf_counter_ns, "wall"), (time.thread_time_ns, "processor")):
            rows.append([f"{name} ({told})", "µs", len(on), *percentiles(timed(call, on, clock), 1e-6)])
    return rows


async def fire(port: int, folder: Path, rate: int, seconds: int) -> dict[str, list[float]]:
    """Requests at a fixed rate, whatever the answers do; every tenth asks /health instead."""
    bodies = [json.dumps(b, ensure_ascii=False).encode() for b in json.loads((folder / "requests.json").read_text(encoding="utf-8"))]
    pool: asyncio.Queue = asyncio.Queue()
    for _ in range(64):
        pool.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    found: dict[str, list[float]] = {"check": [], "health": [], "failed": [], "late": []}

    async def one(number: int, due: float) -> None:
        late = time.perf_counter() - due
        reader, writer = await pool.get()
        head = b"POST /fsi/3102 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        body = bodies[number % len(bodies)]
        health = number % 10 == 9
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" if health else head % len(body) + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(int(r.split(b":")[1]) for r in answer.lower().split(b"\r\n") if r.startswith(b"content-length:"))
        await reader.readexactly(length)
        spent = time.perf_counter() - due
        pool.put_nowait((reader, writer))
        found["health" if health else "check"].append(spent)
        found["late"].append(late)
        if not answer.startswith(b"HTTP/1.1 200"):
            found["failed"].append(spent)

    begun, tasks = time.perf_counter() + 0.2, []
    for number in range(rate * seconds):
        due = begun + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    return found


def over_http(folder: Path, rate: int, seconds: int, edits: bool) -> list[list[object]]:
    """Rows of the table for HTTP: the server and the client are processes of their own."""
    (folder / "fraud.toml").write_text(
        f'[service]\nport = 0\nhistory = "{folder / "history.sqlite"}"\nreactions = "{folder / "reactions.sqlite"}"\nreload_seconds = 1.0\n'
        f'[rules]\nfolder = "{folder / "rules"}"\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-c", "from fraud.cli import main; main()", "serve", "--config", str(folder / "fraud.toml")]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stderr=log, cwd=Path(__file__).parents[2])
    try:
        port = _port(folder / "server.log", server)
        client = [sys.executable, __file__, "--client", str(port), "--folder", str(folder), "--rate", str(rate)]
        for length, warm in ((5, True), (seconds, False)):
            running = subprocess.Popen([*client, "--seconds", str(length)])
            while edits and not warm and running.poll() is None:
                edit(folder / "rules" / "knowledge" / "item_limits.csv")
                time.sleep(5)
            assert running.wait() == 0
        found = json.loads((folder / "fired.json").read_text(encoding="utf-8"))
    finally:
        server.terminate()
        server.wait(30)
    print(f"{'with' if edits else 'no'} edits: answers {len(found['check'])} + {len(found['health'])}, not 200: {len(found['failed'])}, client late p99 {percentiles(found['late'], 1e-3)[2]:.2f} ms")
    label = f"HTTP /fsi/3102 at {rate}/s" + (", an edit every 5 s" if edits else "")
    return [
        [f"{label} ({len(found['failed'])} not 200)", "ms", len(found["check"]), *percentiles(found["check"], 1e-3)],
        ["… /health in the same run", "ms", len(found["health"]), *percentiles(found["health"], 1e-3)],
    ]


def edit(path: Path) -> None:
    """Change every row's note, as an editor would: the whole file, into place."""
    text = path.read_text(encoding="utf-8")
    part = path.with_suffix(".part")
    part.write_text(text.replace("压测,", "压测·,") if "压测," in text else text.replace("压测·,", "压测,"), encoding="utf-8")
    os.replace(part, path)


def _port(log: Path, server: subprocess.Popen) -> int:
    for _ in range(600):
        text = log.read_text()
        if "http://" in text:
            return int(text.split("http://127.0.0.1:")[1].split()[0])
        if server.poll() is not None:
            raise SystemExit(text)
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def main() -> None:
    """Prepare, measure, write table.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=6000)
    parser.add_argument("--months", type=int, default=15)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=None, help="keep the prepared city here")
    parser.add_argument("--client", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=HERE / "table.md")
    given = parser.parse_args()
    if given.client:
        gc.disable()
        found = asyncio.run(fire(given.client, given.folder, given.rate, given.seconds))
        (given.folder / "fired.json").write_text(json.dumps(found), encoding="utf-8")
        return
    with TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if not (folder / "requests.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            prepare(folder, given.patients, given.months)
        load = os.getloadavg()[0]
        rows = in_process(folder)
        rows += over_http(folder, given.rate, given.seconds, edits=False)
        rows += over_http(folder, given.rate, given.seconds, edits=True)
    lines = ["| what | unit | n | p50 | p90 | p99 | p99.9 | max |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    lines += [f"| {r[0]} | {r[1]} | {r[2]:,} | " + " | ".join(f"{v:,.1f}" for v in r[3:]) + " |" for r in rows]
    command = f"`python experiments/prescription_check/run.py --patients {given.patients} --months {given.months} --rate {given.rate} --seconds {given.seconds}`"
    text = f"{command}; load average before: {load:.1f} on {os.cpu_count()} processors\n\n" + "\n".join(lines) + "\n"
    given.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
