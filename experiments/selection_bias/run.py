"""Does the way the biased audits are used matter? Measured on synthetic cities.

Auditors look at what is expensive or suspicious already, so audited claims are not like the rest and an
unaudited claim is not an innocent one. Each way of using the audits is trained on the same months and
ranks all claims of the following months, against the planted truth, which no detector reads. Four schemes
are never audited at all ("novel"). See README.md.
"""

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from fraud import evaluate
from fraud.detectors import folds
from fraud.detectors.boosting import Boosting, best_rounds, regularised
from fraud.detectors.calibration import logit, sigmoid
from fraud.detectors.frames import feature_columns, join_audits, matrix_of
from fraud.detectors.scorer import Scorer
from fraud.engines import open_engine
from fraud.features.build import build
from fraud.schema import month_number
from fraud.settings import EngineSettings, Experiment
from fraud.synthetic.generate import generate

HELD = ("ghost_stay", "pharmacy_ring", "over_examination", "duplicate_prescription")
START = "2025-01"
HERE = Path(__file__).parent


def city(folder: Path, patients: int, months: int, test: int, seed: int) -> dict:
    """City, features of its middle months, labels known before the test months, truth.

    What `folder` already holds is used as it is.
    """
    first = month_number(START) + 3
    # the last months are left out: schemes that need later months to run their course are missing there
    wanted = list(range(first, month_number(START) + months - 3))
    if not (folder / "city").exists():
        generate(
            folder / "city", patients=patients, months=months, seed=seed, start=START, unaudited_schemes=HELD
        )
    if not (folder / "claim.parquet").exists():
        with open_engine(EngineSettings(threads=2), folder) as engine:
            engine.open_dataset(folder / "city")
            shutil.copy(build(engine, wanted).paths["claim"], folder / "claim.parquet")
    filters = [("month", ">=", wanted[0]), ("month", "<=", wanted[-1])]
    frame = pd.read_parquet(folder / "claim.parquet", filters=filters)
    frame = frame.sort_values(["month", "claim_id"], kind="stable").reset_index(drop=True)
    audits = pd.read_parquet(folder / "city" / "audits.parquet")
    audits = audits[audits["subject_kind"] == "claim"]
    start = wanted[-test]
    known = pd.to_datetime(audits["decided_at"]) < pd.Timestamp(start // 12, start % 12 + 1, 1)
    labels = pd.DataFrame(
        {
            "subject_id": audits["subject_id"],
            "label": (audits["outcome"] == "confirmed").astype(int),
            "random": audits["reason"] == "random",
            "decided_at": pd.to_datetime(audits["decided_at"]),
        }
    )[known]
    truth = pd.read_parquet(folder / "city" / "truth" / "claims.parquet").set_index("claim_id")["scheme"]
    return {
        "frame": frame,
        "labels": labels,
        "columns": feature_columns(frame),
        "scheme": frame["claim_id"].map(truth).fillna("").astype(str).to_numpy(),
        "start": start,
    }


def first_stages(case: dict, experiment: Experiment) -> dict[str, np.ndarray]:
    """Scores of the test rows by ways of using the labels; the boosted trees alone, no blend."""
    frame, train = case["frame"], (case["frame"]["month"] < case["start"]).to_numpy()
    x = matrix_of(frame, case["columns"])
    audited = join_audits(frame[train], case["labels"], "claim")
    rows, label = audited.row, audited.label
    random = np.random.default_rng(0)
    rest = np.setdiff1d(np.arange(train.sum()), rows)
    drawn = np.sort(random.choice(rest, min(60_000, len(rest)), replace=False))
    both, none = np.concatenate([rows, drawn]), np.zeros(len(drawn), int)
    settings = regularised(experiment.boosting, audited.positives)
    seen = Boosting.fit(x[both], np.concatenate([np.ones_like(label), none]), settings, 60, 3, bags=1)
    odds = 1 / np.clip(sigmoid(seen.margin(x[rows])), 0.01, None)
    ways = {
        "audited claims only": (rows, label, None),
        "unaudited claims as negatives": (both, np.concatenate([label, none]), None),
        "inverse propensity of being audited": (rows, label, odds / odds.mean()),
        "random audits weighted 4": (rows, label, np.where(audited.random, 4.0, 1.0)),
    }
    out = {}
    for name, (use, y, weight) in ways.items():
        late = folds.latest(frame["month"].to_numpy()[use], y, 0.2, 10)
        held = [late] if late is not None else [folds.grouped(np.arange(len(use)).astype(str), y, 5) == 0]
        rounds, _ = best_rounds(x[use], y, held, settings, experiment.seed, weight)
        model = Boosting.fit(x[use], y, settings, rounds, experiment.seed, weight)
        out[name] = model.margin(x[~train], 2)
    return out


def blends(case: dict, experiment: Experiment) -> dict[str, np.ndarray]:
    """Scores of the test rows by whole scorers."""
    frame, train = case["frame"], (case["frame"]["month"] < case["start"]).to_numpy()
    context = (case["frame"]["month"] > case["start"] - experiment.context_months).to_numpy()
    rows = np.flatnonzero(context & ~train)
    out = {}
    for second in (False, True):
        chosen = experiment.model_copy(update={"second_stage": second})
        scorer = Scorer.fit(frame[train], case["labels"], chosen, features=case["columns"], threads=2)
        scored = scorer.score(frame[context]).loc[rows]
        stage = "both stages" if second else "first stage"
        if not second:
            out["label-free percentile alone"] = scored["anomaly"].to_numpy()
        margin = logit(scored["p_supervised"].to_numpy())
        # the supervised percentile among the test rows; the scorer's own is against the training rows
        rank = (np.argsort(np.argsort(margin, kind="stable"), kind="stable") + 0.5) / len(margin)
        for weight in (0.1, 0.3, 0.5):
            mixed = (1 - weight) * logit(rank) + weight * logit(scored["anomaly"].to_numpy())
            out[f"{stage}, {weight:.0%} label-free"] = mixed
        out[f"scorer as shipped, {stage}"] = scored["score"].to_numpy()
    return out


def figures(case: dict, scores: dict[str, np.ndarray], seed: int) -> list[dict]:
    """One record per way: average precision of all, of audited and of never-audited schemes, money."""
    test = (case["frame"]["month"] >= case["start"]).to_numpy()
    scheme = case["scheme"][test]
    amount = case["frame"]["amount_at_risk"].fillna(0).to_numpy()[test]
    money = amount > 0
    novel = np.isin(scheme, HELD)
    label = (scheme != "").astype(int)
    out = []
    for name, score in scores.items():
        known, fresh = money & ~novel, money & (novel | (label == 0))
        out.append(
            {
                "seed": seed,
                "way": name,
                "ap": evaluate.average_precision(label[money], score[money]),
                "ap_audited_schemes": evaluate.average_precision(label[known], score[known]),
                "ap_never_audited": evaluate.average_precision(label[fresh], score[fresh]),
                "roc_auc": evaluate.roc_auc(label[money], score[money]),
                "precision_at_200": evaluate.precision_at(label[money], score[money], 200),
                "amount_at_1pct": evaluate.amount_at(label[money], score[money], amount[money], 0.01),
            }
        )
    return out


def main() -> None:
    """Run all seeds and write ``table.csv`` beside this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=14)
    parser.add_argument("--test", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22])
    parser.add_argument("--work", type=Path, help="Folder that keeps the cities and their features.")
    chosen = parser.parse_args()
    records = []
    for seed in chosen.seeds:
        with TemporaryDirectory() as place:
            folder = Path(place) if chosen.work is None else chosen.work / str(seed)
            folder.mkdir(parents=True, exist_ok=True)
            case = city(folder, chosen.patients, chosen.months, chosen.test, seed)
        experiment = Experiment()
        records += figures(case, first_stages(case, experiment) | blends(case, experiment), seed)
        sys.stderr.write(f"seed {seed} done\n")
    table = pd.DataFrame(records)
    table.round(4).to_csv(HERE / "table.csv", index=False)
    mean = table.drop(columns="seed").groupby("way", sort=False).mean().round(3)
    sys.stdout.write(mean.to_string() + "\n")


if __name__ == "__main__":
    main()
