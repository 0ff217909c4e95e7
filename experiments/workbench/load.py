"""Fifty auditors at once on 100,000 cases, PostgreSQL, and ``kill -9`` of the server and of the database.

Starts a PostgreSQL and ``fraud workbench`` of its own. Every auditor is a thread that signs in and then, with
a pause between two actions, looks at the list, takes the next case, opens it and decides. A third of the
way the web server is killed, at two thirds the database; both are started again and the auditors go on. What
the auditors were told is then held against the database and the audit trail. Writes ``load.md``.
"""

import argparse
import http.client
import os
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent
TESTS = HERE.parents[1] / "tests" / "workbench"
PASSWORD = "rivers and 7 mountains"
COMMAND = [sys.executable, "-c", "from fraud.cli import main; main()"]
LISTS = ("", "state=unassigned", "assignee=me", "subject_kind=patient&sort=risk", "page=40", "q=S0007", "sort=probability")
DECISIONS = ("clear", "confirm")


def seed(address: str, cases: int, people: int, home: Path) -> None:
    """One published case, copied in the database with what belongs to it; and the accounts."""
    from fraud.settings import WorkbenchSettings
    from fraud.workbench.configure import set_up

    set_up(WorkbenchSettings(database=address))
    sys.path.insert(0, str(TESTS))
    from django.db import connection
    from run_folders import NAMES, write_run

    from fraud.workbench.accounts import save_account
    from fraud.workbench.publishing import publish

    publish(write_run(home / "runs", "2025-06", [("patient", "P1", 900.0)]), "load", NAMES)
    for number in range(people):
        save_account(f"auditor{number:02d}", "auditor", PASSWORD, "load")
    with connection.cursor() as cursor:
        _copy(cursor, "workbench_case", f"generate_series(1, {cases - 1}) g", {
            "suspicion_id": "'L' || g", "subject_id": "'S' || lpad(g::text, 6, '0')",
            "expected_cents": "(random() * 1e6)::bigint", "at_risk_cents": "(random() * 1e7)::bigint", "score": "random()",
        })  # fmt: skip
        own = "(SELECT id AS c FROM workbench_case WHERE id > 1) g"
        _copy(cursor, "workbench_suspicion", own, {"case_id": "c"})
        _copy(cursor, "workbench_step", own, {"case_id": "c"})
        own = "(SELECT id AS s FROM workbench_suspicion WHERE id > 1) g"
        for table in ("workbench_evidence", "workbench_rulehit"):
            _copy(cursor, table, own, {"suspicion_id": "s"}, "suspicion_id = 1")
        cursor.execute("ANALYZE")


