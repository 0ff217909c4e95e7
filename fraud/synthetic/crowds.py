"""How circles of people meet: on which days, and when one after another; dishonest and innocent alike."""

import numpy as np

from fraud.synthetic.calendar import DAY, HOUR, Month, draw_clock, draw_days

RHYTHMS = ("weekly", "fortnightly", "monthly", "bursts", "month_end")
GATHERINGS = ("minutes", "half_day", "day", "consecutive_days", "steady_lag", "apart")
_CLOSED = 0.2  # days of less load than this are holidays


def session_days(
    month: Month,
    rhythm: str,
    weekday: int,
    rng: np.random.Generator,
    *,
    always_open: bool = False,
) -> np.ndarray:
    """Days of a circle's sessions in a month.

    Parameters
    ----------
    month : Month
    rhythm : str
        One of ``RHYTHMS``, or ``"daily"`` or ``"thrice_weekly"``.
    weekday : int
        The circle's habitual weekday, 0 for Monday.
    rng : numpy.random.Generator
    always_open : bool
        Whether the place opens on holidays.

    Returns
    -------
    ndarray of int64
        Days since 1970, sorted, each once.
    """
    days = np.arange(month.first, month.first + month.days)
    offset = (days + 3 - weekday) % 7
    habitual = days[offset == 0]
    if rhythm == "daily":
        chosen = days
    elif rhythm == "thrice_weekly":
        chosen = days[np.isin(offset, (0, 2, 4))]
    elif rhythm == "weekly":
        chosen = habitual
    elif rhythm == "fortnightly":
        chosen = habitual[weekday % 2 :: 2]
    elif rhythm == "monthly":
        chosen = habitual[[weekday % 4]]
    elif rhythm == "month_end":
        chosen = rng.choice(days[-4:], int(rng.integers(1, 3)), replace=False)
    elif rng.random() < 0.55:  # a burst: some days close together, then nothing for a while
        first = int(rng.integers(0, month.days - 10))
        chosen = rng.choice(days[first : first + 11], int(rng.integers(1, 5)), replace=False)
    else:
        chosen = days[:0]
    return chosen_open(month, np.unique(chosen), always_open=always_open)


def chosen_open(month: Month, days: np.ndarray, *, always_open: bool) -> np.ndarray:
    """Move sessions from holidays to the next open day, or drop them at the end of the month."""
    if always_open:
        return np.unique(days)
    open_days = month.first + np.flatnonzero(month.load > _CLOSED)
    place = np.searchsorted(open_days, days)
    return np.unique(open_days[place[place < len(open_days)]])


def arrivals(
    gathering: str,
    count: int,
    day: int,
    month: Month,
    rng: np.random.Generator,
    *,
    gap: float = 3.0,
    lag: int = 1_800,
    run: int = 3,
    profile: str = "clinic",
    window: tuple[float, float] | None = None,
) -> np.ndarray:
    """Draw the moments at which the people of one session come.

    Parameters
    ----------
    gathering : str
        One of ``GATHERINGS``: minutes apart, in one half day, on one day, over consecutive days, one
        after another at a steady lag, or not together at all.
    count : int
        People.
    day : int
        Day of the session, days since 1970.
    month : Month
    rng : numpy.random.Generator
    gap : float
        Mean minutes between people who come minutes apart.
    lag : int
        Seconds of a steady lag.
    run : int
        Number of consecutive days.
    profile : str
        Hours of the day; see `calendar.draw_clock`.
    window : tuple of float, optional
        Opening hours that replace the profile.

    Returns
    -------
    ndarray of int64, shape (count,)
        Seconds since 1970, before the end of the month.
    """
    opens, closes = window or ((8.0, 20.5) if profile == "pharmacy" else (8.0, 17.0))
    if gathering == "apart":
        day_of = draw_days(month, count, rng, always_open=profile != "clinic")
        return day_of * DAY + _clock(count, rng, profile, window)
    if gathering == "minutes":
        gaps = rng.exponential(min(gap, 240.0 / max(count, 1)) * 60, count)
        gaps[:1] = 0
        start = day * DAY + _first(gaps.sum(), (opens, closes), profile, window is None, rng) + gaps.cumsum()
    elif gathering == "half_day":
        middle = opens + (closes - opens) * 0.45
        low, high = (opens, middle) if rng.random() < 0.65 else (middle + 0.8, closes)
        start = day * DAY + rng.uniform(low, high, count) * HOUR
    elif gathering == "steady_lag":
        fit = lag if lag < DAY else max(1, min(lag // DAY, 20 // max(count, 1))) * DAY
        fit = min(fit, int(8 * HOUR / max(count, 1))) if fit < DAY else fit
        waits = fit * np.arange(count) + rng.normal(0, min(fit, 4 * HOUR) * 0.08, count)
        length = float(waits.max(initial=0.0)) if fit < DAY else 0.0
        begin = day * DAY + _first(length, (opens, closes), profile, window is None, rng)
        start = begin + np.maximum(waits, 0)
    else:
        spread = run if gathering == "consecutive_days" else 1
        start = (day + rng.integers(0, spread, count)) * DAY + _clock(count, rng, profile, window)
    return inside(np.rint(start).astype(np.int64), month)


def inside(start: np.ndarray, month: Month) -> np.ndarray:
    """Move moments after the month's end back by whole days."""
    late = np.maximum(start - (month.end - 1), 0)
    return start - -(-late // DAY) * DAY


def _first(
    length: float, hours: tuple[float, float], profile: str, usual: bool, rng: np.random.Generator
) -> float:
    """Second of the day at which a session of some seconds begins, so that a long one ends before closing."""
    if usual and length < 1.5 * HOUR:
        return float(draw_clock(1, rng, profile)[0])
    opens, closes = hours
    return opens * HOUR + rng.random() * max((closes - opens) * HOUR - length, 0.5 * HOUR)


def _clock(
    count: int, rng: np.random.Generator, profile: str, window: tuple[float, float] | None
) -> np.ndarray:
    if window is None:
        return draw_clock(count, rng, profile)
    return (rng.uniform(*window, count) * HOUR).astype(np.int64)
