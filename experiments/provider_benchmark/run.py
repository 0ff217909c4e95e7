"""Providers of the public Medicare inpatient claims: five-fold out of fold, beside two naive lines.

    python experiments/provider_benchmark/run.py [--seeds 200 201 202 203 204]

The dataset is ingested and its features built with the toolkit's defaults; then, for each seed, the
labelled providers are split into five folds (stratified) and every line is fitted on four and scores
the fifth. Features know no label. Reads the real data from FRAUD_REAL_DATA or ../shared/data beside
the checkout. Writes results.md and results.json beside this file.

Lines:
  amount    rank by total inpatient reimbursement
  plain     LightGBM on counts and sums of claims, patients, doctors, days, diagnoses and money
  reduced   the toolkit without the families that recover how the labels seem to have been made
            (exact repeats of an amount for one patient; see README of this folder)
  ours      the toolkit, experiments/medicare_inpatient.toml
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from fraud.detectors.scorer import Scorer
from fraud.evaluate import average_precision, precision_at, roc_auc
from fraud.features.build import build
from fraud.features.catalog import CATALOG
from fraud.ingest import ingest
from fraud.pipeline.frames import labels, months_with_claims, opened, read_frame
from fraud.settings import Settings, load_experiment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REPEATS = ("same_amount", "identical", "repeat", "again")


def real_data() -> Path:
    folder = Path(os.environ.get("FRAUD_REAL_DATA", ROOT.parent / "shared" / "data")) / "medicare_inpatient"
    if not folder.is_dir():
        sys.exit(f"No real data at {folder}: set FRAUD_REAL_DATA to the folder that holds medicare_inpatient/.")
    return folder


def frames(work: Path):
    """Institution features, labels and plain aggregates."""
    settings = Settings()
    experiment = load_experiment(ROOT / "experiments" / "medicare_inpatient.toml")
    out = work / "dataset"
    ingest(str(real_data()), out, profile="medicare_inpatient", settings=settings)
    with opened(out, settings, work) as (engine, _):
        last = months_with_claims(engine)[-1]
        tables = build(engine, [last], ("institution",), experiment.window_months)
        frame = read_frame(tables.paths["institution"], [last])
        known = labels(engine, "institution", last)
    plain = plain_aggregates(out).reindex(frame["institution_id"]).reset_index(drop=True)
    return frame, known, plain, tables.columns["institution"], experiment


def plain_aggregates(dataset: Path) -> pd.DataFrame:
    claims = pd.read_parquet(dataset / "claims.parquet")
    codes = pd.read_parquet(dataset / "diagnoses.parquet").groupby("claim_id").size()
    claims["days"] = (claims["ended_at"] - claims["started_at"]).dt.days + 1
    claims["codes"] = claims["claim_id"].map(codes).fillna(0)
    money = claims[["fund_amount", "total_amount"]].astype(float)
    claims = claims.assign(fund=money["fund_amount"], total=money["total_amount"])
    return claims.groupby("institution_id").agg(
        claims=("claim_id", "size"), fund=("fund", "sum"), total=("total", "sum"), days=("days", "sum"),
        codes=("codes", "sum"), patients=("patient_id", "nunique"), doctors=("doctor_id", "nunique"),
    )  # fmt: skip


def within_deciles(y: np.ndarray, score: np.ndarray, size: np.ndarray) -> float:
    """AUC of pairs whose two providers lie in the same decile of total reimbursement."""
    decile = pd.qcut(size, 10, labels=False, duplicates="drop")
    good = pairs = 0.0
    for d in np.unique(decile):
        inside = decile == d
        positive, negative = y[inside].sum(), (1 - y[inside]).sum()
        if positive and negative:
            good += roc_auc(y[inside], score[inside]) * positive * negative
            pairs += positive * negative
    return good / pairs


def out_of_fold(frame, known, features, experiment, folds) -> np.ndarray:
    score = np.full(len(known), np.nan)
    directions = {n: CATALOG[n].direction for n in features}
    keep = [c for c in frame.columns if c not in CATALOG or c in features]
    rows = frame[keep]
    for fit, test in folds:
        scorer = Scorer.fit(rows, known.iloc[fit], experiment, directions=directions, threads=2)
        # p_supervised: what the labels taught; the list's score blends the anomaly in
        scored = scorer.score(rows).set_axis(frame["institution_id"])
        score[test] = scored.loc[known["subject_id"].iloc[test], "score"]
    return score


def plain_lightgbm(x: np.ndarray, y: np.ndarray, folds, seed: int) -> np.ndarray:
    score = np.full(len(y), np.nan)
    for fit, test in folds:
        model = lightgbm.LGBMClassifier(
            n_estimators=100, num_leaves=15, learning_rate=0.05, min_child_samples=20, random_state=seed,
            n_jobs=2, verbose=-1,
        )  # fmt: skip
        score[test] = model.fit(x[fit], y[fit]).predict_proba(x[test])[:, 1]
    return score


def one_seed(seed, frame, known, plain, features, experiment) -> list[dict]:
    y = known["label"].to_numpy()
    at = pd.Index(frame["institution_id"]).get_indexer(known["subject_id"])
    size = plain["fund"].to_numpy()[at]
    folds = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(y, y))
    reduced = [f for f in features if not any(word in f for word in REPEATS)]
    lines = {
        "amount": size,
        "plain": plain_lightgbm(plain.to_numpy(float)[at], y, folds, seed),
        "reduced": out_of_fold(frame, known, reduced, experiment, folds),
        "ours": out_of_fold(frame, known, features, experiment, folds),
    }
    return [
        {
            "seed": seed,
            "line": name,
            "AUC": roc_auc(y, score),
            "AP": average_precision(y, score),
            "precision@100": precision_at(y, score, 100),
            "within-decile AUC": within_deciles(y, score, size),
        }
        for name, score in lines.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[200, 201, 202, 203, 204])
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        data = frames(Path(work))
    rows = [row for seed in options.seeds for row in one_seed(seed, *data)]
    measures = ["AUC", "AP", "precision@100", "within-decile AUC"]
    spread = pd.DataFrame(rows).groupby("line", sort=False)[measures].agg(["mean", "std"])
    text = ["| line | " + " | ".join(measures) + " |", "| --- |" + " --- |" * len(measures)]
    for line, row in spread.iterrows():
        text.append(f"| {line} | " + " | ".join(f"{row[m, 'mean']:.3f} ± {row[m, 'std']:.3f}" for m in measures) + " |")
    known = data[1]
    command = f"python experiments/provider_benchmark/run.py --seeds {' '.join(map(str, options.seeds))}"
    head = (
        f"`{command}`\n\n{len(known)} labelled providers, {int(known['label'].sum())} positive; "
        f"mean ± standard deviation over {len(options.seeds)} seeds of five folds.\n\n"
    )
    (options.out / "results.md").write_text(head + "\n".join(text) + "\n", encoding="utf-8")
    (options.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
