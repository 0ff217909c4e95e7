"""The local index of recent history: what window rules must know of a patient, by patient.

SQLite, one file, read-only where prescriptions are checked. The monthly run writes it beside and moves it
into place (`fraud.rules.indexing`), so that a reader sees the old one or the new one.
"""

import sqlite3
from pathlib import Path

from fraud.errors import DataError
from fraud.rules.master import Master, master_of
from fraud.rules.past import NOTHING, History, Packed

SCHEMA = "5"
TABLES = """
CREATE TABLE patient (patient_id TEXT PRIMARY KEY, items TEXT NOT NULL, codes TEXT NOT NULL,
                      words TEXT NOT NULL, visits BLOB NOT NULL, coded BLOB NOT NULL, fills BLOB NOT NULL);
CREATE TABLE item (item_code TEXT PRIMARY KEY, name TEXT, category TEXT, drug_class TEXT, days_per_unit REAL,
                   price_limit INTEGER, sex_limit TEXT, min_age REAL, max_age REAL) WITHOUT ROWID;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
_OF = "SELECT items, codes, words, visits, coded, fills FROM patient WHERE patient_id = ?"


class HistoryIndex:
    """Histories of patients from an index that `fraud.rules.indexing.write` made.

    Parameters
    ----------
    path : Path

    Raises
    ------
    DataError
        There is no such file, or it was written by another version.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise DataError(f"{self.path.name}: no such history index. Run fraud score, which writes it.")
        # A file in place is never written again, so that nothing need be locked or looked at twice.
        uri = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            facts = dict(self._connection.execute("SELECT name, value FROM fact"))
        except sqlite3.DatabaseError:
            facts = {}
        if facts.get("schema") != SCHEMA:
            self._connection.close()
            raise DataError(f"{self.path.name}: no history index of this version. Run fraud score again.")
        self.version, self.until = str(facts["version"]), str(facts["until"])

    def of(self, patient_id: str) -> History:
        """History of a patient; empty where none is known."""
        row = self._connection.execute(_OF, (patient_id,)).fetchone()
        return NOTHING if row is None else History(Packed._make(row))

    def master(self) -> Master:
        """The item master of the dataset the index was made from."""
        return master_of(self._connection.execute("SELECT * FROM item ORDER BY item_code"))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
