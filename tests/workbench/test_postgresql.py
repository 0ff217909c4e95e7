"""The same workbench on a real PostgreSQL, which the test starts, kills and starts again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOUND = shutil.which("initdb")
PROGRAMS = (
    Path(FOUND).resolve().parent if FOUND else max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
)

pytestmark = pytest.mark.skipif(
    PROGRAMS is None or find_spec("psycopg") is None, reason="PostgreSQL or psycopg is not installed"
)


class Cluster:
    """A PostgreSQL of its own in a folder of its own; not run as root, which it refuses."""

    def __init__(self, home: Path) -> None:
        self.home, self.process = home, None
        self.user = {"user": "nobody"} if os.geteuid() == 0 else {}
        if self.user:
            shutil.chown(home, "nobody")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run(
            "initdb", "-D", "data", "-U", "fraud", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"
        )

    def _run(self, program, *arguments):
        subprocess.run(
            [PROGRAMS / program, *arguments], cwd=self.home, check=True, capture_output=True, **self.user
        )

    def _launch(self) -> subprocess.Popen:
        options = ["-p", str(self.port), "-k", str(self.home), "-c", "listen_addresses=127.0.0.1"]
        command = [PROGRAMS / "postgres", "-D", "data", *options]
        return subprocess.Popen(command, cwd=self.home, stderr=subprocess.DEVNULL, **self.user)

    def start(self) -> None:
        self.process = self._launch()
        for _ in range(200):
            try:
                self._run(
                    "psql",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(self.port),
                    "-U",
                    "fraud",
                    "postgres",
                    "-c",
                    "SELECT 1",
                )
                return
            except subprocess.CalledProcessError:
                time.sleep(0.1)
            if self.process.poll() is not None:  # what was killed had not quite gone
                self.process = self._launch()
        raise AssertionError("PostgreSQL did not start")

    def kill(self) -> None:
        """End it without any chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def address(self) -> str:
        return f"postgresql://fraud@127.0.0.1:{self.port}/postgres"


@pytest.fixture
def cluster():
    home = Path(tempfile.mkdtemp(prefix="workbench-pg-"))
    made = Cluster(home)
    made.start()
    yield made
    made.process.send_signal(signal.SIGQUIT)
    made.process.wait()
    shutil.rmtree(home, ignore_errors=True)


def test_four_people_at_once_and_the_database_killed_afterwards(cluster, tmp_path):
    env = {**os.environ, "FRAUD_WORKBENCH_SECRET": "s" * 40}

    def run(only_check):
        script = [sys.executable, str(HERE / "on_postgresql.py"), cluster.address, str(tmp_path), only_check]
        done = subprocess.run(script, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]

    run("no")
    cluster.kill()
    cluster.start()
    run("yes")
