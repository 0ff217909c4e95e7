"""The rules and the history in use, and their replacement while requests run.

What is in use is one immutable object. A reload builds another (see `fraud.service.loading`) and assigns
it; a request keeps the one it began with. Rules with a mistake are not taken: the old ones stay, and the
mistakes are told.
"""

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

from fraud.errors import FraudError
from fraud.service.loading import Rests, assemble, pieces, pieces_apart

LOG = logging.getLogger("fraud.service")
Fingerprint = tuple[tuple[str, int, int, int], ...]


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
        self.loaded = assemble(pieces(rules, history), history)

    def fingerprint(self) -> Fingerprint:
        """Names, times and sizes of the files that rules and history are read from."""
        return tuple(_told(p) for p in self._files())

    def changed(self) -> bool:
        """Whether a file is another one than at the last attempt to load."""
        return self.fingerprint() != self._seen

    def reload(self) -> bool:
        """Load again if a file changed or the last attempt failed; whether what is in use is up to date.

        Mistakes keep the old and are kept in `error`.
        """
        if not self.error and not self.changed():
            return True
        self._seen = self.fingerprint()
        gc.disable()  # to look again and again through what is being built would hold up requests
        try:
            loaded = assemble(pieces_apart(self.rules, self.history), self.history, Rests())
        except FraudError as error:
            self.error = error.problems
            LOG.error("Rules not reloaded, the old ones stay: %s", "; ".join(error.problems))
            return False
        except Exception as error:  # a reload must never end the polling
            self.error = (f"internal: {type(error).__name__}",)
            LOG.error("Rules not reloaded, the old ones stay: internal error %s", type(error).__name__)
            return False
        finally:
            gc.freeze()
            gc.enable()
        self.loaded, self.error = loaded, ()
        self.reloads += 1
        LOG.info("Reloaded: %s", loaded.versions)
        return True

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
