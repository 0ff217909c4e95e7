"""Days, holidays, seasons and hours of the synthetic city."""

from dataclasses import dataclass

import numpy as np

DAY = 86_400
HOUR = 3_600

# First day and length (days) of the long public holidays, by year.
_SPRING_FESTIVAL = {2023: "01-21", 2024: "02-10", 2025: "01-28", 2026: "02-16", 2027: "02-05", 2028: "01-25"}

# Relative frequency of visits by hour of the day.
_HOURS = {
    "clinic": {7: 3, 8: 16, 9: 19, 10: 15, 11: 8, 12: 1, 13: 5, 14: 13, 15: 11, 16: 7, 17: 2},
    "pharmacy": {
        8: 4,
        9: 9,
        10: 10,
        11: 7,
        12: 5,
        13: 5,
        14: 7,
        15: 8,
        16: 9,
        17: 9,
        18: 10,
        19: 9,
        20: 6,
        21: 2,
    },
    "emergency": dict(enumerate([3, 2, 2, 1, 1, 2, 3, 4, 5, 5, 5, 4, 4, 4, 4, 4, 5, 6, 8, 9, 9, 8, 6, 4])),
}

_SEASON = {
    "": [1.0] * 12,
    "winter": [1.5, 1.35, 1.15, 0.95, 0.85, 0.75, 0.7, 0.7, 0.8, 0.95, 1.2, 1.45],
    "summer": [0.7, 0.7, 0.8, 0.95, 1.1, 1.35, 1.5, 1.45, 1.2, 0.95, 0.75, 0.7],
    "spring": [0.7, 0.8, 1.4, 1.6, 1.4, 0.9, 0.75, 0.9, 1.25, 1.0, 0.75, 0.7],
    "flu": [3.2, 2.3, 1.2, 0.5, 0.3, 0.25, 0.3, 0.25, 0.3, 0.6, 1.6, 3.4],
}


def day_number(text: str) -> int:
    """Days since 1970-01-01 of an ISO date.

    >>> day_number("1970-01-03")
    2
    """
    return int(np.datetime64(text, "D").astype(np.int64))


@dataclass(frozen=True)
class Month:
    """One month of the city's life.

    Attributes
    ----------
    index : int
        0 for the first month of the dataset.
    year, number : int
        Calendar year and month (1–12).
    first, days : int
        First day (days since 1970) and number of days.
    load : ndarray of float, shape (days,)
        Relative load of each day for clinics: weekdays, holidays, month and year end.
    open_load : ndarray of float, shape (days,)
        The same for places open every day (pharmacies, emergency).
    """

    index: int
    year: int
    number: int
    first: int
    days: int
    load: np.ndarray
    open_load: np.ndarray

    @property
    def start(self) -> int:
        """First second of the month."""
        return self.first * DAY

    @property
    def end(self) -> int:
        """First second of the next month."""
        return (self.first + self.days) * DAY

    def season(self, name: str) -> float:
        """How much more frequent a seasonal disease is this month (mean about 1 over a year)."""
        return _SEASON[name][self.number - 1]


def weekday(day: np.ndarray | int) -> np.ndarray:
    """Weekday of days since 1970 (0 = Monday).

    >>> int(weekday(day_number("2025-01-06")))
    0
    """
    return (np.asarray(day) + 3) % 7


def holidays(year: int) -> np.ndarray:
    """Days (since 1970) of the long holidays of a year."""
    spring = day_number(f"{year}-{_SPRING_FESTIVAL.get(year, '02-08')}")
    parts = [np.arange(spring, spring + 8)]
    for first, length in (("01-01", 1), ("04-04", 3), ("05-01", 5), ("10-01", 7)):
        start = day_number(f"{year}-{first}")
        parts.append(np.arange(start, start + length))
    return np.concatenate(parts)


def make_months(start: str, count: int) -> list[Month]:
    """Months of a dataset, from `start` (``YYYY-MM``)."""
    first = np.datetime64(start, "M")
    out = []
    for index in range(count):
        month = first + index
        lo = int(month.astype("datetime64[D]").astype(np.int64))
        hi = int((month + 1).astype("datetime64[D]").astype(np.int64))
        year, number = int(str(month)[:4]), int(str(month)[5:7])
        days = np.arange(lo, hi)
        load = np.array([1.15, 1.08, 1.0, 1.0, 0.98, 0.5, 0.32])[weekday(days)]
        open_load = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.1, 1.05])[weekday(days)]
        closed = np.isin(days, holidays(year))
        load = np.where(closed, 0.15, load)
        open_load = np.where(closed, 0.7, open_load)
        late = np.arange(hi - lo) >= hi - lo - 4
        load = load * np.where(late, 1.25 if number == 12 else 1.12, 1.0)
        out.append(Month(index, year, number, lo, hi - lo, load, open_load))
    return out


def draw_days(month: Month, n: int, rng: np.random.Generator, *, always_open: bool = False) -> np.ndarray:
    """Days (since 1970) of `n` visits in a month, by the load of each day."""
    load = month.open_load if always_open else month.load
    cdf = np.cumsum(load)
    return month.first + np.searchsorted(cdf, rng.random(n) * cdf[-1], side="right")


def draw_clock(n: int, rng: np.random.Generator, profile: str = "clinic") -> np.ndarray:
    """Seconds of the day of `n` visits, by an hourly profile (clinic, pharmacy or emergency)."""
    hours = np.array(list(_HOURS[profile]))
    weight = np.cumsum(np.array(list(_HOURS[profile].values()), dtype=np.float64))
    hour = hours[np.searchsorted(weight, rng.random(n) * weight[-1], side="right")]
    return hour * HOUR + rng.integers(0, HOUR, n)
