"""How many claims each month has, and where the data end."""

import datetime
import statistics
from collections.abc import Sequence

from fraud.ingest.store import Store
from fraud.ingest.tables import EARLIEST

FURTHEST_GAP = 12  # months without any claim after which claims no longer belong to the data
SUBSTANTIAL = 0.1  # share of the median month's claims that makes a month part of the data
_SETTLED = ("settled_at", "ended_at", "started_at")


def horizon(months: Sequence[tuple[int, int]], as_of: str = "") -> datetime.datetime | None:
    """First moment that is in the future of the data.

    There is no clock here: the same data must give the same answer in any year. The data reach to the
    last month with a tenth of the median month's claims, and one month more; a gap of more than a
    year ends them.

    Parameters
    ----------
    months : sequence of (int, int)
        Month number and claims, in any order.
    as_of : str
        ``YYYY-MM-DD``, the last day of the data where the settings state it.

    Returns
    -------
    datetime or None
        None without claims.

    >>> horizon([(24312, 100), (24313, 90), (24314, 110), (24318, 1)])
    datetime.datetime(2026, 5, 1, 0, 0)
    """
    if as_of:
        return datetime.datetime.fromisoformat(as_of) + datetime.timedelta(days=1)
    ordered = sorted((m, n) for m, n in months if n > 0)
    if not ordered:
        return None
    total, seen, middle = sum(n for _, n in ordered), 0, 0
    for place, (_, n) in enumerate(ordered):
        seen += n
        if seen * 2 >= total:
            middle = place
            break
    reached = [ordered[middle]]
    for month, n in ordered[middle + 1 :]:
        if month - reached[-1][0] > FURTHEST_GAP:
            break
        reached.append((month, n))
    usual = statistics.median(n for _, n in ordered[: middle + len(reached)])
    last = max(m for m, n in reached if n >= SUBSTANTIAL * usual) if reached else ordered[-1][0]
    year, month = divmod(last + 2, 12)
    return datetime.datetime(year, month + 1, 1)


def month_counts(store: Store, view: str, columns: set[str]) -> list[tuple[int, int]]:
    """Claims per month number of a view of claims."""
    settled = ", ".join(c for c in _SETTLED if c in columns)
    moments = f"SELECT coalesce({settled}, NULL) AS s FROM {view}"
    counts = store.rows(
        f"SELECT year(s) * 12 + month(s) - 1, count(*) FROM ({moments}) "
        f"WHERE s >= TIMESTAMP '{EARLIEST}' GROUP BY 1 ORDER BY 1"
    )
    return [(int(m), int(n)) for m, n in counts]
