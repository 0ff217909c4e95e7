"""A run folder that is either whole or not there.

Files are written in ``.<month>.part-<pid>`` beside the final folder, flushed to disk, checked
against the manifest and swapped into place in one step. A kill at any moment leaves the previous
run, or the new one; the next start clears what was left over. One writer per month at a time.
"""

import ctypes
import errno
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from fraud.errors import DataError, EngineError, UsageError
from fraud.runs.manifest import file_hash, read_list, read_manifest, write_json
from fraud.runs.tables import RUN_TABLES

if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.json"


class RunFolder:
    """Context manager around the writing of ``out/<month>/``.

    Leaving it after `write_manifest` publishes the run; leaving it without, or by an exception,
    removes what was written and leaves an earlier run as it was.

    Parameters
    ----------
    out : Path
        Folder of runs.
    month : str
        ``YYYY-MM``.
    wait : float
        Seconds to wait for another writer of the month before refusing.

    Attributes
    ----------
    part : Path
        Where to write.
    final : Path
        Where it will be.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp())
    >>> with RunFolder(out, "2026-07") as run:
    ...     _ = (run.part / "quality.json").write_text("{}")
    ...     run.write_manifest({"fingerprint": "f1"})
    >>> sorted(p.name for p in (out / "2026-07").iterdir())
    ['manifest.json', 'quality.json']
    """

    def __init__(self, out: Path, month: str, wait: float = 0.0) -> None:
        self.out, self.month, self.wait = out, month, wait
        self.final = out / month
        self.part = out / f".{month}.part-{os.getpid()}"
        self._old = out / f".{month}.old"
        self._lock: int | None = None
        self._complete = False

    def __enter__(self) -> "RunFolder":
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self.out / f".{self.month}.lock", self.month, self.wait)
        except OSError as error:
            raise UsageError(f"{self.out}: cannot be written: {error.strerror}.") from None
        try:
            self._recover()
            self.part.mkdir()
        except BaseException:
            self._unlock()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._complete:
                self._publish()
            shutil.rmtree(self.part, ignore_errors=True)
        finally:
            self._unlock()

    @property
    def path(self) -> Path:
        """Where the run is, or will be."""
        return self.final

    def suspicions(self) -> "pd.DataFrame":
        """List of the run in place, amounts in yuan as floats."""
        return read_list(self.final)

    def matches(self, fingerprint: str) -> bool:
        """Whether a complete, unharmed run with this fingerprint is already in place."""
        manifest = read_manifest(self.final)
        if manifest is None or manifest.get("fingerprint") != fingerprint:
            return False
        return not _damage(self.final, manifest)

    def write_manifest(self, facts: Mapping[str, Any], measured: Mapping[str, Any] | None = None) -> None:
        """Write the manifest, last of all files: `facts`, the outputs with hashes, and timings.

        Parameters
        ----------
        facts : mapping
            ``fingerprint``, inputs, settings, versions, engine, SQL, totals, skipped.
        measured : mapping, optional
            Timings and peak memory; the one part that differs between equal runs.
        """
        files = sorted(p for p in self.part.rglob("*") if p.is_file() and p.name != MANIFEST)
        manifest = {
            **facts,
            "month": self.month,
            "outputs": [_output(p, self.part) for p in files],
            "measured": dict(measured or {}),
        }
        write_json(manifest, self.part / MANIFEST)
        self._complete = True

    def _publish(self) -> None:
        manifest = read_manifest(self.part) or {}
        damage = _damage(self.part, manifest)
        if damage:
            raise EngineError([f"{self.month}: the run was not published: {d}" for d in damage])
        _require_gate(self.part, manifest)
        _flush(self.part)
        if not self.final.exists():
            self.part.rename(self.final)
        elif not _exchange(self.part, self.final):
            self.final.rename(self._old)
            self.part.rename(self.final)
            shutil.rmtree(self._old, ignore_errors=True)
        _flush_folder(self.out)

    def _recover(self) -> None:
        """Clear what a killed writer left; the lock is ours, so no writer of this month is alive."""
        if self._old.exists():
            if self.final.exists():
                shutil.rmtree(self._old)
            else:  # killed between the two renames: the earlier run is whole
                self._old.rename(self.final)
        for stale in sorted(self.out.glob(f".{self.month}.part-*")):
            shutil.rmtree(stale)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)  # closing releases the lock; the file stays, removing it would race
            self._lock = None


def _output(path: Path, folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": path.relative_to(folder).as_posix(),
        "bytes": path.stat().st_size,
        "sha256": file_hash(path),
    }
    if path.suffix == ".parquet":
        facts["rows"] = pq.read_metadata(path).num_rows
    return facts


def _damage(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Compare a run folder with its manifest and say what differs."""
    problems = []
    for output in manifest.get("outputs", ()):
        path = folder / output["name"]
        if not path.is_file():
            problems.append(f"{output['name']} is missing")
        elif file_hash(path) != output["sha256"]:
            problems.append(f"{output['name']} differs from the manifest's hash")
        elif path.stem in RUN_TABLES and path.suffix == ".parquet" and not _has_contract_schema(path):
            problems.append(f"{output['name']} does not have the contract's columns")
    return problems


def _has_contract_schema(path: Path) -> bool:
    return pq.read_schema(path).equals(RUN_TABLES[path.stem].arrow())


def _require_gate(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse to publish when the quality gate failed, unless its failing checks were allowed by name."""
    import json

    path = folder / "quality.json"
    if not path.exists() or manifest.get("allowed"):
        return
    report = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(report, dict) and report.get("passed") is False:
        raise DataError(f"{folder.parent.name}: nothing is published, the quality gate failed.")


def _flush(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    if sys.platform != "win32":  # Windows cannot open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exchange(left: Path, right: Path) -> bool:
    """Swap two folders in one step where the system can (Linux ``renameat2``); False where not."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename(here, os.fsencode(left), here, os.fsencode(right), swap) == 0


def _lock(path: Path, month: str, wait: float) -> int:
    """Hold an exclusive lock that the system releases when the process dies, however it dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    until = time.monotonic() + wait
    while True:
        try:
            _try_lock(descriptor)
            return descriptor
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                os.close(descriptor)
                raise
            if time.monotonic() >= until:
                os.close(descriptor)
                raise UsageError(
                    f"{path.parent}: another process is writing the run of {month}. "
                    "Wait until it has finished."
                ) from None
            time.sleep(0.05)


def _try_lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
