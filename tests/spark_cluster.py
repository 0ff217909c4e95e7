"""A standalone Spark cluster of processes on this machine: one master, some workers, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# The shell outlives nobody: when the tests close its input, or die, it kills its group, java and all.
_BOUND = ["sh", "-c", '("$@"; kill -9 0) & cat >/dev/null; kill -9 0', "sh"]
_SMALL = ["-Xmx192m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
_DEPLOY = "org.apache.spark.deploy"
STARTS_WITHIN = 60


@dataclass
class Cluster:
    """A running cluster.

    Attributes
    ----------
    master : str
        Its URL.
    workers : list of Popen
        Each leads a process group of its own, its executors among them.
    """

    master: str
    logs: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def kill_worker(self) -> None:
        """Kill the first worker with its executors, as a machine that loses power."""
        kill(self.workers.pop(0))

    def executors(self) -> int:
        """Executors running now."""
        # -ww: whole lines, however wide the terminal is said to be
        found = subprocess.run(["ps", "-ww", "-eo", "pgid,args"], capture_output=True, text=True, check=True)
        rows = [line.split(None, 1) for line in found.stdout.splitlines()[1:]]
        groups = {str(worker.pid) for worker in self.workers}
        return sum("CoarseGrainedExecutorBackend" in r[1] for r in rows if len(r) == 2 and r[0] in groups)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process group that `_start` began."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


@contextlib.contextmanager
def cluster(folder: Path, workers: int = 2, memory: str = "1g") -> Iterator[Cluster]:
    """Start a master and workers of one core each on free local ports."""
    started: list[subprocess.Popen[bytes]] = []
    folder.mkdir(parents=True, exist_ok=True)
    try:
        port = _free_port()
        place = ["--host", "127.0.0.1", "--webui-port", "0"]
        started.append(_start(folder / "master", "master.Master", [*place, "--port", str(port)]))
        _wait(started[0], folder / "master", "New state: ALIVE")
        made = Cluster(f"spark://127.0.0.1:{port}", folder)
        for number in range(workers):
            logs = folder / f"worker{number}"
            own = ["--cores", "1", "--memory", memory, "--work-dir", str(logs / "work"), made.master]
            made.workers.append(_start(logs, "worker.Worker", [*place, *own]))
            started.append(made.workers[-1])
        for number, worker in enumerate(started[1:]):
            _wait(worker, folder / f"worker{number}", "Successfully registered with master")
        yield made
    finally:
        for process in reversed(started):
            kill(process)


def _start(logs: Path, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
    import pyspark

    from fraud.engines.session import _java_home

    _java_home()
    home = Path(pyspark.__file__).parent
    java = shutil.which("java") or str(Path(os.environ["JAVA_HOME"]) / "bin" / "java")
    logs.mkdir(parents=True, exist_ok=True)
    core = next((home / "jars").glob("spark-core_*.jar")).name  # spark-core_2.13-4.0.0.jar
    environment = {
        **{k: v for k, v in os.environ.items() if k != "PYSPARK_SUBMIT_ARGS"},
        "SPARK_HOME": str(home),
        "SPARK_SCALA_VERSION": core.split("_")[1].split("-")[0],  # a worker cannot tell it from a wheel
        "SPARK_LOCAL_DIRS": str(logs),
        "OMP_NUM_THREADS": "1",
    }
    opened = "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED"
    command = [java, *_SMALL, opened, "-cp", str(home / "jars" / "*"), f"{_DEPLOY}.{name}", *arguments]
    with (logs / "log").open("wb") as log:
        return subprocess.Popen(
            [*_BOUND, *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=logs,
            start_new_session=True,
        )


def _wait(process: subprocess.Popen[bytes], logs: Path, sign: str) -> None:
    """Until the log says so."""
    until = time.monotonic() + STARTS_WITHIN
    while sign not in (said := (logs / "log").read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"{logs.name} did not start:\n{said[-2000:]}")
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
