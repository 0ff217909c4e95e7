"""Working days: until when a case may stay in its state."""

import csv
import io
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from importlib import resources
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from fraud.errors import UsageError
from fraud.workbench.workflow import DEADLINES, STATES

_KINDS = ("holiday", "workday")
SOON_DAYS = 3
"""A due date within so many days is near."""


@dataclass(frozen=True)
class Calendar:
    """Days off during the week, and weekend days that are worked.

    Attributes
    ----------
    holidays, workdays : frozenset of date
    last : int
        Last year that has rows; from the next one on every weekday counts as worked.
    """

    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()
    last: int = 0

    def works(self, day: date) -> bool:
        """Whether a day is worked.

        Examples
        --------
        >>> Calendar().works(date(2026, 11, 22))
        False
        """
        return day in self.workdays or (day.weekday() < 5 and day not in self.holidays)

    def after(self, day: date, days: int) -> date:
        """The n-th working day after a day.

        Examples
        --------
        >>> Calendar(holidays=frozenset({date(2026, 11, 23)})).after(date(2026, 11, 20), 1)
        datetime.date(2026, 11, 24)
        """
        while days > 0:
            day += timedelta(1)
            days -= self.works(day)
        return day


@lru_cache(maxsize=4)
def calendar(path: str = "") -> Calendar:
    """Calendar of a CSV file; of China's public holidays where none is given.

    Parameters
    ----------
    path : str
        File with the columns ``date`` (YYYY-MM-DD), ``kind`` (holiday or workday), ``name``, ``source``.

    Raises
    ------
    UsageError
        It cannot be read; every bad row is named.
    """
    try:
        bundled = resources.files("fraud.workbench") / "calendars" / "china.csv"
        text = (Path(path) if path else bundled).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"[workbench] holidays: {path} cannot be read as UTF-8 text.") from None
    days: dict[str, set[date]] = {kind: set() for kind in _KINDS}
    problems = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        try:
            days[row["kind"]].add(date.fromisoformat(row["date"]))
        except (KeyError, TypeError, ValueError):
            problems.append(f"[workbench] holidays: {path}, line {number}: a date (YYYY-MM-DD) and a kind "
                            f"({' or '.join(_KINDS)}) are needed.")  # fmt: skip
    if problems:
        raise UsageError(problems)
    every = days["holiday"] | days["workday"]
    return Calendar(
        frozenset(days["holiday"]), frozenset(days["workday"]), max((d.year for d in every), default=0)
    )


def due_on(state: str, since: date | None = None) -> date | None:
    """Day until which a case may stay in a state that it entered on a day; None where no limit is set.

    Raises
    ------
    UsageError
        ``[workbench] deadlines`` names an unknown state.
    """
    own = settings.WORKBENCH
    unknown = sorted(set(own.deadlines) - set(STATES))
    if unknown:
        raise UsageError(
            f"[workbench] deadlines: no such state: {', '.join(unknown)}; choose from {', '.join(STATES)}."
        )
    days = own.deadlines.get(state, DEADLINES.get(state, 0))
    return calendar(own.holidays).after(since or timezone.localdate(), days) if days else None
