"""The folder for files between input and output, gone afterwards however the process ended."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fraud.errors import UsageError
from fraud.settings import Settings

try:
    import fcntl
except ImportError:  # Windows: what a killed process left stays until a person removes it
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".work-"


def feature_store(dataset: Path, settings: Settings) -> Path | None:
    """Folder where features of a dataset's past months are kept, where settings name one."""
    store = settings.engine.feature_store
    return Path(store) / dataset.resolve().name if store else None


@contextmanager
def work_folder(beside: Path) -> Iterator[Path]:
    """Temporary folder in `beside`; what killed processes left there is cleared first.

    Every process holds a shared lock while it works. Whoever can take the lock alone knows that no
    other is alive, and that the work folders it finds belong to nobody.

    Raises
    ------
    UsageError
        `beside` cannot be written.
    """
    try:
        beside.mkdir(parents=True, exist_ok=True)
        lock = os.open(beside / f"{_PREFIX}lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"{beside}: cannot be written: {error.strerror}.") from None
    try:
        _clear(beside, lock)
        with TemporaryDirectory(prefix=_PREFIX, dir=beside) as name:
            yield Path(name)
    finally:
        os.close(lock)


def _clear(beside: Path, lock: int) -> None:
    """Remove the work folders of dead processes, then hold the lock shared."""
    if fcntl is None:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process works here: its folder is not ours to clear
        pass
    else:
        for stale in sorted(p for p in beside.glob(f"{_PREFIX}*") if p.is_dir()):
            shutil.rmtree(stale, ignore_errors=True)
    fcntl.flock(lock, fcntl.LOCK_SH)
