"""Do the intervals of `fraud.backtest.estimates` hold the truth as often as they say?

    python experiments/audit_estimates/run.py [--programmes 200] [--random 50 100 200 400]

A synthetic city is scored for its last months by a back-test. Then audit programmes are simulated on it:
the dearest expected recoveries are audited, some tips that follow the money are, and a random slice. The
planted truth says what the estimates should have been. Writes table.md and results.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from fraud.backtest.estimates import MEASURES, Estimates, estimate
from fraud.backtest.figures import listed
from fraud.pipeline import backtest
from fraud.schema import month_number, month_text
from fraud.settings import Settings, load_experiment
from fraud.synthetic import generate

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
START = "2025-01"
WAYS = ("ranked", "random", "joined")


def scored(o: argparse.Namespace) -> pd.DataFrame:
    """Claims of the city's last months with score, amount and planted truth."""
    city = o.folder / f"city-{o.patients}x{o.months}-s{o.seed}"
    if not (city / "dataset.toml").exists():
        generate(city, patients=o.patients, months=o.months, seed=o.seed, camouflage=0.4, start=START)
    last = month_number(START) + o.months - 1
    settings = Settings.model_validate({"tracking": {"models": str(o.folder / "models")}})
    run = backtest(
        city,
        month_text(last - o.tested + 1),
        month_text(last),
        o.folder / "runs",
        load_experiment(ROOT / "experiments" / "default.toml"),
        settings,
    )
    claims = pd.read_parquet(run.folder / "backtest_scores.parquet").astype(
        {"amount": float, "rule_amount": float}
    )
    truth = pd.read_parquet(city / "truth" / "claims.parquet")
    return claims.assign(truth=claims["subject_id"].isin(truth["claim_id"]).astype(float))


def programme(
    claims: pd.DataFrame, capacity: int, ranked: int, tips: int, drawn: int, seed: int
) -> Estimates:
    """Audits of one simulated programme, and what the estimates make of them."""
    random = np.random.default_rng(seed)
    looked = listed(claims, "model", ranked).copy()
    weight = claims["amount"].to_numpy() ** 1.5
    looked[random.choice(len(claims), tips, replace=False, p=weight / weight.sum())] = True
    slice_ = np.zeros(len(claims), dtype=bool)
    slice_[random.choice(len(claims), drawn, replace=False)] = True
    slice_ &= ~looked
    rows = pd.DataFrame(
        {
            "listed": listed(claims, "model", capacity),
            "amount": claims["amount"],
            "label": np.where(looked | slice_, claims["truth"], np.nan),
            "random": slice_,
        }
    )
    return estimate(rows, seed=seed)


def truth_of(claims: pd.DataFrame, capacity: int) -> dict[str, float]:
    on, fraud = listed(claims, "model", capacity), claims["truth"].to_numpy()
    money = fraud * claims["amount"].to_numpy()
    return {
        "prevalence": fraud.mean(), "precision": fraud[on].mean(), "recall": fraud[on].sum() / fraud.sum(),
        "money_found": money[on].sum() / money.sum(),
    }  # fmt: skip


def measured(claims: pd.DataFrame, drawn: int, o: argparse.Namespace) -> list[dict]:
    """Coverage, mean error and mean width of each way and measure over the programmes."""
    real = truth_of(claims, o.capacity)
    said = [programme(claims, o.capacity, o.ranked, o.tips, drawn, seed) for seed in range(o.programmes)]
    rows = []
    for way in WAYS:
        for name in MEASURES:
            found = [getattr(s, way)[name] for s in said]
            value = np.array([f.value for f in found], dtype=float)
            low, high = np.array([f.low for f in found]), np.array([f.high for f in found])
            rows.append(
                {
                    "random": drawn, "way": way, "measure": name, "truth": real[name],
                    "mean": float(np.nanmean(value)) if np.isfinite(value).any() else None,
                    "covered": float(((low <= real[name]) & (real[name] <= high)).mean()),
                    "width": float(np.nanmean(high - low)),
                }
            )  # fmt: skip
    return rows


def table(rows: list[dict], o: argparse.Namespace, claims: pd.DataFrame) -> str:
    command = f"python experiments/audit_estimates/run.py --programmes {o.programmes} --random " + " ".join(
        map(str, o.random)
    )
    lines = [
        f"`{command}`: {len(claims):,} claims of {o.tested} months, {int(claims['truth'].sum())} of them fraud; "
        f"{o.capacity} a month listed, {o.ranked} a month audited by rank and {o.tips} tips; "
        f"{o.programmes} programmes per row.",
        "",
        "| random audits | figure | truth | ranked alone: mean (covered) | random alone: mean (covered) | joined: mean (covered) | joined: width |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for drawn in o.random:
        for name in MEASURES:
            by = {r["way"]: r for r in rows if r["random"] == drawn and r["measure"] == name}
            cells = [
                f"{by[w]['mean']:.3f} ({by[w]['covered']:.0%})" if by[w]["mean"] is not None else "–"
                for w in WAYS
            ]
            lines.append(
                f"| {drawn} | {name} | {by['joined']['truth']:.3f} | {' | '.join(cells)} | {by['joined']['width']:.3f} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--programmes", type=int, default=200)
    parser.add_argument("--random", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--patients", type=int, default=4000)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--tested", type=int, default=2, help="last months, scored by the back-test")
    parser.add_argument("--seed", type=int, default=901)
    parser.add_argument("--capacity", type=int, default=100, help="claims listed a month")
    parser.add_argument("--ranked", type=int, default=50, help="of them audited a month")
    parser.add_argument("--tips", type=int, default=30, help="audits in all that follow the money")
    parser.add_argument("--folder", type=Path, default=ROOT / "data" / "synthetic" / "audit_estimates")
    parser.add_argument("--out", type=Path, default=HERE)
    o = parser.parse_args()
    claims = scored(o)
    rows = [row for drawn in o.random for row in measured(claims, drawn, o)]
    text = table(rows, o, claims)
    o.out.mkdir(parents=True, exist_ok=True)
    (o.out / "table.md").write_text(text, encoding="utf-8")
    (o.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
