"""What a query cost and where, from DuckDB's own account of it: kept with a run, read by whoever tunes."""

import json
from collections.abc import Iterator
from typing import Any

STEPS = 3
"""Dearest operators told of a query."""


def query(name: str, account: str) -> dict[str, Any]:
    """One row of a run's profile; the name alone where DuckDB gives no account (it has answered unasked).

    Parameters
    ----------
    name : str
        The table the query makes.
    account : str
        JSON of ``get_profiling_information``.

    Returns
    -------
    dict
        name, seconds (wall), cpu_seconds (all threads), rows_scanned, rows (written or returned),
        spilled_mb (largest size of the spill folder), memory_mb (largest of the engine's buffers) and
        plan: the dearest operators with their share of the operators' time, dearest first.
    """
    said = json.loads(account)
    if "query" not in said:
        return {"name": name}
    whole, system = said["query"], said["system"]
    operators = [o for root in said["operator"] for o in _walk(root)]
    return {
        "name": name,
        "seconds": round(whole["total_time"], 3),
        "cpu_seconds": round(whole["cpu_time"], 3),
        "rows_scanned": int(whole["total_rows_scanned"]),
        "rows": _rows(operators),
        "spilled_mb": round(system["peak_temp_dir_size"] / 1e6, 1),
        "memory_mb": round(system["peak_buffer_memory"] / 1e6, 1),
        "plan": _dearest(operators),
    }


def _walk(operator: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield operator
    for child in operator.get("children", []):
        yield from _walk(child)


def _rows(operators: list[dict[str, Any]]) -> int:
    """Rows of the first operator below those that only write or collect."""
    through = ("RESULT_COLLECTOR", "COPY_TO_FILE")
    inner = [o for o in operators if not any(word in o["type"] for word in through)]
    return int(inner[0]["intermediate_rows"]) if inner else 0


def _dearest(operators: list[dict[str, Any]]) -> str:
    total = sum(o["timing"] for o in operators)
    by_type: dict[str, float] = {}
    for operator in operators:
        by_type[operator["type"]] = by_type.get(operator["type"], 0.0) + operator["timing"]
    top = sorted(by_type.items(), key=lambda pair: (-pair[1], pair[0]))[:STEPS]
    return ", ".join(f"{kind} {seconds / total:.0%}" for kind, seconds in top) if total else ""
