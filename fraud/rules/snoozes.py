"""Snoozes: a rule is silent about one subject until a day, for a stated reason."""

import datetime
from dataclasses import dataclass
from pathlib import Path

from fraud.rules.knowledge import read_rows

SUBJECTS = ("claim", "patient", "doctor", "department", "institution")
COLUMNS = ("rule", "subject_kind", "subject_id", "until", "reason")


@dataclass(frozen=True)
class Snooze:
    """Hits of `rule` on claims of a subject up to and with day `until` are not reported."""

    rule: str
    subject_kind: str
    subject_id: str
    until: str
    reason: str


def parse_snoozes(path: Path) -> tuple[list[Snooze], list[str]]:
    """Snoozes of a CSV with columns rule, subject_kind, subject_id, until and reason, and problems."""
    cells, problems = read_rows(path)
    found = []
    for number, row in enumerate(cells, 2):
        where = f"{path.name}: row {number}"
        given = {k: (row.get(k) or "").strip() for k in COLUMNS}
        missing = [k for k in COLUMNS if not given[k]]
        if missing:
            problems.append(f"{where}: {', '.join(missing)} is missing.")
            continue
        if given["subject_kind"] not in SUBJECTS:
            problems.append(f"{where}: subject_kind is none of {', '.join(SUBJECTS)}.")
        try:
            datetime.date.fromisoformat(given["until"])
        except ValueError:
            problems.append(f"{where}: until is no day as YYYY-MM-DD.")
        found.append(Snooze(**given))
    return found, problems
