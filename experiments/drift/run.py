"""Does the drift gate stay silent on clean seasonal months, and speak when features shift?

    python experiments/drift/run.py [--patients 3000] [--seed 601]

A synthetic city of 26 months without faults. A claim model is trained on the first twelve; the fourteen
months after are judged with it, never retrained: data against the months before, features and scores
against the training window. Then one clean month is changed in ways that a data check would not see.
Writes table.md.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from fraud.drift import judge, profile, shifted
from fraud.features.build import build
from fraud.pipeline.frames import months_with_claims, opened, read_frame
from fraud.pipeline.training import fit_scorers
from fraud.schema import month_text
from fraud.settings import BoostingSettings, Experiment, Settings
from fraud.synthetic import generate

HERE = Path(__file__).parent
TRAIN, JUDGED = 12, 14
MONEY = ("claim_amount", "claim_fund_amount", "claim_amount_per_day", "claim_amount_to_expected",
         "claim_amount_vs_own_past", "claim_amount_vs_doctor_past", "claim_patient_amount_30d")  # fmt: skip


def faults(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A clean month, changed."""

    def scaled(factor: float, rows: np.ndarray) -> pd.DataFrame:
        out = frame.copy()
        out.loc[rows, [c for c in MONEY if c in out]] *= factor
        return out

    every = np.ones(len(frame), dtype=bool)
    largest = (frame["institution_id"] == frame["institution_id"].value_counts().idxmax()).to_numpy()
    visits = frame["claim_patient_claims_365d"]
    return {
        "amounts half as high again": scaled(1.5, every),
        "amounts three times as high": scaled(3.0, every),
        "amounts of the largest institution three times as high": scaled(3.0, largest),
        "history lost: nobody has an earlier claim": frame.assign(
            **{c: np.nan for c in frame if c.startswith("claim_patient_") and c.endswith(("365d", "90d"))}
        ),
        "only the fifth of claims of the heaviest users": frame[visits >= visits.quantile(0.8)],
    }


def told(findings) -> str:
    counts = {level: sum(f.level == level for f in findings) for level in ("stop", "warn", "note")}
    worst = next((f"{f.code} {f.column}".replace(" *", "") for f in findings), "")
    return f"{counts['stop']} | {counts['warn']} | {counts['note']} | {worst}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=601)
    parser.add_argument("--out", type=Path, default=HERE)
    o = parser.parse_args()
    start, settings = time.time(), Settings()
    lines = [
        "| clean month | claims | stops | warnings | notes | first |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    with tempfile.TemporaryDirectory() as name:
        city = Path(name) / "city"
        generate(city, patients=o.patients, months=TRAIN + JUDGED, seed=o.seed, start="2024-01")
        with opened(city, settings, Path(name)) as (engine, _):
            months = months_with_claims(engine)[: TRAIN + JUDGED]
            experiment = Experiment(boosting=BoostingSettings(bags=2))
            tables = build(engine, months)
            known = {"kinds": ("claim",), "windows": True}
            scorer = fit_scorers(engine, tables, months[:TRAIN], experiment, settings, **known)["claim"]
            counts = profile(engine, months)
            frame = read_frame(tables.paths["claim"], months[TRAIN:])

    def features(rows: pd.DataFrame, month: int):
        scores = scorer.score(rows)["score"].to_numpy()
        return shifted(scorer.window, rows, scores, month, scorer.summary["importance"], settings.drift)

    for month in months[TRAIN:]:
        rows = frame[frame["month"] == month]
        drift = judge(counts, month, settings.drift).with_more(features(rows, month))
        lines.append(f"| {month_text(month)} | {len(rows)} | {told(drift.findings)} |")
    month = months[TRAIN + 1]
    lines += ["", f"| {month_text(month)} changed (features alone) | claims | stops | warnings | notes | first |",
              "| --- | ---: | ---: | ---: | ---: | --- |"]  # fmt: skip
    for what, rows in faults(frame[frame["month"] == month]).items():
        lines.append(f"| {what} | {len(rows)} | {told(features(rows, month))} |")
    command = f"`python experiments/drift/run.py --patients {o.patients} --seed {o.seed}`"
    text = f"{command} ({(time.time() - start) / 60:.0f} minutes).\n\n" + "\n".join(lines) + "\n"
    (o.out / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
