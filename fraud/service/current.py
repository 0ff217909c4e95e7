"""The rules and the history in use, and their replacement while requests run.

What is in use is one immutable object. A reload builds another in a thread and assigns it; a request
keeps the one it began with. Rules with a mistake are not taken: the old ones stay, and the mistakes are
told.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fraud.errors import FraudError
from fraud.rules.history import HistoryIndex
from fraud.rules.screen import Screen

LOG = logging.getLogger("fraud.service")
STAGES = ("before", "during")
Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Screens by stage and the history index (None where there is none yet), of one moment."""

    screens: dict[str, Screen]
    index: HistoryIndex | None

    @property
    def versions(self) -> dict[str, str | int]:
        """Versions of rules and history, and how many checks there are by stage."""
        told: dict[str, str | int] = {"rules": self.screens["during"].version}
        told["history"] = "" if self.index is None else self.index.version
        return told | {f"checks_{stage}": len(s.checks) for stage, s in self.screens.items()}


class Current:
    """What is in use; `reload` may run in another thread, one at a time.

    Parameters
    ----------
    rules : str
        User's folder of rules; empty for the built-in ones alone.
    history : str
        History index of the monthly run; empty, or not written yet, for none.

    Raises
    ------
    FraudError
        The rules or the index have mistakes; at the start there is nothing older to go on with.
    """

    def __init__(self, rules: str = "", history: str = "") -> None:
        self.rules, self.history = rules, history
        self.error: tuple[str, ...] = ()
        self.reloads = 0
        self._seen = self.fingerprint()
        self.loaded = self._load()

    def fingerprint(self) -> Fingerprint:
        """Names, times and sizes of the files that rules and history are read from."""
        return tuple(_told(p) for p in self._files())

    def changed(self) -> bool:
        """Whether a file is another one than at the last attempt to load."""
        return self.fingerprint() != self._seen

    def reload(self) -> bool:
        """Load again; whether what is in use is new now. Mistakes keep the old and are kept in `error`."""
        self._seen = self.fingerprint()
        try:
            loaded = self._load()
        except FraudError as error:
            self.error = error.problems
            LOG.error("Rules not reloaded, the old ones stay: %s", "; ".join(error.problems))
            return False
        except Exception as error:  # a reload must never end the polling
            self.error = (f"internal: {type(error).__name__}",)
            LOG.error("Rules not reloaded, the old ones stay: internal error %s", type(error).__name__)
            return False
        self.loaded, self.error = loaded, ()
        self.reloads += 1
        LOG.info("Reloaded: %s", loaded.versions)
        return True

    def _load(self) -> Loaded:
        index = HistoryIndex(self.history) if self.history and Path(self.history).exists() else None
        master = None if index is None else index.master()
        screens = {stage: Screen.load(self.rules, master, stage) for stage in STAGES}
        for screen in screens.values():  # so that the first request for an item does not pay for it
            for item in () if master is None else master.items.values():
                screen.rules.entry(item.code, item.name, item.category)
        return Loaded(screens, index)

    def _files(self) -> Iterator[Path]:
        if self.rules:
            folder = Path(self.rules)
            yield folder
            yield from sorted(p for p in (*folder.glob("*.toml"), *folder.glob("*.csv")))
            yield from sorted((folder / "knowledge").glob("*.csv"))
        if self.history:
            yield Path(self.history)


def _told(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), found.st_mtime_ns, found.st_size, found.st_ino
