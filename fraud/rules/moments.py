"""Dates and times as hospitals write them, as seconds of naive local time since 1970."""

import re
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Annotated, Any, NamedTuple

from pydantic import PlainValidator, WithJsonSchema

from fraud.rules.bounds import DAY

_EPOCH = datetime(1970, 1, 1)
_FORM = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2})|([0-9]{2})([0-9]{2}))"
    r"(?:[T ]?([0-9]{2}):?([0-9]{2})(?::?([0-9]{2})(?:\.[0-9]{1,9})?)?)?(?:\+08:?00)?"
)
YEARS = range(1900, 2101)


class Moment(NamedTuple):
    """A moment: seconds since 1970, and whether the time of day was told."""

    second: int
    timed: bool

    @property
    def day(self) -> int:
        """Days since 1970."""
        return self.second // DAY

    @property
    def latest(self) -> int:
        """Last second it can have been: the end of the day where no time is told."""
        return self.second if self.timed else self.day * DAY + DAY - 1

    @property
    def date(self) -> date:
        """Day of the calendar."""
        return (_EPOCH + timedelta(days=self.day)).date()


def moment(value: Any) -> Moment:
    """Read ``2026-11-21``, ``20261121`` or ``2026/11/21``, with or without a time of day.

    Raises
    ------
    ValueError
        It is no such text, no day of the calendar, or before 1900 or after 2100.

    >>> moment("2026/11/21 08:30").second == moment("20261121083000").second
    True
    """
    if isinstance(value, Moment):
        return value
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if len(text) == 19 and text[4] + text[7] + text[13] + text[16] == "--::" and text[10] in " T":
        with suppress(ValueError):  # told below, with the reason
            return _in_range(datetime.fromisoformat(text), timed=True)
    found = _FORM.fullmatch(text) if len(text) <= 40 else None
    if found is None:
        raise ValueError("write a date as 2026-11-21, 20261121 or 2026/11/21, with or without a time")
    year, *days, hour, minute, second = found.groups()
    month, day = (int(d) for d in days if d is not None)
    try:
        at = datetime(int(year), month, day, int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        raise ValueError("is no day of the calendar or no time of day") from None
    return _in_range(at, timed=hour is not None)


def _in_range(at: datetime, *, timed: bool) -> Moment:
    if at.year not in YEARS:
        raise ValueError("is before 1900 or after 2100")
    since = at - _EPOCH
    return Moment(since.days * DAY + since.seconds, timed)


When = Annotated[
    Moment,
    PlainValidator(moment),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-21 08:30:00", "20261121"]}
    ),
]
