"""The vocabulary builders share: windows, shares, gaps, entropy, robust deviations, exact sums.

Every measure compiles to DuckDB and Spark with the same answer: zero denominators give NULL,
logarithms are guarded, and sums of fractions are taken in fixed point (`int64`), so that neither the
order of rows nor the number of threads changes a digit.
"""

from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

DAY = 86_400
FIXED = 1_000_000_000
"""Fixed-point units per one in sums of fractions."""
LIMIT = 1_000_000
"""Largest magnitude that enters a fixed-point sum; larger values are cut there."""
MAD_TO_SIGMA = 1.4826
"""Standard deviations per median absolute deviation under a normal law."""


def ratio(part: Any, whole: Any) -> ir.FloatingValue:
    """``part / whole`` as float64; NULL where `whole` is zero or unknown."""
    return part.cast("float64") / whole.cast("float64").nullif(0.0)


def integer(value: Any) -> ir.IntegerValue:
    """Int64 of an integer, through a decimal.

    Ibis leaves out a cast to the type it believes a value has already, but DuckDB sums integers into a wider
    type, and Spark counts and numbers rows in 32 bits, whose products overflow.
    """
    return value.cast("decimal(38,0)").cast("int64")


def flag(condition: Any) -> ir.IntegerValue:
    """1 where `condition` holds, 0 where it does not or is unknown."""
    return ibis.ifelse(condition.fill_null(False), 1, 0).cast("int64")


def log(value: Any) -> ir.FloatingValue:
    """Natural logarithm; NULL for values that are not positive."""
    value = value.cast("float64")
    return ibis.ifelse(value > 0, value, ibis.null("float64")).ln()


def fixed(value: Any, scale: int = FIXED) -> ir.IntegerValue:
    """A fraction in fixed-point units, cut at `LIMIT`."""
    return (value.cast("float64").clip(-LIMIT, LIMIT) * scale).round().cast("int64")


def fixed_sum(value: Any, scale: int = FIXED) -> ir.FloatingValue:
    """Sum of fractions that does not depend on the order of rows."""
    return fixed(value, scale).sum().cast("float64") / float(scale)


def fixed_mean(value: Any) -> ir.FloatingValue:
    """Mean of fractions that does not depend on the order of rows; NULLs are left out."""
    return ratio(fixed_sum(value), value.count())


def exact_sum(value: Any) -> ir.IntegerValue:
    """Sum of integers as int64; 0 over no rows or only NULLs."""
    return integer(value.sum()).fill_null(0)


def share(condition: Any) -> ir.FloatingValue:
    """Share of rows where `condition` (a 0/1 column) holds; NULLs are left out."""
    return ratio(exact_sum(condition), condition.count())


def before(group: str | Sequence[str], days: int, order: str = "settled_second") -> Any:
    """Window of the rows of a group in the `days` before a row, strictly earlier seconds only.

    Rows of the same second are left out on both sides, so that the answer does not depend on how
    ties are sorted.
    """
    return ibis.range_window(group_by=group, order_by=order, preceding=(days * DAY, 1))


def around(group: str | Sequence[str], seconds: int, order: str = "settled_second") -> Any:
    """Window of the rows of a group within `seconds` either side, the row itself included."""
    return ibis.range_window(group_by=group, order_by=order, preceding=seconds, following=seconds)


def count_over(window: Any, counted: Any) -> ir.IntegerValue:
    """Sum of a 0/1 or integer column over a window as int64; 0 where the window is empty."""
    return integer(counted.sum().over(window)).fill_null(0)


def gap_days(later: Any, earlier: Any) -> ir.FloatingValue:
    """Days between two columns of seconds."""
    return (later - earlier).cast("float64") / float(DAY)


def robust_z(value: Any, median: Any, mad: Any, floor: float) -> ir.FloatingValue:
    """Deviation from the median in robust standard deviations, between -20 and 20.

    ``(value - median) / max(1.4826 MAD, floor)``, see Iglewicz and Hoaglin (1993), "How to detect
    and handle outliers". `floor` keeps peers who are all alike from turning a trifle into a
    large deviation.
    """
    spread = ibis.greatest(mad * MAD_TO_SIGMA, ibis.literal(floor))
    return ratio(value - median, spread).clip(-20.0, 20.0)


def percentile(value: Any, group: str | Sequence[str]) -> ir.FloatingValue:
    """Share of a group strictly below a value plus half of those equal to it, itself left out."""
    members = ibis.window(group_by=group)
    order = ibis.window(group_by=group, order_by=value)
    below = ibis.rank().over(order)  # zero-based: rows strictly below
    keys = [group] if isinstance(group, str) else list(group)
    ties = value.count().over(ibis.window(group_by=[*keys, value]))
    result = ratio(below.cast("float64") + 0.5 * (ties - 1).cast("float64"), value.count().over(members) - 1)
    return ibis.ifelse(value.notnull(), result, ibis.null("float64"))


