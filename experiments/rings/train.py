"""Fit the ring models of the package on synthetic cities.

python experiments/rings/train.py --out fraud/rings/models

Cities hold designed and composed rings and composed innocent circles, in different densities and at every
camouflage; some hold no fraud. Every figure that decides something (which ties are looked at again, how innocent
crowds score) is out of fold: cities are split into three parts, and each part is scored by models of the other two.
Seeds from 1001; the benchmark reports others. ``--leave-out SCHEME`` takes the claims of a scheme for unknown:
neither fraud nor innocent.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
from cities import RING_SCHEMES
from truth import true_rings

from fraud.engines import open_engine
from fraud.rings.meetings import VIEWS
from fraud.rings.model import RingModels, robust
from fraud.rings.profiles import LEAST as LEAST_PROFILE
from fraud.rings.profiles import fences, groups, purchases
from fraud.rings.stages import Ranked, choose, grow, observe, ranked, with_company
from fraud.rings.suspects import LEAST, Suspects, among
from fraud.rings.ties import measures
from fraud.schema import month_number
from fraud.settings import RingSettings, Settings
from fraud.synthetic import generate

BOTH = (*RING_SCHEMES, "composed_ring")
# seed: (camouflage, schemes, prevalence)
PLAN: dict[int, tuple[float, tuple[str, ...], float]] = {
    1001: (0.4, BOTH, 2.5), 1002: (0.2, BOTH, 1.0), 1003: (0.6, BOTH, 2.5), 1004: (0.4, (), 1.0),
    1005: (0.8, BOTH, 2.5), 1006: (0.0, BOTH, 1.5), 1007: (0.4, ("composed_ring",), 1.5), 1008: (1.0, BOTH, 2.5),
    1009: (0.5, BOTH, 1.0), 1010: (0.3, BOTH, 2.5), 1011: (0.7, ("composed_ring",), 2.0), 1012: (0.4, (), 1.0),
    1013: (0.7, BOTH, 2.5), 1014: (0.1, BOTH, 1.0), 1015: (0.4, BOTH, 2.5), 1016: (0.9, BOTH, 2.0),
    1017: (0.2, ("composed_ring",), 2.0), 1018: (0.6, BOTH, 1.0),
}  # fmt: skip
FIRST, MONTHS, PEOPLE = "2025-01", 12, 20_000
FOLDS = 3
RECALL: dict[tuple[float, str], list[int]] = {}  # members found and existing, rings found and existing
KEPT = 0.1  # of the innocent ties the first look learns from
PARAMETERS = {
    "learning_rate": 0.06, "num_leaves": 31, "feature_fraction": 0.4, "min_data_in_leaf": 20, "seed": 1,
    "bagging_fraction": 0.8, "bagging_freq": 1, "deterministic": True, "force_row_wise": True, "verbose": -1, "num_threads": 2,
}  # fmt: skip


@dataclass
class Trained:
    """A city as training sees it."""

    seed: int
    ties: pd.DataFrame
    pairs: dict[str, pd.DataFrame]
    bought: pd.DataFrame
    usual: pd.DataFrame
    fences: pd.DataFrame
    people: int
    rings: dict[str, set[int]]
    left: dict[str, set[int]]  # of schemes left out: never learned from, but looked for
    ignored: set[int]
    label: np.ndarray  # of ties: 1 ring, 0 not, -1 neither
    schemes: dict[str, str]


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def made(seed: int, folder: Path) -> Path:
    """The frames of a city, made once."""
    place = folder / str(seed)
    if (place / "done").exists():
        return place
    shutil.rmtree(place, ignore_errors=True)
    camouflage, schemes, prevalence = PLAN[seed]
    look_alikes = ("composed_circle",) if seed % 5 else ()
    generate(place / "city", patients=PEOPLE, months=MONTHS, seed=seed, camouflage=camouflage, start=FIRST, schemes=schemes, prevalence=prevalence, look_alikes=look_alikes)  # fmt: skip
    with open_engine(Settings().engine, place / "work") as engine:
        engine.open_dataset(place / "city")
        scope = observe(engine, month_number(FIRST), month_number(FIRST) + MONTHS - 1)
        names = ["ring_ties", "ring_persons", "ring_places", *(f"ring_pairs_{v.name}" for v in VIEWS)]
        for name in names:
            shutil.copy(engine.work / f"fx_{name}.parquet", place / f"{name}.parquet")
        everybody = scope["ring_persons"].select("person")
        engine.to_parquet(purchases(scope, everybody), place / "bought.parquet")
        engine.to_parquet(fences(scope), place / "fences.parquet")
    shutil.rmtree(place / "work")
    (place / "city" / "lines.parquet").unlink()
    (place / "done").write_text("")
    say(f"city {seed} made")
    return place


def loaded(seed: int, folder: Path, left_out: Sequence[str]) -> Trained:
    place = made(seed, folder)
    first = month_number(FIRST)
    truth = true_rings(place / "city", first, first + MONTHS - 1)
    ties = pd.read_parquet(place / "ring_ties.parquet").sort_values(["person", "place"], ignore_index=True)
    number = pd.read_parquet(place / "ring_persons.parquet").set_index("patient_id")["person"]
    places = pd.read_parquet(place / "ring_places.parquet").set_index("institution_id")["place"]
    rings = {r.ring_id: {int(number[m]) for m in r.members} for r in truth.of_kind(doctors=False)}
    schemes = {r.ring_id: r.scheme for r in truth.rings}
    fraud = pd.read_parquet(place / "city" / "truth" / "claims.parquet", columns=["claim_id", "group_id"])
    claims = pd.read_parquet(
        place / "city" / "claims.parquet", columns=["claim_id", "patient_id", "institution_id"]
    )
    fraud = fraud.merge(claims, on="claim_id")
    fraud = fraud[fraud["patient_id"].isin(number.index)]
    bad = pd.DataFrame({"person": number.reindex(fraud["patient_id"]).to_numpy(), "place": places.reindex(fraud["institution_id"]).to_numpy(), "group_id": fraud["group_id"].to_numpy()})  # fmt: skip
    member = np.array(
        [p in rings.get(g, ()) for p, g in zip(bad["person"], bad["group_id"], strict=True)], dtype=bool
    )
    known = np.array([schemes.get(g) not in left_out for g in bad["group_id"]], dtype=bool)
    bad["label"] = np.where(member & known, 1, -1)
    label = bad.groupby(["person", "place"])["label"].max()
    label = (
        ties[["person", "place"]]
        .merge(label.reset_index(), how="left", on=["person", "place"])["label"]
        .fillna(0)
    )
    ignored = {int(number[m]) for m in truth.ignored if m in number.index}
    left = {g: people for g, people in rings.items() if schemes[g] in left_out}
    ignored |= {p for people in left.values() for p in people}
    rings = {g: people for g, people in rings.items() if schemes[g] not in left_out}
    pairs = {v.name: pd.read_parquet(place / f"ring_pairs_{v.name}.parquet") for v in VIEWS}
    bought = pd.read_parquet(place / "bought.parquet").sort_values(["person", "item"], ignore_index=True)
    usual = bought.groupby("item", as_index=False).agg(people=("person", "nunique"))
    fenced = pd.read_parquet(place / "fences.parquet").sort_values(["fence", "person"], ignore_index=True)
    return Trained(
        seed,
        ties,
        pairs,
        bought,
        usual,
        fenced,
        len(number),
        rings,
        left,
        ignored,
        label.to_numpy(np.int64),
        schemes,
    )


def fitted(
    x: pd.DataFrame, y: np.ndarray, rounds: int, weight: np.ndarray | None = None, **more: object
) -> lightgbm.Booster:
    parameters = {"objective": "binary", **PARAMETERS, **more}
    return lightgbm.train(parameters, lightgbm.Dataset(x.to_numpy(float), y, weight=weight), rounds)


def everywhere(people: np.ndarray) -> np.ndarray:
    """One city is one part."""
    return np.zeros(len(people), dtype=np.int64)


class Part:
    """What is known of a city after the ties were scored out of fold."""

    def __init__(self, city: Trained, first: np.ndarray) -> None:
        keep = np.flatnonzero(first >= LEAST)
        ties = city.ties.iloc[keep].reset_index(drop=True).assign(first=first[keep])
        self.city, self.label = city, city.label[keep]
        self.suspects = with_company(Suspects(ties, among(ties, city.pairs)))


def judged(groups: list[np.ndarray], city: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Jaccard index with the best true ring, and share of members in any ring, of each candidate."""
    of: dict[int, list[str]] = {}
    for ring, people in city.rings.items():
        for p in people:
            of.setdefault(p, []).append(ring)
    best, precision = np.zeros(len(groups)), np.zeros(len(groups))
    for number, group in enumerate(groups):
        people = [p for p in group.tolist() if p not in city.ignored]
        if not people:
            precision[number] = np.nan
            continue
        counts: dict[str, int] = {}
        for p in people:
            for ring in of.get(p, ()):
                counts[ring] = counts.get(ring, 0) + 1
        precision[number] = np.mean([p in of for p in people])
        best[number] = max(
            (n / (len(people) + len(city.rings[r]) - n) for r, n in counts.items()), default=0.0
        )
    return best, precision