def _copy(cursor, table: str, per: str, changed: dict[str, str], which: str = "id = 1") -> None:
    cursor.execute(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'")
    columns = [c for (c,) in cursor.fetchall() if c != "id"]
    told = ", ".join(changed.get(c, f't."{c}"') for c in columns)
    names = ", ".join(f'"{c}"' for c in columns)
    cursor.execute(f"INSERT INTO {table} ({names}) SELECT {told} FROM {table} t, {per} WHERE t.{which}")


class Server:
    """``fraud workbench`` as a process."""

    def __init__(self, home: Path, port: int, env: dict) -> None:
        self.home, self.port, self.env, self.process = home, port, env, None

    def start(self) -> None:
        command = [*COMMAND, "workbench", "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=self.home, env=self.env, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        assert "http://" in line, line
        self.port = int(line.rsplit(":", 1)[1])
        self.spent = self._cpu()  # importing
        threading.Thread(target=self._drain, args=(self.process.stderr,), daemon=True).start()

    def _drain(self, pipe) -> None:
        with (self.home / "server.log").open("a") as log:
            for line in pipe:
                log.write(line)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def cpu(self) -> float:
        """Seconds of the processor since the server was ready."""
        return self._cpu() - self.spent

    def _cpu(self) -> float:
        pid = self.process.pid
        own = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
        told = [Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split() for p in own]
        return sum(int(f[11]) + int(f[12]) for f in told) / os.sysconf("SC_CLK_TCK")


class Lost(Exception):
    """No answer, or none of the application's: nobody knows what became of the request."""


class Auditor:
    """One person: what they did, how long each took, and what they were told."""

    def __init__(
        self, name: str, server: Server, end: float, pause: float, seed: int, everybody: threading.Barrier
    ) -> None:
        self.name, self.server, self.end, self.pause = name, server, end, pause
        self.everybody = everybody
        self.draw, self.cookies, self.connection = random.Random(seed), {}, None
        self.times: dict[str, list[float]] = defaultdict(list)
        self.taken: list[int] = []
        self.decided: list[tuple[int, str]] = []
        self.unsure: list[tuple[int, str]] = []
        self.lost = self.refused = 0

    def ask(self, action: str, method: str, path: str, form: dict | None = None) -> tuple[int, str, str]:
        """Status, where it leads, and the page."""
        body = urlencode({"csrfmiddlewaretoken": self.cookies.get("csrftoken", ""), **(form or {})}) if method == "POST" else None
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        started = time.perf_counter()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            page = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            self.connection = None
            self.lost += 1
            raise Lost from None
        for name, value in answer.headers.items():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        if answer.status >= 500:
            self.lost += 1
            raise Lost
        self.times[action].append(1000 * (time.perf_counter() - started))
        return answer.status, answer.headers.get("Location", ""), page

    def work(self) -> None:
        signed_in, begun = False, False
        while time.monotonic() < self.end:
            try:
                if not signed_in:
                    self.ask("page to sign in", "GET", "/sign-in/")
                    status, _, _ = self.ask("sign in", "POST", "/sign-in/", {"name": self.name, "password": PASSWORD})
                    assert status == 302, status
                    signed_in = True
                if not begun:
                    self.everybody.wait(timeout=60)
                    begun = True
                self._rest()
                status, _, _ = self.ask("list", "GET", f"/cases/?{self.draw.choice(LISTS)}")
                if status == 302:
                    signed_in = False
                    continue
                self._rest()
                self._one_case()
            except Lost:
                time.sleep(0.5)

    def _rest(self) -> None:
        time.sleep(self.draw.uniform(0.5, 1.5) * self.pause)

    def _one_case(self) -> None:
        _, where, _ = self.ask("take next", "POST", "/cases/take/")
        found = re.fullmatch(r"/cases/(\d+)/", where)
        if not found:
            return
        case, action = int(found[1]), self.draw.choice(DECISIONS)
        self.taken.append(case)
        while time.monotonic() < self.end + 20:
            try:
                _, _, page = self.ask("open case", "GET", where)
                version = re.search(r'name="version" value="(\d+)"', page)
                if not re.search(rf'name="action" value="{action}"', page):  # the lost request was done after all
                    self.unsure.append((case, action))
                    return
                self._rest()
                form = {"action": action, "version": version[1], "reason": "dialysis" if action == "clear" else "upcoding"}
                if action == "confirm":
                    form["amount"] = "123.45"
                status, _, _ = self.ask("decide", "POST", f"{where}act/", form)
            except Lost:
                time.sleep(0.5)
                continue
            if status == 302:
                self.decided.append((case, action))
                return
            self.refused += 1


def check(address: str, told: dict) -> dict:
    """What the auditors were told against the database and the trail."""
    from fraud.settings import WorkbenchSettings
    from fraud.workbench.configure import set_up

    set_up(WorkbenchSettings(database=address))
    from fraud.workbench import trail
    from fraud.workbench.models import Case, Step, TrailEntry

    steps = Counter(Step.objects.filter(action__in=DECISIONS).values_list("case_id", "action", "actor"))
    takes = Counter(Step.objects.filter(action="take").values_list("case_id", "actor"))
    sure = {(c, a, n) for n, p in told.items() for c, a in p["decided"]}
    unsure = {(c, a, n) for n, p in told.items() for c, a in p["unsure"]}
    taken = {(c, n) for n, p in told.items() for c in p["taken"]}
    verdict = trail.verify()
    traced = Counter(TrailEntry.objects.filter(action__in=[f"step_{a}" for a in DECISIONS]).values_list("subject", flat=True))
    return {
        "decisions told": len(sure), "decisions kept": sum(steps.values()), "takes told": len(taken),
        "takes kept": sum(takes.values()), "lost decisions": len(sure - set(steps)),
        "decisions nobody made": len(set(steps) - sure - unsure),
        "answer lost, decision kept": len(unsure & set(steps)),
        "doubled decisions": sum(n - 1 for n in Counter(c for c, _, _ in steps.elements()).values()),
        "lost takes": len(taken - set(takes)), "cases taken twice": sum(n - 1 for n in Counter(c for c, _ in takes.elements()).values()),
        "decisions without their row in the trail": len({f"case:{c}" for c, _, _ in steps} - set(traced)),
        "decided cases not in the decided state": Case.objects.filter(pk__in=[c for c, _, _ in steps]).exclude(state__in=("cleared", "confirmed")).count(),
        "trail": f"{verdict.rows} rows, " + ("whole" if verdict.whole else f"broken at {verdict.broken}: {verdict.why}"),
    }  # fmt: skip


def table(auditors: list[Auditor], found: dict, given: argparse.Namespace, told: dict) -> str:
    times: dict[str, list[float]] = defaultdict(list)
    for auditor in auditors:
        for action, own in auditor.times.items():
            times[action] += own
    working = [t for action, own in times.items() if "sign in" not in action for t in own]
    text = [
        f"# {given.people} auditors at once on {given.cases:,} cases", "",
        f"PostgreSQL, {given.workers} web server processes, {given.seconds} s; each auditor pauses {given.pause:g} s on average between two "
        f"actions. {platform.machine()}, {os.cpu_count()} cores for the auditors, the server and the database together, Python "
        f"{platform.python_version()}; load average {told['load before']} before the auditors began (other work ran on the "
        f"machine where it is above 0) and {told['load after']} at the end. Milliseconds as the auditors saw them. Made by "
        f"`python experiments/workbench/load.py --seconds {given.seconds} --pause {given.pause:g} --workers {given.workers}`.", "",
        "| action | times | p50 | p95 | slowest |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for action, own in [*times.items(), ("all but signing in", working)]:
        cuts = statistics.quantiles(own, n=20) if len(own) > 1 else own * 19
        text.append(f"| {action} | {len(own)} | {statistics.median(own):.0f} | {cuts[18]:.0f} | {max(own):.0f} |")
    text += [
        "", "All sign in at the same moment; work begins when the last is in. "
        f"The server's processor time: {told['cpu ms']:.0f} ms a request. Killed by `kill -9`: the web server after "
        f"{given.seconds // 3} s, the database after {2 * given.seconds // 3} s; both started again at once. "
        f"{sum(a.lost for a in auditors)} requests got no answer while they were down and were asked again; those are not "
        f"in the table. {sum(a.refused for a in auditors)} steps were refused because the page was out of date.", "",
        "| held against the database and the trail | |", "|---|---|",
        *(f"| {words} | {value} |" for words, value in found.items()), "",
    ]  # fmt: skip
    return "\n".join(text)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--cases", type=int, default=100_000)
    asked.add_argument("--people", type=int, default=50)
    asked.add_argument("--seconds", type=int, default=120)
    asked.add_argument("--pause", type=float, default=6.0)
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--out", type=Path, default=HERE / "load.md")
    given = asked.parse_args()
    sys.path.insert(0, str(TESTS))
    from test_postgresql import Cluster

    os.environ["FRAUD_WORKBENCH_SECRET"] = "s" * 40
    home, work = Path(tempfile.mkdtemp(prefix="load-pg-")), Path(tempfile.mkdtemp(prefix="load-"))
    cluster = Cluster(home)
    cluster.start()
    server = Server(work, 0, {**os.environ, "OMP_NUM_THREADS": "1"})
    own = f'[workbench]\ndatabase = "{cluster.address}"\nworkers = {given.workers}\n'
    (work / "fraud.toml").write_text(own, encoding="utf-8")
    try:
        seed(cluster.address, given.cases, given.people, work)
        from django.db import connections

        connections.close_all()
        server.start()
        load = f"{os.getloadavg()[0]:.1f}"
        end = time.monotonic() + given.seconds
        everybody = threading.Barrier(given.people)
        auditors = [
            Auditor(f"auditor{i:02d}", server, end, given.pause, i, everybody) for i in range(given.people)
        ]
        threads = [threading.Thread(target=a.work) for a in auditors]
        for thread in threads:
            thread.start()
        time.sleep(given.seconds / 3)
        first = server.cpu()
        server.kill()
        server.start()
        time.sleep(given.seconds / 3)
        cluster.kill()
        cluster.start()
        for thread in threads:
            thread.join()
        requests = sum(len(own) for a in auditors for own in a.times.values())
        told = {"load before": load, "load after": f"{os.getloadavg()[0]:.1f}", "cpu ms": 1000 * (first + server.cpu()) / requests}
        kept = {a.name: {"decided": a.decided, "unsure": a.unsure, "taken": a.taken} for a in auditors}
        given.out.write_text(table(auditors, check(cluster.address, kept), given, told), encoding="utf-8")
    finally:
        if server.process:
            server.kill()
        cluster.process.send_signal(signal.SIGQUIT)
        cluster.process.wait()
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
