"""Run a command and say what it cost: wall, processor, memory, bytes."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


class Failed(Exception):
    """A measured command ended with an error; the text says which and how."""


def cost(command: list[str], work: Path | None = None) -> dict[str, Any]:
    """Run a command to its end.

    Parameters
    ----------
    command : list of str
    work : Path, optional
        Folder whose largest size while the command runs is noted (spilled and intermediate data).

    Returns
    -------
    dict
        wall and cpu (seconds, all threads, children included), peak_mib (resident, the largest process),
        read_mb and written_mb (what the process asked of files, cached or not), work_mb, out (its last line).
    """
    began = time.perf_counter()
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **ENVIRONMENT}
    )
    watch = _Watch(child.pid, work)
    watch.start()
    # read to the end before waiting: a full pipe would stop the child
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(child.stdout.read()))
    reader.start()
    errors = child.stderr.read()
    reader.join()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    watch.stop()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise Failed(f"exit {child.returncode}: {' '.join(command)}\n{errors[-3000:]}")
    lines = said[0].splitlines()
    return {
        "wall": round(wall, 1), "cpu": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": max(round(usage.ru_maxrss / 1024), watch.peak), "read_mb": watch.read, "written_mb": watch.written,
        "work_mb": watch.largest, "out": lines[-1] if lines else "",
    }  # fmt: skip


def here(script: str, *arguments: object, work: Path | None = None) -> dict[str, Any]:
    """Cost of a script beside this one, run by this Python; what it prints last is its result."""
    done = cost([sys.executable, str(HERE / script), *map(str, arguments)], work)
    return done | {"result": json.loads(done.pop("out"))}


def fraud(*arguments: object, work: Path | None = None) -> dict[str, Any]:
    """Cost of a command of the toolkit."""
    program = [sys.executable, "-c", "from fraud.cli import main; main()"]
    return cost([*program, *map(str, arguments)], work)


class _Watch(threading.Thread):
    """Looks at a process now and then: bytes it asked for, its memory, size of its work folder.

    A command that begins its peak anew with each stage ends with that of its last.
    """

    def __init__(self, pid: int, work: Path | None) -> None:
        super().__init__(daemon=True)
        self._io, self._status, self._work = Path(f"/proc/{pid}/io"), Path(f"/proc/{pid}/status"), work
        self._over = threading.Event()
        self.read = self.written = self.largest = self.peak = 0

    def run(self) -> None:
        while not self._over.wait(0.5):
            self._look()

    def _look(self) -> None:
        try:
            rows = dict(line.split(": ") for line in self._io.read_text().splitlines())
            told = dict(line.split(":\t", 1) for line in self._status.read_text().splitlines())
        except (OSError, ValueError):
            return
        self.peak = max(self.peak, int(told.get("VmHWM", "0").split()[0]) // 1024)
        self.read = max(self.read, round(int(rows["rchar"]) / 1e6))
        self.written = max(self.written, round(int(rows["wchar"]) / 1e6))
        if self._work is not None and self._work.exists():
            self.largest = max(self.largest, round(_size(self._work) / 1e6))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _size(folder: Path) -> int:
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(base, name)).st_size
            except OSError:
                continue
    return total
