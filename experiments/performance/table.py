"""Table and picture of `run.py`'s results; ``python table.py`` writes them again from results.json."""

import json
import math
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WHOLE, KEPT, ADDED = "features, 13 months", "features, 12 months kept", "features, a month added"
STAGES = ("bare scan", WHOLE, KEPT, ADDED, "pandas", "Polars", "CSV copied", "ingest", "check",
          "train", "score")  # fmt: skip
# kept tables that hold the features pandas and Polars build too (and others beside them)
SHARED = ("refunds", "claims", "claim_values", "claim_patient_past", "claim_doctor_past", "claim_items",
          "claim_totals", "line_values", "claim_breadth")  # fmt: skip


def shared_cpu(stage: dict[str, Any]) -> float:
    """Processor time of our tables that hold the features of the peers."""
    tables = stage["result"]["tables"]
    return sum(tables[f"fx_{name}"] for name in SHARED)


def _sizes(results: dict[str, Any]) -> list[str]:
    return sorted(results, key=lambda size: results[size]["rows"]["lines"])


def _cell(stage: dict[str, Any] | None) -> str:
    if stage is None:
        return "–"
    if "failed" in stage:
        return "failed"
    return f"{stage['cpu']:,.0f} s, {stage['wall']:,.0f} s, {stage['peak_mib']:,} MiB"


def costs(results: dict[str, Any]) -> list[str]:
    sizes = _sizes(results)
    lines = ["| stage (processor, wall, memory) | " + " | ".join(_head(results[s], s) for s in sizes) + " |"]
    lines.append("|" + " --- |" * (len(sizes) + 1))
    for name in STAGES:
        lines.append(f"| {name} | " + " | ".join(_cell(results[s]["stages"].get(name)) for s in sizes) + " |")
    return lines


def _head(result: dict[str, Any], size: str) -> str:
    return f"{size}: {result['rows']['claims']:,} claims, {result['rows']['lines']:,} lines"


def ratios(results: dict[str, Any]) -> list[str]:
    """What can be checked elsewhere: costs over costs of the same run."""
    sizes = _sizes(results)
    rows: dict[str, list[str]] = {}
    for size in sizes:
        stages = {k: v for k, v in results[size]["stages"].items() if "failed" not in v}
        for name, value in _ratios(stages).items():
            rows.setdefault(name, ["–"] * len(sizes))[sizes.index(size)] = value
    lines = ["| ratio | " + " | ".join(sizes) + " |", "|" + " --- |" * (len(sizes) + 1)]
    return lines + [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()]


def _ratios(stages: dict[str, Any]) -> dict[str, str]:
    out = {}
    result = {name: stage["result"] for name, stage in stages.items() if "result" in stage}
    if {"bare scan", WHOLE} <= set(result):
        whole = result[WHOLE]
        out["whole catalog, 13 months : bare scan"] = (
            f"{whole['cpu'] / result['bare scan']['cpu']:.0f} ({whole['features']} columns)"
        )
    if KEPT in result:
        ours = result[KEPT]
        for peer in ("pandas", "Polars"):
            if peer in result:
                same = result[peer]
                out[f"{peer} : our tables of the same {same['features']} features"] = (
                    f"{same['cpu'] / shared_cpu(stages[KEPT]):.1f}"
                )
                out[f"{peer} per feature : ours per feature"] = (
                    f"{same['cpu'] / same['features'] / (ours['cpu'] / ours['features']):.1f}"
                )
    if {WHOLE, ADDED} <= set(result):
        whole, added = result[WHOLE], result[ADDED]
        same = "the same rows" if whole["last_month"] == added["last_month"] else "OTHER ROWS"
        out["a month added : 13 months together"] = f"{added['cpu'] / whole['cpu']:.2f} ({same})"
    if {"CSV copied", "ingest"} <= set(stages):
        out["ingest : CSV copied to Parquet"] = f"{stages['ingest']['cpu'] / stages['CSV copied']['cpu']:.1f}"
    return out


def growth(results: dict[str, Any]) -> list[str]:
    """Exponent of processor time from each size to the next."""
    sizes = _sizes(results)
    if len(sizes) < 2:
        return []
    pairs = list(zip(sizes, sizes[1:], strict=False))
    lines = ["| growth of processor time | " + " | ".join(f"{a} → {b}" for a, b in pairs) + " |"]
    lines.append("|" + " --- |" * (len(pairs) + 1))
    for name in STAGES:
        cells = []
        for a, b in pairs:
            one, other = results[a]["stages"].get(name, {}), results[b]["stages"].get(name, {})
            known = "cpu" in one and "cpu" in other
            larger = results[b]["rows"]["lines"] / results[a]["rows"]["lines"]
            cells.append(f"{math.log(other['cpu'] / one['cpu']) / math.log(larger):.2f}" if known else "–")
        if any(c != "–" for c in cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def of_score(results: dict[str, Any]) -> list[str]:
    """Where the time of a monthly score goes."""
    sizes = [s for s in _sizes(results) if "stages" in results[s]["stages"].get("score", {})]
    if not sizes:
        return []
    names = [s["stage"] for s in results[sizes[0]]["stages"]["score"]["stages"]]
    lines = ["| stage of `fraud score` (processor, memory) | " + " | ".join(sizes) + " |"]
    lines.append("|" + " --- |" * (len(sizes) + 1))
    for name in names:
        cells = []
        for size in sizes:
            found = [s for s in results[size]["stages"]["score"]["stages"] if s["stage"] == name]
            cells.append(f"{found[0]['cpu_seconds']:,.0f} s, {found[0]['peak_memory_mb']:,.0f} MiB" if found else "–")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def picture(results: dict[str, Any], path: Path) -> None:
    """Processor seconds against lines, both on logarithmic scales."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    sizes = _sizes(results)
    for name in STAGES:
        points = [
            (results[s]["rows"]["lines"], results[s]["stages"][name]["cpu"])
            for s in sizes
            if "cpu" in results[s]["stages"].get(name, {})
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="fee lines", ylabel="processor seconds")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    matplotlib.rcParams["svg.hashsalt"] = "performance"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def write(results: dict[str, Any], out: Path) -> None:
    said = sorted({f"{r['machine']}, memory_limit {r['memory']}" for r in results.values()})
    parts = [["`python experiments/performance/run.py`, " + "; ".join(said)]]
    parts += [costs(results), ratios(results), growth(results), of_score(results)]
    text = "\n\n".join("\n".join(lines) for lines in parts if lines)
    (out / "table.md").write_text(text + "\n", encoding="utf-8")
    picture(results, out / "picture.svg")


if __name__ == "__main__":
    write(json.loads((HERE / "results.json").read_text(encoding="utf-8")), HERE)
