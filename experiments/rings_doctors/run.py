"""Doctor rings: R-precision and average precision over pairs and receivers, ours beside textbook methods.

``python experiments/rings_doctors/run.py --cities FOLDER`` makes the cities that are absent, measures
the development or the reported seeds and writes ``results.json`` and ``table.md`` beside this file.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from cities import DEVELOPMENT, REPORTED, City, recoded, true_pairs
from scipy.stats import hypergeom, nbinom
from sklearn.metrics import average_precision_score

from fraud.engines import open_engine
from fraud.features import facts
from fraud.features.scope import Scope
from fraud.rings import referrals
from fraud.rings.referral_flow import dispersion_of, pair_table
from fraud.rings.referral_links import FEWEST, gather
from fraud.schema import month_number
from fraud.settings import EngineSettings

HERE = Path(__file__).parent
LAST = month_number("2025-12")
LEVELS = (3, 5)
ALPHAS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5)


def neutral_pairs(dataset: Path) -> set[tuple[str, str]]:
    """Pairs that are neither right nor wrong: senders and whoever is named on their gang's claims.

    A colleague of the receiver who stands in for him is paid as well, but is not the gang's member;
    a pair that sent fewer patients than are asked for is real but too small to be found.
    """
    truth = pq.read_table(dataset / "truth" / "claims.parquet").to_pandas()
    truth = truth[truth["scheme"] == "referral_ring"]
    claims = pq.read_table(dataset / "claims.parquet", columns=["claim_id", "doctor_id"]).to_pandas()
    groups = pq.read_table(dataset / "truth" / "groups.parquet").to_pandas()
    groups = groups[(groups["scheme"] == "referral_ring") & (groups["member_kind"] == "doctor")]
    senders = groups[groups["role"] != "receiver"]
    pairs = truth.merge(claims, on="claim_id").merge(senders, on="group_id").dropna(subset="doctor_id")
    return set(zip(pairs["member_id"], pairs["doctor_id"], strict=True))


def textbook(dataset: Path) -> pd.DataFrame:
    """Pairs of doctors elsewhere with patients in common: a, b, shared, and -log p (hypergeometric)."""
    columns = ["patient_id", "doctor_id", "institution_id"]
    claims = pq.read_table(dataset / "claims.parquet", columns=columns).to_pandas().dropna()
    seen = claims[["patient_id", "doctor_id"]].drop_duplicates()
    sizes = seen.groupby("doctor_id").size()
    pairs = seen.merge(seen, on="patient_id").query("doctor_id_x < doctor_id_y")
    pairs = pairs.groupby(["doctor_id_x", "doctor_id_y"]).size().reset_index(name="shared")
    pairs.columns = ["a", "b", "shared"]
    house = claims.groupby("doctor_id")["institution_id"].agg(lambda x: x.mode()[0])
    pairs = pairs[pairs["a"].map(house).to_numpy() != pairs["b"].map(house).to_numpy()]
    people = claims["patient_id"].nunique()
    chance = hypergeom.logsf(pairs["shared"] - 1, people, pairs["a"].map(sizes), pairs["b"].map(sizes))
    return pairs.assign(surprise=-chance)


def ranked(truth: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """Average precision and R-precision (precision among as many as there are true ones)."""
    count = int(truth.sum())
    best = np.argsort(-score, kind="stable")[:count]
    return {"ap": float(average_precision_score(truth, score)), "rp": float(truth[best].mean())}


def with_truth(pairs: pd.DataFrame, right: set, neutral: set, keys: list[str]) -> pd.DataFrame:
    """Pairs with `y`; true ones that were never a candidate are added with the lowest score."""
    code = list(zip(pairs[keys[0]], pairs[keys[1]], strict=True))
    pairs = pairs.assign(y=[c in right for c in code], drop=[c in neutral and c not in right for c in code])
    lost = sorted(right - set(code))
    pairs = pairs[~pairs["drop"]].drop(columns="drop")
    more = pd.DataFrame(lost, columns=keys).assign(y=True)
    out = pd.concat([pairs, more], ignore_index=True)
    numbers = out.columns.difference([*keys, "y"])
    out[numbers] = out[numbers].fillna(-1e9)
    return out


def receivers(pairs: pd.DataFrame, score: str, whom: set[str], keys: list[str]) -> dict[str, float]:
    """The same over doctors: the best pair each takes part in as a receiver."""
    best = pd.concat([pairs[[k, score]].rename(columns={k: "doctor"}) for k in keys])
    best = best.groupby("doctor")[score].max()
    return ranked(best.index.isin(whom), best.to_numpy())


def ours(dataset: Path) -> tuple[referrals.ReferralRings, pd.DataFrame, float]:
    with tempfile.TemporaryDirectory() as work, open_engine(EngineSettings(), Path(work)) as engine:
        engine.open_dataset(dataset)
        claims = facts.build(Scope(engine, months=(LAST,)))
        begun = time.perf_counter()
        rings = referrals.referral_rings(engine, LAST - 11, LAST, None, claims)
        seconds = time.perf_counter() - begun
        pairs, _ = pair_table(gather(engine, LAST - 11, LAST, claims))
    return rings, pairs, seconds


def at_threshold(
    rings: referrals.ReferralRings, right: set, neutral: set, whom: set[str]
) -> dict[str, float]:
    """Precision and recall of what is reported, over pairs and over receivers; false rings."""
    edges = rings.edges
    other = np.where(edges["a"] == edges["sender"], edges["b"], edges["a"])
    said = set(zip(edges["sender"], other, strict=True))
    counted = said - (neutral - right)
    doctors = rings.members[rings.members["role"] == "receiver"]
    named = set(doctors["member_id"])
    paid = whom | {b for _, b in neutral}
    mine = doctors.assign(good=doctors["member_id"].isin(paid)).groupby("ring_id")["good"].any()
    return {
        "pairs_said": len(counted), "pairs_right": len(said & right), "pairs_true": len(right),
        "receivers_said": len(named - (paid - whom)), "receivers_right": len(named & whom), "receivers_true": len(whom),
        "rings": len(rings.rings), "rings_false": int((~mine).sum()),
    }  # fmt: skip


def measure(city: City, folder: Path) -> dict:
    dataset = city.make(folder)
    rings, pairs, seconds = ours(recoded(dataset) if city.variant == "recoded" else dataset)
    out = {
        "city": city.name,
        "variant": city.variant,
        "camouflage": city.camouflage,
        "seconds": round(seconds, 2),
    }
    if city.variant == "honest":
        return out | {"alarms": len(rings.rings), "uniform": uniformity(pairs)}
    neutral = neutral_pairs(dataset)
    simple = textbook(dataset)
    for least in LEVELS:
        true = true_pairs(dataset, least)
        right = set(zip(true["sender"], true["receiver"], strict=True))
        whom = set(true["receiver"])
        rows = with_truth(pairs, right, neutral, ["sender", "receiver"])
        both = {tuple(sorted(p)) for p in right}, {tuple(sorted(p)) for p in neutral}
        plain = with_truth(simple, *both, ["a", "b"])
        made = {}
        for name, frame, score, sides in (
            ("shared patients", plain, "shared", ["a", "b"]),
            ("hypergeometric", plain, "surprise", ["a", "b"]),
            ("flow only", rows, "flow", ["receiver"]),
            ("ours", rows, "standing", ["receiver"]),
        ):
            one = ranked(frame["y"].to_numpy(bool), frame[score].to_numpy(float))
            per = receivers(frame, score, whom, sides)
            made[name] = {"pairs": one, "receivers": per}
        out[f"least_{least}"] = {"methods": made, "own": at_threshold(rings, right, neutral, whom)}
    return out


def uniformity(pairs: pd.DataFrame) -> list[float]:
    """Share of the pairs of an honest city with p-values below `ALPHAS`, given `FEWEST` patients."""
    shape = dispersion_of(pairs["days"].to_numpy(), pairs["expected"].to_numpy())
    expected = pairs["expected"].to_numpy()
    chance = shape / (shape + expected)
    n = np.ceil(pairs["own"].to_numpy() - 1e-6)
    above, at_least = nbinom.sf(n, shape, chance), nbinom.sf(n - 1, shape, chance)
    u = above + np.random.default_rng(0).random(len(n)) * (at_least - above)
    u = u / nbinom.sf(FEWEST - 1, shape, chance)
    return [float(np.mean(u <= a)) for a in ALPHAS]


def table(results: list[dict]) -> str:
    lines = []
    fraud = [r for r in results if r["variant"] != "honest"]
    settings = sorted({(r["variant"], r["camouflage"]) for r in fraud})
    for least in LEVELS:
        lines += [f"Pairs that sent at least {least} patients (means over seeds):", "",
                  "| city | camouflage | method | pairs: R-precision | AP | receivers: R-precision | AP |",
                  "|---|---|---|---|---|---|---|"]  # fmt: skip
        for variant, camouflage in settings:
            rows = [
                r[f"least_{least}"] for r in fraud if (r["variant"], r["camouflage"]) == (variant, camouflage)
            ]
            for name in rows[0]["methods"]:
                cells = [
                    np.mean([r["methods"][name][who][what] for r in rows])
                    for who in ("pairs", "receivers") for what in ("rp", "ap")
                ]  # fmt: skip
                lines.append(
                    f"| {variant} | {camouflage} | {name} | " + " | ".join(f"{c:.3f}" for c in cells) + " |"
                )
        lines += ["", "| city | camouflage | true pairs | pair precision | recall | true receivers | receiver precision | recall | rings | false rings |",
                  "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
        for variant, camouflage in settings:
            rows = [
                r[f"least_{least}"]["own"]
                for r in fraud
                if (r["variant"], r["camouflage"]) == (variant, camouflage)
            ]
            s = {k: sum(r[k] for r in rows) for k in rows[0]}
            lines.append(
                f"| {variant} | {camouflage} | {s['pairs_true']} | {s['pairs_right'] / max(s['pairs_said'], 1):.3f} | {s['pairs_right'] / s['pairs_true']:.3f} | "
                f"{s['receivers_true']} | {s['receivers_right'] / max(s['receivers_said'], 1):.3f} | {s['receivers_right'] / s['receivers_true']:.3f} | {s['rings']} | {s['rings_false']} |"
            )
        lines.append("")
    honest = [r for r in results if r["variant"] == "honest"]
    if honest:
        alarms, people = sum(r["alarms"] for r in honest), 20_000 * len(honest)
        below = np.mean([r["uniform"] for r in honest], axis=0)
        lines += [f"Honest cities: {alarms} alarms in {people:,} people. Share of their pairs with a p-value below α, "
                  "given that they were looked at: " + ", ".join(f"{a}: {b:.4f}" for a, b in zip(ALPHAS, below, strict=True)) + ".", ""]  # fmt: skip
    lines.append(
        f"Seconds for 20,000 people and 12 months (without cleaning): {np.mean([r['seconds'] for r in results]):.1f}."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cities", type=Path, default=Path("data/synthetic/rings_doctors"))
    parser.add_argument("--development", action="store_true", help="development seeds; nothing is written")
    args = parser.parse_args()
    seeds = DEVELOPMENT if args.development else REPORTED
    cities = [City("alone", s, c) for c in (0.0, 0.4, 0.8) for s in seeds]
    cities += [City("all", s, 0.4) for s in seeds]
    cities += [City("recoded", s, 0.4) for s in seeds]
    honest = (*DEVELOPMENT, *range(11, 17)) if args.development else range(501, 511)
    cities += [City("honest", s, 0.4) for s in honest]
    results = []
    for i, city in enumerate(cities):
        results.append(measure(city, args.cities))
        print(f"{i + 1} of {len(cities)}: {city.name}", file=sys.stderr, flush=True)
    text = table(results)
    print(text)
    if not args.development:
        (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (HERE / "table.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
