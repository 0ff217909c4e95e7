"""Tables computed part by part, so that a province's visits fit in the engine's memory."""

import math
import re

import ibis
import ibis.expr.types as ir

from fraud.engines import part_files
from fraud.features.scope import Scope

AT_ONCE = 4_000_000
"""Claims looked at together."""


def ranges(scope: Scope, claims: ir.Table) -> list[tuple[str, str]]:
    """Ranges of claim ids (from, and below; empty for no bound) of at most about `AT_ONCE` claims each.

    Ranges rather than remainders: files are mostly written in the order of the ids, so that a range is
    read without reading everything.
    """
    count = scope.engine.to_arrow(claims.count().as_table(), "ring_claims_count").column(0)[0].as_py()
    parts = max(1, math.ceil(count / AT_ONCE))
    if parts == 1:
        return [("", "")]
    numbered = claims.select("claim_id", part=ibis.ntile(parts).over(order_by="claim_id"))
    begins = numbered.group_by("part").agg(begin=numbered.claim_id.min())
    found = sorted(scope.engine.to_arrow(begins.select("begin"), "ring_claims_cuts").column(0).to_pylist())
    return list(zip(["", *found[1:]], [*found[1:], ""], strict=True))


def within(rows: ir.Table, low: str, high: str) -> ir.Table:
    """Rows of a range of claim ids."""
    rows = rows.filter(rows.claim_id >= low) if low else rows
    return rows.filter(rows.claim_id < high) if high else rows


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
