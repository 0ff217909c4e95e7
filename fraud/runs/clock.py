"""Timings and peak memory per stage, for the manifest."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

Progress = Callable[[str, int, int], None]


def _reset_peak() -> None:
    """Start a new peak-memory measurement, where the system can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    """Peak resident memory since the last reset, or of the whole process."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _asked_of_files() -> tuple[int, int] | None:
    """Bytes this process has read and written so far, cached or not; None where the system does not say."""
    with suppress(OSError, ValueError, KeyError):
        rows = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(rows["rchar"]), int(rows["wchar"])
    return None


class StageClock:
    """Measures stages and passes their progress on.

    Parameters
    ----------
    progress : callable, optional
        ``(stage text, done, total)``.

    Attributes
    ----------
    stages : list of dict
        ``stage``, ``seconds``, ``cpu_seconds``, ``peak_memory_mb``, in the order they ran; on Linux also
        ``read_mb`` and ``written_mb``, what was asked of files, cached or not.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self.stages: list[dict[str, Any]] = []

    def progress(self, text: str, done: int, total: int) -> None:
        """Forward progress; does nothing when nobody listens."""
        if self._progress is not None:
            self._progress(text, done, total)

    @contextmanager
    def stage(self, name: str, done: int = 0, total: int = 0) -> Iterator[None]:
        """Measure what runs inside; also when it fails.

        Parameters
        ----------
        name : str
            Stage, as the manifest and the progress bar show it.
        done, total : int
            Its place among the stages; nothing is forwarded when `total` is 0.
        """
        if total:
            self.progress(name, done, total)
        _reset_peak()
        wall, cpu, asked = time.perf_counter(), time.process_time(), _asked_of_files()
        try:
            yield
        finally:
            measured = {
                "stage": name,
                "seconds": round(time.perf_counter() - wall, 3),
                "cpu_seconds": round(time.process_time() - cpu, 3),
                "peak_memory_mb": round(_peak_bytes() / 2**20, 1),
            }
            now = _asked_of_files()
            if asked is not None and now is not None:
                measured |= {
                    what: round((after - before) / 1e6, 1)
                    for what, before, after in zip(("read_mb", "written_mb"), asked, now, strict=True)
                }
            self.stages.append(measured)

    __call__ = stage

    def measured(self) -> dict[str, Any]:
        """Sum the stages up, as the manifest keeps them under ``measured``."""
        return {
            "seconds": round(sum(s["seconds"] for s in self.stages), 3),
            "peak_memory_mb": max((s["peak_memory_mb"] for s in self.stages), default=0.0),
            "stages": list(self.stages),
        }