def train(cities: list[Trained], out: Path) -> None:
    columns = {"tie": measures(cities[0].ties.columns)}
    rng = np.random.default_rng(1)
    drawn = {
        c.seed: np.flatnonzero((c.label == 1) | ((c.label == 0) & (rng.random(len(c.label)) < KEPT)))
        for c in cities
    }

    def fit_ties(some: list[Trained]) -> lightgbm.Booster:
        x = pd.concat([c.ties.iloc[drawn[c.seed]][columns["tie"]] for c in some])
        y = np.concatenate([c.label[drawn[c.seed]] for c in some])
        return fitted(x, y, 200, np.where(y == 1, 1.0, 1.0 / KEPT))

    fold = {c.seed: i % FOLDS for i, c in enumerate(cities)}
    rest = lambda k: [c for c in cities if fold[c.seed] != k]  # noqa: E731
    parts: list[Part] = []
    for k in range(FOLDS):
        booster = fit_ties(rest(k))
        parts += [
            Part(c, booster.predict(c.ties[columns["tie"]].to_numpy(float)))
            for c in cities
            if fold[c.seed] == k
        ]
        say(f"ties, fold {k}")
    columns["company"] = [
        *columns["tie"],
        "first",
        *(c for c in parts[0].suspects.ties.columns if c.startswith(("near_", "same_", "own_"))),
    ]

    def fit_company(some: list[Part]) -> lightgbm.Booster:
        x = pd.concat([p.suspects.ties[columns["company"]] for p in some])
        y = np.concatenate([p.label for p in some])
        return fitted(x[y >= 0], y[y >= 0], 200)

    found = []
    for k in range(FOLDS):
        booster = fit_company([p for p in parts if fold[p.city.seed] != k])
        for part in parts:
            if fold[part.city.seed] == k:
                score = np.asarray(booster.predict(part.suspects.ties[columns["company"]].to_numpy(float)))
                strong = np.unique(part.suspects.ties["person"].to_numpy()[score >= LEAST_PROFILE])
                others = groups(
                    part.city.bought[part.city.bought["person"].isin(strong)],
                    part.city.usual,
                    part.city.fences[part.city.fences["person"].isin(strong)],
                    part.city.people,
                    everywhere,
                )
                found.append((part, ranked(part.suspects, score, others)))
        say(f"company, fold {k}")
    columns["quality"] = columns["truth"] = list(found[0][1].measures.columns)
    labels = {p.city.seed: judged(r.groups, p.city) for p, r in found}

    def fit_rings(seeds: list[int]) -> tuple[lightgbm.Booster, lightgbm.Booster]:
        some = [(r, *labels[p.city.seed]) for p, r in found if p.city.seed in seeds]
        x = pd.concat([r.measures for r, _, _ in some])
        best, precision = np.concatenate([b for _, b, _ in some]), np.concatenate([p for _, _, p in some])
        good = ~np.isnan(precision)
        return (
            fitted(x[good], best[good], 300, objective="regression"),
            fitted(x[good], (precision[good] >= 0.5).astype(int), 200),
        )

    innocent: list[float] = []
    crowds = []
    for k in range(FOLDS):
        quality, truth = fit_rings([c.seed for c in rest(k)])
        for part, r in found:
            if fold[part.city.seed] != k:
                continue
            x = r.measures.to_numpy(float)
            q, t = np.asarray(quality.predict(x)), np.asarray(truth.predict(x))
            chosen = choose(r.groups, q, t)
            best, precision = labels[part.city.seed]
            innocent += [float(t[n]) for n in chosen if precision[n] < 0.5]
            crowds.append(r.measures[precision < 0.2])
            report(part.city, r, chosen, t)
    quality, truth = fit_rings([c.seed for c in cities])
    usual = robust(pd.concat(crowds), columns["quality"])
    boosters = {"tie": fit_ties(cities), "company": fit_company(parts), "quality": quality, "truth": truth}
    people = PEOPLE * len(cities)
    RingModels(boosters, columns, np.sort(np.array(innocent)), people, usual).save(out)
    for (camouflage, scheme), n in sorted(RECALL.items()):
        say(
            f"  {camouflage} {scheme}: members {n[0] / n[1]:.2f} of {n[1]}, rings {n[2] / n[3]:.2f} of {n[3]}"
        )
    say(f"models written to {out}: {len(innocent)} innocent crowds in {people} people")


