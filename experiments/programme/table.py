"""Table and picture of `run.py`'s results; ``python table.py`` writes them again from results.json."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
TOLD = {"rules": "(a) rules only", "once": "(b) one model, trained once", "loop": "(c) full loop",
        "ranked": "(d) the loop, every place for the ranking"}  # fmt: skip
SOON = 2


def months_to_detect(rows: list[dict]) -> pd.DataFrame:
    """Months from a later scheme's first claim to the first of its claims that an audit confirmed."""
    out = []
    frame = pd.DataFrame(rows)
    for (seed, arm), own in frame.groupby(["seed", "arm"], sort=False):
        first = own["planned"].dropna().iloc[-1]
        for scheme in own["begins"].iloc[0]:
            found = [m for m, f in zip(own["month"], own["found"], strict=True) if f.get(scheme)]
            begun = first.get(scheme)
            wait = _between(begun, found[0]) if begun and found else None
            out.append({"seed": seed, "arm": arm, "scheme": scheme, "begun": begun, "months": wait})
    return pd.DataFrame(out)


def _between(begun: str, found: str) -> int:
    (y0, m0), (y1, m1) = (map(int, t.split("-")) for t in (begun, found))
    return (y1 - y0) * 12 + m1 - m0


def write(results: dict[str, Any], out: Path) -> None:
    rows = results["rows"]
    frame = pd.DataFrame(rows)
    seeds = sorted(frame["seed"].unique())
    money = frame.groupby(["seed", "arm"])["money"].sum().unstack("arm")
    waits = months_to_detect(rows)
    begun = waits[waits["begun"].notna()]
    lines = [
        f"`python experiments/programme/run.py --patients {results['patients']} --seeds "
        f"{' '.join(map(str, seeds))} --capacity {results['capacity']}`",
        "",
        "| | money found, yuan | × (a) | × (b) | audited | guilty | false alarms | new schemes seen within two months | median wait, months |",
        "|" + " --- |" * 9,
    ]
    for arm, told in TOLD.items():
        own, wait = frame[frame["arm"] == arm], begun[begun["arm"] == arm]["months"]
        soon = f"{int((wait <= SOON).sum())} of {len(wait)}"
        seen = wait.dropna()
        ratio = [f"{money[arm].sum() / money[b].sum():.2f}" for b in ("rules", "once")]
        lines.append(
            f"| {told} | {money[arm].sum():,.0f} | {ratio[0]} | {ratio[1]} | {own['audited'].sum():,} | "
            f"{own['guilty'].sum():,} | {own['false'].sum():,} | {soon} | "
            f"{np.median(seen) if len(seen) else float('nan'):.0f} |"
        )
    lines += ["", "By seed, money of the loop over rules and over the model trained once: "
              + "; ".join(f"seed {s} {money.loc[s, 'loop'] / money.loc[s, 'rules']:.2f}, "
                          f"{money.loc[s, 'loop'] / money.loc[s, 'once']:.2f}" for s in seeds) + "."]  # fmt: skip
    lines += ["", "| new scheme (seed) | first claim | " + " | ".join(TOLD[a] for a in TOLD) + " |",
              "|" + " --- |" * (2 + len(TOLD))]  # fmt: skip
    for (seed, scheme), own in begun.groupby(["seed", "scheme"], sort=False):
        by_arm = own.set_index("arm")["months"]
        cells = ["never" if pd.isna(by_arm[a]) else f"{by_arm[a]:.0f} months" for a in TOLD]
        lines.append(f"| {scheme} ({seed}) | {own['begun'].iloc[0]} | " + " | ".join(cells) + " |")
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    picture(frame, out / "picture.svg")


def picture(frame: pd.DataFrame, path: Path) -> None:
    """Money found so far, month by month, summed over seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for arm, told in TOLD.items():
        total = frame[frame["arm"] == arm].groupby("month")["money"].sum().cumsum()
        axes.plot(total.index, total / 10_000, label=told)
    axes.set(xlabel="month", ylabel="money found so far, 10,000 yuan")
    axes.set_xticks(range(0, frame["month"].nunique(), 3))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    matplotlib.rcParams["svg.hashsalt"] = "programme"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    write(json.loads((HERE / "results.json").read_text(encoding="utf-8")), HERE)
