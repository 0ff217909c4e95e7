"""Claim scoring on synthetic cities that development never used, beside the naive lines, in one run.

    python experiments/claims_benchmark/run.py [--patients 12000] [--seeds 101 102 103]

Each city: 16 months, camouflage 0.4, audits of about 2 % of claims. Two schemes per city are absent
from the audits (never labelled). Everything is trained on what was known at the end of month 12 and
scored on months 13 to 16. The truth is read only here, after scoring.

Lines, all on the same claims:
  amount            rank by fund amount
  forest            isolation forest alone, same features, no labels
  lightgbm          LightGBM alone on audited claims, same features
  lightgbm_all      LightGBM alone with unaudited claims taken as negative
  ours, audited     the toolkit without what unaudited claims add (no self-training)
  ours              `score` of the toolkit; money is ranked by its expected recovery
  loss              rank by the true loss (the ceiling of money@1 %)
Writes results.md and results.json beside this file.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from fraud.evaluate import average_precision, precision_at
from fraud.features.build import build
from fraud.pipeline.frames import labels, months_with_claims, opened, read_frame
from fraud.pipeline.training import fit_scorers
from fraud.settings import Experiment, SelfTrainingSettings, Settings
from fraud.synthetic import generate

HERE = Path(__file__).parent
TRAIN_MONTHS, SCORE_MONTHS = 12, 4
ABSENT = {
    101: ("hanging_bed", "drug_resale"),
    102: ("card_pool", "over_examination"),
    103: ("ghost_stay", "duplicate_prescription"),
}


def money_at(score: np.ndarray, loss: np.ndarray, share: float = 0.01) -> float:
    """Share of lost money found in the top `share` of claims by `score`."""
    k = max(1, round(share * len(score)))
    top = np.argsort(-score, kind="stable")[:k]
    return float(loss[top].sum() / loss.sum())


def naive_lightgbm(frame, target, features, seed):
    import lightgbm

    model = lightgbm.LGBMClassifier(
        n_estimators=200, num_leaves=31, learning_rate=0.05, min_child_samples=20, random_state=seed,
        n_jobs=2, verbose=-1, deterministic=True, force_row_wise=True,
    )  # fmt: skip
    return model.fit(frame[list(features)].to_numpy("float32"), target)


def figures(name, score, fund, fraud, loss, absent, ranked=None):
    ranked = score * fund if ranked is None else ranked
    # claims of absent schemes against honest claims: the labelled schemes are taken out
    keep = absent | ~fraud
    return {
        "line": name,
        "AP": average_precision(fraud, score),
        "precision@100": precision_at(fraud, score, 100),
        "money@1%": money_at(ranked, loss),
        "AP absent": average_precision(absent[keep], score[keep]),
        "money@1% absent": money_at(ranked[keep], loss[keep]),
    }


def score_months(scorer, frame, months, context: int) -> pd.DataFrame:
    """Scores of each month's claims, with the months before it as context."""
    parts = []
    for month in months:
        first = month - context + 1 if scorer.needs_context else month
        rows = frame[frame["month"].between(first, month)]
        parts.append(scorer.score(rows)[rows["month"] == month])
    return pd.concat(parts)


