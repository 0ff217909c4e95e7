"""What doctors did about hits: carry on with a reason, or change the order (3103, 事前事中反馈).

An append-only log in SQLite. A reaction counts as told once it is on the disk, so `ReactionStore.record`
returns only after the commit. Ids are stored as they are given: the service gives pseudonyms where
the dataset has them.
"""

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal

from fraud.errors import DataError

Way = Literal["carry_on", "change"]
_TABLE = """
CREATE TABLE IF NOT EXISTS reaction (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    result_id TEXT NOT NULL, rule TEXT NOT NULL, encounter_id TEXT NOT NULL,
    way TEXT NOT NULL CHECK (way IN ('carry_on', 'change')), reason TEXT NOT NULL, doctor_id TEXT NOT NULL,
    at TEXT NOT NULL, received_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS reaction_of_result ON reaction (result_id);
"""
_INSERT = (
    "INSERT INTO reaction (result_id, rule, encounter_id, way, reason, doctor_id, at, received_at) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS = "result_id, rule, encounter_id, way, reason, doctor_id, at, received_at"


@dataclass(frozen=True, slots=True)
class Reaction:
    """One reaction to one hit.

    Attributes
    ----------
    result_id, rule, encounter_id : str
        The hit; the encounter is empty where it is not known any more.
    way : str
        ``carry_on`` or ``change``.
    reason : str
        Why the doctor carries on.
    doctor_id : str
    at, received_at : str
        When the doctor reacted, as the request tells it, and when it arrived; ``YYYY-MM-DD HH:MM:SS``.
    """

    result_id: str
    rule: str
    encounter_id: str
    way: Way
    reason: str
    doctor_id: str
    at: str
    received_at: str


class ReactionStore:
    """The log of reactions, in one file; safe to use from several threads.

    Parameters
    ----------
    path : Path
        The file; made where there is none.

    Raises
    ------
    DataError
        The file is no such log, or cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path, check_same_thread=False, timeout=10.0)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_TABLE)
        except (sqlite3.Error, OSError) as error:
            told = type(error).__name__
            raise DataError(f"{self.path.name}: cannot be used as the log of reactions ({told}).") from None

    def record(self, reactions: Sequence[Reaction]) -> None:
        """Write reactions, all or none; on the disk when it returns.

        Raises
        ------
        DataError
            They could not be written; nothing was.
        """
        rows = [astuple(r) for r in reactions]
        try:
            with self._lock, self._connection:
                self._connection.executemany(_INSERT, rows)
        except sqlite3.Error as error:
            told = type(error).__name__
            raise DataError(
                f"{self.path.name}: the reactions could not be written ({told}); send them again."
            ) from None

    def all(self) -> list[Reaction]:
        """Every reaction in the order of arrival."""
        with self._lock:
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM reaction ORDER BY number").fetchall()
        return [Reaction(*row) for row in rows]

    def by_rule(self) -> dict[str, dict[str, int]]:
        """Rule → way → number of results; of a result's reactions the last one counts."""
        query = (
            "SELECT rule, way, count(*) FROM reaction WHERE number IN "
            "(SELECT max(number) FROM reaction GROUP BY result_id) GROUP BY rule, way ORDER BY rule, way"
        )
        counts: dict[str, dict[str, int]] = {}
        with self._lock:
            for rule, way, number in self._connection.execute(query):
                counts.setdefault(rule, {"carry_on": 0, "change": 0})[way] = number
        return counts

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
