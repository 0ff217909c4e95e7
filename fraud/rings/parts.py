"""Tables computed part by part, so that a province's visits fit in the engine's memory."""

import re

import ibis.expr.types as ir

from fraud.engines import part_files
from fraud.features.scope import Scope

AT_ONCE = 4_000_000
"""Claims looked at together."""


def place_ranges(scope: Scope, visits: ir.Table) -> list[tuple[int, int]]:
    """Ranges of places (from, and below) with at most about `AT_ONCE` visits each; a place is never cut."""
    counts = visits.group_by("place").agg(n=visits.count()).order_by("place")
    found = scope.engine.to_arrow(counts, "ring_place_counts").to_pydict()
    begins, held = [0], 0
    for place, n in zip(found["place"], found["n"], strict=True):
        if held and held + n > AT_ONCE:
            begins.append(place)
            held = 0
        held += n
    end = max(found["place"], default=0) + 1
    return list(zip(begins, [*begins[1:], end], strict=True))


def among(rows: ir.Table, low: int, high: int) -> ir.Table:
    """Rows of a range of places."""
    return rows.filter((rows.place >= low) & (rows.place < high))


def part(scope: Scope, name: str, number: int, parts: int) -> ir.Table:
    """One part of a table kept by `Scope.in_parts`."""
    return scope[name if parts == 1 else f"{name}_{number}"]


def files_of(scope: Scope, name: str) -> list[str]:
    """Parquet files of a table kept by `Scope.in_parts`."""
    own = re.compile(rf"fx_{name}(_\d+)?\.parquet")
    kept = sorted(p for p in scope.engine.work.iterdir() if own.fullmatch(p.name))
    return [file for path in kept for file in part_files(path)]
