"""A scheme no label has seen: how much of it reaches a person, on the list or in a group beside it?

    python experiments/new_schemes/run.py [--patients 5000] [--seed 501]

One synthetic city. For every scheme in turn, all audits that confirmed it are taken out of the labels, a
claim model is trained on twelve months, and the two months after are scored: the list at capacity (claims
rolled up; without rings and rules, which need no labels and would add to it) and the groups of odd claims
outside it. The truth is read only here, after scoring. Writes table.md and results.json.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import pandas as pd

from fraud.detectors.scorer import Scorer
from fraud.features.build import build
from fraud.pipeline.frames import labels, months_with_claims, opened, read_frame
from fraud.pipeline.new_schemes import new_schemes
from fraud.schema import month_text
from fraud.settings import BoostingSettings, Experiment, ListSettings, Settings
from fraud.suspicion import roll_up
from fraud.synthetic import generate

HERE = Path(__file__).parent
TRAIN, TEST = 12, 2
FEWEST = 8
"""Claims of a scheme in the test months from which a row says something."""


def features(o: argparse.Namespace, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Claim features of all months, audits known at the end of training, and the truth."""
    city = folder / "city"
    generate(city, patients=o.patients, months=TRAIN + TEST, seed=o.seed, camouflage=o.camouflage)
    with opened(city, Settings(), folder) as (engine, _):
        months = months_with_claims(engine)[: TRAIN + TEST]
        tables = build(engine, months)
        known = labels(engine, "claim", months[TRAIN - 1])
        frame = read_frame(tables.paths["claim"], months)
    return frame, known, pd.read_parquet(city / "truth" / "claims.parquet")


def held(frame: pd.DataFrame, known: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Claims of the test months that the list or a group holds."""
    months = sorted(frame["month"].unique())
    train = frame[frame["month"].isin(months[:TRAIN])]
    experiment = Experiment(boosting=BoostingSettings(bags=2))
    scorer = Scorer.fit(train, known, experiment)
    own = ["claim_id", "institution_id", *(c for c in train if c.startswith("claim_") and c != "claim_id")]
    decided = train.merge(known, left_on="claim_id", right_on="subject_id")[[*own, "label", "scheme"]]
    parts = []
    for month in months[TRAIN:]:
        now = frame[frame["month"] == month].reset_index(drop=True)
        scored = scorer.score(now)
        actors = [c for c in now if c.endswith("_id")]
        claims = now[[*actors, "visit_type", "amount_at_risk"]].assign(score=scored["score"])
        listed = roll_up(claims, settings.list, month=month_text(int(month)))
        on_list = {c for ids in listed["evidence_claim_ids"] for c in ids}
        groups = new_schemes(now, scored, settings, sorted(on_list), decided)
        place = {c: g for g, told in enumerate(groups) for c in told["claim_ids"]}
        parts.append(
            pd.DataFrame(
                {
                    "claim_id": now["claim_id"], "month": month, "listed": now["claim_id"].isin(on_list),
                    "group": now["claim_id"].map(place), "p": scored["p_supervised"],
                    "anomaly": scored["anomaly"],
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def row(name: str, claims: pd.DataFrame, truth: pd.DataFrame, rest: pd.DataFrame) -> dict:
    """What is held of one scheme, without its labels, and with them."""
    true = truth[truth["scheme"] == name]
    out = {"scheme": name}
    for side, frame in (("unseen", claims), ("seen", rest)):
        own = frame[frame["claim_id"].isin(true["claim_id"])]
        loss = own["claim_id"].map(true.set_index("claim_id")["loss_amount"].astype(float))
        grouped = own["group"].notna()
        either = own["listed"] | grouped
        gangs = own["claim_id"].map(true.set_index("claim_id")["group_id"])
        out |= {
            "claims": len(own), "gangs": int(gangs.nunique()),
            f"{side}_list": int(own["listed"].sum()), f"{side}_groups": int((grouped & ~own["listed"]).sum()),
            f"{side}_gangs": int(gangs[either].nunique()), f"{side}_loss": float(loss[either].sum() / max(loss.sum(), 1e-9)),
        }  # fmt: skip
    fraud = claims["claim_id"].isin(truth["claim_id"])
    out["grouped"] = int(claims["group"].notna().sum())
    out["grouped_fraud"] = int((claims["group"].notna() & fraud).sum())
    return out


def table(rows: list[dict], o: argparse.Namespace, seconds: float) -> str:
    only = f" --schemes {' '.join(o.schemes)}" if o.schemes else ""
    lines = [
        f"`python experiments/new_schemes/run.py --patients {o.patients} --seed {o.seed} --capacity {o.capacity}{only}`: "
        f"two test months, {o.capacity} suspicions a month, at most {Settings().novelty.clusters} groups a month "
        f"({seconds / 60:.0f} minutes).",
        "",
        "| scheme left out of the labels | claims (gangs) | on the list | only in a group | gangs reached | money reached | with its labels: list + groups | gangs |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in rows:
        lines.append(
            f"| {r['scheme']} | {r['claims']} ({r['gangs']}) | {r['unseen_list']} | {r['unseen_groups']} "
            f"| {r['unseen_gangs']} | {r['unseen_loss']:.0%} | {r['seen_list']} + {r['seen_groups']} | {r['seen_gangs']} |"
        )
    total = {k: sum(r[k] for r in rows) for k in rows[0] if k != "scheme"}
    lines += [
        f"| **all** | {total['claims']} ({total['gangs']}) | {total['unseen_list']} | {total['unseen_groups']} "
        f"| {total['unseen_gangs']} | {sum(r['unseen_loss'] for r in rows) / len(rows):.0%} (mean) "
        f"| {total['seen_list']} + {total['seen_groups']} | {total['seen_gangs']} |",
        "",
        f"Claims in groups, over all runs: {total['grouped']}, of them fraud of any scheme: "
        f"{total['grouped_fraud']} ({total['grouped_fraud'] / max(total['grouped'], 1):.0%}).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=501)
    parser.add_argument("--camouflage", type=float, default=0.4)
    parser.add_argument("--capacity", type=int, default=40)
    parser.add_argument("--schemes", nargs="+", help="only these")
    parser.add_argument("--out", type=Path, default=HERE)
    o = parser.parse_args()
    start = time.time()
    settings = Settings(list=ListSettings(capacity=o.capacity))
    with tempfile.TemporaryDirectory() as name:
        frame, known, truth = features(o, Path(name))
    test = sorted(frame["month"].unique())[TRAIN:]
    counts = truth[truth["claim_id"].isin(frame.loc[frame["month"].isin(test), "claim_id"])][
        "scheme"
    ].value_counts()
    chosen = [s for s in sorted(counts.index) if counts[s] >= FEWEST and (not o.schemes or s in o.schemes)]
    print(len(frame), "claims,", len(known), "audits,", int(known["label"].sum()), "confirmed", flush=True)
    seen = held(frame, known, settings)
    rows = []
    for scheme in chosen:
        without = known[~((known["label"] == 1) & (known["scheme"] == scheme))]
        rows.append(row(scheme, held(frame, without, settings), truth, seen))
        print(rows[-1], f"{time.time() - start:.0f} s", flush=True)
    (o.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    text = table(rows, o, time.time() - start)
    (o.out / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