def distinct_before(rows: ir.Table, key: Sequence[str], part: str, days: int, name: str) -> ir.Table:
    """Distinct values of `part` within `key` in the `days` strictly before each row.

    Neither engine counts distinct values over a range of time alike, so every occurrence is an
    interval: it counts from just after its second until the next occurrence of the same value or
    `days` later, whichever is first, and the answer is the number of open intervals.

    Parameters
    ----------
    rows : Table
        Has ``claim_id``, ``settled_second``, `key` and `part`; rows where any is NULL are left out.
    key : sequence of str
        Group within which values are counted.
    part : str
        Column whose distinct values are counted.
    days : int
        Length of the window.
    name : str
        Column the count is called; ``<name>_own`` is 1 where the row's own value was among them.

    Returns
    -------
    Table
        claim_id, `name`, ``<name>_own``: one row per row of `rows` with no NULLs.
    """
    known = rows.filter([rows[c].notnull() for c in (*key, part)])
    known = known.select("claim_id", *key, part, at="settled_second")
    value = ibis.window(group_by=[*key, part], order_by=["at", "claim_id"])
    earlier = ibis.range_window(group_by=[*key, part], order_by="at", preceding=(days * DAY, 1))
    starts = known.mutate(
        until=ibis.least(known["at"].lead().over(value).fill_null(2**60), known["at"] + days * DAY),
        own=ibis.least(known["at"].count().over(earlier), 1).cast("int64"),
    )
    opened = starts.select(*key, "claim_id", "at", "own", step=ibis.literal(1, "int64"))
    closed = starts.select(
        *key, claim_id=ibis.null("string"), at="until", own=ibis.null("int64"), step=ibis.literal(-1, "int64")
    )
    events = opened.union(closed)
    past = ibis.range_window(group_by=list(key), order_by="at", preceding=(None, 1))
    counted = events.mutate(n=count_over(past, events.step))
    return counted.filter(counted.step == 1).select(
        "claim_id", **{name: counted.n.cast("int64"), f"{name}_own": counted.own}
    )


def entropy(counts: ir.Table, key: Sequence[str], weight: str, name: str) -> ir.Table:
    """Concentration of a weight over the parts of each key.

    Parameters
    ----------
    counts : Table
        One row per key and part, with an integer column `weight`; only positive weights count.
    key : sequence of str
        Group the concentration is of.
    weight : str
        Integer weight of a part (claims, cents).
    name : str
        Prefix of the resulting columns.

    Returns
    -------
    Table
        `key`, ``<name>_n`` (parts), ``<name>_top`` (largest share), ``<name>_hhi``
        (Herfindahl–Hirschman index, sum of squared shares) and ``<name>_entropy`` (Shannon entropy
        in nats divided by the logarithm of the number of parts; NULL with one part).
    """
    positive = counts.filter(counts[weight] > 0)
    total = positive[weight].sum().over(ibis.window(group_by=list(key)))
    shares = positive.select(*key, p=ratio(positive[weight], total))
    result = shares.group_by(list(key)).agg(
        n=shares.p.count(),
        top=shares.p.max(),
        hhi=fixed_sum(shares.p * shares.p),
        nats=fixed_sum(-shares.p * shares.p.ln()),
    )
    return result.select(
        *key,
        **{
            f"{name}_n": result.n.cast("int64"),
            f"{name}_top": result.top,
            f"{name}_hhi": result.hhi,
            f"{name}_entropy": ratio(result.nats, log(result.n)),
        },
    )


def join_all(table: ir.Table, parts: Sequence[ir.Table], keys: str | Sequence[str]) -> ir.Table:
    """Left join several parts at once, keeping the keys once; no other column may be shared."""
    keys = [keys] if isinstance(keys, str) else list(keys)
    columns = list(table.columns)
    joined = table
    for i, part in enumerate(parts):
        own = [c for c in part.columns if c not in keys]
        clash = set(columns) & set(own)
        if clash:
            raise ValueError(f"columns on both sides of a join: {sorted(clash)}")
        renamed = part.rename({f"key{i}_{k}": k for k in keys})
        joined = joined.left_join(renamed, [(k, f"key{i}_{k}") for k in keys])
        columns += own
    return joined.select(*columns)


def without(table: ir.Table, *names: str) -> ir.Table:
    """All columns but some. `Table.drop` of several writes them in the order of Python's text hashes."""
    return table.select(*(c for c in table.columns if c not in names))


def left(table: ir.Table, part: ir.Table, keys: str | Sequence[str]) -> ir.Table:
    """Left join of one part; see `join_all`."""
    return join_all(table, [part], keys)
