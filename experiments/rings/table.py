"""Figures of the benchmark as one table per variant."""

from collections import defaultdict
from collections.abc import Sequence

from measures import Q_LEVELS, pooled

_MEMBERS = (
    ("precision", "precision"), ("recall", "recall"), ("F1", "f1"), ("F1 matched", "matched_f1"),
    ("ring recall", "ring_recall"), ("recall at budget", "budget_recall"), ("alarms", "alarms"),
    ("false", "false_share"), ("seconds", "seconds"), ("MiB", "peak_mib"),
)  # fmt: skip
_DOCTORS = (("precision", "doctor_precision"), ("recall", "doctor_recall"), ("F1", "doctor_f1"),
            ("ring recall", "doctor_ring_recall"), ("rings", "doctor_rings"))  # fmt: skip


def results(rows: Sequence[dict]) -> list[dict]:
    """Pooled figures of each variant, camouflage and method, in the order of the rows; seeds listed."""
    groups: dict[tuple, list[dict]] = defaultdict(list)
    for row in rows:
        groups[row["variant"], row["camouflage"], row["method"]].append(row)
    return [
        {"variant": v, "camouflage": c, "method": m, "seeds": [r["seed"] for r in of]}
        | pooled([r["counts"] for r in of])
        for (v, c, m), of in groups.items()
    ]


def cell(value: float | int | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) and abs(value) < 10 else f"{value:.0f}"


def grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body]) + "\n"


def table_text(figures: Sequence[dict]) -> str:
    """Markdown of all variants."""
    parts = []
    for variant in dict.fromkeys(f["variant"] for f in figures):
        of = sorted((f for f in figures if f["variant"] == variant), key=lambda f: f["camouflage"])
        parts.append(f"## {variant}\n")
        if variant.startswith("honest"):
            parts.append(_honest(of))
            continue
        head = ["camouflage", "method", *(h for h, _ in _MEMBERS)]
        parts.append(
            grid(head, [[str(f["camouflage"]), f["method"], *(cell(f[k]) for _, k in _MEMBERS)] for f in of])
        )
        mine = [f for f in of if f["method"].startswith("ours")] or of
        parts += [_false_discovery(mine), _doctors(mine), _schemes(mine), _crowds(of)]
    return "\n".join(p for p in parts if p)


def _honest(of: Sequence[dict]) -> str:
    head = ["method", "cities", "alarms", "alarms per 100,000 people", "seconds", "MiB"]
    body = [[f["method"], str(len(f["seeds"])), *(cell(f[k]) for k in ("alarms", "alarms_per_100k", "seconds", "peak_mib"))] for f in of]  # fmt: skip
    return grid(head, body) + "\n" + _crowds(of)


def _false_discovery(of: Sequence[dict]) -> str:
    if not any(f[f"alarms_at_q_{Q_LEVELS[-1]}"] for f in of):
        return ""
    head = ["camouflage", "method", *(f"false among q ≤ {q} (alarms)" for q in Q_LEVELS)]
    body = [
        [
            str(f["camouflage"]),
            f["method"],
            *(f"{cell(f[f'fdr_at_q_{q}'])} ({f[f'alarms_at_q_{q}']})" for q in Q_LEVELS),
        ]
        for f in of
    ]
    return "Realised false discovery:\n\n" + grid(head, body)


def _doctors(of: Sequence[dict]) -> str:
    of = [f for f in of if f["method"].startswith("ours")]  # textbook methods name no doctors
    if not any(f["doctor_rings"] for f in of):
        return ""
    body = [[str(f["camouflage"]), f["method"], *(cell(f[k]) for _, k in _DOCTORS)] for f in of]
    return "Rings of doctors:\n\n" + grid(["camouflage", "method", *(h for h, _ in _DOCTORS)], body)


def _schemes(of: Sequence[dict]) -> str:
    """F1 (recall) by scheme; columns are camouflage levels."""
    methods, levels = list(dict.fromkeys(f["method"] for f in of)), sorted({f["camouflage"] for f in of})
    by = {(f["method"], f["camouflage"]): f["schemes"] for f in of}
    names = sorted({s for f in of for s in f["schemes"]})
    body = []
    for method in methods:
        for name in names:
            at = [by.get((method, level), {}).get(name) for level in levels]
            body.append([method, name, *(f"{cell(s['f1'])} ({cell(s['recall'])})" if s else "–" for s in at)])
    return (
        "By scheme, F1 (recall):\n\n" + grid(["method", "scheme", *map(str, levels)], body) if names else ""
    )


def _crowds(of: Sequence[dict]) -> str:
    """What the false alarms are: the most frequent kinds of innocent crowds."""
    totals: dict[str, dict[str, int]] = {}
    for f in of:
        mine = totals.setdefault(f["method"], defaultdict(int))
        for kind, count in f["crowds"].items():
            mine[kind] += count
    body = [
        [method, ", ".join(f"{k} {n}" for k, n in sorted(kinds.items(), key=lambda kv: (-kv[1], kv[0]))[:8])]
        for method, kinds in totals.items()
        if kinds
    ]
    return "False alarms by what they are:\n\n" + grid(["method", "crowds"], body) if body else ""
