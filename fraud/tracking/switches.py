"""Which model was champion when, and who said so: only appended to, each line chained to the last."""

import getpass
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fraud.errors import DataError

FILE = "switches.jsonl"
KINDS = ("first", "promoted", "named", "back")
"""First model of a name; promoted by evidence; by a named person; rolled back."""


def record(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Append one switch and flush it to disk.

    Parameters
    ----------
    folder : Path
        Model folder; its ``switches.jsonl`` is made on first use.
    facts : mapping
        name, kind (one of `KINDS`), before, after, by, reason and evidence. When, the account of the
        operating system, and the hash of the line before are added.

    Returns
    -------
    dict
        The line.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with path.open("a+", encoding="utf-8") as file:
        _lock(file.fileno())
        file.seek(0)
        lines = file.read().splitlines()
        line = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "account": _account(),
            **facts,
            "previous": _hash(lines[-1]) if lines else "",
        }
        file.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return line


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    """Switches of a registered model, oldest first.

    Raises
    ------
    DataError
        A line was changed or taken out after it was written; says which.
    """
    path = folder / FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in _checked(lines) if line["name"] == name]


def _checked(lines: Sequence[str]) -> list[dict[str, Any]]:
    out, before = [], ""
    for number, text in enumerate(lines, 1):
        line: dict[str, Any] = {}
        with suppress(ValueError):
            line = json.loads(text)
        if not isinstance(line, dict) or line.get("previous") != before:
            raise DataError(
                f"{FILE}: line {number} does not follow the line before it: the record was changed. "
                "Restore it from a backup of the model folder."
            )
        out.append(line)
        before = _hash(text)
    return out


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _account() -> str:
    """Account of the operating system; containers may have none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _lock(descriptor: int) -> None:
    """Wait for other writers, where the system can; closing the file lets go."""
    with suppress(ImportError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