def report(city: Trained, r: Ranked, chosen: list[int], score: np.ndarray) -> None:
    """Out-of-fold figures of a city, at several thresholds."""
    true = set().union(*city.rings.values()) if city.rings else set()
    strength = grow(r, chosen, score).groupby(["candidate", "person"])["score"].max()
    strength = strength[strength >= RingSettings().membership].reset_index()
    groups = {n: own["person"].to_numpy() for n, own in strength.groupby("candidate") if n in set(chosen)}
    chosen = [n for n in chosen if n in groups]
    text = f"{city.seed} {PLAN[city.seed][0]} rings {len(city.rings)}:"
    for least in (0.3, 0.5, 0.7):
        everybody = set().union(*(groups[n].tolist() for n in chosen if score[n] >= least), set())
        named = everybody - city.ignored
        right = len(named & true)
        hit = [any(len(set(groups[n].tolist()) & r) / len(set(groups[n].tolist()) | r) >= 0.5 for n in chosen if score[n] >= least) for r in city.rings.values()]  # fmt: skip
        if least == 0.3:
            for ring, people in (city.rings | city.left).items():
                scheme = RECALL.setdefault((PLAN[city.seed][0], city.schemes[ring]), [0, 0, 0, 0])
                best = max(
                    (
                        len(people & set(groups[n].tolist())) / len(people | set(groups[n].tolist()))
                        for n in chosen
                        if score[n] >= least
                    ),
                    default=0,
                )
                scheme[0] += len(people & everybody)
                scheme[1] += len(people)
                scheme[2] += best >= 0.5
                scheme[3] += 1
        text += f" [{least}] P {right / max(1, len(named)):.2f} R {right / max(1, len(true)):.2f} F1 {2 * right / max(1, len(named) + len(true)):.2f} rings {np.mean(hit) if hit else 0:.2f}"
    say(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cities", type=Path, default=Path("data/synthetic/rings/training"))
    parser.add_argument("--seeds", type=int, nargs="*", default=sorted(PLAN))
    parser.add_argument("--leave-out", nargs="*", default=())
    parser.add_argument("--make-only", action="store_true")
    args = parser.parse_args()
    if args.make_only:
        for seed in args.seeds:
            made(seed, args.cities)
        return
    train([loaded(seed, args.cities, args.leave_out) for seed in args.seeds], args.out)


if __name__ == "__main__":
    main()
