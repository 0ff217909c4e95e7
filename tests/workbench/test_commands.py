"""The commands, as a person runs them."""

import os
import re
import subprocess
import sys
import time
import urllib.request

import pytest
from fixtures import PASSWORD
from run_folders import write_run

COMMAND = [sys.executable, "-c", "from fraud.cli import main; main()"]


@pytest.fixture
def fraud(tmp_path):
    """Run a command in a folder of its own."""
    env = {**os.environ, "FRAUD_WORKBENCH_PASSWORD": PASSWORD}
    env.pop("FRAUD_WORKBENCH_SECRET", None)

    def run(*arguments):
        return subprocess.run(
            [*COMMAND, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
        )

    return run


def test_publish_user_verify_export(fraud, tmp_path):
    write_run(tmp_path / "runs", "2025-06")
    assert "4 cases opened" in fraud("publish", "runs/2025-06").stdout
    assert "already published" in fraud("publish", "runs/2025-06").stdout
    assert fraud("workbench", "user", "li.ming", "--role", "auditor").stdout == "li.ming: made, auditor.\n"
    assert fraud("audits", "export", "--out", "a.csv").stdout == "a.csv: 0 decisions.\n"
    assert "3 rows, whole" in fraud("workbench", "verify-trail").stdout
    kept = sorted(p.name for p in (tmp_path / "runs").glob("workbench*"))
    assert kept == ["workbench.sqlite", "workbench.sqlite.secret"]
    assert (tmp_path / "runs" / "workbench.sqlite").stat().st_mode & 0o077 == 0
    (tmp_path / "runs" / "workbench.sqlite.secret").write_text("x" * 40)
    broken = fraud("workbench", "verify-trail")
    assert broken.returncode == 3
    assert "row 1" in broken.stderr


def test_mistakes_have_their_exit_codes(fraud):
    refused = fraud("publish", "runs/2025-06")
    assert refused.returncode == 3
    assert "not a run folder" in refused.stderr
    assert fraud("workbench", "user", "li", "--role", "boss").returncode == 2


def test_a_bad_calendar_or_deadline_shows_when_the_pages_start(fraud, tmp_path):
    (tmp_path / "fraud.toml").write_text("[workbench.deadlines]\nsleeping = 3\n", encoding="utf-8")
    refused = fraud("workbench", "--port", "0")
    assert refused.returncode == 2
    assert "sleeping" in refused.stderr


def test_the_pages_are_served(tmp_path):
    server = subprocess.Popen(
        [*COMMAND, "workbench", "--port", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r"http://\S+", server.stderr.readline())[0]
        with urllib.request.urlopen(address, timeout=20) as page:
            assert "登录" in page.read().decode()
        with urllib.request.urlopen(f"{address}/assets/report.css", timeout=20) as style:
            assert style.headers["Content-Type"].startswith("text/css")
    finally:
        server.terminate()
        started = time.monotonic()
        server.wait(timeout=20)
        server.stderr.close()
    assert time.monotonic() - started < 15


def test_the_pages_load_no_model(tmp_path):
    code = (
        "from fraud.settings import WorkbenchSettings as S; from fraud.workbench.configure import set_up;"
        "set_up(S(database='w.sqlite')); import fraud.workbench.urls, fraud.workbench.publishing, sys;"
        "import fraud.workbench.audits, fraud.workbench.serving;"
        "print(*(m for m in ('lightgbm', 'sklearn', 'shap', 'mlflow', 'duckdb', 'ibis', 'matplotlib')"
        " if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="several processes need Linux")
def test_several_processes_answer_are_replaced_and_end_together(tmp_path):
    from pathlib import Path

    (tmp_path / "fraud.toml").write_text("[workbench]\nworkers = 2\n", encoding="utf-8")
    server = subprocess.Popen(
        [*COMMAND, "workbench", "--port", "0"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")

    def running(number):
        for _ in range(200):
            found = [int(pid) for pid in children.read_text().split()]
            if len(found) == number:
                return found
            time.sleep(0.05)
        raise AssertionError(found)

    try:
        address = re.search(r"http://\S+", server.stderr.readline())[0]
        first, second = running(2)
        os.kill(first, 9)
        time.sleep(0.2)
        assert set(running(2)) - {first} >= {second}
        with urllib.request.urlopen(f"{address}/sign-in/", timeout=20) as page:
            assert page.status == 200
        left = running(2)
    finally:
        server.kill()  # no chance to tell the others
        server.wait(timeout=20)
        server.stderr.close()
    time.sleep(0.5)
    stats = [Path(f"/proc/{pid}/stat") for pid in left]
    left = [s for s in stats if s.exists() and ") Z " not in s.read_text()]  # Z: gone, to be reaped
    assert left == []