def one_city(seed: int, patients: int, camouflage: float) -> list[dict]:
    settings, experiment = Settings(), Experiment()
    absent_schemes = ABSENT.get(seed, ("hanging_bed", "drug_resale"))
    with tempfile.TemporaryDirectory() as name:
        city = Path(name) / "city"
        generate(
            city, patients=patients, months=TRAIN_MONTHS + SCORE_MONTHS, seed=seed, camouflage=camouflage,
            start="2025-01", audit_rate=0.02, unaudited_schemes=absent_schemes,
        )  # fmt: skip
        with opened(city, settings, Path(name)) as (engine, _):
            months = months_with_claims(engine)[: TRAIN_MONTHS + SCORE_MONTHS]
            tables = build(engine, months)
            past, future = months[:TRAIN_MONTHS], months[TRAIN_MONTHS:]
            bare = experiment.model_copy(update={"self_training": SelfTrainingSettings(background=0, share=0)})
            fitted = [
                fit_scorers(engine, tables, past, e, settings, kinds=("claim",))["claim"]
                for e in (experiment, bare)
            ]
            known = labels(engine, "claim", past[-1])
            frame = read_frame(tables.paths["claim"], months)
            features = tables.columns["claim"]
        truth = pd.read_parquet(city / "truth" / "claims.parquet")
        scores = [score_months(scorer, frame, future, experiment.context_months) for scorer in fitted]
    ours, audited_only = scores
    test = frame.loc[ours.index]
    train = frame[frame["month"].isin(past)]
    scheme = test["claim_id"].map(truth.set_index("claim_id")["scheme"])
    loss = test["claim_id"].map(truth.set_index("claim_id")["loss_amount"]).astype(float).fillna(0).clip(lower=0)
    fraud = scheme.notna().to_numpy()
    common = (test["amount_at_risk"].to_numpy(), fraud, loss.to_numpy(), scheme.isin(absent_schemes).to_numpy())
    audited = train.merge(known, left_on="claim_id", right_on="subject_id")
    positive = train["claim_id"].isin(known.loc[known["label"] == 1, "subject_id"]).to_numpy()
    x = test[list(features)].to_numpy("float32")
    alone = naive_lightgbm(audited, audited["label"], features, seed).predict_proba(x)[:, 1]
    every = naive_lightgbm(train, positive, features, seed).predict_proba(x)[:, 1]
    fund = common[0]
    lines = [
        figures("amount", fund, *common, ranked=fund),
        figures("forest", ours["anomaly"].to_numpy(), *common),
        figures("lightgbm", alone, *common),
        figures("lightgbm_all", every, *common),
        figures("ours, audited", audited_only["score"].to_numpy(), *common),
        figures("ours", ours["score"].to_numpy(), *common),
        figures("loss", loss.to_numpy(), *common, ranked=loss.to_numpy()),
    ]
    base = {"seed": seed, "claims": len(test), "fraud": int(fraud.sum()), "audited": len(audited),
            "confirmed": int(audited["label"].sum())}  # fmt: skip
    return [base | line for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=12000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--camouflage", type=float, default=0.4)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    rows = [r for seed in options.seeds for r in one_city(seed, options.patients, options.camouflage)]
    table = pd.DataFrame(rows)
    measures = ["AP", "precision@100", "money@1%", "AP absent", "money@1% absent"]
    mean = table.groupby("line", sort=False)[measures].agg(["mean", "min", "max"])
    naive = table[table["line"].isin(["amount", "forest", "lightgbm", "lightgbm_all"])]
    best = naive.groupby("seed")["AP"].max()
    ours = table[table["line"] == "ours"].set_index("seed")
    loss = table[table["line"] == "loss"].set_index("seed")
    text = ["| line | " + " | ".join(measures) + " |", "| --- |" + " --- |" * len(measures)]
    for line, row in mean.iterrows():
        cells = [f"{row[m, 'mean']:.3f} ({row[m, 'min']:.3f}–{row[m, 'max']:.3f})" for m in measures]
        text.append(f"| {line} | " + " | ".join(cells) + " |")
    text += [
        "",
        f"AP over the best naive line, by seed: {', '.join(f'{v:.2f}' for v in ours['AP'] / best)}.",
        f"money@1 % over the true-loss ceiling, by seed: "
        f"{', '.join(f'{v:.2f}' for v in ours['money@1%'] / loss['money@1%'])}.",
    ]
    sizes = ours[["claims", "fraud", "audited", "confirmed"]].to_dict("index")
    text += [f"Seed {s}: {v['claims']} claims scored, {v['fraud']} of them fraud; {v['audited']} audited in training, {v['confirmed']} confirmed." for s, v in sizes.items()]  # fmt: skip
    command = f"python experiments/claims_benchmark/run.py --patients {options.patients} --seeds {' '.join(map(str, options.seeds))}"
    (options.out / "results.md").write_text(f"`{command}`\n\n" + "\n".join(text) + "\n", encoding="utf-8")
    (options.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
