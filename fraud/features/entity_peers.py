"""Entities against their peers of the same month."""

import ibis
import ibis.expr.types as ir

from fraud.features.measures import integer, left, log, robust_z
from fraud.features.scope import SMALL


def peer_scores(
    table: ir.Table, key: str, levels: tuple[tuple[str, ...], ...], names: dict[str, bool]
) -> ir.Table:
    """Robust deviation of measures from the entity's peers of the same scored month.

    Parameters
    ----------
    table : Table
        Entity rows with `key`, scored_month, the measures and the columns of `levels`.
    key : str
        Column of the entity's id.
    levels : tuple of tuples of str
        Peer groups from narrow to wide; the narrowest with at least `SMALL` rows is used, and all
        rows of the month where none is.
    names : dict of str to bool
        Measure → whether its logarithm is compared.

    Returns
    -------
    Table
        key, scored_month, ``peer_group``, ``peer_n`` and a ``<measure>_z`` column per measure.
    """
    month = ["scored_month"]
    levels = (*levels, ())
    needed = dict.fromkeys(c for level in levels for c in level)
    table = table.select(key, "scored_month", *needed, *[n for n in names if n not in needed])
    for i, columns in enumerate(levels):
        text = ibis.literal("all")
        for j, column in enumerate(columns):
            value = table[column].cast("string").fill_null("-")
            text = value if j == 0 else text + "|" + value
        table = table.mutate(**{f"group{i}": text})
        table = table.mutate(**{f"size{i}": table.count().over(ibis.window(group_by=[*month, f"group{i}"]))})
    last = len(levels) - 1
    cases = [(table[f"size{i}"] >= SMALL, i) for i in range(last)]
    level = ibis.cases(*cases, else_=last) if cases else ibis.literal(last)
    table = table.mutate(
        level=level.cast("int64"),
        **{f"of_{n}": log(table[n]) if g else table[n].cast("float64") for n, g in names.items()},
    )
    which = [(table.level == i, i) for i in range(len(levels))]
    table = table.mutate(
        peer_group=ibis.cases(*[(c, table[f"group{i}"]) for c, i in which]),
        peer_n=integer(ibis.cases(*[(c, table[f"size{i}"]) for c, i in which])),
    )
    stats = [_level_stats(table, i, names) for i in range(len(levels))]
    table = left(table, ibis.union(*stats) if len(stats) > 1 else stats[0], [*month, "level", "peer_group"])
    floor = {True: 0.1, False: 0.01}
    return table.select(
        key,
        "scored_month",
        "peer_group",
        "peer_n",
        **{
            f"{n}_z": robust_z(table[f"of_{n}"], table[f"mid_{n}"], table[f"mad_{n}"], floor[g])
            for n, g in names.items()
        },
    )


def _level_stats(table: ir.Table, level: int, names: dict[str, bool]) -> ir.Table:
    key = ["scored_month", f"group{level}"]
    mids = {f"mid_{n}": table[f"of_{n}"].quantile(0.5).over(ibis.window(group_by=key)) for n in names}
    rows = table.mutate(**mids)
    stats = rows.group_by(key).agg(
        **{f"mid_{n}": rows[f"mid_{n}"].max() for n in names},
        **{f"mad_{n}": (rows[f"of_{n}"] - rows[f"mid_{n}"]).abs().quantile(0.5) for n in names},
    )
    columns = [f"{p}_{n}" for p in ("mid", "mad") for n in names]
    return stats.select(
        "scored_month", *columns, level=ibis.literal(level, "int64"), peer_group=f"group{level}"
    )
